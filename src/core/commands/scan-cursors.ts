import { assert } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import { LIMITS } from "./limits.ts";

/**
 * The numbers that SCAN's callers go on with, each for the key after which to go on. They live on
 * the node that took the command, so that what travels and what replicas do is without state.
 *
 * The table is bounded: the least recently used cursor is forgotten first, and its caller has to
 * begin anew. Numbers are not used twice in the life of a process.
 */
export class ScanCursors {
  readonly #cursorsMax: number;
  /** In order of use, oldest first: a JavaScript Map keeps the order of insertion. */
  readonly #keys = new Map<number, ByteString>();
  readonly #numbers = new Map<ByteString, number>();
  #last = 0;

  constructor(cursorsMax: number = LIMITS.scanCursorsMax) {
    assert(cursorsMax > 0, "a table of no cursors");
    this.#cursorsMax = cursorsMax;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** The number for going on after `key`. The same key gets the same number while it is known. */
  numberFor(key: ByteString): number {
    const known = this.#numbers.get(key);
    if (known !== undefined) {
      this.#use(known, key);
      return known;
    }
    this.#last += 1;
    this.#keys.set(this.#last, key);
    this.#numbers.set(key, this.#last);
    this.#forgetOldest();
    return this.#last;
  }

  /** The key after which this cursor goes on; undefined for a number not given out or forgotten. */
  keyOf(number: number): ByteString | undefined {
    const key = this.#keys.get(number);
    if (key !== undefined) this.#use(number, key);
    return key;
  }

  #use(number: number, key: ByteString): void {
    this.#keys.delete(number);
    this.#keys.set(number, key);
  }

  #forgetOldest(): void {
    if (this.#keys.size <= this.#cursorsMax) return;
    for (const [number, key] of this.#keys) {
      this.#keys.delete(number);
      this.#numbers.delete(key);
      break;
    }
    assert(this.#keys.size === this.#numbers.size, "cursors and keys are one to one");
  }
}
