import { assert } from "./assert.ts";

/**
 * Bytes in JavaScript, for code that must not know Node's `Buffer`.
 *
 * Keys travel as *byte strings*: one UTF-16 unit per byte, each ≤ 0xFF. They are compact in V8,
 * work as `Map` keys, and their `<` is the order of the bytes, which is the order every model uses.
 */
export type ByteString = string;

/** No bytes, shared by all who need none. */
export const EMPTY: Uint8Array = new Uint8Array(0);

/** The bytes in [from, to) as a byte string. A copy. */
export function toByteString(bytes: Uint8Array, from = 0, to: number = bytes.length): ByteString {
  assert(from >= 0 && from <= to && to <= bytes.length, "byte range outside the array");
  let text = "";
  let i = from;
  for (; i + 16 <= to; i += 16) text += sixteenUnits(bytes, i);
  for (; i + 4 <= to; i += 4) {
    text += String.fromCharCode(bytes[i]!, bytes[i + 1]!, bytes[i + 2]!, bytes[i + 3]!);
  }
  for (; i < to; i += 1) text += String.fromCharCode(bytes[i]!);
  return text;
}

/** Written out: one call with many units costs a tenth of `apply` to a view, or of many calls. */
function sixteenUnits(bytes: Uint8Array, at: number): ByteString {
  return String.fromCharCode(
    bytes[at]!,
    bytes[at + 1]!,
    bytes[at + 2]!,
    bytes[at + 3]!,
    bytes[at + 4]!,
    bytes[at + 5]!,
    bytes[at + 6]!,
    bytes[at + 7]!,
    bytes[at + 8]!,
    bytes[at + 9]!,
    bytes[at + 10]!,
    bytes[at + 11]!,
    bytes[at + 12]!,
    bytes[at + 13]!,
    bytes[at + 14]!,
    bytes[at + 15]!,
  );
}

/** The bytes of a byte string, in a new array. */
export function fromByteString(text: ByteString): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    assert(unit <= 0xff, "not a byte string");
    bytes[i] = unit;
  }
  return bytes;
}

/** The first byte string after all that begin with the prefix; null where there is none. */
export function prefixEnd(prefix: ByteString): ByteString | null {
  let length = prefix.length;
  while (length > 0 && prefix.charCodeAt(length - 1) === 0xff) length -= 1;
  if (length === 0) return null;
  const last = String.fromCharCode(prefix.charCodeAt(length - 1) + 1);
  return prefix.slice(0, length - 1) + last;
}

/** Order of bytes, as `memcmp`: what `<` says of the byte strings. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Whether two arrays hold the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** All parts, one after the other, in a new array. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** UTF-8 of a string; lone surrogates become U+FFFD, as `TextEncoder` does. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  let at = 0;
  for (const character of text) {
    const raw = character.codePointAt(0) ?? 0xfffd;
    const point = raw >= 0xd800 && raw <= 0xdfff ? 0xfffd : raw;
    at = writeCodePoint(bytes, at, point);
  }
  return bytes.slice(0, at);
}

function writeCodePoint(bytes: Uint8Array, at: number, point: number): number {
  if (point < 0x80) {
    bytes[at] = point;
    return at + 1;
  }
  if (point < 0x800) {
    bytes[at] = 0xc0 | (point >> 6);
    bytes[at + 1] = 0x80 | (point & 0x3f);
    return at + 2;
  }
  if (point < 0x10000) {
    bytes[at] = 0xe0 | (point >> 12);
    bytes[at + 1] = 0x80 | ((point >> 6) & 0x3f);
    bytes[at + 2] = 0x80 | (point & 0x3f);
    return at + 3;
  }
  bytes[at] = 0xf0 | (point >> 18);
  bytes[at + 1] = 0x80 | ((point >> 12) & 0x3f);
  bytes[at + 2] = 0x80 | ((point >> 6) & 0x3f);
  bytes[at + 3] = 0x80 | (point & 0x3f);
  return at + 4;
}

/** Text of UTF-8 bytes; each byte that fits no character becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const width = utf8Width(bytes, at);
    if (width === 0) {
      text += "\ufffd";
      at += 1;
      continue;
    }
    text += String.fromCodePoint(codePointAt(bytes, at, width));
    at += width;
  }
  return text;
}

/** Whether the bytes are well-formed UTF-8: no overlong forms, no surrogates. */
export function isUtf8(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) {
    const width = utf8Width(bytes, at);
    if (width === 0) return false;
    at += width;
  }
  return true;
}

