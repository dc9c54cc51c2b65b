import { assert } from "../../base/assert.ts";
import { FormatError, getU16, getU32, getU48, putU16, putU32, putU48 } from "../../base/bytes.ts";
import type { Slab } from "../../base/slab.ts";
import type { LogIndex, Term, WallClock } from "../../contract/ids.ts";
import type { EntryBytes } from "./messages.ts";

/**
 * A log entry's bytes, the same in memory, in AppendEntries and on disk (STO2):
 *
 *     0  u32  length of the whole entry       20  u48  log time, wall-clock ms (GEN7)
 *     4  u8   kind                            26  u48  session, 0 for none (LEAD8)
 *     5  u8   semantics version (GEN5)        32  u48  sequence within the session
 *     6  u16  zero                            38  u48  floor: answers below it are done with
 *     8  u48  index                           44  …    payload
 *    14  u48  term
 *
 * The accepting node makes the array and fills in kind and payload; the leader stamps the rest.
 * From then on nobody changes it: the log, the disk's queue and the peers' frames share it.
 */
export const ENTRY_HEADER_BYTES = 44;

/** The semantics that this version proposes and understands. */
export const SEMANTICS_VERSION = 1;

const KINDS = ["noop", "command", "register", "time"] as const;

/**
 * - `noop`: a new leader's first entry, or a sequence whose caller gave up before it was proposed;
 * - `command`: for the state machine;
 * - `register`: opens a session for one node's boot; the payload is `node NUL boot` in bytes;
 * - `time`: moves log time on, so that keys die, and removes dead ones (GEN7).
 */
export type EntryKind = (typeof KINDS)[number];

/** What the leader stamps. */
export interface EntryStamp {
  readonly index: LogIndex;
  readonly term: Term;
  readonly time: WallClock;
  readonly session: number;
  readonly sequence: number;
  readonly floor: number;
}

const NO_PAYLOAD = new Uint8Array(0);

/** An entry without its stamp: the leader adds it. */
export function makeEntry(
  kind: EntryKind,
  payload: Uint8Array = NO_PAYLOAD,
  slab: Slab | null = null,
): EntryBytes {
  const length = ENTRY_HEADER_BYTES + payload.length;
  const bytes = slab === null ? new Uint8Array(length) : slab.take(length);
  putU32(bytes, 0, bytes.length);
  bytes[4] = KINDS.indexOf(kind);
  bytes[5] = SEMANTICS_VERSION;
  putU16(bytes, 6, 0);
  bytes.set(payload, ENTRY_HEADER_BYTES);
  return bytes;
}

/** Gives an entry its place in the log, once. */
export function stampEntry(entry: EntryBytes, stamp: EntryStamp): void {
  assert(stamp.index > 0 && stamp.term > 0, "an entry needs an index and a term");
  putU48(entry, 8, stamp.index);
  putU48(entry, 14, stamp.term);
  putU48(entry, 20, stamp.time);
  putU48(entry, 26, stamp.session);
  putU48(entry, 32, stamp.sequence);
  putU48(entry, 38, stamp.floor);
}

/** The entry's position in the log. */
export function entryIndex(entry: EntryBytes): LogIndex {
  return getU48(entry, 8);
}

/** The term in which a leader took the entry in. */
export function entryTerm(entry: EntryBytes): Term {
  return getU48(entry, 14);
}

/** Log time, wall-clock milliseconds (GEN7). */
export function entryTime(entry: EntryBytes): WallClock {
  return getU48(entry, 20);
}

/** The session whose command it is; 0 for none (LEAD8). */
export function entrySession(entry: EntryBytes): number {
  return getU48(entry, 26);
}

/** The command's number within its session. */
export function entrySequence(entry: EntryBytes): number {
  return getU48(entry, 32);
}

/** Answers of the session below this number are not asked for again. */
export function entryFloor(entry: EntryBytes): number {
  return getU48(entry, 38);
}

/** The version of the entry's meaning (GEN5). */
export function entryVersion(entry: EntryBytes): number {
  return entry[5]!;
}

/** What the entry is for. */
export function entryKind(entry: EntryBytes): EntryKind {
  const kind = KINDS[entry[4]!];
  assert(kind !== undefined, "an entry of unknown kind passed the codec");
  return kind;
}

/** A view of what the entry carries, not a copy. */
export function entryPayload(entry: EntryBytes): Uint8Array {
  return entry.subarray(ENTRY_HEADER_BYTES);
}

/**
 * The entry that begins at `at`, as a view. Throws `FormatError` where the bytes are none: length,
 * kind and reserved bytes are checked here, once, for everything that comes from a peer or a disk.
 */
export function entryAt(bytes: Uint8Array, at: number, end: number): EntryBytes {
  if (end - at < ENTRY_HEADER_BYTES) throw new FormatError("entry shorter than its header");
  const length = getU32(bytes, at);
  if (length < ENTRY_HEADER_BYTES || length > end - at) throw new FormatError("bad entry length");
  if (bytes[at + 4]! >= KINDS.length || getU16(bytes, at + 6) !== 0) {
    throw new FormatError("bad entry header");
  }
  return bytes.subarray(at, at + length);
}

/**
 * Splits a run of entries that lie one after the other; views, not copies. Throws `FormatError`.
 */
export function splitEntries(bytes: Uint8Array, from = 0, to: number = bytes.length): EntryBytes[] {
  const entries: EntryBytes[] = [];
  for (let at = from; at < to; ) {
    const entry = entryAt(bytes, at, to);
    entries.push(entry);
    at += entry.length;
  }
  return entries;
}
