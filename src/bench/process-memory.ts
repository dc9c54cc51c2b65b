import { readFileSync } from "node:fs";
import { BenchError } from "./programs.ts";

/** What the kernel says of a process's memory, in bytes. */
export interface ProcessMemory {
  /** All that is resident. */
  readonly rss: number;
  /** Of that: heap, stacks and buffers, which only swapping could free. */
  readonly anonymous: number;
  /** Of that: pages of files, the state's among them, which the kernel takes back when it needs. */
  readonly file: number;
}

/** Reads `/proc/PID/status`. */
export function parseProcessStatus(text: string): ProcessMemory {
  const bytes = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text);
    if (found === null) throw new BenchError(`the kernel does not say ${name} of a process`);
    return Number(found[1]) * 1024;
  };
  return { rss: bytes("VmRSS"), anonymous: bytes("RssAnon"), file: bytes("RssFile") };
}

/** A process's memory now. Throws `BenchError` where it has ended. */
export function processMemory(pid: number): ProcessMemory {
  try {
    return parseProcessStatus(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch (failure) {
    if (failure instanceof BenchError) throw failure;
    throw new BenchError(`process ${pid} has ended, or this is not Linux`);
  }
}

/** One look at several processes. */
export interface MemorySample {
  /** Ms of a monotonic clock. */
  readonly at: number;
  readonly processes: readonly ProcessMemory[];
}

/** Looks at processes every so often until it is stopped. */
export class MemoryWatch {
  readonly #samples: MemorySample[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #pids: readonly number[];
  #failure: Error | null = null;

  constructor(pids: readonly number[], everyMs: number) {
    this.#pids = pids;
    this.#look();
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  /** What was seen. Throws `BenchError` where a process has ended meanwhile. */
  stop(): readonly MemorySample[] {
    this.cancel();
    this.#look();
    if (this.#failure !== null) throw this.#failure;
    return this.#samples;
  }

  /** Looks no more. */
  cancel(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    try {
      const processes = this.#pids.map(processMemory);
      this.#samples.push({ at: performance.now(), processes });
    } catch (failure) {
      if (!(failure instanceof BenchError)) throw failure;
      this.#failure = failure;
    }
  }
}
