import { assert, unreachable } from "../base/assert.ts";
import { encodeUtf8 } from "../base/bytes.ts";
import type { Reply } from "../contract/reply.ts";

/** The version of the protocol that a connection speaks. */
export type RespVersion = 2 | 3;

const BUFFER_BYTES = 16_384;
const CR = 0x0d;
const LF = 0x0a;
const DIGIT_ZERO = 0x30;
const SMALL_INTEGER_MAX = 0x7fff_ffff;

/** Leading bytes of RESP's types. */
const SIMPLE = 0x2b;
const ERROR = 0x2d;
const INTEGER = 0x3a;
const BULK = 0x24;
const ARRAY = 0x2a;
const NULL3 = 0x5f;
const DOUBLE = 0x2c;
const BOOLEAN = 0x23;
const VERBATIM = 0x3d;
const SET = 0x7e;
const MAP = 0x25;

/**
 * Writes replies in RESP2 or RESP3 one behind the other, for one socket write per turn. What RESP2
 * has no type for it gets as Redis gives it: a map as a flat array, a double and a verbatim text as
 * a bulk string, a boolean as an integer.
 */
export class RespEncoder {
  #bytes: Uint8Array = new Uint8Array(BUFFER_BYTES);
  #from = 0;
  #at = 0;

  /** Bytes that `take` would hand over. */
  get length(): number {
    return this.#at - this.#from;
  }

  reply(reply: Reply, resp: RespVersion): void {
    switch (reply.kind) {
      case "simple":
        return this.#line(SIMPLE, reply.text);
      case "bulk":
        return this.#bulk(BULK, reply.bytes);
      case "integer":
        return this.#integer(reply.value);
      case "null":
        return resp === 3 ? this.#line(NULL3, "") : this.#line(BULK, "-1");
      case "nullArray":
        return resp === 3 ? this.#line(NULL3, "") : this.#line(ARRAY, "-1");
      case "error":
        return this.#error(reply.code, reply.message, reply.outcome);
      case "double":
        return this.#double(reply.value, resp);
      case "boolean":
        if (resp === 3) return this.#line(BOOLEAN, reply.value ? "t" : "f");
        return this.#integer(reply.value ? 1 : 0);
      case "verbatim":
        return this.#verbatim(reply.format, reply.bytes, resp);
      case "array":
      case "set":
      case "map":
        return this.#items(reply, resp);
      case "pairs":
        return this.#pairs(reply.items, resp);
      default:
        return unreachable(reply);
    }
  }

  /**
   * The bytes of all replies since the last call. The caller owns them: what is written later goes
   * to other bytes.
   */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(this.#from, this.#at);
    this.#from = this.#at;
    return taken;
  }

  #items(reply: Extract<Reply, { readonly items: readonly Reply[] }>, resp: RespVersion): void {
    const count = reply.items.length;
    assert(reply.kind !== "map" || count % 2 === 0, "a map's key without its value");
    if (resp === 3 && reply.kind === "map") this.#header(MAP, count / 2);
    else this.#header(resp === 3 && reply.kind === "set" ? SET : ARRAY, count);
    for (const item of reply.items) this.reply(item, resp);
  }

  #pairs(items: readonly Reply[], resp: RespVersion): void {
    assert(items.length % 2 === 0, "a pair's name without its value");
    this.#header(ARRAY, resp === 3 ? items.length / 2 : items.length);
    for (let i = 0; i < items.length; i += 2) {
      if (resp === 3) this.#header(ARRAY, 2);
      this.reply(items[i]!, resp);
      this.reply(items[i + 1]!, resp);
    }
  }

  /**
   * Our own errors end with what is certain about the operation; those of Redis stay as they are.
   */
  #error(code: string, message: string, outcome: string | null): void {
    const text = outcome === null ? `${code} ${message}` : `${code} ${message} ${outcome}`;
    this.#line(ERROR, text);
  }

  #double(value: number, resp: RespVersion): void {
    const text = value === Infinity ? "inf" : value === -Infinity ? "-inf" : String(value);
    if (resp === 3) this.#line(DOUBLE, Number.isNaN(value) ? "nan" : text);
    else this.#bulk(BULK, encodeUtf8(Number.isNaN(value) ? "nan" : text));
  }

  #verbatim(format: string, bytes: Uint8Array, resp: RespVersion): void {
    if (resp === 2) return this.#bulk(BULK, bytes);
    assert(format.length === 3, "a format has three characters");
    const marked = new Uint8Array(bytes.length + 4);
    marked.set(encodeUtf8(`${format}:`));
    marked.set(bytes, 4);
    this.#bulk(VERBATIM, marked);
  }

  #integer(value: number | bigint): void {
    if (typeof value === "number" && value >= 0 && value <= SMALL_INTEGER_MAX) {
      return this.#header(INTEGER, value);
    }
    assert(typeof value === "bigint" || Number.isSafeInteger(value), "an integer was rounded");
    this.#line(INTEGER, String(value));
  }

  #bulk(lead: number, bytes: Uint8Array): void {
    this.#reserve(bytes.length + 16);
    this.#header(lead, bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    this.#bytes[this.#at] = CR;
    this.#bytes[this.#at + 1] = LF;
    this.#at += 2;
  }

  /** A type and a number from 0 to 2^31 - 1, digit by digit, without making a string. */
  #header(lead: number, value: number): void {
    this.#reserve(16);
    const bytes = this.#bytes;
    bytes[this.#at] = lead;
    let at = this.#at + 1;
    let unit = 1;
    while (unit * 10 <= value) unit *= 10;
    for (let rest = value; unit >= 1; unit /= 10) {
      const digit = Math.floor(rest / unit);
      bytes[at] = DIGIT_ZERO + digit;
      rest -= digit * unit;
      at += 1;
    }
    bytes[at] = CR;
    bytes[at + 1] = LF;
    this.#at = at + 2;
  }

  /** A type and a text; line breaks in it become blanks, for they would end the reply. */
  #line(lead: number, text: string): void {
    this.#reserve(text.length * 3 + 3);
    this.#bytes[this.#at] = lead;
    this.#at += 1;
    const start = this.#at;
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        this.#at = start;
        this.#rareText(text);
        break;
      }
      this.#bytes[this.#at] = unit === CR || unit === LF ? 0x20 : unit;
      this.#at += 1;
    }
    this.#bytes[this.#at] = CR;
    this.#bytes[this.#at + 1] = LF;
    this.#at += 2;
  }

  #rareText(text: string): void {
    const bytes = encodeUtf8(text.replace(/[\r\n]/g, " "));
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /**
   * Room for `more` bytes. Bytes that were taken are never written again: the socket may still be
   * sending them.
   */
  #reserve(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const kept = this.#at - this.#from;
    const grown = new Uint8Array(Math.max(BUFFER_BYTES, (kept + more) * (kept > 0 ? 2 : 1)));
    grown.set(this.#bytes.subarray(this.#from, this.#at));
    this.#bytes = grown;
    this.#from = 0;
    this.#at = kept;
  }
}
