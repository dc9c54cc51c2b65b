import { describe, expect, it } from "vitest";
import { ByteReader, fromByteString } from "../../src/core/base/bytes.ts";
import { crc32 } from "../../src/core/base/hash.ts";
import { Prng } from "../../src/core/base/prng.ts";
import type { SnapshotHandle } from "../../src/core/contract/state-store.ts";
import {
  type CheckpointFileStore,
  openCheckpointFileStore,
} from "../../src/core/log/checkpoint-file-store.ts";
import { readRow } from "../../src/core/log/checkpoint-format.ts";
import { CheckpointError } from "../../src/core/log/checkpoint-reader.ts";
import { type CrashMode, MemoryDisk } from "../../src/testing/sim/memory-disk.ts";
import { StateRig, stateAfter, textOf } from "./state-rig.ts";

function open(disk: MemoryDisk, firstOp = 0): CheckpointFileStore {
  let op = firstOp;
  const nextOp = () => {
    op += 1;
    return op;
  };
  return openCheckpointFileStore({ disk, checksum: crc32, nextOp, chunkBytes: 64 });
}

/** Runs what is under way to its end; returns what `work` said. */
function finish(store: CheckpointFileStore, disk: MemoryDisk): string[] {
  const said: string[] = [];
  for (let i = 0; i < 10_000; i += 1) {
    const progress = store.work(3);
    said.push(progress);
    const completions = disk.drain(1);
    for (const completion of completions) store.onDisk(completion);
    if (progress === "idle" && completions.length === 0) return said;
    if (store.failure !== null) return said;
  }
  throw new Error("the commit does not end");
}

function commit(
  store: CheckpointFileStore,
  disk: MemoryDisk,
  position: number,
  rows: object,
): void {
  const changes = Object.entries(rows)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [key, value === null ? null : fromByteString(String(value))] as const);
  store.begin(position, changes.values());
  expect(finish(store, disk).filter((progress) => progress === "done")).toHaveLength(1);
}

function rowsOf(store: CheckpointFileStore): [string, string][] {
  return [...store.rows("", null)].map(([key, value]) => [key, textOf(value) ?? ""]);
}

function manyRows(count: number, value: string): Record<string, string> {
  const rows: Record<string, string> = {};
  for (let i = 0; i < count; i += 1) rows[`key${String(i).padStart(3, "0")}`] = `${value}${i}`;
  return rows;
}

/** All rows of a snapshot, read in pieces of this size. */
function readAll(snapshot: SnapshotHandle, bytesMax: number): [string, string][] {
  const rows: [string, string][] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const piece: { rows: Uint8Array; next: number | null } = snapshot.chunk(cursor, bytesMax);
    const reader = new ByteReader(piece.rows);
    while (reader.remaining > 0) {
      const [key, value] = readRow(reader);
      rows.push([key, textOf(value) ?? ""]);
    }
    cursor = piece.next;
  }
  return rows;
}

