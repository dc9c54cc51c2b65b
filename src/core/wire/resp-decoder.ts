import { decodeUtf8, EMPTY, FormatError } from "../base/bytes.ts";
import type { Outcome } from "../contract/errors.ts";
import { ERRORS } from "../contract/errors.ts";
import { array, bulk, integer, NULL, NULL_ARRAY, OK, type Reply } from "../contract/reply.ts";

/** What a reply may be at most. */
export interface ReplyDecoderOptions {
  /** Bytes of one string. */
  readonly bulkBytesMax?: number;
  /** Members of one array, set or map, all levels each for itself. */
  readonly itemsMax?: number;
  /** Levels of arrays in arrays. */
  readonly nestingMax?: number;
  /** Hears of push frames (RESP3), which answer no command. Without it they are dropped. */
  readonly onPush?: (items: readonly Reply[]) => void;
  /** Hears of attributes (RESP3): names and values, alternating. Without it they are dropped. */
  readonly onAttribute?: (items: readonly Reply[]) => void;
}

const BULK_BYTES_MAX = 64 * 1024 * 1024;
const ITEMS_MAX = 8 * 1024 * 1024;
const NESTING_MAX = 32;
const LINE_BYTES_MAX = 1024 * 1024;
const CR = 0x0d;
const CRLF_BYTES = 2;
const OUTCOMES: readonly Outcome[] = ["not-applied", "unknown", "applied"];

type Aggregate = "array" | "set" | "map" | "push" | "attribute";

/** An array that has not all its members yet. */
interface Frame {
  readonly kind: Aggregate;
  readonly items: Reply[];
  left: number;
}

/** What reading one element came to: a reply, the opening of an array, or too few bytes. */
type Element = Reply | "opened" | "incomplete";

/**
 * Reads a server's replies as they arrive, RESP2 and RESP3; for our own client, shell and loader.
 * Every byte is looked at once, however the chunks fall. Throws `FormatError` on what is not RESP
 * or beyond the limits; the connection is of no use then.
 */
export class ReplyDecoder {
  readonly #options: ReplyDecoderOptions;
  #bytes: Uint8Array = EMPTY;
  #at = 0;
  #end = 0;
  /** Where the search for the current line's end goes on. */
  #searched = 0;
  /** Arrays that are open, outermost first. */
  readonly #frames: Frame[] = [];

  constructor(options: ReplyDecoderOptions = {}) {
    this.#options = options;
  }

