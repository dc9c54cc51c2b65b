/**
 * Patterns as KEYS, SCAN and CONFIG GET take them: `*`, `?`, `[a-z]`, `[^a]` and `\` before a
 * literal.
 *
 * Every element but the star takes exactly one byte, so the last star is the only place to go back
 * to: time is at most O(pattern × text), without recursion, where backtracking matchers can be made
 * to take exponential time. Bytes of ranges are compared unsigned.
 */
export class Glob {
  /** What the text must begin with: the bytes before the first wildcard. */
  readonly prefix: Uint8Array;
  readonly #elements: readonly Element[];

  constructor(pattern: Uint8Array) {
    this.#elements = compile(pattern);
    const literals: number[] = [];
    for (const element of this.#elements) {
      if (typeof element !== "number") break;
      literals.push(element);
    }
    this.prefix = Uint8Array.from(literals);
  }

  /** Whether it has no wildcards. */
  get isLiteral(): boolean {
    return this.prefix.length === this.#elements.length;
  }

  /** Whether every text matches. */
  get isAny(): boolean {
    return this.#elements.length === 1 && this.#elements[0] === "star";
  }

  /** Whether the whole text, a byte string, matches. */
  matches(text: string): boolean {
    const elements = this.#elements;
    let at = 0;
    let textAt = 0;
    let starAt = -1;
    let starTextAt = 0;
    while (textAt < text.length) {
      const element = elements[at];
      if (element === "star") {
        starAt = at;
        starTextAt = textAt;
        at += 1;
      } else if (element !== undefined && takes(element, text.charCodeAt(textAt))) {
        at += 1;
        textAt += 1;
      } else if (starAt !== -1) {
        starTextAt += 1;
        textAt = starTextAt;
        at = starAt + 1;
      } else return false;
    }
    while (elements[at] === "star") at += 1;
    return at === elements.length;
  }
}

/** A literal byte, any byte, any run of bytes, or one byte of a set. */
type Element = number | "any" | "star" | Uint8Array;

function takes(element: Exclude<Element, "star">, byte: number): boolean {
  if (typeof element === "number") return element === byte;
  return element === "any" || element[byte] === 1;
}

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const BACKSLASH = 0x5c;
const CARET = 0x5e;
const DASH = 0x2d;

function compile(pattern: Uint8Array): Element[] {
  const elements: Element[] = [];
  let at = 0;
  while (at < pattern.length) {
    const byte = pattern[at]!;
    if (byte === STAR) {
      if (elements.at(-1) !== "star") elements.push("star");
      at += 1;
    } else if (byte === QUESTION) {
      elements.push("any");
      at += 1;
    } else if (byte === OPEN) {
      at = compileSet(pattern, at + 1, elements);
    } else {
      if (byte === BACKSLASH && at + 1 < pattern.length) at += 1;
      elements.push(pattern[at]!);
      at += 1;
    }
  }
  return elements;
}

/** Reads a set from behind its bracket; one that is never closed ends with the pattern. */
function compileSet(pattern: Uint8Array, from: number, elements: Element[]): number {
  const set = new Uint8Array(256);
  let at = from;
  const isNegated = pattern[at] === CARET;
  if (isNegated) at += 1;
  while (at < pattern.length && pattern[at] !== CLOSE) {
    const left = pattern.length - at;
    if (pattern[at] === BACKSLASH && left >= 2) {
      set[pattern[at + 1]!] = 1;
      at += 2;
    } else if (left >= 3 && pattern[at + 1] === DASH) {
      const low = Math.min(pattern[at]!, pattern[at + 2]!);
      const high = Math.max(pattern[at]!, pattern[at + 2]!);
      set.fill(1, low, high + 1);
      at += 3;
    } else {
      set[pattern[at]!] = 1;
      at += 1;
    }
  }
  if (isNegated) for (let i = 0; i < 256; i += 1) set[i] = 1 - set[i]!;
  elements.push(set);
  return at + 1;
}
