import { assert } from "./assert.ts";

/**
 * A seeded generator (sfc32), integers only, so that every engine draws the same numbers. The host
 * seeds it from real entropy, the simulator from its seed; each replica has a stream of its own, so
 * that a draw added in one does not shift all others.
 */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, stream = 0) {
    assert(Number.isSafeInteger(seed) && seed >= 0, "a seed is a whole number", seed);
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 0x1_0000_0000) >>> 0;
    this.#c = stream >>> 0;
    for (let i = 0; i < 15; i += 1) this.u32();
  }

  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    assert(limit > 0 && limit <= 0x1_0000_0000, "limit out of range", limit);
    // The remainder's bias is at most limit / 2^32: nothing here depends on it.
    return this.u32() % limit;
  }

  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    assert(low <= high, "empty range");
    return low + this.below(high - low + 1);
  }

  /** True in `numerator` of `denominator` cases. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }

  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, "nothing to pick from");
    return items[this.below(items.length)]!;
  }

  /** An independent generator, its seed drawn from this one. */
  split(stream: number): Prng {
    return new Prng(this.u32() * 0x10_0000 + (this.u32() >>> 12), stream);
  }
}
