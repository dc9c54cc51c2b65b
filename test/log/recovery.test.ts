import { describe, expect, it } from "vitest";
import { crc32 } from "../../src/core/base/hash.ts";
import { Prng } from "../../src/core/base/prng.ts";
import { SEGMENT_HEADER_BYTES, segmentName } from "../../src/core/log/format.ts";
import { recoverLog } from "../../src/core/log/recovery.ts";
import { MemoryDisk } from "../../src/testing/sim/memory-disk.ts";
import { batchesOf, type FoundBatch, LogRig, SEGMENT_BYTES, texts } from "./log-rig.ts";

/** A log over three segments: group commits of several turns, a turn of three records, no mark. */
function smallLog(): LogRig {
  const rig = new LogRig(new MemoryDisk()).settle();
  let n = 0;
  const text = (length: number) => {
    n += 1;
    return `record ${n} `.padEnd(length, "x");
  };
  for (let round = 0; round < 4; round += 1) {
    // The second and third of these wait for the first one's sync and share the next.
    rig.append(text(100));
    rig.append(text(40), text(0), text(60));
    rig.append(text(200));
    rig.settle();
  }
  return rig;
}

const whole = smallLog();
const image = whole.disk.image();
const batches = batchesOf(whole.disk);
const all = texts(recoverLog(whole.disk, crc32, 0));

/** Records of the batches that end at or before this position. */
function prefix(position: number): string[] {
  let count = 0;
  for (const batch of batches) if (batch.end <= position) count += batch.records;
  return all.slice(0, count);
}

function recover(change: (disk: MemoryDisk) => void, from = 0) {
  const disk = MemoryDisk.from(image);
  change(disk);
  return recoverLog(disk, crc32, from);
}

/** The highest sync that any batch but this one speaks of. */
function marked(except?: FoundBatch): number {
  return Math.max(0, ...batches.filter((b) => b !== except).map((b) => b.synced));
}

