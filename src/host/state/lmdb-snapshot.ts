import { assert, defined } from "../../core/base/assert.ts";
import { type ByteString, ByteWriter } from "../../core/base/bytes.ts";
import type { SnapshotHandle } from "../../core/contract/state-store.ts";
import { writeRow } from "../../core/log/checkpoint-format.ts";
import { type Env, rowsIn, type View } from "./lmdb-rows.ts";

/**
 * One commit's rows in [from, to), pinned by its view until `release` (STO9): the pages
 * that later commits replace stay in the file meanwhile.
 */
export class LmdbSnapshot implements SnapshotHandle {
  readonly #env: Env;
  readonly #view: View;
  readonly #to: ByteString;
  readonly #onRelease: () => void;
  /** Where the chunk of a cursor begins. A chunk may be asked for again, an earlier one not. */
  readonly #starts = new Map<number, ByteString>();
  #isReleased = false;

  constructor(env: Env, view: View, from: ByteString, to: ByteString, onRelease: () => void) {
    this.#env = env;
    this.#view = view;
    this.#to = to;
    this.#onRelease = onRelease;
    this.#starts.set(0, from);
  }

  chunk(cursor: number, bytesMax: number) {
    assert(!this.#isReleased, "a snapshot read after its release");
    const from = defined(this.#starts.get(cursor), "a chunk that is over", cursor);
    for (const earlier of this.#starts.keys()) if (earlier < cursor) this.#starts.delete(earlier);
    const writer = new ByteWriter(Math.min(bytesMax, 1 << 20) + 1024);
    for (const [key, value] of rowsIn(this.#env, this.#view.transaction, from, this.#to)) {
      if (writer.length >= bytesMax) {
        this.#starts.set(cursor + 1, key);
        return { rows: writer.detach(), next: cursor + 1 };
      }
      writeRow(writer, key, value);
    }
    return { rows: writer.detach(), next: null };
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#view.release();
    this.#onRelease();
  }
}
