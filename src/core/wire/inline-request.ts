const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BACKSLASH = 0x5c;
const SMALL_X = 0x78;

/**
 * The words of a request that is one line, with Redis's quoting: `"…"` with `\n`, `\r`, `\t`, `\b`,
 * `\a` and `\xHH`; `'…'` with `\'` only. A closing quote ends its word. A zero byte ends the line.
 * Null where the quotes do not match up.
 */
export function splitInline(line: Uint8Array): Uint8Array[] | null {
  const zero = line.indexOf(0);
  const end = zero === -1 ? line.length : zero;
  const words: Uint8Array[] = [];
  let at = 0;
  for (;;) {
    while (at < end && isBlank(line[at]!)) at += 1;
    if (at === end) return words;
    const word: number[] = [];
    at = readWord(line, at, end, word);
    if (at === -1) return null;
    words.push(Uint8Array.from(word));
  }
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

/** Reads one word; the position behind it, or -1. */
function readWord(line: Uint8Array, from: number, end: number, word: number[]): number {
  let at = from;
  while (at < end && !isBlank(line[at]!)) {
    const byte = line[at]!;
    if (byte === QUOTE || byte === APOSTROPHE) {
      at =
        byte === QUOTE
          ? readQuoted(line, at + 1, end, word)
          : readApostrophes(line, at + 1, end, word);
      if (at === -1 || (at < end && !isBlank(line[at]!))) return -1;
      return at;
    }
    word.push(byte);
    at += 1;
  }
  return at;
}

function readQuoted(line: Uint8Array, from: number, end: number, word: number[]): number {
  let at = from;
  while (at < end) {
    const byte = line[at]!;
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH || at + 1 >= end) {
      word.push(byte);
      at += 1;
      continue;
    }
    const high = at + 3 < end && line[at + 1] === SMALL_X ? hexDigit(line[at + 2]!) : -1;
    const low = high === -1 ? -1 : hexDigit(line[at + 3]!);
    if (low !== -1) {
      word.push(high * 16 + low);
      at += 4;
    } else {
      word.push(escaped(line[at + 1]!));
      at += 2;
    }
  }
  return -1;
}

function readApostrophes(line: Uint8Array, from: number, end: number, word: number[]): number {
  let at = from;
  while (at < end) {
    const byte = line[at]!;
    if (byte === APOSTROPHE) return at + 1;
    if (byte === BACKSLASH && at + 1 < end && line[at + 1] === APOSTROPHE) at += 1;
    word.push(line[at]!);
    at += 1;
  }
  return -1;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** What a letter behind a backslash stands for; any other byte for itself. */
function escaped(byte: number): number {
  switch (byte) {
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    case 0x62:
      return 0x08;
    case 0x61:
      return 0x07;
    default:
      return byte;
  }
}
