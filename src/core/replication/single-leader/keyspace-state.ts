import type { ByteString } from "../../base/bytes.ts";
import type { StateWriter } from "../../contract/state-machine.ts";
import type { Row } from "../../contract/state-store.ts";
import type { Memtable } from "../../log/memtable.ts";

/**
 * A keyspace's values in the memtable, under one prefix, behind an overlay: what one command
 * changes becomes visible to others only by `commit`; `discard` undoes a command that threw (GEN5).
 */
export class KeyspaceState implements StateWriter {
  readonly #memtable: Memtable;
  readonly #prefix: ByteString;
  readonly #end: ByteString;
  #size: number;
  #sizeBefore: number;
  /** Key as stored, with the prefix → value, or null for a deletion. Empty between commands. */
  readonly #overlay = new Map<ByteString, Uint8Array | null>();

  constructor(memtable: Memtable, prefix: ByteString, end: ByteString, size: number) {
    this.#memtable = memtable;
    this.#prefix = prefix;
    this.#end = end;
    this.#size = size;
    this.#sizeBefore = size;
  }

  get size(): number {
    return this.#size;
  }

  get(key: ByteString): Uint8Array | undefined {
    return this.#get(this.#prefix + key);
  }

  #get(stored: ByteString): Uint8Array | undefined {
    if (this.#overlay.size > 0) {
      const own = this.#overlay.get(stored);
      if (own !== undefined) return own ?? undefined;
    }
    return this.#memtable.get(stored);
  }

  *rows(from: ByteString, to: ByteString | null): Generator<Row> {
    const start = this.#prefix + from;
    const end = to === null ? this.#end : this.#prefix + to;
    const own = [...this.#overlay.keys()].filter((key) => key >= start && key < end);
    own.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    let next = 0;
    for (const [stored, value] of this.#memtable.rows(start, end)) {
      for (; next < own.length && own[next]! < stored; next += 1) yield* this.#own(own[next]!);
      if (own[next] === stored) {
        yield* this.#own(stored);
        next += 1;
      } else yield [stored.slice(this.#prefix.length), value];
    }
    for (; next < own.length; next += 1) yield* this.#own(own[next]!);
  }

  set(key: ByteString, value: Uint8Array): void {
    const stored = this.#prefix + key;
    if (this.#get(stored) === undefined) this.#size += 1;
    this.#overlay.set(stored, value);
  }

  delete(key: ByteString): boolean {
    const stored = this.#prefix + key;
    if (this.#get(stored) === undefined) return false;
    this.#size -= 1;
    this.#overlay.set(stored, null);
    return true;
  }

  clear(): void {
    const keys: ByteString[] = [];
    for (const [key] of this.rows("", null)) keys.push(key);
    for (const key of keys) this.delete(key);
  }

  commit(): void {
    if (this.#overlay.size === 0) return;
    for (const [stored, value] of this.#overlay) {
      if (value === null) this.#memtable.delete(stored);
      else this.#memtable.put(stored, value);
    }
    this.#overlay.clear();
    this.#sizeBefore = this.#size;
  }

  discard(): void {
    this.#overlay.clear();
    this.#size = this.#sizeBefore;
  }

  *#own(stored: ByteString): Generator<Row> {
    const value = this.#overlay.get(stored);
    if (value !== null && value !== undefined) yield [stored.slice(this.#prefix.length), value];
  }
}
