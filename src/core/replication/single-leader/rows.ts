import { assert } from "../../base/assert.ts";
import {
  ByteReader,
  type ByteString,
  ByteWriter,
  getU48,
  putU48,
  toByteString,
} from "../../base/bytes.ts";
import {
  decodeRowHash,
  encodeRowHash,
  ROW_HASH_BYTES,
  type RowHashText,
} from "../../base/row-hash.ts";
import type { GroupId, LogIndex, NodeId, Term, WallClock } from "../../contract/ids.ts";
import type { TermStart } from "./raft-log.ts";

/**
 * A group's rows in the node's store: 6 bytes of group id, a letter for the table, then the table's
 * own key. Group ids are big-endian, so that a group's rows lie together.
 *
 * - `m`: one row, what the applied state amounts to (`GroupMeta`);
 * - `s` + session id: the exactly-once table;
 * - `e` + index: entries that were not applied when the checkpoint was taken (STO5);
 * - `d` + generation + table + key: the keyspace's values. A snapshot is filled into another
 *   generation, and one write of the `m` row switches (STO9). `keyspace-state.ts` and `sweeper.ts`
 *   have its tables;
 * - `i`: one row while a snapshot is being filled in: which one, and how far it has come.
 */
export const META = "m";

/** Names the table of sessions. */
export const SESSIONS = "s";

/** Names the table of entries not applied when the checkpoint was taken. */
export const ENTRIES = "e";

/** Names the table of the keyspace's values. */
export const DATA = "d";

/** Within a generation: the keyspace's keys. */
export const KEYS = "k";

/** Within a generation: the fields of collections, by collection. */
export const FIELDS = "f";

/** Names the row of the snapshot that is being filled into the other generation. */
export const INCOMING = "i";

/** Bytes of a key of `DATA` in front of what the keyspace put there: group, table, generation. */
export const DATA_PREFIX_BYTES = 8;

/** The first bytes of all keys of the group. */
export function groupPrefix(group: GroupId): ByteString {
  return bigEndian(group);
}

/** The name behind a table's: where its rows end. */
export function afterTable(table: string): string {
  return String.fromCharCode(table.charCodeAt(0) + 1);
}

/** The first key after all of the group's rows. */
export function groupEnd(group: GroupId): ByteString {
  return bigEndian(group + 1);
}

/** Six bytes, the highest first, so that the order of the bytes is the order of the numbers. */
export function bigEndian(value: number): ByteString {
  const bytes = new Uint8Array(6);
  putU48(bytes, 0, value);
  return toByteString(bytes.reverse());
}

/** The inverse of `bigEndian`. */
export function fromBigEndian(text: ByteString): number {
  assert(text.length === 6, "six bytes make a number here");
  const bytes = new Uint8Array(6);
  for (let i = 0; i < 6; i += 1) bytes[5 - i] = text.charCodeAt(i);
  return getU48(bytes, 0);
}

/** What is counted of a keyspace's keys. */
export interface KeyCounts {
  readonly keys: number;
  /** Keys that have a deadline. */
  readonly expiring: number;
  readonly collections: number;
}

/** The counts of an empty keyspace. */
export const NO_KEYS: KeyCounts = { keys: 0, expiring: 0, collections: 0 };

/** The `m` row. */
export interface GroupMeta {
  readonly term: Term;
  readonly vote: NodeId | null;
  readonly appliedIndex: LogIndex;
  readonly appliedTerm: Term;
  /** Log time: the highest time of an applied entry. */
  readonly logTime: WallClock;
  /** 0 or 1: where the values lie. */
  readonly generation: number;
  readonly counts: KeyCounts;
  /** Over all rows of that generation (STO7). */
  readonly hash: RowHashText;
  /** This replica knows its state to be wrong, and waits for another's (STO7). */
  readonly isDamaged: boolean;
  readonly voters: readonly NodeId[];
  readonly termStarts: readonly TermStart[];
}

const META_VERSION = 2;

