import { Prng } from "../base/prng.ts";
import { commandMachine } from "../commands/command-machine.ts";
import {
  type GroupId,
  groupId,
  type Instant,
  keyspaceOf,
  type NodeId,
  type RequestId,
  type WallClock,
} from "../contract/ids.ts";
import type { Keyspace } from "../contract/keyspace.ts";
import type { Emitter } from "../contract/outbox.ts";
import type { Input, Protocol } from "../contract/protocol.ts";
import type { RecoveredRecord } from "../contract/record.ts";
import type { StateStore } from "../contract/state-store.ts";
import type { Memtable } from "../log/memtable.ts";
import type { SnapshotFiles } from "../log/snapshot-file.ts";
import type { RaftLimits } from "../replication/single-leader/raft.ts";
import { Replica } from "../replication/single-leader/replica.ts";
import { groupEnd, groupPrefix } from "../replication/single-leader/rows.ts";
import type { NodeOptions } from "./boot.ts";
import { encodeCatalogCall } from "./catalog-format.ts";
import { catalogMachine } from "./catalog-machine.ts";
import { DroppedRows, groupsWithRows } from "./dropped-rows.ts";
import { EnsuredKeyspaces } from "./ensured-keyspaces.ts";
import { GroupOut } from "./group-out.ts";
import { CATALOG_GROUP, type Group, Keyspaces } from "./keyspaces.ts";
import { Router } from "./router.ts";
import type { NodeCommand, NodeStatus, NodeVocabulary } from "./vocabulary.ts";

/** Storage that a node's groups share. */
export interface NodeParts {
  readonly memtable: Memtable;
  readonly store: StateStore;
  readonly files: SnapshotFiles;
  readonly requestCheckpoint: () => void;
}

/** How long a node that is being stopped tries to hand leadership over and finish its calls, ms. */
const DRAIN_MS_MAX = 3_000;

/** The node's own calls to the catalog come from no client's connection. */
const OWN_CONNECTION = -1;

interface Drain {
  readonly request: RequestId;
  readonly until: Instant;
}

/**
 * A whole node as one protocol: the replica of the catalog, which says what keyspaces there are,
 * every keyspace's replica, and the router that brings clients' commands to them. A composition of
 * deterministic machines is one: the host and the simulator drive the same.
 */
export class Node implements Protocol<NodeVocabulary> {
  readonly #options: NodeOptions;
  readonly #parts: NodeParts;
  readonly #voters: readonly NodeId[];
  readonly #entropy: Prng;
  readonly #limits: RaftLimits;
  readonly #keyspaces: Keyspaces;
  readonly #ensured: EnsuredKeyspaces;
  readonly #droppedRows: DroppedRows;
  readonly #router: Router;
  #drain: Drain | null = null;
  #wallMs: WallClock = 0;
  #now: Instant;

