import { assert } from "../../base/assert.ts";
import { type ByteString, EMPTY, prefixEnd } from "../../base/bytes.ts";
import { Slab } from "../../base/slab.ts";
import type { LogIndex, WallClock } from "../../contract/ids.ts";
import type { StateWriter } from "../../contract/state-machine.ts";
import type { Row } from "../../contract/state-store.ts";
import {
  type CollectionId,
  collectionOf,
  deadlineOf,
  isCollection,
  isSameCollection,
  stampVersion,
} from "../../values/row.ts";
import type { ChangeLog } from "./change-log.ts";
import { bigEndian, FIELDS, KEYS, type KeyCounts } from "./rows.ts";
import type { StateRows } from "./state-rows.ts";
import { Sweeper } from "./sweeper.ts";

/** A change that is not yet in the memtable: the key as stored, and null for a deletion. */
type Change = readonly [stored: ByteString, value: Uint8Array | null];

const KEYS_CODE = KEYS.charCodeAt(0);

/**
 * A keyspace's values in the memtable, under one prefix, behind an overlay: what one command
 * changes becomes visible to others only by `commit`; `discard` undoes a command that threw (GEN5).
 *
 * A key whose deadline log time has reached is hidden at once, and removed later in slices, as are
 * the fields of collections that no key names any more: see `Sweeper`.
 */
export class KeyspaceState implements StateWriter {
  readonly #memtable: StateRows;
  readonly #prefix: ByteString;
  readonly #keysPrefix: ByteString;
  readonly #fieldsPrefix: ByteString;
  readonly #slab = new Slab();
  readonly #sweeper: Sweeper;
  readonly #log: ChangeLog;
  /** In the memtable: without what the overlay adds and removes. */
  #keys: number;
  #collections: number;
  /*
   * The first two rows of the overlay, which is empty between commands: most change one, or a field
   * and its key, and need no map.
   */
  #firstKey: ByteString | null = null;
  #firstValue: Uint8Array | null = null;
  #secondKey: ByteString | null = null;
  #secondValue: Uint8Array | null = null;
  /** The other rows of the overlay; made anew for each command that needs it. */
  #others: Map<ByteString, Uint8Array | null> | null = null;
  #changedBytes = 0;
  #visited = 0;
  /** The entry that is being applied, or was last, and the log's time with it. */
  #index: LogIndex = 0;
  #time: WallClock = 0;
  /** Ids that the command being applied was given. */
  #newCollections = 0;
  /** The earliest deadline to come that was seen since `soonest` was last set to infinity. */
  soonest: WallClock = Number.POSITIVE_INFINITY;

  /** `prefix` is that of one generation's rows. */
  constructor(memtable: StateRows, prefix: ByteString, counts: KeyCounts, log: ChangeLog) {
    this.#memtable = memtable;
    this.#log = log;
    this.#prefix = prefix;
    this.#keysPrefix = prefix + KEYS;
    this.#fieldsPrefix = prefix + FIELDS;
    this.#keys = counts.keys;
    this.#collections = counts.collections;
    this.#sweeper = new Sweeper(memtable, prefix, counts.expiring);
  }

