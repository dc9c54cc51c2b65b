import type { ReadSet } from "../core/commands/watched-keys.ts";

/** How a keyspace replicates. */
export type Model = "singleLeader" | "multiLeader" | "leaderless";

/** What an engine can do; a call that needs more is refused before it is made. */
export interface EngineCapabilities {
  readonly model: Model;
  /** `commit`, and conditions on versions. */
  readonly transactions: boolean;
  readonly ranges: boolean;
  readonly expiry: boolean;
  readonly collections: boolean;
  readonly changes: boolean;
}

/** How sure, how fresh, until when. */
export interface EngineOptions {
  /** Until the call's deadline, ms. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The write concern in the engine's words, such as `majority` or `2`. */
  readonly w?: string | undefined;
  /** The read concern, such as `linearizable` or `bounded 500`. */
  readonly r?: string | undefined;
  /** A session token: the answer must not be older than what it stands for. */
  readonly token?: string | undefined;
  /** Whether the answer has to say how it came about. */
  readonly meta?: boolean | undefined;
}

/** How an answer came about. */
export interface AnswerMeta {
  readonly term: number;
  /** Where a write stands in the log, or how far the state that a read saw had come. */
  readonly index: number;
  /** Nodes known to hold the write durably when it was answered; 0 for a read. */
  readonly durable: number;
  /** The node whose replica answered; null where none did. */
  readonly node: string | null;
  /** Covers the session up to this answer; null where the engine gives none. */
  readonly token: string | null;
  /** No more than this old, as measured; null where it is not known. */
  readonly stalenessMs: number | null;
}

/** A result and, where it was asked for, how it came about. */
export interface Answer<T> {
  readonly value: T;
  readonly meta: AnswerMeta | null;
}

/** A value as it is stored, with the version by which a transaction knows whether it changed. */
export type StoredValue = { readonly version: number } & (
  | { readonly type: "text" | "bytes" | "json"; readonly bytes: Uint8Array }
  | { readonly type: "set"; readonly members: readonly string[] }
  | { readonly type: "map"; readonly fields: ReadonlyMap<string, Uint8Array> }
);

/** Keys with from ≤ key < to in the order of their UTF-8 bytes; null means to the end. */
export interface KeyRange {
  readonly from: string;
  readonly to: string | null;
  readonly limit: number;
}

/** What can be read. A condition that does not hold any more makes the result null. */
export interface ReadOperations {
  readonly values: { readonly keys: readonly string[]; readonly ifHeld?: ReadSet };
  readonly range: KeyRange & { readonly ifHeld?: ReadSet };
  readonly field: { readonly key: string; readonly field: string };
  readonly hasMember: { readonly key: string; readonly member: string };
  readonly size: { readonly key: string; readonly kind: "set" | "map" };
  readonly ttl: { readonly key: string };
}

/** What comes of it. */
export interface ReadResults {
  readonly values: readonly (StoredValue | null)[] | null;
  readonly range: {
    readonly rows: readonly (readonly [key: string, value: StoredValue])[];
    readonly more: boolean;
  } | null;
  readonly field: Uint8Array | null;
  readonly hasMember: boolean;
  readonly size: number;
  /** Milliseconds to live; null for ever; undefined where there is no key. */
  readonly ttl: number | null | undefined;
}

/** What can be written, as data. */
export type WriteOperation =
  | {
      readonly kind: "set";
      readonly key: string;
      readonly type: "text" | "bytes" | "json";
      readonly bytes: Uint8Array;
      readonly onlyIf?: "absent" | "present" | undefined;
      /** Milliseconds to live; `keep` leaves the deadline that there is; left out: for ever. */
      readonly ttlMs?: number | "keep" | undefined;
    }
  | { readonly kind: "delete"; readonly keys: readonly string[] }
  | { readonly kind: "add"; readonly key: string; readonly by: bigint }
  | { readonly kind: "expire"; readonly key: string; readonly ttlMs: number | null }
  | { readonly kind: "addMembers"; readonly key: string; readonly members: readonly string[] }
  | { readonly kind: "removeMembers"; readonly key: string; readonly members: readonly string[] }
  | {
      readonly kind: "setFields";
      readonly key: string;
      readonly fields: readonly (readonly [field: string, value: Uint8Array])[];
    }
  | { readonly kind: "removeFields"; readonly key: string; readonly fields: readonly string[] }
  | {
      readonly kind: "addToField";
      readonly key: string;
      readonly field: string;
      readonly by: bigint;
    };

/**
 * What came of a write: for `set` and `expire` 1 or 0, whether it was done; for `add` and
 * `addToField` the sum; else how many keys, members or fields are gone or new.
 */
export type WriteResult = bigint;

/**
 * What a keyspace handle sits on. Ours speaks to a node; other stores may implement it, and are
 * held to the same conformance suite.
 *
 * Calls of one engine are made in the order given, and each sees what those before it wrote. A call
 * that fails rejects with `TrefoilError`, whose outcome is right.
 */
export interface KeyspaceEngine {
  readonly capabilities: EngineCapabilities;
  read<K extends keyof ReadOperations>(
    kind: K,
    operation: ReadOperations[K],
    options: EngineOptions,
  ): Promise<Answer<ReadResults[K]>>;
  write(operation: WriteOperation, options: EngineOptions): Promise<Answer<WriteResult>>;
  /** All or none; null and none where what was read has changed since. */
  commit(
    reads: ReadSet,
    writes: readonly WriteOperation[],
    options: EngineOptions,
  ): Promise<Answer<readonly WriteResult[] | null>>;
  /**
   * What the entries behind `after` change, batch by batch, until the signal aborts; null: from now
   * on. Outages are waited out.
   */
  follow(
    after: number | null,
    prefix: string,
    signal: AbortSignal | undefined,
  ): AsyncIterable<ChangeBatch>;
  close(): Promise<void>;
}

/** Changes in order. */
export interface ChangeBatch {
  readonly changes: readonly {
    /** The entry's; an entry's changes are in one batch. */
    readonly index: number;
    readonly key: string;
    /** Null: it is gone. Of a set or map, without its content. */
    readonly stored: StoredValue | null;
  }[];
  /** Where to go on from. */
  readonly next: number;
  /** Changes before `next` are missing. */
  readonly gap: boolean;
}
