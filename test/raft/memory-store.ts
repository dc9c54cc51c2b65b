import { type ByteString, ByteWriter } from "../../src/core/base/bytes.ts";
import { SortedMap } from "../../src/core/base/sorted-map.ts";
import type { LogPosition } from "../../src/core/contract/ids.ts";
import type {
  CommitProgress,
  Row,
  SnapshotHandle,
  StateStore,
} from "../../src/core/contract/state-store.ts";

type Change = readonly [ByteString, Uint8Array | null];

/** A StateStore that survives a restart because the test keeps it. One `work` finishes a commit. */
export class MemoryStore implements StateStore {
  #rows = new SortedMap<Uint8Array>();
  #begun: { position: LogPosition; changes: Iterator<Change> } | null = null;
  position: LogPosition = 0;
  /** Snapshots open now: a leak shows. */
  open = 0;

  get(key: ByteString): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  has(key: ByteString): boolean {
    return this.#rows.has(key);
  }

  rows(from: ByteString, to: ByteString | null): Iterable<Row> {
    return this.#rows.entries(from, to);
  }

  begin(position: LogPosition, changes: Iterator<Change>): void {
    this.#begun = { position, changes };
  }

  work(): CommitProgress {
    if (this.#begun === null) return "idle";
    const { position, changes } = this.#begun;
    for (let next = changes.next(); !next.done; next = changes.next()) {
      const [key, value] = next.value;
      if (value === null) this.#rows.delete(key);
      else this.#rows.set(key, value);
    }
    this.position = position;
    this.#begun = null;
    return "done";
  }

  openSnapshot(from: ByteString, to: ByteString): SnapshotHandle {
    const rows = [...this.#rows.entries(from, to)];
    this.open += 1;
    return {
      chunk: (cursor, bytesMax) => {
        const writer = new ByteWriter();
        let at = cursor;
        do {
          const row = rows[at];
          if (row === undefined) break;
          writer.byteString(row[0]);
          writer.bytes(row[1]);
          at += 1;
        } while (writer.length < bytesMax);
        return { rows: writer.take(), next: at < rows.length ? at : null };
      },
      release: () => {
        this.open -= 1;
      },
    };
  }
}
