/** A line cannot be cut into words: a quote is open, or something follows a closing one. */
export class WordsError extends Error {
  override readonly name = "WordsError";
}

/**
 * Cuts a line into words as redis-cli does: double quotes with escapes, single quotes without.
 * Throws `WordsError`.
 */
export function splitWords(line: string): readonly string[] {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && isSpace(line[at]!)) at += 1;
    if (at === line.length) return words;
    const quote = line[at]!;
    if (quote === '"' || quote === "'") {
      const end = readQuoted(line, at, words);
      if (end < line.length && !isSpace(line[end]!)) {
        throw new WordsError("A space must follow a closing quote.");
      }
      at = end;
    } else {
      const from = at;
      while (at < line.length && !isSpace(line[at]!)) at += 1;
      words.push(line.slice(from, at));
    }
  }
}

/** Appends the quoted word that begins at `from`; returns the place behind its closing quote. */
function readQuoted(line: string, from: number, words: string[]): number {
  const quote = line[from]!;
  let word = "";
  for (let at = from + 1; at < line.length; at += 1) {
    const character = line[at]!;
    if (character === quote) {
      words.push(word);
      return at + 1;
    }
    if (character !== "\\" || at + 1 === line.length) {
      word += character;
      continue;
    }
    const next = line[at + 1]!;
    if (quote === "'") {
      if (next === "'") at += 1;
      word += next === "'" ? "'" : "\\";
      continue;
    }
    const hex = /^x([0-9a-fA-F]{2})/.exec(line.slice(at + 1, at + 4));
    word += hex === null ? escaped(next) : String.fromCharCode(Number.parseInt(hex[1]!, 16));
    at += hex === null ? 1 : 3;
  }
  throw new WordsError("A quote is not closed.");
}

function escaped(character: string): string {
  const known: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", a: "\x07" };
  return known[character] ?? character;
}

function isSpace(character: string): boolean {
  return character === " " || character === "\t" || character === "\n" || character === "\r";
}
