import { assert } from "../base/assert.ts";
import { EMPTY } from "../base/bytes.ts";
import { splitInline } from "./inline-request.ts";

/** What a request may be at most. */
export interface RespLimits {
  /** Bytes of a request in one line, and of the line in front of an array or a string. */
  readonly inlineBytesMax: number;
  /** Strings in one request. */
  readonly multibulkCountMax: number;
  /** Bytes of one string. */
  readonly bulkBytesMax: number;
  /** Bytes of all strings of one request: what a connection may make the node hold. */
  readonly requestBytesMax: number;
}

/** As in Redis, but for smaller values. */
export const RESP_LIMITS: RespLimits = {
  inlineBytesMax: 65_536,
  multibulkCountMax: 1_048_576,
  bulkBytesMax: 8_388_608,
  requestBytesMax: 33_554_432,
};

/** What a client that has not authenticated may send, as in Redis. */
export const UNAUTHENTICATED_LIMITS = {
  /** Strings in one request. */
  multibulkCountMax: 10,
  /** Bytes of one string. */
  bulkBytesMax: 16_384,
} as const;

/**
 * The client does not speak RESP. Its message goes behind `-ERR `, then the connection is closed:
 * where the next request would begin cannot be known.
 */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

const LF = 0x0a;
const CR = 0x0d;
const STAR = 0x2a;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const CRLF_BYTES = 2;

/** What `#readHeader` says of a line that is not all there; no length is that small. */
const NOT_THERE = -0x10_0000_0000_0000;
/** What a line that is no number counts as: more than any limit. */
const NO_NUMBER = 0x10_0000_0000_0000;
const LENGTH_DIGITS_MAX = 10;

/** A string that is announced and not yet there grows its buffer as it comes, not at once. */
const PENDING_BYTES_MIN = 16_384;

/**
 * Cuts a client's bytes into requests, as they arrive: arrays of strings, or lines as people type
 * them into telnet.
 *
 * Strings that lie within one chunk are views into it, so the caller must not change a chunk while
 * it uses what came from it; strings that span chunks are copied once.
 */
export class RespParser {
  readonly #limits: RespLimits;
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  /** An unfinished line of earlier chunks. */
  #line: Uint8Array = EMPTY;
  #args: Uint8Array[] = [];
  /** Strings that the request still lacks; 0 between requests. */
  #argsLeft = 0;
  /** Length of the string that is being read; -1 before its header. */
  #bulkLength = -1;
  /** The part of that string and its line break that came in earlier chunks, and how long it is. */
  #pending: Uint8Array = EMPTY;
  #pendingLength = 0;
  #requestBytes = 0;
  #failure: ProtocolError | null = null;
  /** While false, requests must keep to `UNAUTHENTICATED_LIMITS`. */
  isAuthenticated = true;

  constructor(limits: RespLimits = RESP_LIMITS) {
    assert(limits.bulkBytesMax <= limits.requestBytesMax, "a request could not hold a string");
    this.#limits = limits;
  }

  /** Bytes that it holds of a request that is not all there. */
  get bufferedBytes(): number {
    return this.#line.length + this.#requestBytes;
  }

