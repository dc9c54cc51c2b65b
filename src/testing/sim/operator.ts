import { encodeUtf8 } from "../../core/base/bytes.ts";
import type { Prng } from "../../core/base/prng.ts";
import type { ConnectionId, NodeId, RequestId } from "../../core/contract/ids.ts";
import type { Reply } from "../../core/contract/reply.ts";
import type { NodeReply } from "../../core/node/vocabulary.ts";
import type { Cluster, ClusterListener } from "./cluster.ts";
import { ViolationError } from "./invariants.ts";
import type { ConnectionListener, SimNode } from "./sim-node.ts";

/** What may be answered to a transfer besides OK, and the outcomes that it may have. */
const REFUSALS: Readonly<Record<string, readonly string[]>> = {
  TRANSFER_REFUSED: ["not-applied", "unknown"],
  TIMEOUT: ["unknown"],
  NOLEADER: ["not-applied"],
  BUSY: ["not-applied"],
};

/**
 * Asks nodes to hand leadership over, at times and to targets that nothing in the cluster speaks
 * for, and judges the answers: OK means that the node asked for led at some time since.
 */
export class Operator implements ClusterListener {
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly #open = new Set<Transfer>();
  #done = 0;

  constructor(cluster: Cluster, prng: Prng) {
    this.#cluster = cluster;
    this.#prng = prng;
    cluster.listeners.push(this);
  }

  /** Transfers not yet answered. */
  get openCalls(): number {
    return this.#open.size;
  }

  /** Transfers that were answered by OK. */
  get done(): number {
    return this.#done;
  }

  /** One wish, told to any node that is up: half of them name who is to lead. */
  transfer(): void {
    const node = this.#prng.pick(this.#cluster.nodes);
    const to = this.#prng.chance(1, 2) ? this.#prng.pick(this.#cluster.nodes).id : null;
    if (!node.isUp) return;
    const { electionTimeoutMs } = this.#cluster.settings.options;
    const timeoutMs = electionTimeoutMs * this.#prng.pick([1, 4, 10]);
    const transfer = new Transfer(this.#cluster, node, to, (isOk) => {
      this.#open.delete(transfer);
      if (isOk) this.#done += 1;
    });
    this.#open.add(transfer);
    transfer.send(timeoutMs);
  }

  onTurn(node: SimNode): void {
    if (!node.isLeader) return;
    for (const transfer of this.#open) transfer.led.add(node.id);
  }
}

class Transfer implements ConnectionListener {
  readonly #cluster: Cluster;
  readonly #node: SimNode;
  readonly #to: NodeId | null;
  readonly #onEnd: (isOk: boolean) => void;
  #connection: ConnectionId | null = null;
  #isOver = false;
  /** Who led at some time since it was asked for. */
  readonly led = new Set<NodeId>();

  constructor(cluster: Cluster, node: SimNode, to: NodeId | null, onEnd: (isOk: boolean) => void) {
    this.#cluster = cluster;
    this.#node = node;
    this.#to = to;
    this.#onEnd = onEnd;
    this.#look();
  }

  #look(): void {
    for (const { id, isLeader } of this.#cluster.nodes) if (isLeader) this.led.add(id);
  }

  send(timeoutMs: number): void {
    const target = this.#to === null ? [] : ["TO", this.#to];
    const options = ["TREFOIL.WITH", "TIMEOUT", String(timeoutMs), "--"];
    const words = [...options, "TREFOIL.MEMBER", "TRANSFER", ...target];
    this.#connection = this.#node.connect(this);
    if (this.#connection === null) return this.onClosed();
    this.#note("transfer-asked", `${this.#node.id} to=${this.#to ?? "any"}`);
    this.#node.call(this.#connection, words.map(encodeUtf8));
  }

  onReply(_request: RequestId, reply: NodeReply): void {
    if (this.#isOver || reply.kind !== "resp") return;
    const isOk = reply.reply.kind === "simple";
    this.#judge(reply.reply);
    this.onClosed(isOk);
    if (this.#connection !== null) this.#node.disconnect(this.#connection);
  }

  onClosed(isOk = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd(isOk);
  }

  #judge(reply: Reply): void {
    const asked = `the transfer to ${this.#to ?? "anybody"} that ${this.#node.id} was asked for`;
    if (reply.kind === "error") {
      this.#note("transfer-refused", `${reply.code} ${reply.outcome}`);
      if (REFUSALS[reply.code]?.includes(reply.outcome ?? "") === true) return;
      const text = `${asked}: ${reply.code} ${reply.message} ${reply.outcome}`;
      throw new ViolationError("unexpected-error", text);
    }
    this.#note("transfer-done", this.#to ?? "any");
    // The turn that answers may be the one that made a leader.
    this.#look();
    const isTrue = this.#to === null ? this.led.size > 0 : this.led.has(this.#to);
    if (isTrue) return;
    const led = [...this.led].join(", ");
    throw new ViolationError("transfer", `${asked} was answered by OK; led has ${led || "nobody"}`);
  }

  #note(mark: string, detail: string): void {
    this.#cluster.timeline.note(this.#cluster.now, "operator", mark, detail);
  }
}
