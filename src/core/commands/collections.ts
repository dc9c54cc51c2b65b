import { assert, defined } from "../base/assert.ts";
import { type ByteString, EMPTY, fromByteString, toByteString } from "../base/bytes.ts";
import type { Prng } from "../base/prng.ts";
import { bulk, integer, type Reply, ZERO } from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import type { Row } from "../contract/state-store.ts";
import {
  type CollectionId,
  collectionOf,
  collectionRow,
  countOf,
  kindOf,
  MAP,
  putCount,
  putDeadline,
} from "../values/row.ts";
import { type Args, parseI64 } from "./arguments.ts";
import { LIMITS } from "./limits.ts";
import { refuseLimit } from "./refusal.ts";
import { checkGathered, copyRow, refuseWrongType } from "./value.ts";

/** The collection's row, undefined where there is no key. Refuses other kinds. */
export function collectionAt(
  state: StateReader,
  key: ByteString,
  kind: number,
): Uint8Array | undefined {
  const row = state.get(key);
  if (row !== undefined && kindOf(row) !== kind) refuseWrongType();
  return row;
}

/** How many fields there are in the collection; 0 where there is none. */
export function countIn(row: Uint8Array | undefined): number {
  return row === undefined ? 0 : countOf(row);
}

/** The id of the collection, or of one that is yet to be made. */
export function idFor(state: StateWriter, row: Uint8Array | undefined): CollectionId {
  return row === undefined ? state.newCollection() : collectionOf(row);
}

/**
 * Behind every change of fields: the key's row, with its deadline, is set anew, so that its version
 * moves (LEAD9); a collection without fields is no more. `row` is what was there before.
 */
export function putCollection(
  state: StateWriter,
  key: ByteString,
  kind: number,
  row: Uint8Array | undefined,
  id: CollectionId,
  count: number,
): void {
  if (count === 0) {
    state.delete(key);
    return;
  }
  if (row === undefined) return state.set(key, collectionRow(state, kind, id, count));
  const changed = copyRow(state, row);
  putCount(changed, count);
  state.set(key, changed);
}

/** Sets one field. True if it is new. */
export function putField(
  state: StateWriter,
  key: ByteString,
  kind: number,
  row: Uint8Array | undefined,
  name: ByteString,
  value: Uint8Array,
): boolean {
  const id = idFor(state, row);
  const isNew = state.setField(id, name, value);
  putCollection(state, key, kind, row, id, countIn(row) + (isNew ? 1 : 0));
  return isNew;
}

/** HDEL and SREM: the arguments behind the key are removed; answers how many were there. */
export function removeFields(args: Args, state: StateWriter, kind: number): Reply {
  const key = toByteString(args[1]!);
  const row = collectionAt(state, key, kind);
  if (row === undefined) return ZERO;
  const id = collectionOf(row);
  const before = countOf(row);
  let count = before;
  for (let i = 2; i < args.length; i += 1) {
    if (state.deleteField(id, toByteString(args[i]!))) count -= 1;
  }
  if (count !== before) putCollection(state, key, kind, row, id, count);
  return integer(before - count);
}

/** A field's value: a copy, so that it does not pin the frame it came in. */
export function valueCopy(state: StateWriter, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return EMPTY;
  const copy = state.take(bytes.length);
  copy.set(bytes);
  return copy;
}

/** What an item takes in memory and in frames, beside its bytes; only sums of it matter. */
export const ITEM_BYTES = 16;

/** The items of a reply, as many as one command may hold at once. */
export class GatheredItems {
  readonly items: Reply[] = [];
  readonly #bytesMax: number;
  /** Those of the items, and something for each. */
  bytes = 0;

  constructor(bytesMax: number = LIMITS.gatheredBytesMax) {
    this.#bytesMax = bytesMax;
  }

  name(name: ByteString): void {
    this.#count(name.length);
    this.items.push(bulk(fromByteString(name)));
  }

  value(bytes: Uint8Array): void {
    this.#count(bytes.length);
    this.items.push(bulk(bytes));
  }

  #count(bytes: number): void {
    this.bytes += ITEM_BYTES + bytes;
    checkGathered(this.bytes, this.#bytesMax);
  }
}

/** Refuses to look at more fields: every other client of the node waits meanwhile. */
export function checkVisits(fields: number): void {
  if (fields <= LIMITS.visitedFieldsMax) return;
  refuseLimit(`One command may look at ${LIMITS.visitedFieldsMax} fields or members at most.`);
}

