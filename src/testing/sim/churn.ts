import { decodeUtf8, encodeUtf8 } from "../../core/base/bytes.ts";
import type { Prng } from "../../core/base/prng.ts";
import type { ConnectionId, RequestId } from "../../core/contract/ids.ts";
import type { Reply } from "../../core/contract/reply.ts";
import type { NodeReply } from "../../core/node/vocabulary.ts";
import type { Cluster } from "./cluster.ts";
import { ViolationError } from "./invariants.ts";
import type { ConnectionListener, SimNode } from "./sim-node.ts";

/** An answer; null when the connection ended without one. */
type Answer = Reply | null;

/** One connection that sends a run of commands at once and hears all their answers. */
class Conversation implements ConnectionListener {
  readonly #connection: ConnectionId | null;
  readonly #node: SimNode;
  readonly #done: (answers: readonly Answer[]) => void;
  readonly #requests: RequestId[] = [];
  readonly #answers: Answer[] = [];

  constructor(
    node: SimNode,
    commands: readonly (readonly string[])[],
    done: (answers: readonly Answer[]) => void,
  ) {
    this.#node = node;
    this.#done = done;
    this.#connection = node.connect(this);
    if (this.#connection === null) return;
    for (const words of commands) {
      this.#requests.push(node.call(this.#connection, words.map(encodeUtf8)));
    }
  }

  onReply(request: RequestId, reply: NodeReply): void {
    if (reply.kind !== "resp") return;
    const at = this.#answers.length;
    if (this.#requests[at] !== request) {
      throw new ViolationError("program-order", `${this.#node.id} answers out of order`);
    }
    this.#answers.push(reply.reply);
    if (this.#answers.length < this.#requests.length) return;
    if (this.#connection !== null) this.#node.disconnect(this.#connection);
    this.#done(this.#answers);
  }

  onClosed(): void {
    this.#done(this.#requests.map((_, i) => this.#answers[i] ?? null));
  }
}

/**
 * Keyspaces that come and go while everything else happens: each is created, written to, read from
 * another node and dropped. What a client was told of it must be true wherever it asks next.
 */
export class Churn {
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly #meanMs: number;
  #active = false;
  #count = 0;

  constructor(cluster: Cluster, prng: Prng) {
    this.#cluster = cluster;
    this.#prng = prng;
    this.#meanMs = cluster.settings.options.workload.churnMs;
  }

  start(): void {
    if (this.#meanMs === 0) return;
    this.#active = true;
    this.#later();
  }

  stop(): void {
    this.#active = false;
  }

  #later(): void {
    this.#cluster.scheduler.after(this.#prng.between(1, 2 * this.#meanMs * 1000), () => {
      if (this.#active) this.#create();
    });
  }

  /** On some node that is up; the round ends when there is none. */
  #converse(
    commands: readonly (readonly string[])[],
    then: (answers: readonly Answer[]) => void,
  ): void {
    const node = this.#prng.pick(this.#cluster.nodes);
    if (!node.isUp) return this.#later();
    new Conversation(node, commands, (answers) => {
      if (!this.#active) return;
      // Not within the turn that answers: a node is not entered twice.
      this.#cluster.scheduler.after(1, () => this.#active && then(answers));
    });
  }

  #create(): void {
    this.#count += 1;
    const name = `x${this.#count}`;
    const value = `v${this.#count}`;
    const commands = [
      ["TREFOIL.KEYSPACE", "CREATE", name],
      ["SELECT", name],
      ["SET", "k", value],
      ["GET", "k"],
    ];
    this.#converse(commands, ([created, selected, set, get]) => {
      if (!isTold(created)) return this.#drop(name, null);
      checkThere(name, selected ?? null);
      const isWritten = isOk(selected) && isOk(set);
      if (isWritten) checkValue(name, get ?? null, value);
      if (this.#prng.chance(1, 4)) this.#drop(name, true);
      else this.#read(name, isWritten ? value : null);
    });
  }

  #read(name: string, value: string | null): void {
    this.#converse(
      [
        ["SELECT", name],
        ["GET", "k"],
      ],
      ([selected, get]) => {
        checkThere(name, selected ?? null);
        if (isOk(selected) && value !== null) checkValue(name, get ?? null, value);
        this.#drop(name, true);
      },
    );
  }

  /** `isThere` null: whether the keyspace was created is not known. */
  #drop(name: string, isThere: true | null): void {
    const commands = [
      ["SELECT", name],
      ["TREFOIL.KEYSPACE", "DROP", name, "IF", "EXISTS"],
      ["SELECT", name],
      ["GET", "k"],
    ];
    this.#converse(commands, ([before, dropped, after, get]) => {
      if (isThere) checkThere(name, before ?? null);
      // A creation of unknown outcome may come behind a drop that found nothing.
      const isCertain = isThere === true || foundOne(dropped);
      if (isTold(dropped) && isCertain) {
        // A node that says that it has not heard of the drop may still select what was.
        const isGone = dropped?.kind === "error" || !isOk(after);
        const isUsed = (isOk(before) || isOk(after)) && get !== null && get?.kind !== "error";
        if (!isGone || isUsed) {
          throw new ViolationError("keyspace-dropped", `${name} is used after its drop`);
        }
        return this.#useDropped(name, this.#prng.between(1, 3));
      }
      this.#later();
    });
  }

  /** A node may not have heard of the drop, and its client select what was: to no avail (CAT3). */
  #useDropped(name: string, times: number): void {
    if (times === 0) return this.#later();
    const commands = [
      ["SELECT", name],
      ["SET", "k", "late"],
      ["GET", "k"],
    ];
    this.#converse(commands, ([selected, set, get]) => {
      const isUsed = isOk(selected) && (isOk(set) || (get !== null && get?.kind !== "error"));
      if (isUsed)
        throw new ViolationError("keyspace-dropped", `${name} is used long after its drop`);
      this.#useDropped(name, times - 1);
    });
  }
}

/** Whether the catalog has said that it is done. */
function isTold(answer: Answer | undefined): boolean {
  if (answer === null || answer === undefined) return false;
  return answer.kind === "map" || (answer.kind === "error" && answer.outcome === "applied");
}

/** Whether DROP … IF EXISTS says that there was something to drop. */
function foundOne(answer: Answer | undefined): boolean {
  const last = answer?.kind === "map" ? answer.items.at(-1) : undefined;
  return last?.kind === "boolean" && last.value;
}

function isOk(answer: Answer | undefined): boolean {
  return answer?.kind === "simple";
}

function checkThere(name: string, selected: Answer): void {
  if (selected?.kind !== "error" || selected.code !== "NOKEYSPACE") return;
  throw new ViolationError(
    "keyspace-lost",
    `${name} was created, and is not there: ${selected.message}`,
  );
}

/** A linearizable read of what was acknowledged; an error says nothing. */
function checkValue(name: string, get: Answer, value: string): void {
  if (get === null || get.kind === "error") return;
  const found = get.kind === "bulk" ? decodeUtf8(get.bytes) : null;
  if (found === value) return;
  throw new ViolationError(
    "keyspace-lost",
    `${name} holds ${found}, and ${value} was acknowledged`,
  );
}
