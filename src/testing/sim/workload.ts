import { assert } from "../../core/base/assert.ts";
import { decodeUtf8, encodeUtf8 } from "../../core/base/bytes.ts";
import type { Prng } from "../../core/base/prng.ts";
import type { ConnectionId, NodeId, RequestId } from "../../core/contract/ids.ts";
import { DEFAULT_KEYSPACE } from "../../core/contract/keyspace.ts";
import type { Reply } from "../../core/contract/reply.ts";
import type { NodeReply } from "../../core/node/vocabulary.ts";
import {
  type Action,
  type Asked,
  History,
  type Learned,
  NOTHING_LEARNED,
  type OperationOutcome,
  type OperationResult,
  type Promised,
} from "../check/history.ts";
import { COUNTER, LIST, type Model, REGISTER, TOKEN_END } from "../check/models.ts";
import type { Growth } from "../check/session-guarantees.ts";
import type { Cluster } from "./cluster.ts";
import { ViolationError } from "./invariants.ts";
import { type ConnectionListener, keyspaceNames, type SimNode } from "./sim-node.ts";
import type { WorkloadOptions } from "./swarm.ts";

/** What a key holds shows in its first letter. */
export function modelOf(key: string): Model {
  if (key.startsWith("c")) return COUNTER;
  return key.startsWith("l") ? LIST : REGISTER;
}

/** Between a key's name and its keyspace's: a key of that name is in no other keyspace. */
const IN = "@";

/** The keyspace that a key belongs to. */
export function keyspaceOf(key: string): string {
  const at = key.indexOf(IN);
  return at === -1 ? DEFAULT_KEYSPACE.name : key.slice(at + 1);
}

/** What the oracles of sessions and staleness may rely on: these keys only grow. */
export function growthOf(key: string): Growth {
  const model = modelOf(key);
  return model === LIST ? "list" : model === COUNTER ? "counter" : "other";
}

/** A session's token, and the operation whose answer carried it. */
export interface HandedToken {
  readonly text: string;
  readonly operation: number;
}

/** Whether the key holds its value in the field of a hash: its last letter says so. */
function isHashed(key: string): boolean {
  return /^[^@]*h(@|$)/.test(key);
}

/** The field that the hashes of the workload have. */
const FIELD = "f";

/** What a client learned of one operation. */
export interface Answer {
  readonly outcome: OperationOutcome;
  readonly result: OperationResult;
  /** The code of an error. */
  readonly error?: string;
  /** Of an answer with META. */
  readonly token?: HandedToken;
}

/** How an operation is asked for; null leaves the server's default. */
export interface Concern {
  readonly w: "leader" | "majority" | "all" | number | null;
  /** A number asks for `bounded`, in ms. */
  readonly r: "linearizable" | "session" | "local" | number | null;
  readonly prefer: "nearest" | "leader" | null;
  readonly token: HandedToken | null;
  /** Whether the answer is to say how it came about, and the session's token. */
  readonly meta: boolean;
  readonly timeoutMs: number | null;
}

/** What a call asks for that says nothing. */
export const DEFAULT_CONCERN: Concern = {
  w: null,
  r: null,
  prefer: null,
  token: null,
  meta: false,
  timeoutMs: null,
};

