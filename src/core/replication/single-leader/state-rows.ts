import { assert } from "../../base/assert.ts";
import type { ByteString } from "../../base/bytes.ts";
import { RowHash, type RowHashText } from "../../base/row-hash.ts";
import type { Row } from "../../contract/state-store.ts";
import type { Memtable } from "../../log/memtable.ts";

/** A walk over all rows, to see whether they still are what was put. */
interface Scrub {
  readonly found: RowHash;
  /** Rows before it are counted; the next one is the first at or behind it. */
  cursor: ByteString;
}

/** What a step of a scrub found: `going`, and at the end whether the rows are what was put. */
export type ScrubProgress = "going" | "whole" | "damaged";

/** A step of a scrub ends early when it has read this much. */
const SCRUB_BYTES_MAX = 256 << 10;

/**
 * The rows of one generation of a keyspace, and the hash over all of them, which follows every
 * change (STO7). All changes of state go through here; reads may go past it.
 *
 * The hash says what the rows should be. That they are it, a scrub sees: it reads all rows, a few
 * at a time, while they go on changing, and comes to the same hash or not.
 */
export class StateRows {
  readonly #memtable: Memtable;
  readonly #from: ByteString;
  readonly #to: ByteString;
  readonly #hash: RowHash;
  #scrub: Scrub | null = null;

  /** `hash` is of the rows in [from, to) now. */
  constructor(memtable: Memtable, from: ByteString, to: ByteString, hash: RowHashText) {
    assert(from < to, "a generation lies between its ends");
    this.#memtable = memtable;
    this.#from = from;
    this.#to = to;
    this.#hash = RowHash.from(hash);
  }

  /** What the rows should amount to, equal on every replica that has applied as much. */
  get hash(): RowHashText {
    return this.#hash.text;
  }

  /** Makes `into` the hash as it is now, without making a text of it. */
  copyHash(into: RowHash): void {
    into.copy(this.#hash);
  }

  get(key: ByteString): Uint8Array | undefined {
    return this.#memtable.get(key);
  }

  has(key: ByteString): boolean {
    return this.#memtable.has(key);
  }

  rows(from: ByteString, to: ByteString | null): Iterable<Row> {
    return this.#memtable.rows(from, to);
  }

  /** True if the key had no value. Keeps the array: the caller does not change it any more. */
  put(key: ByteString, value: Uint8Array): boolean {
    const old = this.#memtable.exchange(key, value);
    this.#exchanged(key, old, value);
    return old === undefined;
  }

  /** As `put`, for callers who have just read what was there: that spares a look into the store. */
  replace(key: ByteString, old: Uint8Array, value: Uint8Array): void {
    assert(old !== value, "a row that was changed where it lies");
    this.#memtable.set(key, value);
    this.#exchanged(key, old, value);
  }

  #exchanged(key: ByteString, old: Uint8Array | undefined, value: Uint8Array): void {
    const prefix = this.#from.length;
    if (old !== undefined) this.#hash.remove(key, prefix, old);
    this.#hash.add(key, prefix, value);
    const scrub = this.#scrub;
    if (scrub !== null && key < scrub.cursor) {
      if (old !== undefined) scrub.found.remove(key, prefix, old);
      scrub.found.add(key, prefix, value);
    }
  }

  /** True if the key had a value. */
  delete(key: ByteString): boolean {
    const old = this.#memtable.get(key);
    if (old === undefined) return false;
    this.#memtable.delete(key);
    this.#hash.remove(key, this.#from.length, old);
    const scrub = this.#scrub;
    if (scrub !== null && key < scrub.cursor) scrub.found.remove(key, this.#from.length, old);
    return true;
  }

  /** Whether a scrub is under way. */
  get isScrubbing(): boolean {
    return this.#scrub !== null;
  }

  /**
   * Goes on with a scrub, or begins one, for about so many rows. Throws `CheckpointError` where the
   * store itself knows a row to be damaged.
   */
  scrub(rowsMax: number): ScrubProgress {
    const scrub = this.#scrub ?? { found: new RowHash(), cursor: this.#from };
    this.#scrub = scrub;
    let rows = 0;
    let bytes = 0;
    for (const [key, value] of this.#memtable.rows(scrub.cursor, this.#to)) {
      if (rows >= rowsMax || bytes >= SCRUB_BYTES_MAX) return "going";
      scrub.found.add(key, this.#from.length, value);
      scrub.cursor = `${key}\0`;
      rows += 1;
      bytes += value.length;
    }
    this.#scrub = null;
    return scrub.found.equals(this.#hash) ? "whole" : "damaged";
  }
}
