import { TrefoilError } from "./errors.ts";

/** What a register of type json may hold. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

const NESTING_MAX = 200;

/**
 * The JSON text of a value. Throws `BAD_VALUE` for what JSON would lose or change in silence: NaN,
 * infinities, -0, undefined, functions, symbols, bigints, objects that are no plain data, cycles.
 */
export function toJson(value: unknown): string {
  check(value, "", 0);
  return JSON.stringify(value);
}

/** The value of a JSON text. Throws `SCHEMA` where it is none. */
export function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TrefoilError("SCHEMA", "The stored value is not JSON.", { cause });
  }
}

function check(value: unknown, path: string, depth: number): void {
  switch (typeof value) {
    case "string":
    case "boolean":
      return;
    case "number":
      if (!Number.isFinite(value) || Object.is(value, -0)) refuse(String(value), path);
      return;
    case "object":
      if (value === null) return;
      // What is nested deeper than any data is a cycle.
      if (depth > NESTING_MAX) refuse(`nested deeper than ${NESTING_MAX}`, path);
      return checkObject(value, path, depth);
    default:
      return refuse(typeof value, path);
  }
}

function checkObject(value: object, path: string, depth: number): void {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) check(item, `${path}[${i}]`, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    refuse(`an object of class ${value.constructor.name}`, path);
  }
  for (const [key, item] of Object.entries(value)) check(item, `${path}.${key}`, depth + 1);
}

function refuse(what: string, path: string): never {
  const where = path === "" ? "" : ` at ${path.replace(/^\./, "")}`;
  throw new TrefoilError("BAD_VALUE", `JSON cannot hold this value${where}: ${what}.`);
}
