import { assert } from "../../core/base/assert.ts";

/** Simulated time: whole microseconds since the run began, so that sums are exact. */
export type Micros = number;

interface Event {
  readonly at: Micros;
  readonly seq: number;
  readonly run: () => void;
}

/**
 * The simulation's only source of time. Events run in order of (time, order of scheduling): nothing
 * else decides, so a seed gives the same run everywhere.
 */
export class Scheduler {
  /** A binary heap: the parent of i is (i - 1) >> 1. */
  readonly #heap: Event[] = [];
  #now: Micros = 0;
  #seq = 0;
  #executed = 0;

  get now(): Micros {
    return this.#now;
  }

  /** Events run so far. */
  get executed(): number {
    return this.#executed;
  }

  get pending(): number {
    return this.#heap.length;
  }

  at(time: Micros, run: () => void): void {
    assert(Number.isInteger(time) && time >= this.#now, `an event in the past or between: ${time}`);
    this.#seq += 1;
    this.#push({ at: time, seq: this.#seq, run });
  }

  after(delay: Micros, run: () => void): void {
    this.at(this.#now + delay, run);
  }

  /**
   * Runs every event up to and including `time`, and those that they schedule; then it is `time`.
   */
  runUntil(time: Micros): void {
    assert(time >= this.#now, "time does not go back");
    while (this.#heap.length > 0 && this.#heap[0]!.at <= time) this.#runNext();
    this.#now = time;
  }

  /** Runs events until `done` says so after one of them; false if it is `time` before that. */
  runUntilDone(time: Micros, done: () => boolean): boolean {
    while (!done()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > time) {
        this.#now = Math.max(this.#now, time);
        return false;
      }
      this.#runNext();
    }
    return true;
  }

  #runNext(): void {
    const event = this.#pop();
    assert(event.at >= this.#now, "time does not go back");
    this.#now = event.at;
    this.#executed += 1;
    event.run();
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): Event {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    assert(first !== undefined && last !== undefined, "nothing is scheduled");
    if (heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.seq < b.seq);
}
