/** What `import … from "trefoil/client"` gives: everything that needs no node in the process. */

export { ERRORS, type ErrorCode, type ErrorSpec, type Outcome } from "../core/contract/errors.ts";
export type { Reply } from "../core/contract/reply.ts";
export type {
  CallOptions,
  ReadConcern,
  ReadOptions,
  WithMeta,
  WriteConcern,
  WriteOptions,
} from "./calls.ts";
export type { Change, ChangesOptions } from "./changes.ts";
export type { MapOperations, NumberFields, SetOperations } from "./collections.ts";
export type { CounterOperations } from "./counters.ts";
export { type ConnectOptions, connect, type Database, type SessionHandles } from "./database.ts";
export type {
  Answer,
  AnswerMeta,
  ChangeBatch,
  EngineCapabilities,
  EngineOptions,
  KeyspaceEngine,
  Model,
  ReadOperations,
  ReadResults,
  StoredValue,
  WriteOperation,
  WriteResult,
} from "./engine.ts";
export { isTrefoilError, TrefoilError, type TrefoilErrorCode } from "./errors.ts";
export type { Json } from "./json.ts";
export type {
  KeyspaceOf,
  LeaderlessKeyspace,
  MultiLeaderKeyspace,
  SingleLeaderKeyspace,
} from "./keyspace.ts";
export {
  type AnyValue,
  bytes,
  counter,
  defineKeyspaces,
  json,
  type KeyspaceDefinition,
  leaderless,
  map,
  multiLeader,
  type Quorum,
  set,
  singleLeader,
  text,
  type ValueType,
} from "./keyspaces.ts";
export type { EntriesOptions, LifetimeOptions, Versioned } from "./registers.ts";
export { RespClient, RespClientError, type RespClientOptions } from "./resp-client.ts";
export type { StandardSchema } from "./standard-schema.ts";
export type { Transaction, TransactionOptions } from "./transaction.ts";
