import type { MutantId } from "../../core/base/mutants.ts";
import type { Prng } from "../../core/base/prng.ts";
import type { Disk, DiskCompletion, DiskOp } from "../../core/contract/disk.ts";
import { type DiskFault, type DiskRequest, MemoryDisk } from "./memory-disk.ts";
import type { Micros, Scheduler } from "./scheduler.ts";

/** How slowly a disk answers. */
export interface SimDiskOptions {
  readonly opMicrosMin: Micros;
  readonly opMicrosMax: Micros;
  /** Of 1000 operations, how many take up to `slowMsMax`. */
  readonly slowPermille: number;
  readonly slowMsMax: number;
}

/** A disk as it is when nothing is wrong. */
export const CALM_DISK: SimDiskOptions = {
  opMicrosMin: 50,
  opMicrosMax: 500,
  slowPermille: 0,
  slowMsMax: 0,
};

/** What a targeted crash may look out for. */
export type DiskOpKind = "create" | "write" | "sync" | "rename" | "remove" | "syncDirectory";

/**
 * One node's directory over simulated time: operations take as long as is drawn, those of one file
 * keep their order, and a crash keeps, loses or tears what was not synced.
 */
export class SimDisk implements Disk {
  options: SimDiskOptions;
  /** Called as an operation is about to be carried out, and after it. A targeted crash listens. */
  onCarriedOut: (kind: DiskOpKind, after: boolean) => void = () => {};
  /** Of 1000 writes to the files of snapshots, how many find the disk full. */
  fullPermille = 0;
  /** Of 1000 writes to the log and syncs of it, how many fail. */
  failPermille = 0;
  #memory = new MemoryDisk();
  readonly #scheduler: Scheduler;
  readonly #prng: Prng;
  readonly #mutant: MutantId | null;
  readonly #deliver: (completion: DiskCompletion) => void;
  /** Grows at every crash: what was scheduled before concerns nobody. */
  #life = 0;

  constructor(
    options: SimDiskOptions,
    scheduler: Scheduler,
    prng: Prng,
    deliver: (completion: DiskCompletion) => void,
    mutant: MutantId | null = null,
  ) {
    this.#mutant = mutant;
    this.options = options;
    this.#scheduler = scheduler;
    this.#prng = prng;
    this.#deliver = deliver;
    this.use(this.#memory);
  }

  /** What is on the disk. */
  get memory(): MemoryDisk {
    return this.#memory;
  }

  /** Another disk is put in. What the one before was asked for is forgotten. */
  use(memory: MemoryDisk): void {
    this.#life += 1;
    this.#memory = memory;
    memory.fault = (request) => this.#faultOf(request);
  }

  /** A disk that is full stops a node (STO8), except where nothing rests on what was written. */
  #faultOf(request: DiskRequest): DiskFault | null {
    if (isLeftOut(request, this.#mutant)) return { kind: "drop" };
    if (this.failPermille > 0 && isOfLog(request)) return this.#failureOf(request);
    if (request.kind !== "write" || !request.name.startsWith("snapshot-")) return null;
    if (this.fullPermille === 0 || !this.#prng.chance(this.fullPermille, 1000)) return null;
    return { kind: "error", code: "DISK_FULL", bytesKept: request.data.length >> 1 };
  }

  /** The mistake S11: nobody hears of what went wrong. */
  #failureOf({ kind }: DiskRequest): DiskFault | null {
    if (!this.#prng.chance(this.failPermille, 1000)) return null;
    if (this.#mutant === "S11") return { kind: "drop" };
    if (kind === "sync") return { kind: "error", code: "DISK_FAILED" };
    return { kind: "error", code: "DISK_FULL", bytesKept: this.#prng.below(64) };
  }

  list(): readonly string[] {
    return this.memory.list();
  }

  size(name: string): number {
    return this.memory.size(name);
  }

  room(): number {
    return this.memory.room();
  }

  read(name: string, at: number, length: number): Uint8Array {
    return this.memory.read(name, at, length);
  }

  create(op: DiskOp, name: string, bytes: number): void {
    this.memory.create(op, name, bytes);
    this.#schedule();
  }

  write(op: DiskOp, name: string, at: number, parts: readonly Uint8Array[]): void {
    this.memory.write(op, name, at, parts);
    this.#schedule();
  }

  sync(op: DiskOp, name: string): void {
    this.memory.sync(op, name);
    this.#schedule();
  }

  rename(op: DiskOp, from: string, to: string): void {
    this.memory.rename(op, from, to);
    this.#schedule();
  }

  remove(op: DiskOp, name: string): void {
    this.memory.remove(op, name);
    this.#schedule();
  }

  syncDirectory(op: DiskOp): void {
    this.memory.syncDirectory(op);
    this.#schedule();
  }

  /** Power failure. Each unsynced byte and name has its own fate. */
  crash(): void {
    this.#life += 1;
    this.memory.crash({ kind: "random", prng: this.#prng });
  }

  /**
   * Each submission brings one carrying-out later; which of the operations that may go it takes is
   * drawn, so operations on different files overtake one another.
   */
  #schedule(): void {
    const { opMicrosMin, opMicrosMax, slowPermille, slowMsMax } = this.options;
    let delay = this.#prng.between(opMicrosMin, opMicrosMax);
    if (this.#prng.chance(slowPermille, 1000)) delay += this.#prng.below(1 + slowMsMax * 1000);
    const life = this.#life;
    this.#scheduler.after(delay, () => {
      if (life === this.#life) this.#carryOutOne(life);
    });
  }

  #carryOutOne(life: number): void {
    const kind = this.memory.queued[0]?.kind;
    if (kind !== undefined) this.onCarriedOut(kind, false);
    if (life !== this.#life) return;
    const completions = this.memory.drain(1, this.#prng);
    if (kind !== undefined) this.onCarriedOut(kind, true);
    if (life !== this.#life) return;
    for (const completion of completions) this.#deliver(completion);
  }
}

function isOfLog(request: DiskRequest): boolean {
  if (request.kind !== "write" && request.kind !== "sync") return false;
  return request.name.startsWith("log-");
}

/** The mistakes S1, S2 and S7: never asking for something is a disk that leaves it out. */
function isLeftOut(request: DiskRequest, mutant: MutantId | null): boolean {
  if (request.kind === "syncDirectory") return mutant === "S1";
  const isEarly = mutant === "S2" || mutant === "S7";
  return isEarly && request.kind === "sync" && request.name.endsWith(".tmp");
}
