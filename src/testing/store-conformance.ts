import assert from "node:assert/strict";
import { ByteReader, type ByteString, fromByteString, toByteString } from "../core/base/bytes.ts";
import type { SnapshotHandle, StateStore } from "../core/contract/state-store.ts";

/** A store under test: empty at first, with a way to let it get on. */
export interface StoreUnderTest {
  readonly store: StateStore;
  /** Lets what was submitted come back: resolves when the store has heard of something, or soon. */
  pause(): Promise<void>;
  /** The same data as the next process would find it; a commit under way is lost. */
  reopen(): Promise<StoreUnderTest>;
  /** Frees what it holds. */
  close(): Promise<void>;
}

/** One requirement: a test runner names it by its title and waits for `run`. */
export interface StoreCase {
  readonly title: string;
  run(open: () => Promise<StoreUnderTest>): Promise<void>;
}

type Rows = Readonly<Record<string, string | null>>;

/**
 * What every driver of `StateStore` must do. A driver's test runs each case by its own test runner.
 */
export const STORE_CASES: readonly StoreCase[] = [
  {
    title: "is empty at first",
    run: using(async ({ store }) => {
      assert.equal(store.position, 0);
      assert.equal(store.get("a"), undefined);
      assert.equal(store.has("a"), false);
      assert.deepEqual(rowsOf(store), []);
      assert.equal(store.work(10), "idle");
    }),
  },
  {
    title: "shows a commit's rows, in order of bytes, and its position",
    run: using(async (test) => {
      const { store } = test;
      await commit(test, 7, { b: "2", a: "1", "\xff": "last", "a\0": "between" });
      assert.equal(store.position, 7);
      assert.equal(textOf(store.get("b")), "2");
      assert.equal(store.has("b"), true);
      assert.equal(store.has("c"), false);
      assert.equal(textOf(store.peek("b")), "2");
      assert.equal(store.peek("c"), undefined);
      const all = [
        ["a", "1"],
        ["a\0", "between"],
        ["b", "2"],
        ["\xff", "last"],
      ];
      assert.deepEqual(rowsOf(store), all);
      assert.deepEqual(rowsOf(store, "a\0", "b"), [["a\0", "between"]]);
      assert.deepEqual(rowsOf(store, "b", null), all.slice(2));
    }),
  },
  {
    title: "replaces and deletes, also what is not there",
    run: using(async (test) => {
      await commit(test, 1, { a: "1", b: "1", c: "1" });
      await commit(test, 2, { a: "2", b: null, none: null });
      assert.deepEqual(rowsOf(test.store), [
        ["a", "2"],
        ["c", "1"],
      ]);
    }),
  },
  {
    title: "holds values of any size, the empty one too, and keys of any bytes",
    run: using(async (test) => {
      const key = toByteString(Uint8Array.from({ length: 256 }, (_, i) => i));
      const large = "x".repeat(1_000_000);
      await commit(test, 1, { [key]: large, long: "", ["k".repeat(1_900)]: "1" });
      assert.equal(textOf(test.store.get(key)), large);
      assert.equal(test.store.get("long")?.length, 0);
      assert.equal(test.store.has("k".repeat(1_900)), true);
    }),
  },
  {
    title: "takes a commit in slices, and says once that it is done",
    run: using(async (test) => {
      const said = await commit(test, 1, numbered(50, "v"), 3);
      assert.equal(said.filter((progress) => progress === "done").length, 1);
      assert.ok(said.filter((progress) => progress === "working").length >= 16);
      assert.equal(rowsOf(test.store).length, 50);
      assert.equal(test.store.work(3), "idle");
    }),
  },
  {
    title: "keeps finished commits, and nothing of an unfinished one, for the next process",
    run: using(async (test) => {
      await commit(test, 5, numbered(20, "old"));
      test.store.begin(9, changes({ ...numbered(20, "new"), more: "x" }));
      for (let i = 0; i < 10; i += 1) {
        test.store.work(2);
        await test.pause();
      }
      const next = await test.reopen();
      try {
        assert.equal(next.store.position, 5);
        assert.deepEqual(rowsOf(next.store), Object.entries(numbered(20, "old")));
        await commit(next, 9, { more: "x" });
        assert.equal(next.store.position, 9);
      } finally {
        await next.close();
      }
    }),
  },
  {
    title: "a commit without changes still moves the position",
    run: using(async (test) => {
      await commit(test, 3, {});
      await commit(test, 4, {});
      assert.equal(test.store.position, 4);
    }),
  },
  {
    title: "a snapshot stays as it was, in chunks, whatever is committed meanwhile",
    run: using(async (test) => {
      const old = numbered(40, "old");
      await commit(test, 1, { ...old, outside: "x" });
      const snapshot = test.store.openSnapshot("key", "kez");
      const first = snapshot.chunk(0, 100);
      await commit(test, 2, { ...numbered(40, "new"), key999: "new" });
      assert.deepEqual(snapshot.chunk(0, 100), first);
      assert.deepEqual(readAll(snapshot, 100), Object.entries(old));
      assert.ok(first.rows.length < 400 && first.next !== null);
      snapshot.release();
      snapshot.release();
      assert.equal(textOf(test.store.get("key001")), "new1");
    }),
  },
  {
    title: "a snapshot that is opened while a commit is under way shows the one before",
    run: using(async (test) => {
      await commit(test, 1, { a: "1" });
      test.store.begin(2, changes({ a: "2", b: "2" }));
      while (test.store.work(1) === "waiting") await test.pause();
      const snapshot = test.store.openSnapshot("a", "z");
      assert.deepEqual(readAll(snapshot, 10), [["a", "1"]]);
      await finish(test, 10);
      assert.deepEqual(readAll(snapshot, 10), [["a", "1"]]);
      snapshot.release();
      assert.equal(textOf(test.store.get("b")), "2");
    }),
  },
  {
    title: "rows that are not read to their end hold nothing back",
    run: using(async (test) => {
      await commit(test, 1, numbered(10, "v"));
      for (const [key] of test.store.rows("", null)) {
        assert.equal(key, "key000");
        break;
      }
      await commit(test, 2, numbered(10, "w"));
      assert.equal(textOf(test.store.get("key009")), "w9");
    }),
  },
];

