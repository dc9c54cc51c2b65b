import { defined } from "../../core/base/assert.ts";
import { crc32 } from "../../core/base/hash.ts";
import type { Prng } from "../../core/base/prng.ts";
import type { LogPosition } from "../../core/contract/ids.ts";
import { parseCheckpointName } from "../../core/log/checkpoint-format.ts";
import { type BatchView, findBatch, parseSegmentName, readBatch } from "../../core/log/format.ts";
import { recoverLog } from "../../core/log/recovery.ts";
import { MemoryDisk } from "./memory-disk.ts";
import type { SimNode } from "./sim-node.ts";

/** Bytes of the log that are certain to have been synced, and that a start reads. */
interface Synced {
  readonly from: LogPosition;
  readonly to: LogPosition;
}

/**
 * Starts that must not succeed: the disk was not mounted and the directory is empty (GEN3), a bit
 * has flipped in what was synced, or a write went astray (STO3). The node refuses, somebody puts
 * the right disk in, and it starts from that. One that starts all the same, because what is wrong
 * does not concern it, goes on from what it found; the oracles know what it should have found.
 */
export class BadStarts {
  readonly #prng: Prng;
  readonly #percent: number;
  #injected = 0;

  constructor(prng: Prng, percent: number) {
    this.#prng = prng;
    this.#percent = percent;
  }

  /** Starts from a wrong disk so far. */
  get injected(): number {
    return this.#injected;
  }

  /** Now and then, a start from a wrong disk. The node may be up afterwards, or not. */
  maybeStart(node: SimNode): void {
    if (this.#percent === 0 || !this.#prng.chance(this.#percent, 100)) return;
    const { memory } = node.disk;
    const which = this.#prng.below(3);
    const wrong = which === 0 ? new MemoryDisk() : memory.clone();
    if (which === 1) this.#flip(wrong);
    if (which === 2) this.#misplace(wrong);
    this.#injected += 1;
    node.bootFrom(wrong, which > 0);
  }

  #flip(disk: MemoryDisk): void {
    const checkpoint = newestCheckpoint(disk);
    if (checkpoint !== null && this.#prng.chance(1, 4)) {
      return this.#flipIn(disk, checkpoint, this.#prng.below(disk.size(checkpoint)));
    }
    const { from, to } = syncedOf(disk);
    if (from >= to) return;
    const position = from + this.#prng.below(to - from);
    const segment = segmentsOf(disk).findLast(({ first }) => first <= position);
    if (segment !== undefined) this.#flipIn(disk, segment.name, position - segment.first);
  }

  #flipIn(disk: MemoryDisk, name: string, at: number): void {
    const bit = 1 << this.#prng.below(8);
    disk.damage(name, (bytes) => {
      if (at < bytes.length) bytes[at] = defined(bytes[at], "a byte of the file") ^ bit;
      return bytes;
    });
  }

  /** A batch lies where another one of its size should. */
  #misplace(disk: MemoryDisk): void {
    const { from, to } = syncedOf(disk);
    const batches = batchesOf(disk).filter(({ view }) => view.position >= from && view.end <= to);
    if (batches.length < 2) return;
    const target = this.#prng.pick(batches);
    const size = target.view.end - target.view.position;
    const others = batches.filter(
      ({ view }) => view !== target.view && view.end - view.position === size,
    );
    if (others.length === 0) return;
    const source = this.#prng.pick(others);
    const at = target.view.position - target.first;
    const astray = disk.read(source.name, source.view.position - source.first, size);
    disk.damage(target.name, (bytes) => {
      bytes.set(astray, at);
      return bytes;
    });
  }
}

function newestCheckpoint(disk: MemoryDisk): string | null {
  return disk.list().findLast((name) => parseCheckpointName(name) !== null) ?? null;
}

function segmentsOf(disk: MemoryDisk): { readonly name: string; readonly first: LogPosition }[] {
  return disk.list().flatMap((name) => {
    const first = parseSegmentName(name);
    return first === null ? [] : [{ name, first }];
  });
}

/** By what later batches say of it: damage beyond that looks like a torn tail, and may. */
function syncedOf(disk: MemoryDisk): Synced {
  const checkpoint = newestCheckpoint(disk);
  const from = checkpoint === null ? 0 : (parseCheckpointName(checkpoint)?.position ?? 0);
  const recovery = recoverLog(disk, crc32, from);
  return { from, to: recovery.kind === "ok" ? statedSynced(disk, from) : from };
}

function statedSynced(disk: MemoryDisk, from: LogPosition): LogPosition {
  return batchesOf(disk).reduce((most, { view }) => Math.max(most, view.synced), from);
}

interface PlacedBatch {
  readonly name: string;
  readonly first: LogPosition;
  readonly view: BatchView;
}

function batchesOf(disk: MemoryDisk): PlacedBatch[] {
  const batches: PlacedBatch[] = [];
  for (const { name, first } of segmentsOf(disk)) {
    const bytes = disk.read(name, 0, disk.size(name));
    let at = findBatch(bytes, 0, first);
    while (at !== -1) {
      const view = readBatch(bytes, at, first + at, crc32);
      if (typeof view !== "string") batches.push({ name, first, view });
      at = findBatch(bytes, typeof view === "string" ? at + 1 : view.end - first, first);
    }
  }
  return batches;
}