interface Open {
  readonly operation: number;
  readonly action: Action;
  readonly hasMeta: boolean;
  /** How many nodes are to hold the write durably when it is answered; 0 if that is not known. */
  readonly durable: number;
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
  /** The keyspace that the next command will find selected. */
  #keyspace = DEFAULT_KEYSPACE.name;
  /** What is not answered; a SELECT is no operation of the history. */
  #open: { readonly request: RequestId; readonly call: Open | null }[] = [];
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
    this.#select(keyspaceOf(key));
    const { nodes, now } = this.#cluster;
    const promised = promisedBy(action, concern, nodes.length);
    const asked = this.#asked(concern);
    const operation = this.#history.invoke(this.#process, key, action, promised, now, asked);
    const command = isHashed(key) ? hashCommandOf(key, action, operation) : commandOf(key, action);
    const words = [...optionsOf(action, concern), ...command];
    const request = this.#node.call(this.#connection, words.map(encodeUtf8));
    const durable =
      keyspaceOf(key) === DEFAULT_KEYSPACE.name ? durableBy(concern, nodes.length) : 0;
    this.#open.push({ request, call: { operation, action, hasMeta: concern.meta, durable, done } });
    const { timeline } = this.#cluster;
    if (timeline.recording) this.#line(operation, words.join(" "));
  }

  #select(keyspace: string): void {
    if (keyspace === this.#keyspace) return;
    this.#keyspace = keyspace;
    const request = this.#node.call(this.#connection, ["SELECT", keyspace].map(encodeUtf8));
    this.#open.push({ request, call: null });
  }

  /** A node's clock may be slow, and so see less time pass than there does. */
  #asked({ r, token }: Concern): Asked {
    const { driftPpmMax } = this.#cluster.settings.options.faults;
    const slowest = 1 - driftPpmMax / 1_000_000;
    return {
      inherits: token?.operation ?? null,
      staleMax: typeof r === "number" ? Math.ceil((1000 * r) / slowest) : null,
    };
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
    if (first.call === null) return this.#onSelected(reply.reply);
    const { operation, action, hasMeta, durable, done } = first.call;
    const { inner, place, token } = hasMeta ? takeMeta(reply.reply) : plainReply(reply.reply);
    const answer = understand(action, inner);
    const { outcome, result, error = null } = answer;
    this.#history.complete(operation, outcome, result, this.#cluster.now, { place, error });
    if (outcome === "ok" && error === null && action.kind !== "get" && place !== null) {
      this.#cluster.invariants.ofDefault.checkConcern(place, durable);
    }
    const shown = describeReply(inner);
    this.#cluster.timeline.note(
      this.#cluster.now,
      `p${this.#process}`,
      "answer",
      `#${operation} ${shown}`,
    );
    done(token === null ? answer : { ...answer, token: { text: token, operation } });
  }

  /** What was sent behind a SELECT that failed went to a keyspace where its key means nothing. */
  #onSelected(reply: Reply): void {
    if (reply.kind !== "error") return;
    if (!EXPECTED_ERRORS.has(reply.code) && reply.code !== "NOKEYSPACE") {
      throw new ViolationError("unexpected-error", `SELECT: ${describeReply(reply)}`);
    }
    this.close();
  }

  onClosed(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const open = this.#open;
    this.#open = [];
    for (const { call } of open) call?.done({ outcome: "info", result: undefined });
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
  if (action.kind === "get") {
    if (typeof concern.r === "number") return "bounded";
    return concern.r === "local" || concern.r === "session" ? concern.r : "strong";
  }
  if (concern.w === "leader") return "lossy";
  const majority = Math.floor(nodes / 2) + 1;
  return typeof concern.w === "number" && concern.w < majority ? "lossy" : "strong";
}

/** LEAD4: what the answer to a write that asks for more than a majority says. */
function durableBy({ w }: Concern, nodes: number): number {
  if (w === "all") return nodes;
  return typeof w === "number" && w > nodes / 2 ? w : 0;
}

