/**
 * The seam between the deterministic core and a data directory (STO1). Node's files implement it in
 * the host, `SimDisk` in the simulator; both pass the same conformance suite.
 *
 * Reads are synchronous; they serve recovery, and snapshots that are being sent. Everything that
 * changes the directory is submitted with a number and answered by a `DiskCompletion` that carries
 * it. Operations on one file are carried out in the order submitted; operations on different files
 * in any order, and their completions arrive in any order. Nothing but a completed `sync` makes
 * bytes durable, and nothing but a completed `syncDirectory` a name.
 */
export interface Disk {
  /** Names of the files in the directory, in ascending order of bytes. */
  list(): readonly string[];
  /** Bytes of a file; -1 where there is none. */
  size(name: string): number;
  /**
   * About how many bytes more it takes. For what can wait until there is room; nobody may rely on
   * it, since others use the same disk.
   */
  room(): number;
  /** Up to `length` bytes from `at`; fewer at the end of the file. Throws `DiskError`. */
  read(name: string, at: number, length: number): Uint8Array;
  /**
   * A new file of `bytes` zeros, really allocated, so that later writes into it change no metadata.
   * Its contents are durable on completion; its name is so only after `syncDirectory`.
   */
  create(op: DiskOp, name: string, bytes: number): void;
  /** Writes the parts one after the other from `at` on. The file grows if need be. */
  write(op: DiskOp, name: string, at: number, parts: readonly Uint8Array[]): void;
  /** Makes everything written to the file before durable. */
  sync(op: DiskOp, name: string): void;
  /** Replaces `to` if it exists. */
  rename(op: DiskOp, from: string, to: string): void;
  remove(op: DiskOp, name: string): void;
  syncDirectory(op: DiskOp): void;
}

/** Names a submitted operation until its completion; chosen by the submitter, unique per Disk. */
export type DiskOp = number;

/** What became of one submitted operation. */
export interface DiskCompletion {
  readonly op: DiskOp;
  /**
   * Null when done. Anything else stops the node: a failed write or sync is never retried (STO8).
   */
  readonly error: DiskError | null;
}

/** Why an operation failed, as far as it matters to anyone: full, broken, or not there. */
export type DiskErrorCode = "DISK_FULL" | "DISK_FAILED" | "DISK_MISSING";

/** An operation on the data directory failed. */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: DiskErrorCode;

  constructor(code: DiskErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
