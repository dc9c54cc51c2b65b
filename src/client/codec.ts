import { isUtf8, toByteString } from "../core/base/bytes.ts";
import type { StoredValue } from "./engine.ts";
import { TrefoilError } from "./errors.ts";
import { fromJson, toJson } from "./json.ts";
import type { ValueType } from "./keyspaces.ts";
import { validated } from "./standard-schema.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/** A register's bytes and what they are. */
export interface Encoded {
  readonly type: "text" | "bytes" | "json";
  readonly bytes: Uint8Array;
}

/**
 * A value as it is stored, by what the keyspace declares. Throws `SCHEMA` or `BAD_VALUE`, not
 * applied.
 */
export async function encodeRegister(declared: ValueType, value: unknown): Promise<Encoded> {
  switch (declared.kind) {
    case "text":
      return encodeText(value);
    case "bytes":
      return encodeBytes(value);
    case "json": {
      const { schema } = declared;
      return encodeJson(schema === null ? value : await validated(schema, value));
    }
    default:
      if (typeof value === "string") return encodeText(value);
      return value instanceof Uint8Array ? encodeBytes(value) : encodeJson(value);
  }
}

function encodeText(value: unknown): Encoded {
  if (typeof value !== "string") throw badValue("a string", value);
  return { type: "text", bytes: encodeString(value) };
}

function encodeBytes(value: unknown): Encoded {
  if (!(value instanceof Uint8Array)) throw badValue("a Uint8Array", value);
  return { type: "bytes", bytes: value };
}

function encodeJson(value: unknown): Encoded {
  return { type: "json", bytes: encodeUtf8(toJson(value)) };
}

/** The UTF-8 of a string. Throws `BAD_VALUE` where it has none: half of a surrogate pair. */
export function encodeString(value: string): Uint8Array {
  if (/\p{Surrogate}/u.test(value)) throw badValue("well-formed Unicode", "half of a character");
  return encodeUtf8(value);
}

/** A key as the core has it. Throws `BAD_VALUE` where it is no string. */
export function keyBytes(key: string): string {
  if (typeof key !== "string") throw badValue("a string for a key", key);
  return toByteString(encodeString(key));
}

function badValue(wanted: string, value: unknown): TrefoilError {
  const got = typeof value === "string" ? value : value === null ? "null" : typeof value;
  return new TrefoilError("BAD_VALUE", `This keyspace takes ${wanted}, and was given ${got}.`);
}

/**
 * A stored value as the keyspace declares it. What a client without a schema wrote is checked now;
 * `SCHEMA` where it does not fit, `WRONGTYPE` where it is of another kind.
 */
export async function decodeRegister(declared: ValueType, stored: StoredValue): Promise<unknown> {
  if (stored.type === "set" || stored.type === "map") throw wrongType("a register", stored.type);
  const { type, bytes } = stored;
  switch (declared.kind) {
    case "text":
      if (!isUtf8(bytes)) throw wrongType("text", type);
      return decodeUtf8(bytes);
    case "bytes":
      return bytes;
    case "json": {
      const data = fromJson(decodeUtf8(bytes));
      return type === "json" || declared.schema === null ? data : validated(declared.schema, data);
    }
    default:
      if (type === "bytes") return bytes;
      return type === "json" ? fromJson(decodeUtf8(bytes)) : decodeUtf8(bytes);
  }
}

/** The value is of another kind than the call is for. */
export function wrongType(wanted: string, found: string): TrefoilError {
  return new TrefoilError("WRONGTYPE", `The key holds ${found}, and not ${wanted}.`);
}

/** A field of a map: JSON. */
export function encodeField(value: unknown): Uint8Array {
  return encodeUtf8(toJson(value));
}

/** A field of a map; what is no JSON was written as text. */
export function decodeField(bytes: Uint8Array): unknown {
  const written = decodeUtf8(bytes);
  try {
    return JSON.parse(written);
  } catch {
    return written;
  }
}

/** A whole number where it is exact; throws `NUMBER_OVERFLOW` beyond. */
export function safeNumber(value: bigint, outcome: "applied" | "not-applied"): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new TrefoilError(
    "NUMBER_OVERFLOW",
    `${value} is beyond what a number holds exactly: use getBigInt().`,
    { outcome },
  );
}

/** An increment as an integer. Throws `BAD_VALUE` for one that is none. */
export function increment(by: number | bigint): bigint {
  if (typeof by === "bigint") return by;
  if (!Number.isSafeInteger(by)) throw badValue("a whole number", by);
  return BigInt(by);
}
