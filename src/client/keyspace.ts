import { type CallOptions, Calls, type ReadOptions, type WriteOptions } from "./calls.ts";
import { type Change, type ChangesOptions, changes } from "./changes.ts";
import {
  FieldMap,
  type MapOperations,
  type NumberFields,
  type SetOperations,
  StringSet,
} from "./collections.ts";
import { Counter, type CounterOperations, type CountersOperations } from "./counters.ts";
import type { KeyspaceEngine } from "./engine.ts";
import type { Json } from "./json.ts";
import type { KeyspaceDefinition, Quorum, ValueType } from "./keyspaces.ts";
import {
  type MetaOf,
  type OrderedRegisterOperations,
  type RegisterOperations,
  Registers,
} from "./registers.ts";
import type { Session } from "./session.ts";
import { runTransaction, type Transaction, type TransactionOptions } from "./transaction.ts";

/** The same operations for every key of a keyspace of this kind: the key is the first argument. */
export interface SetsOperations<R extends CallOptions, W extends CallOptions> {
  add(key: string, members: string | readonly string[], options?: W): Promise<number>;
  remove(key: string, members: string | readonly string[], options?: W): Promise<number>;
  has(key: string, member: string, options?: R): Promise<boolean>;
  members(key: string, options?: R): Promise<readonly string[]>;
  size(key: string, options?: R): Promise<number>;
  delete(key: string, options?: W): Promise<boolean>;
}

/** The same for maps. */
export interface MapsOperations<In, Out, R extends CallOptions, W extends CallOptions> {
  get(key: string, options?: R): Promise<Out | null>;
  getField<F extends keyof Out & string>(
    key: string,
    field: F,
    options?: R,
  ): Promise<Out[F] | null>;
  update(key: string, fields: Partial<In>, options?: W): Promise<void>;
  removeFields(key: string, fields: readonly (keyof In & string)[], options?: W): Promise<number>;
  incrementField(
    key: string,
    field: NumberFields<In>,
    by?: number | bigint,
    options?: W,
  ): Promise<number>;
  delete(key: string, options?: W): Promise<boolean>;
}

/** Handles on values of other kinds, where the keyspace declares none. */
export interface Handles<R extends CallOptions, W extends CallOptions> {
  asCounter(key: string): CounterOperations<R, W>;
  asSet(key: string): SetOperations<R, W>;
  asMap<T extends object = { readonly [field: string]: Json }>(
    key: string,
  ): MapOperations<T, T, R, W>;
}

type RegisterKind = "any" | "text" | "bytes" | "json";

/** The operations that follow from the kind of the values, in any model. */
type ValueOperations<V extends ValueType, R extends CallOptions, W extends CallOptions> =
  V extends ValueType<infer In, infer Out>
    ? V["kind"] extends "counter"
      ? CountersOperations<R, W>
      : V["kind"] extends "set"
        ? SetsOperations<R, W>
        : V["kind"] extends "map"
          ? MapsOperations<In, Out, R, W>
          : RegisterOperations<In, Out, R, W> & (V["kind"] extends "any" ? Handles<R, W> : unknown)
    : never;

/** What only one order of all writes can give. */
type OrderedOperations<V extends ValueType> =
  V extends ValueType<infer In, infer Out>
    ? V["kind"] extends RegisterKind
      ? OrderedRegisterOperations<In, Out, ReadOptions, WriteOptions> & {
          /**
           * Runs the body and commits its writes together, if what it has read still holds then;
           * else it is run again. Throws `CONFLICT` after too many conflicts, and what the body
           * throws, with nothing written.
           */
          transaction<T>(
            body: (tx: Transaction<In, Out>) => Promise<T>,
            options?: TransactionOptions,
          ): Promise<T>;
        }
      : unknown
    : never;

type OutOf<V> = V extends ValueType<never, infer Out> ? Out : never;

/** A single-leader keyspace. */
export type SingleLeaderKeyspace<V extends ValueType> = ValueOperations<
  V,
  ReadOptions,
  WriteOptions
