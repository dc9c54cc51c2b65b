import { assert } from "./assert.ts";

/** Places given up at the front before they are cleared away, at the least. */
const CLEARED_MIN = 64;

/**
 * First in, first out, at a constant cost per item: `Array.shift` moves all that stay. Nothing that
 * was taken out is kept alive for long, also where the queue is never empty.
 */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Places that it takes up, for tests: those of its items, and at most about as many again. */
  get places(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The oldest item; undefined if there is none. */
  get front(): T | undefined {
    return this.#items[this.#head];
  }

  /** Takes the oldest item out. */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.length === 0) this.#items = [];
    else if (this.#head < CLEARED_MIN || this.#head * 2 < this.#items.length) return item;
    else this.#items = this.#items.slice(this.#head);
    this.#head = 0;
    assert(this.places === this.length, "a queue that was cleared has no gap");
    return item;
  }
}
