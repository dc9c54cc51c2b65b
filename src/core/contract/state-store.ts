import type { ByteString } from "../base/bytes.ts";
import type { LogPosition } from "./ids.ts";

/** A key and its value, as stored. */
export type Row = readonly [key: ByteString, value: Uint8Array];

/**
 * Where applied state rests below the memtable (STO1, STO5): ordered rows, changed only by one
 * atomic commit at a time. A commit is a checkpoint: after a crash the store holds the last commit
 * that was finished, whole, together with the log position from which to replay.
 *
 * Two drivers pass the same conformance suite: LMDB on a node's disk, and `CheckpointFileStore`,
 * rows in memory and each commit a file, over any `Disk`, the simulator's above all.
 */
export interface StateStore {
  get(key: ByteString): Uint8Array | undefined;
  has(key: ByteString): boolean;
  /**
   * As `get`, but a damaged row comes as it is: for one that is about to be replaced, whose hash
   * will tell (STO7).
   */
  peek(key: ByteString): Uint8Array | undefined;
  /** Rows with from ≤ key < to in order; `to` null means to the end. Valid until the next turn. */
  rows(from: ByteString, to: ByteString | null): Iterable<Row>;
  /** The keys of `rows`; no value is looked at, so that a damaged one does not matter. */
  keys(from: ByteString, to: ByteString | null): Iterable<ByteString>;
  /** The log position that the last finished commit carries: replay starts there. 0 at first. */
  readonly position: LogPosition;
  /**
   * Starts a commit that will carry `position`. `changes` yields each key once, ascending; null
   * deletes. The store takes from it in slices, in `work`; it must not change meanwhile.
   */
  begin(position: LogPosition, changes: Iterator<readonly [ByteString, Uint8Array | null]>): void;
  /** Goes on with the commit for about `rowsMax` rows. The loop calls it once per turn. */
  work(rowsMax: number): CommitProgress;
  /** A stable view of the last finished commit's rows in [from, to), for sending (STO9). */
  openSnapshot(from: ByteString, to: ByteString): SnapshotHandle;
}

/**
 * `idle`: no commit is under way. `working`: call again next turn. `waiting`: for the disk. `done`:
 * said once, when the commit is flushed and visible to `get` and `rows`.
 */
export type CommitProgress = "idle" | "working" | "waiting" | "done";

/** Rows of one commit, which stay as they are until `release`, whatever is committed meanwhile. */
export interface SnapshotHandle {
  /**
   * Rows from the cursor on, encoded one after the other as u32 key length, key, u32 value length,
   * value; about `bytesMax` in all, at least one row. `next` is null after the last. Cursor 0
   * begins.
   */
  chunk(
    cursor: number,
    bytesMax: number,
  ): { readonly rows: Uint8Array; readonly next: number | null };
  release(): void;
}
