import { beforeEach, describe, expect, test } from "vitest";
import { fromByteString } from "../../base/bytes.ts";
import { NO_ROWS } from "../../base/row-hash.ts";
import { MemoryStore } from "../../log/memory-store.ts";
import { Memtable } from "../../log/memtable.ts";
import {
  collectionOf,
  collectionRow,
  countOf,
  MAP,
  putCount,
  putDeadline,
  REGISTER,
  VALUE_AT,
  versionOf,
} from "../../values/row.ts";
import { ChangeLog } from "./change-log.ts";
import { KeyspaceState } from "./keyspace-state.ts";
import { NO_KEYS } from "./rows.ts";
import { StateRows } from "./state-rows.ts";

let memtable: Memtable;
let changes: ChangeLog;
let rows: StateRows;
let state: KeyspaceState;
let index = 0;

beforeEach(() => {
  memtable = new Memtable(new MemoryStore());
  changes = new ChangeLog();
  rows = new StateRows(memtable, "p", "q", NO_ROWS);
  state = new KeyspaceState(rows, "p", NO_KEYS, changes);
  index = 0;
});

/** One entry: what it changes, at a log time. */
function apply(time: number, change: () => void): void {
  index += 1;
  state.begin(index, time);
  change();
  state.commit();
}

function register(key: string, deadline = 0): void {
  const row = state.take(VALUE_AT + 1);
  row[0] = REGISTER;
  putDeadline(row, deadline);
  state.set(key, row);
}

/** A new map of so many fields under the key. */
function map(key: string, fields: number, deadline = 0): void {
  const id = state.newCollection();
  for (let i = 0; i < fields; i += 1) state.setField(id, `f${i}`, Uint8Array.of(i));
  const row = collectionRow(state, MAP, id, fields);
  putDeadline(row, deadline);
  state.set(key, row);
}

function keys(): string[] {
  return [...state.rows("", null)].map(([key]) => key);
}

/** What is stored, table by table: keys, fields, deadlines, graves. */
function tables(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [key] of memtable.rows("", null)) {
    const table = key[1]!;
    counts[table] = (counts[table] ?? 0) + 1;
  }
  return counts;
}

describe("versions", () => {
  test("a row has the index of the entry that last changed its key", () => {
    apply(0, () => register("a"));
    apply(0, () => register("b"));
    expect(versionOf(state.get("a")!)).toBe(1);
    apply(0, () => register("a"));
    expect([versionOf(state.get("a")!), versionOf(state.get("b")!)]).toEqual([3, 2]);
  });

  test("what a command takes back is not there, and not counted", () => {
    state.begin(1, 0);
    register("a");
    expect(state.changedBytes).toBeGreaterThan(0);
    state.rollBack();
    expect([state.changedBytes, state.size, state.get("a")]).toEqual([0, 0, undefined]);
  });
});

describe("deadlines (GEN7)", () => {
  test("a key dies at the first entry whose time reaches its deadline, and not before", () => {
    apply(100, () => register("a", 200));
    state.begin(2, 199);
    expect(keys()).toEqual(["a"]);
    state.begin(3, 200);
    expect(keys()).toEqual([]);
    expect(state.get("a")).toBeUndefined();
    expect(state.delete("a")).toBe(false);
  });

  test("the earliest deadline to come is told of what was looked at, and of nothing else", () => {
    apply(100, () => {
      register("a", 300);
      register("b", 200);
      register("c");
    });
    state.soonest = Number.POSITIVE_INFINITY;
    state.get("c");
    expect(state.soonest).toBe(Number.POSITIVE_INFINITY);
    state.get("a");
    expect(state.soonest).toBe(300);
    keys();
    expect(state.soonest).toBe(200);
  });

  test("dead keys are removed in the order of their deadlines, a few at a time", () => {
    apply(0, () => {
      for (let i = 0; i < 5; i += 1) register(`k${i}`, 50 - i);
    });
    expect(state.counts).toEqual({ keys: 5, expiring: 5, collections: 0 });
    expect([state.isDue(45), state.isDue(46)]).toEqual([false, true]);
    state.begin(2, 100);
    state.sweep(2);
    expect(tables()).toEqual({ k: 3, x: 3 });
    expect([...memtable.rows("pk", "pl")].map(([key]) => key)).toEqual([
      "pk" + "k0",
      "pkk1",
      "pkk2",
    ]);
    state.sweep(2);
    state.sweep(2);
    expect([tables(), state.counts.keys, state.isDue(1e9)]).toEqual([{}, 0, false]);
  });

  test("another deadline, another value or none takes the place of the one before", () => {
    apply(0, () => register("a", 10));
    apply(1, () => register("a", 30));
    apply(2, () => register("b", 10));
    apply(3, () => register("b"));
    apply(4, () => register("c", 10));
    apply(5, () => state.delete("c"));
    expect([tables(), state.counts.expiring]).toEqual([{ k: 2, x: 1 }, 1]);
    state.begin(7, 20);
    state.sweep(9);
    expect(keys()).toEqual(["a", "b"]);
  });

  test("a dead key that was not removed yet is overwritten as if it were not there", () => {
    apply(0, () => map("a", 2, 10));
    apply(20, () => register("a"));
    state.sweep(100);
    expect([tables(), state.counts]).toEqual([{ k: 1 }, { keys: 1, expiring: 0, collections: 0 }]);
  });
});

