import fs from "node:fs";
import path from "node:path";
import {
  type Disk,
  type DiskCompletion,
  DiskError,
  type DiskOp,
} from "../../core/contract/disk.ts";
import { parseSegmentName } from "../../core/log/format.ts";
import { diskError } from "./disk-errors.ts";
import { DsyncWriter } from "./dsync-writer.ts";
import { totalBytes, writeAll, writeAllSync, writeZeros } from "./file-writes.ts";

/**
 * How the log becomes durable (docs/decisions/0002-log-writer.md). `fdatasync`: written to the page
 * cache, then synced in libuv's pool. `dsync-worker`: written by a thread to files opened with
 * O_DSYNC.
 */
export type LogWriterVariant = "fdatasync" | "dsync-worker";

/** What a `NodeDisk` works with. */
export interface NodeDiskOptions {
  /** An existing directory, which no other process uses (S8: `lockDirectory`). */
  readonly directory: string;
  readonly logWriter?: LogWriterVariant;
  /** Never called within the call that submitted the operation. */
  readonly onCompletion: (completion: DiskCompletion) => void;
}

/**
 * Up to this size a write into the page cache costs less than the way to another thread and back.
 */
const SYNC_WRITE_BYTES_MAX = 256 * 1024;
const FILE_MODE = 0o600;
/** Stands for the directory among the names that operations wait for; no file can have it. */
const DIRECTORY = "";

type Done = (error: unknown) => void;

interface Task {
  readonly op: DiskOp;
  readonly names: readonly string[];
  readonly doing: string;
  readonly run: (done: Done) => void;
}

interface Finished {
  readonly completion: DiskCompletion;
  readonly names: readonly string[];
}

/** A data directory by `node:fs`. Operations on one name are carried out in the order submitted. */
export class NodeDisk implements Disk {
  readonly #directory: string;
  readonly #onCompletion: (completion: DiskCompletion) => void;
  readonly #dsync: DsyncWriter | null;
  readonly #directoryFd: number;
  readonly #files = new Map<string, number>();
  /** Tasks per name; the first one of each queue is running or waits for its other name. */
  readonly #queues = new Map<string, Task[]>();
  /** Files that the thread wrote all of since they were last synced: nothing is left to sync. */
  readonly #isDurable = new Set<string>();
  #finished: Finished[] = [];
  #isDelivering = false;
  #running = 0;
  readonly #runnable: Task[] = [];
  #isPumping = false;
  #isClosed = false;
  readonly #onIdle: (() => void)[] = [];

