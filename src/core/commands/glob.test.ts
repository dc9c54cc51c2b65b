import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeUtf8, fromByteString } from "../base/bytes.ts";
import { Glob } from "./glob.ts";

function matches(pattern: string, text: string): boolean {
  return new Glob(fromByteString(pattern)).matches(text);
}

/**
 * The meaning in the fewest words: it backtracks over every star, and so is slow and easy to trust.
 */
function naive(pattern: string, text: string): boolean {
  if (pattern === "") return text === "";
  if (pattern[0] === "*") {
    for (let i = 0; i <= text.length; i += 1)
      if (naive(pattern.slice(1), text.slice(i))) return true;
    return false;
  }
  if (text === "") return false;
  if (pattern[0] === "?") return naive(pattern.slice(1), text.slice(1));
  if (pattern[0] === "[") {
    const [set, rest] = naiveSet(pattern.slice(1));
    return set(text[0]!) && naive(rest, text.slice(1));
  }
  const literal = pattern[0] === "\\" && pattern.length > 1 ? pattern.slice(1) : pattern;
  return literal[0] === text[0] && naive(literal.slice(1), text.slice(1));
}

function naiveSet(pattern: string): [(c: string) => boolean, string] {
  let rest = pattern;
  const isNegated = rest[0] === "^";
  if (isNegated) rest = rest.slice(1);
  const tests: ((c: string) => boolean)[] = [];
  while (rest !== "" && rest[0] !== "]") {
    const [a, dash, b] = [rest[0]!, rest[1], rest[2]];
    if (a === "\\" && dash !== undefined) {
      tests.push((c) => c === dash);
      rest = rest.slice(2);
    } else if (dash === "-" && b !== undefined) {
      tests.push((c) => (a <= c && c <= b) || (b <= c && c <= a));
      rest = rest.slice(3);
    } else {
      tests.push((c) => c === a);
      rest = rest.slice(1);
    }
  }
  return [(c) => tests.some((accepts) => accepts(c)) !== isNegated, rest.slice(1)];
}

describe("Glob", () => {
  test.each([
    ["*", "", true],
    ["*", "anything", true],
    ["h?llo", "hello", true],
    ["h?llo", "hllo", false],
    ["h*llo", "heeello", true],
    ["h[ae]llo", "hallo", true],
    ["h[ae]llo", "hillo", false],
    ["h[^e]llo", "hallo", true],
    ["h[^e]llo", "hello", false],
    ["h[c-a]llo", "hbllo", true],
    ["a\\*", "a*", true],
    ["a\\*", "ab", false],
    ["a\\", "a\\", true],
    ["[", "[", false],
    ["[^", "x", true],
    ["[a", "a", true],
    ["[a-", "-", true],
    ["", "", true],
    ["", "a", false],
    ["*a*b", "xaxbxab", true],
    ["*a*b", "xaxbxa", false],
    ["[\x80-\xff]", "\xc3", true],
  ])("%j and %j: %j", (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  test("agrees with a naive matcher", () => {
    const pattern = fc.string({ unit: fc.constantFrom(..."ab*?[]^-\\".split("")), maxLength: 10 });
    const text = fc.string({ unit: fc.constantFrom(..."ab[]^-\\".split("")), maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (p, t) => {
        expect(matches(p, t)).toBe(naive(p, t));
      }),
      { numRuns: 5000 },
    );
  });

  test("takes no exponential time", () => {
    const glob = new Glob(encodeUtf8(`${"*a".repeat(200)}*b`));
    const text = "a".repeat(5000);
    // 200 stars: a matcher that goes back to each of them would not end in the life of the machine.
    expect(glob.matches(text)).toBe(false);
    expect(glob.matches(`${text}b`)).toBe(true);
  });

  test("knows the bytes that every match begins with", () => {
    expect(new Glob(encodeUtf8("user:\\*1*x")).prefix).toEqual(encodeUtf8("user:*1"));
    expect(new Glob(encodeUtf8("*x")).prefix).toEqual(encodeUtf8(""));
    expect(new Glob(encodeUtf8("abc")).isLiteral).toBe(true);
    expect(new Glob(encodeUtf8("ab?")).isLiteral).toBe(false);
    expect(new Glob(encodeUtf8("***")).isAny).toBe(true);
    expect(new Glob(encodeUtf8("*a")).isAny).toBe(false);
  });
});
