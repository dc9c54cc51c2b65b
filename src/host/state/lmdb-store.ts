import fs from "node:fs";
import path from "node:path";
import { open } from "lmdb";
import { assert, defined } from "../../core/base/assert.ts";
import { type ByteString, getU48, putU48 } from "../../core/base/bytes.ts";
import { type DiskCompletion, DiskError, type DiskOp } from "../../core/contract/disk.ts";
import type { LogPosition } from "../../core/contract/ids.ts";
import type {
  CommitProgress,
  Row,
  SnapshotHandle,
  StateStore,
} from "../../core/contract/state-store.ts";
import { CheckpointError } from "../../core/log/checkpoint-reader.ts";
import { diskError } from "../disk/disk-errors.ts";
import {
  type Env,
  keyOf,
  keysIn,
  POSITION_KEY,
  rowOf,
  rowsIn,
  STATE_DIRECTORY,
  uncheckedIn,
  View,
  valueIn,
} from "./lmdb-rows.ts";
import { LmdbSnapshot } from "./lmdb-snapshot.ts";

type Change = readonly [key: ByteString, value: Uint8Array | null];

const POSITION_BYTES = 6;

/** LMDB's own name for it. */
const DATA_FILE = "data.mdb";

/** The same on every machine, so that a directory can be moved. */
const PAGE_BYTES = 4096;

/** What each of LMDB's two first pages has behind its header: 0xBEEFC0DE, the lowest byte first. */
const MAGIC = Buffer.from([0xde, 0xc0, 0xef, 0xbe]);
const MAGIC_AT = 24;

/** A file system with less room than this counts as full: LMDB writes whole pages, and many. */
const ROOM_BYTES_MIN = 256 << 10;

/** Snapshots and this store's own view hold one each. */
const READERS_MAX = 64;

/** What a store works with. */
export interface LmdbStoreOptions {
  /** The node's data directory, which exists and is locked. */
  readonly directory: string;
  /** Numbers for completions, unique among all users of the node's disk. */
  readonly nextOp: () => DiskOp;
  /** Never called within the call that it answers. */
  readonly onCompletion: (completion: DiskCompletion) => void;
}

interface Commit {
  readonly position: LogPosition;
  readonly changes: Iterator<Change>;
  /** `opening`: LMDB has not begun the transaction; `writing`: rows are being put into it. */
  phase: "opening" | "writing" | "flushing" | "flushed";
  /** Ends the transaction, once it is open: commits it, or rolls it back. */
  end: ((how: "commit" | "abort") => void) | null;
  isGivenUp: boolean;
  /** Resolves when the transaction is over, however it ended. */
  ended: Promise<void>;
}

/**
 * Opens the store, or makes it. Throws `CheckpointError` where its files are none of LMDB's or do
 * not hold what they should, `DiskError` where they cannot be opened.
 */
export function openLmdbStore(options: LmdbStoreOptions): LmdbStore {
  const directory = path.join(options.directory, STATE_DIRECTORY);
  try {
    const isNew = !hasEnvironment(path.join(directory, DATA_FILE));
    const env = open<Buffer, Buffer>({
      path: directory,
      encoding: "binary",
      keyEncoding: "binary",
      // Nothing is told before it is flushed: a sync that overlaps the next commit gains nothing.
      overlappingSync: false,
      maxReaders: READERS_MAX,
      pageSize: PAGE_BYTES,
    });
    if (isNew) syncDirectories(directory, options.directory);
    return new LmdbStore(options, env);
  } catch (failure) {
    if (failure instanceof CheckpointError) throw failure;
    throw diskError(failure, `open ${directory}`);
  }
}

/**
 * Whether the file is LMDB's, which begins with two pages of its own; false where there is none.
 * The library would not say that another file is none, but end the process.
 */
function hasEnvironment(file: string): boolean {
  if (!fs.existsSync(file)) return false;
  const fd = fs.openSync(file, "r");
  try {
    if (fs.fstatSync(fd).size === 0) return false;
    const magic = Buffer.alloc(MAGIC.length);
    for (const page of [0, PAGE_BYTES]) {
      const got = fs.readSync(fd, magic, 0, magic.length, page + MAGIC_AT);
      if (got === magic.length && magic.equals(MAGIC)) continue;
      throw new CheckpointError(STATE_DIRECTORY, "data.mdb is not a file of LMDB");
    }
    return true;
  } finally {
    fs.closeSync(fd);
  }
}