> &
  OrderedOperations<V> & {
    /**
     * What is written to the keyspace from now on, or since an earlier change, in order. A node
     * remembers a bounded number of changes; a gap is reported.
     */
    changes(options?: ChangesOptions): AsyncIterable<Change<OutOf<V>>>;
    /** The same operations, answered with how the answer came about. */
    withMeta(): MetaOf<ValueOperations<V, ReadOptions, WriteOptions> & OrderedOperations<V>>;
  };

/** How a read of a leaderless keyspace is made. */
export interface LeaderlessReadOptions extends CallOptions {
  readonly r?: Quorum | undefined;
}

/** How a write of a leaderless keyspace is made. */
export interface LeaderlessWriteOptions extends CallOptions {
  readonly w?: Quorum | undefined;
}

/** A multi-leader keyspace. None can be opened in this version. */
export type MultiLeaderKeyspace<V extends ValueType> = ValueOperations<V, CallOptions, CallOptions>;

/** A leaderless keyspace. None can be opened in this version. */
export type LeaderlessKeyspace<V extends ValueType> = ValueOperations<
  V,
  LeaderlessReadOptions,
  LeaderlessWriteOptions
>;

/** The handle that a definition stands for. */
export type KeyspaceOf<D> =
  D extends KeyspaceDefinition<infer M, infer V>
    ? M extends "singleLeader"
      ? SingleLeaderKeyspace<V>
      : M extends "multiLeader"
        ? MultiLeaderKeyspace<V>
        : LeaderlessKeyspace<V>
    : never;

/** The handle of a single-leader keyspace: what its type declares is what the object has. */
export function singleLeaderKeyspace(
  name: string,
  engine: KeyspaceEngine,
  declared: ValueType,
  session: Session | null,
): object {
  const calls = new Calls(name, engine, declared, session);
  const follow = (options?: ChangesOptions) => changes(calls, options);
  return {
    ...operationsOf(calls),
    changes: follow,
    withMeta: () => operationsOf(calls.withMeta()),
  };
}

function operationsOf(calls: Calls): object {
  switch (calls.declared.kind) {
    case "counter":
      return keyed(calls, (key) => new Counter(calls, key), [
        ...["get", "getBigInt", "increment", "decrement", "set"],
      ]);
    case "set":
      return keyed(calls, (key) => new StringSet(calls, key), [
        ...["add", "remove", "has", "members", "size"],
      ]);
    case "map":
      return keyed(calls, (key) => new FieldMap(calls, key), [
        ...["get", "getField", "update", "removeFields", "incrementField"],
      ]);
    default:
      return registerOperations(calls);
  }
}

function registerOperations(calls: Calls): object {
  const registers = new Registers<unknown, unknown>(calls);
  const operations = bound(registers, [
    ...["get", "getMany", "set", "delete", "ttl", "expire"],
    ...["getVersioned", "compareAndSet", "setIfAbsent", "entries"],
  ]);
  const transaction = <T>(
    body: (tx: Transaction<unknown, unknown>) => Promise<T>,
    options: TransactionOptions = {},
  ) => runTransaction(calls, body, options);
  if (calls.declared.kind !== "any") return { ...operations, transaction };
  return {
    ...operations,
    transaction,
    asCounter: (key: string) => new Counter(calls, key),
    asSet: (key: string) => new StringSet(calls, key),
    asMap: (key: string) => new FieldMap(calls, key),
  };
}

type Method = (...args: unknown[]) => unknown;

/** Methods as functions of their own: a handle can be taken apart. */
function bound(target: object, methods: readonly string[]): Record<string, Method> {
  const found: Record<string, Method> = {};
  for (const name of methods) {
    const method = (target as Record<string, Method>)[name]!;
    found[name] = (...args) => method.apply(target, args);
  }
  return found;
}

/** Methods of a key's handle, with the key as first argument. */
function keyed(
  calls: Calls,
  handle: (key: string) => object,
  methods: readonly string[],
): Record<string, Method> {
  const found: Record<string, Method> = bound(new Registers(calls), ["delete"]);
  for (const name of methods) {
    found[name] = async (key, ...args) => {
      const target = handle(key as string);
      return (target as Record<string, Method>)[name]!(...args);
    };
  }
  return found;
}
