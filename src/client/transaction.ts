import type { ReadSet } from "../core/commands/watched-keys.ts";
import { type Calls, refuseAborted, type WriteOptions } from "./calls.ts";
import { decodeRegister, encodeRegister, increment, keyBytes } from "./codec.ts";
import type { StoredValue, WriteOperation } from "./engine.ts";
import { isTrefoilError, TrefoilError } from "./errors.ts";
import { checkLimit, checkTtl } from "./registers.ts";

/** How a transaction is carried out. */
export interface TransactionOptions extends WriteOptions {
  /** How often the body is run at most; 100 unless told otherwise. */
  readonly attemptsMax?: number | undefined;
}

/**
 * What the body of a transaction works with. Reads are linearizable and fit together: when one
 * finds that an earlier one is out of date, the body is ended and run again. Writes are kept back
 * until the body is over, and are seen by its own reads.
 */
export interface Transaction<In, Out> {
  /** A key's value; null where there is none. */
  get(key: string): Promise<Out | null>;
  /** Keys with from ≤ key < to in the order of their bytes: the first 10,000, or `limit`. */
  range(range: {
    readonly from?: string;
    readonly to?: string | null;
    readonly limit?: number;
  }): Promise<readonly (readonly [key: string, value: Out])[]>;
  set(key: string, value: In, options?: { readonly ttlMs?: number }): void;
  delete(key: string): void;
  /** Adds to the whole number at a key, whatever it is then; its sum is not seen by the body. */
  increment(key: string, by?: number | bigint): void;
}

const ATTEMPTS_MAX = 100;
const TIMEOUT_MS = 10_000;
const RANGE_KEYS_MAX = 10_000;
const PAGE_KEYS = 1_000;
const BACKOFF_MS_MAX = 50;

/** Ends a body whose reads do not fit together. Never seen by who called `transaction`. */
class Stale extends Error {
  override readonly name = "Stale";
}

/**
 * Runs the body until a run of it was committed whole, or one was not for another reason than a
 * conflict. It is run again only after a definite abort: where the outcome is unknown, the error
 * says so (LEAD9).
 */
export async function runTransaction<In, Out, T>(
  calls: Calls,
  body: (tx: Transaction<In, Out>) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  const deadline = performance.now() + (options.timeoutMs ?? TIMEOUT_MS);
  const attemptsMax = options.attemptsMax ?? ATTEMPTS_MAX;
  let last: unknown = null;
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    refuseAborted(options.signal);
    const timeoutMs = Math.ceil(deadline - performance.now());
    if (timeoutMs < 1) break;
    const run = new Run<In, Out>(calls, { ...options, timeoutMs });
    const outcome = await attemptRun(run, body);
    if (outcome.kind === "done") return outcome.result;
    last = outcome.cause;
    await backoff(attempt, deadline);
  }
  throw new TrefoilError(
    "CONFLICT",
    "The transaction was not committed: others kept changing what it had read, or no leader was found in time.",
    { cause: last },
  );
}

type Outcome<T> =
  | { readonly kind: "done"; readonly result: T }
  | { readonly kind: "again"; readonly cause: unknown };

async function attemptRun<In, Out, T>(
  run: Run<In, Out>,
  body: (tx: Transaction<In, Out>) => Promise<T>,
): Promise<Outcome<T>> {
  try {
    const result = await body(run);
    return (await run.commit()) ? { kind: "done", result } : { kind: "again", cause: null };
  } catch (failure) {
    // Whatever the body made of reads that do not fit together says nothing.
    if (run.isStale) return { kind: "again", cause: failure };
    if (run.isOurs(failure) && isTrefoilError(failure) && failure.retryable) {
      return { kind: "again", cause: failure };
    }
    throw failure;
  } finally {
    run.end();
  }
}

