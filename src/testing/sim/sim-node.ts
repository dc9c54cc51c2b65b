import { assert } from "../../core/base/assert.ts";
import { crc32 } from "../../core/base/hash.ts";
import type { MutantId } from "../../core/base/mutants.ts";
import type { Prng } from "../../core/base/prng.ts";
import {
  type ConnectionId,
  type GroupId,
  groupId,
  type Instant,
  type NodeId,
  type RequestId,
} from "../../core/contract/ids.ts";
import { KEYSPACE_OPTIONS } from "../../core/contract/keyspace.ts";
import type { Input } from "../../core/contract/protocol.ts";
import type { TraceEvent } from "../../core/contract/trace.ts";
import {
  type CheckpointFileStore,
  openCheckpointFileStore,
} from "../../core/log/checkpoint-file-store.ts";
import { BootError, boot, type NodeOptions } from "../../core/node/boot.ts";
import type { Keyspaces } from "../../core/node/keyspaces.ts";
import type { OrderingLoop } from "../../core/node/ordering-loop.ts";
import type {
  NodeCommand,
  NodeMessage,
  NodeReply,
  NodeVocabulary,
} from "../../core/node/vocabulary.ts";
import { RAFT_LIMITS } from "../../core/replication/single-leader/raft.ts";
import type { Replica } from "../../core/replication/single-leader/replica.ts";
import { ViolationError } from "./invariants.ts";
import type { MemoryDisk } from "./memory-disk.ts";
import type { Micros, Scheduler } from "./scheduler.ts";
import { SimDisk } from "./sim-disk.ts";
import type { SwarmOptions } from "./swarm.ts";
import { nodeInGroup, type Timeline } from "./timeline.ts";

/** What the keyspaces besides the default one are called in a run that has so many. */
export function keyspaceNames(count: number): readonly string[] {
  return Array.from({ length: count - 1 }, (_, i) => `k${i + 1}`);
}

const WALL_START_MS = 1_700_000_000_000;

/** A node that asks to be woken this often in a row, and each time at once, makes no progress. */
const IMMEDIATE_WAKES_MAX = 5_000;

/** What a node needs of the cluster around it. */
export interface SimNodeParts {
  readonly id: NodeId;
  readonly members: readonly NodeId[];
  readonly options: SwarmOptions;
  readonly mutant: MutantId | null;
  readonly scheduler: Scheduler;
  readonly timeline: Timeline;
  readonly prng: Prng;
  readonly diskPrng: Prng;
  send(from: NodeId, to: NodeId, messages: readonly NodeMessage[]): void;
  onTrace(event: TraceEvent): void;
  onBoot(node: SimNode): void;
  onTurn(node: SimNode): void;
  onDown(node: SimNode): void;
}

/** A client's end of a connection. */
export interface ConnectionListener {
  onReply(request: RequestId, reply: NodeReply): void;
  /** The process died or the connection was closed; nothing more comes. */
  onClosed(): void;
}

/**
 * A process with a disk and clocks of its own: the real node (`boot` and its ordering loop) driven
 * by simulated time. It can crash at any instant, start again from what its disk kept, and be
 * paused.
 */
export class SimNode {
  readonly id: NodeId;
  readonly disk: SimDisk;
  readonly #parts: SimNodeParts;
  #loop: OrderingLoop | null = null;
  #store: CheckpointFileStore | null = null;
  /** Whether its directory says who it is. */
  #isKnown = true;
  #hasFailed = false;
  #boots = 0;
  #paused = false;
  #pausedAt: Micros = 0;
  /** Set when a crash is due at this very instant: the rest of the turn reaches nobody. */
  #dying = false;
  #turnScheduled = false;
  /** The next input is the time of day. */
  #isClockFirst = false;
  #wakeAt: Micros | null = null;
  #immediateWakes = 0;
  /** The monotonic clock: instants restart with each process, at a base of their own. */
  #bootedAt: Micros = 0;
  #instantBase: Instant = 0;
  #driftPpm = 0;
  /** How far the wall clock is off, in ms. */
  wallOffsetMs = 0;
  #lastRequest: RequestId = 0;
  #lastConnection: ConnectionId = 0;
  readonly #requests = new Map<RequestId, ConnectionListener>();
  readonly #connections = new Map<ConnectionId, ConnectionListener>();
  #turns = 0;

