import { refuse, refuseNotInteger } from "./refusal.ts";

/** A command's name and arguments, as bytes. */
export type Args = readonly Uint8Array[];

const I64_MAX = 0x7fff_ffff_ffff_ffffn;
const I64_MIN = -0x8000_0000_0000_0000n;
const DIGITS_SAFE = 15;
const NINE = 0x39;
const ZERO = 0x30;
const MINUS = 0x2d;

/** Whether the argument is this word, in any case. `word` is upper-case ASCII. */
export function isWord(arg: Uint8Array, word: string): boolean {
  if (arg.length !== word.length) return false;
  for (let i = 0; i < word.length; i += 1) {
    let byte = arg[i]!;
    if (byte >= 0x61 && byte <= 0x7a) byte -= 0x20;
    if (byte !== word.charCodeAt(i)) return false;
  }
  return true;
}

/**
 * A 64-bit integer in the one spelling that Redis accepts: no blanks, plus sign, leading zeros or
 * `-0`. Null for anything else; a bigint only where a number would not be exact.
 */
export function parseI64(
  bytes: Uint8Array,
  from = 0,
  to: number = bytes.length,
): number | bigint | null {
  const isNegative = bytes[from] === MINUS && to > from;
  const start = isNegative ? from + 1 : from;
  const digits = to - start;
  if (digits < 1 || digits > 19) return null;
  if (bytes[start] === ZERO) return digits === 1 && !isNegative ? 0 : null;
  let value = 0;
  for (let i = start; i < to; i += 1) {
    const byte = bytes[i]!;
    if (byte < ZERO || byte > NINE) return null;
    value = value * 10 + (byte - ZERO);
  }
  if (digits <= DIGITS_SAFE) return isNegative ? -value : value;
  return parseLong(bytes, start, to, isNegative);
}

function parseLong(
  bytes: Uint8Array,
  start: number,
  to: number,
  isNegative: boolean,
): number | bigint | null {
  let text = isNegative ? "-" : "";
  for (let i = start; i < to; i += 1) text += String.fromCharCode(bytes[i]!);
  return narrow(BigInt(text));
}

/** The number where it is exact; null outside 64 bits. */
export function narrow(value: bigint): number | bigint | null {
  if (value > I64_MAX || value < I64_MIN) return null;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A 64-bit integer, or a refusal as Redis words it. */
export function integer64(arg: Uint8Array): number | bigint {
  return parseI64(arg) ?? refuseNotInteger();
}

/**
 * A 64-bit integer as a number. Beyond 2^53 it is only near the true one: for offsets, ranges and
 * counts, where everything that large means the same.
 */
export function integerNear(arg: Uint8Array, otherwise?: string): number {
  const value = parseI64(arg);
  if (value !== null) return Number(value);
  return otherwise === undefined ? refuseNotInteger() : refuse(otherwise);
}

/** ASCII bytes of a text that is known to be ASCII. */
export function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * The argument as text of one character per byte, lower-cased where ASCII. For names of options.
 */
export function lowerText(arg: Uint8Array): string {
  let text = "";
  for (const byte of arg) {
    text += String.fromCharCode(byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
  }
  return text;
}

/** Printable ASCII without blanks: what names and library versions of clients may be. */
export function isPlainText(arg: Uint8Array): boolean {
  for (const byte of arg) if (byte < 0x21 || byte > 0x7e) return false;
  return true;
}
