import { describe, expect, it } from "vitest";
import { splitWords, WordsError } from "./words.ts";

describe("a line's words", () => {
  it.each<[string, readonly string[]]>([
    ["", []],
    ["  SET  a\tb ", ["SET", "a", "b"]],
    ['SET a "two words"', ["SET", "a", "two words"]],
    ["SET a 'it\\'s'", ["SET", "a", "it's"]],
    ["SET a 'back\\slash'", ["SET", "a", "back\\slash"]],
    ['"\\x41\\n\\t\\"\\\\"', ['A\n\t"\\']],
    ['""', [""]],
    ['a"b', ['a"b']],
  ])("%j", (line, words) => {
    expect(splitWords(line)).toEqual(words);
  });

  it.each(['"open', "'open", "SET a 'it''", '"closed"x', '"\\'])("%j is none", (line) => {
    expect(() => splitWords(line)).toThrow(WordsError);
  });
});
