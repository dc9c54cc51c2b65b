import { assert, defined } from "../base/assert.ts";
import type { SnapshotHandle } from "../contract/state-store.ts";

/**
 * Several snapshots of one commit, read one after the other as if they were one: a group's rows
 * without those that lie between its ranges.
 */
export class SnapshotChain implements SnapshotHandle {
  readonly #parts: readonly SnapshotHandle[];

  /** The parts must be opened with no commit in between. */
  constructor(parts: readonly SnapshotHandle[]) {
    assert(parts.length > 0, "a chain of nothing");
    this.#parts = parts;
  }

  /** A cursor is the part's own, times the number of parts, plus which part it is. */
  chunk(cursor: number, bytesMax: number) {
    const count = this.#parts.length;
    let at = cursor % count;
    let inner = (cursor - at) / count;
    for (;;) {
      const part = defined(this.#parts[at], "a part of the chain");
      const { rows, next } = part.chunk(inner, bytesMax);
      if (next !== null) return { rows, next: next * count + at };
      if (at + 1 === count) return { rows, next: null };
      if (rows.length > 0) return { rows, next: at + 1 };
      at += 1;
      inner = 0;
    }
  }

  release(): void {
    for (const part of this.#parts) part.release();
  }
}
