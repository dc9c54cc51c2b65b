import { assert } from "../base/assert.ts";

/**
 * One argument of a command as COMMAND DOCS describes it, read from the usage that people read.
 *
 * The notation is that of Redis's own documentation: words in capitals are literal, others name an
 * argument; `[a]` may be left out, `a | b` is a choice, `(a | b)` keeps one together, `...` repeats
 * what is before it, and a capital word before an argument or a group is its token.
 */
export interface UsageArgument {
  readonly name: string;
  readonly type: ArgumentType;
  /** The literal in front of it, if any. */
  readonly token: string | null;
  readonly isOptional: boolean;
  readonly isMultiple: boolean;
  /** Of a block or a choice. */
  readonly parts: readonly UsageArgument[];
}

/** The type of an argument, as COMMAND DOCS names it. */
export type ArgumentType =
  | "key"
  | "string"
  | "integer"
  | "pattern"
  | "pure-token"
  | "block"
  | "oneof";

const KEYS = ["key", "key1", "key2", "newkey", "destkey", "source", "destination"];
const INTEGERS = [
  ...["start", "end", "offset", "increment", "decrement", "count", "cursor", "numreplicas"],
  ...["numkeys", "limit"],
  ...["timeout", "milliseconds", "protover", "min-match-len", "index", "bit", "nodes", "client-id"],
  ...["seconds", "unix-time-seconds", "unix-time-milliseconds"],
];

/** The arguments of a usage, in order. */
export function parseUsage(usage: string): readonly UsageArgument[] {
  const words = usage.match(/[[\]()|]|\.\.\.|[^\s[\]()|]+/g) ?? [];
  const parser = new UsageParser(words);
  const parsed = parser.sequence();
  assert(parser.isDone, "unbalanced usage", usage);
  return parsed;
}

class UsageParser {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get isDone(): boolean {
    return this.#at === this.#words.length;
  }

  /** Arguments up to a bracket's end; choices bind looser than what stands side by side. */
  sequence(): readonly UsageArgument[] {
    const choices: UsageArgument[][] = [[]];
    while (!this.isDone && this.#peek() !== "]" && this.#peek() !== ")") {
      const word = this.#next();
      const current = choices.at(-1)!;
      if (word === "|") choices.push([]);
      else if (word === "...") repeatLast(current);
      else if (word === "[") this.#optional(current);
      else if (word === "(") current.push(this.#group());
      else current.push(this.#argument(word));
    }
    return choices.length === 1 ? choices[0]! : this.#choice(choices);
  }

  #optional(current: UsageArgument[]): void {
    const inner = this.sequence();
    assert(this.#next() === "]", "a bracket is not closed");
    // `key [key ...]` is one argument that repeats, not two.
    const last = current.at(-1);
    if (last !== undefined && repeats(inner, current)) {
      const names = inner.length;
      const parts = current.splice(current.length - names, names);
      current.push({ ...blockOf(parts), isMultiple: true });
      return;
    }
    if (inner.length > 0) current.push({ ...blockOf(inner), isOptional: true });
  }

  #group(): UsageArgument {
    const inner = this.sequence();
    assert(this.#next() === ")", "a group is not closed");
    return blockOf(inner);
  }

  #argument(word: string): UsageArgument {
    if (!isToken(word)) return plain(word, null);
    const following = this.#peek();
    if (following === "(") {
      this.#next();
      return { ...this.#group(), token: word };
    }
    if (following === undefined || !/^[a-z]/.test(following)) return pureToken(word);
    const argument = plain(this.#next(), word);
    const parts = [argument];
    while (/^[a-z]/.test(this.#peek() ?? "")) parts.push(plain(this.#next(), null));
    if (parts.length === 1) return argument;
    const block = blockOf(parts.map((part) => ({ ...part, token: null })));
    return { ...block, name: word.toLowerCase(), token: word };
  }

  #choice(choices: readonly UsageArgument[][]): readonly UsageArgument[] {
    const parts = choices.map((choice) => blockOf(choice));
    const name = parts.map((part) => part.name).join("-or-");
    return [{ name, type: "oneof", token: null, isOptional: false, isMultiple: false, parts }];
  }

  #peek(): string | undefined {
    return this.#words[this.#at];
  }

  #next(): string {
    const word = this.#words[this.#at];
    assert(word !== undefined, "a usage ends too soon");
    this.#at += 1;
    return word;
  }
}

function isToken(word: string): boolean {
  return /^[A-Z-][A-Z0-9_-]*$/.test(word);
}

function plain(name: string, token: string | null): UsageArgument {
  return { name, type: typeOf(name), token, isOptional: false, isMultiple: false, parts: [] };
}

function pureToken(word: string): UsageArgument {
  const name = word.toLowerCase();
  return { name, type: "pure-token", token: word, isOptional: false, isMultiple: false, parts: [] };
}

function typeOf(name: string): ArgumentType {
  if (KEYS.includes(name)) return "key";
  if (INTEGERS.includes(name)) return "integer";
  return name === "pattern" ? "pattern" : "string";
}

function blockOf(parts: readonly UsageArgument[]): UsageArgument {
  assert(parts.length > 0, "an empty block");
  if (parts.length === 1) return parts[0]!;
  const name = parts.map((part) => part.name).join("-");
  return { name, type: "block", token: null, isOptional: false, isMultiple: false, parts };
}

function repeatLast(current: UsageArgument[]): void {
  const last = current.pop();
  assert(last !== undefined, "nothing to repeat");
  current.push({ ...last, isMultiple: true });
}

function repeats(inner: readonly UsageArgument[], current: readonly UsageArgument[]): boolean {
  if (inner.length === 0 || inner.length > current.length) return false;
  if (inner.at(-1)!.isMultiple !== true) return false;
  const before = current.slice(current.length - inner.length);
  return inner.every((argument, i) => argument.name === before[i]!.name);
}
