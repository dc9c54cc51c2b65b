import { assert } from "../base/assert.ts";
import { getU32, getU48, putU16, putU32, putU48 } from "../base/bytes.ts";
import type { Checksum } from "../base/hash.ts";
import type { MutantId } from "../base/mutants.ts";
import type { LogPosition } from "../contract/ids.ts";
import type { LogRecord, RecoveredRecord } from "../contract/record.ts";

/**
 * The bytes of the node's log (STO2, STO3).
 *
 * The log is a row of files of fixed size, the segments; a `LogPosition` counts bytes over all of
 * them, headers included, so that the segment `log-<first>` holds the positions from `first` on.
 * All integers are little-endian.
 *
 *     segment  = magic u32 | crc u32 | version u16 | first u48 | bytes u48 | 10 zeros
 *              | batches | zeros
 *     batch    = magic u32 | crc u32 | body bytes u32 | records u32 | position u48 | synced u48
 *              | skipped u32 | previous crc u32 | flags u32 | records
 *     record   = body bytes u32 | type u8 | group u48 | body
 *
 * Each CRC is over everything of its header (or batch) that follows it. A batch lies within one
 * segment. It says where it belongs (a misdirected write is not taken for it), which position was
 * known to be synced when it was written, and how the batch before it ends: the CRC makes stale
 * bytes of an earlier life no successor, and `skipped` (bytes left unused before it, the header of
 * its segment included) proves that nothing is missing where the log went on in a new segment.
 */
export const SEGMENT_HEADER_BYTES = 32;
/** Bytes of a batch without its records. */
export const BATCH_HEADER_BYTES = 40;
/** Bytes of a record without its body. */
export const RECORD_HEADER_BYTES = 11;

/** Bytes of a segment unless told otherwise. */
export const SEGMENT_BYTES_DEFAULT = 16 * 1024 * 1024;
/** Below this a segment would be mostly headers. */
export const SEGMENT_BYTES_MIN = 512;
/** A scan reads a segment whole, and offsets within it fit 32 bits. */
export const SEGMENT_BYTES_MAX = 1024 * 1024 * 1024;

/** What the name of a copy ends with until it replaces its segment. */
export const SEGMENT_COPY_SUFFIX = ".tmp";

const SEGMENT_MAGIC = 0x5346_5254;
const BATCH_MAGIC = 0x4246_5254;
const FORMAT_VERSION = 1;
const FLAG_CONTINUES = 1;

/** Parts up to this size are copied into the batch's buffer: dearer to pass on than to copy. */
const COPY_BYTES_MAX = 4096;

/** Which segment a file is. */
export interface SegmentHeader {
  /** Position of the segment's first byte. */
  readonly first: LogPosition;
  /** Bytes of the whole file. */
  readonly bytes: number;
}

/** Where a batch stands in the log, and what it says about its surroundings. */
export interface BatchPlace {
  readonly position: LogPosition;
  /** End of the part of the log known to be durable when the batch was written. */
  readonly synced: LogPosition;
  /** Bytes between the end of the batch before and this one. */
  readonly skipped: number;
  /** Checksum of the batch before; 0 for the log's first. */
  readonly previousCrc: number;
  /** The turn's records go on in the next batch; neither counts without the last. */
  readonly continues: boolean;
}

/** A valid batch as found in the log. */
export interface BatchView extends BatchPlace {
  readonly crc: number;
  readonly records: number;
  /** Position after its last byte. */
  readonly end: LogPosition;
}

/** The largest body a record may have in segments of this size. Callers limit far below it. */
export function recordBytesMax(segmentBytes: number): number {
  return segmentBytes - SEGMENT_HEADER_BYTES - BATCH_HEADER_BYTES - RECORD_HEADER_BYTES;
}

/** File name of the segment; names sort as positions do. */
export function segmentName(first: LogPosition): string {
  assert(Number.isSafeInteger(first) && first >= 0, "not a position", first);
  return `log-${String(first).padStart(15, "0")}`;
}

/** The position in a segment's file name; null for any other name. */
export function parseSegmentName(name: string): LogPosition | null {
  return /^log-\d{15}$/.test(name) ? Number(name.slice(4)) : null;
}

/** The bytes of a segment's header. */
export function encodeSegmentHeader(header: SegmentHeader, checksum: Checksum): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  putU32(bytes, 0, SEGMENT_MAGIC);
  putU16(bytes, 8, FORMAT_VERSION);
  putU48(bytes, 10, header.first);
  putU48(bytes, 16, header.bytes);
  putU32(bytes, 4, checksum(bytes.subarray(8)));
  return bytes;
}

/** The header at the start of the bytes; null if there is no valid one. */
export function decodeSegmentHeader(bytes: Uint8Array, checksum: Checksum): SegmentHeader | null {
  if (bytes.length < SEGMENT_HEADER_BYTES || getU32(bytes, 0) !== SEGMENT_MAGIC) return null;
  if (getU32(bytes, 4) !== checksum(bytes.subarray(8, SEGMENT_HEADER_BYTES))) return null;
  if ((bytes[8]! | (bytes[9]! << 8)) !== FORMAT_VERSION) return null;
  return { first: getU48(bytes, 10), bytes: getU48(bytes, 16) };
}

/** Bytes that one record takes in a batch. */
export function recordBytes(record: LogRecord): number {
  let bytes = RECORD_HEADER_BYTES;
  for (const part of record.parts) bytes += part.length;
  return bytes;
}

