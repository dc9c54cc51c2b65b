import { unreachable } from "../core/base/assert.ts";
import { decodeUtf8, isUtf8 } from "../core/base/bytes.ts";
import type { Reply } from "../core/contract/reply.ts";

/** A reply as redis-cli shows it to a person. */
export function formatReply(reply: Reply, indent = ""): string {
  switch (reply.kind) {
    case "simple":
      return visible(reply.text);
    case "error":
      return `(error) ${visible(errorText(reply))}`;
    case "integer":
      return `(integer) ${reply.value}`;
    case "bulk":
      return quote(reply.bytes);
    case "null":
    case "nullArray":
      return "(nil)";
    case "double":
      return `(double) ${reply.value}`;
    case "boolean":
      return `(${reply.value})`;
    case "verbatim":
      return decodeUtf8(reply.bytes);
    case "array":
    case "set":
      return formatItems(reply.items, indent, reply.kind);
    case "pairs":
      return formatItems(reply.items, indent, "array");
    case "map":
      return formatMap(reply.items, indent);
    default:
      return unreachable(reply);
  }
}

function formatItems(items: readonly Reply[], indent: string, kind: "array" | "set"): string {
  if (items.length === 0) return `(empty ${kind})`;
  const width = String(items.length).length;
  const inner = `${indent}${" ".repeat(width + 2)}`;
  const mark = kind === "set" ? "~" : ")";
  const lines = items.map((item, i) => {
    return `${String(i + 1).padStart(width)}${mark} ${formatReply(item, inner)}`;
  });
  return lines.join(`\n${indent}`);
}

function formatMap(items: readonly Reply[], indent: string): string {
  if (items.length === 0) return "(empty hash)";
  const width = String(items.length / 2).length;
  const inner = `${indent}${" ".repeat(width + 2)}`;
  const lines: string[] = [];
  for (let i = 0; i + 1 < items.length; i += 2) {
    const number = String(i / 2 + 1).padStart(width);
    lines.push(
      `${number}# ${formatReply(items[i]!, inner)} => ${formatReply(items[i + 1]!, inner)}`,
    );
  }
  return lines.join(`\n${indent}`);
}

/** A reply for another program: what redis-cli prints when its output is no terminal. */
export function formatRaw(reply: Reply): string {
  switch (reply.kind) {
    case "bulk":
    case "verbatim":
      return Buffer.from(reply.bytes).toString("latin1");
    case "error":
      return errorText(reply);
    case "integer":
    case "double":
      return String(reply.value);
    case "boolean":
      return reply.value ? "1" : "0";
    case "simple":
      return reply.text;
    case "null":
    case "nullArray":
      return "";
    case "array":
    case "set":
    case "map":
    case "pairs":
      return reply.items.map(formatRaw).join("\n");
    default:
      return unreachable(reply);
  }
}

/** A reply as JSON. Bytes that are no text become `{ base64 }`, integers beyond 2^53 strings. */
export function replyToJson(reply: Reply): unknown {
  switch (reply.kind) {
    case "simple":
      return reply.text;
    case "error":
      return { error: errorToJson(reply) };
    case "integer":
      return typeof reply.value === "bigint" ? String(reply.value) : reply.value;
    case "double":
      return Number.isFinite(reply.value) ? reply.value : String(reply.value);
    case "boolean":
      return reply.value;
    case "bulk":
    case "verbatim":
      if (isUtf8(reply.bytes)) return decodeUtf8(reply.bytes);
      return { base64: Buffer.from(reply.bytes).toString("base64") };
    case "null":
    case "nullArray":
      return null;
    case "array":
    case "set":
    case "pairs":
      return reply.items.map(replyToJson);
    case "map":
      return mapToJson(reply.items);
    default:
      return unreachable(reply);
  }
}

function mapToJson(items: readonly Reply[]): unknown {
  const entries: [string, unknown][] = [];
  for (let i = 0; i + 1 < items.length; i += 2) {
    const key = replyToJson(items[i]!);
    entries.push([typeof key === "string" ? key : JSON.stringify(key), replyToJson(items[i + 1]!)]);
  }
  return Object.fromEntries(entries);
}

type ErrorReply = Extract<Reply, { kind: "error" }>;

/** The error as it stood on the wire. */
export function errorText(reply: ErrorReply): string {
  const outcome = reply.outcome === null ? "" : ` ${reply.outcome}`;
  return `${reply.code} ${reply.message}${outcome}`;
}

/** The error as a document. */
export function errorToJson({ code, message, outcome }: ErrorReply) {
  return { code, message, outcome };
}

function quote(bytes: Uint8Array): string {
  if (isUtf8(bytes)) {
    return `"${visible(decodeUtf8(bytes).replace(/["\\]/g, (character) => `\\${character}`))}"`;
  }
  let text = "";
  for (const byte of bytes) {
    if (byte === 0x22 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : escapeByte(byte);
  }
  return `"${text}"`;
}

/** Text without characters that a terminal would obey: a stored value is not to move the cursor. */
function visible(text: string): string {
  let shown = "";
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    const isControl = point < 0x20 || (point >= 0x7f && point < 0xa0);
    shown += isControl ? escapeByte(point) : character;
  }
  return shown;
}

function escapeByte(byte: number): string {
  if (byte === 0x0a) return "\\n";
  if (byte === 0x0d) return "\\r";
  if (byte === 0x09) return "\\t";
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[], indent = "  "): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  const lines = rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("   "));
  return lines.map((line) => `${indent}${line}`.trimEnd()).join("\n");
}