/** New files are there after a crash only if the directories that name them are synced. */
function syncDirectories(...directories: readonly string[]): void {
  for (const directory of directories) {
    const fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  }
}

/**
 * Rows in LMDB, each commit one atomic transaction over sorted keys (STO5).
 *
 * The transaction stays open over many turns of the loop, and each turn's `work` puts a slice of
 * rows into it; LMDB commits and syncs in a thread of its own. Rows and snapshots are read in a
 * view of the last finished commit, which is renewed when one is done. While a transaction is open,
 * `get` and `has` see what it has come to, since the library reads single keys through it: the
 * memtable holds every key of it and hides that (STO5).
 */
export class LmdbStore implements StateStore {
  readonly #env: Env;
  readonly #directory: string;
  readonly #nextOp: () => DiskOp;
  readonly #onCompletion: (completion: DiskCompletion) => void;
  readonly #waiting = new Map<DiskOp, () => void>();
  readonly #snapshots = new Set<LmdbSnapshot>();
  /** The last finished commit. */
  #view: View;
  #position: LogPosition;
  #commit: Commit | null = null;
  #failure: DiskError | null = null;
  #closed: Promise<void> | null = null;

  /** Use `openLmdbStore`. */
  constructor(options: LmdbStoreOptions, env: Env) {
    this.#env = env;
    this.#directory = options.directory;
    this.#nextOp = options.nextOp;
    this.#onCompletion = options.onCompletion;
    this.#view = new View(env);
    const row = this.#getRaw(POSITION_KEY);
    this.#position = row === undefined ? 0 : getU48(valueIn(POSITION_KEY, row), 0);
  }

  /** Size of LMDB's file; it never shrinks, but its free pages are used again. */
  get fileBytes(): number {
    const file = path.join(this.#directory, STATE_DIRECTORY, DATA_FILE);
    return fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  }

  get position(): LogPosition {
    return this.#position;
  }

  /** A write or sync has failed: the node must stop (STO8). */
  get failure(): DiskError | null {
    return this.#failure;
  }

  /** Throws `CheckpointError` where the row is damaged. */
  get(key: ByteString): Uint8Array | undefined {
    const stored = keyOf(key);
    const row = this.#getRaw(stored);
    return row === undefined ? undefined : valueIn(stored, row);
  }

  peek(key: ByteString): Uint8Array | undefined {
    const row = this.#getRaw(keyOf(key));
    return row === undefined ? undefined : uncheckedIn(row);
  }

  has(key: ByteString): boolean {
    return this.#getRaw(keyOf(key)) !== undefined;
  }

  #getRaw(stored: Buffer): Buffer | undefined {
    return this.#env.get(stored, { transaction: this.#view.transaction });
  }

  rows(from: ByteString, to: ByteString | null): Iterable<Row> {
    return rowsIn(this.#env, this.#view.transaction, from, to);
  }

  keys(from: ByteString, to: ByteString | null): Iterable<ByteString> {
    return keysIn(this.#env, this.#view.transaction, from, to);
  }

  begin(position: LogPosition, changes: Iterator<Change>): void {
    assert(this.#commit === null, "a commit is under way");
    assert(position >= this.#position, "a checkpoint goes back in the log", position);
    const ended = Promise.resolve();
    const commit: Commit = {
      position,
      changes,
      phase: "opening",
      end: null,
      isGivenUp: false,
      ended,
    };
    this.#commit = commit;
    const opened = this.#expect(() => {
      commit.phase = "writing";
    });
    const flushed = this.#expect(() => {
      commit.phase = "flushed";
    });
    // A child transaction, because only that is rolled back when its callback rejects: a plain one
    // commits what it has come to.
    const written = this.#env.childTransaction(() => {
      return new Promise<void>((resolve, reject) => {
        commit.end = (how) => {
          if (how === "commit") resolve();
          else reject(this.#failure ?? new Error("the store is being closed"));
        };
        if (commit.isGivenUp) commit.end("abort");
        else this.#complete(opened, null);
      });
    });
    commit.ended = written
      .then(() => this.#env.flushed)
      .then(
        () => this.#complete(flushed, null),
        async (failure: unknown) => this.#complete(flushed, await this.#causeOf(failure)),
      );
    this.#silence(this.#env.committed);
  }

