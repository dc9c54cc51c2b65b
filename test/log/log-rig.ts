import { decodeUtf8, encodeUtf8 } from "../../src/core/base/bytes.ts";
import { crc32 } from "../../src/core/base/hash.ts";
import type { Prng } from "../../src/core/base/prng.ts";
import type { DiskOp } from "../../src/core/contract/disk.ts";
import type { LogRecord } from "../../src/core/contract/record.ts";
import {
  findBatch,
  parseSegmentName,
  readBatch,
  SEGMENT_HEADER_BYTES,
} from "../../src/core/log/format.ts";
import { LogWriter } from "../../src/core/log/log-writer.ts";
import { type LogEnd, type LogRecovery, recoverLog } from "../../src/core/log/recovery.ts";
import type { MemoryDisk } from "../../src/testing/sim/memory-disk.ts";

export const SEGMENT_BYTES = 1024;

/** A log on a memory disk, driven by hand the way a node drives it. */
export class LogRig {
  readonly disk: MemoryDisk;
  readonly writer: LogWriter;
  /** What was recovered, one text per record. */
  readonly recovered: readonly string[];
  readonly tornBytes: number;
  now = 0;
  #op: DiskOp = 0;
  #batch = 0;

  /** A log that goes on from an end made up by the test. */
  static at(disk: MemoryDisk, end: LogEnd): LogRig {
    return new LogRig(disk, 0, SEGMENT_BYTES, { kind: "ok", records: [], tornBytes: 0, end });
  }

  /** Throws where recovery reports corruption. */
  constructor(
    disk: MemoryDisk,
    from = 0,
    segmentBytes = SEGMENT_BYTES,
    recovery = recoverLog(disk, crc32, from),
  ) {
    if (recovery.kind === "corrupt") throw new Error(`${recovery.position}: ${recovery.reason}`);
    this.disk = disk;
    this.recovered = texts(recovery);
    this.tornBytes = recovery.tornBytes;
    this.writer = new LogWriter({
      disk,
      checksum: crc32,
      nextOp: this.nextOp,
      end: recovery.end,
      segmentBytes,
    });
  }

  readonly nextOp = (): DiskOp => {
    this.#op += 1;
    return this.#op;
  };

  /** One turn that writes these records; returns its batch number. */
  append(...bodies: readonly string[]): number {
    this.#batch += 1;
    this.writer.append(this.#batch, bodies.map(textRecord));
    this.writer.tick(this.now);
    this.writer.flush();
    return this.#batch;
  }

  /**
   * Carries out up to `max` disk operations, then takes a turn. False if there was nothing to do.
   */
  step(max = 1, prng?: Prng): boolean {
    const completions = this.disk.drain(max, prng);
    for (const completion of completions) this.writer.onDisk(completion);
    this.writer.tick(this.now);
    this.writer.flush();
    return completions.length > 0;
  }

  /** Until the disk has nothing more to do. */
  settle(): this {
    while (this.step()) if (this.writer.failure !== null) break;
    return this;
  }

  /** Lets the idle log write its mark. */
  mark(): this {
    this.settle();
    this.now += 1000;
    this.step();
    return this.settle();
  }
}

export function textRecord(text: string): LogRecord {
  return { group: 7, type: 1, parts: [encodeUtf8(text)] };
}

export function texts(recovery: LogRecovery): string[] {
  if (recovery.kind === "corrupt") return [];
  return recovery.records.map(({ body }) => decodeUtf8(body));
}

export interface FoundBatch {
  readonly segment: string;
  readonly position: number;
  readonly end: number;
  readonly synced: number;
  readonly records: number;
  readonly continues: boolean;
  /** Where it lies in its segment. */
  readonly offset: number;
}

/** All valid batches of an undamaged log, in order. */
export function batchesOf(disk: MemoryDisk): FoundBatch[] {
  const found: FoundBatch[] = [];
  for (const segment of disk.list()) {
    const first = parseSegmentName(segment);
    if (first === null) continue;
    const bytes = disk.read(segment, 0, disk.size(segment));
    let at = findBatch(bytes, SEGMENT_HEADER_BYTES, first);
    while (at !== -1) {
      const view = readBatch(bytes, at, first + at, crc32);
      if (typeof view === "string") throw new Error(view);
      found.push({ ...view, segment, offset: at });
      at = findBatch(bytes, view.end - first, first);
    }
  }
  return found;
}
