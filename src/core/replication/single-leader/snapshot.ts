import { assert } from "../../base/assert.ts";
import { ByteReader, FormatError } from "../../base/bytes.ts";
import type { Instant, LogIndex, NodeId, Term } from "../../contract/ids.ts";
import type { StateStore } from "../../contract/state-store.ts";
import type { Memtable } from "../../log/memtable.ts";
import { SnapshotChain } from "../../log/snapshot-chain.ts";
import type { Applier } from "./applier.ts";
import { hearLeader } from "./follower.ts";
import type { Leadership } from "./leadership.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Progress, SnapshotTransfer } from "./progress.ts";
import type { Out, Raft } from "./raft.ts";
import { DATA, decodeMeta, type GroupMeta, KEYS, META, SESSIONS } from "./rows.ts";

type InstallSnapshot = Extract<SingleLeaderMessage, { kind: "installSnapshot" }>;
type SnapshotReply = Extract<SingleLeaderMessage, { kind: "snapshotReply" }>;

const PREFIX_BYTES = 6;

/** A group's state in a checkpoint. */
interface Checkpointed {
  readonly index: LogIndex;
  readonly term: Term;
  readonly generation: number;
}

/** A snapshot that is arriving, or has arrived and waits to be durable. */
interface Incoming {
  readonly from: NodeId;
  readonly term: Term;
  readonly stream: number;
  readonly lastIndex: LogIndex;
  readonly generation: number;
  next: number;
  keys: number;
  meta: GroupMeta | null;
  readonly sessions: Uint8Array[];
  /**
   * Complete and in force in memory; acknowledged once a checkpoint that began later is durable.
   */
  installed: boolean;
  frozen: boolean;
  durable: boolean;
  round: number;
}

/**
 * Sends snapshots and takes them in (Raft §7, STO9).
 *
 * The sender reads the last durable checkpoint, which holds still while it is open. The receiver
 * fills a generation of rows that nobody reads, switches to it when all of it is there and fits,
 * and acknowledges only when a checkpoint has made the switch durable: until then a crash leaves it
 * with what it had before, and the log after the switch rests on nothing.
 */
export class Snapshots {
  readonly #raft: Raft;
  readonly #applier: Applier;
  readonly #memtable: Memtable;
  readonly #store: StateStore;
  readonly #requestCheckpoint: () => void;
  #incoming: Incoming | null = null;
  #streams = 0;
  /** The group's state in the last durable checkpoint, and in the one being taken. */
  #durable: Checkpointed = { index: 0, term: 0, generation: 0 };
  #frozen: Checkpointed = { index: 0, term: 0, generation: 0 };

  constructor(
    raft: Raft,
    applier: Applier,
    memtable: Memtable,
    store: StateStore,
    requestCheckpoint: () => void,
  ) {
    this.#raft = raft;
    this.#applier = applier;
    this.#memtable = memtable;
    this.#store = store;
    this.#requestCheckpoint = requestCheckpoint;
  }

  /** A snapshot is in force in memory but not yet on disk: nothing may be appended behind it. */
  get isInstalling(): boolean {
    return this.#incoming?.installed ?? false;
  }

