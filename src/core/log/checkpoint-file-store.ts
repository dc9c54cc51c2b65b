import { assert, defined } from "../base/assert.ts";
import { type ByteString, ByteWriter } from "../base/bytes.ts";
import type { Checksum } from "../base/hash.ts";
import type { MutantId } from "../base/mutants.ts";
import { SortedMap } from "../base/sorted-map.ts";
import type { Disk, DiskCompletion, DiskError, DiskOp } from "../contract/disk.ts";
import type { LogPosition } from "../contract/ids.ts";
import type { CommitProgress, Row, SnapshotHandle, StateStore } from "../contract/state-store.ts";
import {
  CHUNK_BYTES,
  type CheckpointName,
  checkpointName,
  encodeChunkHeader,
  encodeFooter,
  encodeHeader,
  parseCheckpointName,
  writeRow,
} from "./checkpoint-format.ts";
import {
  CheckpointError,
  type CheckpointFile,
  type ChunkPlace,
  FileSnapshot,
  loadCheckpoint,
} from "./checkpoint-reader.ts";

const TMP_SUFFIX = ".tmp";

/** Chunks handed to the disk and not yet written; more would only pile up in memory. */
const CHUNKS_IN_FLIGHT_MAX = 4;

type Change = readonly [key: ByteString, value: Uint8Array | null];

/** What a commit does, in order: rows in memory, the file, then its name. */
type CommitPhase =
  | { readonly kind: "merging"; readonly changes: Iterator<Change> }
  | { readonly kind: "writing"; readonly rows: Iterator<Row> }
  | { readonly kind: "flushing" }
  | { readonly kind: "flushed" };

interface Commit {
  readonly name: CheckpointName;
  phase: CommitPhase;
  readonly chunks: ChunkPlace[];
  readonly writer: ByteWriter;
  /** First key of the chunk being filled. */
  firstKey: ByteString | null;
  rows: number;
  /** Bytes handed to the disk. */
  bytes: number;
  crc: number;
  inFlight: number;
}

/** What a store works with. */
export interface CheckpointFileStoreOptions {
  readonly disk: Disk;
  readonly checksum: Checksum;
  /** Numbers for disk operations, unique among all users of the disk. */
  readonly nextOp: () => DiskOp;
  /** Rows are written in chunks of about this many bytes. */
  readonly chunkBytes?: number;
  /** Only the simulator sets it. */
  readonly mutant?: MutantId | null;
}

/**
 * Opens the store with the newest checkpoint in the directory, read whole. Leftovers of unfinished
 * commits and older checkpoints are removed in the background. Throws `CheckpointError` when the
 * newest one is damaged: an older one would not do, the log it needs may be gone. Throws
 * `DiskError`.
 */
export function openCheckpointFileStore(options: CheckpointFileStoreOptions): CheckpointFileStore {
  const names = options.disk.list();
  const unfinished: string[] = [];
  const stale: string[] = [];
  let newest: CheckpointName | null = null;
  for (const name of names) {
    if (name.startsWith("checkpoint-") && name.endsWith(TMP_SUFFIX)) unfinished.push(name);
    const parsed = parseCheckpointName(name);
    if (parsed === null) continue;
    if (newest !== null && isOlder(parsed, newest)) {
      stale.push(name);
      continue;
    }
    if (newest !== null) stale.push(checkpointName(newest));
    newest = parsed;
  }
  const rows = new SortedMap<Uint8Array>();
  const file = newest === null ? null : load(options, newest, rows);
  return new CheckpointFileStore(options, file, rows, { unfinished, stale });
}

function load(
  { disk, checksum, mutant = null }: CheckpointFileStoreOptions,
  name: CheckpointName,
  rows: SortedMap<Uint8Array>,
): CheckpointFile {
  try {
    return loadCheckpoint(disk, checksum, name, (key, value) => rows.set(key, value));
  } catch (failure) {
    if (!(failure instanceof CheckpointError) || mutant !== "S7") throw failure;
    return { name, chunks: [] };
  }
}

function isOlder(a: CheckpointName, b: CheckpointName): boolean {
  return a.position === b.position ? a.sequence < b.sequence : a.position < b.position;
}