/** Refuses to change more fields: they are all in memory until they are committed together. */
export function checkChanges(fields: number): void {
  if (fields <= LIMITS.changedFieldsMax) return;
  refuseLimit(`One command may change ${LIMITS.changedFieldsMax} fields or members at most.`);
}

/** A row for another key, with its deadline, and a collection's fields under an id of their own. */
export function copyValue(state: StateWriter, row: Uint8Array, deadline: number): Uint8Array {
  const id = collectionOf(row);
  const count = countOf(row);
  checkChanges(count);
  const fields: Row[] = [];
  let bytes = 0;
  for (const field of state.fields(id, "", null)) {
    bytes += ITEM_BYTES + field[0].length + field[1].length;
    checkGathered(bytes);
    fields.push(field);
  }
  const copied = state.newCollection();
  for (const [name, value] of fields) state.setField(copied, name, valueCopy(state, value));
  const copy = collectionRow(state, kindOf(row), copied, count);
  putDeadline(copy, deadline);
  return copy;
}

/** One field, each as likely. It is passed on the way there as many as lie before it. */
export function drawField(state: StateReader, row: Uint8Array, prng: Prng): Row {
  const count = countOf(row);
  checkVisits(count);
  let left = prng.below(count);
  let drawn: Row | null = null;
  for (const field of state.fields(collectionOf(row), "", null)) {
    drawn = field;
    if (left === 0) break;
    left -= 1;
  }
  assert(drawn !== null && left === 0, "a collection has fewer fields than it counts", count);
  return drawn;
}

/**
 * So many different fields, or all if there are no more; every choice of them is as likely. In the
 * order of their bytes.
 */
export function drawDistinct(
  state: StateReader,
  row: Uint8Array,
  wanted: number,
  prng: Prng,
  take: (field: Row) => void,
): void {
  let ahead = countOf(row);
  checkVisits(ahead);
  let missing = Math.min(wanted, ahead);
  if (missing === 0) return;
  for (const field of state.fields(collectionOf(row), "", null)) {
    // Knuth's algorithm S: of those ahead, one in ahead / missing is taken.
    if (missing === ahead || prng.below(ahead) < missing) {
      take(field);
      missing -= 1;
      if (missing === 0) return;
    }
    ahead -= 1;
  }
}

/** So many fields, each drawn from all of them, in the order in which they are drawn. */
export function drawRepeated(
  state: StateReader,
  row: Uint8Array,
  wanted: number,
  prng: Prng,
): readonly Row[] {
  const count = countOf(row);
  checkVisits(Math.max(count, wanted));
  const places = Array.from({ length: wanted }, () => prng.below(count));
  const sorted = [...new Set(places)].sort((a, b) => a - b);
  const fields = new Map<number, Row>();
  let next = 0;
  let place = 0;
  for (const field of state.fields(collectionOf(row), "", null)) {
    if (next === sorted.length) break;
    if (place === sorted[next]) {
      fields.set(place, field);
      next += 1;
    }
    place += 1;
  }
  return places.map((drawn) => defined(fields.get(drawn), "a place without a field"));
}

/** Up to these figures Redis keeps a hash, a set of texts and a set of integers in one piece. */
const HASH_LISTPACK_MAX = 512;
const SET_LISTPACK_MAX = 128;
const INTSET_MAX = 512;
const LISTPACK_BYTES_MAX = 64;

/** The encoding that Redis would choose for such a collection, by its default settings. */
export function collectionEncoding(state: StateReader, row: Uint8Array): string {
  const count = countOf(row);
  if (count > Math.max(HASH_LISTPACK_MAX, INTSET_MAX)) return "hashtable";
  let isShort = true;
  let isIntegers = true;
  for (const [name, value] of state.fields(collectionOf(row), "", null)) {
    isShort &&= name.length <= LISTPACK_BYTES_MAX && value.length <= LISTPACK_BYTES_MAX;
    isIntegers &&= name.length <= 20 && parseI64(fromByteString(name)) !== null;
  }
  if (kindOf(row) === MAP) return isShort ? "listpack" : "hashtable";
  if (isIntegers && count <= INTSET_MAX) return "intset";
  return isShort && count <= SET_LISTPACK_MAX ? "listpack" : "hashtable";
}
