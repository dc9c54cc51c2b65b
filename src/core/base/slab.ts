import { assert } from "./assert.ts";

/** The first slab is small: of many groups on a node most have little to do. */
const SLAB_BYTES_MIN = 1_024;
const SLAB_BYTES_MAX = 65_536;
/** Larger arrays are made on their own: they would waste the end of a slab. */
const SLICE_BYTES_MAX = 4_096;

/**
 * Hands out small byte arrays that share large ones: making an array per operation costs several
 * times what filling it does. A slice pins its slab, so it suits what is kept for about as long as
 * its neighbours: proposals, log entries, rows until the next checkpoint.
 */
export class Slab {
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #nextBytes = SLAB_BYTES_MIN;

  /** `length` bytes that nobody else has; zeros. */
  take(length: number): Uint8Array {
    assert(length >= 0, "a slice of negative length");
    if (length > SLICE_BYTES_MAX) return new Uint8Array(length);
    if (this.#at + length > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.max(length, this.#nextBytes));
      this.#nextBytes = Math.min(2 * this.#nextBytes, SLAB_BYTES_MAX);
      this.#at = 0;
    }
    const slice = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return slice;
  }
}
