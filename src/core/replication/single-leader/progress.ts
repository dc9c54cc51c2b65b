import { assert } from "../../base/assert.ts";
import type { Instant, LogIndex, NodeId } from "../../contract/ids.ts";
import type { SnapshotSpool } from "./snapshot-spool.ts";

/** A snapshot on its way to one follower (Raft §7, STO9). */
export interface SnapshotTransfer {
  readonly spool: SnapshotSpool;
  /** Whether the follower was asked where to go on, or is sent chunks. */
  phase: "offering" | "offered" | "sending";
  /** The follower has to begin anew: what it has is not of this file. */
  isFresh: boolean;
  /** Where the follower said that it stands. */
  resumedAt: number;
  /** The follower has everything before `acked`; chunks up to `sent` are under way. */
  acked: number;
  sent: number;
  /** When the follower last got on, or was last asked. */
  progressAt: Instant;
}

/** What a follower's clock said, and the start of its process that it counts from (LEAD6). */
export interface Stamp {
  readonly boot: number;
  readonly at: Instant;
}

/** Of a follower that has not answered yet. */
export const NO_STAMP: Stamp = { boot: 0, at: 0 };

/**
 * What the leader knows of one follower (Raft §5.3).
 *
 * - `probe`: the logs' common prefix is not known; one AppendEntries at a time looks for it.
 * - `replicate`: it is known; AppendEntries are pipelined without waiting.
 * - `snapshot`: the entries it needs are compacted; a snapshot is on its way.
 */
export class Progress {
  readonly node: NodeId;
  state: "probe" | "replicate" | "snapshot" = "probe";
  /** Highest index known to be durable in the follower's log. Never decreases in a term. */
  matchIndex: LogIndex = 0;
  /**
   * First index of the next AppendEntries. In `replicate`, (matchIndex, nextIndex) is in flight.
   * Invariant: matchIndex < nextIndex ≤ log.lastIndex + 1.
   */
  nextIndex: LogIndex;
  /** In `probe`: an AppendEntries is unanswered; the next one waits for a heartbeat. */
  probing = false;
  /** Bytes of entries in flight, by the last index of each AppendEntries. */
  readonly inFlight: { readonly lastIndex: LogIndex; readonly bytes: number }[] = [];
  inFlightBytes = 0;
  /** The commitIndex and confirmation round last told to it. */
  toldCommit: LogIndex = 0;
  toldRound = 0;
  /** Its highest acknowledged confirmation round (LEAD5). */
  ackedRound = 0;
  lastSentAt: Instant;
  /** When it last answered in this term: check-quorum counts it (LEAD2). */
  lastHeardAt: Instant;
  appliedIndex: LogIndex = 0;
  /** Its wall clock less our monotonic one, by its latest reply; null before the first (GEN7). */
  wallOffset: number | null = null;
  snapshot: SnapshotTransfer | null = null;
  /** Its state is known to be wrong: it needs a snapshot that reaches at least here (STO7). */
  rebuildFrom: LogIndex | null = null;
  /** LEAD6: its latest stamp, and the one that a round has confirmed with its commitIndex. */
  stamp: Stamp = NO_STAMP;
  freshStamp: Stamp = NO_STAMP;
  freshIndex: LogIndex = 0;

  constructor(node: NodeId, nextIndex: LogIndex, now: Instant) {
    this.node = node;
    this.nextIndex = nextIndex;
    this.lastSentAt = now;
    this.lastHeardAt = now;
  }

  /**
   * Takes a stamp if it is news: answers may overtake one another. Those of another start of the
   * process do not compare.
   */
  stamped(boot: number, at: Instant): boolean {
    if (boot === this.stamp.boot && at <= this.stamp.at) return false;
    this.stamp = { boot, at };
    return true;
  }

  becomeProbe(): void {
    this.state = "probe";
    this.probing = false;
    this.nextIndex = this.matchIndex + 1;
    this.#landAll();
  }

  becomeReplicate(): void {
    assert(this.state !== "snapshot", "a snapshot is needed first");
    this.state = "replicate";
    this.probing = false;
    this.nextIndex = this.matchIndex + 1;
    this.#landAll();
  }

  sent(lastIndex: LogIndex, bytes: number): void {
    assert(lastIndex >= this.nextIndex, "nothing was sent");
    this.nextIndex = lastIndex + 1;
    this.inFlight.push({ lastIndex, bytes });
    this.inFlightBytes += bytes;
  }

  /** The follower holds everything up to here. Says whether that is news. */
  matched(index: LogIndex, mayRegress: boolean): boolean {
    while (this.inFlight.length > 0 && this.inFlight[0]!.lastIndex <= index) {
      this.inFlightBytes -= this.inFlight.shift()!.bytes;
    }
    const news = index > this.matchIndex;
    if (news || mayRegress) this.matchIndex = index;
    this.nextIndex = Math.max(this.nextIndex, index + 1);
    return news;
  }

  dropSnapshot(): void {
    this.snapshot = null;
  }

  #landAll(): void {
    this.inFlight.length = 0;
    this.inFlightBytes = 0;
  }
}
