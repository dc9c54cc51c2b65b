import { assert, defined } from "../base/assert.ts";
import { type ByteString, ByteWriter } from "../base/bytes.ts";
import { SortedMap } from "../base/sorted-map.ts";
import type { LogPosition } from "../contract/ids.ts";
import type { CommitProgress, Row, SnapshotHandle, StateStore } from "../contract/state-store.ts";
import { writeRow } from "./checkpoint-format.ts";

type Change = readonly [key: ByteString, value: Uint8Array | null];

/** What keys had before they were changed; null for nothing. */
type Before = SortedMap<Uint8Array | null>;

interface Commit {
  readonly position: LogPosition;
  readonly changes: Iterator<Change>;
  readonly before: Before;
}

/**
 * Rows in memory, for a node without a directory. What a commit has changed so far is seen by
 * nobody until it is done: the rows as they were before are kept beside, also for each snapshot.
 */
export class MemoryStore implements StateStore {
  readonly #rows = new SortedMap<Uint8Array>();
  #commit: Commit | null = null;
  #position: LogPosition = 0;
  readonly #snapshots = new Set<Before>();

  get position(): LogPosition {
    return this.#position;
  }

  /** Snapshots that were not released: a leak shows. */
  get openSnapshots(): number {
    return this.#snapshots.size;
  }

  /** A disk's failures and completions are none of its business. */
  readonly failure = null;

  onDisk(): boolean {
    return false;
  }

  get(key: ByteString): Uint8Array | undefined {
    const before = this.#commit?.before.get(key);
    return before === undefined ? this.#rows.get(key) : (before ?? undefined);
  }

  peek(key: ByteString): Uint8Array | undefined {
    return this.get(key);
  }

  has(key: ByteString): boolean {
    return this.get(key) !== undefined;
  }

  rows(from: ByteString, to: ByteString | null): Iterable<Row> {
    return this.#rowsAsOf(this.#commit?.before ?? null, from, to);
  }

  *keys(from: ByteString, to: ByteString | null): Generator<ByteString> {
    for (const [key] of this.rows(from, to)) yield key;
  }

  begin(position: LogPosition, changes: Iterator<Change>): void {
    assert(this.#commit === null, "a commit is under way");
    assert(position >= this.#position, "a commit of the past");
    this.#commit = { position, changes, before: new SortedMap() };
  }

  work(rowsMax: number): CommitProgress {
    const commit = this.#commit;
    if (commit === null) return "idle";
    for (let left = rowsMax; left > 0; left -= 1) {
      const next = commit.changes.next();
      if (next.done) {
        this.#position = commit.position;
        this.#commit = null;
        return "done";
      }
      this.#change(commit, next.value);
    }
    return "working";
  }

  #change(commit: Commit, [key, value]: Change): void {
    const old = this.#rows.get(key) ?? null;
    commit.before.set(key, old);
    for (const before of this.#snapshots) if (!before.has(key)) before.set(key, old);
    if (value === null) this.#rows.delete(key);
    else this.#rows.set(key, value);
  }

  openSnapshot(from: ByteString, to: ByteString): SnapshotHandle {
    const before: Before = new SortedMap();
    for (const [key, old] of this.#commit?.before.entries() ?? []) before.set(key, old);
    this.#snapshots.add(before);
    const keys: ByteString[] = [];
    const handle: SnapshotHandle = {
      chunk: (cursor, bytesMax) => {
        // A cursor is a place in the keys with which chunks began.
        assert(cursor === 0 || cursor <= keys.length, "a cursor that was never given", cursor);
        const start = cursor === 0 ? from : defined(keys[cursor - 1], "where a chunk begins");
        const { rows, next } = this.#chunk(before, start, to, bytesMax);
        if (next === null) return { rows, next: null };
        if (keys[cursor] === undefined) keys.push(next);
        return { rows, next: cursor + 1 };
      },
      release: () => void this.#snapshots.delete(before),
    };
    return handle;
  }

  #chunk(before: Before, from: ByteString, to: ByteString, bytesMax: number) {
    const writer = new ByteWriter();
    for (const [key, value] of this.#rowsAsOf(before, from, to)) {
      if (writer.length >= bytesMax) return { rows: writer.take(), next: key };
      writeRow(writer, key, value);
    }
    return { rows: writer.take(), next: null };
  }

  /** Rows as they were before the changes. */
  *#rowsAsOf(before: Before | null, from: ByteString, to: ByteString | null): Generator<Row> {
    if (before === null || before.size === 0) {
      yield* this.#rows.entries(from, to);
      return;
    }
    const old = before.entries(from, to);
    let undone = old.next();
    for (const row of this.#rows.entries(from, to)) {
      while (!undone.done && undone.value[0] < row[0]) {
        const [key, value] = undone.value;
        if (value !== null) yield [key, value];
        undone = old.next();
      }
      if (undone.done || undone.value[0] !== row[0]) yield row;
      else {
        const [key, value] = undone.value;
        if (value !== null) yield [key, value];
        undone = old.next();
      }
    }
    for (; !undone.done; undone = old.next()) {
      const [key, value] = undone.value;
      if (value !== null) yield [key, value];
    }
  }

  /** What a crash of the process would lose if the rows outlived it; for tests. */
  crash(): void {
    this.#snapshots.clear();
    for (const [key, old] of this.#commit?.before.entries() ?? []) {
      if (old === null) this.#rows.delete(key);
      else this.#rows.set(key, old);
    }
    this.#commit = null;
  }
}
