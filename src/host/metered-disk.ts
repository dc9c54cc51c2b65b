import type { Disk, DiskCompletion, DiskOp } from "../core/contract/disk.ts";
import { monotonicNow } from "./driver.ts";
import type { Metrics } from "./metrics.ts";

/**
 * A disk whose writes and syncs are measured; the disk below reports its completions to `onDisk`.
 */
export class MeteredDisk implements Disk {
  readonly #disk: Disk;
  readonly #metrics: Metrics;
  readonly #syncsSince = new Map<DiskOp, number>();

  constructor(disk: Disk, metrics: Metrics) {
    this.#disk = disk;
    this.#metrics = metrics;
  }

  onDisk(completion: DiskCompletion): void {
    const since = this.#syncsSince.get(completion.op);
    if (since === undefined) return;
    this.#syncsSince.delete(completion.op);
    this.#metrics.onSync(monotonicNow() - since);
  }

  list(): readonly string[] {
    return this.#disk.list();
  }

  size(name: string): number {
    return this.#disk.size(name);
  }

  room(): number {
    return this.#disk.room();
  }

  read(name: string, at: number, length: number): Uint8Array {
    return this.#disk.read(name, at, length);
  }

  create(op: DiskOp, name: string, bytes: number): void {
    this.#disk.create(op, name, bytes);
  }

  write(op: DiskOp, name: string, at: number, parts: readonly Uint8Array[]): void {
    let bytes = 0;
    for (const part of parts) bytes += part.length;
    this.#metrics.onWrite(bytes);
    this.#disk.write(op, name, at, parts);
  }

  sync(op: DiskOp, name: string): void {
    this.#syncsSince.set(op, monotonicNow());
    this.#disk.sync(op, name);
  }

  rename(op: DiskOp, from: string, to: string): void {
    this.#disk.rename(op, from, to);
  }

  remove(op: DiskOp, name: string): void {
    this.#disk.remove(op, name);
  }

  syncDirectory(op: DiskOp): void {
    this.#disk.syncDirectory(op);
  }
}
