import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's top folder. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** One file as the rules see it. */
export interface SourceFile {
  /** From the repository's top, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the contents of strings blanked: same length, same lines. */
  readonly code: string;
}

/** One place where a rule does not hold. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** A file made up for a rule's self-test, or read from disk. */
export function sourceFile(path: string, text: string): SourceFile {
  return { path, text, code: maskSource(text) };
}

/** Every file under a folder of the repository whose name ends in one of the extensions. */
export function readSources(folder: string, extensions: readonly string[]): SourceFile[] {
  const top = join(ROOT, folder);
  const names = readdirSync(top, { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => extensions.some((extension) => name.endsWith(extension)))
    .map((name) => join(top, name))
    .sort((a, b) => (a < b ? -1 : 1))
    .map((path) =>
      sourceFile(relative(ROOT, path).split(sep).join("/"), readFileSync(path, "utf8")),
    );
}

/** 1-based line of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
    line += 1;
  }
  return line;
}

/** One specifier that a module imports or re-exports. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
}

const IMPORTS = [
  /(?<![.\w$])(?:from|import)\s*(["'])/g,
  /(?<![.\w$])import\s*\(\s*(["'])/g,
  /\bnew URL\(\s*(["'])/g,
];

/** Static imports, re-exports, dynamic imports, and modules named by `new URL` for a worker. */
export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = [];
  for (const pattern of IMPORTS) {
    for (const match of file.code.matchAll(pattern)) {
      const from = match.index + match[0].length;
      const specifier = file.text.slice(from, file.text.indexOf(match[1] ?? '"', from));
      const isModule = !match[0].startsWith("new") || /\.(ts|js)$/.test(specifier);
      if (isModule) found.push({ specifier, line: lineAt(file.text, match.index) });
    }
  }
  return found;
}

/**
 * Blanks comments, strings, regular expressions and the fixed parts of templates, so that the rules
 * judge code only. What is inside `${…}` stays. Newlines stay, so that offsets and lines agree.
 */
export function maskSource(text: string): string {
  const out = text.split("");
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i += 1) if (out[i] !== "\n") out[i] = " ";
  };
  const template = (from: number): number => {
    const end = endOfTemplatePart(text, from);
    blank(from, end.at);
    if (end.opens) templates.push(depth);
    return end.opens ? end.at + 2 : end.at + 1;
  };
  while (at < text.length) {
    const char = text[at];
    const two = text.slice(at, at + 2);
    if (two === "//" || two === "/*") {
      const end = endOfComment(text, at);
      blank(at, end);
      at = end;
    } else if (char === '"' || char === "'") {
      const end = endOfDelimited(text, at + 1, char);
      blank(at + 1, end);
      at = end + 1;
    } else if (char === "`") {
      at = template(at + 1);
    } else if (char === "/" && isRegexStart(out, at)) {
      const end = endOfRegex(text, at + 1);
      blank(at + 1, end);
      at = end + 1;
    } else if (char === "}" && templates.at(-1) === depth) {
      templates.pop();
      at = template(at + 1);
    } else {
      if (char === "{") depth += 1;
      if (char === "}") depth -= 1;
      at += 1;
    }
  }
  return out.join("");
}

function endOfComment(text: string, at: number): number {
  const isLine = text[at + 1] === "/";
  const end = isLine ? text.indexOf("\n", at) : text.indexOf("*/", at + 2);
  if (end === -1) return text.length;
  return isLine ? end : end + 2;
}

function endOfDelimited(text: string, from: number, quote: string): number {
  let at = from;
  while (at < text.length && text[at] !== quote && text[at] !== "\n") {
    at += text[at] === "\\" ? 2 : 1;
  }
  return at;
}

function endOfRegex(text: string, from: number): number {
  let inClass = false;
  let at = from;
  while (at < text.length && text[at] !== "\n") {
    const char = text[at];
    if (char === "/" && !inClass) return at;
    if (char === "[") inClass = true;
    if (char === "]") inClass = false;
    at += char === "\\" ? 2 : 1;
  }
  return at;
}

function endOfTemplatePart(text: string, from: number): { at: number; opens: boolean } {
  let at = from;
  while (at < text.length) {
    if (text[at] === "`") return { at, opens: false };
    if (text[at] === "$" && text[at + 1] === "{") return { at, opens: true };
    at += text[at] === "\\" ? 2 : 1;
  }
  return { at, opens: false };
}

/** A slash begins a regular expression unless what stands before it can end an operand. */
function isRegexStart(out: readonly string[], slash: number): boolean {
  let at = slash - 1;
  while (at >= 0 && (out[at] === " " || out[at] === "\n" || out[at] === "\t")) at -= 1;
  if (at < 0) return true;
  const before = out[at] ?? "";
  if (/[)\]}"'`]/.test(before)) return false;
  if (!/[\w$]/.test(before)) return true;
  let start = at;
  while (start > 0 && /[\w$]/.test(out[start - 1] ?? "")) start -= 1;
  return /^(return|typeof|case|in|of|void|delete|throw|yield|await)$/.test(
    out.slice(start, at + 1).join(""),
  );
}
