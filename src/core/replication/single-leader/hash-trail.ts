import { RowHash, type RowHashText } from "../../base/row-hash.ts";
import type { LogIndex } from "../../contract/ids.ts";
import type { StateRows } from "./state-rows.ts";

/** Every replica remembers the hash of its state at indexes that are a multiple of this. */
const STEP = 64;

/** As many of these as are remembered: replicas this many entries apart can still be compared. */
const KEPT = 64;

/**
 * The hashes of a replica's state at some indexes it has come by, so that two replicas can compare
 * theirs at one index, although they rarely are there at the same time (STO7).
 */
export class HashTrail {
  readonly #indexes = new Float64Array(KEPT).fill(-1);
  /** Made when first needed: most groups of a node never come so far between two starts. */
  readonly #hashes: RowHash[] = [];
  #latest: LogIndex | null = null;
  #watched: LogIndex = -1;
  readonly #atWatched = new RowHash();
  #isWatchedPassed = false;

  /** Once per entry applied: the state is now that of this index. */
  note(index: LogIndex, rows: StateRows): void {
    if (index === this.#watched) {
      rows.copyHash(this.#atWatched);
      this.#isWatchedPassed = true;
    }
    if (index % STEP !== 0) return;
    const slot = (index / STEP) % KEPT;
    this.#indexes[slot] = index;
    rows.copyHash(this.#hashAt(slot));
    this.#latest = index;
  }

  #hashAt(slot: number): RowHash {
    // In order, so that the array has no holes.
    while (this.#hashes.length <= slot) this.#hashes.push(new RowHash());
    return this.#hashes[slot]!;
  }

  /** The newest index of those that every replica remembers; null for none yet. */
  get latest(): LogIndex | null {
    return this.#latest;
  }

  /** Asks to remember one more index, which is still to come. */
  watch(index: LogIndex): void {
    this.#watched = index;
    this.#isWatchedPassed = false;
  }

  /** The hash at an index; null where it is not remembered. */
  at(index: LogIndex): RowHashText | null {
    if (index === this.#watched && this.#isWatchedPassed) return this.#atWatched.text;
    const slot = (index / STEP) % KEPT;
    if (!Number.isInteger(slot) || this.#indexes[slot] !== index) return null;
    return this.#hashAt(slot).text;
  }

  /** The state is another one from now on. */
  clear(): void {
    this.#indexes.fill(-1);
    this.#latest = null;
    this.#watched = -1;
  }
}