/** Bytes of the well-formed character at `at`; 0 where there is none (Unicode table 3-7). */
function utf8Width(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const width = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + width > bytes.length) return 0;
  for (let i = 1; i < width; i += 1) if ((bytes[at + i]! & 0xc0) !== 0x80) return 0;
  const point = codePointAt(bytes, at, width);
  if (width === 3 && (point < 0x800 || (point >= 0xd800 && point <= 0xdfff))) return 0;
  if (width === 4 && (point < 0x10000 || point > 0x10ffff)) return 0;
  return width;
}

function codePointAt(bytes: Uint8Array, at: number, width: number): number {
  const lead = bytes[at]!;
  if (width === 1) return lead;
  let point = width === 2 ? lead & 0x1f : width === 3 ? lead & 0x0f : lead & 0x07;
  for (let i = 1; i < width; i += 1) point = (point << 6) | (bytes[at + i]! & 0x3f);
  return point;
}

const U32 = 0x1_0000_0000;
const U48_MAX = 0xffff_ffff_ffff;

/** Little-endian stores and loads at a place; 48 bits hold every index, term and time we count. */
export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

/** Writes 32 bits, the lowest byte first. */
export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Writes a whole number below 2^48, the lowest byte first. */
export function putU48(bytes: Uint8Array, at: number, value: number): void {
  assert(value >= 0 && value <= U48_MAX && Number.isInteger(value), "not a u48", value);
  putU32(bytes, at, value >>> 0);
  putU16(bytes, at + 4, Math.floor(value / U32));
}

/** Reads 16 bits, the lowest byte first. */
export function getU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** Reads 32 bits as an unsigned number, the lowest byte first. */
export function getU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}

/** Reads 48 bits, the lowest byte first; exact, being below 2^53. */
export function getU48(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at) + getU16(bytes, at + 4) * U32;
}

/** What a decoder throws on bytes that are not of its format. Callers turn it into a refusal. */
export class FormatError extends Error {
  override readonly name = "FormatError";
}

/** Appends to a buffer that grows; `take` hands the bytes over and starts anew. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  u16(value: number): void {
    this.#reserve(2);
    putU16(this.#bytes, this.#length, value);
    this.#length += 2;
  }

  u32(value: number): void {
    this.#reserve(4);
    putU32(this.#bytes, this.#length, value);
    this.#length += 4;
  }

  u48(value: number): void {
    this.#reserve(6);
    putU48(this.#bytes, this.#length, value);
    this.#length += 6;
  }

  /** Bytes as they are, without a length. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** A length (u32) and the bytes. */
  bytes(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** A length (u32) and the UTF-8 of a text. */
  text(text: string): void {
    this.bytes(encodeUtf8(text));
  }

  /** A length (u32) and the bytes of a byte string. */
  byteString(text: ByteString): void {
    this.u32(text.length);
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i += 1) this.#bytes[this.#length + i] = text.charCodeAt(i);
    this.#length += text.length;
  }

  /** So many zeros, to be filled in later. */
  skip(length: number): void {
    this.#reserve(length);
    this.#length += length;
  }

  /** Overwrites four bytes written earlier, for a length known only afterwards. */
  patchU32(at: number, value: number): void {
    assert(at + 4 <= this.#length, "patch beyond what was written");
    putU32(this.#bytes, at, value);
  }

  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /** As `take`, without a copy, for bytes that do not live long: they pin the whole buffer. */
  detach(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    return taken;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Reads what `ByteWriter` wrote; throws `FormatError` where the bytes end too soon. */
export class ByteReader {
  readonly bytesAll: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, from = 0, to: number = bytes.length) {
    assert(from >= 0 && from <= to && to <= bytes.length, "reader range outside the array");
    this.bytesAll = bytes;
    this.at = from;
    this.end = to;
  }

  get remaining(): number {
    return this.end - this.at;
  }

  u8(): number {
    return this.bytesAll[this.#advance(1)]!;
  }

  u16(): number {
    return getU16(this.bytesAll, this.#advance(2));
  }

  u32(): number {
    return getU32(this.bytesAll, this.#advance(4));
  }

  u48(): number {
    return getU48(this.bytesAll, this.#advance(6));
  }

  /** A view, not a copy: it lives as long as the array it came from. */
  raw(length: number): Uint8Array {
    const from = this.#advance(length);
    return this.bytesAll.subarray(from, from + length);
  }

  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  text(): string {
    return decodeUtf8(this.bytes());
  }

  byteString(): ByteString {
    const length = this.u32();
    const from = this.#advance(length);
    return toByteString(this.bytesAll, from, from + length);
  }

  #advance(length: number): number {
    const from = this.at;
    if (length > this.end - from) {
      throw new FormatError(`needs ${length} bytes at ${from}, has ${this.end - from}`);
    }
    this.at = from + length;
    return from;
  }
}