  /** Throws `DiskError` where the directory cannot be opened. */
  constructor(options: NodeDiskOptions) {
    this.#directory = options.directory;
    this.#onCompletion = options.onCompletion;
    this.#directoryFd = attempt(`open ${options.directory}`, () =>
      fs.openSync(options.directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY),
    );
    this.#dsync = options.logWriter === "dsync-worker" ? new DsyncWriter() : null;
  }

  list(): readonly string[] {
    const entries = attempt("list", () => fs.readdirSync(this.#directory, { withFileTypes: true }));
    const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    return names.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  size(name: string): number {
    const stat = attempt("stat", () => fs.statSync(this.#path(name), { throwIfNoEntry: false }));
    return stat?.size ?? -1;
  }

  room(): number {
    const { bavail, bsize } = attempt("statfs", () => fs.statfsSync(this.#directory));
    return bavail * bsize;
  }

  read(name: string, at: number, length: number): Uint8Array {
    return attempt(`read ${name}`, () => {
      const fd = this.#open(name);
      const size = fs.fstatSync(fd).size;
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - at)));
      let filled = 0;
      while (filled < bytes.length) {
        const got = fs.readSync(fd, bytes, filled, bytes.length - filled, at + filled);
        if (got === 0) return bytes.subarray(0, filled);
        filled += got;
      }
      return bytes;
    });
  }

  create(op: DiskOp, name: string, bytes: number): void {
    this.#submit(op, [name], `create ${name}`, (done) => {
      fs.open(this.#path(name), "wx+", FILE_MODE, (error, fd) => {
        if (error !== null) return done(error);
        this.#files.set(name, fd);
        writeZeros(fd, 0, bytes, (failure) => {
          if (failure !== null) return done(failure);
          fs.fsync(fd, done);
        });
      });
    });
  }

  write(op: DiskOp, name: string, at: number, parts: readonly Uint8Array[]): void {
    this.#submit(op, [name], `write ${name}`, (done) => {
      if (this.#dsync !== null && parseSegmentName(name) !== null) {
        this.#dsync.write(this.#path(name), at, parts, done);
        return;
      }
      this.#isDurable.delete(name);
      const fd = this.#open(name);
      if (totalBytes(parts) > SYNC_WRITE_BYTES_MAX) {
        writeAll(fd, parts, at, done);
        return;
      }
      writeAllSync(fd, parts, at);
      done(null);
    });
  }

  sync(op: DiskOp, name: string): void {
    this.#submit(op, [name], `sync ${name}`, (done) => {
      if (this.#isDurable.has(name)) {
        done(null);
        return;
      }
      fs.fdatasync(this.#open(name), (error) => {
        // Only the thread's own writes are durable by themselves; the first sync covers the others.
        if (error === null && this.#dsync !== null && parseSegmentName(name) !== null) {
          this.#isDurable.add(name);
        }
        done(error);
      });
    });
  }

  rename(op: DiskOp, from: string, to: string): void {
    this.#submit(op, [from, to], `rename ${from}`, (done) => {
      fs.rename(this.#path(from), this.#path(to), (error) => {
        if (error !== null) return done(error);
        this.#forget(to);
        const fd = this.#files.get(from);
        this.#files.delete(from);
        this.#isDurable.delete(from);
        if (fd !== undefined) this.#files.set(to, fd);
        done(null);
      });
    });
  }

  remove(op: DiskOp, name: string): void {
    this.#submit(op, [name], `remove ${name}`, (done) => {
      this.#forget(name);
      fs.unlink(this.#path(name), done);
    });
  }

  syncDirectory(op: DiskOp): void {
    this.#submit(op, [DIRECTORY], "sync the directory", (done) => {
      fs.fsync(this.#directoryFd, done);
    });
  }

  /** Resolves once everything submitted has been completed. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Waits for what was submitted, then closes every file. Whatever is submitted later fails. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.idle();
    await this.#dsync?.close();
    for (const fd of this.#files.values()) fs.closeSync(fd);
    this.#files.clear();
    fs.closeSync(this.#directoryFd);
  }

  #path(name: string): string {
    return path.join(this.#directory, name);
  }

  #open(name: string): number {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const fd = fs.openSync(this.#path(name), "r+");
    this.#files.set(name, fd);
    return fd;
  }

  /** The name stands for another file from now on, or for none. */
  #forget(name: string): void {
    const fd = this.#files.get(name);
    this.#files.delete(name);
    this.#isDurable.delete(name);
    if (fd !== undefined) fs.closeSync(fd);
    if (parseSegmentName(name) !== null) this.#dsync?.forget(this.#path(name));
  }

  #submit(op: DiskOp, names: readonly string[], doing: string, run: (done: Done) => void): void {
    this.#running += 1;
    if (this.#isClosed) {
      this.#complete(op, [], new DiskError("DISK_FAILED", `${doing}: the disk is closed`));
      return;
    }
    const task: Task = { op, names, doing, run };
    for (const name of names) {
      const queue = this.#queues.get(name);
      if (queue === undefined) this.#queues.set(name, [task]);
      else queue.push(task);
    }
    this.#runnable.push(task);
    this.#pump();
  }

  /** Starts what has come to the head of all its queues. Never nested: many may finish at once. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (let task = this.#runnable.shift(); task !== undefined; task = this.#runnable.shift()) {
      const isFirst = (name: string) => this.#queues.get(name)?.[0] === task;
      if (task.names.every(isFirst)) this.#run(task);
    }
    this.#isPumping = false;
  }

  #run(task: Task): void {
    try {
      task.run((error) => this.#finish(task, error));
    } catch (error) {
      this.#finish(task, error);
    }
  }

  #finish(task: Task, error: unknown): void {
    const failure = error === null ? null : diskError(error, task.doing);
    this.#complete(task.op, task.names, failure);
    for (const name of task.names) {
      const queue = this.#queues.get(name);
      queue?.shift();
      const next = queue?.[0];
      if (next === undefined) this.#queues.delete(name);
      else if (!this.#runnable.includes(next)) this.#runnable.push(next);
    }
    this.#pump();
  }

  #complete(op: DiskOp, names: readonly string[], error: DiskError | null): void {
    this.#finished.push({ completion: { op, error }, names });
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    queueMicrotask(() => this.#deliver());
  }

  /**
   * A success is told together with that of the operation that follows on the same file: that a
   * write went well is no news before its sync has, and not worth a turn of the loop.
   */
  #deliver(): void {
    this.#isDelivering = false;
    const isFollowed = (name: string) => this.#queues.has(name);
    const isNews = ({ completion: { error }, names }: Finished) =>
      error !== null || !names.some(isFollowed);
    if (!this.#finished.some(isNews)) return;
    const finished = this.#finished;
    this.#finished = [];
    this.#running -= finished.length;
    for (const { completion } of finished) this.#onCompletion(completion);
    if (this.#running > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

function attempt<T>(doing: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw diskError(error, doing);
  }
}
