import { assert, defined } from "../base/assert.ts";
import { FormatError, getU32, putU32 } from "../base/bytes.ts";
import type { Checksum } from "../base/hash.ts";
import type { Disk, DiskCompletion, DiskError, DiskOp } from "../contract/disk.ts";

/**
 * A snapshot's file is chunks of rows, one after the other. All integers are little-endian.
 *
 *     chunk = body bytes u32 | seed u32 | crc u32 | is last u8 | body
 *
 * The checksum of each chunk is seeded with the one before it, the first one with the snapshot's
 * identity. So a chunk counts only in its place in its own snapshot, and the last checksum is one
 * of the whole file. Offsets in the file are what receiver and sender agree on: equal rows make
 * equal files, whichever node writes them.
 */
export const SNAPSHOT_CHUNK_HEADER_BYTES = 13;

/** Chunks handed to the disk and not yet written; more would only pile up in memory. */
const CHUNKS_IN_FLIGHT_MAX = 4;

const PREFIX = "snapshot-";

/** A chunk as it is sent. */
export interface SnapshotChunk {
  readonly body: Uint8Array;
  /** The checksum of everything up to here. */
  readonly crc: number;
  readonly isLast: boolean;
  /** Where the next one begins. */
  readonly next: number;
}

/** Whether a chunk continues what has the checksum `seed`. */
export function isNextChunk(
  body: Uint8Array,
  seed: number,
  crc: number,
  checksum: Checksum,
): boolean {
  return checksum(body, seed) === crc;
}

/** What the files of a node's snapshots work with. */
export interface SnapshotFilesOptions {
  readonly disk: Disk;
  readonly checksum: Checksum;
  /** Numbers for disk operations, unique among all users of the disk. */
  readonly nextOp: () => DiskOp;
}

/**
 * The files in which a node keeps the snapshots that it sends (STO9).
 *
 * Nothing rests on them: they are never synced, and what an earlier process left is removed. A full
 * disk therefore fails the file and not the node; any other failure is one of the disk and stops
 * the node (STO8).
 */
export class SnapshotFiles {
  readonly checksum: Checksum;
  readonly #disk: Disk;
  readonly #nextOp: () => DiskOp;
  readonly #waiting = new Map<DiskOp, (error: DiskError | null) => void>();
  #failure: DiskError | null = null;
  #created = 0;

  /** Removes, in the background, what an earlier process left. Throws `DiskError`. */
  constructor({ disk, checksum, nextOp }: SnapshotFilesOptions) {
    this.#disk = disk;
    this.checksum = checksum;
    this.#nextOp = nextOp;
    for (const name of disk.list()) if (name.startsWith(PREFIX)) this.#remove(name);
  }

  /** A write has failed for another reason than a full disk: the node must stop (STO8). */
  get failure(): DiskError | null {
    return this.#failure;
  }

  /** Bytes that may still be put on the disk. */
  room(): number {
    return this.#disk.room();
  }

  /** A new file. `identity` names the snapshot among all of the cluster. */
  create(identity: string, seed: number): SnapshotFile {
    this.#created += 1;
    // The number keeps it apart from one of the same snapshot that is still being removed.
    const file = new SnapshotFile(this, `${PREFIX}${identity}-${this.#created}`, seed);
    this.submit(
      (op) => this.#disk.create(op, file.name, 0),
      (error) => file.onWritten(0, error),
    );
    return file;
  }

  /** For `SnapshotFile`. */
  write(name: string, at: number, parts: readonly Uint8Array[], done: Done): void {
    this.submit((op) => this.#disk.write(op, name, at, parts), done);
  }

  /** For `SnapshotFile`. Throws `DiskError`. */
  read(name: string, at: number, length: number): Uint8Array {
    return this.#disk.read(name, at, length);
  }

  /** The file is needed no longer. */
  discard(file: SnapshotFile): void {
    if (file.isDiscarded) return;
    file.isDiscarded = true;
    this.#remove(file.name);
  }

  #remove(name: string): void {
    // One that could not even be created is not there.
    this.submit(
      (op) => this.#disk.remove(op, name),
      () => {},
    );
  }

