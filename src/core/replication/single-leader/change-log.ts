import { assert } from "../../base/assert.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { LogIndex } from "../../contract/ids.ts";

/** One key that an entry changed; null: it is gone. */
export interface Change {
  readonly index: LogIndex;
  readonly key: ByteString;
  readonly row: Uint8Array | null;
}

/** Changes remembered at most, and about how many bytes. */
export const CHANGE_LOG_LIMITS = {
  changesMax: 65_536,
  bytesMax: 16_777_216,
} as const;

/** What a change costs beside its row and key; a guess. */
const CHANGE_BYTES = 64;

/**
 * The latest changes of a keyspace, in the order of its log, for those who follow them. Each
 * replica has its own, made anew at each start: all changes behind `start` are there, none before.
 */
export class ChangeLog {
  readonly #limits: { readonly changesMax: number; readonly bytesMax: number };
  #changes: Change[] = [];
  #head = 0;
  #bytes = 0;
  #start: LogIndex = 0;

  constructor(
    limits: { readonly changesMax: number; readonly bytesMax: number } = CHANGE_LOG_LIMITS,
  ) {
    this.#limits = limits;
  }

  /** Every change of an entry behind this one is remembered. */
  get start(): LogIndex {
    return this.#start;
  }

  /** The state is another one as of this index: what led to it is not known. */
  reset(index: LogIndex): void {
    this.#changes = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#start = index;
  }

  add(index: LogIndex, key: ByteString, row: Uint8Array | null): void {
    assert(index > this.#start, "a change of the past", index);
    this.#changes.push({ index, key, row });
    this.#bytes += bytesOf(key, row);
    while (this.#isFull) this.#forgetOldest();
  }

  get #isFull(): boolean {
    const count = this.#changes.length - this.#head;
    return count > this.#limits.changesMax || (this.#bytes > this.#limits.bytesMax && count > 0);
  }

  /** An entry is remembered whole or not at all. */
  #forgetOldest(): void {
    const { index } = this.#changes[this.#head]!;
    this.#start = index;
    while (this.#head < this.#changes.length && this.#changes[this.#head]!.index === index) {
      const { key, row } = this.#changes[this.#head]!;
      this.#bytes -= bytesOf(key, row);
      this.#head += 1;
    }
    if (this.#head * 2 < this.#changes.length) return;
    this.#changes = this.#changes.slice(this.#head);
    this.#head = 0;
  }

  /**
   * Changes behind `after` whose keys begin with the prefix: about `countMax`, and all of an entry
   * or none. `next` is how far they reach.
   */
  read(
    after: LogIndex,
    prefix: ByteString,
    countMax: number,
    applied: LogIndex,
  ): { readonly changes: readonly Change[]; readonly next: LogIndex } {
    assert(after >= this.#start, "what came then is forgotten", after);
    const changes: Change[] = [];
    for (let i = this.#firstBehind(after); i < this.#changes.length; i += 1) {
      const change = this.#changes[i]!;
      const last = changes.at(-1);
      if (changes.length >= countMax && last !== undefined && last.index !== change.index) {
        return { changes, next: last.index };
      }
      if (change.key.startsWith(prefix)) changes.push(change);
    }
    return { changes, next: applied };
  }

  #firstBehind(after: LogIndex): number {
    let low = this.#head;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#changes[middle]!.index <= after) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function bytesOf(key: ByteString, row: Uint8Array | null): number {
  return CHANGE_BYTES + key.length + (row?.length ?? 0);
}