/**
 * Rows in memory; each commit writes all of them to a new file (STO5).
 *
 * A commit first takes the changes into the rows, in slices: `Memtable` hides that by keeping its
 * frozen layer above until `done`. Then it writes `checkpoint-<position>-<sequence>.tmp`, syncs it,
 * renames it, and syncs the directory; only then does the old file go, unless a snapshot still
 * reads it. A crash before the rename is durable leaves the old checkpoint, after it the new one.
 */
export class CheckpointFileStore implements StateStore {
  readonly #disk: Disk;
  readonly #checksum: Checksum;
  readonly #nextOp: () => DiskOp;
  readonly #chunkBytes: number;
  readonly #rows: SortedMap<Uint8Array>;
  readonly #waiting = new Map<DiskOp, () => void>();
  /** Open snapshots per file. */
  readonly #pins = new Map<string, number>();
  /** The last finished commit; null before the first. */
  #file: CheckpointFile | null;
  #commit: Commit | null = null;
  #failure: DiskError | null = null;

  /** Use `openCheckpointFileStore`. */
  constructor(
    options: CheckpointFileStoreOptions,
    file: CheckpointFile | null,
    rows: SortedMap<Uint8Array>,
    leftovers: { readonly unfinished: readonly string[]; readonly stale: readonly string[] },
  ) {
    this.#disk = options.disk;
    this.#checksum = options.checksum;
    this.#nextOp = options.nextOp;
    this.#chunkBytes = options.chunkBytes ?? CHUNK_BYTES;
    this.#file = file;
    this.#rows = rows;
    // At once, so that a commit that takes up the same name comes after.
    this.#remove(leftovers.unfinished);
    if (leftovers.stale.length === 0) return;
    // The newest name may only be cached: an older file goes once the newer is sure to stay.
    this.#submit(
      (op) => this.#disk.syncDirectory(op),
      () => this.#remove(leftovers.stale),
    );
  }

  get position(): LogPosition {
    return this.#file?.name.position ?? 0;
  }

  /** How many rows the store shows. */
  get size(): number {
    return this.#rows.size;
  }

  /** A write or sync has failed: the node must stop (STO8). */
  get failure(): DiskError | null {
    return this.#failure;
  }

  get(key: ByteString): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  peek(key: ByteString): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  has(key: ByteString): boolean {
    return this.#rows.has(key);
  }

  rows(from: ByteString, to: ByteString | null): Iterable<Row> {
    return this.#rows.entries(from, to);
  }

  keys(from: ByteString, to: ByteString | null): Iterable<ByteString> {
    return this.#rows.keys(from, to);
  }

  begin(position: LogPosition, changes: Iterator<Change>): void {
    assert(this.#commit === null, "a commit is under way");
    assert(position >= this.position, "a checkpoint goes back in the log");
    const name = { position, sequence: (this.#file?.name.sequence ?? 0) + 1 };
    this.#commit = {
      name,
      phase: { kind: "merging", changes },
      chunks: [],
      // It grows to a chunk where there is one: many a checkpoint is far smaller.
      writer: new ByteWriter(),
      firstKey: null,
      rows: 0,
      bytes: 0,
      crc: 0,
      inFlight: 0,
    };
  }

  work(rowsMax: number): CommitProgress {
    const commit = this.#commit;
    if (commit === null) return "idle";
    if (this.#failure !== null) return "waiting";
    switch (commit.phase.kind) {
      case "merging":
        return this.#merge(commit, commit.phase.changes, rowsMax);
      case "writing":
        return this.#write(commit, commit.phase.rows, rowsMax);
      case "flushing":
        return "waiting";
      case "flushed":
        this.#finish(commit);
        return "done";
    }
  }

  openSnapshot(from: ByteString, to: ByteString): SnapshotHandle {
    const file = this.#file;
    if (file === null)
      return new FileSnapshot(this.#disk, this.#checksum, null, from, to, () => {});
    const name = checkpointName(file.name);
    this.#pins.set(name, (this.#pins.get(name) ?? 0) + 1);
    return new FileSnapshot(this.#disk, this.#checksum, file, from, to, () => this.#unpin(name));
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

  #merge(commit: Commit, changes: Iterator<Change>, rowsMax: number): CommitProgress {
    for (let left = rowsMax; left > 0; left -= 1) {
      const next = changes.next();
      if (next.done) {
        this.#openFile(commit);
        return "working";
      }
      const [key, value] = next.value;
      if (value === null) this.#rows.delete(key);
      // A copy: the row may share a large array with many that are changed long before it is.
      else this.#rows.set(key, value.slice());
    }
    return "working";
  }

  #openFile(commit: Commit): void {
    const header = encodeHeader(commit.name, this.#checksum);
    commit.crc = this.#checksum(header.subarray(8));
    commit.phase = { kind: "writing", rows: this.#rows.entries() };
    this.#submit((op) => this.#disk.create(op, tmpName(commit.name), 0));
    this.#append(commit, [header]);
  }

  #write(commit: Commit, rows: Iterator<Row>, rowsMax: number): CommitProgress {
    for (let left = rowsMax; left > 0; left -= 1) {
      if (commit.inFlight >= CHUNKS_IN_FLIGHT_MAX) return "waiting";
      const next = rows.next();
      if (next.done) {
        this.#closeChunk(commit);
        this.#closeFile(commit);
        return "waiting";
      }
      const [key, value] = next.value;
      commit.firstKey ??= key;
      commit.rows += 1;
      writeRow(commit.writer, key, value);
      if (commit.writer.length >= this.#chunkBytes) this.#closeChunk(commit);
    }
    return "working";
  }

  #closeChunk(commit: Commit): void {
    if (commit.firstKey === null) return;
    const body = commit.writer.take();
    const seed = commit.crc;
    commit.crc = this.#checksum(body, seed);
    commit.chunks.push({ at: commit.bytes, body: body.length, firstKey: commit.firstKey, seed });
    commit.firstKey = null;
    this.#append(commit, [encodeChunkHeader(body, commit.crc), body]);
  }

  #append(commit: Commit, parts: readonly Uint8Array[]): void {
    const at = commit.bytes;
    for (const part of parts) commit.bytes += part.length;
    commit.inFlight += 1;
    this.#submit(
      (op) => this.#disk.write(op, tmpName(commit.name), at, parts),
      () => {
        commit.inFlight -= 1;
      },
    );
  }

  /** The data is durable before the name exists, and the name before anything relies on it. */
  #closeFile(commit: Commit): void {
    const footer = encodeFooter(commit.rows, commit.bytes, commit.crc, this.#checksum);
    const tmp = tmpName(commit.name);
    const name = checkpointName(commit.name);
    commit.phase = { kind: "flushing" };
    this.#append(commit, [footer]);
    const named = () =>
      this.#submit(
        (op) => this.#disk.syncDirectory(op),
        () => {
          commit.phase = { kind: "flushed" };
        },
      );
    const synced = () => this.#submit((op) => this.#disk.rename(op, tmp, name), named);
    this.#submit((op) => this.#disk.sync(op, tmp), synced);
  }

  #finish(commit: Commit): void {
    const old = this.#file;
    this.#file = { name: commit.name, chunks: commit.chunks };
    this.#commit = null;
    if (old === null) return;
    const name = checkpointName(old.name);
    if (!this.#pins.has(name)) this.#remove([name]);
  }

  #unpin(name: string): void {
    const pins = defined(this.#pins.get(name), "a snapshot released twice") - 1;
    if (pins > 0) {
      this.#pins.set(name, pins);
      return;
    }
    this.#pins.delete(name);
    const isCurrent = this.#file !== null && checkpointName(this.#file.name) === name;
    if (!isCurrent) this.#remove([name]);
  }

  #remove(names: readonly string[]): void {
    for (const name of names) this.#submit((op) => this.#disk.remove(op, name));
  }

  #submit(start: (op: DiskOp) => void, done: () => void = () => {}): void {
    if (this.#failure !== null) return;
    const op = this.#nextOp();
    assert(!this.#waiting.has(op), "an operation number used twice");
    this.#waiting.set(op, done);
    start(op);
  }
}

function tmpName(name: CheckpointName): string {
  return `${checkpointName(name)}${TMP_SUFFIX}`;
}
