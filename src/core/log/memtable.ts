import { assert, defined } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import { SortedMap } from "../base/sorted-map.ts";
import type { Row, StateStore } from "../contract/state-store.ts";

/**
 * What a row costs beside its bytes: map slot, order, array header. A guess; only sums of it
 * matter.
 */
const ROW_BYTES = 96;

/** A key's newest value in one layer; null hides what lies below. */
type Change = readonly [key: ByteString, value: Uint8Array | null];

/**
 * What was changed since the last checkpoint, over the store that holds the rest (STO1, STO5).
 *
 * `freeze` sets the changes aside for a checkpoint; from then on three layers are read, newest
 * first: active, frozen, store. The frozen layer stays until the commit is done and the store shows
 * it, so that a read is right at every moment of a commit, however much of it the store already
 * shows.
 */
export class Memtable {
  readonly #store: StateStore;
  #active = new SortedMap<Uint8Array | null>();
  #frozen: SortedMap<Uint8Array | null> | null = null;
  #bytes = 0;

  constructor(store: StateStore) {
    this.#store = store;
  }

  /** About how much memory the changes take that no checkpoint has taken over. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a checkpoint is working on the frozen changes. */
  get isFrozen(): boolean {
    return this.#frozen !== null;
  }

  get(key: ByteString): Uint8Array | undefined {
    const value = this.#active.get(key);
    return value === undefined ? this.#below(key) : (value ?? undefined);
  }

  has(key: ByteString): boolean {
    const value = this.#active.get(key);
    return value === undefined ? this.#isBelow(key) : value !== null;
  }

  /** True if the key had no value. Keeps the array: the caller does not change it any more. */
  put(key: ByteString, value: Uint8Array): boolean {
    const old = this.#active.get(key);
    this.#putOver(key, value, old);
    return old === undefined ? !this.#isBelow(key) : old === null;
  }

  /** As `put`, for callers who need not know what was there: that is a look into the store. */
  set(key: ByteString, value: Uint8Array): void {
    this.#putOver(key, value, this.#active.get(key));
  }

  #putOver(key: ByteString, value: Uint8Array, old: Uint8Array | null | undefined): void {
    this.#active.set(key, value);
    if (old === undefined) this.#bytes += ROW_BYTES + key.length + value.length;
    else this.#bytes += value.length - (old?.length ?? 0);
  }

  /** As `put`, for who needs what the key held before; undefined if it had no value. */
  exchange(key: ByteString, value: Uint8Array): Uint8Array | undefined {
    const old = this.#active.get(key);
    this.#active.set(key, value);
    if (old !== undefined) {
      this.#bytes += value.length - (old?.length ?? 0);
      return old ?? undefined;
    }
    this.#bytes += ROW_BYTES + key.length + value.length;
    const frozen = this.#frozen?.get(key);
    return frozen === undefined ? this.#store.peek(key) : (frozen ?? undefined);
  }

  /** True if the key had a value. */
  delete(key: ByteString): boolean {
    const isBelow = this.#isBelow(key);
    const current = this.#active.get(key);
    const had = current === undefined ? isBelow : current !== null;
    if (!had) return false;
    this.#forgetBytes(key);
    if (isBelow) {
      this.#active.set(key, null);
      this.#bytes += ROW_BYTES + key.length;
    } else {
      // Nothing below to hide: the checkpoint need not hear of a key that came and went.
      this.#active.delete(key);
    }
    return true;
  }

  /** Deletes the keys with from ≤ key < to and returns how many; `to` null means to the end. */
  deleteRange(from: ByteString, to: ByteString | null): number {
    const keys: ByteString[] = [];
    for (const key of this.keys(from, to)) keys.push(key);
    for (const key of keys) this.delete(key);
    return keys.length;
  }

  /** Rows with from ≤ key < to in order of bytes; null: to the end. Not valid after a change. */
  rows(from: ByteString, to: ByteString | null): Iterable<Row> {
    let rows: Iterable<Row> = this.#store.rows(from, to);
    if (this.#frozen !== null && this.#frozen.size > 0) {
      rows = overlay(this.#frozen.entries(from, to), rows);
    }
    if (this.#active.size > 0) rows = overlay(this.#active.entries(from, to), rows);
    return rows;
  }

  /** The keys of `rows`, without reading a value from the store. */
  keys(from: ByteString, to: ByteString | null): Iterable<ByteString> {
    let keys: Iterable<ByteString> = this.#store.keys(from, to);
    if (this.#frozen !== null && this.#frozen.size > 0) {
      keys = overlayKeys(this.#frozen.entries(from, to), keys);
    }
    if (this.#active.size > 0) keys = overlayKeys(this.#active.entries(from, to), keys);
    return keys;
  }

  /** Sets the changes aside for a checkpoint. The one before must be done. */
  freeze(): void {
    assert(this.#frozen === null, "a checkpoint is still at work on the last freeze");
    this.#frozen = this.#active;
    this.#active = new SortedMap();
    this.#bytes = 0;
  }

  /** The frozen changes, each key once, ascending; null deletes. */
  frozenChanges(): Iterator<Change> {
    return defined(this.#frozen, "nothing is frozen").entries();
  }

  /** The commit of the frozen changes is done: the store shows them from now on. */
  dropFrozen(): void {
    assert(this.#frozen !== null, "nothing is frozen");
    this.#frozen = null;
  }

  /** The value as if nothing had changed since the last freeze. */
  #below(key: ByteString): Uint8Array | undefined {
    const value = this.#frozen?.get(key);
    return value === undefined ? this.#store.get(key) : (value ?? undefined);
  }

  #isBelow(key: ByteString): boolean {
    const value = this.#frozen?.get(key);
    return value === undefined ? this.#store.has(key) : value !== null;
  }

  #forgetBytes(key: ByteString): void {
    const old = this.#active.get(key);
    if (old !== undefined) this.#bytes -= ROW_BYTES + key.length + (old?.length ?? 0);
  }
}

/** Rows of both in order of keys; where both have a key, the upper one's word stands. */
function* overlay(upper: Iterator<Change>, lower: Iterable<Row>): Generator<Row> {
  let change = upper.next();
  for (const row of lower) {
    while (!change.done && change.value[0] < row[0]) {
      const [key, value] = change.value;
      if (value !== null) yield [key, value];
      change = upper.next();
    }
    if (change.done || change.value[0] !== row[0]) {
      yield row;
      continue;
    }
    const [key, value] = change.value;
    if (value !== null) yield [key, value];
    change = upper.next();
  }
  while (!change.done) {
    const [key, value] = change.value;
    if (value !== null) yield [key, value];
    change = upper.next();
  }
}

function* overlayKeys(upper: Iterator<Change>, lower: Iterable<ByteString>): Generator<ByteString> {
  let change = upper.next();
  for (const key of lower) {
    while (!change.done && change.value[0] < key) {
      if (change.value[1] !== null) yield change.value[0];
      change = upper.next();
    }
    if (change.done || change.value[0] !== key) {
      yield key;
      continue;
    }
    if (change.value[1] !== null) yield key;
    change = upper.next();
  }
  while (!change.done) {
    if (change.value[1] !== null) yield change.value[0];
    change = upper.next();
  }
}
