import { assert } from "../../base/assert.ts";
import type { Instant, LogIndex } from "../../contract/ids.ts";

/** How long and how large a group may grow. */
export interface GroupCommitLimits {
  /** An entry waits no longer than this for others to go with it; 0: none ever waits. */
  readonly groupWaitMsMax: number;
  /** So many entries go at once, whatever else is under way. */
  readonly groupEntriesMax: number;
}

/**
 * Decides when a leader's new entries leave for its disk and its followers: as groups, because a
 * frame, a sync and an acknowledgement for every handful of entries is what most of the processors'
 * time would go into.
 *
 * The next group collects while one is being committed, as in databases (DeWitt et al., SIGMOD
 * 1984). Nothing waits longer than `groupWaitMsMax`, so that a long way between the nodes is filled
 * and latency there is that of the way. One client that waits for its answers never waits for more.
 */
export class GroupCommit {
  /** Entries up to here have left, or may leave now. Never decreases in a term. */
  #releasedIndex: LogIndex;
  #heldSince: Instant | null = null;

  constructor(releasedIndex: LogIndex) {
    this.#releasedIndex = releasedIndex;
  }

  get releasedIndex(): LogIndex {
    return this.#releasedIndex;
  }

  /** Once per turn, when it is known what is new and what is committed. */
  release(lastIndex: LogIndex, commitIndex: LogIndex, limits: GroupCommitLimits, now: Instant) {
    assert(lastIndex >= this.#releasedIndex, "released what is not there");
    const waiting = lastIndex - this.#releasedIndex;
    if (waiting === 0) return;
    const isUnderWay = commitIndex < this.#releasedIndex;
    this.#heldSince ??= now;
    // Computed as `deadline` is: a turn made exactly then must find it late.
    const isLate = now >= this.#heldSince + limits.groupWaitMsMax;
    if (isUnderWay && !isLate && waiting < limits.groupEntriesMax) return;
    this.#releasedIndex = lastIndex;
    this.#heldSince = null;
  }

  /** When entries that are held must go. */
  deadline(limits: GroupCommitLimits): Instant | null {
    return this.#heldSince === null ? null : this.#heldSince + limits.groupWaitMsMax;
  }
}