function optionsOf(action: Action, concern: Concern): string[] {
  const { w, r, prefer, token, meta, timeoutMs } = concern;
  const words: string[] = [];
  if (w !== null && action.kind !== "get") words.push("W", String(w));
  if (typeof r === "number") words.push("R", "bounded", String(r));
  else if (r !== null && action.kind === "get") words.push("R", r);
  if (prefer !== null) words.push("PREFER", prefer);
  if (token !== null) words.push("TOKEN", token.text);
  if (meta) words.push("META");
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

/** The same on a hash of one field; which of two ways to delete it, the operation's number says. */
function hashCommandOf(key: string, action: Action, operation: number): string[] {
  switch (action.kind) {
    case "get":
      return ["HGET", key, FIELD];
    case "set":
      return ["HSET", key, FIELD, action.value];
    case "setIfAbsent":
      return ["HSETNX", key, FIELD, action.value];
    case "delete":
      return operation % 2 === 0 ? ["DEL", key] : ["HDEL", key, FIELD];
    case "increment":
      return ["HINCRBY", key, FIELD, "1"];
    case "swap":
    case "append":
      throw new Error(`${action.kind} is not for hashes`);
  }
}

/** Codes whose errors are worth their outcome; any other error is a finding. */
export const EXPECTED_ERRORS: ReadonlySet<string> = new Set([
  "NOLEADER",
  "TIMEOUT",
  "STALE",
  "SESSION_LOST",
  "CONCERN_UNMET",
  "BUSY",
  "REBUILDING",
  "SESSION_EXPIRED",
  "SHUTTING_DOWN",
]);

/** What an error's outcome means for a history. */
export const OUTCOMES = { "not-applied": "fail", unknown: "info", applied: "ok" } as const;

/** A reply, and what META said of it. */
interface Told {
  readonly inner: Reply;
  readonly place: Learned["place"];
  readonly token: string | null;
}

function plainReply(reply: Reply): Told {
  return { inner: reply, place: NOTHING_LEARNED.place, token: null };
}

/** Takes `[reply, meta]` apart; an option that was refused has no META. */
function takeMeta(reply: Reply): Told {
  if (reply.kind === "error") return plainReply(reply);
  const [inner, meta] = reply.kind === "array" ? reply.items : [];
  if (inner === undefined || meta?.kind !== "map") {
    throw new ViolationError("unexpected-reply", "META was asked for and is not there");
  }
  const fields = new Map<string, Reply>();
  for (let i = 0; i + 1 < meta.items.length; i += 2) {
    const name = meta.items[i]!;
    if (name.kind === "bulk") fields.set(decodeUtf8(name.bytes), meta.items[i + 1]!);
  }
  const number = (name: string): number => {
    const field = fields.get(name);
    return field?.kind === "integer" ? Number(field.value) : 0;
  };
  const token = fields.get("token");
  const index = number("index");
  return {
    inner,
    place: index === 0 ? null : { term: number("term"), index },
    token: token?.kind === "bulk" ? decodeUtf8(token.bytes) : null,
  };
}

function understand(action: Action, reply: Reply): Answer {
  switch (reply.kind) {
    case "simple":
      return { outcome: "ok", result: action.kind === "set" ? undefined : reply.text };
    case "integer": {
      // HSET says whether the field is new, which is no part of the model.
      const result = action.kind === "set" ? undefined : Number(reply.value);
      return { outcome: "ok", result };
    }
    case "bulk":
      return { outcome: "ok", result: decodeUtf8(reply.bytes) };
    case "null":
      return { outcome: "ok", result: null };
    case "error": {
      if (!EXPECTED_ERRORS.has(reply.code) || reply.outcome === null) {
        throw new ViolationError("unexpected-error", `${action.kind}: ${describeReply(reply)}`);
      }
      const outcome = OUTCOMES[reply.outcome];
      return { outcome, result: undefined, error: reply.code };
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
  /** Tokens that clients were told of late, for others to take over. */
  #handed: HandedToken[] = [];
  /** Clients that ask META of everything they do, so that all that their session sees is known. */
  readonly #watched: readonly boolean[];

  constructor(cluster: Cluster, prng: Prng) {
    this.#cluster = cluster;
    this.#prng = prng;
    this.#options = cluster.settings.options.workload;
    this.#clients = Array.from({ length: this.#options.clients }, () => null);
    this.#watched = this.#clients.map(() => prng.chance(this.#options.sessionPercent, 100));
    const { registers, counters, lists } = this.#options;
    const lettered = [...named("c", counters), ...named("r", registers)];
    // Every second counter and register is a hash's field.
    const fields = lettered.map((key) => (/[13579]$/.test(key) ? `${key}h` : key));
    const keys = [...fields, ...named("l", lists)].sort((a, b) => (a < b ? -1 : 1));
    const others = keyspaceNames(cluster.settings.options.keyspaces);
    this.keys = [...keys, ...others.flatMap((name) => keys.map((key) => key + IN + name))];
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

  /** A new process of the history. */
  process(): number {
    this.#processes += 1;
    return this.#processes;
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
      this.#callOne(client, this.#watched[slot]!);
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

  #callOne(client: Client, meta: boolean): void {
    const key = this.#prng.pick(this.keys);
    const { readPercent, concernPercent, timeoutMs } = this.#options;
    const isRead = this.#prng.chance(readPercent, 100);
    const action: Action = isRead ? { kind: "get" } : this.#drawWrite(key);
    const r = isRead ? this.#drawReadConcern() : null;
    const w =
      !isRead && this.#prng.chance(concernPercent, 100) ? this.#drawConcern(key, action) : null;
    const timeout = this.#prng.chance(1, 2) ? timeoutMs : null;
    const prefer = r !== null && this.#prng.chance(1, 10) ? "leader" : null;
    // A token may tell more than the answers did: whoever takes one is not watched any more.
    const token = r === "session" && !meta ? this.#drawToken() : null;
    client.call(key, action, { w, r, prefer, token, meta, timeoutMs: timeout }, (answer) => {
      if (answer.outcome === "ok") this.#acknowledged += 1;
      if (answer.token) this.#hand(answer.token);
    });
  }

  #drawReadConcern(): Concern["r"] {
    const { localPercent, sessionPercent, boundedPercent, boundMsMax } = this.#options;
    const dice = this.#prng.below(100);
    if (dice < localPercent) return "local";
    if (dice < localPercent + sessionPercent) return "session";
    const isBounded = dice < localPercent + sessionPercent + boundedPercent;
    return isBounded ? this.#prng.between(1, boundMsMax) : null;
  }

  /** A token from any connection, of this node or another; often the newest there is. */
  #drawToken(): HandedToken | null {
    const count = this.#handed.length;
    if (count === 0 || this.#prng.chance(1, 2)) return null;
    return this.#prng.chance(1, 2) ? this.#handed[count - 1]! : this.#prng.pick(this.#handed);
  }

  #hand(token: HandedToken): void {
    this.#handed.push(token);
    if (this.#handed.length > TOKENS_KEPT) this.#handed.shift();
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
        return { kind: isHashed(key) ? "set" : "swap", value };
      default:
        return { kind: "set", value };
    }
  }

  #drawConcern(key: string, action: Action): Concern["w"] {
    const nodes = this.#cluster.nodes.length;
    const majority = Math.floor(nodes / 2) + 1;
    // Below a majority only a write whose reply does not depend on the state is taken.
    const mayBeLow = action.kind === "set" && !isHashed(key);
    if (mayBeLow && this.#prng.chance(1, 2)) return this.#prng.pick(["leader", 1]);
    return this.#prng.pick(["majority", "all", majority, nodes]);
  }
}

const TOKENS_KEPT = 16;

function named(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i}`);
}
