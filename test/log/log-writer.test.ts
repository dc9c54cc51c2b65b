import { describe, expect, it } from "vitest";
import { crc32 } from "../../src/core/base/hash.ts";
import { Prng } from "../../src/core/base/prng.ts";
import { recordBytesMax, segmentName } from "../../src/core/log/format.ts";
import { recoverLog } from "../../src/core/log/recovery.ts";
import { type CrashMode, MemoryDisk } from "../../src/testing/sim/memory-disk.ts";
import { batchesOf, LogRig, SEGMENT_BYTES, texts } from "./log-rig.ts";

function reopened(disk: MemoryDisk, from = 0): string[] {
  return texts(recoverLog(disk, crc32, from));
}

/** What the writer asks of the disk from now on, in words. */
function kinds(disk: MemoryDisk): string[] {
  return disk.queued.map((request) => request.kind);
}

describe("LogWriter", () => {
  it("writes and syncs once for all that arrives during a sync (group commit)", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append("a");
    rig.append("b");
    rig.append("c");
    expect(kinds(rig.disk)).toEqual(["write", "sync"]);
    rig.step(2);
    expect(rig.writer.written).toBe(1);
    expect(kinds(rig.disk)).toEqual(["write", "sync"]);
    rig.step(2);
    expect(rig.writer.written).toBe(3);
    expect(rig.writer.queuedBytes).toBe(0);
    expect(reopened(rig.disk)).toEqual(["a", "b", "c"]);
  });

  it("promises nothing before the sync is done", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append("a");
    rig.step(1);
    expect(rig.writer.written).toBe(0);
    expect(rig.writer.queuedBytes).toBeGreaterThan(0);
    rig.step(1);
    expect(rig.writer.written).toBe(1);
  });

  it("lets a promise without records queue behind all earlier writes", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append();
    expect(rig.writer.written).toBe(1);
    rig.append("a");
    rig.append();
    expect(rig.writer.written).toBe(1);
    rig.append("b");
    rig.append();
    rig.step(2);
    expect(rig.writer.written).toBe(3);
    rig.settle();
    expect(rig.writer.written).toBe(5);
  });

  it("promises nothing on recovered records before they are certainly durable", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append("a");
    rig.step(1);
    // Killed, not crashed: the page cache has the record, the disk does not.
    const next = new LogRig(rig.disk);
    expect(next.recovered).toEqual(["a"]);
    next.append();
    expect(next.writer.written).toBe(0);
    next.settle();
    expect(next.writer.written).toBe(1);
    rig.disk.crash({ kind: "lose" });
    expect(reopened(rig.disk)).toEqual(["a"]);
  });

  it("creates a segment before it is needed, and uses none whose name is not durable (S1)", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    const name = segmentName(SEGMENT_BYTES);
    rig.append("x".repeat(300));
    rig.settle();
    expect(rig.disk.size(name)).toBe(-1);
    rig.append("y".repeat(300));
    rig.settle();
    expect(rig.disk.size(name)).toBe(SEGMENT_BYTES);
    // The name must survive now, before anything is in the file.
    rig.disk.crash({ kind: "lose" });
    expect(rig.disk.size(name)).toBe(SEGMENT_BYTES);
  });

  it("holds a batch back until the segment it goes to is ready", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append("x".repeat(800));
    rig.append("y".repeat(800));
    rig.append("z".repeat(800));
    const order: string[] = [];
    for (;;) {
      const next = rig.disk.queued[0];
      if (next === undefined) break;
      order.push(
        next.kind === "syncDirectory" ? "dir" : `${next.kind} ${Number(next.name.slice(4))}`,
      );
      rig.step();
    }
    const at = (what: string, from = 0) => order.indexOf(what, from);
    for (const first of [SEGMENT_BYTES, 2 * SEGMENT_BYTES]) {
      const header = at(`write ${first}`);
      expect(at(`create ${first}`)).toBeLessThan(header);
      const ready = at("dir", header);
      expect(ready).toBeGreaterThan(header);
      expect(at(`write ${first}`, header + 1)).toBeGreaterThan(ready);
    }
    expect(rig.writer.written).toBe(3);
    expect(reopened(rig.disk)).toHaveLength(3);
  });

  it("takes more than a segment before the first one exists", () => {
    const rig = new LogRig(new MemoryDisk());
    for (let i = 0; i < 12; i += 1) rig.append(`${i} `.padEnd(400, "x"));
    rig.settle();
    expect(rig.writer.written).toBe(12);
    expect(reopened(rig.disk)).toHaveLength(12);
    expect(rig.disk.list()[0]).toBe(segmentName(0));
  });

  it("acknowledges a turn that spans two segments only when both are synced (S12)", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append("x".repeat(600), "y".repeat(600), "z".repeat(600));
    const seen: number[] = [];
    while (rig.step()) {
      const isDurable = reopened(crashed(rig.disk, { kind: "lose" })).length === 3;
      if (rig.writer.written === 1) expect(isDurable).toBe(true);
      seen.push(rig.writer.written);
    }
    expect(seen).toContain(0);
    expect(seen.at(-1)).toBe(1);
    expect(batchesOf(rig.disk).map((b) => b.continues)).toEqual([true, true, false]);
  });

  it("keeps a turn whole or not at all, also one that spans segments", () => {
    const prng = new Prng(11);
    const outcomes = new Set<number>();
    for (let run = 0; run < 200; run += 1) {
      const rig = new LogRig(new MemoryDisk()).settle();
      rig.append("first");
      rig.settle();
      rig.append("x".repeat(600), "y".repeat(600), "z".repeat(600));
      const steps = prng.below(24);
      for (let i = 0; i < steps; i += 1) rig.step();
      rig.disk.crash({ kind: "random", prng });
      const next = new LogRig(rig.disk).settle();
      expect([1, 4]).toContain(next.recovered.length);
      if (rig.writer.written === 2) expect(next.recovered.length).toBe(4);
      outcomes.add(next.recovered.length);
      next.append("after");
      next.settle();
      expect(reopened(rig.disk)).toEqual([...next.recovered, "after"]);
    }
    expect([...outcomes].sort((a, b) => a - b)).toEqual([1, 4]);
  });

  it("takes a record of the largest size and refuses a larger one", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    const max = recordBytesMax(SEGMENT_BYTES);
    rig.append("a".repeat(max));
    rig.append("b".repeat(max));
    rig.settle();
    expect(reopened(rig.disk).map((text) => text.length)).toEqual([max, max]);
    expect(() => rig.append("c".repeat(max + 1))).toThrow("fits no segment");
  });

  it("writes one mark when it falls idle, then is quiet (STO3)", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    expect(rig.writer.deadline()).toBeNull();
    rig.now = 1000;
    rig.append("a");
    expect(rig.writer.deadline()).toBeNull();
    rig.settle();
    expect(rig.writer.deadline()).toBe(1050);
    rig.now = 1049;
    rig.step();
    expect(kinds(rig.disk)).toEqual([]);
    rig.now = 1050;
    rig.step();
    rig.settle();
    const [record, mark] = batchesOf(rig.disk);
    expect(mark).toMatchObject({ records: 0, synced: record?.end });
    expect(rig.writer.deadline()).toBeNull();
    rig.now = 9000;
    rig.step();
    expect(kinds(rig.disk)).toEqual([]);
  });

  it("removes the segments below a checkpoint, and replays from it", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    for (let i = 0; i < 8; i += 1) {
      rig.append(`${i}`.repeat(400));
      rig.settle();
    }
    const position = rig.writer.position;
    rig.writer.freeBefore(position);
    rig.settle();
    expect(rig.disk.list()[0]).toBe(segmentName(3 * SEGMENT_BYTES));
    rig.append("after");
    rig.settle();
    rig.disk.crash({ kind: "lose" });
    expect(rig.disk.list()[0]).toBe(segmentName(3 * SEGMENT_BYTES));
    expect(reopened(rig.disk, position)).toEqual(["after"]);
    expect(recoverLog(rig.disk, crc32, 0).kind).toBe("corrupt");
  });

  it("goes on with segments of another size", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    for (let i = 0; i < 3; i += 1) rig.append("x".repeat(700));
    rig.settle();
    const larger = new LogRig(rig.disk, 0, 4096).settle();
    for (let i = 0; i < 4; i += 1) larger.append("y".repeat(3000));
    larger.settle();
    const smaller = new LogRig(rig.disk, 0, 512).settle();
    for (let i = 0; i < 9; i += 1) smaller.append("z".repeat(300));
    smaller.settle();
    const last = new LogRig(rig.disk);
    expect(last.recovered.map((text) => text[0]).join("")).toBe("xxxyyyyzzzzzzzzz");
  });
});

