import { assert, defined } from "../base/assert.ts";
import { ByteReader, type ByteString, EMPTY, FormatError } from "../base/bytes.ts";
import type { Checksum } from "../base/hash.ts";
import type { Disk } from "../contract/disk.ts";
import type { SnapshotHandle } from "../contract/state-store.ts";
import {
  CHUNK_HEADER_BYTES,
  type CheckpointName,
  checkHeader,
  checkpointName,
  FOOTER_BYTES,
  HEADER_BYTES,
  isFooter,
  readChunkHeader,
  readRow,
} from "./checkpoint-format.ts";

/** A checkpoint that was completed and is not whole: damaged by something that is not a crash. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
  readonly code = "CHECKPOINT_CORRUPT";
  readonly file: string;

  constructor(file: string, reason: string) {
    super(`${file} is damaged: ${reason}. Remove the directory's data and refill it from peers.`);
    this.file = file;
  }
}

/** Where a chunk lies in its file. */
export interface ChunkPlace {
  /** Offset of the chunk's header. */
  readonly at: number;
  readonly body: number;
  readonly firstKey: ByteString;
  /** What seeds the chunk's checksum: the checksum of what lies before it. */
  readonly seed: number;
}

/** A finished checkpoint: its name, and the index of its chunks. */
export interface CheckpointFile {
  readonly name: CheckpointName;
  readonly chunks: readonly ChunkPlace[];
}

/**
 * Reads a checkpoint whole, verifies all of it, and hands its rows to `take` in order; the values
 * are copies. Throws `CheckpointError` and `DiskError`.
 */
export function loadCheckpoint(
  disk: Disk,
  checksum: Checksum,
  name: CheckpointName,
  take: (key: ByteString, value: Uint8Array) => void,
): CheckpointFile {
  const file = checkpointName(name);
  const size = disk.size(file);
  const chunks: ChunkPlace[] = [];
  let crc = checkHeader(disk.read(file, 0, HEADER_BYTES), name, checksum);
  if (crc === null) throw new CheckpointError(file, "its header is wrong");
  let at = HEADER_BYTES;
  let rows = 0;
  let lastKey: ByteString | null = null;
  while (at + FOOTER_BYTES < size) {
    const header = readChunkHeader(disk.read(file, at, CHUNK_HEADER_BYTES));
    if (header === null || at + CHUNK_HEADER_BYTES + header.body + FOOTER_BYTES > size) {
      throw new CheckpointError(file, `the chunk at ${at} would reach beyond the file`);
    }
    const body = disk.read(file, at + CHUNK_HEADER_BYTES, header.body);
    if (checksum(body, crc) !== header.crc) {
      throw new CheckpointError(file, `the checksum of the chunk at ${at} is wrong`);
    }
    const reader = new ByteReader(body);
    let firstKey: ByteString | null = null;
    while (reader.remaining > 0) {
      const [key, value] = readRowOf(file, reader);
      if (lastKey !== null && key <= lastKey) throw new CheckpointError(file, "keys out of order");
      firstKey ??= key;
      lastKey = key;
      rows += 1;
      take(key, value.slice());
    }
    if (firstKey === null) throw new CheckpointError(file, `the chunk at ${at} is empty`);
    chunks.push({ at, body: body.length, firstKey, seed: crc });
    crc = header.crc;
    at += CHUNK_HEADER_BYTES + body.length;
  }
  const footer = disk.read(file, at, FOOTER_BYTES + 1);
  if (!isFooter(footer, rows, at, crc, checksum)) {
    throw new CheckpointError(file, "it does not end with its footer");
  }
  return { name, chunks };
}

function readRowOf(file: string, reader: ByteReader): readonly [ByteString, Uint8Array] {
  try {
    return readRow(reader);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CheckpointError(file, "a chunk does not end with a row");
  }
}

