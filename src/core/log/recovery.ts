import { assert } from "../base/assert.ts";
import type { Checksum } from "../base/hash.ts";
import type { MutantId } from "../base/mutants.ts";
import type { Disk } from "../contract/disk.ts";
import type { LogPosition } from "../contract/ids.ts";
import type { RecoveredRecord } from "../contract/record.ts";
import {
  type BatchView,
  decodeSegmentHeader,
  findBatch,
  parseSegmentName,
  readBatch,
  readRecords,
  SEGMENT_COPY_SUFFIX,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from "./format.ts";

/** Where the log ends, and what the writer must do before it may go on from there. */
export interface LogEnd {
  /** After the last batch that counts. */
  readonly position: LogPosition;
  /** Checksum of that batch; 0 in an empty log. */
  readonly crc: number;
  /**
   * Everything below was certainly synced. What lies between this and `position` was read, perhaps
   * only from the page cache: it must be made durable before anything is promised on it.
   */
  readonly synced: LogPosition;
  /**
   * Segments to go on with, ascending, without gaps. The one that holds `position` is among them.
   */
  readonly segments: readonly SegmentHeader[];
  /** Files of no use any more, or created and never used: to be removed before the first append. */
  readonly stale: readonly string[];
}

/** What the scan found, or why it may not be believed. */
export type LogRecovery =
  | {
      readonly kind: "ok";
      /** From `from` on, in the order written. */
      readonly records: readonly RecoveredRecord[];
      readonly end: LogEnd;
      /** Bytes of batches that were cut because they were not yet synced (STO3). 0: a clean end. */
      readonly tornBytes: number;
    }
  /**
   * Synced bytes are gone or changed. Nothing was cut: the replica is refilled from peers (STO4).
   */
  | { readonly kind: "corrupt"; readonly position: LogPosition; readonly reason: string };

/**
 * Reads the log from `from`, the position of the last checkpoint (0 if there is none), to its end.
 *
 * By STO3 a damaged batch is a torn tail, and cut, only if no valid batch found anywhere in the log
 * says that it was synced; otherwise, and where a segment is missing below such a mark, the log is
 * corrupt and stays as it is. Reads only; `LogWriter` carries out what `end` asks for. Throws
 * `DiskError` when the directory cannot be read.
 *
 * What cannot be told apart from a torn tail: damage to batches that were synced, when no later
 * batch was written that says so. The writer's idle mark keeps that window short.
 */
export function recoverLog(
  disk: Disk,
  checksum: Checksum,
  from: LogPosition,
  mutant: MutantId | null = null,
): LogRecovery {
  const scan = new Scan(disk, checksum, from, mutant);
  return scan.run();
}

interface SegmentFile {
  readonly name: string;
  readonly first: LogPosition;
  /** As the header says; null if it is damaged. */
  readonly header: SegmentHeader | null;
  /** Bytes of the file. */
  readonly bytes: number;
}

/** Thrown and caught within the scan: the log is not what was synced. */
class Corruption extends Error {
  readonly position: LogPosition;

  constructor(position: LogPosition, reason: string) {
    super(reason);
    this.position = position;
  }
}

class Scan {
  readonly #disk: Disk;
  readonly #checksum: Checksum;
  readonly #from: LogPosition;
  readonly #mutant: MutantId | null;
  #segments: readonly SegmentFile[] = [];
  readonly #stale: string[] = [];
  readonly #records: RecoveredRecord[] = [];
  /** Records of a turn whose last batch has not been seen, and where that turn begins. */
  #open: RecoveredRecord[] = [];
  #openFrom: { readonly position: LogPosition; readonly crc: number } | null = null;
  /** End of the last batch accepted. */
  #position: LogPosition;
  /** Its checksum; null before the first, when any predecessor is accepted. */
  #crc: number | null;
  /** Highest position that something says was synced. A checkpoint never covers more (STO5). */
  #synced: LogPosition;
  /** Why the log does not go on at `#position`. */
  #reason = "";
  #loaded: { readonly name: string; readonly bytes: Uint8Array } | null = null;

  constructor(disk: Disk, checksum: Checksum, from: LogPosition, mutant: MutantId | null) {
    this.#mutant = mutant;
    this.#disk = disk;
    this.#checksum = checksum;
    this.#from = from;
    this.#position = from;
    this.#synced = from;
    this.#crc = from === 0 ? 0 : null;
  }

  run(): LogRecovery {
    try {
      this.#segments = this.#findSegments();
      while (this.#takeNext()) {
        // One batch each; the first place that holds no successor ends the log.
      }
      const tornBytes = this.#searchTail();
      const end = this.#openFrom ?? { position: this.#position, crc: this.#crc ?? 0 };
      const isCut = this.#synced > end.position && this.#mutant !== "L49";
      if (isCut) throw new Corruption(this.#position, this.#reason);
      return this.#cutAt(end, tornBytes);
    } catch (error) {
      if (!(error instanceof Corruption)) throw error;
      return { kind: "corrupt", position: error.position, reason: error.message };
    }
  }

  /** The segments from the one that holds `from` on, ascending. */
  #findSegments(): SegmentFile[] {
    const segments: SegmentFile[] = [];
    for (const name of this.#disk.list()) {
      const first = parseSegmentName(name);
      if (first === null) {
        if (isSegmentCopy(name)) this.#stale.push(name);
        continue;
      }
      const head = this.#disk.read(name, 0, SEGMENT_HEADER_BYTES);
      const header = decodeSegmentHeader(head, this.#checksum);
      const segment = { name, first, header, bytes: this.#disk.size(name) };
      checkHeader(segment);
      if (first + segment.bytes < this.#from) this.#stale.push(name);
      else segments.push(segment);
    }
    segments.sort((a, b) => a.first - b.first);
    const isHolderMissing =
      segments[0] === undefined ? this.#from > 0 : segments[0].first > this.#from;
    if (isHolderMissing) {
      throw new Corruption(this.#from, "the segment that holds this position is missing");
    }
    return segments;
  }

  /**
   * Takes the successor of the last batch: right behind it, or at the start of the next segment.
   */
  #takeNext(): boolean {
    this.#reason = "";
    const here = this.#segments.findLast((segment) => segment.first < this.#position);
    if (here !== undefined && this.#position < here.first + here.bytes) {
      if (this.#takeAt(here, this.#position)) return true;
    }
    const next = this.#segments.find((segment) => segment.first >= this.#position);
    return next !== undefined && this.#takeAt(next, next.first + SEGMENT_HEADER_BYTES);
  }

  #takeAt(segment: SegmentFile, position: LogPosition): boolean {
    const refusal = this.#tryTake(segment, position);
    if (refusal !== null && this.#reason === "") this.#reason = refusal;
    return refusal === null;
  }

  #tryTake(segment: SegmentFile, position: LogPosition): string | null {
    if (segment.header === null) return `the header of ${segment.name} is damaged`;
    const bytes = this.#load(segment);
    const offset = position - segment.first;
    const batch = readBatch(bytes, offset, position, this.#checksum, this.#mutant);
    if (typeof batch === "string") return batch;
    const isPlaced = this.#mutant !== "S4";
    if (isPlaced && position - batch.skipped !== this.#position)
      return "a batch before this one is missing";
    if (isPlaced && this.#crc !== null && batch.previousCrc !== this.#crc) {
      return "the batch here is the successor of another one";
    }
    const records = readRecords(bytes, offset, batch);
    if (records === null) return "the batch's records do not fill it";
    this.#accept(batch, records);
    return null;
  }

  #accept(batch: BatchView, records: readonly RecoveredRecord[]): void {
    assert(batch.end > this.#position, "the scan does not advance");
    if (batch.continues && this.#openFrom === null) {
      this.#openFrom = { position: this.#position, crc: this.#crc ?? 0 };
    }
    this.#synced = Math.max(this.#synced, batch.synced);
    this.#position = batch.end;
    this.#crc = batch.crc;
    for (const record of records) this.#open.push(record);
    if (batch.continues) return;
    for (const record of this.#open) this.#records.push(record);
    this.#open = [];
    this.#openFrom = null;
  }

  /**
   * Looks through all that lies behind the last batch for valid batches: what they know of syncs
   * tells a torn tail from corruption. Returns how many bytes are there that are not zero padding.
   */
  #searchTail(): number {
    let tornBytes = 0;
    for (const segment of this.#segments) {
      const isBehind = segment.first >= this.#position;
      if (!isBehind && this.#position > segment.first + segment.bytes) continue;
      if (!isBehind && segment.header === null) {
        throw new Corruption(segment.first, `the header of ${segment.name} is damaged`);
      }
      const from = isBehind ? SEGMENT_HEADER_BYTES : this.#position - segment.first;
      const bytes = this.#load(segment);
      this.#searchSegment(segment, bytes, from);
      tornBytes += usedBytes(bytes, from);
    }
    return tornBytes;
  }

  #searchSegment(segment: SegmentFile, bytes: Uint8Array, from: number): void {
    let at = findBatch(bytes, from, segment.first);
    while (at !== -1) {
      const batch = readBatch(bytes, at, segment.first + at, this.#checksum);
      if (typeof batch === "string") {
        at = findBatch(bytes, at + 1, segment.first);
        continue;
      }
      // The header is synced before a batch is written behind it, so no crash explains this.
      if (segment.header === null) {
        throw new Corruption(segment.first, `the header of ${segment.name} is damaged`);
      }
      this.#synced = Math.max(this.#synced, batch.synced);
      at = findBatch(bytes, batch.end - segment.first, segment.first);
    }
  }

  #cutAt(
    end: { readonly position: LogPosition; readonly crc: number },
    tornBytes: number,
  ): LogRecovery {
    const kept: SegmentHeader[] = [];
    for (const segment of this.#segments) {
      const { header, first } = segment;
      if (first < end.position && header !== null) {
        kept.push(header);
        continue;
      }
      const last = kept.at(-1);
      const isNext = first === (last === undefined ? end.position : last.first + last.bytes);
      const isEmpty = usedBytes(this.#load(segment), SEGMENT_HEADER_BYTES) === 0;
      if (header !== null && isNext && isEmpty) kept.push(header);
      else this.#stale.push(segment.name);
    }
    return {
      kind: "ok",
      records: this.#records,
      // Batches of a turn that was cut because its last one is missing count as torn too.
      tornBytes: tornBytes + (this.#position - end.position),
      end: { ...end, synced: this.#synced, segments: kept, stale: this.#stale },
    };
  }

  #load(segment: SegmentFile): Uint8Array {
    if (this.#loaded?.name !== segment.name) {
      const bytes = this.#disk.read(segment.name, 0, segment.bytes);
      this.#loaded = { name: segment.name, bytes };
    }
    return this.#loaded.bytes;
  }
}

/** A copy that did not come to replace its segment. */
function isSegmentCopy(name: string): boolean {
  if (!name.endsWith(SEGMENT_COPY_SUFFIX)) return false;
  return parseSegmentName(name.slice(0, -SEGMENT_COPY_SUFFIX.length)) !== null;
}

/** The header is written last of all: what it says is true of the file, whenever the crash was. */
function checkHeader({ header, first, bytes, name }: SegmentFile): void {
  if (header === null) return;
  if (header.first !== first) {
    throw new Corruption(first, `${name} is the segment of position ${header.first}`);
  }
  if (header.bytes !== bytes) {
    throw new Corruption(first, `${name} has ${bytes} bytes instead of ${header.bytes}`);
  }
}

/** Bytes from `from` up to the last that is not zero. */
function usedBytes(bytes: Uint8Array, from: number): number {
  let end = bytes.length;
  while (end > from && bytes[end - 1] === 0) end -= 1;
  return end - from;
}