describe("LogWriter when the disk fails", () => {
  it("stops at a failed sync and never tries again (S5, STO8)", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append("a");
    rig.settle();
    rig.append("b");
    rig.disk.fault = (r) => (r.kind === "sync" ? { kind: "error", code: "DISK_FAILED" } : null);
    rig.settle();
    expect(rig.writer.failure?.code).toBe("DISK_FAILED");
    rig.disk.fault = () => null;
    rig.append("c");
    rig.settle();
    expect(rig.writer.written).toBe(1);
    expect(rig.disk.queued).toEqual([]);
  });

  it("writes what a failed sync left in the page cache again before it counts on it", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append("a");
    rig.disk.fault = (r) => (r.kind === "sync" ? { kind: "error", code: "DISK_FAILED" } : null);
    rig.settle();
    rig.disk.fault = () => null;
    // The next process sees the record, and a sync alone would leave it where it is: nowhere.
    const next = new LogRig(rig.disk).settle();
    expect(next.recovered).toEqual(["a"]);
    next.append();
    expect(next.writer.written).toBe(1);
    rig.disk.crash({ kind: "lose" });
    expect(reopened(rig.disk)).toEqual(["a"]);
  });

  it("stops at a full disk, and half a batch never counts (S6)", () => {
    for (let bytesKept = 0; bytesKept < 150; bytesKept += 1) {
      const rig = new LogRig(new MemoryDisk()).settle();
      rig.append("a");
      rig.settle();
      rig.disk.fault = (r) =>
        r.kind === "write" ? { kind: "error", code: "DISK_FULL", bytesKept } : null;
      rig.append("b".repeat(100));
      rig.settle();
      expect(rig.writer.failure?.code).toBe("DISK_FULL");
      expect(rig.writer.written).toBe(1);
      rig.disk.fault = () => null;
      const next = new LogRig(rig.disk).settle();
      expect(next.recovered).toEqual(["a"]);
      next.append("c");
      next.settle();
      expect(reopened(rig.disk)).toEqual(["a", "c"]);
    }
  });

  it("passes on a failure to create a segment", () => {
    const rig = new LogRig(new MemoryDisk());
    rig.disk.fault = (r) => (r.kind === "create" ? { kind: "error", code: "DISK_FULL" } : null);
    rig.append("a");
    rig.settle();
    expect(rig.writer.failure?.code).toBe("DISK_FULL");
    expect(rig.writer.written).toBe(0);
  });

  it("finds a write that was dropped or went elsewhere, once a later one is there (S4)", () => {
    for (const fault of [{ kind: "drop" } as const, { kind: "misdirect", at: 700 } as const]) {
      const rig = new LogRig(new MemoryDisk()).settle();
      rig.append("a");
      rig.settle();
      rig.append("b");
      rig.disk.fault = (r) => (r.kind === "write" ? fault : null);
      rig.step(1);
      rig.disk.fault = () => null;
      rig.settle();
      expect(rig.writer.written).toBe(2);
      rig.mark();
      expect(recoverLog(rig.disk, crc32, 0).kind).toBe("corrupt");
    }
  });
});