/** The rows of a finished checkpoint in [from, to), read from its file (STO9). */
export class FileSnapshot implements SnapshotHandle {
  readonly #disk: Disk;
  readonly #checksum: Checksum;
  readonly #file: CheckpointFile | null;
  readonly #from: ByteString;
  readonly #to: ByteString;
  readonly #onRelease: () => void;
  #isReleased = false;
  /** The chunk read last: callers take it in several pieces. */
  #loaded: { readonly at: number; readonly body: Uint8Array } | null = null;

  constructor(
    disk: Disk,
    checksum: Checksum,
    file: CheckpointFile | null,
    from: ByteString,
    to: ByteString,
    onRelease: () => void,
  ) {
    this.#disk = disk;
    this.#checksum = checksum;
    this.#file = file;
    this.#from = from;
    this.#to = to;
    this.#onRelease = onRelease;
  }

  /**
   * Cursors are offsets in the file, of the row to go on with. The rows of one call come from one
   * chunk. Throws `CheckpointError` if the file is damaged, `DiskError` if it cannot be read.
   */
  chunk(
    cursor: number,
    bytesMax: number,
  ): { readonly rows: Uint8Array; readonly next: number | null } {
    assert(!this.#isReleased, "a snapshot read after its release");
    const chunks = this.#file?.chunks ?? [];
    const index = cursor === 0 ? this.#firstChunk(chunks) : chunkAt(chunks, cursor);
    for (let i = index; i < chunks.length; i += 1) {
      const place = defined(chunks[i], "a chunk of the index");
      const body = this.#load(place);
      const bodyAt = place.at + CHUNK_HEADER_BYTES;
      const reader = new ByteReader(body, Math.max(0, cursor - bodyAt));
      const taken = this.#take(reader, bytesMax);
      if (taken.isEnd) return { rows: taken.rows, next: null };
      if (taken.rows.length === 0) continue;
      if (reader.remaining > 0) return { rows: taken.rows, next: bodyAt + reader.at };
      const after = chunks[i + 1];
      const next = after === undefined ? null : after.at + CHUNK_HEADER_BYTES;
      return { rows: taken.rows, next };
    }
    return { rows: EMPTY, next: null };
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#loaded = null;
    this.#onRelease();
  }

  /** The last chunk that begins at or before `from`: the first that may hold rows of the range. */
  #firstChunk(chunks: readonly ChunkPlace[]): number {
    let low = 0;
    let high = chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (defined(chunks[middle], "a chunk of the index").firstKey <= this.#from) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Rows of the range from the reader's place on, as they lie in the file. */
  #take(reader: ByteReader, bytesMax: number): { rows: Uint8Array; isEnd: boolean } {
    let from: number | null = null;
    while (reader.remaining > 0) {
      const at = reader.at;
      const [key] = readRow(reader);
      if (key >= this.#to) {
        return { rows: reader.bytesAll.slice(from ?? at, at), isEnd: true };
      }
      if (key < this.#from) continue;
      from ??= at;
      if (reader.at - from >= bytesMax) break;
    }
    const rows = from === null ? EMPTY : reader.bytesAll.slice(from, reader.at);
    return { rows, isEnd: false };
  }

  #load(place: ChunkPlace): Uint8Array {
    if (this.#loaded?.at === place.at) return this.#loaded.body;
    const file = checkpointName(defined(this.#file, "the snapshot's file").name);
    const header = readChunkHeader(this.#disk.read(file, place.at, CHUNK_HEADER_BYTES));
    const body = this.#disk.read(file, place.at + CHUNK_HEADER_BYTES, place.body);
    if (header === null || this.#checksum(body, place.seed) !== header.crc) {
      throw new CheckpointError(file, `the checksum of the chunk at ${place.at} is wrong`);
    }
    this.#loaded = { at: place.at, body };
    return body;
  }
}

/** The chunk that holds this offset of the file. */
function chunkAt(chunks: readonly ChunkPlace[], offset: number): number {
  let low = 0;
  let high = chunks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (defined(chunks[middle], "a chunk of the index").at <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
