import type { ByteString } from "../base/bytes.ts";
import type { CollectionId } from "../values/row.ts";
import type { WallClock } from "./ids.ts";
import type { Reply } from "./reply.ts";
import type { Row } from "./state-store.ts";

/**
 * A keyspace's rows as a command sees them (`values/row.ts`): keys are the user's. A key whose
 * deadline log time has reached is not there (GEN7).
 */
export interface StateReader {
  get(key: ByteString): Uint8Array | undefined;
  /** Rows with from ≤ key < to in order of bytes; null: to the end. Not valid after a change. */
  rows(from: ByteString, to: ByteString | null): Iterable<Row>;
  /** How many keys there are, those among them that died and were not removed yet. */
  readonly size: number;
  /** A field's value. */
  field(collection: CollectionId, name: ByteString): Uint8Array | undefined;
  /** Fields with from ≤ name < to in order of bytes; null: to the end. Not valid after a change. */
  fields(collection: CollectionId, from: ByteString, to: ByteString | null): Iterable<Row>;
}

/** The same rows for a command that may change them. */
export interface StateWriter extends StateReader {
  /**
   * An array of zeros for a row that is about to be set, taken from a larger one: a row of its own
   * would cost an allocation outside the heap per write.
   */
  take(bytes: number): Uint8Array;
  /**
   * Keeps the array: the caller hands it over and does not change it any more. A row that the state
   * holds already is copied first: it is stamped anew.
   */
  set(key: ByteString, row: Uint8Array): void;
  /** The fields of a collection that no key names any more are removed later, in slices. */
  delete(key: ByteString): boolean;
  /** An id that no collection of this keyspace ever had. */
  newCollection(): CollectionId;
  /** Keeps the array. True if the field is new; the caller counts them in the collection's row. */
  setField(collection: CollectionId, name: ByteString, value: Uint8Array): boolean;
  /** Adds a field without a value: a member of a set. False if it is there already. */
  addField(collection: CollectionId, name: ByteString): boolean;
  deleteField(collection: CollectionId, name: ByteString): boolean;
  /** Deletes every key. */
  clear(): void;
  /** Bytes of keys, rows and fields that the command has changed so far, each time. */
  readonly changedBytes: number;
  /** How many fields the command has looked at so far, and rows of ranges, each time. */
  readonly visited: number;
  /** As if the command had changed nothing. */
  rollBack(): void;
}

/**
 * What a keyspace does with its commands; replication carries the bytes and never looks inside.
 *
 * `apply` runs on every replica and must be deterministic: the command, the state and `time` (the
 * log's, GEN7) decide alone. It may refuse by an error reply. A throw is a bug: its changes are
 * discarded and the keyspace halts (GEN5). To `read`, `time` is what the log's will be next, by
 * which it says how long a key has to live.
 */
export interface StateMachine {
  apply(command: Uint8Array, state: StateWriter, time: WallClock): Reply;
  read(command: Uint8Array, state: StateReader, time: WallClock): Reply;
}
