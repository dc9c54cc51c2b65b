import type { Model } from "./engine.ts";
import { TrefoilError } from "./errors.ts";
import type { Json } from "./json.ts";
import type { AnySchema, InputOf, OutputOf } from "./standard-schema.ts";

/** What a register without a declared type may be given and gives back. */
export type AnyValue = string | Uint8Array | Json;

/** What the keys of a keyspace hold, as data; `in` and `out` are for types alone. */
export type ValueType<In = unknown, Out = unknown> =
  | { readonly kind: "any"; readonly in?: In; readonly out?: Out }
  | { readonly kind: "text"; readonly in?: In; readonly out?: Out }
  | { readonly kind: "bytes"; readonly in?: In; readonly out?: Out }
  | {
      readonly kind: "json";
      readonly schema: AnySchema | null;
      readonly in?: In;
      readonly out?: Out;
    }
  | { readonly kind: "counter"; readonly in?: In; readonly out?: Out }
  | { readonly kind: "set"; readonly in?: In; readonly out?: Out }
  | {
      readonly kind: "map";
      readonly schema: AnySchema | null;
      readonly in?: In;
      readonly out?: Out;
    };

type Of<K extends ValueType["kind"], In, Out = In> = Extract<ValueType<In, Out>, { kind: K }>;

/** Values that are strings. */
export function text(): Of<"text", string> {
  return { kind: "text" };
}

/** Values that are byte arrays. */
export function bytes(): Of<"bytes", Uint8Array> {
  return { kind: "bytes" };
}

/** Plain data; what the schema says of it is checked before a write is proposed. */
export function json<S extends AnySchema>(schema: S): Of<"json", InputOf<S>, OutputOf<S>>;
export function json<T = Json>(): Of<"json", T>;
export function json(schema?: AnySchema): Of<"json", never> {
  return { kind: "json", schema: schema ?? null };
}

/** Whole numbers that are added to. */
export function counter(): Of<"counter", number> {
  return { kind: "counter" };
}

/** Sets of strings. */
export function set(): Of<"set", string> {
  return { kind: "set" };
}

/** Plain data whose fields are kept, read and changed one by one. */
export function map<S extends AnySchema>(schema: S): Of<"map", InputOf<S>, OutputOf<S>>;
export function map<T extends object = { readonly [field: string]: Json }>(): Of<"map", T>;
export function map(schema?: AnySchema): Of<"map", never> {
  return { kind: "map", schema: schema ?? null };
}

/** A keyspace as the application declares it. */
export interface KeyspaceDefinition<M extends Model = Model, V extends ValueType = ValueType> {
  readonly model: M;
  readonly value: V;
  /** Of the schema: goes up when stored values change their form. */
  readonly version: number;
  readonly options: Readonly<Record<string, string | number | boolean>>;
}

interface CommonOptions {
  /** 1 unless told otherwise. */
  readonly version?: number;
}

/** Nothing is said of the values. */
interface AnyOptions extends CommonOptions {
  readonly schema?: undefined;
  readonly value?: undefined;
}

interface SchemaOptions<S extends AnySchema> extends CommonOptions {
  /** Short for `value: json(schema)`. */
  readonly schema: S;
  readonly value?: undefined;
}

interface TypeOptions<V extends ValueType> extends CommonOptions {
  readonly schema?: undefined;
  readonly value: V;
}

type Options = AnyOptions | SchemaOptions<AnySchema> | TypeOptions<ValueType>;
type AnyType = Of<"any", AnyValue>;
type SchemaType<S extends AnySchema> = Of<"json", InputOf<S>, OutputOf<S>>;

/** One order of writes; no committed write is lost. */
export function singleLeader(options?: AnyOptions): KeyspaceDefinition<"singleLeader", AnyType>;
export function singleLeader<S extends AnySchema>(
  options: SchemaOptions<S>,
): KeyspaceDefinition<"singleLeader", SchemaType<S>>;
export function singleLeader<V extends ValueType>(
  options: TypeOptions<V>,
): KeyspaceDefinition<"singleLeader", V>;
export function singleLeader(options: Options = {}): KeyspaceDefinition<"singleLeader", never> {
  return define("singleLeader", options, {});
}

/** Every region and device accepts writes; conflicts are resolved by a rule and recorded. */
export function multiLeader(options?: AnyOptions): KeyspaceDefinition<"multiLeader", AnyType>;
export function multiLeader<S extends AnySchema>(
  options: SchemaOptions<S>,
): KeyspaceDefinition<"multiLeader", SchemaType<S>>;
export function multiLeader<V extends ValueType>(
  options: TypeOptions<V>,
): KeyspaceDefinition<"multiLeader", V>;
export function multiLeader(options: Options = {}): KeyspaceDefinition<"multiLeader", never> {
  return define("multiLeader", options, {});
}

/** How many of a key's replicas must answer: a number, or one that scales with `n`. */
export type Quorum = number | "one" | "quorum" | "all";

interface QuorumOptions {
  /** Replicas of each key; 3 unless told otherwise. */
  readonly n?: number;
  readonly r?: Quorum;
  readonly w?: Quorum;
  /** Whether others than a key's own replicas may stand in for them. */
  readonly sloppy?: boolean;
}

/** Any replica accepts writes; how many must answer is said per keyspace and per request. */
export function leaderless(
  options?: AnyOptions & QuorumOptions,
): KeyspaceDefinition<"leaderless", AnyType>;
export function leaderless<S extends AnySchema>(
  options: SchemaOptions<S> & QuorumOptions,
): KeyspaceDefinition<"leaderless", SchemaType<S>>;
export function leaderless<V extends ValueType>(
  options: TypeOptions<V> & QuorumOptions,
): KeyspaceDefinition<"leaderless", V>;
export function leaderless(
  options: Options & QuorumOptions = {},
): KeyspaceDefinition<"leaderless", never> {
  const { n = 3, r = "quorum", w = "quorum", sloppy = false } = options;
  return define("leaderless", options, { n, r, w, sloppy });
}

function define<M extends Model>(
  model: M,
  options: Options,
  rest: KeyspaceDefinition["options"],
): KeyspaceDefinition<M, never> {
  const { version = 1 } = options;
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new TrefoilError("BAD_VALUE", "A keyspace's version is a whole number of at least 1.");
  }
  const declared: ValueType =
    options.schema === undefined ? (options.value ?? { kind: "any" }) : json(options.schema);
  return { model, value: declared as never, version, options: rest };
}

/** Keyspaces by their names. */
export type Keyspaces = Readonly<Record<string, KeyspaceDefinition>>;

/** Names that a database has for itself. */
const RESERVED = ["close", "session", "token", "then"] as const;

/** A name that a keyspace of an application may have. */
const NAME = /^[a-z][a-z0-9_-]{0,62}$/;

/**
 * The keyspaces of an application: one module that `open`, `connect` and the server's configuration
 * share. Throws `BAD_VALUE` for a name that cannot be one.
 */
export function defineKeyspaces<
  const K extends Keyspaces & { readonly [N in (typeof RESERVED)[number]]?: never },
>(keyspaces: K): K {
  for (const name of Object.keys(keyspaces)) {
    const isReserved = (RESERVED as readonly string[]).includes(name);
    if (isReserved || !NAME.test(name)) {
      throw new TrefoilError(
        "BAD_VALUE",
        `A keyspace cannot be named ${JSON.stringify(name)}: use lower-case letters, digits, - and _, beginning with a letter${isReserved ? ", and no name that the database itself has" : ""}.`,
      );
    }
  }
  return keyspaces;
}
