import { assert } from "./assert.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Base64 with the alphabet for addresses and without padding (RFC 4648 §5). */
export function encodeBase64Url(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const left = Math.min(3, bytes.length - at);
    const word = (bytes[at]! << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    for (let i = 0; i <= left; i += 1) text += ALPHABET[(word >> (18 - 6 * i)) & 63];
  }
  assert(text.length === Math.ceil((bytes.length * 4) / 3), "six bits to the character");
  return text;
}

/**
 * The inverse, of ASCII bytes. Null for everything that `encodeBase64Url` does not write: other
 * characters, padding, a length that no bytes have, bits that are left over and not 0.
 */
export function decodeBase64Url(text: Uint8Array): Uint8Array | null {
  if (text.length % 4 === 1) return null;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let at = 0;
  let word = 0;
  let bits = 0;
  for (const character of text) {
    const value = ALPHABET.indexOf(String.fromCharCode(character));
    if (value < 0) return null;
    word = ((word << 6) | value) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at] = word >> bits;
    at += 1;
  }
  assert(at === bytes.length, "as many bytes as the length says");
  return (word & ((1 << bits) - 1)) === 0 ? bytes : null;
}
