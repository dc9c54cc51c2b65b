import type { Instant, LogIndex } from "../../contract/ids.ts";

/** What was committed at an instant of the leader's clock. */
interface CommitSample {
  readonly at: Instant;
  readonly commitIndex: LogIndex;
}

/** Beyond this, older samples are thinned out: lag that is long is told less exactly. */
const SAMPLES_MAX = 256;

/**
 * When the leader had committed what, one sample per heartbeat: from how far a follower has applied
 * follows how old its state is at most. It says what operators see, and decides nothing.
 */
export class CommitHistory {
  /** Ascending in both. */
  #samples: CommitSample[] = [];

  note(commitIndex: LogIndex, at: Instant): void {
    this.#samples.push({ at, commitIndex });
    if (this.#samples.length <= SAMPLES_MAX) return;
    const recent = SAMPLES_MAX / 2;
    this.#samples = this.#samples.filter((_, i) => i % 2 === 0 || i > recent);
  }

  /** The latest instant known at which no more than `index` was committed; null where unknown. */
  heldUntil(index: LogIndex): Instant | null {
    for (let i = this.#samples.length - 1; i >= 0; i -= 1) {
      const { at, commitIndex } = this.#samples[i]!;
      if (commitIndex <= index) return at;
    }
    return null;
  }
}