function using(body: (test: StoreUnderTest) => Promise<void>): StoreCase["run"] {
  return async (open) => {
    const test = await open();
    try {
      await body(test);
    } finally {
      await test.close();
    }
  };
}

async function commit(
  test: StoreUnderTest,
  position: number,
  rows: Rows,
  rowsMax = 1000,
): Promise<string[]> {
  test.store.begin(position, changes(rows));
  return finish(test, rowsMax);
}

/** Gets on until the commit is done; returns what `work` said. */
async function finish(test: StoreUnderTest, rowsMax: number): Promise<string[]> {
  const said: string[] = [];
  for (let i = 0; i < 10_000; i += 1) {
    const progress = test.store.work(rowsMax);
    said.push(progress);
    if (progress === "done") return said;
    if (progress === "waiting") await test.pause();
  }
  throw new Error("the commit does not end");
}

function changes(rows: Rows): Iterator<readonly [ByteString, Uint8Array | null]> {
  return Object.entries(rows)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [key, value === null ? null : fromByteString(value)] as const)
    .values();
}

function numbered(count: number, value: string): Record<string, string> {
  const rows: Record<string, string> = {};
  for (let i = 0; i < count; i += 1) rows[`key${String(i).padStart(3, "0")}`] = `${value}${i}`;
  return rows;
}

function rowsOf(store: StateStore, from = "", to: string | null = null): [string, string][] {
  const keys = [...store.rows(from, to)].map(([key]) => key);
  assert.deepEqual([...store.keys(from, to)], keys);
  return [...store.rows(from, to)].map(([key, value]) => [key, toByteString(value)]);
}

function readAll(snapshot: SnapshotHandle, bytesMax: number): [string, string][] {
  const rows: [string, string][] = [];
  for (let cursor: number | null = 0; cursor !== null; ) {
    const chunk = snapshot.chunk(cursor, bytesMax);
    const reader = new ByteReader(chunk.rows);
    while (reader.remaining > 0) rows.push([reader.byteString(), toByteString(reader.bytes())]);
    cursor = chunk.next;
  }
  return rows;
}

function textOf(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : toByteString(value);
}