function backoff(attempt: number, deadline: number): Promise<void> {
  const most = Math.min(BACKOFF_MS_MAX, 2 ** Math.min(attempt, 10));
  const delayMs = Math.min(Math.random() * most, Math.max(0, deadline - performance.now()));
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

/** One run of a body. */
class Run<In, Out> implements Transaction<In, Out> {
  readonly #calls: Calls;
  readonly #options: TransactionOptions;
  readonly #reads: ReadSet[number][] = [];
  readonly #values = new Map<string, Promise<StoredValue | null>>();
  /** By key, in order: what the body has written. */
  readonly #writes: Promise<WriteOperation>[] = [];
  readonly #written = new Map<string, { readonly value: unknown } | "deleted" | "added">();
  readonly #failures = new WeakSet<object>();
  isStale = false;
  #isOver = false;

  constructor(calls: Calls, options: TransactionOptions) {
    this.#calls = calls;
    this.#options = options;
  }

  /** Whether it came from a call of this run, and not from the body. */
  isOurs(failure: unknown): boolean {
    return typeof failure === "object" && failure !== null && this.#failures.has(failure);
  }

  end(): void {
    this.#isOver = true;
  }

  async get(key: string): Promise<Out | null> {
    this.#mustBeOpen();
    const written = this.#written.get(key);
    if (written === "deleted") return null;
    if (written === "added") throw unseen(key);
    if (written !== undefined) return written.value as Out;
    const stored = await this.#stored(key);
    return stored === null ? null : ((await decodeRegister(this.#calls.declared, stored)) as Out);
  }

  #stored(key: string): Promise<StoredValue | null> {
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const read = this.#readOne(key);
    this.#values.set(key, read);
    return read;
  }

  async #readOne(key: string): Promise<StoredValue | null> {
    const bytes = keyBytes(key);
    const ifHeld = [...this.#reads];
    const answer = await this.#ours(
      this.#calls.readAnswer("values", { keys: [key], ifHeld }, this.#reading, false),
    );
    if (answer.value === null) throw this.#stale();
    const stored = answer.value[0] ?? null;
    this.#reads.push({ kind: "key", key: bytes, version: stored?.version ?? 0 });
    return stored;
  }

  async range({
    from = "",
    to = null,
    limit = RANGE_KEYS_MAX,
  }: Parameters<Transaction<In, Out>["range"]>[0]): Promise<readonly (readonly [string, Out])[]> {
    this.#mustBeOpen();
    // Behind a key that the body has deleted, the next one comes into the range.
    const rows = await this.#rows(from, to, checkLimit(limit) + this.#written.size);
    const { declared } = this.#calls;
    const found = await Promise.all(
      rows.map(
        async ([key, stored]) => [key, (await decodeRegister(declared, stored)) as Out] as const,
      ),
    );
    return this.#withWritten(found, from, to, limit);
  }

  async #rows(
    from: string,
    to: string | null,
    limit: number,
  ): Promise<readonly (readonly [string, StoredValue])[]> {
    const rows: (readonly [string, StoredValue])[] = [];
    let start = from;
    for (;;) {
      const ifHeld = [...this.#reads];
      const page = { from: start, to, limit: Math.min(limit - rows.length, PAGE_KEYS), ifHeld };
      const answer = await this.#ours(this.#calls.readAnswer("range", page, this.#reading, true));
      if (answer.value === null || answer.meta === null) throw this.#stale();
      rows.push(...answer.value.rows);
      const last = answer.value.rows.at(-1)?.[0];
      const isEnd = !answer.value.more || last === undefined;
      // What lies behind the last key that was read is not part of what was read.
      const end = isEnd ? to : `${last}\0`;
      this.#reads.push({
        kind: "range",
        from: keyBytes(start),
        to: end === null ? null : keyBytes(end),
        count: answer.value.rows.length,
        index: answer.meta.index,
      });
      if (isEnd || rows.length >= limit) return rows;
      start = `${last}\0`;
    }
  }

  /** The body's own writes belong into what it reads. */
  #withWritten(
    found: readonly (readonly [string, Out])[],
    from: string,
    to: string | null,
    limit: number,
  ): readonly (readonly [string, Out])[] {
    const byKey = new Map(found);
    const isWithin = (key: string) => {
      const bytes = keyBytes(key);
      return bytes >= keyBytes(from) && (to === null || bytes < keyBytes(to));
    };
    for (const [key, written] of this.#written) {
      if (!isWithin(key)) continue;
      if (written === "added") throw unseen(key);
      if (written === "deleted") byKey.delete(key);
      else byKey.set(key, written.value as Out);
    }
    const sorted = [...byKey].sort(([a], [b]) => (keyBytes(a) < keyBytes(b) ? -1 : 1));
    return sorted.slice(0, limit);
  }

  set(key: string, value: In, options: { readonly ttlMs?: number } = {}): void {
    this.#mustBeOpen();
    keyBytes(key);
    const ttlMs = options.ttlMs === undefined ? undefined : checkTtl(options.ttlMs);
    this.#written.set(key, { value });
    this.#push(
      encodeRegister(this.#calls.declared, value).then(({ type, bytes }) => {
        return { kind: "set", key, type, bytes, ttlMs };
      }),
    );
  }

  delete(key: string): void {
    this.#mustBeOpen();
    keyBytes(key);
    this.#written.set(key, "deleted");
    this.#push(Promise.resolve({ kind: "delete", keys: [key] }));
  }

  increment(key: string, by: number | bigint = 1): void {
    this.#mustBeOpen();
    keyBytes(key);
    this.#written.set(key, "added");
    this.#push(Promise.resolve({ kind: "add", key, by: increment(by) }));
  }

  #push(operation: Promise<WriteOperation>): void {
    // It is looked at when the body is over; until then nobody waits for it.
    operation.catch(() => {});
    this.#writes.push(operation);
  }

  /** False where what was read has changed, and nothing was done. */
  async commit(): Promise<boolean> {
    if (this.isStale) return false;
    this.end();
    const writes = await Promise.all(this.#writes);
    const reads = [...this.#reads];
    if (writes.length > 0) {
      return this.#ours(
        this.#calls.commit(reads, writes, this.#options, (results) => results !== null),
      );
    }
    // A single read was right when it was made; several must have been right together.
    if (reads.length <= 1) return true;
    const check = { keys: [], ifHeld: reads };
    const answer = await this.#ours(this.#calls.readAnswer("values", check, this.#reading, false));
    return answer.value !== null;
  }

  get #reading() {
    const { signal, timeoutMs } = this.#options;
    return { signal, timeoutMs, r: "linearizable" } as const;
  }

  async #ours<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (failure) {
      if (typeof failure === "object" && failure !== null) this.#failures.add(failure);
      throw failure;
    }
  }

  #stale(): Stale {
    this.isStale = true;
    return new Stale("What this transaction has read before was changed meanwhile.");
  }

  #mustBeOpen(): void {
    if (!this.#isOver) return;
    throw new TrefoilError("CLOSED", "This transaction is over: use it only within its body.");
  }
}

function unseen(key: string): TrefoilError {
  return new TrefoilError(
    "BAD_VALUE",
    `${JSON.stringify(key)} was incremented in this transaction, whose sum is known only once it is committed.`,
  );
}
