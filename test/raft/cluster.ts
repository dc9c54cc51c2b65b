import type { MutantId } from "../../src/core/base/mutants.ts";
import type {
  GroupCall,
  GroupReply,
  LogPlace,
  ReadConcern,
  ReadPreference,
  ReplyMeta,
  WriteConcern,
} from "../../src/core/contract/group.ts";
import type { NodeId } from "../../src/core/contract/ids.ts";
import type { TraceEvent } from "../../src/core/contract/trace.ts";
import type { SingleLeaderMessage } from "../../src/core/replication/single-leader/messages.ts";
import type { RaftLimits } from "../../src/core/replication/single-leader/raft.ts";
import { decodeMessages, encodeMessages } from "../../src/core/wire/peer-codec.ts";
import { Oracles } from "./oracles.ts";
import { GROUP, payload, TestNode, TIMING } from "./test-node.ts";

/** A message under way, as the bytes that the codec made of it. */
export interface Packet {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly message: SingleLeaderMessage;
}

export interface Answer {
  readonly text: string;
  readonly meta: ReplyMeta;
}

export interface ClusterSettings {
  readonly nodes?: number;
  readonly limits?: Partial<RaftLimits>;
  readonly mutant?: MutantId | null;
}

export interface CallSettings {
  readonly connection?: number;
  readonly deadlineMs?: number;
}

export interface ReadSettings extends CallSettings {
  readonly concern?: ReadConcern;
  /** What the session of a `session` read has seen. */
  readonly place?: LogPlace | null;
  readonly prefer?: ReadPreference;
}

const ROUNDS_MAX = 2000;

function readCall(
  call: Pick<Extract<GroupCall, { kind: "read" }>, "connection" | "payload" | "deadline">,
  concern: ReadConcern,
  place: LogPlace | null,
  prefer: ReadPreference,
): GroupCall {
  if (concern === "linearizable" || concern === "local") return { ...call, kind: "read", concern };
  const condition =
    concern === "session"
      ? ({ kind: "session", places: place === null ? [] : [place] } as const)
      : ({ kind: "bounded", staleMsMax: concern } as const);
  return { ...call, kind: "replicaRead", condition, prefer };
}

/**
 * Replicas of one group, a wire that holds every message until the test delivers or drops it, and
 * oracles that watch every turn. Nothing happens by itself, so a test is a story told step by step.
 */
export class Cluster {
  readonly nodes: TestNode[];
  readonly oracles: Oracles = new Oracles();
  /** Messages under way, oldest first. */
  readonly wire: Packet[] = [];
  readonly events: TraceEvent[] = [];
  readonly answers = new Map<number, Answer>();
  readonly #cut = new Set<string>();
  readonly #slowDisks = new Set<NodeId>();
  #tickets = 0;

  constructor({ nodes = 3, limits = {}, mutant = null }: ClusterSettings = {}) {
    const voters = Array.from({ length: nodes }, (_, i) => `n${i + 1}`);
    const ports = {
      send: (from: NodeId, to: NodeId, message: SingleLeaderMessage) =>
        this.#send(from, to, message),
      reply: (node: NodeId, ticket: number, reply: GroupReply) =>
        this.#onReply(node, ticket, reply),
      trace: (event: TraceEvent) => {
        this.events.push(event);
        this.oracles.onTrace(event);
      },
    };
    this.nodes = voters.map((name) => new TestNode({ name, voters, limits, mutant }, ports));
  }