  /** Takes the next bytes; they are copied. */
  push(chunk: Uint8Array): void {
    const kept = this.#end - this.#at;
    if (this.#end + chunk.length > this.#bytes.length) {
      const target =
        kept + chunk.length <= this.#bytes.length >> 1
          ? this.#bytes
          : new Uint8Array(Math.max(4096, (kept + chunk.length) * 2));
      target.set(this.#bytes.subarray(this.#at, this.#end));
      this.#searched -= this.#at;
      this.#bytes = target;
      this.#at = 0;
      this.#end = kept;
    }
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole reply; undefined when more bytes are needed. */
  next(): Reply | undefined {
    for (;;) {
      const element = this.#element();
      if (element === "incomplete") return undefined;
      if (element === "opened") continue;
      const whole = this.#add(element);
      if (whole !== undefined) return whole;
    }
  }

  /** Puts a reply into the array that is open; returns it, or the outermost array, when whole. */
  #add(element: Reply): Reply | undefined {
    let reply = element;
    for (;;) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) return reply;
      frame.items.push(reply);
      frame.left -= 1;
      if (frame.left > 0) return undefined;
      const closed = this.#close(frame);
      if (closed === null) return undefined;
      reply = closed;
    }
  }

  /** The frame as a reply; null for a push or an attribute, which stand beside the replies. */
  #close(frame: Frame): Reply | null {
    this.#frames.pop();
    switch (frame.kind) {
      case "push":
        this.#options.onPush?.(frame.items);
        return null;
      case "attribute":
        this.#options.onAttribute?.(frame.items);
        return null;
      case "array":
        return array(frame.items);
      case "set":
      case "map":
        return { kind: frame.kind, items: frame.items };
    }
  }

  #element(): Element {
    const lineEnd = this.#findLineEnd();
    if (lineEnd === -1) return "incomplete";
    const lead = String.fromCharCode(this.#bytes[this.#at]!);
    const text = this.#bytes.subarray(this.#at + 1, lineEnd);
    const next = lineEnd + CRLF_BYTES;
    switch (lead) {
      case "$":
      case "=":
      case "!":
        return this.#string(lead, lengthOf(text), next);
      case "*":
        return this.#open("array", lengthOf(text), next);
      case "~":
        return this.#open("set", lengthOf(text), next);
      case ">":
        return this.#open("push", lengthOf(text), next);
      case "%":
        return this.#open("map", lengthOf(text) * 2, next);
      case "|":
        return this.#open("attribute", lengthOf(text) * 2, next);
      default:
        this.#at = next;
        return scalar(lead, decodeUtf8(text));
    }
  }

  /** Position of the line break that ends the current line; -1 when it is not there. */
  #findLineEnd(): number {
    for (let i = Math.max(this.#searched, this.#at); i + 1 < this.#end; i += 1) {
      if (this.#bytes[i] === CR) {
        this.#searched = this.#at;
        return i;
      }
      this.#searched = i + 1;
    }
    if (this.#end - this.#at > LINE_BYTES_MAX) throw new FormatError("a line too long");
    return -1;
  }

  #string(lead: "$" | "=" | "!", length: number, from: number): Element {
    if (length === -1) {
      this.#at = from;
      return NULL;
    }
    if (length > (this.#options.bulkBytesMax ?? BULK_BYTES_MAX)) {
      throw new FormatError(`a string of ${length} bytes`);
    }
    if (from + length + CRLF_BYTES > this.#end) return "incomplete";
    const bytes = this.#bytes.slice(from, from + length);
    this.#at = from + length + CRLF_BYTES;
    if (lead === "$") return bulk(bytes);
    if (lead === "!") return errorOf(decodeUtf8(bytes));
    if (length < 4) throw new FormatError("a verbatim text without its format");
    return { kind: "verbatim", format: decodeUtf8(bytes.subarray(0, 3)), bytes: bytes.slice(4) };
  }

  #open(kind: Aggregate, count: number, next: number): Element {
    if (count > (this.#options.itemsMax ?? ITEMS_MAX)) {
      throw new FormatError(`an array of ${count} members`);
    }
    if (this.#frames.length >= (this.#options.nestingMax ?? NESTING_MAX)) {
      throw new FormatError("arrays nested too deeply");
    }
    this.#at = next;
    if (count < 0) return NULL_ARRAY;
    const frame: Frame = { kind, items: [], left: count };
    this.#frames.push(frame);
    if (count > 0) return "opened";
    return this.#close(frame) ?? "opened";
  }
}

/** A length; -1 says null. Throws `FormatError` for anything else that is no length. */
function lengthOf(text: Uint8Array): number {
  const digits = decodeUtf8(text);
  if (digits === "-1") return -1;
  if (!/^\d{1,15}$/.test(digits)) throw new FormatError(`not a length: ${digits.slice(0, 32)}`);
  return Number(digits);
}

function scalar(lead: string, text: string): Reply {
  switch (lead) {
    case "+":
      return text === "OK" ? OK : { kind: "simple", text };
    case "-":
      return errorOf(text);
    case ":":
    case "(":
      return integerOf(text);
    case "_":
      return NULL;
    case ",":
      return doubleOf(text);
    case "#":
      if (text !== "t" && text !== "f") throw new FormatError("not a boolean");
      return { kind: "boolean", value: text === "t" };
    default:
      throw new FormatError(`no type of RESP begins with ${JSON.stringify(lead)}`);
  }
}

function integerOf(text: string): Reply {
  if (!/^[+-]?\d{1,4096}$/.test(text)) throw new FormatError("not an integer");
  const value = Number(text);
  // -0 is no integer: -0 and 0 would be told apart by strict comparison.
  if (Number.isSafeInteger(value)) return integer(value === 0 ? 0 : value);
  return { kind: "integer", value: BigInt(text) };
}

function doubleOf(text: string): Reply {
  if (text === "inf") return { kind: "double", value: Infinity };
  if (text === "-inf") return { kind: "double", value: -Infinity };
  if (text === "nan" || text === "-nan") return { kind: "double", value: Number.NaN };
  if (!/^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$/.test(text)) throw new FormatError("not a double");
  return { kind: "double", value: Number(text) };
}

/** Our own errors say in their last word what is certain; the rest is as Redis words it. */
function errorOf(text: string): Reply {
  const space = text.indexOf(" ");
  const code = space === -1 ? text : text.slice(0, space);
  const message = space === -1 ? "" : text.slice(space + 1);
  if (Object.hasOwn(ERRORS, code)) {
    for (const outcome of OUTCOMES) {
      if (!message.endsWith(` ${outcome}`)) continue;
      return { kind: "error", code, message: message.slice(0, -outcome.length - 1), outcome };
    }
  }
  return { kind: "error", code, message, outcome: null };
}
