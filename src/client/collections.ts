import type { CallOptions, Calls, ReadOptions, WriteOptions } from "./calls.ts";
import {
  decodeField,
  encodeField,
  encodeString,
  increment,
  keyBytes,
  safeNumber,
  wrongType,
} from "./codec.ts";
import type { StoredValue } from "./engine.ts";
import { TrefoilError } from "./errors.ts";
import { validated } from "./standard-schema.ts";

/** A set of strings at one key. */
export interface SetOperations<R extends CallOptions, W extends CallOptions> {
  /** How many of them are new. */
  add(members: string | readonly string[], options?: W): Promise<number>;
  /** How many of them were there. */
  remove(members: string | readonly string[], options?: W): Promise<number>;
  has(member: string, options?: R): Promise<boolean>;
  /** In the order of their bytes; none where there is no key. */
  members(options?: R): Promise<readonly string[]>;
  size(options?: R): Promise<number>;
}

/** The set at one key. */
export class StringSet implements SetOperations<ReadOptions, WriteOptions> {
  readonly #calls: Calls;
  readonly #key: string;

  constructor(calls: Calls, key: string) {
    keyBytes(key);
    this.#calls = calls;
    this.#key = key;
  }

  async add(members: string | readonly string[], options: WriteOptions = {}): Promise<number> {
    const operation = { kind: "addMembers", key: this.#key, members: names(members) } as const;
    return this.#calls.write(operation, options, Number);
  }

  async remove(members: string | readonly string[], options: WriteOptions = {}): Promise<number> {
    const operation = { kind: "removeMembers", key: this.#key, members: names(members) } as const;
    return this.#calls.write(operation, options, Number);
  }

  async has(member: string, options: ReadOptions = {}): Promise<boolean> {
    encodeString(member);
    return this.#calls.read("hasMember", { key: this.#key, member }, options, (has) => has);
  }

  async members(options: ReadOptions = {}): Promise<readonly string[]> {
    return this.#calls.read("values", { keys: [this.#key] }, options, (values) => {
      const stored = values?.[0] ?? null;
      if (stored === null) return [];
      if (stored.type !== "set") throw wrongType("a set", stored.type);
      return stored.members;
    });
  }

  async size(options: ReadOptions = {}): Promise<number> {
    return this.#calls.read("size", { key: this.#key, kind: "set" }, options, (size) => size);
  }
}

function names(given: string | readonly string[]): readonly string[] {
  const all = typeof given === "string" ? [given] : given;
  for (const name of all) encodeString(name);
  if (all.length > 0) return all;
  throw new TrefoilError("BAD_VALUE", "At least one name is needed.");
}

/** The names of a map's fields that hold numbers. */
export type NumberFields<T> = {
  [K in keyof T]: NonNullable<T[K]> extends number ? K : never;
}[keyof T] &
  string;

/** A map at one key, whose fields are kept and changed one by one. */
export interface MapOperations<In, Out, R extends CallOptions, W extends CallOptions> {
  /** All fields; null where there is no key. */
  get(options?: R): Promise<Out | null>;
  getField<F extends keyof Out & string>(field: F, options?: R): Promise<Out[F] | null>;
  /** Sets these fields and leaves the others. */
  update(fields: Partial<In>, options?: W): Promise<void>;
  /** How many of them were there. */
  removeFields(fields: readonly (keyof In & string)[], options?: W): Promise<number>;
  /** Adds to a field that holds a whole number, or none; the sum. */
  incrementField(field: NumberFields<In>, by?: number | bigint, options?: W): Promise<number>;
}

/** The map at one key. */
export class FieldMap<In, Out> implements MapOperations<In, Out, ReadOptions, WriteOptions> {
  readonly #calls: Calls;
  readonly #key: string;

  constructor(calls: Calls, key: string) {
    keyBytes(key);
    this.#calls = calls;
    this.#key = key;
  }

  async get(options: ReadOptions = {}): Promise<Out | null> {
    return this.#calls.read("values", { keys: [this.#key] }, options, (values) => {
      const stored = values?.[0] ?? null;
      return stored === null ? null : (dataOf(stored) as Out);
    });
  }

  async getField<F extends keyof Out & string>(
    field: F,
    options: ReadOptions = {},
  ): Promise<Out[F] | null> {
    encodeString(field);
    return this.#calls.read("field", { key: this.#key, field }, options, (bytes) =>
      bytes === null ? null : (decodeField(bytes) as Out[F]),
    );
  }

  async update(fields: Partial<In>, options: WriteOptions = {}): Promise<void> {
    const data = await this.#checked(fields);
    const encoded = Object.entries(data).map(([field, value]) => {
      encodeString(field);
      return [field, encodeField(value)] as const;
    });
    if (encoded.length === 0) {
      throw new TrefoilError("BAD_VALUE", "update() needs at least one field.");
    }
    const operation = { kind: "setFields", key: this.#key, fields: encoded } as const;
    return this.#calls.write(operation, options, () => {});
  }

  /** Fields are set one by one: a schema of the whole is asked only for those that are given. */
  async #checked(fields: object): Promise<object> {
    const { declared } = this.#calls;
    const schema = declared.kind === "map" ? declared.schema : null;
    if (schema === null) return fields;
    return validFields(schema, fields);
  }

  async removeFields(
    fields: readonly (keyof In & string)[],
    options: WriteOptions = {},
  ): Promise<number> {
    const operation = { kind: "removeFields", key: this.#key, fields: names(fields) } as const;
    return this.#calls.write(operation, options, Number);
  }

  async incrementField(
    field: NumberFields<In>,
    by: number | bigint = 1,
    options: WriteOptions = {},
  ): Promise<number> {
    encodeString(field);
    const operation = { kind: "addToField", key: this.#key, field, by: increment(by) } as const;
    return this.#calls.write(operation, options, (sum) => safeNumber(sum, "applied"));
  }
}

type Schema = Parameters<typeof validated>[0];

/**
 * The given fields as the schema makes them. What it says of fields that are not given does not
 * count: they may be in the map already.
 */
async function validFields(schema: Schema, fields: object): Promise<object> {
  const result = await schema["~standard"].validate(fields);
  if (result.issues === undefined) return pick(result.value, fields);
  const concerned = result.issues.filter(({ path }) => {
    const first = path?.[0];
    const name = typeof first === "object" ? first.key : first;
    return name === undefined || Object.hasOwn(fields, name);
  });
  if (concerned.length === 0) return fields;
  const only = { validate: () => ({ issues: concerned }), version: 1, vendor: "trefoil" } as const;
  await validated({ "~standard": only }, fields);
  return fields;
}

function pick(value: unknown, fields: object): object {
  if (typeof value !== "object" || value === null) return fields;
  const given = Object.keys(fields);
  return Object.fromEntries(Object.entries(value).filter(([name]) => given.includes(name)));
}

function dataOf(stored: StoredValue): object {
  if (stored.type !== "map") throw wrongType("a map", stored.type);
  const data: Record<string, unknown> = {};
  for (const [field, bytes] of stored.fields) {
    // A field named __proto__ is one like any other.
    Object.defineProperty(data, field, {
      value: decodeField(bytes),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return data;
}