describe("CheckpointFileStore", () => {
  it("shows after reopening what was committed, and the position it goes with", () => {
    const disk = new MemoryDisk();
    const store = open(disk);
    expect([store.position, rowsOf(store)]).toEqual([0, []]);
    commit(store, disk, 100, { a: 1, b: 2, c: 3 });
    commit(store, disk, 200, { b: null, c: 30, d: 4 });
    const expected = [
      ["a", "1"],
      ["c", "30"],
      ["d", "4"],
    ];
    expect([store.position, rowsOf(store)]).toEqual([200, expected]);
    disk.crash({ kind: "lose" });
    const next = open(disk);
    expect([next.position, rowsOf(next)]).toEqual([200, expected]);
    expect(next.size).toBe(3);
    finish(next, disk);
    expect(disk.list()).toHaveLength(1);
  });

  it("holds many chunks, rows larger than a chunk, and nothing at all", () => {
    const disk = new MemoryDisk();
    const store = open(disk);
    commit(store, disk, 1, {});
    expect(rowsOf(open(disk))).toEqual([]);
    const rows = { ...manyRows(100, "v"), large: "x".repeat(1000) };
    commit(store, disk, 1, rows);
    const reopened = open(disk);
    expect(rowsOf(reopened)).toEqual(Object.entries(rows));
    expect(reopened.position).toBe(1);
  });

  it("works in slices and waits for the disk in between", () => {
    const disk = new MemoryDisk();
    const store = open(disk);
    store.begin(
      5,
      Object.entries(manyRows(100, "v"))
        .map(([k, v]) => [k, fromByteString(v)] as const)
        .values(),
    );
    const said: string[] = [];
    for (let i = 0; i < 60; i += 1) said.push(store.work(3));
    expect(said).toContain("working");
    expect(said.at(-1)).toBe("waiting");
    expect(disk.queued.length).toBeLessThan(10);
    expect(store.position).toBe(0);
  });

  it("refuses a checkpoint with any byte changed, and every shorter or longer one (S3, S7)", () => {
    const disk = new MemoryDisk();
    commit(open(disk), disk, 100, manyRows(12, "value"));
    const image = disk.image();
    const [[name, bytes]] = [...image] as [[string, Uint8Array]];
    const refused = (change: (bytes: Uint8Array) => Uint8Array) => {
      const damaged = MemoryDisk.from(image);
      damaged.damage(name, change);
      expect(() => open(damaged)).toThrow(CheckpointError);
    };
    for (let i = 0; i < bytes.length; i += 1) {
      for (const mask of [0x01, 0x80, 0xff]) {
        refused((b) => {
          b[i]! ^= mask;
          return b;
        });
      }
      refused((b) => b.slice(0, i));
    }
    refused((b) => Uint8Array.of(...b, 0));
    const renamed = new Map([[name.replace("100-", "101-"), bytes]]);
    expect(() => open(MemoryDisk.from(renamed))).toThrow(CheckpointError);
  });

  it("does not take a checkpoint whose bytes a lying disk lost for a smaller one (S2, S7)", () => {
    const disk = new MemoryDisk();
    const store = open(disk);
    disk.fault = (r) => (r.kind === "sync" ? { kind: "drop" } : null);
    commit(store, disk, 100, manyRows(12, "value"));
    disk.crash({ kind: "lose" });
    expect(() => open(disk)).toThrow(CheckpointError);
  });

  it("syncs the file before it is named, and the name before the old file goes (S1, S2)", () => {
    const disk = new MemoryDisk();
    const store = open(disk);
    commit(store, disk, 100, { a: 1 });
    const order: string[] = [];
    disk.fault = (request) => {
      order.push(request.kind);
      return null;
    };
    commit(store, disk, 200, { a: 2 });
    expect(order).toEqual([
      "create",
      "write",
      "write",
      "write",
      "sync",
      "rename",
      "syncDirectory",
      "remove",
    ]);
  });

  it("stops at a failed write or sync (S5, S6, STO8)", () => {
    for (const kind of ["create", "write", "sync", "rename", "syncDirectory"]) {
      const disk = new MemoryDisk();
      const store = open(disk);
      commit(store, disk, 100, { a: 1 });
      disk.fault = (r) => (r.kind === kind ? { kind: "error", code: "DISK_FULL" } : null);
      store.begin(200, [["a", fromByteString("2")] as const].values());
      expect(finish(store, disk)).not.toContain("done");
      expect(store.failure?.code).toBe("DISK_FULL");
      disk.fault = () => null;
      expect(store.work(10)).toBe("waiting");
      disk.crash({ kind: "lose" });
      expect(rowsOf(open(disk))).toEqual([["a", "1"]]);
    }
  });
});

describe("a snapshot", () => {
  it("reads a range in pieces of any size", () => {
    const disk = new MemoryDisk();
    const store = open(disk);
    const rows = manyRows(50, "v");
    commit(store, disk, 1, rows);
    const all = Object.entries(rows);
    for (const bytesMax of [1, 20, 64, 100, 10_000]) {
      for (const [from, to] of [
        ["", "\xff"],
        ["key010", "key030"],
        ["key0105", "key0105\0"],
        ["key049", "z"],
        ["z", "zz"],
        ["", "a"],
      ] as const) {
        const snapshot = store.openSnapshot(from, to);
        expect(readAll(snapshot, bytesMax)).toEqual(all.filter(([k]) => k >= from && k < to));
        snapshot.release();
      }
    }
  });

  it("stays as it is whatever is committed, until it is released", () => {
    const disk = new MemoryDisk();
    const store = open(disk);
    commit(store, disk, 1, manyRows(20, "old"));
    const first = store.openSnapshot("", "\xff");
    const second = store.openSnapshot("", "\xff");
    commit(store, disk, 1, manyRows(20, "new"));
    commit(store, disk, 2, manyRows(20, "newer"));
    expect(readAll(first, 50)).toEqual(Object.entries(manyRows(20, "old")));
    expect(disk.list()).toHaveLength(2);
    first.release();
    first.release();
    finish(store, disk);
    expect(readAll(second, 50)).toEqual(Object.entries(manyRows(20, "old")));
    second.release();
    finish(store, disk);
    expect(disk.list()).toHaveLength(1);
    expect(() => second.chunk(0, 10)).toThrow("after its release");
  });

  it("is empty before the first commit, and after reopening reads the file", () => {
    const disk = new MemoryDisk();
    const store = open(disk);
    expect(readAll(store.openSnapshot("", "\xff"), 10)).toEqual([]);
    commit(store, disk, 1, { a: 1 });
    expect(readAll(open(disk).openSnapshot("", "\xff"), 10)).toEqual([["a", "1"]]);
  });

  it("reports a file that changed beneath it", () => {
    const disk = new MemoryDisk();
    const store = open(disk);
    commit(store, disk, 1, { a: 1 });
    disk.damage(disk.list()[0]!, (b) => b.fill(9, 30, 31));
    expect(() => store.openSnapshot("", "\xff").chunk(0, 10)).toThrow(CheckpointError);
  });
});