  constructor(parts: SimNodeParts) {
    this.id = parts.id;
    this.#parts = parts;
    this.disk = new SimDisk(
      parts.options.disk,
      parts.scheduler,
      parts.diskPrng,
      (completion) => {
        if (this.#loop === null) return;
        this.#loop.onDisk(completion);
        this.#scheduleTurn();
      },
      parts.mutant,
    );
  }

  get isUp(): boolean {
    return this.#loop !== null;
  }

  /** Its last process ended because its disk refused something (STO8). */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Starts of its process so far. */
  get boots(): number {
    return this.#boots;
  }

  get turns(): number {
    return this.#turns;
  }

  /** The replica of the default keyspace; null while the node is down. */
  get replica(): Replica | null {
    return this.keyspaces?.get(groupId(0, 0))?.replica ?? null;
  }

  /** All groups of the node; null while it is down. */
  get keyspaces(): Keyspaces | null {
    return this.#loop?.node.inspect() ?? null;
  }

  /** How many rows of the group the node holds, in memory or in its store. */
  rowsOf(group: GroupId): number {
    return this.#loop?.node.countRows(group) ?? 0;
  }

  /** The very bytes of a row in the store, to be damaged; null where there is none. */
  storedRow(key: string): Uint8Array | null {
    const applier = this.replica?.inspect().applier;
    if (applier === undefined || this.#store === null) return null;
    const [from, to] = applier.generationRange(applier.generation);
    for (const [stored, row] of this.#store.rows(from, to)) {
      if (stored.endsWith(key) && row.length > 0) return row;
    }
    return null;
  }

  /** Whether everything that has reached it was taken in. */
  get isIdle(): boolean {
    return this.#loop?.queued === 0;
  }

  get isLeader(): boolean {
    return this.replica?.isLeader ?? false;
  }

  /** Starts the process: everything it knows comes from the disk. */
  boot(): void {
    assert(this.#loop === null, `${this.id} is running`);
    const { scheduler, options, prng, timeline } = this.#parts;
    this.#boots += 1;
    this.#hasFailed = false;
    this.#bootedAt = scheduler.now;
    this.#instantBase = prng.between(1, options.instantBaseMsMax);
    const { driftPpmMax } = options.faults;
    this.#driftPpm = driftPpmMax === 0 ? 0 : prng.between(-driftPpmMax, driftPpmMax);
    this.#lastRequest = 0;
    this.#lastConnection = 0;
    timeline.note(scheduler.now, this.id, "boot", `start=${this.#boots}`);
    const boots = this.#boots;
    const { mutant } = this.#parts;
    const checksum = mutant === "S3" ? () => 0 : crc32;
    this.#loop = this.#guard(() =>
      boot(this.#nodeOptions(), {
        disk: this.disk,
        checksum,
        now: this.now,
        openStore: (nextOp) => {
          this.#store = openCheckpointFileStore({ disk: this.disk, checksum, nextOp, mutant });
          return this.#store;
        },
        ports: {
          send: (to, messages) => this.#send(to, messages),
          reply: (to, reply) => this.#reply(to, reply, boots),
        },
      }),
    );
    this.#parts.onBoot(this);
    this.#scheduleTurn();
  }

  /**
   * Starts from another disk than its own, which may not say whose it is. Refused, the node is down
   * and has its own disk again; else it goes on with that one.
   */
  bootFrom(memory: MemoryDisk, isKnown: boolean): void {
    const own = this.disk.memory;
    this.disk.use(memory);
    this.#isKnown = isKnown;
    try {
      this.boot();
    } catch (failure) {
      const isRefused = failure instanceof ViolationError && failure.cause instanceof BootError;
      if (!isRefused) throw failure;
      this.#parts.timeline.note(this.#parts.scheduler.now, this.id, "refused");
      this.#store = null;
      this.disk.use(own);
    } finally {
      this.#isKnown = true;
    }
  }

  /**
   * Power failure: the process ends, and of the disk remains what was synced and what luck keeps.
   */
  crash(why = "by hand"): void {
    if (this.#loop === null) return;
    const { scheduler, timeline } = this.#parts;
    timeline.note(scheduler.now, this.id, "crash", why);
    this.#loop = null;
    this.#store = null;
    this.#paused = false;
    this.#dying = false;
    this.#wakeAt = null;
    this.#isClockFirst = false;
    this.disk.crash();
    const listeners = [...this.#connections.values()];
    this.#connections.clear();
    this.#requests.clear();
    this.#parts.onDown(this);
    for (const listener of listeners) listener.onClosed();
  }

  /**
   * Crashes at this instant, also from within a turn: what the turn has yet to send is not sent.
   */
  crashNow(why: string): void {
    if (this.#loop === null || this.#dying) return;
    this.#dying = true;
    const { boots } = this;
    this.#parts.scheduler.after(0, () => {
      if (this.#boots === boots && this.#dying) this.crash(why);
    });
  }

  /** Stops executing; what arrives meanwhile is taken in at once afterwards. */
  pause(): void {
    if (this.#loop === null || this.#paused) return;
    this.#paused = true;
    this.#pausedAt = this.#parts.scheduler.now;
    this.#parts.timeline.note(this.#pausedAt, this.id, "pause");
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    const { scheduler, timeline, prng } = this.#parts;
    timeline.note(scheduler.now, this.id, "resume");
    const lateMs = (scheduler.now - this.#pausedAt) / 1000;
    // A host notices that its loop was late when its timer fires, before or after it reads sockets.
    if (prng.chance(1, 2)) this.#command({ kind: "stalled", lateMs });
    this.#scheduleTurn();
  }

  /** The node's monotonic clock. */
  get now(): Instant {
    const elapsed = this.#parts.scheduler.now - this.#bootedAt;
    const local = Math.floor((elapsed * (1_000_000 + this.#driftPpm)) / 1_000_000);
    return this.#instantBase + local / 1000;
  }

  /** How much time passes for everybody, at most, while this node's clock sees so many ms pass. */
  microsOf(localMs: number): Micros {
    return (localMs * 1000 * 1_000_000) / (1_000_000 + this.#driftPpm);
  }

  deliver(from: NodeId, message: NodeMessage): void {
    this.#input({ kind: "message", from, message });
  }

  hint(peer: NodeId, up: boolean): void {
    this.#input({ kind: "link", peer, up });
  }

  /** A client connects; null while the node is down. */
  connect(listener: ConnectionListener): ConnectionId | null {
    if (this.#loop === null) return null;
    this.#lastConnection += 1;
    const connection = this.#lastConnection;
    this.#connections.set(connection, listener);
    this.#command({ kind: "open", connection, peer: "sim" });
    return connection;
  }

  /** Sends one command; the listener of its connection hears the reply. */
  call(connection: ConnectionId, args: readonly Uint8Array[]): RequestId {
    const listener = this.#connections.get(connection);
    assert(this.#loop !== null && listener !== undefined, "a call on no connection");
    this.#lastRequest += 1;
    const request = this.#lastRequest;
    this.#requests.set(request, listener);
    this.#input({ kind: "request", id: request, command: { kind: "call", connection, args } });
    return request;
  }

  disconnect(connection: ConnectionId): void {
    if (this.#loop === null || !this.#connections.delete(connection)) return;
    this.#command({ kind: "close", connection });
  }

  #command(command: NodeCommand): void {
    this.#input({ kind: "request", id: 0, command });
  }

  #send(to: NodeId, messages: readonly NodeMessage[]): void {
    if (this.#dying) return;
    this.#parts.send(this.id, to, messages);
  }

  #reply(to: RequestId, reply: NodeReply, boots: number): void {
    const listener = this.#requests.get(to);
    this.#requests.delete(to);
    if (listener === undefined || this.#dying || boots !== this.#boots) return;
    listener.onReply(to, reply);
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled || this.#paused || this.#loop === null) return;
    this.#turnScheduled = true;
    const { scheduler, options, prng } = this.#parts;
    const { boots } = this;
    scheduler.after(prng.between(1, options.turnMicrosMax), () => {
      this.#turnScheduled = false;
      if (this.#boots === boots) this.#turn();
      else this.#scheduleTurn();
    });
  }

  #turn(): void {
    const loop = this.#loop;
    if (loop === null || this.#paused || this.#dying) return;
    const { options, prng } = this.#parts;
    this.#turns += 1;
    const now = this.now;
    if (loop.queued > 0) this.#immediateWakes = 0;
    else this.#maybeWake(loop, now);
    const drawn = options.stepsMax === 1 ? 1 : prng.between(1, options.stepsMax);
    // The time of day is not for a turn of its own: it comes along with what is taken in.
    const stepsMax = this.#isClockFirst ? drawn + 1 : drawn;
    this.#isClockFirst = false;
    this.#guard(() => loop.turn(now, stepsMax));
    this.#parts.onTurn(this);
    if (loop.failure !== null) {
      this.#hasFailed = true;
      this.crashNow(`disk failure: ${loop.failure.message}`);
    }
    this.#armTimer(loop, now);
  }

  /** With inputs waiting there is no need: whatever ends a turn looks at the time. */
  #maybeWake(loop: OrderingLoop, now: Instant): void {
    const deadline = loop.deadline();
    if (deadline !== null && now >= deadline) this.#push(loop, { kind: "wake" });
  }

  #input(input: Input<NodeVocabulary>): void {
    if (this.#loop === null) return;
    this.#push(this.#loop, input);
    this.#scheduleTurn();
  }

  /** Queues an input; before the first of several comes the time of day, as data. */
  #push(loop: OrderingLoop, input: Input<NodeVocabulary>): void {
    if (loop.queued === 0) {
      const wallMs = WALL_START_MS + Math.floor(this.#parts.scheduler.now / 1000);
      const command: NodeCommand = { kind: "clock", wallMs: wallMs + this.wallOffsetMs };
      loop.push({ kind: "request", id: 0, command });
      this.#isClockFirst = true;
    }
    loop.push(input);
  }

  #armTimer(loop: OrderingLoop, now: Instant): void {
    const deadline = loop.deadline();
    if (loop.busy || (deadline !== null && deadline <= now)) {
      this.#immediateWakes += 1;
      if (this.#immediateWakes > IMMEDIATE_WAKES_MAX) {
        throw new ViolationError("livelock", `${this.id} asks for a turn at once, for ever`);
      }
      this.#scheduleTurn();
      return;
    }
    this.#immediateWakes = 0;
    if (deadline === null) return;
    const wakeAt = this.#globalTimeOf(deadline);
    if (this.#wakeAt !== null && this.#wakeAt <= wakeAt) return;
    this.#wakeAt = wakeAt;
    const { boots } = this;
    this.#parts.scheduler.at(wakeAt, () => this.#onTimer(wakeAt, boots));
  }

  #onTimer(wakeAt: Micros, boots: number): void {
    if (this.#boots !== boots || this.#wakeAt !== wakeAt || this.#loop === null) return;
    this.#wakeAt = null;
    const deadline = this.#loop.deadline();
    if (deadline === null) return;
    if (this.now >= deadline) this.#scheduleTurn();
    else this.#armTimer(this.#loop, this.now);
  }

  /** The first microsecond at which the node's clock has reached the instant, and after now. */
  #globalTimeOf(instant: Instant): Micros {
    const local = (instant - this.#instantBase) * 1000;
    const elapsed = Math.ceil((local * 1_000_000) / (1_000_000 + this.#driftPpm));
    return Math.max(this.#bootedAt + elapsed, this.#parts.scheduler.now + 1);
  }

  /** A throw inside the node is a finding: the real process would end. */
  #guard<T>(run: () => T): T {
    try {
      return run();
    } catch (failure) {
      if (failure instanceof ViolationError || !(failure instanceof Error)) throw failure;
      const stack = (failure.stack ?? "")
        .split("\n")
        .slice(1, 6)
        .map((line) => line.trim());
      const violation = new ViolationError(
        failure instanceof BootError ? "refused-start" : "assertion",
        `${this.id}: ${failure.name}: ${failure.message}\n    ${stack.join("\n    ")}`,
      );
      violation.cause = failure;
      throw violation;
    }
  }

  #nodeOptions(): NodeOptions {
    const { id, members, options, mutant, prng, timeline, scheduler } = this.#parts;
    const { electionTimeoutMs, heartbeatMs } = options;
    return {
      node: id,
      incarnation: incarnationOf(this.#isKnown ? id : `new-${id}`),
      cluster: "simulated",
      members: members.map((node) => ({ node, incarnation: incarnationOf(node) })),
      keyspaces: keyspaceNames(options.keyspaces).map((name) => ({
        name,
        model: "singleLeader",
        schemaVersion: 0,
        options: KEYSPACE_OPTIONS,
      })),
      timing: { electionTimeoutMs, heartbeatMs },
      raftLimits: {
        ...RAFT_LIMITS,
        appendBytesMax: options.appendBytesMax,
        inFlightBytesMax: options.inFlightBytesMax,
        retainedBytes: options.retainedBytes,
        snapshotChunkBytes: options.snapshotChunkBytes,
        snapshotWindowBytes: options.snapshotWindowBytes,
        snapshotMemtableBytesMax: options.snapshotMemtableBytesMax,
        snapshotIdleMsMax: options.snapshotIdleMsMax,
        snapshotAgeMsMax: 5_000,
        snapshotRetryMs: 200,
        wipeRowsMax: options.wipeRowsMax,
        stateHashMs: options.stateHashMs,
        scrubMs: options.scrubMs,
        scrubRowsMax: options.scrubRowsMax,
        scrubPauseMs: 1,
        applyEntriesMax: options.applyEntriesMax,
        groupWaitMsMax: options.groupWaitMsMax,
      },
      log: { segmentBytes: options.segmentBytes, markMs: 50 },
      checkpoints: {
        logBytesMax: options.checkpointLogBytes,
        memtableBytesMax: options.checkpointLogBytes,
        sliceRowsMax: 20,
      },
      defaultTimeoutMs: options.workload.timeoutMs,
      info: { version: "0.0.0", pid: 1, respPort: 0, httpPort: 0, config: new Map() },
      seed: prng.u32(),
      bootId: `${id}-${this.#boots}-${prng.u32().toString(16)}`,
      trace: (event) => {
        const who = nodeInGroup(event.node, event.group ?? 0);
        timeline.note(scheduler.now, who, event.mark, event.detail ?? "");
        this.#parts.onTrace(event);
      },
      traced: true,
      mutant,
    };
  }
}

function incarnationOf(node: NodeId): string {
  return `${node}-disk`.padEnd(16, "0");
}
