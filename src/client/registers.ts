import type { CallOptions, Calls, ReadOptions, WithMeta, WriteOptions } from "./calls.ts";
import { decodeRegister, encodeRegister, keyBytes } from "./codec.ts";
import type { StoredValue, WriteOperation } from "./engine.ts";
import { TrefoilError } from "./errors.ts";

/** How long a value lives. */
export interface LifetimeOptions {
  /** Milliseconds until the key expires. Left out: it never does. */
  readonly ttlMs?: number | undefined;
  /** Keeps the deadline that the key has. */
  readonly keepTtl?: boolean | undefined;
}

/** A value and the version by which `compareAndSet` knows whether it changed since. */
export interface Versioned<Out> {
  readonly value: Out;
  readonly version: number;
}

/** Which keys to go through: those with a prefix, or with from ≤ key < to; else all. */
export interface EntriesOptions extends ReadOptions {
  readonly prefix?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Keys at most. */
  readonly limit?: number | undefined;
}

/** The operations on registers that every model has. */
export interface RegisterOperations<In, Out, R extends CallOptions, W extends CallOptions> {
  /** A key's value; null where there is none. */
  get(key: string, options?: R): Promise<Out | null>;
  /** Several at once, in their order. */
  getMany(keys: readonly string[], options?: R): Promise<readonly (Out | null)[]>;
  /** Sets a key's value, whatever it was before, and its kind. */
  set(key: string, value: In, options?: W & LifetimeOptions): Promise<void>;
  /** Whether there was such a key. */
  delete(key: string, options?: W): Promise<boolean>;
  /** Milliseconds until the key expires; null if never, undefined where there is none. */
  ttl(key: string, options?: R): Promise<number | null | undefined>;
  /** Lets a key expire, or with null never; false where there is nothing to change. */
  expire(key: string, ttlMs: number | null, options?: W): Promise<boolean>;
}

/** What needs one order of all writes. */
export interface OrderedRegisterOperations<In, Out, R extends CallOptions, W extends CallOptions> {
  /** With the version that `compareAndSet` takes. */
  getVersioned(key: string, options?: R): Promise<Versioned<Out> | null>;
  /**
   * Sets the value if the key's version is still this one; null stands for no key. False where it
   * is another one, and nothing was done.
   */
  compareAndSet(key: string, version: number | null, value: In, options?: W): Promise<boolean>;
  /** False where there is such a key already. */
  setIfAbsent(key: string, value: In, options?: W & LifetimeOptions): Promise<boolean>;
  /** Keys and values in the order of the keys' bytes, page by page. */
  entries(options?: EntriesOptions): AsyncIterable<readonly [key: string, value: Out]>;
}

const PAGE_KEYS = 500;

