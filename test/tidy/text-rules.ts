import { basename } from "node:path";
import { isTest } from "./layers.ts";
import { type Finding, lineAt, type SourceFile } from "./source.ts";

const COLUMNS_MAX = 100;
const LINES_MAX = 800;

interface Ban {
  readonly pattern: RegExp;
  readonly why: string;
}

const NONDETERMINISM: readonly Ban[] = [
  ban("async|await|Promise|queueMicrotask", "waiting is state, not a promise"),
  ban("setTimeout|setInterval|setImmediate", "time is an argument; use deadline()"),
  ban("Date|performance", "the clock is an argument"),
  ban("crypto", "randomness comes from Prng"),
  ban("Buffer|TextEncoder|TextDecoder|process|require", "core knows no platform"),
  ban("console|globalThis|window|navigator", "core knows no platform"),
  ban("structuredClone|WeakRef|FinalizationRegistry|Intl", "depends on the platform or on gc"),
  { pattern: /\bMath\.random\b/g, why: "randomness comes from Prng" },
  {
    pattern:
      /\bMath\.(a?(sin|cos|tan)h?|atan2|exp|expm1|log\w*|pow|cbrt|hypot|sqrt)\b|(?<!\dn )\*\*/g,
    why: "engines may round it differently",
  },
  { pattern: /\.(sort|toSorted)\s*\(\s*\)/g, why: "sorts numbers as text; give a comparator" },
  { pattern: /\.(localeCompare|toLocale\w*)\b/g, why: "depends on locale and ICU" },
  { pattern: /^(export\s+)?(let|var)\b/gm, why: "module-level state is shared by all replicas" },
  {
    pattern: /^(export\s+)?const\s+\w+\s*=\s*new\s+(Map|Set|Array|SortedMap)\b/gm,
    why: "module-level collection; declare it ReadonlyMap, ReadonlySet or readonly []",
  },
];

/** What may differ from run to run, engine to engine or replica to replica has no place in core. */
export function determinismFindings(file: SourceFile): Finding[] {
  if (!file.path.startsWith("src/core/") || isTest(file.path)) return [];
  const findings: Finding[] = [];
  for (const { pattern, why } of NONDETERMINISM) {
    for (const match of file.code.matchAll(pattern)) {
      const line = lineAt(file.text, match.index);
      findings.push({ path: file.path, line, message: `${match[0].trim()}: ${why}` });
    }
  }
  return findings;
}

/** Lines of at most 100 columns; only a string, which cannot be broken, may make one longer. */
export function columnFindings(file: SourceFile): Finding[] {
  const code = file.code.split("\n");
  const findings: Finding[] = [];
  for (const [at, line] of file.text.split("\n").entries()) {
    const columns = Array.from(line).length;
    if (columns <= COLUMNS_MAX || isLongByStrings(line, code[at] ?? "")) continue;
    findings.push({ path: file.path, line: at + 1, message: `${columns} columns` });
  }
  return findings;
}

/** `code` is the line with comments and the contents of strings blanked. */
function isLongByStrings(line: string, code: string): boolean {
  if (/^\s*(\/\/|\/?\*)/.test(line) || /\/\/ .{40}/.test(line)) return false;
  if (/^\s*(return |(const )?\w+( =|:) )?`.*`[,;)]*$/.test(line)) return true;
  const indent = line.length - line.trimStart().length;
  return indent + code.trim().replace(/ {2,}/g, " ").length <= COLUMNS_MAX;
}

/** A file too long to read has more than one noun in it. */
export function lengthFindings(file: SourceFile): Finding[] {
  const lines = file.text.split("\n").length - 1;
  if (lines <= LINES_MAX) return [];
  return [{ path: file.path, line: LINES_MAX, message: `${lines} lines` }];
}

// Spelt in halves, so that this file does not find itself.
const UNFINISHED = new RegExp(`\\b(${["TO", "FIX", "X"].join("|")})(DO|ME|XX)\\b`, "g");

/** Notes of unfinished work. */
export function unfinishedFindings(file: SourceFile): Finding[] {
  return [...file.text.matchAll(UNFINISHED)].map((match) => ({
    path: file.path,
    line: lineAt(file.text, match.index),
    message: `${match[0]}: finish it, or say what holds today`,
  }));
}

/** Files are named in kebab-case for one noun. */
export function nameFindings(file: SourceFile): Finding[] {
  if (/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.d)?\.(ts|mjs)$/.test(basename(file.path))) return [];
  return [{ path: file.path, line: 1, message: "file name is not kebab-case" }];
}

/** Only the simulator can plant a protocol mistake: what serves data has no way to name one. */
export function mutantFindings(file: SourceFile): Finding[] {
  if (!/^src\/(host|client|cli)\//.test(file.path)) return [];
  return [...file.text.matchAll(/mutant/gi)].map((match) => ({
    path: file.path,
    line: lineAt(file.text, match.index),
    message: "a serving program mentions planted mistakes",
  }));
}

const DECLARATION = new RegExp(
  "^export\\s+(?:(?:default|declare|abstract|async)\\s+)*" +
    "(class|function|interface|type|const)\\s*\\*?\\s*(\\w+)",
  "gm",
);

/** Every exported declaration has a docstring of at least three words right above it. */
export function docstringFindings(file: SourceFile): Finding[] {
  if (!file.path.startsWith("src/") || isTest(file.path)) return [];
  const findings: Finding[] = [];
  const documented = new Set<string>();
  for (const match of file.code.matchAll(DECLARATION)) {
    const [, kind = "", name = ""] = match;
    // The signatures of one overloaded function share the first one's docstring.
    if (hasDocstring(file.text.slice(0, match.index))) documented.add(name);
    if (documented.has(name)) continue;
    const line = lineAt(file.text, match.index + 1);
    findings.push({ path: file.path, line, message: `${kind} ${name} has no docstring` });
  }
  return findings;
}

function hasDocstring(before: string): boolean {
  const trimmed = before.trimEnd();
  if (!trimmed.endsWith("*/") || /\n\s*\n\s*$/.test(before)) return false;
  const open = trimmed.lastIndexOf("/*");
  if (!trimmed.startsWith("/**", open)) return false;
  const words = trimmed.slice(open + 3, -2).match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.length >= 3;
}

function ban(words: string, why: string): Ban {
  // A property or a private field of that name is another thing than the global.
  return { pattern: new RegExp(`(?<![.#\\w$])(?:${words})\\b(?!\\s*\\??:)`, "g"), why };
}