  work(rowsMax: number): CommitProgress {
    const commit = this.#commit;
    if (commit === null) return "idle";
    if (this.#failure !== null) return "waiting";
    switch (commit.phase) {
      case "opening":
      case "flushing":
        return "waiting";
      case "writing":
        return this.#write(commit, rowsMax);
      case "flushed":
        this.#finish(commit);
        return "done";
    }
  }

  #write(commit: Commit, rowsMax: number): CommitProgress {
    try {
      for (let left = rowsMax; left > 0; left -= 1) {
        const next = commit.changes.next();
        if (next.done) {
          this.#closeCommit(commit);
          return "waiting";
        }
        const [key, value] = next.value;
        const stored = keyOf(key);
        if (value === null) this.#env.removeSync(stored);
        else this.#put(stored, value);
      }
      return "working";
    } catch (failure) {
      this.#failure = diskError(failure, "write to the state store");
      commit.end?.("abort");
      return "waiting";
    }
  }

  #put(stored: Buffer, value: Uint8Array): void {
    // The declarations say void; it says whether the row went into the open transaction.
    const isTaken: unknown = this.#env.putSync(stored, rowOf(stored, value));
    if (isTaken === false) throw new DiskError("DISK_FAILED", "the state store did not take a row");
  }

  #closeCommit(commit: Commit): void {
    const position = Buffer.alloc(POSITION_BYTES);
    putU48(position, 0, commit.position);
    this.#put(POSITION_KEY, position);
    commit.phase = "flushing";
    this.#silence(this.#env.committed);
    defined(commit.end, "a transaction that nobody can end")("commit");
  }

  #finish(commit: Commit): void {
    this.#commit = null;
    this.#position = commit.position;
    const before = this.#view;
    this.#view = new View(this.#env);
    before.release();
  }

  openSnapshot(from: ByteString, to: ByteString): SnapshotHandle {
    const snapshot = new LmdbSnapshot(this.#env, this.#view.use(), from, to, () => {
      this.#snapshots.delete(snapshot);
    });
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  /** Takes in a completion; false if the operation was not this store's. */
  onDisk(completion: DiskCompletion): boolean {
    const done = this.#waiting.get(completion.op);
    if (done === undefined) return false;
    this.#waiting.delete(completion.op);
    this.#failure ??= completion.error;
    if (this.#failure === null) done();
    return true;
  }

  /** What the library says of a failed commit is in a second promise of the error. */
  async #causeOf(failure: unknown): Promise<unknown> {
    const isWrapped = failure instanceof Error && "commitError" in failure;
    const cause = isWrapped ? await Promise.resolve(failure.commitError).catch(itself) : failure;
    // LMDB calls a write that found no room for all of its bytes an input/output error.
    if (!isFull(this.#directory)) return cause;
    return new DiskError("DISK_FULL", "commit to the state store: no space is left on the device");
  }

  /** The library rejects promises of its own that nobody asked for; the failure is told by ours. */
  #silence(promise: PromiseLike<unknown>): void {
    promise.then(itself, itself);
  }

  #expect(done: () => void): DiskOp {
    const op = this.#nextOp();
    this.#waiting.set(op, done);
    return op;
  }

  #complete(op: DiskOp, failure: unknown): void {
    const error = failure === null ? null : diskError(failure, "commit to the state store");
    queueMicrotask(() => this.#onCompletion({ op, error }));
  }

  /** What is not committed is given up: the log has it. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const commit = this.#commit;
    if (commit !== null) {
      // A transaction that LMDB has not begun yet is ended as soon as it has.
      commit.isGivenUp = true;
      commit.end?.("abort");
      await commit.ended;
    }
    for (const snapshot of [...this.#snapshots]) snapshot.release();
    this.#view.release();
    await this.#env.close();
  }
}

/** False also where nobody knows: a disk that fails may not even say how full it is. */
function isFull(directory: string): boolean {
  try {
    const { bavail, bsize } = fs.statfsSync(directory);
    return bavail * bsize < ROOM_BYTES_MIN;
  } catch {
    return false;
  }
}

function itself(value: unknown): unknown {
  return value;
}
