const CR = 13;
const LF = 10;
const DOLLAR = 36;
const PLUS = 43;
const MINUS = 45;
const COLON = 58;
const UNDERSCORE = 95;

/**
 * Which replies complete a request: `any`, each one; `value`, each one, and null is an error;
 * `copies`, an integer as `WAIT` answers it completes all requests answered since the last one, and
 * they have failed if it is below 1.
 */
export type Expectation = "any" | "value" | "copies";

/**
 * Counts the replies in a stream of RESP, without making a value of any. It knows what the loaded
 * commands answer: one line, or one bulk string.
 */
export class ReplyCounter {
  /** Requests that have failed so far, and why the first one did. */
  errors = 0;
  firstError: string | null = null;
  readonly #expectation: Expectation;
  /** Requests that only wait for the number of copies, and how many of them have failed. */
  #waiting = 0;
  #waitingFailed = 0;
  /** Bytes of a bulk string's body that are still to come. */
  #skip = 0;
  /** The beginning of a line whose end has not arrived. */
  #partial: Buffer | null = null;

  constructor(expectation: Expectation) {
    this.#expectation = expectation;
  }

  /** The requests that this chunk completes. */
  push(chunk: Buffer): number {
    let bytes = chunk;
    if (this.#partial !== null) {
      bytes = Buffer.concat([this.#partial, chunk]);
      this.#partial = null;
    }
    let completed = 0;
    let at = 0;
    while (at < bytes.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at);
        at += skipped;
        this.#skip -= skipped;
        if (this.#skip === 0) completed += 1;
        continue;
      }
      const end = bytes.indexOf(LF, at);
      if (end === -1 || bytes[end - 1] !== CR) {
        this.#partial = Buffer.from(bytes.subarray(at));
        break;
      }
      completed += this.#line(bytes, at, end - 1);
      at = end + 1;
    }
    return completed;
  }

  /** How many requests a line completes; none where it announces a body. */
  #line(bytes: Buffer, from: number, to: number): number {
    const type = bytes[from];
    if (this.#expectation === "copies") return this.#copies(bytes, from, to);
    if (type === MINUS) this.#fail(1, bytes.toString("latin1", from + 1, to));
    const isNull = type === UNDERSCORE || (type === DOLLAR && bytes[from + 1] === MINUS);
    if (isNull && this.#expectation === "value") this.#fail(1, "a key was not there");
    if (type !== DOLLAR || isNull) return 1;
    this.#skip = Number(bytes.toString("latin1", from + 1, to)) + 2;
    return 0;
  }

  #copies(bytes: Buffer, from: number, to: number): number {
    const type = bytes[from];
    if (type !== COLON) {
      this.#waiting += 1;
      if (type === PLUS) return 0;
      this.#waitingFailed += 1;
      this.firstError ??= bytes.toString("latin1", from + 1, to);
      return 0;
    }
    const completed = this.#waiting;
    const copies = Number(bytes.toString("latin1", from + 1, to));
    if (copies < 1) this.#fail(completed, `WAIT answered ${copies}`);
    else this.errors += this.#waitingFailed;
    this.#waiting = 0;
    this.#waitingFailed = 0;
    return completed;
  }

  #fail(requests: number, reason: string): void {
    this.errors += requests;
    this.firstError ??= reason;
  }
}
