import { assert } from "../../base/assert.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Memtable } from "../../log/memtable.ts";

/** Removes the rows of a generation that nobody reads, a slice at a time. */
export class GenerationWiper {
  readonly #memtable: Memtable;
  #from: ByteString = "";
  #to: ByteString | null = null;

  constructor(memtable: Memtable) {
    this.#memtable = memtable;
  }

  /** Whether rows may be left. */
  get isWorking(): boolean {
    return this.#to !== null;
  }

  /** From now on [from, to) is to be emptied; nobody puts anything there before that is done. */
  start([from, to]: readonly [from: ByteString, to: ByteString]): void {
    assert(from < to, "a generation lies between its ends");
    this.#from = from;
    this.#to = to;
  }

  /** Removes up to `rowsMax` rows. */
  work(rowsMax: number): void {
    if (this.#to === null) return;
    const keys: ByteString[] = [];
    for (const key of this.#memtable.keys(this.#from, this.#to)) {
      if (keys.length === rowsMax) break;
      keys.push(key);
    }
    for (const key of keys) this.#memtable.delete(key);
    const last = keys.at(-1);
    if (last !== undefined && keys.length === rowsMax) this.#from = `${last}\0`;
    else this.#to = null;
  }
}
