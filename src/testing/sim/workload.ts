import { assert } from "../../core/base/assert.ts";
import { decodeUtf8, encodeUtf8 } from "../../core/base/bytes.ts";
import type { Prng } from "../../core/base/prng.ts";
import type { ConnectionId, NodeId, RequestId } from "../../core/contract/ids.ts";
import type { Reply } from "../../core/contract/reply.ts";
import type { NodeReply } from "../../core/node/vocabulary.ts";
import {
  type Action,
  History,
  type OperationOutcome,
  type OperationResult,
  type Promised,
} from "../check/history.ts";
import { COUNTER, LIST, type Model, REGISTER, TOKEN_END } from "../check/models.ts";
import type { Cluster } from "./cluster.ts";
import { ViolationError } from "./invariants.ts";
import type { ConnectionListener, SimNode } from "./sim-node.ts";
import type { WorkloadOptions } from "./swarm.ts";

/** What a key holds shows in its first letter. */
export function modelOf(key: string): Model {
  if (key.startsWith("c")) return COUNTER;
  return key.startsWith("l") ? LIST : REGISTER;
}

/** What a client learned of one operation. */
export interface Answer {
  readonly outcome: OperationOutcome;
  readonly result: OperationResult;
}

/** How an operation is asked for; null leaves the server's default. */
export interface Concern {
  readonly w: "leader" | "majority" | "all" | number | null;
  readonly r: "linearizable" | "local" | null;
  readonly timeoutMs: number | null;
}

/** What a call asks for that says nothing. */
export const DEFAULT_CONCERN: Concern = { w: null, r: null, timeoutMs: null };

interface Open {
  readonly operation: number;
  readonly action: Action;
  readonly done: (answer: Answer) => void;
}

/**
 * One client connection to one node: a process of the history, with a program order. Replies come
 * in the order of the calls (GEN2), or the run has failed.
 */
export class Client implements ConnectionListener {
  readonly #cluster: Cluster;
  readonly #history: History;
  readonly #node: SimNode;
  readonly #process: number;
  readonly #connection: ConnectionId;
  #open: { readonly request: RequestId; readonly call: Open }[] = [];
  #isOpen = true;

  /** Connects; null while the node is down. */
  static connect(
    cluster: Cluster,
    history: History,
    node: SimNode,
    process: number,
  ): Client | null {
    return node.isUp ? new Client(cluster, history, node, process) : null;
  }

  private constructor(cluster: Cluster, history: History, node: SimNode, process: number) {
    this.#cluster = cluster;
    this.#history = history;
    this.#node = node;
    this.#process = process;
    const connection = node.connect(this);
    assert(connection !== null, "a node that is up takes connections");
    this.#connection = connection;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get node(): NodeId {
    return this.#node.id;
  }

  /** Operations not yet answered. */
  get openCalls(): number {
    return this.#open.length;
  }

