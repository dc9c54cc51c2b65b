import { expect, test } from "vitest";
import { groupId } from "../contract/ids.ts";
import { MemoryStore } from "../log/memory-store.ts";
import { Memtable } from "../log/memtable.ts";
import { bigEndian, groupPrefix } from "../replication/single-leader/rows.ts";
import { DROPPED_ROWS_PER_TURN, DroppedRows, groupsWithRows } from "./dropped-rows.ts";

const [A, B, C] = [groupId(0, 0), groupId(7, 0), groupId(0xffff_ffff, 0)] as const;

function fill(memtable: Memtable, group: number, rows: number, bytes = 1): void {
  for (let i = 0; i < rows; i += 1) {
    memtable.put(`${groupPrefix(group)}d0${bigEndian(i)}`, new Uint8Array(bytes));
  }
}

function count(memtable: Memtable, group: number): number {
  return [...memtable.rows(groupPrefix(group), groupPrefix(group + 1))].length;
}

/** Everything in the memtable goes to the store, as by a checkpoint. */
function checkpoint(memtable: Memtable, store: MemoryStore): void {
  memtable.freeze();
  store.begin(1, memtable.frozenChanges());
  while (store.work(1_000_000) !== "done") {}
  memtable.dropFrozen();
}

test("groups are found by their rows, in memory and in the store", () => {
  const store = new MemoryStore();
  const memtable = new Memtable(store);
  expect(groupsWithRows(memtable)).toEqual([]);
  fill(memtable, B, 3);
  checkpoint(memtable, store);
  fill(memtable, A, 2);
  fill(memtable, C, 1);
  expect(groupsWithRows(memtable)).toEqual([A, B, C]);
});

test("a group's rows go slice by slice, and nobody else's", () => {
  const store = new MemoryStore();
  const memtable = new Memtable(store);
  fill(memtable, A, 10);
  fill(memtable, B, 2 * DROPPED_ROWS_PER_TURN + 5);
  fill(memtable, C, 10);
  checkpoint(memtable, store);
  fill(memtable, B, 3);
  const dropped = new DroppedRows(memtable, () => {});
  expect(dropped.isDue).toBe(false);
  dropped.add(B);
  const left: number[] = [];
  while (dropped.isDue) {
    dropped.work();
    left.push(count(memtable, B));
  }
  expect(left).toEqual([DROPPED_ROWS_PER_TURN + 5, 5, 0]);
  expect([count(memtable, A), count(memtable, C)]).toEqual([10, 10]);
  checkpoint(memtable, store);
  expect(groupsWithRows(memtable)).toEqual([A, C]);
});

test("it waits for a checkpoint where there is too much in memory already", () => {
  const store = new MemoryStore();
  const memtable = new Memtable(store);
  fill(memtable, B, 600);
  checkpoint(memtable, store);
  fill(memtable, A, 2, 9 << 20);
  let requested = 0;
  const dropped = new DroppedRows(memtable, () => {
    requested += 1;
  });
  dropped.add(B);
  dropped.work();
  expect([dropped.isDue, count(memtable, B), requested]).toEqual([false, 600, 1]);
  checkpoint(memtable, store);
  while (dropped.isDue) dropped.work();
  expect(count(memtable, B)).toBe(0);
});