  node(name: NodeId): TestNode {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  /** The one node that leads the highest term. */
  get leader(): TestNode | null {
    let best: TestNode | null = null;
    for (const node of this.nodes) {
      if (!node.isUp || !node.replica.isLeader) continue;
      if (best === null || node.replica.status(0).term > best.replica.status(0).term) best = node;
    }
    return best;
  }

  // Calls.

  write(
    name: NodeId,
    text: string,
    { concern = "majority", ...settings }: CallSettings & { concern?: WriteConcern } = {},
  ): number {
    const { connection = 1, deadlineMs = 2000 } = settings;
    const node = this.node(name);
    this.#tickets += 1;
    const deadline = node.now + deadlineMs;
    const call = { kind: "write", connection, payload: payload(text), concern, deadline } as const;
    node.call(this.#tickets, call);
    this.oracles.check(node);
    return this.#tickets;
  }

  read(
    name: NodeId,
    text: string,
    { concern = "linearizable", ...settings }: ReadSettings = {},
  ): number {
    const { connection = 1, deadlineMs = 2000, place = null, prefer = "nearest" } = settings;
    const node = this.node(name);
    this.#tickets += 1;
    const call = { connection, payload: payload(text), deadline: node.now + deadlineMs };
    node.call(this.#tickets, readCall(call, concern, place, prefer));
    return this.#tickets;
  }

  wait(name: NodeId, replicas: number, settings: CallSettings = {}): number {
    const { connection = 1, deadlineMs = 2000 } = settings;
    const node = this.node(name);
    this.#tickets += 1;
    const call = { kind: "wait", connection, replicas, deadline: node.now + deadlineMs } as const;
    node.call(this.#tickets, call);
    return this.#tickets;
  }

  /** Asks the node for another leader: the one named, or any. */
  transfer(name: NodeId, to: NodeId | null, deadlineMs = 2000): number {
    const node = this.node(name);
    this.#tickets += 1;
    node.call(this.#tickets, {
      kind: "transfer",
      connection: 1,
      to,
      deadline: node.now + deadlineMs,
    });
    return this.#tickets;
  }

  /** The answer's text, or null while there is none. */
  answer(ticket: number): string | null {
    return this.answers.get(ticket)?.text ?? null;
  }

  // Network.

  /** Delivers the messages that match and were under way at the call. Says how many. */
  deliver(match: (packet: Packet) => boolean = () => true): number {
    const packets = this.take(match);
    for (const packet of packets) this.deliverOne(packet);
    return packets.length;
  }

  /**
   * Takes the messages that match off the wire: to drop them, or to deliver them later, or twice.
   */
  take(match: (packet: Packet) => boolean = () => true): Packet[] {
    const taken = this.wire.filter(match);
    const left = this.wire.filter((packet) => !match(packet));
    this.wire.splice(0, this.wire.length, ...left);
    return taken;
  }

  deliverOne({ from, to, message }: Packet): void {
    const node = this.node(to);
    if (!node.isUp || this.#cut.has(`${from} ${to}`)) return;
    node.turn({ kind: "message", from, message });
    this.oracles.check(node);
  }

  /** Nothing passes from one to the other any more; `both` ways by default. */
  cut(from: NodeId, to: NodeId, both = true): void {
    this.#cut.add(`${from} ${to}`);
    if (both) this.#cut.add(`${to} ${from}`);
  }

  /** Cuts a node off from all others. */
  isolate(name: NodeId): void {
    for (const { name: other } of this.nodes) if (other !== name) this.cut(name, other);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** The hint that a connection came or went. */
  link(name: NodeId, peer: NodeId, up: boolean): void {
    this.node(name).turn({ kind: "link", peer, up });
    this.oracles.check(this.node(name));
  }

  // Disks and processes.

  /** The disk takes writes and never finishes them, until `freeDisk`. */
  holdDisk(name: NodeId): void {
    this.#slowDisks.add(name);
  }

  freeDisk(name: NodeId): void {
    this.#slowDisks.delete(name);
  }

  sync(name: NodeId): boolean {
    const node = this.node(name);
    const did = node.sync();
    if (did) this.oracles.check(node);
    return did;
  }

  crash(name: NodeId): void {
    this.node(name).crash();
  }

  restart(name: NodeId): void {
    if (this.node(name).isUp) this.crash(name);
    this.node(name).start();
  }

  checkpoint(name: NodeId): void {
    while (this.sync(name));
    this.node(name).checkpoint();
  }

  // Time.

  /** Lets time pass on all nodes alike, waking each at its deadlines, then delivers and syncs. */
  advance(ms: number, stepMs = 10): void {
    for (let left = ms; left > 0; left -= stepMs) {
      for (const node of this.nodes) {
        node.now += Math.min(stepMs, left);
        if (!node.isUp || !node.isDue) continue;
        node.wake();
        this.oracles.check(node);
      }
      this.stabilize();
    }
  }

  /** Time passes on this node only, until it asks for an election. */
  expireElection(name: NodeId): void {
    const node = this.node(name);
    const { raft } = node.replica.inspect();
    node.now = Math.max(node.now, raft.electionDeadline);
    node.wake();
    this.oracles.check(node);
  }

  /** Delivers and syncs until nothing moves; no time passes. */
  stabilize(): void {
    for (let rounds = 0; rounds < ROUNDS_MAX; rounds += 1) {
      let moved = this.deliver() > 0;
      for (const node of this.nodes) {
        if (!node.isUp || this.#slowDisks.has(node.name)) continue;
        if (this.sync(node.name)) moved = true;
        if (node.isCheckpointDue) {
          node.checkpoint();
          moved = true;
        }
      }
      if (!moved) return;
    }
    throw new Error("the cluster does not come to rest");
  }

  /** Makes this node the leader, by an election that the others agree to. */
  elect(name: NodeId): void {
    for (const node of this.nodes) {
      if (node.name === name || !node.isUp) continue;
      // As long without a leader as it takes to agree, and not so long as to stand itself.
      const { leaderHeardAt } = node.replica.inspect().raft;
      node.now = Math.max(node.now, leaderHeardAt + TIMING.electionTimeoutMs);
    }
    this.expireElection(name);
    this.stabilize();
    if (!this.node(name).replica.isLeader) throw new Error(`${name} was not elected`);
  }

  /**
   * Wins an election by these votes only. What the new leader sends stays on the wire, as does what
   * everybody else was sent.
   */
  campaign(name: NodeId, voters: readonly NodeId[]): void {
    for (const voter of voters) {
      const { raft } = this.node(voter).replica.inspect();
      const node = this.node(voter);
      node.now = Math.max(node.now, raft.leaderHeardAt + TIMING.electionTimeoutMs);
    }
    // A candidate that is behind in terms learns so from the first refusal, and asks again.
    for (let tries = 0; tries < 2 && !this.node(name).replica.isLeader; tries += 1) {
      this.expireElection(name);
      for (let rounds = 0; rounds < 2; rounds += 1) {
        this.sync(name);
        for (const voter of voters) {
          this.deliver(packets("requestVote", name, voter));
          this.sync(voter);
          this.deliver(packets("vote", voter, name));
        }
      }
    }
    if (!this.node(name).replica.isLeader) throw new Error(`${name} was not elected`);
  }

  #send(from: NodeId, to: NodeId, message: SingleLeaderMessage): void {
    const bytes = encodeMessages([{ group: GROUP, message }]);
    for (const decoded of decodeMessages(bytes))
      this.wire.push({ from, to, message: decoded.message });
  }

  #onReply(node: NodeId, ticket: number, { reply, meta }: GroupReply): void {
    if (this.answers.has(ticket)) throw new Error(`${node} answered call ${ticket} twice`);
    this.answers.set(ticket, { text: describeReply(reply), meta });
  }
}

/** A reply as one line: errors as code and outcome. */
export function describeReply(reply: GroupReply["reply"]): string {
  switch (reply.kind) {
    case "simple":
      return reply.text;
    case "error":
      return `${reply.code} ${reply.outcome ?? ""}`.trim();
    case "integer":
      return String(reply.value);
    case "bulk":
      return JSON.stringify(String.fromCharCode(...reply.bytes));
    case "null":
      return "nil";
    default:
      throw new Error(`the toy machine gives no ${reply.kind}`);
  }
}

/** Selects messages by kind, sender and receiver. */
export function packets(
  kind: SingleLeaderMessage["kind"] | null,
  from: NodeId | null = null,
  to: NodeId | null = null,
): (packet: Packet) => boolean {
  return (packet) =>
    (kind === null || packet.message.kind === kind) &&
    (from === null || packet.from === from) &&
    (to === null || packet.to === to);
}