  constructor(options: NodeOptions, parts: NodeParts, now: Instant) {
    this.#options = options;
    this.#parts = parts;
    this.#now = now;
    this.#entropy = new Prng(options.seed);
    this.#voters = options.members.map((member) => member.node).sort(byName);
    this.#limits = this.#sharedLimits(options.raftLimits);
    this.#keyspaces = new Keyspaces(this.#makeGroup(CATALOG_GROUP, null), this.#voters);
    const { catalog } = this.#keyspaces;
    catalog.replica.preferredLeader = this.#keyspaces.preferredLeader(keyspaceOf(catalog.id));
    this.#droppedRows = new DroppedRows(parts.memtable, parts.requestCheckpoint);
    this.#ensured = new EnsuredKeyspaces({
      keyspaces: options.keyspaces,
      timeoutMs: options.defaultTimeoutMs,
      retryMs: options.timing.electionTimeoutMs,
      trace: (event) => options.trace({ node: options.node, group: CATALOG_GROUP, ...event }),
    });
    this.#router = new Router(options, this.#keyspaces, this.#entropy.split(0), now);
    this.#restoreGroups();
  }

  /** What is kept for slow followers is bounded for the node, however many groups it has. */
  #sharedLimits(limits: RaftLimits): RaftLimits {
    const count = () => this.#keyspaces.groups.length;
    return {
      ...limits,
      get retainedBytes() {
        return Math.floor(limits.retainedBytes / count());
      },
    };
  }

  /**
   * Groups that this node had when it stopped: those of the catalog as it was checkpointed, and
   * those that have left rows. Younger ones have records in the log (`replay`).
   */
  #restoreGroups(): void {
    for (const keyspace of this.#keyspaces.refresh().created) this.#create(keyspace);
    for (const id of groupsWithRows(this.#parts.memtable)) {
      if (this.#keyspaces.isDropped(id)) this.#droppedRows.add(id);
      else if (this.#keyspaces.get(id) === undefined) this.#addGroup(id, null);
    }
  }

  #makeGroup(id: GroupId, keyspace: Keyspace | null): Group {
    const { node, timing, trace, traced, bootId: boot } = this.#options;
    const mutant = this.#options.mutant ?? null;
    const prng = this.#entropy.split(keyspaceOf(id) + 1);
    const limits = this.#limits;
    const voters = this.#voters;
    const raft = { group: id, node, voters, timing, limits, prng, trace, traced, mutant };
    const machine = id === CATALOG_GROUP ? catalogMachine : commandMachine;
    const replica = new Replica(raft, { ...this.#parts, machine, boot }, this.#now);
    replica.setWallClock(this.#wallMs);
    const out = new GroupOut(id, (ticket, reply, emitter) => {
      if (EnsuredKeyspaces.isOwn(ticket)) this.#ensured.onReply(ticket, reply.reply, this.#now);
      else this.#router.onGroupReply(ticket, reply, emitter);
    });
    return { id, keyspace, replica, out, isResting: false };
  }

  /** `keyspace` null: what is known of the group is that it has left something on this node. */
  #addGroup(id: GroupId, keyspace: Keyspace | null): Group {
    const group = this.#makeGroup(id, keyspace);
    this.#keyspaces.add(group);
    group.replica.preferredLeader = this.#keyspaces.preferredLeader(keyspaceOf(id));
    return group;
  }

  #create(keyspace: Keyspace): Group {
    return this.#addGroup(groupId(keyspace.number, 0), keyspace);
  }

  /** Records of the node's log behind the checkpoint, in order. Throws `FormatError`. */
  replay(records: readonly RecoveredRecord[], now: Instant): void {
    for (const record of records) {
      // Nobody needs what a keyspace wrote that was dropped before the checkpoint.
      if (this.#keyspaces.isDropped(record.group)) continue;
      // Its creation was committed before it wrote anything, but may be among the records whose
      // entries are applied only when a leader says so (STO6).
      const group = this.#keyspaces.get(record.group) ?? this.#addGroup(record.group, null);
      group.replica.replay(record);
    }
    for (const group of this.#keyspaces.groups) group.replica.restored(now);
    this.#keyspaces.foresee();
  }

  step(input: Input<NodeVocabulary>, now: Instant, out: Emitter<NodeVocabulary>): void {
    this.#now = now;
    switch (input.kind) {
      case "message": {
        // The sender may be ahead of us: the group is made, or given up, when our catalog gets on.
        const group = this.#keyspaces.get(input.message.group);
        if (group === undefined || group.isResting) return;
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
        for (const group of this.#keyspaces.groups) {
          group.replica.step(input, now, group.out.on(out));
        }
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
    this.#wallMs = wallMs;
    this.#router.setClock(wallMs, now);
    for (const group of this.#keyspaces.groups) group.replica.setWallClock(wallMs);
  }

  /** A loop that is late by a quarter of an election timeout should not lead. */
  #onStall(lateMs: number, now: Instant): void {
    if (lateMs < this.#options.timing.electionTimeoutMs / 4) return;
    for (const group of this.#keyspaces.groups) {
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
    const { catalog } = this.#keyspaces;
    this.#ensure(now, out);
    catalog.replica.settle(now, catalog.out.on(out));
    for (const group of this.#keyspaces.groups) {
      if (group === catalog) continue;
      if (group.isResting) group.replica.rest(now, group.out.on(out));
      else group.replica.settle(now, group.out.on(out));
    }
    // Only now: what a group has promised in this turn has to be written in it.
    this.#followCatalog(now, out);
    this.#keyspaces.foresee();
    this.#router.settle(now, out);
    this.#droppedRows.work();
    if (this.#drain !== null) this.#settleDrain(this.#drain, now, out);
  }

  /** Asks the catalog to create what the configuration names, once anybody leads it. */
  #ensure(now: Instant, out: Emitter<NodeVocabulary>): void {
    const { catalog } = this.#keyspaces;
    if (catalog.replica.leader === null || this.#drain !== null) return;
    this.#ensured.drive(
      this.#keyspaces,
      (id, call, deadline) => {
        const payload = encodeCatalogCall(call);
        const connection = OWN_CONNECTION;
        const concern = "majority";
        const command = { kind: "write", connection, payload, concern, deadline } as const;
        catalog.replica.step({ kind: "request", id, command }, now, catalog.out.on(out));
      },
      now,
    );
  }

  /** Makes and gives up groups as the catalog, as far as it is applied here, has it. */
  #followCatalog(now: Instant, out: Emitter<NodeVocabulary>): void {
    const { created, dropped } = this.#keyspaces.refresh();
    for (const group of dropped) {
      this.#keyspaces.remove(group);
      group.replica.close(group.out.on(out));
      this.#droppedRows.add(group.id);
      const { id, keyspace } = group;
      this.#trace(id, "keyspace-dropped", `number=${keyspaceOf(id)} name=${keyspace?.name ?? ""}`);
    }
    for (const keyspace of created) {
      const group = this.#create(keyspace);
      group.replica.restored(now);
      const { name, number } = keyspace;
      this.#trace(group.id, "keyspace-created", `number=${number} name=${name}`);
    }
  }

  #trace(group: GroupId, mark: string, detail: string): void {
    this.#options.trace({ node: this.#options.node, group, mark, detail });
  }

  #settleDrain(drain: Drain, now: Instant, out: Emitter<NodeVocabulary>): void {
    let busy = false;
    for (const { replica } of this.#keyspaces.groups) {
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
    if (this.#router.mustTurn || this.#droppedRows.isDue) return this.#now;
    let deadline = this.#drain?.until ?? Number.POSITIVE_INFINITY;
    for (const { replica, isResting } of this.#keyspaces.groups) {
      const due = isResting ? replica.restDeadline() : replica.deadline();
      deadline = Math.min(deadline, due ?? Number.POSITIVE_INFINITY);
    }
    deadline = Math.min(deadline, this.#router.deadline() ?? Number.POSITIVE_INFINITY);
    if (this.#keyspaces.catalog.replica.leader !== null && this.#drain === null) {
      deadline = Math.min(deadline, this.#ensured.deadline() ?? Number.POSITIVE_INFINITY);
    }
    return deadline === Number.POSITIVE_INFINITY ? null : deadline;
  }

  /** A checkpoint begins: every group puts into the memtable what is not there yet (STO5). */
  beforeFreeze(): void {
    for (const { replica } of this.#keyspaces.groups) replica.beforeFreeze();
  }

  /** The checkpoint that began with the last `beforeFreeze` is durable. */
  afterCheckpoint(): void {
    for (const { replica } of this.#keyspaces.groups) replica.afterCheckpoint();
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
      keyspaces: this.#keyspaces.defined.map(({ keyspace, replica }) => ({
        name: keyspace.name,
        number: keyspace.number,
        model: keyspace.model,
        preferredLeader: this.#keyspaces.preferredLeader(keyspace.number),
        ...replica.status(now),
      })),
      catalog: this.#keyspaces.catalog.replica.status(now),
      missingKeyspaces: this.#ensured.missing,
    };
  }

  /** How many rows the group has here, for tests: it looks at each of them. */
  countRows(group: GroupId): number {
    let rows = 0;
    for (const _ of this.#parts.memtable.rows(groupPrefix(group), groupEnd(group))) rows += 1;
    return rows;
  }

  /** For the simulator's oracles. */
  inspect(): Keyspaces {
    return this.#keyspaces;
  }
}

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
