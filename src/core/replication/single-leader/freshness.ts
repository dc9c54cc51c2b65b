import type { Instant, LogIndex } from "../../contract/ids.ts";

/** A measured fact: a state that has applied `index` holds all that was committed at `stamp`. */
interface DatedIndex {
  readonly stamp: Instant;
  readonly index: LogIndex;
}

/** Facts whose entries are not applied yet; when there are so many, later ones are left out. */
const AWAITED_MAX = 64;

/**
 * How old this replica's state may be (LEAD6), by this node's own monotonic clock.
 *
 * The facts stay true whatever becomes of the leader that told them: they speak of committed
 * entries. They end with the process, whose clock they are measured by. Several are kept, because
 * the latest one may name an entry that a replica under load has always yet to apply.
 */
export class Freshness {
  #stamp: Instant = Number.NEGATIVE_INFINITY;
  /** Ascending in both. */
  #awaited: DatedIndex[] = [];

  note(stamp: Instant, index: LogIndex): void {
    const last = this.#awaited[this.#awaited.length - 1];
    if (stamp <= this.#stamp || (last !== undefined && stamp <= last.stamp)) return;
    // A later leader may confirm an index below an earlier one's: then the earlier fact is weaker.
    while (this.#awaited.length > 0 && this.#awaited[this.#awaited.length - 1]!.index >= index) {
      this.#awaited.pop();
    }
    if (this.#awaited.length < AWAITED_MAX) this.#awaited.push({ stamp, index });
  }

  /** Ms that the state is old at most, once `appliedIndex` is applied; null while unknown. */
  staleMs(appliedIndex: LogIndex, now: Instant): number | null {
    let applied = 0;
    while (applied < this.#awaited.length && this.#awaited[applied]!.index <= appliedIndex) {
      this.#stamp = this.#awaited[applied]!.stamp;
      applied += 1;
    }
    if (applied > 0) this.#awaited.splice(0, applied);
    if (this.#stamp === Number.NEGATIVE_INFINITY) return null;
    // Who asks for the status may have read the clock before the latest stamp was taken.
    return Math.max(0, now - this.#stamp);
  }
}
