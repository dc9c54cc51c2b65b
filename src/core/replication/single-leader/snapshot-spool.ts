import { assert } from "../../base/assert.ts";
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { RowHash } from "../../base/row-hash.ts";
import type { Instant } from "../../contract/ids.ts";
import type { SnapshotHandle } from "../../contract/state-store.ts";
import type { SnapshotFile, SnapshotFiles } from "../../log/snapshot-file.ts";
import {
  bigEndian,
  DATA,
  DATA_PREFIX_BYTES,
  decodeMeta,
  encodeMeta,
  groupPrefix,
  META,
  type SnapshotId,
} from "./rows.ts";

/** Rows read from the store in one settle, in bytes: a millisecond's work where rows are small. */
const SLICE_BYTES = 64 << 10;

/**
 * - `spooling`: rows are still being put into the file.
 * - `whole`: it is complete, and its rows have the hash that they should have.
 * - `damaged`: they have not; the state that they come from is wrong (STO7).
 * - `failed`: no room, or it took too long.
 */
export type SpoolState = "spooling" | "whole" | "damaged" | "failed";

/** Where a spool gets its rows from, and where it puts them. */
export interface SpoolParts {
  readonly group: number;
  readonly files: SnapshotFiles;
  readonly handle: SnapshotHandle;
  readonly chunkBytes: number;
  readonly ageMsMax: number;
  readonly diskRoomBytesMin: number;
}

/**
 * Puts a snapshot into a file once, for all followers that need it, so that the store's pages are
 * not pinned for as long as the slowest of them takes (STO9).
 *
 * The file is the same on every node that has the state: keys without the group's prefix and the
 * generation, and nothing of the node's own in the group's row. Values come first; what follows
 * them begins a chunk, because a receiver that starts again has to get it again.
 */
export class SnapshotSpool {
  readonly id: SnapshotId;
  readonly file: SnapshotFile;
  readonly #parts: SpoolParts;
  readonly #startedAt: Instant;
  readonly #hash = new RowHash();
  #cursor: number | null = 0;
  #writer = new ByteWriter();
  #isBehindData = false;
  /** Chunks that the file did not take yet. */
  #ready: { readonly body: Uint8Array; readonly isLast: boolean }[] = [];
  #state: SpoolState = "spooling";

  constructor(id: SnapshotId, parts: SpoolParts, now: Instant) {
    this.id = id;
    this.#parts = parts;
    this.#startedAt = now;
    this.file = parts.files.create(nameOf(parts.group, id), seedOf(parts, id));
  }

  get state(): SpoolState {
    return this.#state === "whole" && this.file.failed !== null ? "failed" : this.#state;
  }

  /** Whether `work` would get on right now. */
  get isBusy(): boolean {
    if (this.#state !== "spooling") return false;
    return this.file.failed !== null || this.file.takesMore;
  }

  /** A slice. Throws `CheckpointError` where the store itself knows a row to be damaged. */
  work(now: Instant): void {
    if (this.#state !== "spooling") return;
    const { files, ageMsMax, diskRoomBytesMin } = this.#parts;
    const isLate = now - this.#startedAt > ageMsMax;
    if (isLate || this.file.failed !== null || files.room() < diskRoomBytesMin) {
      return this.#end("failed");
    }
    this.#hand();
    if (this.#cursor !== null && this.#ready.length === 0 && this.file.takesMore) {
      this.#read(this.#cursor);
      this.#hand();
    }
    if (this.file.isComplete) this.#end("whole");
  }

  #read(cursor: number): void {
    const { rows, next } = this.#parts.handle.chunk(cursor, SLICE_BYTES);
    const prefix = groupPrefix(this.#parts.group);
    const reader = new ByteReader(rows);
    while (reader.remaining > 0) {
      const key = reader.byteString();
      assert(key.startsWith(prefix), "a row of another group in a snapshot");
      this.#take(key, key.slice(prefix.length), reader.bytes());
    }
    this.#cursor = next;
    if (next !== null) return;
    // The last chunk completes the file, and without it nobody switches to these rows.
    if (this.#hash.text !== this.id.hash) return this.#end("damaged");
    this.#close(true);
  }

  #take(stored: string, key: string, value: Uint8Array): void {
    if (key.startsWith(DATA)) {
      assert(!this.#isBehindData, "a snapshot's values come first");
      this.#hash.add(stored, DATA_PREFIX_BYTES, value);
      this.#writer.byteString(DATA + stored.slice(DATA_PREFIX_BYTES));
      this.#writer.bytes(value);
    } else {
      if (!this.#isBehindData && this.#writer.length > 0) this.#close(false);
      this.#isBehindData = true;
      this.#writer.byteString(key);
      this.#writer.bytes(key === META ? withoutOwn(value) : value);
    }
    // After each row, not each slice: where chunks end must not depend on the store.
    if (this.#writer.length >= this.#parts.chunkBytes) this.#close(false);
  }

  #close(isLast: boolean): void {
    this.#ready.push({ body: this.#writer.take(), isLast });
  }

  #hand(): void {
    while (this.#ready.length > 0 && this.file.takesMore) {
      const { body, isLast } = this.#ready.shift()!;
      this.file.append(body, isLast);
    }
  }

  #end(state: SpoolState): void {
    if (this.#state !== "spooling") return;
    this.#state = state;
    this.#ready = [];
    this.#writer = new ByteWriter(0);
    this.#parts.handle.release();
  }

  /** The snapshot is needed no longer. */
  discard(): void {
    this.#end("failed");
    this.#parts.files.discard(this.file);
  }
}

/** What in the row is the sending node's own: the receiver has its own. */
function withoutOwn(row: Uint8Array): Uint8Array {
  return encodeMeta({ ...decodeMeta(row), term: 0, vote: null, generation: 0, isDamaged: false });
}

function nameOf(group: number, { index, term, hash }: SnapshotId): string {
  return `${group}-${index}-${term}-${hash}`;
}

/** What the checksums of a snapshot's chunks begin with, at both ends. */
export function seedOf(
  { files, group }: { readonly files: SnapshotFiles; readonly group: number },
  id: SnapshotId,
): number {
  const text = bigEndian(group) + bigEndian(id.index) + bigEndian(id.term) + id.hash;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return files.checksum(bytes);
}
