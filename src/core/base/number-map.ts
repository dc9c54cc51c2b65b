import { assert } from "./assert.ts";

const SLOTS_MIN = 16;
/** Marks a free slot: no key is negative. */
const FREE = -1;
/** 2^32 divided by the golden ratio: spreads consecutive keys over the whole table. */
const SPREAD = 0x9e3779b1;
const U32 = 0x1_0000_0000;

/**
 * A map of whole numbers from 0 to 2^53 - 1, for tables through which every operation passes: a
 * `Map` that fills and empties all the time keeps making new tables for the collector to find.
 *
 * Open addressing with linear probing, at most half full; removal moves later entries back, so
 * there are no tombstones. It never shrinks: what it holds is bounded by its owner. It has no
 * order, and therefore nothing to iterate.
 */
export class NumberMap<V> {
  #keys = new Float64Array(SLOTS_MIN).fill(FREE);
  #values: (V | undefined)[] = new Array<V | undefined>(SLOTS_MIN).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): V | undefined {
    return this.#values[this.#slotOf(key)];
  }

  set(key: number, value: V): void {
    assert(key >= 0 && Number.isSafeInteger(key), "not a key", key);
    const slot = this.#slotOf(key);
    this.#values[slot] = value;
    if (this.#keys[slot] === key) return;
    this.#keys[slot] = key;
    this.#size += 1;
    if (this.#size * 2 > this.#keys.length) this.#grow();
  }

  /** True if the key was there. */
  delete(key: number): boolean {
    let hole = this.#slotOf(key);
    if (this.#keys[hole] !== key) return false;
    const mask = this.#keys.length - 1;
    for (let at = (hole + 1) & mask; this.#keys[at] !== FREE; at = (at + 1) & mask) {
      // An entry may move back only as far as the slot that its key belongs to.
      const home = homeOf(this.#keys[at]!, mask);
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      this.#keys[hole] = this.#keys[at]!;
      this.#values[hole] = this.#values[at];
      hole = at;
    }
    this.#keys[hole] = FREE;
    this.#values[hole] = undefined;
    this.#size -= 1;
    return true;
  }

  clear(): void {
    this.#keys.fill(FREE);
    this.#values.fill(undefined);
    this.#size = 0;
  }

  /** The slot that holds the key, or the free one that would take it. */
  #slotOf(key: number): number {
    const mask = this.#keys.length - 1;
    let at = homeOf(key, mask);
    while (this.#keys[at] !== key && this.#keys[at] !== FREE) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Float64Array(keys.length * 2).fill(FREE);
    this.#values = new Array<V | undefined>(keys.length * 2).fill(undefined);
    for (let i = 0; i < keys.length; i += 1) {
      if (keys[i] === FREE) continue;
      const slot = this.#slotOf(keys[i]!);
      this.#keys[slot] = keys[i]!;
      this.#values[slot] = values[i];
    }
  }
}

function homeOf(key: number, mask: number): number {
  const folded = (key >>> 0) ^ Math.floor(key / U32);
  return (Math.imul(folded, SPREAD) >>> 7) & mask;
}