  call(
    key: string,
    action: Action,
    concern: Concern,
    done: (answer: Answer) => void = () => {},
  ): void {
    assert(this.#isOpen, "a call on a closed connection");
    const promised = promisedBy(action, concern, this.#cluster.nodes.length);
    const operation = this.#history.invoke(this.#process, key, action, promised, this.#cluster.now);
    const words = [...optionsOf(action, concern), ...commandOf(key, action)];
    const request = this.#node.call(this.#connection, words.map(encodeUtf8));
    this.#open.push({ request, call: { operation, action, done } });
    const { timeline } = this.#cluster;
    if (timeline.recording) this.#line(operation, words.join(" "));
  }

  /** Hangs up: what is open stays unknown. */
  close(): void {
    if (!this.#isOpen) return;
    this.#node.disconnect(this.#connection);
    this.onClosed();
  }

  onReply(request: RequestId, reply: NodeReply): void {
    if (!this.#isOpen || reply.kind !== "resp") return;
    const first = this.#open.shift();
    if (first === undefined || first.request !== request) {
      const text = `${this.#node.id} answers request ${request} before ${first?.request ?? "any"}`;
      throw new ViolationError("program-order", text);
    }
    const { operation, action, done } = first.call;
    const answer = understand(action, reply.reply);
    this.#history.complete(operation, answer.outcome, answer.result, this.#cluster.now);
    const shown = describeReply(reply.reply);
    this.#cluster.timeline.note(
      this.#cluster.now,
      `p${this.#process}`,
      "answer",
      `#${operation} ${shown}`,
    );
    done(answer);
  }

  onClosed(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const open = this.#open;
    this.#open = [];
    for (const { call } of open) call.done({ outcome: "info", result: undefined });
  }

  #line(operation: number, text: string): void {
    const who = `p${this.#process}`;
    this.#cluster.timeline.line(
      this.#cluster.now,
      who,
      "call",
      `#${operation} ${this.#node.id}: ${text}`,
    );
  }
}

/** LEAD4, LEAD5: what such an operation is owed. */
function promisedBy(action: Action, concern: Concern, nodes: number): Promised {
  if (action.kind === "get") return concern.r === "local" ? "local" : "strong";
  if (concern.w === "leader") return "lossy";
  const majority = Math.floor(nodes / 2) + 1;
  return typeof concern.w === "number" && concern.w < majority ? "lossy" : "strong";
}

function optionsOf(action: Action, { w, r, timeoutMs }: Concern): string[] {
  const words: string[] = [];
  if (w !== null && action.kind !== "get") words.push("W", String(w));
  if (r !== null && action.kind === "get") words.push("R", r);
  if (timeoutMs !== null) words.push("TIMEOUT", String(timeoutMs));
  return words.length === 0 ? [] : ["TREFOIL.WITH", ...words, "--"];
}

function commandOf(key: string, action: Action): string[] {
  switch (action.kind) {
    case "get":
      return ["GET", key];
    case "set":
      return ["SET", key, action.value];
    case "setIfAbsent":
      return ["SETNX", key, action.value];
    case "swap":
      return ["GETSET", key, action.value];
    case "delete":
      return ["DEL", key];
    case "increment":
      return ["INCR", key];
    case "append":
      return ["APPEND", key, action.token];
  }
}

/** Codes whose errors are worth their outcome; any other error is a finding. */
const EXPECTED = new Set([
  "NOLEADER",
  "TIMEOUT",
  "CONCERN_UNMET",
  "BUSY",
  "SESSION_EXPIRED",
  "SHUTTING_DOWN",
]);

function understand(action: Action, reply: Reply): Answer {
  switch (reply.kind) {
    case "simple":
      return { outcome: "ok", result: action.kind === "set" ? undefined : reply.text };
    case "integer":
      return { outcome: "ok", result: Number(reply.value) };
    case "bulk":
      return { outcome: "ok", result: decodeUtf8(reply.bytes) };
    case "null":
      return { outcome: "ok", result: null };
    case "error": {
      if (!EXPECTED.has(reply.code) || reply.outcome === null) {
        throw new ViolationError("unexpected-error", `${action.kind}: ${describeReply(reply)}`);
      }
      if (reply.outcome === "not-applied") return { outcome: "fail", result: undefined };
      return { outcome: reply.outcome === "unknown" ? "info" : "ok", result: undefined };
    }
    default:
      throw new ViolationError("unexpected-reply", `${action.kind}: a ${reply.kind}`);
  }
}

function describeReply(reply: Reply): string {
  switch (reply.kind) {
    case "simple":
      return reply.text;
    case "integer":
      return String(reply.value);
    case "bulk":
      return JSON.stringify(decodeUtf8(reply.bytes));
    case "error":
      return `-${reply.code} ${reply.outcome ?? ""} (${reply.message})`;
    default:
      return reply.kind;
  }
}

/** Clients that come and go, each with a burst of pipelined commands now and then. */
export class Workload {
  readonly history = new History();
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly #options: WorkloadOptions;
  readonly #clients: (Client | null)[];
  /** Every key, by name. */
  readonly keys: readonly string[];
  #processes = 0;
  #tokens = 0;
  #active = true;
  #acknowledged = 0;

