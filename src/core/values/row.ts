import { assert } from "../base/assert.ts";
import { type ByteString, fromByteString, getU48, putU48, toByteString } from "../base/bytes.ts";
import type { Slab } from "../base/slab.ts";

/*
 * The row of a key, in memory, in checkpoints and in snapshots:
 *
 *     0  u8   kind of the value
 *     1  u48  index of the entry that last changed the key (LEAD9)
 *     7  u48  deadline in log time, wall-clock ms; 0 for none (GEN7)
 *    13  …    a register's bytes; of a collection: 8 bytes of id, u48 number of its fields
 *
 * A collection's fields are rows of their own under its id, so that changing one costs no more in
 * a large collection, another name for the key moves one row, and what a deleted key leaves behind
 * can be removed in slices.
 */

/**
 * A register: text where its bytes are UTF-8, else bytes. The numbers of the kinds are on disk and
 * never change.
 */
export const REGISTER = 1;
/** A set: fields without values. 2 and 5 to 7 are kept for counter, sorted set, list, document. */
export const SET = 3;
/** A map from fields to values; what Redis calls a hash. */
export const MAP = 4;

/** Registers whose type does not follow from their bytes: JSON, and bytes that may be text too. */
export const JSON_REGISTER = 8;
/** See `JSON_REGISTER`. */
export const BYTES_REGISTER = 9;

const VERSION_AT = 1;
const DEADLINE_AT = 7;
/** Where the value begins in a row. */
export const VALUE_AT = 13;
const COUNT_AT = VALUE_AT + 8;
const COLLECTION_ROW_BYTES = COUNT_AT + 6;

/** The latest deadline that a row can hold: in the year 10889. */
export const DEADLINE_MAX = 0xffff_ffff_ffff;

/** Names a collection for ever: eight bytes. */
export type CollectionId = ByteString;

/** The kind of the row's value. */
export function kindOf(row: Uint8Array): number {
  return row[0]!;
}

/** The index of the entry that last changed the key. */
export function versionOf(row: Uint8Array): number {
  return getU48(row, VERSION_AT);
}

/** Notes which entry changed the key; done once, when the change is committed. */
export function stampVersion(row: Uint8Array, index: number): void {
  assert(row.length >= VALUE_AT, "a row shorter than its header", row.length);
  putU48(row, VERSION_AT, index);
}

/** Log time at which the key dies; 0 for never. */
export function deadlineOf(row: Uint8Array): number {
  return getU48(row, DEADLINE_AT);
}

/** Gives a row that is not yet set its deadline; 0 for none. */
export function putDeadline(row: Uint8Array, deadline: number): void {
  assert(deadline >= 0 && deadline <= DEADLINE_MAX, "a deadline that no row holds", deadline);
  putU48(row, DEADLINE_AT, deadline);
}

/** Whether the row holds a register. */
export function isRegister(row: Uint8Array): boolean {
  return row[0] === REGISTER || row[0] === JSON_REGISTER || row[0] === BYTES_REGISTER;
}

/** Whether the row's value lies in rows of its own. */
export function isCollection(row: Uint8Array): boolean {
  return row[0] === SET || row[0] === MAP;
}

/** The id under which a collection's fields lie. */
export function collectionOf(row: Uint8Array): CollectionId {
  assert(isCollection(row) && row.length === COLLECTION_ROW_BYTES, "not a collection's row");
  return toByteString(row, VALUE_AT, COUNT_AT);
}

/** How many fields a collection has. */
export function countOf(row: Uint8Array): number {
  assert(isCollection(row) && row.length === COLLECTION_ROW_BYTES, "not a collection's row");
  return getU48(row, COUNT_AT);
}

/** Gives a collection's row that is not yet set the number of its fields. */
export function putCount(row: Uint8Array, count: number): void {
  assert(isCollection(row) && row.length === COLLECTION_ROW_BYTES, "not a collection's row");
  assert(count > 0, "a collection has fields");
  putU48(row, COUNT_AT, count);
}

/** Whether both are rows of one collection, with one deadline: only its fields have changed. */
export function isSameCollection(a: Uint8Array, b: Uint8Array): boolean {
  if (!isCollection(a) || !isCollection(b)) return false;
  for (let i = DEADLINE_AT; i < COUNT_AT; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** A collection's row without a deadline. */
export function collectionRow(
  rows: Pick<Slab, "take">,
  kind: number,
  id: CollectionId,
  count: number,
): Uint8Array {
  assert(id.length === COUNT_AT - VALUE_AT && count > 0, "a collection has an id and fields");
  const row = rows.take(COLLECTION_ROW_BYTES);
  row[0] = kind;
  row.set(fromByteString(id), VALUE_AT);
  putU48(row, COUNT_AT, count);
  return row;
}