/** Registers of one keyspace. */
export class Registers<In, Out>
  implements
    RegisterOperations<In, Out, ReadOptions, WriteOptions>,
    OrderedRegisterOperations<In, Out, ReadOptions, WriteOptions>
{
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  get(key: string, options: ReadOptions = {}): Promise<Out | null> {
    return this.#first(key, options, (stored) => this.#decode(stored));
  }

  getVersioned(key: string, options: ReadOptions = {}): Promise<Versioned<Out> | null> {
    return this.#first(key, options, async (stored) => {
      return { value: await this.#decode(stored), version: stored.version };
    });
  }

  async #first<T>(
    key: string,
    options: ReadOptions,
    of: (stored: StoredValue) => Promise<T>,
  ): Promise<T | null> {
    keyBytes(key);
    return this.#calls.read("values", { keys: [key] }, options, (values) => {
      const stored = values?.[0] ?? null;
      return stored === null ? null : of(stored);
    });
  }

  #decode(stored: StoredValue): Promise<Out> {
    return decodeRegister(this.#calls.declared, stored) as Promise<Out>;
  }

  async getMany(
    keys: readonly string[],
    options: ReadOptions = {},
  ): Promise<readonly (Out | null)[]> {
    for (const key of keys) keyBytes(key);
    return this.#calls.read("values", { keys }, options, (values) =>
      Promise.all((values ?? []).map(async (stored) => stored && this.#decode(stored))),
    );
  }

  async set(key: string, value: In, options: WriteOptions & LifetimeOptions = {}): Promise<void> {
    const operation = await this.#setOperation(key, value, options, undefined);
    return this.#calls.write(operation, options, () => {});
  }

  async setIfAbsent(
    key: string,
    value: In,
    options: WriteOptions & LifetimeOptions = {},
  ): Promise<boolean> {
    const operation = await this.#setOperation(key, value, options, "absent");
    return this.#calls.write(operation, options, (done) => done === 1n);
  }

  async #setOperation(
    key: string,
    value: In,
    { ttlMs, keepTtl }: LifetimeOptions,
    onlyIf: "absent" | undefined,
  ): Promise<WriteOperation> {
    keyBytes(key);
    const encoded = await encodeRegister(this.#calls.declared, value);
    const lifetime = keepTtl === true ? "keep" : ttlMs === undefined ? undefined : checkTtl(ttlMs);
    return { kind: "set", key, ...encoded, onlyIf, ttlMs: lifetime };
  }

  async compareAndSet(
    key: string,
    version: number | null,
    value: In,
    options: WriteOptions = {},
  ): Promise<boolean> {
    const operation = await this.#setOperation(key, value, {}, undefined);
    const read = { kind: "key", key: keyBytes(key), version: version ?? 0 } as const;
    return this.#calls.commit([read], [operation], options, (results) => results !== null);
  }

  async delete(key: string, options: WriteOptions = {}): Promise<boolean> {
    keyBytes(key);
    return this.#calls.write({ kind: "delete", keys: [key] }, options, (count) => count === 1n);
  }

  async ttl(key: string, options: ReadOptions = {}): Promise<number | null | undefined> {
    keyBytes(key);
    return this.#calls.read("ttl", { key }, options, (ms) => ms);
  }

  async expire(key: string, ttlMs: number | null, options: WriteOptions = {}): Promise<boolean> {
    keyBytes(key);
    if (ttlMs !== null) checkTtl(ttlMs);
    return this.#calls.write({ kind: "expire", key, ttlMs }, options, (done) => done === 1n);
  }

  async *entries(options: EntriesOptions = {}): AsyncGenerator<readonly [string, Out]> {
    const { from, to } = rangeOf(options);
    let left = checkLimit(options.limit ?? Number.POSITIVE_INFINITY);
    let start = from;
    while (left > 0) {
      const page = { from: start, to, limit: Math.min(left, PAGE_KEYS) };
      const { value } = await this.#calls.readAnswer("range", page, options, false);
      const rows = value?.rows ?? [];
      for (const [key, stored] of rows) {
        // Sets and maps beside the registers are for the handles that know them.
        if (stored.type !== "set" && stored.type !== "map") yield [key, await this.#decode(stored)];
      }
      left -= rows.length;
      const last = rows.at(-1)?.[0];
      if (value?.more !== true || last === undefined) return;
      start = `${last}\0`;
    }
  }
}

/** Throws `BAD_VALUE` for what is no time to live. */
export function checkTtl(ttlMs: number): number {
  if (Number.isSafeInteger(ttlMs) && ttlMs > 0) return ttlMs;
  throw new TrefoilError("BAD_VALUE", "ttlMs is a whole number of milliseconds, at least 1.");
}

/** How many keys at most. Throws `BAD_VALUE` for what is no such number. */
export function checkLimit(limit: number): number {
  if (limit === Number.POSITIVE_INFINITY || (Number.isSafeInteger(limit) && limit > 0))
    return limit;
  throw new TrefoilError("BAD_VALUE", "limit is a whole number of keys, at least 1.");
}

/** The last code point that UTF-8 can encode, which no key that has the prefix is behind. */
const LAST = "\u{10ffff}";

function rangeOf({ prefix, from, to }: EntriesOptions): {
  readonly from: string;
  readonly to: string | null;
} {
  if (prefix === undefined) return { from: from ?? "", to: to ?? null };
  if (from !== undefined || to !== undefined) {
    throw new TrefoilError("BAD_VALUE", "entries() takes a prefix, or from and to, not both.");
  }
  return { from: prefix, to: prefix === "" ? null : `${prefix}${LAST}` };
}

/** Every method's result together with how it came about. */
export type MetaOf<T> = {
  readonly [K in keyof T as T[K] extends (...args: never) => Promise<unknown>
    ? K
    : never]: T[K] extends (...args: infer A) => Promise<infer R>
    ? (...args: A) => Promise<WithMeta<R>>
    : never;
};
