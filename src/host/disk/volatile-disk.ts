import {
  type Disk,
  type DiskCompletion,
  DiskError,
  type DiskErrorCode,
  type DiskOp,
} from "../../core/contract/disk.ts";

const PAGE_BYTES = 65_536;

/** A file as far as anything was written to it. */
class SparseFile {
  size: number;
  readonly #pages = new Map<number, Uint8Array>();

  constructor(size: number) {
    this.size = size;
  }

  write(at: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const number = Math.floor((at + done) / PAGE_BYTES);
      const offset = at + done - number * PAGE_BYTES;
      const part = bytes.subarray(done, done + PAGE_BYTES - offset);
      let page = this.#pages.get(number);
      if (page === undefined) {
        page = new Uint8Array(PAGE_BYTES);
        this.#pages.set(number, page);
      }
      page.set(part, offset);
      done += part.length;
    }
    this.size = Math.max(this.size, at + bytes.length);
  }

  read(at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - at)));
    for (let done = 0; done < bytes.length; ) {
      const number = Math.floor((at + done) / PAGE_BYTES);
      const offset = at + done - number * PAGE_BYTES;
      const count = Math.min(bytes.length - done, PAGE_BYTES - offset);
      const page = this.#pages.get(number);
      if (page !== undefined) bytes.set(page.subarray(offset, offset + count), done);
      done += count;
    }
    return bytes;
  }
}

/**
 * A directory that lasts as long as the process: for databases in memory. Everything is done at
 * once and said a little later, so that a sync costs nothing.
 */
export class VolatileDisk implements Disk {
  readonly #files: Map<string, SparseFile>;
  readonly #onCompletion: (completion: DiskCompletion) => void;
  #done: DiskCompletion[] = [];

  /** `files` are those of a disk before, if any. */
  constructor(onCompletion: (completion: DiskCompletion) => void, before?: VolatileDisk) {
    this.#onCompletion = onCompletion;
    this.#files = before === undefined ? new Map() : before.#files;
  }

  list(): readonly string[] {
    return [...this.#files.keys()].sort((a, b) => (a < b ? -1 : 1));
  }

  size(name: string): number {
    return this.#files.get(name)?.size ?? -1;
  }

  /** Memory is bounded by what the databases in it hold. */
  room(): number {
    return Number.MAX_SAFE_INTEGER;
  }

  read(name: string, at: number, length: number): Uint8Array {
    const file = this.#files.get(name);
    if (file === undefined) throw missing(name);
    return file.read(at, length);
  }

  create(op: DiskOp, name: string, bytes: number): void {
    if (this.#files.has(name)) return this.#fail(op, "DISK_FAILED", `${name} exists already`);
    this.#files.set(name, new SparseFile(bytes));
    this.#complete(op, null);
  }

  write(op: DiskOp, name: string, at: number, parts: readonly Uint8Array[]): void {
    const file = this.#files.get(name);
    if (file === undefined) return this.#complete(op, missing(name));
    let offset = at;
    for (const part of parts) {
      file.write(offset, part);
      offset += part.length;
    }
    this.#complete(op, null);
  }

  sync(op: DiskOp, name: string): void {
    this.#complete(op, this.#files.has(name) ? null : missing(name));
  }

  rename(op: DiskOp, from: string, to: string): void {
    const file = this.#files.get(from);
    if (file === undefined) return this.#complete(op, missing(from));
    this.#files.delete(from);
    this.#files.set(to, file);
    this.#complete(op, null);
  }

  remove(op: DiskOp, name: string): void {
    this.#complete(op, this.#files.delete(name) ? null : missing(name));
  }

  syncDirectory(op: DiskOp): void {
    this.#complete(op, null);
  }

  #fail(op: DiskOp, code: DiskErrorCode, message: string): void {
    this.#complete(op, new DiskError(code, message));
  }

  /** Never within the call that submits it. */
  #complete(op: DiskOp, error: DiskError | null): void {
    this.#done.push({ op, error });
    if (this.#done.length > 1) return;
    setImmediate(() => {
      const done = this.#done;
      this.#done = [];
      for (const completion of done) this.#onCompletion(completion);
    });
  }
}

function missing(name: string): DiskError {
  return new DiskError("DISK_MISSING", `there is no file ${name}`);
}
