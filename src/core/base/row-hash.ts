import { assert } from "./assert.ts";
import { type ByteString, FormatError, getU32, putU32 } from "./bytes.ts";

/** A `RowHash` as text: 16 hex digits. Equal for equal rows, in whatever order they came. */
export type RowHashText = string;

/** What `RowHash` says of no rows. */
export const NO_ROWS: RowHashText = "0".repeat(16);

/** Bytes that `encodeRowHash` makes of the text. */
export const ROW_HASH_BYTES = 8;

/**
 * A hash over a set of rows that follows every change at once (STO7): the sum of the rows' hashes,
 * in two lanes modulo 2^32. A sum does not depend on the order, and unlike an exclusive or it does
 * not forget a row that is counted twice.
 *
 * The lanes are computed as MurmurHash3 and xxHash32 do theirs, over the same words. They find
 * accidents, not attacks.
 */
export class RowHash {
  #x = 0;
  #y = 0;
  /** The hash of the row last looked at. */
  #rowX = 0;
  #rowY = 0;

  /** Goes on from a sum that was kept as text. */
  static from(text: RowHashText): RowHash {
    assert(/^[0-9a-f]{16}$/.test(text), "not the text of a hash");
    const hash = new RowHash();
    hash.#x = Number.parseInt(text.slice(0, 8), 16) | 0;
    hash.#y = Number.parseInt(text.slice(8), 16) | 0;
    return hash;
  }

  /** Counts a row in; the key counts from `from` on. */
  add(key: ByteString, from: number, row: Uint8Array): void {
    this.#hash(key, from, row);
    this.#x = (this.#x + this.#rowX) | 0;
    this.#y = (this.#y + this.#rowY) | 0;
  }

  /** Takes a row out that was counted in. */
  remove(key: ByteString, from: number, row: Uint8Array): void {
    this.#hash(key, from, row);
    this.#x = (this.#x - this.#rowX) | 0;
    this.#y = (this.#y - this.#rowY) | 0;
  }

  /** Makes this hash what the other is. */
  copy(other: RowHash): void {
    this.#x = other.#x;
    this.#y = other.#y;
  }

  equals(other: RowHash): boolean {
    return this.#x === other.#x && this.#y === other.#y;
  }

  get text(): RowHashText {
    return hex(this.#x) + hex(this.#y);
  }

  #hash(key: ByteString, from: number, row: Uint8Array): void {
    this.#rowX = (key.length - from) | 0;
    this.#rowY = 0x165667b1;
    let i = from;
    for (; i + 4 <= key.length; i += 4) {
      this.#mix(
        key.charCodeAt(i) |
          (key.charCodeAt(i + 1) << 8) |
          (key.charCodeAt(i + 2) << 16) |
          (key.charCodeAt(i + 3) << 24),
      );
    }
    let tail = 0;
    for (; i < key.length; i += 1) tail = (tail << 8) | key.charCodeAt(i);
    this.#mix(tail);
    this.#mixRow(row);
    this.#rowX = finished(this.#rowX ^ row.length);
    this.#rowY = finished(this.#rowY + row.length + this.#rowX);
  }

  #mixRow(row: Uint8Array): void {
    const { length } = row;
    let x = this.#rowX;
    let y = this.#rowY;
    let at = 0;
    // Written out, in locals: this loop is most of what a write's hash costs.
    for (; at + 4 <= length; at += 4) {
      const word = row[at]! | (row[at + 1]! << 8) | (row[at + 2]! << 16) | (row[at + 3]! << 24);
      let k = Math.imul(word, 0xcc9e2d51);
      k = (k << 15) | (k >>> 17);
      x ^= Math.imul(k, 0x1b873593);
      x = (x << 13) | (x >>> 19);
      x = (Math.imul(x, 5) + 0xe6546b64) | 0;
      y = (y + Math.imul(word, 0x85ebca77)) | 0;
      y = (y << 13) | (y >>> 19);
      y = Math.imul(y, 0x9e3779b1);
    }
    this.#rowX = x;
    this.#rowY = y;
    let tail = 0;
    for (; at < length; at += 1) tail = (tail << 8) | row[at]!;
    this.#mix(tail);
  }

  #mix(word: number): void {
    let k = Math.imul(word, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    const x = this.#rowX ^ Math.imul(k, 0x1b873593);
    this.#rowX = (Math.imul((x << 13) | (x >>> 19), 5) + 0xe6546b64) | 0;
    const y = (this.#rowY + Math.imul(word, 0x85ebca77)) | 0;
    this.#rowY = Math.imul((y << 13) | (y >>> 19), 0x9e3779b1);
  }
}

/** MurmurHash3's last step: every bit of the input moves every bit of the result. */
function finished(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** The text's eight bytes, for rows and messages. */
export function encodeRowHash(text: RowHashText): Uint8Array {
  const bytes = new Uint8Array(ROW_HASH_BYTES);
  putU32(bytes, 0, Number.parseInt(text.slice(0, 8), 16));
  putU32(bytes, 4, Number.parseInt(text.slice(8), 16));
  return bytes;
}

/** The inverse of `encodeRowHash`. Throws `FormatError`. */
export function decodeRowHash(bytes: Uint8Array): RowHashText {
  if (bytes.length !== ROW_HASH_BYTES) throw new FormatError("not a hash of rows");
  return hex(getU32(bytes, 0)) + hex(getU32(bytes, 4));
}