/** The group's row about itself, as stored. */
export function encodeMeta(meta: GroupMeta): Uint8Array {
  const writer = new ByteWriter(128);
  writer.u8(META_VERSION);
  writer.u48(meta.term);
  writer.u8(meta.vote === null ? 0 : 1);
  writer.text(meta.vote ?? "");
  writer.u48(meta.appliedIndex);
  writer.u48(meta.appliedTerm);
  writer.u48(meta.logTime);
  writer.u8(meta.generation);
  writer.u48(meta.counts.keys);
  writer.u48(meta.counts.expiring);
  writer.u48(meta.counts.collections);
  writer.raw(encodeRowHash(meta.hash));
  writer.u8(meta.isDamaged ? 1 : 0);
  writer.u16(meta.voters.length);
  for (const voter of meta.voters) writer.text(voter);
  writer.u32(meta.termStarts.length);
  for (const start of meta.termStarts) {
    writer.u48(start.term);
    writer.u48(start.first);
  }
  return writer.take();
}

/** The inverse of `encodeMeta`. Throws `FormatError`. */
export function decodeMeta(bytes: Uint8Array): GroupMeta {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  assert(version === META_VERSION, "a group's meta row of another version", version);
  const term = reader.u48();
  const voted = reader.u8() === 1;
  const vote = reader.text();
  const appliedIndex = reader.u48();
  const appliedTerm = reader.u48();
  const logTime = reader.u48();
  const generation = reader.u8();
  const counts = { keys: reader.u48(), expiring: reader.u48(), collections: reader.u48() };
  const hash = decodeRowHash(reader.raw(ROW_HASH_BYTES));
  const isDamaged = reader.u8() === 1;
  const voters: NodeId[] = [];
  for (let left = reader.u16(); left > 0; left -= 1) voters.push(reader.text());
  const termStarts: TermStart[] = [];
  for (let left = reader.u32(); left > 0; left -= 1) {
    termStarts.push({ term: reader.u48(), first: reader.u48() });
  }
  return {
    term,
    vote: voted ? vote : null,
    appliedIndex,
    appliedTerm,
    logTime,
    generation,
    counts,
    hash,
    isDamaged,
    voters,
    termStarts,
  };
}

/** Which state a snapshot is: its last entry, and the hash of its rows (STO9). */
export interface SnapshotId {
  readonly index: LogIndex;
  readonly term: Term;
  readonly hash: RowHashText;
}

/** Whether both name the same state, whoever made the snapshot. */
export function isSameSnapshot(a: SnapshotId, b: SnapshotId): boolean {
  return a.index === b.index && a.term === b.term && a.hash === b.hash;
}

/** The `i` row: what a checkpoint holds of a snapshot that is not complete. */
export interface IncomingRow {
  readonly id: SnapshotId;
  readonly generation: number;
  /** Where the chunk begins that comes next, and the checksum of all before it. */
  readonly offset: number;
  readonly crc: number;
  /** Of the rows filled in so far. */
  readonly filled: RowHashText;
}

/** The row, as stored. */
export function encodeIncoming(row: IncomingRow): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u48(row.id.index);
  writer.u48(row.id.term);
  writer.raw(encodeRowHash(row.id.hash));
  writer.u8(row.generation);
  writer.u48(row.offset);
  writer.u32(row.crc);
  writer.raw(encodeRowHash(row.filled));
  return writer.take();
}

/** The inverse of `encodeIncoming`. Throws `FormatError`. */
export function decodeIncoming(bytes: Uint8Array): IncomingRow {
  const reader = new ByteReader(bytes);
  const index = reader.u48();
  const term = reader.u48();
  const hash = decodeRowHash(reader.raw(ROW_HASH_BYTES));
  return {
    id: { index, term, hash },
    generation: reader.u8(),
    offset: reader.u48(),
    crc: reader.u32(),
    filled: decodeRowHash(reader.raw(ROW_HASH_BYTES)),
  };
}