describe("a crash of the node", () => {
  it("never brings stale bytes of an earlier life back", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append("kept");
    rig.append("lost");
    rig.append("stale");
    rig.settle();
    const [, lost] = batchesOf(rig.disk);
    const length = lost!.end - lost!.position;
    const bytes = rig.disk.read(segmentName(0), lost!.offset, length);
    // Of the two, only the later one reached the disk.
    rig.disk.damage(segmentName(0), (b) => b.fill(0, lost!.offset, lost!.offset + 20));
    const next = new LogRig(rig.disk).settle();
    expect(next.recovered).toEqual(["kept"]);
    expect(next.tornBytes).toBeGreaterThan(0);
    // The very same turn again: were the old bytes still there, they would follow it seamlessly.
    next.append("lost");
    next.settle();
    expect(rig.disk.read(segmentName(0), lost!.offset, length)).toEqual(bytes);
    expect(reopened(rig.disk)).toEqual(["kept", "lost"]);
  });

  it.each([
    ["loses all that is unsynced", (): CrashMode => ({ kind: "lose" })],
    ["keeps all that is unsynced", (): CrashMode => ({ kind: "keep" })],
    ["keeps some of it", (prng: Prng): CrashMode => ({ kind: "random", prng })],
  ])("at any operation loses no promise and invents nothing: the disk %s", (_, mode) => {
    let crashes = 0;
    for (let steps = 0; steps < 120; steps += 1) {
      const prng = new Prng(steps);
      const life = new Life(new MemoryDisk(), prng);
      for (let lives = 0; lives < 5; lives += 1) {
        life.run(steps);
        life.crash(mode(prng));
        crashes += 1;
      }
    }
    expect(crashes).toBe(600);
  });
});