  /** Takes the next bytes. What the chunk before held must have been taken: `next` said null. */
  push(chunk: Uint8Array): void {
    assert(this.#at === this.#chunk.length, "a chunk before the last one was used up");
    if (this.#failure !== null) return;
    // A plain view: cutting pieces from one is cheaper than from a subclass such as Buffer.
    this.#chunk = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#at = 0;
  }

  /**
   * The next whole request, its name first; null when more bytes are needed. Throws
   * `ProtocolError`, and from then on again and again.
   */
  next(): Uint8Array[] | null {
    if (this.#failure !== null) throw this.#failure;
    for (;;) {
      if (this.#argsLeft > 0) return this.#readArgs() ? this.#takeArgs() : null;
      if (this.#line.length === 0 && this.#at === this.#chunk.length) return null;
      const lead = this.#line.length > 0 ? this.#line[0] : this.#chunk[this.#at];
      if (lead === STAR) {
        if (!this.#readCount()) return null;
        continue;
      }
      const args = this.#readInline();
      if (args === null) return null;
      if (args.length > 0) return args;
    }
  }

  #takeArgs(): Uint8Array[] {
    const args = this.#args;
    this.#args = [];
    this.#requestBytes = 0;
    return args;
  }

  /** Reads `*count`; false when the line is not all there. */
  #readCount(): boolean {
    const count = this.#readHeader("too big mbulk count string");
    if (count === NOT_THERE) return false;
    if (count > this.#limits.multibulkCountMax) this.#fail("invalid multibulk length");
    if (!this.isAuthenticated && count > UNAUTHENTICATED_LIMITS.multibulkCountMax) {
      this.#fail("unauthenticated multibulk length");
    }
    // Redis takes an array of no or less than no strings for no request at all.
    this.#argsLeft = Math.max(0, count);
    return true;
  }

  /** Reads strings until the request has all; false when more bytes are needed. */
  #readArgs(): boolean {
    while (this.#argsLeft > 0) {
      if (this.#bulkLength === -1 && !this.#readBulkHeader()) return false;
      if (!this.#readBulk()) return false;
    }
    return true;
  }

  #readBulkHeader(): boolean {
    if (this.#line.length === 0) {
      if (this.#at === this.#chunk.length) return false;
      const lead = this.#chunk[this.#at]!;
      if (lead !== DOLLAR) this.#fail(`expected '$', got '${String.fromCharCode(lead)}'`);
    }
    const length = this.#readHeader("too big bulk count string");
    if (length === NOT_THERE) return false;
    if (length < 0 || length > this.#limits.bulkBytesMax) this.#fail("invalid bulk length");
    if (!this.isAuthenticated && length > UNAUTHENTICATED_LIMITS.bulkBytesMax) {
      this.#fail("unauthenticated bulk length");
    }
    this.#requestBytes += length;
    if (this.#requestBytes > this.#limits.requestBytesMax) this.#fail("too big request");
    this.#bulkLength = length;
    return true;
  }

  /**
   * Reads the string and the line break behind it, whose two bytes Redis does not look at either.
   */
  #readBulk(): boolean {
    const needed = this.#bulkLength + CRLF_BYTES;
    const there = this.#chunk.length - this.#at;
    if (this.#pendingLength === 0 && there >= needed) {
      this.#args.push(this.#chunk.subarray(this.#at, this.#at + this.#bulkLength));
      this.#at += needed;
    } else {
      this.#keepPending(Math.min(needed - this.#pendingLength, there), needed);
      if (this.#pendingLength < needed) return false;
      this.#args.push(this.#pending.subarray(0, this.#bulkLength));
      this.#pending = EMPTY;
      this.#pendingLength = 0;
    }
    this.#bulkLength = -1;
    this.#argsLeft -= 1;
    return true;
  }

  #keepPending(take: number, needed: number): void {
    const length = this.#pendingLength + take;
    if (length > this.#pending.length) {
      const capacity = Math.max(length, PENDING_BYTES_MIN, this.#pending.length * 2);
      const grown = new Uint8Array(Math.min(capacity, needed));
      grown.set(this.#pending.subarray(0, this.#pendingLength));
      this.#pending = grown;
    }
    this.#pending.set(this.#chunk.subarray(this.#at, this.#at + take), this.#pendingLength);
    this.#pendingLength = length;
    this.#at += take;
  }

  /** The number in a line `*n` or `$n`; `NOT_THERE` when the line is not all there. */
  #readHeader(tooLong: string): number {
    if (this.#line.length > 0) return this.#readSplitHeader(tooLong);
    const chunk = this.#chunk;
    const from = this.#at + 1;
    let end = from;
    while (end < chunk.length && chunk[end] !== CR) end += 1;
    if (end - from > this.#limits.inlineBytesMax) this.#fail(tooLong);
    if (end + 1 >= chunk.length) {
      this.#keepLine();
      return NOT_THERE;
    }
    this.#at = end + CRLF_BYTES;
    return parseLength(chunk, from, end);
  }

  /** The same for a line that began in an earlier chunk. */
  #readSplitHeader(tooLong: string): number {
    const before = this.#line.length;
    const kept = this.#line.indexOf(CR);
    const found = kept === -1 ? this.#chunk.indexOf(CR, this.#at) : -1;
    const there = this.#chunk.length - this.#at;
    const end = kept !== -1 ? kept : found === -1 ? -1 : before + found - this.#at;
    if (end === -1 || end + 1 >= before + there) {
      this.#keepLine();
      if (this.#line.length > this.#limits.inlineBytesMax) this.#fail(tooLong);
      return NOT_THERE;
    }
    if (end > this.#limits.inlineBytesMax) this.#fail(tooLong);
    const line = this.#takeLine(end + CRLF_BYTES);
    return parseLength(line, 1, end);
  }

  /** A request in one line; empty for a blank one, null when the line is not all there. */
  #readInline(): Uint8Array[] | null {
    const before = this.#line.length;
    const found = this.#chunk.indexOf(LF, this.#at);
    const length = before + (found === -1 ? this.#chunk.length : found) - this.#at;
    if (length > this.#limits.inlineBytesMax) this.#fail("too big inline request");
    if (found === -1) {
      this.#keepLine();
      return null;
    }
    const line = this.#takeLine(length + 1);
    const end = length > 0 && line[length - 1] === CR ? length - 1 : length;
    const args = splitInline(line.subarray(0, end));
    if (args === null) this.#fail("unbalanced quotes in request");
    if (isHttp(args)) this.#fail("this is no HTTP port");
    return args;
  }

  /** Keeps what is left of the chunk as the beginning of a line. */
  #keepLine(): void {
    const rest = this.#chunk.length - this.#at;
    const line = new Uint8Array(this.#line.length + rest);
    line.set(this.#line);
    line.set(this.#chunk.subarray(this.#at), this.#line.length);
    this.#line = line;
    this.#at = this.#chunk.length;
  }

  /** The next `length` bytes: what was kept of a line, and the rest of it in the chunk. */
  #takeLine(length: number): Uint8Array {
    const rest = length - this.#line.length;
    assert(rest >= 0 && this.#at + rest <= this.#chunk.length, "a line beyond the chunk");
    const tail = this.#chunk.subarray(this.#at, this.#at + rest);
    this.#at += rest;
    if (this.#line.length === 0) return tail;
    const line = new Uint8Array(length);
    line.set(this.#line);
    line.set(tail, this.#line.length);
    this.#line = EMPTY;
    return line;
  }

  #fail(what: string): never {
    this.#failure = new ProtocolError(`Protocol error: ${what}`);
    this.#chunk = EMPTY;
    this.#at = 0;
    this.#line = EMPTY;
    this.#args = [];
    this.#pending = EMPTY;
    throw this.#failure;
  }
}

/** A whole number in the one spelling that Redis accepts; `NO_NUMBER` for anything else. */
function parseLength(bytes: Uint8Array, from: number, to: number): number {
  const isNegative = bytes[from] === MINUS;
  const start = isNegative ? from + 1 : from;
  if (start >= to || to - start > LENGTH_DIGITS_MAX) return NO_NUMBER;
  if (bytes[start] === ZERO) return to - start === 1 && !isNegative ? 0 : NO_NUMBER;
  let value = 0;
  for (let i = start; i < to; i += 1) {
    const byte = bytes[i]!;
    if (byte < ZERO || byte > NINE) return NO_NUMBER;
    value = value * 10 + (byte - ZERO);
  }
  return isNegative ? -value : value;
}

/**
 * Whether a line looks like HTTP: a web page can make a browser send requests to this port, whose
 * body it chooses, so the connection must not live to read that far.
 */
function isHttp(args: readonly Uint8Array[]): boolean {
  const name = args[0];
  if (name === undefined || name.length > 5) return false;
  const word = String.fromCharCode(...name).toLowerCase();
  return word === "post" || word === "host:";
}
