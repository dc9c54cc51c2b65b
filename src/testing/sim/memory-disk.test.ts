import { describe, expect, it } from "vitest";
import { Prng } from "../../core/base/prng.ts";
import type { DiskCompletion } from "../../core/contract/disk.ts";
import { DISK_CASES, type DiskUnderTest } from "../disk-conformance.ts";
import { MemoryDisk } from "./memory-disk.ts";

function underTest(disk: MemoryDisk): DiskUnderTest {
  return {
    disk,
    settle: () => Promise.resolve(disk.drain()),
    reopen: () => {
      disk.crash({ kind: "lose" });
      return Promise.resolve(underTest(disk));
    },
    close: () => Promise.resolve(),
  };
}

/** A file `a` of eight bytes that is durable, and an unsynced write of ones over all of it. */
function withUnsynced(): MemoryDisk {
  const disk = new MemoryDisk();
  disk.create(1, "a", 8);
  disk.syncDirectory(2);
  disk.write(3, "a", 0, [new Uint8Array(8).fill(1)]);
  disk.drain();
  return disk;
}

function errors(completions: readonly DiskCompletion[]): (string | null)[] {
  return completions.map(({ error }) => error?.code ?? null);
}

describe("MemoryDisk", () => {
  for (const one of DISK_CASES) {
    it(one.title, () => one.run(() => Promise.resolve(underTest(new MemoryDisk()))));
  }

  it("forgets unsynced bytes and names in a crash, or keeps them", () => {
    const lost = withUnsynced();
    lost.create(4, "b", 1);
    lost.drain();
    const kept = lost.clone();
    lost.crash({ kind: "lose" });
    expect(lost.image()).toEqual(new Map([["a", new Uint8Array(8)]]));
    kept.crash({ kind: "keep" });
    expect(kept.list()).toEqual(["a", "b"]);
    expect(kept.read("a", 0, 8)).toEqual(new Uint8Array(8).fill(1));
  });

  it("keeps synced bytes and names in any crash", () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const disk = withUnsynced();
      disk.sync(4, "a");
      disk.rename(5, "a", "b");
      disk.syncDirectory(6);
      disk.drain();
      disk.crash({ kind: "random", prng: new Prng(seed) });
      expect(disk.image()).toEqual(new Map([["b", new Uint8Array(8).fill(1)]]));
    }
  });

  it("tears an unsynced write between sectors, and nothing else", () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 200; seed += 1) {
      const disk = new MemoryDisk();
      disk.create(1, "a", 2048);
      disk.syncDirectory(2);
      disk.write(3, "a", 500, [new Uint8Array(600).fill(1)]);
      disk.drain();
      disk.crash({ kind: "random", prng: new Prng(seed) });
      const bytes = disk.read("a", 0, 2048);
      const shares = [bytes.slice(500, 512), bytes.slice(512, 1024), bytes.slice(1024, 1100)];
      outcomes.add(shares.map((s) => (s.every((b) => b === s[0]) ? s[0] : "garbled")).join(" "));
      expect([...bytes.slice(0, 500), ...bytes.slice(1100)].every((b) => b === 0)).toBe(true);
    }
    for (const seen of ["0 0 0", "1 1 1", "1 0 1", "0 1 0", "1 1 0"])
      expect(outcomes).toContain(seen);
    expect([...outcomes].some((outcome) => outcome.includes("garbled"))).toBe(true);
  });

  it("carries out queued operations in a crash only up to some point per file", () => {
    const sizes = new Set<number>();
    for (let seed = 0; seed < 400; seed += 1) {
      const disk = new MemoryDisk();
      disk.create(1, "a", 0);
      disk.syncDirectory(2);
      disk.drain();
      for (let i = 0; i < 3; i += 1) {
        disk.write(3 + 2 * i, "a", i, [Uint8Array.of(i + 1)]);
        disk.sync(4 + 2 * i, "a");
      }
      disk.crash({ kind: "random", prng: new Prng(seed) });
      sizes.add(disk.size("a"));
      expect(disk.queued).toEqual([]);
    }
    expect([...sizes].sort((a, b) => a - b)).toEqual([0, 1, 2, 3]);
  });

  it("fails as told: halfway through a write, and for good at a sync", () => {
    const disk = withUnsynced();
    disk.fault = ({ kind }) =>
      kind === "write" || kind === "sync"
        ? { kind: "error", code: "DISK_FULL", bytesKept: 2 }
        : null;
    disk.write(4, "a", 0, [new Uint8Array(8).fill(9)]);
    disk.sync(5, "a");
    expect(errors(disk.drain())).toEqual(["DISK_FULL", "DISK_FULL"]);
    disk.fault = () => null;
    disk.sync(6, "a");
    expect(errors(disk.drain())).toEqual([null]);
    expect(disk.read("a", 0, 4)).toEqual(Uint8Array.of(9, 9, 1, 1));
    disk.crash({ kind: "lose" });
    expect(disk.read("a", 0, 4)).toEqual(new Uint8Array(4));
  });

  it("misdirects and drops writes without a word", () => {
    const disk = withUnsynced();
    disk.fault = ({ op }) => (op === 4 ? { kind: "misdirect", at: 6 } : { kind: "drop" });
    disk.write(4, "a", 0, [Uint8Array.of(5)]);
    disk.write(5, "a", 0, [Uint8Array.of(4)]);
    expect(errors(disk.drain())).toEqual([null, null]);
    expect(disk.read("a", 0, 8)).toEqual(Uint8Array.of(1, 1, 1, 1, 1, 1, 5, 1));
  });

  it("draws the order among files, and keeps each file's own", () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 50; seed += 1) {
      const disk = new MemoryDisk();
      disk.create(1, "a", 1);
      disk.write(2, "a", 0, []);
      disk.create(3, "b", 1);
      const ops = disk.drain(3, new Prng(seed)).map(({ op }) => op);
      expect(ops.indexOf(1)).toBeLessThan(ops.indexOf(2));
      orders.add(ops.join(" "));
    }
    expect([...orders].sort()).toEqual(["1 2 3", "1 3 2", "3 1 2"]);
  });

  it("damages a file for good", () => {
    const disk = withUnsynced();
    disk.damage("a", (bytes) => bytes.fill(3));
    disk.crash({ kind: "keep" });
    expect(disk.read("a", 0, 1)).toEqual(Uint8Array.of(3));
    disk.damage("a", () => null);
    expect(disk.list()).toEqual([]);
  });
});
