import { unreachable } from "../base/assert.ts";
import { type ByteReader, type ByteWriter, encodeUtf8, FormatError } from "../base/bytes.ts";
import { ERRORS, type ErrorCode, type Outcome } from "./errors.ts";

/**
 * The answer to a command, before any wire format: RESP2 and RESP3 each write it their own way, the
 * session table keeps it for retries, peers forward it.
 */
export type Reply =
  | { readonly kind: "simple"; readonly text: string }
  /**
   * `code` is the first word (`ERR`, `WRONGTYPE`, ours); outcome null leaves the text as Redis has
   * it.
   */
  | {
      readonly kind: "error";
      readonly code: string;
      readonly message: string;
      readonly outcome: Outcome | null;
    }
  /** Whole numbers beyond 2^53 travel as bigint; everything else as number. */
  | { readonly kind: "integer"; readonly value: number | bigint }
  | { readonly kind: "bulk"; readonly bytes: Uint8Array }
  | { readonly kind: "null" }
  /** RESP2 tells a null array from a null bulk string. */
  | { readonly kind: "nullArray" }
  | { readonly kind: "double"; readonly value: number }
  | { readonly kind: "boolean"; readonly value: boolean }
  /** `format` has three characters: `txt` or `mkd`. RESP2 sees a bulk string. */
  | { readonly kind: "verbatim"; readonly format: string; readonly bytes: Uint8Array }
  | { readonly kind: "array"; readonly items: readonly Reply[] }
  | { readonly kind: "set"; readonly items: readonly Reply[] }
  /** Keys and values alternate; RESP2 sees a flat array. */
  | { readonly kind: "map"; readonly items: readonly Reply[] }
  /** Names and values alternate; RESP3 sees an array of arrays of two, RESP2 a flat array. */
  | { readonly kind: "pairs"; readonly items: readonly Reply[] };

/** The simple string OK. */
export const OK: Reply = { kind: "simple", text: "OK" };

/** No value, as a null bulk string in RESP2. */
export const NULL: Reply = { kind: "null" };

/** No value, as a null array in RESP2. */
export const NULL_ARRAY: Reply = { kind: "nullArray" };

/** The integer 0, shared. */
export const ZERO: Reply = { kind: "integer", value: 0 };

/** The integer 1, shared. */
export const ONE: Reply = { kind: "integer", value: 1 };

/** A whole number; the common ones are shared. */
export function integer(value: number | bigint): Reply {
  if (value === 0) return ZERO;
  if (value === 1) return ONE;
  return { kind: "integer", value };
}

/** A bulk string that takes over the array. */
export function bulk(bytes: Uint8Array): Reply {
  return { kind: "bulk", bytes };
}

/** A bulk string with the UTF-8 of a text. */
export function bulkText(text: string): Reply {
  return { kind: "bulk", bytes: encodeUtf8(text) };
}

/** An array of replies, in order. */
export function array(items: readonly Reply[]): Reply {
  return { kind: "array", items };
}

/** An error as Redis words it: nothing was done, and no outcome is appended. */
export function redisError(message: string, code = "ERR"): Reply {
  return { kind: "error", code, message, outcome: null };
}

/** One of our own errors; the outcome becomes the last word on the wire. */
export function error(code: ErrorCode, message: string, outcome?: Outcome): Reply {
  return { kind: "error", code, message, outcome: outcome ?? ERRORS[code].outcome };
}

const TAGS = [
  "simple",
  "error",
  "integer",
  "bigint",
  "bulk",
  "null",
  "nullArray",
  "double",
  "boolean",
  "verbatim",
  "array",
  "set",
  "map",
  "pairs",
] as const;
const OUTCOMES = [null, "not-applied", "unknown", "applied"] as const;
const NESTING_MAX = 32;

/** Compact form, for the session table, snapshots and answers to forwarded commands. */
export function writeReply(reply: Reply, writer: ByteWriter): void {
  const tag = reply.kind === "integer" && typeof reply.value === "bigint" ? "bigint" : reply.kind;
  writer.u8(TAGS.indexOf(tag));
  switch (reply.kind) {
    case "simple":
      return writer.text(reply.text);
    case "error":
      writer.text(reply.code);
      writer.text(reply.message);
      return writer.u8(OUTCOMES.indexOf(reply.outcome));
    case "integer":
    case "double":
      return writer.text(String(reply.value));
    case "bulk":
      return writer.bytes(reply.bytes);
    case "null":
    case "nullArray":
      return;
    case "boolean":
      return writer.u8(reply.value ? 1 : 0);
    case "verbatim":
      writer.text(reply.format);
      return writer.bytes(reply.bytes);
    case "array":
    case "set":
    case "map":
    case "pairs":
      writer.u32(reply.items.length);
      for (const item of reply.items) writeReply(item, writer);
      return;
    default:
      unreachable(reply);
  }
}

/** The inverse of `writeReply`. Bulk bytes are copies. Throws `FormatError`. */
export function readReply(reader: ByteReader, depth = 0): Reply {
  if (depth > NESTING_MAX) throw new FormatError("reply nested too deeply");
  const tag = TAGS[reader.u8()];
  switch (tag) {
    case "simple": {
      const text = reader.text();
      return text === "OK" ? OK : { kind: "simple", text };
    }
    case "error": {
      const code = reader.text();
      const message = reader.text();
      return { kind: "error", code, message, outcome: OUTCOMES[reader.u8()] ?? null };
    }
    case "integer":
      return integer(Number(wholeNumber(reader.text())));
    case "bigint":
      return { kind: "integer", value: BigInt(wholeNumber(reader.text())) };
    case "double":
      return { kind: "double", value: Number(reader.text()) };
    case "bulk":
      return bulk(reader.bytes().slice());
    case "null":
      return NULL;
    case "nullArray":
      return NULL_ARRAY;
    case "boolean":
      return { kind: "boolean", value: reader.u8() === 1 };
    case "verbatim":
      return { kind: "verbatim", format: reader.text(), bytes: reader.bytes().slice() };
    case "array":
    case "set":
    case "map":
    case "pairs": {
      const items: Reply[] = [];
      for (let left = reader.u32(); left > 0; left -= 1) items.push(readReply(reader, depth + 1));
      return { kind: tag, items };
    }
    case undefined:
      throw new FormatError("unknown reply tag");
    default:
      return unreachable(tag);
  }
}

function wholeNumber(text: string): string {
  if (!/^-?[0-9]{1,40}$/.test(text)) throw new FormatError("not a whole number");
  return text;
}
