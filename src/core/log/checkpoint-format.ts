import { assert } from "../base/assert.ts";
import {
  type ByteReader,
  type ByteString,
  type ByteWriter,
  getU32,
  getU48,
  putU16,
  putU32,
  putU48,
} from "../base/bytes.ts";
import type { Checksum } from "../base/hash.ts";
import type { LogPosition } from "../contract/ids.ts";
import type { Row } from "../contract/state-store.ts";

/**
 * The bytes of a checkpoint file: a header, chunks of rows in ascending order, a footer. All
 * integers are little-endian.
 *
 *     header = magic u32 | crc u32 | version u16 | position u48 | sequence u48
 *     chunk  = body bytes u32 | crc u32 | rows…
 *     row    = key bytes u32 | key | value bytes u32 | value
 *     footer = body bytes, all ones, u32 | crc u32 | rows u48 | bytes before the footer u48
 *
 * Every CRC is seeded with the one before it, from the header to the footer, so that a chunk counts
 * only in its place in its own file, and the footer proves that the file is whole.
 */
export const HEADER_BYTES = 22;
/** Bytes of a chunk before its rows. */
export const CHUNK_HEADER_BYTES = 8;
/** Bytes at the end that make the file whole. */
export const FOOTER_BYTES = 20;

/** Chunks are closed at this size; a larger row makes a larger chunk. */
export const CHUNK_BYTES = 256 * 1024;

const MAGIC = 0x4346_5254;
const VERSION = 1;
const FOOTER_MARK = 0xffff_ffff;

/** Which checkpoint a file is; its name says it and its header repeats it. */
export interface CheckpointName {
  readonly position: LogPosition;
  /** Tells apart two checkpoints of the same position; the later has the higher. */
  readonly sequence: number;
}

/** The file's name; names sort as checkpoints follow one another. */
export function checkpointName({ position, sequence }: CheckpointName): string {
  const digits = (value: number) => String(value).padStart(15, "0");
  return `checkpoint-${digits(position)}-${digits(sequence)}`;
}

/** What a file name says; null for any other name. */
export function parseCheckpointName(name: string): CheckpointName | null {
  const match = /^checkpoint-(\d{15})-(\d{15})$/.exec(name);
  if (match === null) return null;
  return { position: Number(match[1]), sequence: Number(match[2]) };
}

/** The bytes of a file's header. */
export function encodeHeader(name: CheckpointName, checksum: Checksum): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  putU32(bytes, 0, MAGIC);
  putU16(bytes, 8, VERSION);
  putU48(bytes, 10, name.position);
  putU48(bytes, 16, name.sequence);
  putU32(bytes, 4, checksum(bytes.subarray(8)));
  return bytes;
}

/** The header's checksum, which seeds the first chunk's; null if the header is not of this file. */
export function checkHeader(
  bytes: Uint8Array,
  name: CheckpointName,
  checksum: Checksum,
): number | null {
  if (bytes.length < HEADER_BYTES || getU32(bytes, 0) !== MAGIC) return null;
  const crc = getU32(bytes, 4);
  if (checksum(bytes.subarray(8, HEADER_BYTES)) !== crc) return null;
  if ((bytes[8]! | (bytes[9]! << 8)) !== VERSION) return null;
  const isOfName = getU48(bytes, 10) === name.position && getU48(bytes, 16) === name.sequence;
  return isOfName ? crc : null;
}

/** What precedes a chunk's rows; `crc` is theirs, seeded with the checksum before. */
export function encodeChunkHeader(body: Uint8Array, crc: number): Uint8Array {
  assert(body.length < FOOTER_MARK, "a chunk too large for its length");
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES);
  putU32(bytes, 0, body.length);
  putU32(bytes, 4, crc);
  return bytes;
}

/** What ends a file whose chunks end at `before`; `seed` is the last chunk's checksum. */
export function encodeFooter(
  rows: number,
  before: number,
  seed: number,
  checksum: Checksum,
): Uint8Array {
  const bytes = new Uint8Array(FOOTER_BYTES);
  putU32(bytes, 0, FOOTER_MARK);
  putU48(bytes, 8, rows);
  putU48(bytes, 14, before);
  putU32(bytes, 4, checksum(bytes.subarray(8), seed));
  return bytes;
}

/** Whether these are the last bytes of a file whose chunks end at `before` and hold `rows` rows. */
export function isFooter(
  bytes: Uint8Array,
  rows: number,
  before: number,
  seed: number,
  checksum: Checksum,
): boolean {
  if (bytes.length !== FOOTER_BYTES || getU32(bytes, 0) !== FOOTER_MARK) return false;
  if (getU32(bytes, 4) !== checksum(bytes.subarray(8), seed)) return false;
  return getU48(bytes, 8) === rows && getU48(bytes, 14) === before;
}

/** Body bytes and checksum of the chunk that begins with these bytes; null at the footer. */
export function readChunkHeader(
  bytes: Uint8Array,
): { readonly body: number; readonly crc: number } | null {
  if (bytes.length < CHUNK_HEADER_BYTES) return null;
  const body = getU32(bytes, 0);
  return body === FOOTER_MARK ? null : { body, crc: getU32(bytes, 4) };
}

/** Appends a row as chunks and snapshots carry it. */
export function writeRow(writer: ByteWriter, key: ByteString, value: Uint8Array): void {
  writer.byteString(key);
  writer.bytes(value);
}

/** The next row; its value is a view. Throws `FormatError`. */
export function readRow(reader: ByteReader): Row {
  const key = reader.byteString();
  return [key, reader.bytes()];
}