/** Turns that set, overwrite and delete a dozen keys. */
const TURNS = Array.from({ length: 60 }, (_, i) => {
  const key = `key${(i * 7) % 12}`;
  return i % 5 === 4 ? key : `${key}=${"v".repeat((i * 13) % 90)}${i}`;
});

describe("Checkpointer", () => {
  it("starts by log volume, frees the log below, and replays from there", () => {
    const rig = new StateRig(new MemoryDisk()).settle();
    for (const turn of TURNS) {
      rig.change(turn);
      rig.settle();
      expect(rig.contents()).toEqual(stateAfter(TURNS.slice(0, rig.turns)));
    }
    expect(rig.checkpointer.completed).toBeGreaterThan(3);
    expect(rig.checkpointer.lastPosition).toBeGreaterThan(2000);
    expect(rig.disk.list().filter((name) => name.startsWith("log-")).length).toBeLessThan(4);
    expect(rig.disk.list().filter((name) => name.startsWith("checkpoint-"))).toHaveLength(1);
    const next = new StateRig(rig.disk);
    expect(next.turns).toBe(TURNS.length);
    expect(next.contents()).toEqual(stateAfter(TURNS));
  });

  it("starts when the memtable is large, and when asked to", () => {
    const rig = new StateRig(new MemoryDisk(), 1e9).settle();
    rig.change("a=1");
    rig.settle();
    expect([rig.checkpointer.completed, rig.checkpointer.busy]).toEqual([0, false]);
    const asked = rig.checkpointer.request();
    expect(rig.checkpointer.busy).toBe(true);
    rig.step(0);
    expect(rig.checkpointer.isRunning).toBe(true);
    rig.change("b=2");
    const askedAgain = rig.checkpointer.request();
    rig.settle();
    expect([asked, askedAgain, rig.checkpointer.completed]).toEqual([1, 2, 2]);
    expect(rig.checkpointer.lastPosition).toBe(rig.log.position);
    expect(rig.memtable.bytes).toBe(0);
  });

  it("never covers more than the synced log (STO5)", () => {
    const rig = new StateRig(new MemoryDisk(), 1e9).settle();
    rig.change("a=1");
    rig.checkpointer.request();
    for (let i = 0; i < 5; i += 1) rig.step(0);
    expect(rig.disk.queued.map((request) => request.kind)).toEqual(["write", "sync"]);
    rig.step(2);
    expect(rig.disk.queued.some((request) => request.kind === "create")).toBe(false);
    rig.settle();
    expect(rig.checkpointer.completed).toBe(1);
  });

  it.each([
    ["loses all that is unsynced", (): CrashMode => ({ kind: "lose" })],
    ["keeps all that is unsynced", (): CrashMode => ({ kind: "keep" })],
    ["keeps some of it", (prng: Prng): CrashMode => ({ kind: "random", prng })],
  ])("survives a crash at every operation: the disk %s", (_, mode) => {
    let checkpoints = 0;
    for (let steps = 0; steps < 220; steps += 1) {
      const prng = new Prng(steps);
      const disk = new MemoryDisk();
      let rig = new StateRig(disk);
      // Crash, go on from what is left, crash again sooner.
      for (const life of [steps, steps >> 1, 7]) {
        const before = rig.turns;
        for (let i = 0; i < life && rig.turns < TURNS.length; i += 1) {
          if (prng.chance(1, 2)) rig.change(TURNS[rig.turns]!);
          rig.step(1, prng);
        }
        checkpoints += rig.checkpointer.completed;
        const promised = Math.max(before, rig.promised);
        const reached = rig.turns;
        disk.crash(mode(prng));
        rig = new StateRig(disk);
        expect(rig.turns).toBeGreaterThanOrEqual(promised);
        expect(rig.turns).toBeLessThanOrEqual(reached);
        expect(rig.contents()).toEqual(stateAfter(TURNS.slice(0, rig.turns)));
      }
    }
    expect(checkpoints).toBeGreaterThan(200);
  });
});
