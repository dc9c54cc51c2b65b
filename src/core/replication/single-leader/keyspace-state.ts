import { assert } from "../../base/assert.ts";
import type { ByteString } from "../../base/bytes.ts";
import { Slab } from "../../base/slab.ts";
import type { StateWriter } from "../../contract/state-machine.ts";
import type { Row } from "../../contract/state-store.ts";
import type { Memtable } from "../../log/memtable.ts";

/** A change that is not yet in the memtable: the key as stored, and null for a deletion. */
type Change = readonly [stored: ByteString, value: Uint8Array | null];

/**
 * A keyspace's values in the memtable, under one prefix, behind an overlay: what one command
 * changes becomes visible to others only by `commit`; `discard` undoes a command that threw (GEN5).
 */
export class KeyspaceState implements StateWriter {
  readonly #memtable: Memtable;
  readonly #prefix: ByteString;
  readonly #end: ByteString;
  readonly #slab = new Slab();
  /** Keys in the memtable: without what the overlay adds and removes. */
  #committedSize: number;
  /** The first key of the overlay, which is empty between commands; most change no second one. */
  #firstKey: ByteString | null = null;
  #firstValue: Uint8Array | null = null;
  /** The other keys of the overlay; made anew for each command that needs it. */
  #others: Map<ByteString, Uint8Array | null> | null = null;

  constructor(memtable: Memtable, prefix: ByteString, end: ByteString, size: number) {
    this.#memtable = memtable;
    this.#prefix = prefix;
    this.#end = end;
    this.#committedSize = size;
  }

  get size(): number {
    let size = this.#committedSize;
    for (const [stored, value] of this.#changes()) {
      const had = this.#memtable.get(stored) !== undefined;
      if (had !== (value !== null)) size += had ? -1 : 1;
    }
    return size;
  }

  get(key: ByteString): Uint8Array | undefined {
    return this.#get(this.#prefix + key);
  }

  #get(stored: ByteString): Uint8Array | undefined {
    const own = this.#own(stored);
    return own === undefined ? this.#memtable.get(stored) : (own ?? undefined);
  }

  /** What the overlay says of the key; undefined for nothing. */
  #own(stored: ByteString): Uint8Array | null | undefined {
    if (this.#firstKey === null) return undefined;
    return this.#firstKey === stored ? this.#firstValue : this.#others?.get(stored);
  }

  *rows(from: ByteString, to: ByteString | null): Generator<Row> {
    const start = this.#prefix + from;
    const end = to === null ? this.#end : this.#prefix + to;
    const own = this.#changes().filter(([stored]) => stored >= start && stored < end);
    own.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    let next = 0;
    for (const [stored, value] of this.#memtable.rows(start, end)) {
      for (; next < own.length && own[next]![0] < stored; next += 1) {
        yield* this.#userRow(own[next]!);
      }
      if (next < own.length && own[next]![0] === stored) {
        yield* this.#userRow(own[next]!);
        next += 1;
      } else yield [stored.slice(this.#prefix.length), value];
    }
    for (; next < own.length; next += 1) yield* this.#userRow(own[next]!);
  }

  *#userRow([stored, value]: Change): Generator<Row> {
    if (value !== null) yield [stored.slice(this.#prefix.length), value];
  }

  #changes(): Change[] {
    if (this.#firstKey === null) return [];
    return [[this.#firstKey, this.#firstValue], ...(this.#others ?? [])];
  }

  row(bytes: number): Uint8Array {
    return this.#slab.take(bytes);
  }

  set(key: ByteString, value: Uint8Array): void {
    this.#change(this.#prefix + key, value);
  }

  delete(key: ByteString): boolean {
    const stored = this.#prefix + key;
    if (this.#get(stored) === undefined) return false;
    this.#change(stored, null);
    return true;
  }

  #change(stored: ByteString, value: Uint8Array | null): void {
    if (this.#firstKey === null || this.#firstKey === stored) {
      this.#firstKey = stored;
      this.#firstValue = value;
      return;
    }
    this.#others ??= new Map();
    this.#others.set(stored, value);
  }

  clear(): void {
    const keys: ByteString[] = [];
    for (const [key] of this.rows("", null)) keys.push(key);
    for (const key of keys) this.delete(key);
  }

  commit(): void {
    if (this.#firstKey === null) return;
    this.#put(this.#firstKey, this.#firstValue);
    if (this.#others !== null) {
      for (const [stored, value] of this.#others) this.#put(stored, value);
    }
    this.discard();
    assert(this.#committedSize >= 0, "fewer keys than none");
  }

  #put(stored: ByteString, value: Uint8Array | null): void {
    if (value !== null) {
      if (this.#memtable.put(stored, value)) this.#committedSize += 1;
    } else if (this.#memtable.delete(stored)) this.#committedSize -= 1;
  }

  /** Empties the overlay: what the command changed has not happened. */
  discard(): void {
    this.#firstKey = null;
    this.#firstValue = null;
    this.#others = null;
  }
}
