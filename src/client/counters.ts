import type { CallOptions, Calls, ReadOptions, WriteOptions } from "./calls.ts";
import { increment, keyBytes, safeNumber, wrongType } from "./codec.ts";
import type { StoredValue } from "./engine.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/** A whole number at one key. */
export interface CounterOperations<R extends CallOptions, W extends CallOptions> {
  /**
   * 0 where there is no key. Throws `NUMBER_OVERFLOW` beyond what a number holds exactly, and
   * `WRONGTYPE` where the value is no whole number.
   */
  get(options?: R): Promise<number>;
  getBigInt(options?: R): Promise<bigint>;
  /** The sum. `NUMBER_OVERFLOW`, applied, where a number does not hold it exactly. */
  increment(by?: number | bigint, options?: W): Promise<number>;
  decrement(by?: number | bigint, options?: W): Promise<number>;
  set(value: number | bigint, options?: W): Promise<void>;
}

/** The counter at one key. */
export class Counter implements CounterOperations<ReadOptions, WriteOptions> {
  readonly #calls: Calls;
  readonly #key: string;

  constructor(calls: Calls, key: string) {
    keyBytes(key);
    this.#calls = calls;
    this.#key = key;
  }

  async get(options: ReadOptions = {}): Promise<number> {
    return this.#read(options, (value) => safeNumber(value, "not-applied"));
  }

  async getBigInt(options: ReadOptions = {}): Promise<bigint> {
    return this.#read(options, (value) => value);
  }

  #read<T>(options: ReadOptions, of: (value: bigint) => T): Promise<T> {
    return this.#calls.read("values", { keys: [this.#key] }, options, (values) =>
      of(wholeNumber(values?.[0] ?? null)),
    );
  }

  async increment(by: number | bigint = 1, options: WriteOptions = {}): Promise<number> {
    return this.#add(increment(by), options);
  }

  async decrement(by: number | bigint = 1, options: WriteOptions = {}): Promise<number> {
    return this.#add(-increment(by), options);
  }

  #add(by: bigint, options: WriteOptions): Promise<number> {
    const operation = { kind: "add", key: this.#key, by } as const;
    return this.#calls.write(operation, options, (sum) => safeNumber(sum, "applied"));
  }

  async set(value: number | bigint, options: WriteOptions = {}): Promise<void> {
    const bytes = encodeUtf8(String(increment(value)));
    const operation = { kind: "set", key: this.#key, type: "text", bytes } as const;
    return this.#calls.write(operation, options, () => {});
  }
}

function wholeNumber(stored: StoredValue | null): bigint {
  if (stored === null) return 0n;
  if (stored.type === "set" || stored.type === "map") throw wrongType("a counter", stored.type);
  const written = decodeUtf8(stored.bytes);
  if (!/^-?[0-9]{1,19}$/.test(written)) throw wrongType("a whole number", stored.type);
  return BigInt(written);
}

/** The same for a keyspace of counters: the key is the first argument. */
export interface CountersOperations<R extends CallOptions, W extends CallOptions> {
  get(key: string, options?: R): Promise<number>;
  getBigInt(key: string, options?: R): Promise<bigint>;
  increment(key: string, by?: number | bigint, options?: W): Promise<number>;
  decrement(key: string, by?: number | bigint, options?: W): Promise<number>;
  set(key: string, value: number | bigint, options?: W): Promise<void>;
  delete(key: string, options?: W): Promise<boolean>;
}