  /** The node begins a checkpoint: what `writeRows` has just put into the memtable is in it. */
  onFreeze(): void {
    const { appliedIndex: index, appliedTerm: term, generation } = this.#applier;
    this.#frozen = { index, term, generation };
    if (this.#incoming?.installed) this.#incoming.frozen = true;
  }

  /** The checkpoint is durable: entries that it covers may go, an installed snapshot is safe. */
  onCheckpoint(): void {
    this.#durable = this.#frozen;
    if (this.#incoming?.frozen) this.#incoming.durable = true;
  }

  /** After recovery: the state came from a durable checkpoint. */
  restored(index: LogIndex, term: Term, generation: number): void {
    this.#durable = { index, term, generation };
    this.#frozen = this.#durable;
  }

  /** Drops entries that a durable checkpoint covers, but keeps a tail for followers that lag. */
  compact(now: Instant): void {
    const { log, options } = this.#raft;
    if (log.bytes <= options.limits.retainedBytes) return;
    let index = Math.min(this.#durable.index, log.durableIndex);
    if (log.bytes <= 4 * options.limits.retainedBytes) {
      index = Math.min(index, this.#neededByFollowers(now));
    }
    if (index > log.compactedIndex) log.compact(index);
  }

  /**
   * A follower that keeps up must not fall back on a snapshot because a checkpoint was quick, and
   * one that takes a snapshot needs the entries behind it, or it would need the next one, and so
   * on.
   */
  #neededByFollowers(now: Instant): LogIndex {
    const since = now - this.#raft.options.timing.electionTimeoutMs;
    let index = Number.MAX_SAFE_INTEGER;
    for (const progress of this.#raft.leadership?.followers ?? []) {
      const { snapshot, matchIndex, lastHeardAt } = progress;
      if (lastHeardAt >= since) index = Math.min(index, snapshot?.lastIndex ?? matchIndex);
    }
    return index;
  }

  // Sending.

  drive(leadership: Leadership, now: Instant, out: Out): void {
    for (const progress of leadership.followers) {
      if (progress.state === "snapshot") this.#driveTo(leadership, progress, now, out);
    }
  }

  #driveTo(leadership: Leadership, progress: Progress, now: Instant, out: Out): void {
    if (this.#mustDrop(progress, now)) progress.dropSnapshot();
    const { electionTimeoutMs } = this.#raft.options.timing;
    // A snapshot pins storage: none is kept open for a follower that does not answer.
    if (now - progress.lastHeardAt < electionTimeoutMs) {
      const transfer = progress.snapshot ?? this.#open(progress, now);
      const isLate = now - transfer.sentAt >= electionTimeoutMs;
      if (!transfer.awaiting || isLate) {
        return this.#sendChunk(leadership, progress, transfer, now, out);
      }
    }
    if (progress.toldRound < leadership.round) {
      heartbeat(this.#raft, leadership, progress, now, out);
    }
  }

  /** A first chunk that was lost or refused starts over, with what the newest checkpoint holds. */
  #mustDrop(progress: Progress, now: Instant): boolean {
    const { limits, timing } = this.#raft.options;
    const old = progress.snapshot;
    if (old === null) return false;
    if (now - old.startedAt > limits.snapshotAgeMsMax) return true;
    if (now - progress.lastHeardAt >= timing.electionTimeoutMs) return true;
    return old.chunk === 0 && now - old.sentAt >= timing.electionTimeoutMs;
  }

  #open(progress: Progress, now: Instant): SnapshotTransfer {
    assert(this.#durable.index > 0, "entries were compacted without a checkpoint");
    this.#streams += 1;
    // The other generation may hold rows of a snapshot that this node once took in, or began to.
    const ranges = this.#applier.snapshotRanges(this.#durable.generation);
    progress.snapshot = {
      handle: new SnapshotChain(ranges.map(([from, to]) => this.#store.openSnapshot(from, to))),
      stream: this.#raft.term * 0x10000 + (this.#streams % 0x10000),
      lastIndex: this.#durable.index,
      lastTerm: this.#durable.term,
      startedAt: now,
      chunk: 0,
      cursor: 0,
      next: null,
      sentAt: now,
      awaiting: false,
    };
    this.#raft.trace("snapshot-send", `to=${progress.node} index=${this.#durable.index}`);
    return progress.snapshot;
  }

  #sendChunk(
    leadership: Leadership,
    progress: Progress,
    transfer: SnapshotTransfer,
    now: Instant,
    out: Out,
  ): void {
    const { snapshotChunkBytes } = this.#raft.options.limits;
    const chunk = transfer.handle.chunk(transfer.cursor, snapshotChunkBytes);
    transfer.next = chunk.next;
    transfer.awaiting = true;
    transfer.sentAt = now;
    progress.toldRound = leadership.round;
    progress.lastSentAt = now;
    out.send(progress.node, {
      kind: "installSnapshot",
      term: this.#raft.term,
      lastIndex: transfer.lastIndex,
      lastTerm: transfer.lastTerm,
      stream: transfer.stream,
      chunk: transfer.chunk,
      rows: chunk.rows,
      done: chunk.next === null,
      round: leadership.round,
    });
  }

  onReply(from: NodeId, reply: SnapshotReply, now: Instant): void {
    if (reply.term > this.#raft.term) return this.#raft.becomeFollower(reply.term, null, now);
    const leadership = this.#raft.leadership;
    if (leadership === null || reply.term < this.#raft.term) return;
    const progress = leadership.progress(from);
    progress.lastHeardAt = now;
    progress.ackedRound = Math.max(progress.ackedRound, reply.round);
    progress.stamped(reply.boot, reply.stamp);
    const transfer = progress.snapshot;
    if (transfer === null || reply.stream !== transfer.stream) return;
    if (reply.installed) {
      progress.dropSnapshot();
      progress.matched(reply.lastIndex, false);
      progress.becomeProbe();
      this.#raft.trace("snapshot-installed", `peer=${from} index=${reply.lastIndex}`);
    } else if (reply.next === transfer.chunk + 1 && transfer.next !== null) {
      transfer.chunk += 1;
      transfer.cursor = transfer.next;
      transfer.awaiting = false;
    } else if (reply.next === 0 && transfer.chunk > 0) progress.dropSnapshot();
  }

  // Taking in.

  onInstall(from: NodeId, message: InstallSnapshot, now: Instant, out: Out): void {
    if (!hearLeader(this.#raft, from, message.term, now)) {
      return this.#answer(from, message, 0, false, now, out);
    }
    if (!this.isInstalling && this.#holds(message)) {
      this.#raft.commitTo(message.lastIndex);
      return this.#answer(from, message, 0, true, now, out);
    }
    if (this.#incoming?.installed) {
      this.#incoming.round = Math.max(this.#incoming.round, message.round);
      return;
    }
    const incoming = this.#incomingOf(from, message);
    if (incoming === null || message.chunk !== incoming.next) {
      return this.#answer(from, message, incoming?.next ?? 0, false, now, out);
    }
    incoming.round = message.round;
    if (!this.#takeRows(incoming, message.rows) || (message.done && !this.#fits(incoming))) {
      this.#raft.trace("snapshot-refused", `from=${from} index=${message.lastIndex}`);
      this.#incoming = null;
      return this.#answer(from, message, 0, false, now, out);
    }
    incoming.next += 1;
    if (message.done) this.#install(incoming);
    else this.#answer(from, message, incoming.next, false, now, out);
  }

  /**
   * Whether the log reaches the snapshot's last entry and agrees with it there (Raft §7). The
   * entries behind it may have been acknowledged and counted: to reset the log would lose them.
   */
  #holds(message: InstallSnapshot): boolean {
    const { commitIndex, log } = this.#raft;
    return message.lastIndex <= commitIndex || log.termAt(message.lastIndex) === message.lastTerm;
  }

  /** The snapshot that the chunk belongs to; chunks of different ones are never mixed. */
  #incomingOf(from: NodeId, message: InstallSnapshot): Incoming | null {
    const current = this.#incoming;
    const same =
      current !== null &&
      current.from === from &&
      current.term === message.term &&
      current.stream === message.stream &&
      current.lastIndex === message.lastIndex;
    if (same) return current;
    if (message.chunk !== 0) return null;
    const generation = 1 - this.#applier.generation;
    this.#applier.wipeGeneration(generation);
    this.#incoming = {
      from,
      term: message.term,
      stream: message.stream,
      lastIndex: message.lastIndex,
      generation,
      next: 0,
      keys: 0,
      meta: null,
      sessions: [],
      installed: false,
      frozen: false,
      durable: false,
      round: message.round,
    };
    return this.#incoming;
  }

  /** False when the bytes are no rows of this group. */
  #takeRows(incoming: Incoming, rows: Uint8Array): boolean {
    const reader = new ByteReader(rows);
    const [to] = this.#applier.generationRange(incoming.generation);
    const [group] = this.#applier.groupRange();
    try {
      while (reader.remaining > 0) {
        const key = reader.byteString();
        const value = reader.bytes();
        if (!key.startsWith(group)) return false;
        const table = key[PREFIX_BYTES];
        if (table === DATA) {
          this.#memtable.put(to + key.slice(PREFIX_BYTES + 2), value.slice());
          if (key[PREFIX_BYTES + 2] === KEYS) incoming.keys += 1;
        } else if (table === SESSIONS) incoming.sessions.push(value.slice());
        else if (table === META) incoming.meta = decodeMeta(value);
      }
      return true;
    } catch (failure) {
      if (failure instanceof FormatError) return false;
      throw failure;
    }
  }

  #fits(incoming: Incoming): boolean {
    const { meta } = incoming;
    if (meta === null || meta.appliedIndex !== incoming.lastIndex) return false;
    return meta.counts.keys === incoming.keys;
  }

  #install(incoming: Incoming): void {
    const { meta } = incoming;
    assert(meta !== null && meta.appliedIndex > this.#raft.commitIndex, "an old snapshot");
    this.#applier.restore(meta, incoming.generation, incoming.sessions);
    // Entries that this node appended as a leader deposed in this very turn: sent to nobody, and on
    // the disk they would follow nothing.
    this.#raft.unwritten = [];
    this.#raft.log.reset(meta.appliedIndex, meta.appliedTerm, meta.termStarts);
    this.#raft.commitTo(meta.appliedIndex);
    incoming.installed = true;
    this.#raft.trace("snapshot-switch", `index=${meta.appliedIndex} term=${meta.appliedTerm}`);
    this.#requestCheckpoint();
  }

  /** Whether `settle` has something to say though nothing arrives. */
  get isDue(): boolean {
    return this.#incoming?.durable ?? false;
  }

  /** Once per turn: says that an installed snapshot is durable. */
  settle(now: Instant, out: Out): void {
    const incoming = this.#incoming;
    if (incoming === null) return;
    if (!incoming.installed) return this.#maybeAbandon(incoming);
    if (!incoming.durable) return;
    this.#incoming = null;
    this.#applier.wipeGeneration(1 - this.#applier.generation);
    if (incoming.term !== this.#raft.term) return;
    out.send(incoming.from, {
      kind: "snapshotReply",
      term: this.#raft.term,
      stream: incoming.stream,
      next: incoming.next,
      installed: true,
      lastIndex: incoming.lastIndex,
      round: incoming.round,
      boot: this.#raft.boot,
      stamp: now,
    });
  }

  /**
   * Rows of a snapshot that will never be complete must not stay: a checkpoint that took them along
   * could not be sent on, since its rows would be more than its keys.
   */
  #maybeAbandon(incoming: Incoming): void {
    const isStale =
      incoming.term !== this.#raft.term || incoming.lastIndex <= this.#raft.commitIndex;
    if (!isStale) return;
    this.#raft.trace("snapshot-abandoned", `index=${incoming.lastIndex}`);
    this.#incoming = null;
    this.#applier.wipeGeneration(incoming.generation);
    this.#requestCheckpoint();
  }

  #answer(
    to: NodeId,
    message: InstallSnapshot,
    next: number,
    installed: boolean,
    now: Instant,
    out: Out,
  ): void {
    // Behind earlier writes: "installed" also says that what we had already is on disk.
    out.sendAfterWrite(to, {
      kind: "snapshotReply",
      term: this.#raft.term,
      stream: message.stream,
      next,
      installed,
      lastIndex: message.lastIndex,
      round: message.term === this.#raft.term ? message.round : 0,
      boot: this.#raft.boot,
      stamp: now,
    });
  }
}

/** A follower that is being sent a snapshot still has to hear that there is a leader. */
function heartbeat(
  raft: Raft,
  leadership: Leadership,
  progress: Progress,
  now: Instant,
  out: Out,
): void {
  progress.toldRound = leadership.round;
  progress.lastSentAt = now;
  out.send(progress.node, {
    kind: "appendEntries",
    term: raft.term,
    prevLogIndex: 0,
    prevLogTerm: 0,
    commitIndex: 0,
    entries: [],
    round: leadership.round,
    freshBoot: 0,
    freshStamp: 0,
    freshIndex: 0,
  });
}
