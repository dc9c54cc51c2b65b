import { assert, defined } from "../base/assert.ts";
import { Prng } from "../base/prng.ts";
import { commandMachine } from "../commands/command-machine.ts";
import type { GroupReply } from "../contract/group.ts";
import {
  type BatchNumber,
  type GroupId,
  groupId,
  type Instant,
  type NodeId,
  type RequestId,
  type WallClock,
} from "../contract/ids.ts";
import type { Emitter } from "../contract/outbox.ts";
import type { Input, Protocol } from "../contract/protocol.ts";
import type { LogRecord, RecoveredRecord } from "../contract/record.ts";
import type { StateStore } from "../contract/state-store.ts";
import type { Memtable } from "../log/memtable.ts";
import type { SingleLeaderMessage } from "../replication/single-leader/messages.ts";
import type { SingleLeaderVocabulary } from "../replication/single-leader/raft.ts";
import { Replica } from "../replication/single-leader/replica.ts";
import type { KeyspaceDefinition, NodeOptions } from "./boot.ts";
import { Router } from "./router.ts";
import type { NodeCommand, NodeStatus, NodeVocabulary } from "./vocabulary.ts";

/** Storage that a node's groups share. */
export interface NodeParts {
  readonly memtable: Memtable;
  readonly store: StateStore;
  readonly requestCheckpoint: () => void;
}

/** A keyspace's replica on this node. One partition each, for now (GEN4). */
export interface Group {
  readonly id: GroupId;
  readonly keyspace: KeyspaceDefinition;
  readonly replica: Replica;
  readonly out: GroupOut;
}

/** How long a node that is being stopped tries to hand leadership over and finish its calls, ms. */
const DRAIN_MS_MAX = 3_000;

interface Drain {
  readonly request: RequestId;
  readonly until: Instant;
}

/**
 * A whole node as one protocol: every keyspace's replica, and the router that brings clients'
 * commands to them. A composition of deterministic machines is one: the host and the simulator
 * drive the same.
 */
export class Node implements Protocol<NodeVocabulary> {
  readonly #options: NodeOptions;
  readonly #groups: Group[] = [];
  readonly #byId = new Map<GroupId, Group>();
  readonly #router: Router;
  #drain: Drain | null = null;
  #now: Instant;

  constructor(options: NodeOptions, parts: NodeParts, now: Instant) {
    this.#options = options;
    this.#now = now;
    const entropy = new Prng(options.seed);
    const voters = options.members.map((member) => member.node).sort(byName);
    for (const keyspace of options.keyspaces) {
      this.#addGroup(keyspace, voters, entropy, parts, now);
    }
    this.#router = new Router(options, this.#groups, entropy.split(0), now);
  }