describe("the recovery scan", () => {
  it("reads the whole log, over several segments", () => {
    expect(batches.length).toBe(12);
    expect(new Set(batches.map((b) => b.segment)).size).toBe(3);
    expect(all.length).toBe(20);
    expect(all[0]).toContain("record 1 ");
    expect(all[19]).toContain("record 20 ");
  });

  it("cuts a tail that ends at any byte back to the last whole batch", () => {
    for (const batch of batches) {
      for (let kept = 0; kept < batch.end - batch.position; kept += 1) {
        const cut = recover((disk) => {
          for (const name of disk.list()) {
            if (name < batch.segment) continue;
            const to = name === batch.segment ? batch.offset + kept : SEGMENT_HEADER_BYTES;
            disk.damage(name, (bytes) => bytes.fill(0, to));
          }
        });
        expect(texts(cut)).toEqual(prefix(batch.position));
        expect(cut.kind === "ok" && cut.tornBytes > 0).toBe(kept > 0);
      }
    }
  });

  it("cuts garbage above the highest mark that is left, and refuses it below", () => {
    const outcomes = { ok: 0, corrupt: 0 };
    for (const [at, batch] of batches.entries()) {
      const before = batches[at - 1]?.end ?? 0;
      const left = batches.filter((b, i) => i < at || b.segment > batch.segment);
      const isSynced = left.some((b) => b.synced > before);
      for (let kept = 0; kept < batch.end - batch.position; kept += 1) {
        const result = recover((disk) =>
          disk.damage(batch.segment, (bytes) => bytes.fill(0xa5, batch.offset + kept)),
        );
        outcomes[result.kind] += 1;
        expect(result.kind).toBe(isSynced ? "corrupt" : "ok");
        if (!isSynced) expect(texts(result)).toEqual(prefix(before));
      }
    }
    expect(outcomes.ok).toBeGreaterThan(100);
    expect(outcomes.corrupt).toBeGreaterThan(100);
  });

  it.each([0x01, 0x80, 0xff])("never loses or invents anything when a byte flips by %i", (mask) => {
    const outcomes = { ok: 0, corrupt: 0 };
    for (const [name, bytes] of image) {
      for (let i = 0; i < bytes.length; i += 1) {
        const result = recover((disk) =>
          disk.damage(name, (b) => {
            b[i]! ^= mask;
            return b;
          }),
        );
        outcomes[result.kind] += 1;
        checkFlip(name, i, result);
      }
    }
    expect(outcomes.ok).toBeGreaterThan(100);
    expect(outcomes.corrupt).toBeGreaterThan(100);
  });

  function checkFlip(name: string, i: number, result: ReturnType<typeof recover>): void {
    const where = `byte ${i} of ${name}`;
    const hit = batches.find(
      (b) => b.segment === name && i >= b.offset && i < b.offset + (b.end - b.position),
    );
    if (hit !== undefined) {
      const before = batches[batches.indexOf(hit) - 1]?.end ?? 0;
      const isSynced = marked(hit) > before;
      expect(result.kind, where).toBe(isSynced ? "corrupt" : "ok");
      if (!isSynced) expect(texts(result), where).toEqual(prefix(before));
      return;
    }
    const isUsedHeader = i < SEGMENT_HEADER_BYTES && batches.some((b) => b.segment === name);
    expect(result.kind, where).toBe(isUsedHeader ? "corrupt" : "ok");
    if (!isUsedHeader) expect(texts(result), where).toEqual(all);
  }

  it("takes any damage for corruption once the idle log's mark is written", () => {
    const rig = smallLog().mark();
    const clean = rig.disk.image();
    const last = batchesOf(rig.disk).at(-2)!;
    for (let i = last.offset; i < last.offset + (last.end - last.position); i += 1) {
      const disk = MemoryDisk.from(clean);
      disk.damage(last.segment, (b) => {
        b[i]! ^= 4;
        return b;
      });
      expect(recoverLog(disk, crc32, 0).kind).toBe("corrupt");
    }
  });

  it("reports a segment that is missing, short or renamed", () => {
    const names = whole.disk.list();
    const [first, second, third] = names as [string, string, string];
    expect(recover((d) => d.damage(first, () => null)).kind).toBe("corrupt");
    expect(recover((d) => d.damage(second, () => null)).kind).toBe("corrupt");
    for (const name of [first, second, third]) {
      expect(recover((d) => d.damage(name, (b) => b.slice(0, -1))).kind).toBe("corrupt");
      expect(recover((d) => d.damage(name, (b) => b.slice(0, 500))).kind).toBe("corrupt");
    }
    const files = new Map([...image].filter(([name]) => name !== third));
    files.set(segmentName(5 * SEGMENT_BYTES), image.get(third)!);
    expect(recoverLog(MemoryDisk.from(files), crc32, 0).kind).toBe("corrupt");
    expect(recoverLog(new MemoryDisk(), crc32, 100).kind).toBe("corrupt");
  });

  it("starts at any batch, and needs nothing before it", () => {
    for (const batch of batches) {
      const result = recover((disk) => {
        for (const name of disk.list()) {
          const first = Number(name.slice(4));
          if (first + disk.size(name) < batch.end) disk.damage(name, () => null);
        }
      }, batch.end);
      expect(result.kind).toBe("ok");
      expect(texts(result)).toEqual(all.slice(prefix(batch.end).length));
    }
  });

  it("does not leap over the first part of a turn that goes on in the next segment", () => {
    const rig = new LogRig(new MemoryDisk()).settle();
    rig.append("first");
    const from = rig.settle().writer.position;
    rig.append("x".repeat(600), "y".repeat(600), "z".repeat(600));
    rig.settle();
    const [, part] = batchesOf(rig.disk);
    expect(part).toMatchObject({ position: from, continues: true });
    rig.disk.damage(part!.segment, (b) => b.fill(0, part!.offset));
    expect(texts(recoverLog(rig.disk, crc32, from))).toEqual([]);
    expect(texts(recoverLog(rig.disk, crc32, 0))).toEqual(["first"]);
  });

  it("takes a batch only behind the one that it was written behind", () => {
    const written = (second: string) => {
      const rig = new LogRig(new MemoryDisk()).settle();
      rig.append("first");
      rig.append(second);
      rig.append("third");
      return rig.settle();
    };
    const [theirs, ours] = [written("their second"), written("our second!!")];
    const [, second, third] = batchesOf(theirs.disk);
    const stale = theirs.disk.read(third!.segment, third!.offset, third!.end - third!.position);
    expect(third!.synced).toBe(second!.position);
    ours.disk.damage(third!.segment, (b) => {
      b.set(stale, third!.offset);
      return b;
    });
    expect(texts(recoverLog(ours.disk, crc32, 0))).toEqual(["first", "our second!!"]);
  });

  it("reports a log that ends before the checkpoint it is to be replayed from", () => {
    const end = batches.at(-1)!.end;
    expect(recover(() => {}, end + 3 * SEGMENT_BYTES).kind).toBe("corrupt");
  });

  it("does not take a misdirected batch for the one that belongs there (S4)", () => {
    // The last two batches of a round have the same size; one lands on the other's place.
    const [lost, landed] = [batches.at(-1)!, batches.at(-4)!];
    expect(lost.end - lost.position).toBe(landed.end - landed.position);
    const result = recover((disk) => {
      const bytes = disk.read(lost.segment, lost.offset, lost.end - lost.position);
      disk.damage(lost.segment, (b) => b.fill(0, lost.offset));
      disk.damage(landed.segment, (b) => {
        b.set(bytes, landed.offset);
        return b;
      });
    });
    expect(result.kind).toBe("corrupt");
  });

  it("never yields bytes whose checksum is wrong (S3)", () => {
    const prng = new Prng(3);
    for (let run = 0; run < 300; run += 1) {
      const result = recover((disk) => {
        for (let n = prng.between(1, 6); n > 0; n -= 1) {
          disk.damage(prng.pick(disk.list()), (b) => {
            b[prng.below(b.length)] = prng.below(256);
            return b;
          });
        }
      });
      if (result.kind === "ok") expect(all.slice(0, texts(result).length)).toEqual(texts(result));
    }
  });

  it("counts positions beyond 32 bits exactly (S9)", () => {
    const first = 3 * 2 ** 40;
    const end = { position: first, crc: 9, synced: first, segments: [], stale: [] };
    const rig = LogRig.at(new MemoryDisk(), end).settle();
    rig.append("far out");
    rig.settle();
    expect(rig.writer.position).toBe(first + SEGMENT_HEADER_BYTES + 40 + 11 + 7);
    expect(new LogRig(rig.disk, first).recovered).toEqual(["far out"]);
  });
});
