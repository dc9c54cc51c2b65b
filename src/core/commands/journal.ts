import type { ByteString } from "../base/bytes.ts";
import type { StateWriter } from "../contract/state-machine.ts";
import type { Row } from "../contract/state-store.ts";

/**
 * A state whose changes are counted and can be taken back: several commands become one that is
 * carried out whole or not at all.
 */
export class Journal implements StateWriter {
  readonly #state: StateWriter;
  /** What each key that was changed had before; undefined for nothing. */
  readonly #before = new Map<ByteString, Uint8Array | undefined>();
  #changedBytes = 0;

  constructor(state: StateWriter) {
    this.#state = state;
  }

  /** Bytes of the rows that were set and of the keys that were touched, each time. */
  get changedBytes(): number {
    return this.#changedBytes;
  }

  get size(): number {
    return this.#state.size;
  }

  get(key: ByteString): Uint8Array | undefined {
    return this.#state.get(key);
  }

  rows(from: ByteString, to: ByteString | null): Iterable<Row> {
    return this.#state.rows(from, to);
  }

  row(bytes: number): Uint8Array {
    return this.#state.row(bytes);
  }

  set(key: ByteString, value: Uint8Array): void {
    this.#note(key);
    this.#changedBytes += value.length;
    this.#state.set(key, value);
  }

  delete(key: ByteString): boolean {
    this.#note(key);
    return this.#state.delete(key);
  }

  clear(): void {
    const keys: ByteString[] = [];
    for (const [key] of this.#state.rows("", null)) keys.push(key);
    for (const key of keys) this.delete(key);
  }

  #note(key: ByteString): void {
    this.#changedBytes += key.length;
    if (!this.#before.has(key)) this.#before.set(key, this.#state.get(key));
  }

  /** As if none of the commands had been. */
  rollBack(): void {
    for (const [key, value] of this.#before) {
      if (value === undefined) this.#state.delete(key);
      else this.#state.set(key, value);
    }
    this.#before.clear();
    this.#changedBytes = 0;
  }
}
