import { NO_ROWS } from "../../base/row-hash.ts";
import type { Instant, LogIndex } from "../../contract/ids.ts";
import type { StateStore } from "../../contract/state-store.ts";
import type { Memtable } from "../../log/memtable.ts";
import type { SnapshotFiles } from "../../log/snapshot-file.ts";
import type { Applier } from "./applier.ts";
import type { Raft } from "./raft.ts";
import { SnapshotReceiver } from "./snapshot-receiver.ts";
import { type Checkpointed, SnapshotSender } from "./snapshot-sender.ts";

/** What a replica's snapshots are made of and put into. */
export interface SnapshotParts {
  readonly memtable: Memtable;
  readonly store: StateStore;
  readonly files: SnapshotFiles;
  readonly requestCheckpoint: () => void;
}

/** Both ends of the snapshots of a group, and what they leave of its log (Raft §7, STO9). */
export class Snapshots {
  readonly sender: SnapshotSender;
  readonly receiver: SnapshotReceiver;
  readonly #raft: Raft;
  readonly #applier: Applier;
  /** The group's state in the last durable checkpoint, and in the one being taken. */
  #durable: Checkpointed = { index: 0, term: 0, hash: NO_ROWS, generation: 0 };
  #frozen: Checkpointed = this.#durable;

  constructor(raft: Raft, applier: Applier, parts: SnapshotParts) {
    this.#raft = raft;
    this.#applier = applier;
    this.receiver = new SnapshotReceiver(raft, applier, parts);
    this.sender = new SnapshotSender(raft, applier, { ...parts, durable: () => this.#durable });
  }

  /** No snapshot is sent, taken in or cleared away, and none is needed here. */
  get isIdle(): boolean {
    return this.sender.isIdle && this.receiver.isIdle;
  }

  /** The node begins a checkpoint: what `writeRows` has just put into the memtable is in it. */
  onFreeze(): void {
    this.#frozen = this.#now();
    this.receiver.onFreeze();
  }

  /** The checkpoint is durable: entries that it covers may go, an installed snapshot is safe. */
  onCheckpoint(): void {
    this.#durable = this.#frozen;
    this.receiver.onCheckpoint();
  }

  /** After recovery: the state came from a durable checkpoint. */
  restored(): void {
    this.#durable = this.#now();
    this.#frozen = this.#durable;
  }

  #now(): Checkpointed {
    const { appliedIndex: index, appliedTerm: term, generation, stateRows } = this.#applier;
    return { index, term, hash: stateRows.hash, generation };
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
    for (const { snapshot, state, matchIndex, lastHeardAt } of this.#raft.leadership?.followers ??
      []) {
      if (lastHeardAt < since) continue;
      const isBehind = state === "snapshot" && snapshot !== null;
      index = Math.min(index, isBehind ? snapshot.spool.id.index : matchIndex);
    }
    return index;
  }
}
