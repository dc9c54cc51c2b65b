import type { ByteString } from "../base/bytes.ts";
import type { WallClock } from "./ids.ts";
import type { Reply } from "./reply.ts";
import type { Row } from "./state-store.ts";

/** A keyspace's rows as a command sees them: keys are the user's, values begin with their kind. */
export interface StateReader {
  get(key: ByteString): Uint8Array | undefined;
  /** Rows with from ≤ key < to in order of bytes; null: to the end. Not valid after a change. */
  rows(from: ByteString, to: ByteString | null): Iterable<Row>;
  /** How many keys there are. */
  readonly size: number;
}

/** The same rows for a command that may change them. */
export interface StateWriter extends StateReader {
  /**
   * An array of zeros for a row that is about to be set, taken from a larger one: a row of its own
   * would cost an allocation outside the heap per write.
   */
  row(bytes: number): Uint8Array;
  /** Keeps the array: the caller hands it over and does not change it any more. */
  set(key: ByteString, value: Uint8Array): void;
  delete(key: ByteString): boolean;
  /** Deletes every key. */
  clear(): void;
}

/**
 * What a keyspace does with its commands; replication carries the bytes and never looks inside.
 *
 * `apply` runs on every replica and must be deterministic: the command, the state and `time` (the
 * log's, GEN7) decide alone. It may refuse by an error reply. A throw is a bug: its changes are
 * discarded and the keyspace halts (GEN5).
 */
export interface StateMachine {
  apply(command: Uint8Array, state: StateWriter, time: WallClock): Reply;
  read(command: Uint8Array, state: StateReader, time: WallClock): Reply;
}