/**
 * The batch, as parts to be written one after the other, and its checksum. Headers and small parts
 * share one buffer; large parts are passed through as they are.
 */
export function encodeBatch(
  place: BatchPlace,
  records: readonly LogRecord[],
  checksum: Checksum,
): { readonly parts: readonly Uint8Array[]; readonly crc: number } {
  assert(place.synced <= place.position, "a batch cannot know of syncs beyond itself");
  let copied = BATCH_HEADER_BYTES;
  let body = 0;
  for (const record of records) {
    copied += RECORD_HEADER_BYTES;
    body += RECORD_HEADER_BYTES;
    for (const part of record.parts) {
      body += part.length;
      if (part.length <= COPY_BYTES_MAX) copied += part.length;
    }
  }
  const buffer = new Uint8Array(copied);
  writeBatchHeader(buffer, place, records.length, body);
  const parts = layOutRecords(buffer, records);
  let crc = 0;
  let first = true;
  for (const part of parts) {
    crc = checksum(first ? part.subarray(8) : part, crc);
    first = false;
  }
  putU32(buffer, 4, crc);
  return { parts, crc };
}

function writeBatchHeader(
  buffer: Uint8Array,
  place: BatchPlace,
  records: number,
  body: number,
): void {
  putU32(buffer, 0, BATCH_MAGIC);
  putU32(buffer, 8, body);
  putU32(buffer, 12, records);
  putU48(buffer, 16, place.position);
  putU48(buffer, 22, place.synced);
  putU32(buffer, 28, place.skipped);
  putU32(buffer, 32, place.previousCrc);
  putU32(buffer, 36, place.continues ? FLAG_CONTINUES : 0);
}

/** Fills the buffer behind the batch header; large parts split it into several parts. */
function layOutRecords(buffer: Uint8Array, records: readonly LogRecord[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  let at = BATCH_HEADER_BYTES;
  for (const record of records) {
    assert(record.type > 0 && record.type <= 255, "not a record type", record.type);
    putU32(buffer, at, recordBytes(record) - RECORD_HEADER_BYTES);
    buffer[at + 4] = record.type;
    putU48(buffer, at + 5, record.group);
    at += RECORD_HEADER_BYTES;
    for (const part of record.parts) {
      if (part.length <= COPY_BYTES_MAX) {
        buffer.set(part, at);
        at += part.length;
        continue;
      }
      parts.push(buffer.subarray(from, at), part);
      from = at;
    }
  }
  assert(at === buffer.length, "the batch's buffer was measured wrongly");
  if (from < at) parts.push(buffer.subarray(from, at));
  return parts;
}

/**
 * The batch at `offset` of a segment's bytes if a valid one is there that belongs to `position`;
 * else the reason why not.
 */
export function readBatch(
  bytes: Uint8Array,
  offset: number,
  position: LogPosition,
  checksum: Checksum,
  mutant: MutantId | null = null,
): BatchView | string {
  if (offset + BATCH_HEADER_BYTES > bytes.length) return "the segment ends here";
  if (getU32(bytes, offset) !== BATCH_MAGIC) return "no batch begins here";
  const body = getU32(bytes, offset + 8);
  const end = offset + BATCH_HEADER_BYTES + body;
  if (end > bytes.length) return "the batch would reach beyond its segment";
  const crc = getU32(bytes, offset + 4);
  if (checksum(bytes.subarray(offset + 8, end)) !== crc) return "the batch's checksum is wrong";
  const view: BatchView = {
    crc,
    records: getU32(bytes, offset + 12),
    position: getU48(bytes, offset + 16),
    synced: getU48(bytes, offset + 22),
    skipped: getU32(bytes, offset + 28),
    previousCrc: getU32(bytes, offset + 32),
    continues: getU32(bytes, offset + 36) === FLAG_CONTINUES,
    end: position + BATCH_HEADER_BYTES + body,
  };
  if (view.position !== position && mutant !== "S4")
    return `the batch here belongs to position ${view.position}`;
  if (view.synced > position) return "the batch claims to know of syncs beyond itself";
  return view;
}

/** The records of a batch that `readBatch` found; null if its body is not made of them. */
export function readRecords(
  bytes: Uint8Array,
  offset: number,
  batch: BatchView,
): RecoveredRecord[] | null {
  const end = offset + (batch.end - batch.position);
  const records: RecoveredRecord[] = [];
  let at = offset + BATCH_HEADER_BYTES;
  while (at + RECORD_HEADER_BYTES <= end) {
    const length = getU32(bytes, at);
    const type = bytes[at + 4]!;
    const group = getU48(bytes, at + 5);
    at += RECORD_HEADER_BYTES;
    if (length > end - at || type === 0) return null;
    records.push({ group, type, body: bytes.slice(at, at + length) });
    at += length;
  }
  return at === end && records.length === batch.records ? records : null;
}

/**
 * Offset of the next place from `from` on where a batch may begin that says it belongs there; -1 if
 * there is none. Both are asked before any checksum, so that values which imitate batches cannot
 * make a search slow.
 */
export function findBatch(bytes: Uint8Array, from: number, first: LogPosition): number {
  const last = bytes.length - BATCH_HEADER_BYTES;
  const low = BATCH_MAGIC & 0xff;
  let at = bytes.indexOf(low, from);
  while (at !== -1 && at <= last) {
    if (getU32(bytes, at) === BATCH_MAGIC && getU48(bytes, at + 16) === first + at) return at;
    at = bytes.indexOf(low, at + 1);
  }
  return -1;
}