  #addGroup(
    keyspace: KeyspaceDefinition,
    voters: readonly NodeId[],
    entropy: Prng,
    parts: NodeParts,
    now: Instant,
  ): void {
    const id = groupId(keyspace.number, 0);
    assert(!this.#byId.has(id), "two keyspaces of one number", keyspace.number);
    const { node, timing, raftLimits: limits, trace, traced } = this.#options;
    const mutant = this.#options.mutant ?? null;
    const prng = entropy.split(keyspace.number + 1);
    const raft = { group: id, node, voters, timing, limits, prng, trace, traced, mutant };
    const { memtable, store, requestCheckpoint } = parts;
    const boot = this.#options.bootId;
    const machine = commandMachine;
    const replica = new Replica(raft, { memtable, store, machine, requestCheckpoint, boot }, now);
    const out = new GroupOut(id, (ticket, reply, emitter) => {
      this.#router.onGroupReply(ticket, reply, this.#now, emitter);
    });
    const group = { id, keyspace, replica, out };
    this.#groups.push(group);
    this.#byId.set(id, group);
  }

  /** Records of the node's log behind the checkpoint, in order. Throws `FormatError`. */
  replay(records: readonly RecoveredRecord[], now: Instant): void {
    // Records of a keyspace that is not configured any more are kept by nobody.
    for (const record of records) this.#byId.get(record.group)?.replica.replay(record);
    for (const group of this.#groups) group.replica.restored(now);
  }

  step(input: Input<NodeVocabulary>, now: Instant, out: Emitter<NodeVocabulary>): void {
    this.#now = now;
    switch (input.kind) {
      case "message": {
        const group = this.#byId.get(input.message.group);
        if (group === undefined) return;
        const { message } = input.message;
        return group.replica.step(
          { kind: "message", from: input.from, message },
          now,
          group.out.on(out),
        );
      }
      case "request":
        return this.#onRequest(input.id, input.command, now, out);
      case "cancel":
        return this.#router.cancel(input.id, now, out);
      case "written":
      case "link":
      case "wake":
        for (const group of this.#groups) group.replica.step(input, now, group.out.on(out));
    }
  }

  #onRequest(
    id: RequestId,
    command: NodeCommand,
    now: Instant,
    out: Emitter<NodeVocabulary>,
  ): void {
    switch (command.kind) {
      case "open":
        return this.#router.open(command.connection, command.peer, now);
      case "close":
        return this.#router.close(command.connection, now, out);
      case "call":
        return this.#router.call(id, command.connection, command.args, now, out);
      case "clock":
        return this.#setClock(command.wallMs, now);
      case "stalled":
        return this.#onStall(command.lateMs, now);
      case "drain":
        return this.#startDrain(id, now);
      case "status":
        return out.reply(id, { kind: "status", status: this.status(now) });
    }
  }

  #setClock(wallMs: WallClock, now: Instant): void {
    this.#router.setClock(wallMs, now);
    for (const group of this.#groups) group.replica.setWallClock(wallMs);
  }

  /** A loop that is late by a quarter of an election timeout should not lead. */
  #onStall(lateMs: number, now: Instant): void {
    if (lateMs < this.#options.timing.electionTimeoutMs / 4) return;
    for (const group of this.#groups) {
      if (group.replica.transferLeadership(now)) {
        this.#options.trace({
          node: this.#options.node,
          group: group.id,
          mark: "stalled",
          detail: `ms=${Math.round(lateMs)}`,
        });
      }
    }
  }

  #startDrain(request: RequestId, now: Instant): void {
    this.#router.draining = true;
    this.#drain ??= { request, until: now + DRAIN_MS_MAX };
  }

  settle(now: Instant, out: Emitter<NodeVocabulary>): void {
    this.#now = now;
    for (const group of this.#groups) group.replica.settle(now, group.out.on(out));
    this.#router.settle(now, out);
    if (this.#drain !== null) this.#settleDrain(this.#drain, now, out);
  }

  #settleDrain(drain: Drain, now: Instant, out: Emitter<NodeVocabulary>): void {
    let busy = false;
    for (const { replica } of this.#groups) {
      if (this.#options.members.length > 1 && replica.isLeader) {
        replica.transferLeadership(now);
        busy = true;
      }
      if (replica.openCalls > 0) busy = true;
    }
    if (busy && now < drain.until) return;
    this.#drain = null;
    if (drain.request !== 0) out.reply(drain.request, { kind: "drained" });
  }

  deadline(): Instant | null {
    let deadline = this.#drain?.until ?? Number.POSITIVE_INFINITY;
    for (const { replica } of this.#groups) {
      deadline = Math.min(deadline, replica.deadline() ?? Number.POSITIVE_INFINITY);
    }
    if (this.#router.mustTurn) deadline = this.#now;
    return deadline === Number.POSITIVE_INFINITY ? null : deadline;
  }

  /** A checkpoint begins: every group puts into the memtable what is not there yet (STO5). */
  beforeFreeze(): void {
    for (const { replica } of this.#groups) replica.beforeFreeze();
  }

  /** The checkpoint that began with the last `beforeFreeze` is durable. */
  afterCheckpoint(): void {
    for (const { replica } of this.#groups) replica.afterCheckpoint();
  }

  status(now: Instant): NodeStatus {
    const { node, incarnation, cluster, members } = this.#options;
    return {
      node,
      incarnation,
      cluster,
      draining: this.#router.draining,
      connections: this.#router.connections,
      members: members.map((member) => member.node),
      keyspaces: this.#groups.map(({ keyspace, replica }) => ({
        name: keyspace.name,
        number: keyspace.number,
        model: keyspace.model,
        ...replica.status(now),
      })),
    };
  }

  /** For the simulator's oracles. */
  inspect(): readonly { readonly keyspace: KeyspaceDefinition; readonly replica: Replica }[] {
    return this.#groups;
  }
}

/** Wraps what one group emits: its messages under the group's id, its replies to the router. */
export class GroupOut implements Emitter<SingleLeaderVocabulary> {
  readonly #group: GroupId;
  readonly #onReply: (ticket: RequestId, reply: GroupReply, out: Emitter<NodeVocabulary>) => void;
  #out: Emitter<NodeVocabulary> | null = null;

  constructor(
    group: GroupId,
    onReply: (ticket: RequestId, reply: GroupReply, out: Emitter<NodeVocabulary>) => void,
  ) {
    this.#group = group;
    this.#onReply = onReply;
  }

  /** The same object each time: an adapter per step would be garbage per operation. */
  on(out: Emitter<NodeVocabulary>): GroupOut {
    this.#out = out;
    return this;
  }

  get batch(): BatchNumber {
    return this.#target.batch;
  }

  send(to: NodeId, message: SingleLeaderMessage): void {
    this.#target.send(to, { group: this.#group, message });
  }

  sendAfterWrite(to: NodeId, message: SingleLeaderMessage): void {
    this.#target.sendAfterWrite(to, { group: this.#group, message });
  }

  reply(to: RequestId, reply: GroupReply): void {
    this.#onReply(to, reply, this.#target);
  }

  replyAfterWrite(): void {
    assert(false, "a single-leader replica answers when it knows, not when it has written");
  }

  write(record: LogRecord): void {
    assert(record.group === this.#group, "a record of another group");
    this.#target.write(record);
  }

  get #target(): Emitter<NodeVocabulary> {
    return defined(this.#out, "used outside a step");
  }
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
