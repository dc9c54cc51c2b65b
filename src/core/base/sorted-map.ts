import { assert } from "./assert.ts";

const CHUNK_KEYS_MAX = 512;

/** Putting this many keys into their places takes about a millisecond: no scan waits longer. */
const UNPLACED_KEYS_MAX = 1024;

/**
 * A map of byte strings that is iterated in the order of its keys.
 *
 * Point look-ups go to a hash map; the order is kept in a list of sorted chunks that only new and
 * deleted keys touch. New keys are put into their places in batches, which is cheaper than one by
 * one, but never later than the next look at the order.
 */
export class SortedMap<V> {
  readonly #values = new Map<string, V>();
  #chunks: string[][] = [];
  /** Keys that are in the map but not yet in the chunks. */
  #unplaced: string[] = [];

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  set(key: string, value: V): void {
    const before = this.#values.size;
    this.#values.set(key, value);
    if (this.#values.size === before) return;
    this.#unplaced.push(key);
    if (this.#unplaced.length >= UNPLACED_KEYS_MAX) this.#place();
  }

  delete(key: string): boolean {
    if (!this.#values.delete(key)) return false;
    if (this.#unplaced.at(-1) === key) {
      this.#unplaced.pop();
      return true;
    }
    this.#place();
    const c = this.#chunkOf(key);
    const chunk = this.#chunks[c]!;
    const at = lowerBound(chunk, key);
    assert(chunk[at] === key, "key missing from the order");
    chunk.splice(at, 1);
    if (chunk.length === 0) this.#chunks.splice(c, 1);
    return true;
  }

  clear(): void {
    this.#values.clear();
    this.#chunks = [];
    this.#unplaced = [];
  }

  /** The first key ≥ `from`, or null. */
  ceilingKey(from: string): string | null {
    this.#place();
    if (this.#chunks.length === 0) return null;
    const c = this.#chunkOf(from);
    const chunk = this.#chunks[c]!;
    const at = lowerBound(chunk, from);
    return chunk[at] ?? this.#chunks[c + 1]?.[0] ?? null;
  }

  /** The first key > `after`, or null. */
  nextKey(after: string): string | null {
    return this.ceilingKey(`${after}\0`);
  }

  /**
   * Keys in [from, to), in order; `to` null means to the end. Valid while the map is not changed.
   */
  *keys(from = "", to: string | null = null): Generator<string> {
    this.#place();
    if (this.#chunks.length === 0) return;
    let c = this.#chunkOf(from);
    let at = lowerBound(this.#chunks[c]!, from);
    while (c < this.#chunks.length) {
      const chunk = this.#chunks[c]!;
      for (; at < chunk.length; at += 1) {
        const key = chunk[at]!;
        if (to !== null && key >= to) return;
        yield key;
      }
      c += 1;
      at = 0;
    }
  }

  *entries(from = "", to: string | null = null): Generator<readonly [string, V]> {
    for (const key of this.keys(from, to)) yield [key, this.#values.get(key) as V];
  }

  /** Brings the keys that came since the last time into the order. */
  #place(): void {
    const { length } = this.#unplaced;
    if (length === 0) return;
    const fresh = this.#unplaced.sort(compareKeys);
    this.#unplaced = [];
    // Few among many are put in one by one; otherwise one pass over all of them is cheaper.
    if (length * 16 < this.#values.size) for (const key of fresh) this.#insert(key);
    else this.#rebuild(fresh);
    assert(this.#chunks.length > 0, "keys without a chunk");
  }

  #rebuild(fresh: readonly string[]): void {
    const old = this.#chunks.flat();
    const chunks: string[][] = [];
    let chunk: string[] = [];
    let o = 0;
    let f = 0;
    while (o < old.length || f < fresh.length) {
      const takeOld = f >= fresh.length || (o < old.length && old[o]! < fresh[f]!);
      const key = takeOld ? old[o]! : fresh[f]!;
      if (takeOld) o += 1;
      else f += 1;
      chunk.push(key);
      if (chunk.length < CHUNK_KEYS_MAX / 2) continue;
      chunks.push(chunk);
      chunk = [];
    }
    if (chunk.length > 0) chunks.push(chunk);
    this.#chunks = chunks;
  }

  /** The chunk that holds the key or would take it. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#chunks[middle]![0]! <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #insert(key: string): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push([key]);
      return;
    }
    const c = this.#chunkOf(key);
    const chunk = this.#chunks[c]!;
    chunk.splice(lowerBound(chunk, key), 0, key);
    if (chunk.length <= CHUNK_KEYS_MAX) return;
    // Keys often arrive in ascending order: an uneven cut leaves full chunks behind.
    const keep = c === this.#chunks.length - 1 ? chunk.length - 32 : chunk.length >> 1;
    this.#chunks.splice(c + 1, 0, chunk.splice(keep));
  }
}

/** Position of the first element ≥ key. */
function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
