/**
 * What is run against a real Redis and against us, and answered alike to the byte. The list names
 * no server, so that any target can be held to it.
 */
export interface DifferentialCase {
  readonly name: string;
  readonly resp: 2 | 3;
  readonly steps: readonly Step[];
}

export interface Step {
  readonly args: readonly Uint8Array[];
  /**
   * `bytes`: the raw reply. `sorted`: an array whose order is nobody's promise. `pairs`: one of
   * names and values, flat, nested or a map, also as a page of HSCAN. `shape`: only the first byte,
   * where the contents differ by nature.
   */
  readonly compare: "bytes" | "sorted" | "pairs" | "shape";
}

/** Steps under a name; each is run in RESP2 and in RESP3. */
export type Script = readonly [name: string, steps: readonly Step[]];

type Word = string | number | Uint8Array;

function bytesOf(word: Word): Uint8Array {
  return word instanceof Uint8Array ? word : new TextEncoder().encode(String(word));
}

/** A command whose reply is compared byte by byte; blanks separate the words of a string. */
export function run(...words: Word[]): Step {
  const only = words[0];
  if (words.length === 1 && typeof only === "string") {
    return { args: only.split(" ").map(bytesOf), compare: "bytes" };
  }
  return { args: words.map(bytesOf), compare: "bytes" };
}

export function sorted(...words: Word[]): Step {
  return { ...run(...words), compare: "sorted" };
}

export function pairs(...words: Word[]): Step {
  return { ...run(...words), compare: "pairs" };
}

export function shape(...words: Word[]): Step {
  return { ...run(...words), compare: "shape" };
}

export function lines(text: string): Step[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => run(line));
}

export const BINARY = Uint8Array.from({ length: 256 }, (_, i) => i);
export const UNICODE = "Grüße, 世界 🌍";
export const LONG = "x".repeat(5000);
