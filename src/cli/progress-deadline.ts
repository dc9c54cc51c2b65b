/** Steps forward may stretch the limit to so many times itself: some lead nowhere. */
const STRETCH_MAX = 20;

/** A time limit that begins anew with every step forward: it ends what stands still. */
export class ProgressDeadline {
  readonly #timeoutMs: number;
  readonly #last: number;
  #until: number;
  #reached = Number.NEGATIVE_INFINITY;

  constructor(timeoutMs: number, nowMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#until = nowMs + timeoutMs;
    this.#last = nowMs + STRETCH_MAX * timeoutMs;
  }

  /**
   * Whether nothing has got beyond the furthest `progress` so far for the whole time, or it takes
   * far too long.
   */
  isOver(progress: number, nowMs: number): boolean {
    if (progress > this.#reached) {
      this.#reached = progress;
      this.#until = nowMs + this.#timeoutMs;
    }
    return nowMs > Math.min(this.#until, this.#last);
  }
}