  /** What the memtable holds; not asked for within a command. */
  get counts(): KeyCounts {
    assert(this.#firstKey === null, "counted within a command");
    return {
      keys: this.#keys,
      expiring: this.#sweeper.expiring,
      collections: this.#collections,
    };
  }

  get size(): number {
    let size = this.#keys;
    for (const [stored, value] of this.#changes(this.#keysPrefix, prefixEnd(this.#keysPrefix))) {
      const had = this.#memtable.get(stored) !== undefined;
      if (had !== (value !== null)) size += had ? -1 : 1;
    }
    return size;
  }

  get changedBytes(): number {
    return this.#changedBytes;
  }

  get visited(): number {
    return this.#visited;
  }

  /** The entry that is applied next, and the log's time with it. */
  begin(index: LogIndex, time: WallClock): void {
    assert(this.#firstKey === null, "a command before has neither been committed nor discarded");
    assert(time >= this.#time, "log time goes backwards");
    this.#index = index;
    this.#time = time;
    this.#newCollections = 0;
    this.#visited = 0;
  }

  get(key: ByteString): Uint8Array | undefined {
    const row = this.#get(this.#keysPrefix + key);
    return row === undefined || this.#isDead(row) ? undefined : row;
  }

  #isDead(row: Uint8Array): boolean {
    const deadline = deadlineOf(row);
    if (deadline === 0) return false;
    if (deadline <= this.#time) return true;
    if (deadline < this.soonest) this.soonest = deadline;
    return false;
  }

  #get(stored: ByteString): Uint8Array | undefined {
    const own = this.#own(stored);
    return own === undefined ? this.#memtable.get(stored) : (own ?? undefined);
  }

  /** What the overlay says of the key; undefined for nothing. */
  #own(stored: ByteString): Uint8Array | null | undefined {
    if (this.#firstKey === null) return undefined;
    if (this.#firstKey === stored) return this.#firstValue;
    return this.#secondKey === stored ? this.#secondValue : this.#others?.get(stored);
  }

  *rows(from: ByteString, to: ByteString | null): Generator<Row> {
    const prefix = this.#keysPrefix;
    for (const row of this.#range(prefix, from, to)) if (!this.#isDead(row[1])) yield row;
  }

  field(collection: CollectionId, name: ByteString): Uint8Array | undefined {
    this.#visited += 1;
    return this.#get(this.#fieldsPrefix + collection + name);
  }

  fields(collection: CollectionId, from: ByteString, to: ByteString | null): Iterable<Row> {
    return this.#range(this.#fieldsPrefix + collection, from, to);
  }

  /** Rows under a prefix, without it; what the overlay says is in them. */
  *#range(prefix: ByteString, from: ByteString, to: ByteString | null): Generator<Row> {
    const start = prefix + from;
    const end = to === null ? prefixEnd(prefix) : prefix + to;
    const own = this.#changes(start, end);
    this.#visited += 1 + (this.#others?.size ?? 0);
    own.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    let next = 0;
    for (const [stored, value] of this.#memtable.rows(start, end)) {
      this.#visited += 1;
      for (; next < own.length && own[next]![0] < stored; next += 1) {
        yield* withoutPrefix(own[next]!, prefix);
      }
      if (next < own.length && own[next]![0] === stored) {
        yield* withoutPrefix(own[next]!, prefix);
        next += 1;
      } else yield [stored.slice(prefix.length), value];
    }
    for (; next < own.length; next += 1) yield* withoutPrefix(own[next]!, prefix);
  }

  /** The overlay's changes in [from, to), unordered. */
  #changes(from: ByteString, to: ByteString | null): Change[] {
    if (this.#firstKey === null) return [];
    const all: Change[] = [[this.#firstKey, this.#firstValue]];
    if (this.#secondKey !== null) all.push([this.#secondKey, this.#secondValue]);
    for (const change of this.#others ?? []) all.push(change);
    return all.filter(([stored]) => stored >= from && (to === null || stored < to));
  }

  take(bytes: number): Uint8Array {
    return this.#slab.take(bytes);
  }

  set(key: ByteString, row: Uint8Array): void {
    this.#change(this.#keysPrefix + key, row);
  }

  delete(key: ByteString): boolean {
    if (this.get(key) === undefined) return false;
    this.#change(this.#keysPrefix + key, null);
    return true;
  }

  newCollection(): CollectionId {
    this.#newCollections += 1;
    assert(this.#newCollections <= 0xffff, "more collections than one entry can name");
    return this.#idOf(this.#newCollections);
  }

  #idOf(collection: number): CollectionId {
    const low = String.fromCharCode(collection >> 8, collection & 0xff);
    return bigEndian(this.#index) + low;
  }

  setField(collection: CollectionId, name: ByteString, value: Uint8Array): boolean {
    const stored = this.#fieldsPrefix + collection + name;
    const isNew = !this.#has(stored);
    this.#change(stored, value);
    return isNew;
  }

  addField(collection: CollectionId, name: ByteString): boolean {
    const stored = this.#fieldsPrefix + collection + name;
    if (this.#has(stored)) return false;
    this.#change(stored, EMPTY);
    return true;
  }

  deleteField(collection: CollectionId, name: ByteString): boolean {
    const stored = this.#fieldsPrefix + collection + name;
    if (!this.#has(stored)) return false;
    this.#change(stored, null);
    return true;
  }

  #has(stored: ByteString): boolean {
    const own = this.#own(stored);
    return own === undefined ? this.#memtable.has(stored) : own !== null;
  }

  #change(stored: ByteString, value: Uint8Array | null): void {
    this.#changedBytes += stored.length + (value?.length ?? 0);
    if (this.#firstKey === null || this.#firstKey === stored) {
      this.#firstKey = stored;
      this.#firstValue = value;
      return;
    }
    if (this.#secondKey === null || this.#secondKey === stored) {
      this.#secondKey = stored;
      this.#secondValue = value;
      return;
    }
    this.#others ??= new Map();
    this.#others.set(stored, value);
  }

  clear(): void {
    const keys: ByteString[] = [];
    for (const [key] of this.#range(this.#keysPrefix, "", null)) keys.push(key);
    for (const key of keys) this.#change(this.#keysPrefix + key, null);
  }

  commit(): void {
    if (this.#firstKey === null) return;
    const links: Links = { before: null, after: null };
    this.#put(this.#firstKey, this.#firstValue, links);
    if (this.#secondKey !== null) this.#put(this.#secondKey, this.#secondValue, links);
    if (this.#others !== null) {
      for (const [stored, value] of this.#others) this.#put(stored, value, links);
    }
    this.#bury(links);
    if (this.#newCollections > 0) this.#buryUnnamed(links.after);
    this.rollBack();
    assert(this.#keys >= 0 && this.#collections >= 0, "fewer keys than none");
  }

  #put(stored: ByteString, value: Uint8Array | null, links: Links): void {
    if (stored.charCodeAt(this.#prefix.length) === KEYS_CODE) this.#putKey(stored, value, links);
    else if (value !== null) this.#memtable.put(stored, value);
    else this.#memtable.delete(stored);
  }

  #putKey(stored: ByteString, row: Uint8Array | null, links: Links): void {
    // Only these have more to them than their row.
    const mayHaveMore = this.#sweeper.expiring + this.#collections > 0;
    const old = mayHaveMore ? this.#memtable.get(stored) : undefined;
    const onlyFields = old !== undefined && row !== null && isSameCollection(old, row);
    if (old !== undefined && !onlyFields) this.#unlink(stored, old, links);
    const key = stored.slice(this.#keysPrefix.length);
    if (row === null) {
      if (!this.#memtable.delete(stored)) return;
      this.#keys -= 1;
      return this.#log.add(this.#index, key, null);
    }
    stampVersion(row, this.#index);
    this.#log.add(this.#index, key, row);
    if (onlyFields) return this.#memtable.replace(stored, old, row);
    if (this.#memtable.put(stored, row)) this.#keys += 1;
    const deadline = deadlineOf(row);
    if (deadline !== 0) this.#sweeper.note(key, deadline);
    if (!isCollection(row)) return;
    this.#collections += 1;
    links.after ??= new Set();
    links.after.add(collectionOf(row));
  }

  /** What depended on the row that a key has had. */
  #unlink(stored: ByteString, old: Uint8Array, links: Links): void {
    const deadline = deadlineOf(old);
    if (deadline !== 0) this.#sweeper.forget(stored.slice(this.#keysPrefix.length), deadline);
    if (!isCollection(old)) return;
    this.#collections -= 1;
    links.before ??= new Set();
    links.before.add(collectionOf(old));
  }

  #bury({ before, after }: Links): void {
    if (before === null) return;
    for (const id of before) if (!after?.has(id)) this.#sweeper.bury(id);
  }

  /** Fields that the command set in a collection, and then no key was left to name it. */
  #buryUnnamed(named: Links["after"]): void {
    for (let i = 1; i <= this.#newCollections; i += 1) {
      const id = this.#idOf(i);
      if (named === null || !named.has(id)) this.#sweeper.bury(id);
    }
  }

  /** Empties the overlay: what the command changed has not happened. */
  rollBack(): void {
    this.#firstKey = null;
    this.#firstValue = null;
    this.#secondKey = null;
    this.#secondValue = null;
    this.#others = null;
    this.#changedBytes = 0;
    this.#visited = 0;
    this.#newCollections = 0;
  }

  /** Whether log time `time` would leave something to remove. */
  isDue(time: WallClock): boolean {
    return this.#sweeper.isDue(time);
  }

  /** Removes up to `rowsMax` rows of what is dead, the same on every replica (GEN7). */
  sweep(rowsMax: number): void {
    assert(this.#firstKey === null, "swept within a command");
    let left = rowsMax;
    const due = this.#sweeper.takeDue(this.#time, left);
    left -= due.length;
    const links: Links = { before: null, after: null };
    for (const key of due) this.#putKey(this.#keysPrefix + key, null, links);
    this.#bury(links);
    if (left > 0) this.#sweeper.clearGraves(left);
  }
}

/**
 * The collections that the keys of one commit named before and name after it: another name for a
 * key is a row deleted and a row set, in either order.
 */
interface Links {
  /** Made when the first is there: most commits have none. */
  before: Set<CollectionId> | null;
  after: Set<CollectionId> | null;
}

function* withoutPrefix([stored, value]: Change, prefix: ByteString): Generator<Row> {
  if (value !== null) yield [stored.slice(prefix.length), value];
}
