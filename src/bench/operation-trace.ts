const FIRST_OPERATIONS = 4096;

/** When operations were due and when they ended, ms of the wall clock, two numbers each. */
export class OperationTrace {
  #times = new Float64Array(2 * FIRST_OPERATIONS);
  #used = 0;

  add(dueAt: number, endedAt: number): void {
    if (this.#used === this.#times.length) {
      const larger = new Float64Array(2 * this.#times.length);
      larger.set(this.#times);
      this.#times = larger;
    }
    this.#times[this.#used] = dueAt;
    this.#times[this.#used + 1] = endedAt;
    this.#used += 2;
  }

  /** All of it, for a file of this machine. */
  bytes(): Uint8Array {
    return new Uint8Array(this.#times.buffer, 0, this.#used * Float64Array.BYTES_PER_ELEMENT);
  }

  /** Calls `each` with what `bytes` gave. */
  static read(bytes: Uint8Array, each: (dueAt: number, endedAt: number) => void): void {
    const times = new Float64Array(Uint8Array.from(bytes).buffer);
    for (let i = 0; i + 1 < times.length; i += 2) each(times[i]!, times[i + 1]!);
  }
}