  constructor(cluster: Cluster, prng: Prng) {
    this.#cluster = cluster;
    this.#prng = prng;
    this.#options = cluster.settings.options.workload;
    this.#clients = Array.from({ length: this.#options.clients }, () => null);
    const { registers, counters, lists } = this.#options;
    this.keys = [...named("c", counters), ...named("l", lists), ...named("r", registers)];
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Operations whose answer somebody still waits for. */
  get openCalls(): number {
    return this.#clients.reduce((sum, client) => sum + (client?.openCalls ?? 0), 0);
  }

  start(): void {
    this.#clients.forEach((_, slot) => {
      this.#later(slot);
    });
  }

  stop(): void {
    this.#active = false;
  }

  /** Closes what is open: everything unanswered stays unknown. */
  close(): void {
    this.stop();
    for (const client of this.#clients) client?.close();
  }

  /** A connection of its own to a node, outside the clients' rounds; null while it is down. */
  connect(node: SimNode): Client | null {
    this.#processes += 1;
    return Client.connect(this.#cluster, this.history, node, this.#processes);
  }

  /** A token that was never used before in this run. */
  token(): string {
    this.#tokens += 1;
    return `t${this.#tokens}${TOKEN_END}`;
  }

  #later(slot: number): void {
    const delay = this.#prng.between(1, 2 * this.#options.thinkMs * 1000);
    this.#cluster.scheduler.after(delay, () => {
      if (!this.#active) return;
      this.#burst(slot);
      this.#later(slot);
    });
  }

  #burst(slot: number): void {
    const client = this.#clientAt(slot);
    if (client === null) return;
    // A client that is not answered for long hangs up now and then, and tries elsewhere.
    if (client.openCalls > 2 * this.#options.burstMax) {
      if (this.#prng.chance(1, 4)) client.close();
      return;
    }
    for (let left = this.#prng.between(1, this.#options.burstMax); left > 0; left -= 1) {
      this.#callOne(client);
    }
    if (this.#prng.chance(1, 100)) client.close();
  }

  #clientAt(slot: number): Client | null {
    const client = this.#clients[slot] ?? null;
    if (client?.isOpen) return client;
    const fresh = this.connect(this.#prng.pick(this.#cluster.nodes));
    this.#clients[slot] = fresh;
    return fresh;
  }

  #callOne(client: Client): void {
    const key = this.#prng.pick(this.keys);
    const { readPercent, localPercent, concernPercent, timeoutMs } = this.#options;
    const isRead = this.#prng.chance(readPercent, 100);
    const action: Action = isRead ? { kind: "get" } : this.#drawWrite(key);
    const r = isRead && this.#prng.chance(localPercent, 100) ? "local" : null;
    const w = !isRead && this.#prng.chance(concernPercent, 100) ? this.#drawConcern(action) : null;
    const timeout = this.#prng.chance(1, 2) ? timeoutMs : null;
    client.call(key, action, { w, r, timeoutMs: timeout }, (answer) => {
      if (answer.outcome === "ok") this.#acknowledged += 1;
    });
  }

  #drawWrite(key: string): Action {
    if (modelOf(key) === COUNTER) return { kind: "increment" };
    if (modelOf(key) === LIST) return { kind: "append", token: this.token() };
    const value = this.token();
    switch (this.#prng.below(8)) {
      case 0:
        return { kind: "delete" };
      case 1:
        return { kind: "setIfAbsent", value };
      case 2:
      case 3:
        return { kind: "swap", value };
      default:
        return { kind: "set", value };
    }
  }

  #drawConcern(action: Action): Concern["w"] {
    const nodes = this.#cluster.nodes.length;
    const majority = Math.floor(nodes / 2) + 1;
    // Below a majority only a write whose reply does not depend on the state is taken.
    if (action.kind === "set" && this.#prng.chance(1, 2)) return this.#prng.pick(["leader", 1]);
    return this.#prng.pick(["majority", "all", majority, nodes]);
  }
}

function named(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i}`);
}