describe("collections", () => {
  test("fields lie under an id that is never used again", () => {
    apply(0, () => map("a", 2));
    const first = collectionOf(state.get("a")!);
    apply(0, () => map("a", 1));
    const second = collectionOf(state.get("a")!);
    expect(second > first).toBe(true);
    expect([...state.fields(second, "", null)]).toEqual([["f0", Uint8Array.of(0)]]);
    expect([...fromByteString(first)]).toEqual([0, 0, 0, 0, 0, 1, 0, 1]);
  });

  test("what a deleted or replaced collection leaves behind is removed in slices", () => {
    apply(0, () => map("a", 5));
    apply(0, () => map("b", 3));
    apply(0, () => state.delete("a"));
    apply(0, () => register("b"));
    expect([tables(), state.isDue(0)]).toEqual([{ k: 1, f: 8, g: 2 }, true]);
    state.sweep(4);
    expect(tables()).toEqual({ k: 1, f: 4, g: 2 });
    // One field and its grave, and two of the other collection.
    state.sweep(4);
    expect(tables()).toEqual({ k: 1, f: 1, g: 1 });
    state.sweep(4);
    expect([tables(), state.isDue(0)]).toEqual([{ k: 1 }, false]);
  });

  test("another name for the key keeps the fields", () => {
    apply(0, () => map("a", 2));
    apply(0, () => {
      state.set("b", state.get("a")!.slice());
      state.delete("a");
    });
    expect([tables(), state.counts.collections]).toEqual([{ k: 1, f: 2 }, 1]);
    apply(0, () => {
      state.delete("b");
      register("c");
    });
    state.sweep(100);
    expect(tables()).toEqual({ k: 1 });
  });

  test("what its own command gives up again is removed too", () => {
    apply(0, () => {
      map("a", 2);
      state.delete("a");
      map("b", 1);
      register("b");
      map("c", 3);
      map("c", 1);
      map("d", 1);
      state.set("e", state.get("d")!.slice());
      state.delete("d");
    });
    expect([tables(), keys()]).toEqual([{ k: 3, f: 8, g: 3 }, ["b", "c", "e"]]);
    state.sweep(100);
    expect([tables(), state.isDue(0)]).toEqual([{ k: 3, f: 2 }, false]);
    expect([...state.fields(collectionOf(state.get("e")!), "", null)]).toHaveLength(1);
  });

  test("a sweep within the entry that made a collection leaves it alone", () => {
    apply(0, () => register("dead", 1));
    apply(1, () => map("a", 2));
    state.sweep(100);
    expect(tables()).toEqual({ k: 1, f: 2 });
  });

  test("one whose fields alone change keeps its deadline and is counted once", () => {
    apply(0, () => map("a", 2, 10));
    apply(1, () => {
      const row = state.get("a")!.slice();
      state.addField(collectionOf(row), "f9");
      putCount(row, 3);
      state.set("a", row);
    });
    expect([versionOf(state.get("a")!), countOf(state.get("a")!)]).toEqual([2, 3]);
    const told = changes.read(0, "", 10, 2).changes.map(({ index: at, key }) => [at, key]);
    expect(told).toEqual([
      [1, "a"],
      [2, "a"],
    ]);
    expect([tables(), state.counts]).toEqual([
      { k: 1, f: 3, x: 1 },
      { keys: 1, expiring: 1, collections: 1 },
    ]);
    state.begin(3, 10);
    state.sweep(100);
    state.sweep(100);
    expect([tables(), state.counts]).toEqual([{}, NO_KEYS]);
  });

  test("a dead collection goes with its fields", () => {
    apply(0, () => map("a", 10, 5));
    state.begin(2, 5);
    for (let left = 10; left > 0; left -= 1) state.sweep(4);
    expect([tables(), state.counts]).toEqual([{}, NO_KEYS]);
  });

  test("a field is new once, and sees what its own command did", () => {
    apply(0, () => {
      const id = state.newCollection();
      expect(state.setField(id, "f", Uint8Array.of(1))).toBe(true);
      expect(state.setField(id, "f", Uint8Array.of(2))).toBe(false);
      expect(state.field(id, "f")).toEqual(Uint8Array.of(2));
      expect([state.deleteField(id, "f"), state.deleteField(id, "f")]).toEqual([true, false]);
      expect([...state.fields(id, "", null)]).toEqual([]);
      expect([state.addField(id, "g"), state.addField(id, "g")]).toEqual([true, false]);
    });
  });

  test("what a command has looked at is counted until it is over", () => {
    apply(0, () => map("a", 5));
    const id = collectionOf(state.get("a")!);
    state.begin(2, 0);
    expect(state.visited).toBe(0);
    state.field(id, "f1");
    state.field(id, "none");
    expect(state.visited).toBe(2);
    expect([...state.fields(id, "", null)]).toHaveLength(5);
    expect(state.visited).toBe(8);
    state.rollBack();
    expect(state.visited).toBe(0);
  });
});

test("a state made of what another one stored goes on where that one was", () => {
  apply(0, () => register("a", 10));
  apply(0, () => map("b", 6));
  apply(0, () => state.delete("b"));
  state.sweep(2);
  const other = new KeyspaceState(rows, "p", state.counts, new ChangeLog());
  other.begin(9, 10);
  expect(other.isDue(10)).toBe(true);
  other.sweep(100);
  expect([tables(), other.counts, other.isDue(1e9)]).toEqual([{}, NO_KEYS, false]);
});

test("a key that a command deletes and that was never there leaves nothing", () => {
  apply(0, () => {
    register("a");
    state.delete("a");
  });
  expect([tables(), state.size]).toEqual([{}, 0]);
});

test("the size within a command counts what it adds and removes", () => {
  apply(0, () => register("a"));
  state.begin(2, 0);
  register("b");
  map("c", 3);
  expect(state.size).toBe(3);
  state.delete("a");
  expect(state.size).toBe(2);
  state.commit();
  expect(state.size).toBe(2);
});