  submit(start: (op: DiskOp) => void, done: Done): void {
    if (this.#failure !== null) return;
    const op = this.#nextOp();
    assert(!this.#waiting.has(op), "an operation number used twice");
    this.#waiting.set(op, done);
    start(op);
  }

  /** Takes in a completion; false if the operation was not of a snapshot's file. */
  onDisk(completion: DiskCompletion): boolean {
    const done = this.#waiting.get(completion.op);
    if (done === undefined) return false;
    this.#waiting.delete(completion.op);
    const { error } = completion;
    if (error !== null && error.code === "DISK_FAILED") this.#failure ??= error;
    done(error);
    return true;
  }
}

type Done = (error: DiskError | null) => void;

/** One snapshot in a file, which is read while it is being written. */
export class SnapshotFile {
  readonly name: string;
  readonly #files: SnapshotFiles;
  /** Bytes handed to the disk, and those of them that are known to be in the file. */
  #bytes = 0;
  #written = 0;
  readonly #inFlight: { readonly end: number; isDone: boolean }[] = [];
  #crc: number;
  #isComplete = false;
  #failed: DiskError | null = null;
  isDiscarded = false;

  /** Use `SnapshotFiles.create`. */
  constructor(files: SnapshotFiles, name: string, seed: number) {
    this.#files = files;
    this.name = name;
    this.#crc = seed;
  }

  /** Why it cannot be completed; null while all is well. */
  get failed(): DiskError | null {
    return this.#failed;
  }

  /** The last chunk was handed over. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Whether `append` may be called. */
  get takesMore(): boolean {
    return (
      !this.#isComplete &&
      !this.isDiscarded &&
      this.#failed === null &&
      this.#inFlight.length < CHUNKS_IN_FLIGHT_MAX
    );
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(body: Uint8Array, isLast: boolean): void {
    assert(this.takesMore, "a chunk for a file that takes none");
    const header = new Uint8Array(SNAPSHOT_CHUNK_HEADER_BYTES);
    putU32(header, 0, body.length);
    putU32(header, 4, this.#crc);
    this.#crc = this.#files.checksum(body, this.#crc);
    putU32(header, 8, this.#crc);
    header[12] = isLast ? 1 : 0;
    const at = this.#bytes;
    this.#bytes += header.length + body.length;
    this.#isComplete = isLast;
    const end = this.#bytes;
    this.#inFlight.push({ end, isDone: false });
    this.#files.write(this.name, at, [header, body], (error) => this.onWritten(end, error));
  }

  /** For `SnapshotFiles`: a write that ended at `end` is over. */
  onWritten(end: number, error: DiskError | null): void {
    if (error !== null) {
      this.#failed ??= error;
      return;
    }
    for (const write of this.#inFlight) if (write.end === end) write.isDone = true;
    while (this.#inFlight[0]?.isDone) this.#written = this.#inFlight.shift()!.end;
  }

  /** Whether the chunk at this offset can be read by now. */
  has(offset: number): boolean {
    return offset < this.#written;
  }

  /** Whether there is nothing at this offset, and never will be. */
  endsBefore(offset: number): boolean {
    return this.#isComplete ? offset >= this.#bytes : false;
  }

  /**
   * The chunk that begins at the offset. Throws `FormatError` where none begins, or it is damaged,
   * and `DiskError`.
   */
  chunkAt(offset: number): SnapshotChunk {
    assert(this.has(offset), "a chunk that is not written yet", offset);
    const header = this.#files.read(this.name, offset, SNAPSHOT_CHUNK_HEADER_BYTES);
    if (header.length < SNAPSHOT_CHUNK_HEADER_BYTES) throw new FormatError("a cut chunk");
    const length = getU32(header, 0);
    const next = offset + SNAPSHOT_CHUNK_HEADER_BYTES + length;
    // Before anything is made room for: at a wrong offset the length may be anything.
    if (next > this.#written) throw new FormatError("a chunk that reaches beyond its file");
    const body = this.#files.read(this.name, offset + SNAPSHOT_CHUNK_HEADER_BYTES, length);
    const crc = getU32(header, 8);
    if (body.length < length || this.#files.checksum(body, getU32(header, 4)) !== crc) {
      throw new FormatError("the checksum of a chunk is wrong");
    }
    return { body, crc, isLast: defined(header[12], "a whole header") === 1, next };
  }
}
