import { assert } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import { LIMITS } from "./limits.ts";

/**
 * The numbers that callers of SCAN, HSCAN and SSCAN go on with, each for the key, field or member
 * after which to go on: to know that is enough, whatever it is a name in. They live on the node
 * that took the command, so that what travels and what replicas do is without state.
 *
 * The table is bounded: the least recently used cursor is forgotten first, and its caller has to
 * begin anew. Numbers are not used twice in the life of a process.
 */
export class ScanCursors {
  readonly #cursorsMax: number;
  /** In order of use, oldest first: a JavaScript Map keeps the order of insertion. */
  readonly #names = new Map<number, ByteString>();
  readonly #numbers = new Map<ByteString, number>();
  #last = 0;

  constructor(cursorsMax: number = LIMITS.scanCursorsMax) {
    assert(cursorsMax > 0, "a table of no cursors");
    this.#cursorsMax = cursorsMax;
  }

  get size(): number {
    return this.#names.size;
  }

  /** The number for going on after `name`, which gets the same one while it is known. */
  numberFor(name: ByteString): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) {
      this.#use(known, name);
      return known;
    }
    this.#last += 1;
    this.#names.set(this.#last, name);
    this.#numbers.set(name, this.#last);
    this.#forgetOldest();
    return this.#last;
  }

  /** The name after which this cursor goes on; undefined if it was not given out, or forgotten. */
  nameOf(number: number): ByteString | undefined {
    const name = this.#names.get(number);
    if (name !== undefined) this.#use(number, name);
    return name;
  }

  #use(number: number, name: ByteString): void {
    this.#names.delete(number);
    this.#names.set(number, name);
  }

  #forgetOldest(): void {
    if (this.#names.size <= this.#cursorsMax) return;
    for (const [number, name] of this.#names) {
      this.#names.delete(number);
      this.#numbers.delete(name);
      break;
    }
    assert(this.#names.size === this.#numbers.size, "cursors and names are one to one");
  }
}
