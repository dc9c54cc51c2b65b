import { assert } from "../../core/base/assert.ts";
import { decodeUtf8, encodeUtf8 } from "../../core/base/bytes.ts";
import type { Prng } from "../../core/base/prng.ts";
import type { Outcome } from "../../core/contract/errors.ts";
import type { ConnectionId, RequestId } from "../../core/contract/ids.ts";
import { DEFAULT_KEYSPACE } from "../../core/contract/keyspace.ts";
import type { Reply } from "../../core/contract/reply.ts";
import type { NodeReply } from "../../core/node/vocabulary.ts";
import type { OperationOutcome } from "../check/history.ts";
import { COUNTER } from "../check/models.ts";
import type { Cluster } from "./cluster.ts";
import { ViolationError } from "./invariants.ts";
import type { ConnectionListener, SimNode } from "./sim-node.ts";
import { EXPECTED_ERRORS, keyspaceOf, modelOf, OUTCOMES, type Workload } from "./workload.ts";

/** Mean pause of one client between its transactions, ms. */
const THINK_MS = 60;

type Step = "reading" | "committing" | "over";

/**
 * One increment as clients do it that read first (LEAD9): WATCH and GET, then MULTI, SET and EXEC.
 * For the history it is an increment like any other; that nothing came between reading and setting
 * is what EXEC promises.
 */
class Increment implements ConnectionListener {
  readonly #cluster: Cluster;
  readonly #workload: Workload;
  readonly #node: SimNode;
  readonly #key: string;
  readonly #connection: ConnectionId;
  readonly #operation: number;
  readonly #done: () => void;
  readonly #answers: Reply[] = [];
  #step: Step = "reading";
  #value = 0;

  constructor(cluster: Cluster, workload: Workload, node: SimNode, key: string, done: () => void) {
    this.#cluster = cluster;
    this.#workload = workload;
    this.#node = node;
    this.#key = key;
    this.#done = done;
    const connection = node.connect(this);
    assert(connection !== null, "a node that is up takes connections");
    this.#connection = connection;
    const process = workload.process();
    const action = { kind: "increment" } as const;
    this.#operation = workload.history.invoke(process, key, action, "strong", cluster.now);
    this.#send([
      ["WATCH", key],
      ["GET", key],
    ]);
  }

  #send(commands: readonly (readonly string[])[]): void {
    for (const words of commands) this.#node.call(this.#connection, words.map(encodeUtf8));
  }

  onReply(_: RequestId, reply: NodeReply): void {
    if (reply.kind !== "resp" || this.#step === "over") return;
    this.#answers.push(reply.reply);
    const { length } = this.#answers;
    if (this.#step === "reading" && length === 2) this.#onRead(reply.reply);
    else if (length === 5) this.#onCommitted(reply.reply);
  }

  #onRead(reply: Reply): void {
    if (reply.kind === "error") return this.#onError(reply.code, "not-applied");
    const value = reply.kind === "bulk" ? Number(decodeUtf8(reply.bytes)) : 0;
    assert(Number.isSafeInteger(value), "a counter holds a number");
    this.#value = value + 1;
    this.#step = "committing";
    this.#send([["MULTI"], ["SET", this.#key, String(this.#value)], ["EXEC"]]);
  }

  #onCommitted(reply: Reply): void {
    if (reply.kind === "error") return this.#onError(reply.code, reply.outcome ?? "not-applied");
    if (reply.kind === "array") this.#end("ok", this.#value);
    else this.#end("fail");
  }

  #onError(code: string, outcome: Outcome): void {
    // EXEC says so where WATCH had failed.
    if (!EXPECTED_ERRORS.has(code) && code !== "EXECABORT") {
      throw new ViolationError("unexpected-error", `a transaction: ${code}`);
    }
    this.#end(OUTCOMES[outcome]);
  }

  #end(outcome: OperationOutcome, result?: number): void {
    this.#step = "over";
    const { history } = this.#workload;
    history.complete(this.#operation, outcome, result, this.#cluster.now);
    this.#cluster.timeline.note(
      this.#cluster.now,
      "transaction",
      outcome,
      `#${this.#operation} ${this.#key} ${result ?? ""}`,
    );
    this.#node.disconnect(this.#connection);
    this.#done();
  }

  onClosed(): void {
    if (this.#step === "over") return;
    const wasReading = this.#step === "reading";
    this.#step = "over";
    const { history } = this.#workload;
    if (wasReading) history.complete(this.#operation, "fail", undefined, this.#cluster.now);
    this.#done();
  }
}

/** Clients that increment counters by transactions, each one at a time. */
export class Transactors {
  readonly #cluster: Cluster;
  readonly #workload: Workload;
  readonly #prng: Prng;
  readonly #keys: readonly string[];
  #active = true;
  #open = 0;

  constructor(cluster: Cluster, workload: Workload, prng: Prng) {
    this.#cluster = cluster;
    this.#workload = workload;
    this.#prng = prng;
    this.#keys = workload.keys.filter((key) => {
      const isPlain = modelOf(key) === COUNTER && !key.includes("h");
      return isPlain && keyspaceOf(key) === DEFAULT_KEYSPACE.name;
    });
  }

  /** Transactions that are under way. */
  get openCalls(): number {
    return this.#open;
  }

  start(): void {
    if (this.#keys.length === 0) return;
    const { transactors } = this.#cluster.settings.options.workload;
    for (let i = 0; i < transactors; i += 1) this.#later();
  }

  stop(): void {
    this.#active = false;
  }

  #later(): void {
    this.#cluster.scheduler.after(this.#prng.between(1, 2000 * THINK_MS), () => {
      if (this.#active) this.#begin();
    });
  }

  #begin(): void {
    const node = this.#prng.pick(this.#cluster.nodes);
    if (!node.isUp) return this.#later();
    this.#open += 1;
    new Increment(this.#cluster, this.#workload, node, this.#prng.pick(this.#keys), () => {
      this.#open -= 1;
      this.#later();
    });
  }
}