/** Lives of one node, and what it was promised in them. */
class Life {
  readonly #disk: MemoryDisk;
  readonly #prng: Prng;
  #rig: LogRig;
  /** Turns that must still be there, and turns that may be. */
  #durable: string[] = [];
  #pending: { readonly batch: number; readonly text: string }[] = [];
  #names = 0;

  constructor(disk: MemoryDisk, prng: Prng) {
    this.#disk = disk;
    this.#prng = prng;
    this.#rig = new LogRig(disk);
  }

  /** Appends now and then while the disk carries out this many operations. */
  run(steps: number): void {
    for (let i = 0; i < steps; i += 1) {
      if (this.#prng.chance(1, 3)) this.#append();
      if (this.#prng.chance(1, 20)) this.#rig.now += 100;
      this.#rig.step(1, this.#prng);
      this.#collect();
    }
  }

  crash(mode: CrashMode): void {
    this.#disk.crash(mode);
    this.#rig = new LogRig(this.#disk);
    const { recovered } = this.#rig;
    const possible = [...this.#durable, ...this.#pending.map(({ text }) => text)];
    expect(recovered.length).toBeGreaterThanOrEqual(this.#durable.length);
    expect(recovered).toEqual(possible.slice(0, recovered.length));
    this.#durable = [...recovered];
    this.#pending = [];
  }

  #append(): void {
    this.#names += 1;
    const text = `turn ${this.#names} `.padEnd(this.#prng.between(8, 300), "x");
    this.#pending.push({ batch: this.#rig.append(text), text });
  }

  #collect(): void {
    while (this.#pending[0] !== undefined && this.#pending[0].batch <= this.#rig.writer.written) {
      this.#durable.push(this.#pending.shift()!.text);
    }
  }
}

/** The disk as a crash right now would leave it; the original goes on. */
function crashed(disk: MemoryDisk, mode: CrashMode): MemoryDisk {
  const copy = disk.clone();
  copy.crash(mode);
  return copy;
}
