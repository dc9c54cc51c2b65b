import { assert } from "../../base/assert.ts";
import { type ByteString, EMPTY, prefixEnd } from "../../base/bytes.ts";
import type { WallClock } from "../../contract/ids.ts";
import { type CollectionId, DEADLINE_MAX } from "../../values/row.ts";
import { bigEndian, FIELDS, fromBigEndian } from "./rows.ts";
import type { StateRows } from "./state-rows.ts";

/** Tables within a generation: keys by their deadlines, and collections that are to be removed. */
const DEADLINES = "x";
const GRAVES = "g";
const DEADLINE_BYTES = 6;

/**
 * Removes, a few rows at a time, the keys that log time has passed and the fields of collections
 * that no key names any more. Both are found in tables of their own, which are part of the state:
 * what one entry removes is the same on every replica.
 */
export class Sweeper {
  readonly #memtable: StateRows;
  readonly #deadlines: ByteString;
  readonly #graves: ByteString;
  readonly #fields: ByteString;
  /** Keys that have a deadline. */
  #expiring: number;
  /*
   * Where the first row of each table may lie: behind what was removed since the last checkpoint,
   * which a look from the table's beginning would have to pass each time.
   */
  #firstDeadline: WallClock = Number.POSITIVE_INFINITY;
  #firstGrave: CollectionId | null = null;
  /** The last field that was removed of the first grave. */
  #lastField: ByteString = "";

  constructor(memtable: StateRows, prefix: ByteString, expiring: number) {
    this.#memtable = memtable;
    this.#deadlines = prefix + DEADLINES;
    this.#graves = prefix + GRAVES;
    this.#fields = prefix + FIELDS;
    this.#expiring = expiring;
    this.#findDeadline(0);
    this.#findGrave("");
  }

  get expiring(): number {
    return this.#expiring;
  }

  isDue(time: WallClock): boolean {
    return this.#firstDeadline <= time || this.#firstGrave !== null;
  }

  /** A key has got this deadline. */
  note(key: ByteString, deadline: WallClock): void {
    assert(deadline > 0 && deadline <= DEADLINE_MAX, "no deadline", deadline);
    this.#memtable.put(this.#deadlines + bigEndian(deadline) + key, EMPTY);
    this.#expiring += 1;
    if (deadline < this.#firstDeadline) this.#firstDeadline = deadline;
  }

  /** A key that had this deadline has another one, or none, or is gone. */
  forget(key: ByteString, deadline: WallClock): void {
    const had = this.#memtable.delete(this.#deadlines + bigEndian(deadline) + key);
    assert(had && this.#expiring > 0, "a deadline that nobody noted", deadline);
    this.#expiring -= 1;
  }

  /** Keys that are dead at `time`, the first ones first; the caller deletes them all. */
  takeDue(time: WallClock, keysMax: number): readonly ByteString[] {
    if (this.#firstDeadline > time) return [];
    const keys: ByteString[] = [];
    const from = this.#deadlines + bigEndian(this.#firstDeadline);
    const to = this.#deadlines + bigEndian(Math.min(time, DEADLINE_MAX - 1) + 1);
    let last = this.#firstDeadline;
    for (const [stored] of this.#memtable.rows(from, to)) {
      const at = this.#deadlines.length;
      last = fromBigEndian(stored.slice(at, at + DEADLINE_BYTES));
      keys.push(stored.slice(at + DEADLINE_BYTES));
      if (keys.length === keysMax) break;
    }
    // There may be more of the same millisecond.
    if (keys.length === keysMax) this.#firstDeadline = last;
    else this.#findDeadline(time + 1);
    return keys;
  }

  #findDeadline(from: WallClock): void {
    this.#firstDeadline = Number.POSITIVE_INFINITY;
    if (this.#expiring === 0) return;
    const start = this.#deadlines + bigEndian(Math.min(from, DEADLINE_MAX));
    for (const [stored] of this.#memtable.rows(start, prefixEnd(this.#deadlines))) {
      const at = this.#deadlines.length;
      this.#firstDeadline = fromBigEndian(stored.slice(at, at + DEADLINE_BYTES));
      return;
    }
  }

  /** No key names the collection any more. */
  bury(id: CollectionId): void {
    this.#memtable.put(this.#graves + id, EMPTY);
    if (this.#firstGrave !== null && this.#firstGrave <= id) return;
    this.#firstGrave = id;
    this.#lastField = "";
  }

  /** Removes up to `rowsMax` fields of buried collections, that of the lowest id first. */
  clearGraves(rowsMax: number): void {
    let left = rowsMax;
    while (left > 0 && this.#firstGrave !== null) left -= this.#clearGrave(this.#firstGrave, left);
  }

  #clearGrave(id: CollectionId, rowsMax: number): number {
    const prefix = this.#fields + id;
    const fields: ByteString[] = [];
    for (const [stored] of this.#memtable.rows(prefix + this.#lastField, prefixEnd(prefix))) {
      if (fields.length === rowsMax) break;
      fields.push(stored);
    }
    for (const stored of fields) this.#memtable.delete(stored);
    if (fields.length === rowsMax) {
      this.#lastField = fields.at(-1)!.slice(prefix.length);
      return rowsMax;
    }
    this.#memtable.delete(this.#graves + id);
    this.#findGrave(id);
    return fields.length + 1;
  }

  #findGrave(from: CollectionId): void {
    this.#firstGrave = null;
    this.#lastField = "";
    for (const [stored] of this.#memtable.rows(this.#graves + from, prefixEnd(this.#graves))) {
      this.#firstGrave = stored.slice(this.#graves.length);
      return;
    }
  }
}
