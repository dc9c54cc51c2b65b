const CR = 13;
const LF = 10;
const DOLLAR = 36;
const MINUS = 45;

/**
 * Counts the replies in a stream of RESP, without making a value of any. It knows what the loaded
 * commands answer: one line, or one bulk string.
 */
export class ReplyCounter {
  /** Error replies seen so far, and the first one's text. */
  errors = 0;
  firstError: string | null = null;
  /** Bytes of a bulk string's body that are still to come. */
  #skip = 0;
  /** The beginning of a line whose end has not arrived. */
  #partial: Buffer | null = null;

  /** The replies that this chunk completes. */
  push(chunk: Buffer): number {
    let bytes = chunk;
    if (this.#partial !== null) {
      bytes = Buffer.concat([this.#partial, chunk]);
      this.#partial = null;
    }
    let replies = 0;
    let at = 0;
    while (at < bytes.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at);
        at += skipped;
        this.#skip -= skipped;
        if (this.#skip === 0) replies += 1;
        continue;
      }
      const end = bytes.indexOf(LF, at);
      if (end === -1 || bytes[end - 1] !== CR) {
        this.#partial = Buffer.from(bytes.subarray(at));
        break;
      }
      if (!this.#line(bytes, at, end - 1)) replies += 1;
      at = end + 1;
    }
    return replies;
  }

  /** Whether the line announces a body. */
  #line(bytes: Buffer, from: number, to: number): boolean {
    const type = bytes[from];
    if (type === MINUS) {
      this.errors += 1;
      this.firstError ??= bytes.toString("latin1", from + 1, to);
    }
    if (type !== DOLLAR || bytes[from + 1] === MINUS) return false;
    this.#skip = Number(bytes.toString("latin1", from + 1, to)) + 2;
    return true;
  }
}
