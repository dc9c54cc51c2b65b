import fs from "node:fs";
import path from "node:path";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { crc32 } from "node:zlib";
import type { LogRecord } from "../core/contract/record.ts";
import { LogWriter } from "../core/log/log-writer.ts";
import { recoverLog } from "../core/log/recovery.ts";
import { type LogWriterVariant, NodeDisk } from "../host/disk/node-disk.ts";
import { grouped, median, millis, textTable } from "./statistics.ts";

/** Where and how long to measure. */
export interface LogWriterBenchOptions {
  /** Where the temporary directories go: on the disk that is to be measured. */
  readonly directory?: string;
  readonly rounds?: number;
  /** How long each cell of each round is measured. */
  readonly cellMs?: number;
  /** Told what is measured while it runs. */
  readonly progress?: (line: string) => void;
}

/** One variant at one number of writers. */
export interface LogWriterCell {
  readonly variant: LogWriterVariant;
  readonly writers: number;
  /** Durable records per second, the median of the rounds. */
  readonly recordsPerSecond: number;
  /**
   * Time from append to durable, in milliseconds: median over the rounds of each round's median.
   */
  readonly latencyMs: number;
  /** The longest that the event loop was held up in any round, in milliseconds. */
  readonly stallMs: number;
}

const VARIANTS: readonly LogWriterVariant[] = ["fdatasync", "dsync-worker"];
const WRITERS: readonly number[] = [1, 16, 64, 256];
const RECORD_BYTES = 200;
const WARM_UP_MS = 100;

interface Sample {
  readonly recordsPerSecond: number;
  readonly latencyMs: number;
  readonly stallMs: number;
}

/**
 * Measures both ways of making the log durable (docs/decisions/0002-log-writer.md): the real writer
 * over real files, each writer with one record of 200 bytes under way, group commit. The variants
 * take turns in every round, so that what else the disk is doing falls on both.
 */
export async function benchLogWriter(
  options: LogWriterBenchOptions = {},
): Promise<readonly LogWriterCell[]> {
  const { directory = process.cwd(), rounds = 3, cellMs = 700, progress = () => {} } = options;
  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < rounds; round += 1) {
    progress(`log writer: round ${round + 1} of ${rounds}`);
    for (const writers of WRITERS) {
      // Whoever goes first finds the disk busy with what went before: so both do in turn.
      for (const variant of round % 2 === 0 ? VARIANTS : VARIANTS.toReversed()) {
        const key = `${variant} ${writers}`;
        const sample = await measure(variant, writers, directory, cellMs);
        samples.set(key, [...(samples.get(key) ?? []), sample]);
      }
    }
  }
  const cells: LogWriterCell[] = [];
  for (const variant of VARIANTS) {
    for (const writers of WRITERS) {
      const all = samples.get(`${variant} ${writers}`) ?? [];
      cells.push({
        variant,
        writers,
        recordsPerSecond: Math.round(median(all.map((sample) => sample.recordsPerSecond))),
        latencyMs: median(all.map((sample) => sample.latencyMs)),
        stallMs: Math.max(...all.map((sample) => sample.stallMs)),
      });
    }
  }
  return cells;
}

async function measure(
  variant: LogWriterVariant,
  writers: number,
  parent: string,
  cellMs: number,
): Promise<Sample> {
  const directory = fs.mkdtempSync(path.join(parent, "log-writer-bench-"));
  const load = new Load(directory, variant, writers);
  try {
    await load.run(WARM_UP_MS);
    return await load.run(cellMs);
  } finally {
    await load.close();
    fs.rmSync(directory, { recursive: true });
  }
}

/** Writers that append again as soon as their record is durable. */
class Load {
  readonly #disk: NodeDisk;
  readonly #log: LogWriter;
  readonly #records: readonly LogRecord[];
  #op = 0;
  #batch = 0;
  #appendedAt = 0;
  #durable = 0;
  #latencies: number[] = [];
  #endsAt = 0;
  #isRunning = false;
  #onEnd: (failure: Error | null) => void = () => {};

  constructor(directory: string, variant: LogWriterVariant, writers: number) {
    this.#disk = new NodeDisk({
      directory,
      logWriter: variant,
      onCompletion: (completion) => {
        this.#log.onDisk(completion);
        this.#turn();
      },
    });
    const recovery = recoverLog(this.#disk, crc32, 0);
    if (recovery.kind === "corrupt") throw new Error(recovery.reason);
    const nextOp = () => {
      this.#op += 1;
      return this.#op;
    };
    this.#log = new LogWriter({ disk: this.#disk, checksum: crc32, nextOp, end: recovery.end });
    const body = new Uint8Array(RECORD_BYTES).fill(0x61);
    this.#records = Array.from({ length: writers }, () => ({ group: 1, type: 1, parts: [body] }));
  }

  async run(ms: number): Promise<Sample> {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const startedAt = performance.now();
    this.#endsAt = startedAt + ms;
    this.#durable = 0;
    this.#latencies = [];
    const failure = await new Promise<Error | null>((resolve) => {
      this.#onEnd = resolve;
      this.#isRunning = true;
      this.#append();
    });
    this.#isRunning = false;
    delay.disable();
    if (failure !== null) throw failure;
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      recordsPerSecond: this.#durable / seconds,
      latencyMs: median(this.#latencies),
      stallMs: delay.max / 1e6,
    };
  }

  close(): Promise<void> {
    return this.#disk.close();
  }

  #append(): void {
    this.#batch += 1;
    this.#appendedAt = performance.now();
    this.#log.append(this.#batch, this.#records);
    this.#log.flush();
  }

  #turn(): void {
    this.#log.flush();
    if (this.#log.failure !== null) return this.#onEnd(this.#log.failure);
    if (this.#log.written < this.#batch || !this.#isRunning) return;
    const now = performance.now();
    this.#latencies.push(now - this.#appendedAt);
    this.#durable += this.#records.length;
    if (now < this.#endsAt) {
      this.#append();
      return;
    }
    this.#isRunning = false;
    this.#onEnd(null);
  }
}

/** The measurements as a table. */
export function renderLogWriter(cells: readonly LogWriterCell[]): string {
  return textTable(
    ["variant", "writers", "records/s", "latency ms", "worst stall ms"],
    cells.map(({ variant, writers, recordsPerSecond, latencyMs, stallMs }) => [
      variant,
      String(writers),
      grouped(recordsPerSecond),
      millis(latencyMs),
      millis(stallMs),
    ]),
  );
}
