import type { ReadSet } from "../core/commands/watched-keys.ts";
import type {
  Answer,
  AnswerMeta,
  EngineOptions,
  KeyspaceEngine,
  ReadOperations,
  ReadResults,
  WriteOperation,
  WriteResult,
} from "./engine.ts";
import { TrefoilError } from "./errors.ts";
import type { ValueType } from "./keyspaces.ts";
import type { Session } from "./session.ts";

/** Options that every call takes. */
export interface CallOptions {
  /** Gives the call up. A write that was sent by then has an unknown outcome. */
  readonly signal?: AbortSignal | undefined;
  /** Until the call's deadline, ms; 2,000 unless the database was opened with another figure. */
  readonly timeoutMs?: number | undefined;
}

/** LEAD5: how fresh a read of a single-leader keyspace must be. */
export type ReadConcern =
  /** Sees every write that was acknowledged before the read began. The default. */
  | "linearizable"
  /** Sees what its session has written and read before, at any replica. */
  | "session"
  /** What the replica at hand has. */
  | "local"
  /** No older than so many milliseconds, as measured. */
  | { readonly boundedMs: number };

/** How a read of a single-leader keyspace is made. */
export interface ReadOptions extends CallOptions {
  readonly r?: ReadConcern | undefined;
}

/** LEAD4: how many nodes must hold a write of a single-leader keyspace before it is answered. */
export type WriteConcern = "leader" | "majority" | "all" | number;

/** How a write of a single-leader keyspace is made. */
export interface WriteOptions extends CallOptions {
  readonly w?: WriteConcern | undefined;
}

/** A result and how it came about. */
export interface WithMeta<T> {
  readonly value: T;
  readonly meta: AnswerMeta;
}

/** What the handles of one keyspace share: the engine, and how calls are made and answered. */
export class Calls {
  readonly engine: KeyspaceEngine;
  readonly declared: ValueType;
  readonly #keyspace: string;
  readonly #session: Session | null;
  readonly #wantsMeta: boolean;

  constructor(
    keyspace: string,
    engine: KeyspaceEngine,
    declared: ValueType,
    session: Session | null,
    wantsMeta = false,
  ) {
    this.#keyspace = keyspace;
    this.engine = engine;
    this.declared = declared;
    this.#session = session;
    this.#wantsMeta = wantsMeta;
  }

  /** The same calls, answered with how they came about. */
  withMeta(): Calls {
    return new Calls(this.#keyspace, this.engine, this.declared, this.#session, true);
  }

  async read<K extends keyof ReadOperations, T>(
    kind: K,
    operation: ReadOperations[K],
    options: ReadOptions,
    of: (result: ReadResults[K]) => T | Promise<T>,
  ): Promise<T> {
    const answer = await this.readAnswer(kind, operation, options, this.#wantsMeta);
    return this.#give(await of(answer.value), answer.meta);
  }

  /** The answer as the engine gives it; `meta` says whether it must tell how it came about. */
  async readAnswer<K extends keyof ReadOperations>(
    kind: K,
    operation: ReadOperations[K],
    options: ReadOptions,
    meta: boolean,
  ): Promise<Answer<ReadResults[K]>> {
    refuseAborted(options.signal);
    const answer = await this.engine.read(kind, operation, {
      ...this.#base(options, meta),
      r: readConcern(options.r ?? (this.#session === null ? undefined : "session")),
    });
    this.#session?.saw(this.#keyspace, answer.meta);
    return answer;
  }

  async write<T>(
    operation: WriteOperation,
    options: WriteOptions,
    of: (result: WriteResult) => T,
  ): Promise<T> {
    refuseAborted(options.signal);
    const answer = await this.engine.write(operation, this.#writing(options));
    this.#session?.saw(this.#keyspace, answer.meta);
    return this.#give(of(answer.value), answer.meta);
  }

  /** The results are null where what was read has changed. */
  async commit<T>(
    reads: ReadSet,
    writes: readonly WriteOperation[],
    options: WriteOptions,
    of: (results: readonly WriteResult[] | null) => T,
  ): Promise<T> {
    refuseAborted(options.signal);
    const answer = await this.engine.commit(reads, writes, this.#writing(options));
    this.#session?.saw(this.#keyspace, answer.meta);
    return this.#give(of(answer.value), answer.meta);
  }

  #writing(options: WriteOptions): EngineOptions {
    return {
      ...this.#base(options, this.#wantsMeta),
      w: options.w === undefined ? undefined : String(options.w),
    };
  }

  #base({ signal, timeoutMs }: CallOptions, meta: boolean): EngineOptions {
    const token = this.#session?.tokenOf(this.#keyspace);
    return { signal, timeoutMs, token, meta: meta || this.#session !== null };
  }

  /** Handles that were asked for how answers came about are typed so. */
  #give<T>(value: T, meta: AnswerMeta | null): T {
    return this.#wantsMeta ? ({ value, meta } as T) : value;
  }
}

/** Throws `ABORTED`, not applied, where the caller has given up before the call was made. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  const cause: unknown = signal.reason;
  const message = "The call was given up before it was made.";
  throw new TrefoilError("ABORTED", message, { cause, outcome: "not-applied" });
}

function readConcern(concern: ReadConcern | undefined): string | undefined {
  if (typeof concern !== "object") return concern;
  const { boundedMs } = concern;
  if (Number.isSafeInteger(boundedMs) && boundedMs >= 0) return `bounded ${boundedMs}`;
  throw new TrefoilError("BAD_VALUE", "boundedMs is a whole number of milliseconds.");
}
