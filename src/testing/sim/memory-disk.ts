import { assert, defined, unreachable } from "../../core/base/assert.ts";
import type { Prng } from "../../core/base/prng.ts";
import {
  type Disk,
  type DiskCompletion,
  DiskError,
  type DiskErrorCode,
  type DiskOp,
} from "../../core/contract/disk.ts";

/** One submitted operation, as a fault hook and a test see it. */
export type DiskRequest =
  | { readonly kind: "create"; readonly op: DiskOp; readonly name: string; readonly bytes: number }
  | {
      readonly kind: "write";
      readonly op: DiskOp;
      readonly name: string;
      readonly at: number;
      readonly data: Uint8Array;
    }
  | { readonly kind: "sync"; readonly op: DiskOp; readonly name: string }
  | { readonly kind: "rename"; readonly op: DiskOp; readonly name: string; readonly to: string }
  | { readonly kind: "remove"; readonly op: DiskOp; readonly name: string }
  | { readonly kind: "syncDirectory"; readonly op: DiskOp };

/**
 * What goes wrong with one operation. `error`: it fails, a write after `bytesKept` bytes, a sync by
 * dropping what it should have made durable, as Linux does. `misdirect`: the write lands elsewhere
 * and is reported as done. `drop`: reported as done, and nothing happened.
 */
export type DiskFault =
  | { readonly kind: "error"; readonly code: DiskErrorCode; readonly bytesKept?: number }
  | { readonly kind: "misdirect"; readonly at: number }
  | { readonly kind: "drop" };

/**
 * What becomes of the unsynced when the power fails. `lose` and `keep`: all of it. `random`:
 * operations still queued happened up to some point per file; each sector of an unsynced write and
 * each unsynced name is kept, lost or (bytes only) garbled, independently.
 */
export type CrashMode =
  | { readonly kind: "lose" }
  | { readonly kind: "keep" }
  | { readonly kind: "random"; readonly prng: Prng };

/** The unit in which a disk writes all or nothing. */
const SECTOR_BYTES = 512;

interface Write {
  readonly at: number;
  readonly data: Uint8Array;
}

interface Inode {
  /** What the running process reads. */
  cached: Uint8Array;
  /** What is certain to be there after a crash. */
  durable: Uint8Array;
  /** Writes since the last sync, in order. */
  unsynced: Write[];
}

type NameChange =
  | { readonly kind: "link"; readonly name: string; readonly inode: Inode }
  | {
      readonly kind: "move";
      readonly name: string;
      readonly to: string;
      readonly inode: Inode;
    }
  | { readonly kind: "unlink"; readonly name: string; readonly inode: Inode };

/**
 * A directory in memory that forgets like a real one: what was written is durable only after a
 * sync, a name only after a sync of the directory. Operations wait in a queue until `drain` carries
 * them out, so that a test can crash between any two of them.
 */
export class MemoryDisk implements Disk {
  /** Asked for each operation as it is carried out; null lets it succeed. */
  fault: (request: DiskRequest) => DiskFault | null = () => null;
  /** Only `room` heeds it. */
  capacityBytes: number = Number.POSITIVE_INFINITY;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #nameChanges: NameChange[] = [];
  #queue: DiskRequest[] = [];

  /** A disk whose files, names and all, are durable. The arrays are copied. */
  static from(files: ReadonlyMap<string, Uint8Array>): MemoryDisk {
    const disk = new MemoryDisk();
    for (const [name, bytes] of files) {
      const inode = { cached: bytes.slice(), durable: bytes.slice(), unsynced: [] };
      disk.#names.set(name, inode);
      disk.#durableNames.set(name, inode);
    }
    return disk;
  }

  list(): readonly string[] {
    return [...this.#names.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  size(name: string): number {
    return this.#names.get(name)?.cached.length ?? -1;
  }

  /** What is left of `capacityBytes`. */
  room(): number {
    let used = 0;
    for (const inode of this.#names.values()) used += inode.cached.length;
    return Math.max(0, this.capacityBytes - used);
  }

  read(name: string, at: number, length: number): Uint8Array {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new DiskError("DISK_MISSING", `no such file: ${name}`);
    return inode.cached.slice(at, at + length);
  }

  create(op: DiskOp, name: string, bytes: number): void {
    this.#queue.push({ kind: "create", op, name, bytes });
  }

  write(op: DiskOp, name: string, at: number, parts: readonly Uint8Array[]): void {
    let length = 0;
    for (const part of parts) length += part.length;
    const data = new Uint8Array(length);
    let filled = 0;
    for (const part of parts) {
      data.set(part, filled);
      filled += part.length;
    }
    this.#queue.push({ kind: "write", op, name, at, data });
  }

  sync(op: DiskOp, name: string): void {
    this.#queue.push({ kind: "sync", op, name });
  }

  rename(op: DiskOp, from: string, to: string): void {
    this.#queue.push({ kind: "rename", op, name: from, to });
  }

  remove(op: DiskOp, name: string): void {
    this.#queue.push({ kind: "remove", op, name });
  }

  syncDirectory(op: DiskOp): void {
    this.#queue.push({ kind: "syncDirectory", op });
  }

  /** Operations submitted and not carried out, in order. */
  get queued(): readonly DiskRequest[] {
    return this.#queue;
  }

  /**
   * Carries out up to `max` queued operations and returns their completions. With a `prng` the
   * order among files is drawn; operations on one file keep theirs.
   */
  drain(max = Number.POSITIVE_INFINITY, prng?: Prng): DiskCompletion[] {
    const completions: DiskCompletion[] = [];
    while (completions.length < max && this.#queue.length > 0) {
      const at = prng === undefined ? 0 : prng.pick(this.#startable());
      const request = defined(this.#queue.splice(at, 1)[0], "an operation that is queued");
      completions.push(this.#carryOut(request));
    }
    return completions;
  }

  /**
   * Power failure: what the mode says survives becomes the contents; nothing queued is answered.
   */
  crash(mode: CrashMode): void {
    this.#carryOutSome(mode);
    const names = new Map(this.#durableNames);
    for (const change of this.#nameChanges) {
      const keep = mode.kind === "keep" || (mode.kind === "random" && mode.prng.chance(1, 2));
      if (keep) applyNameChange(names, change);
    }
    for (const inode of new Set(names.values())) survive(inode, mode);
    this.#names = names;
    this.#durableNames = new Map(names);
    this.#nameChanges = [];
    this.#queue = [];
  }

  /** The same disk once more, unsynced writes and queue included; the fault hook is not copied. */
  clone(): MemoryDisk {
    const copies = new Map<Inode, Inode>();
    const copied = (inode: Inode): Inode => {
      const known = copies.get(inode);
      if (known !== undefined) return known;
      const copy = {
        cached: inode.cached.slice(),
        durable: inode.durable.slice(),
        unsynced: [...inode.unsynced],
      };
      copies.set(inode, copy);
      return copy;
    };
    const disk = new MemoryDisk();
    for (const [name, inode] of this.#names) disk.#names.set(name, copied(inode));
    for (const [name, inode] of this.#durableNames) disk.#durableNames.set(name, copied(inode));
    disk.#nameChanges = this.#nameChanges.map((c) => ({ ...c, inode: copied(c.inode) }));
    disk.#queue = [...this.#queue];
    return disk;
  }

  /** The contents as the running process sees them, in order of names. The arrays are copies. */
  image(): Map<string, Uint8Array> {
    const files = new Map<string, Uint8Array>();
    for (const name of this.list()) files.set(name, this.read(name, 0, this.size(name)));
    return files;
  }

  /** Changes a file behind everybody's back, durably: bit rot, truncation; null removes it. */
  damage(name: string, change: (bytes: Uint8Array) => Uint8Array | null): void {
    const inode = this.#names.get(name);
    assert(inode !== undefined, `no file to damage: ${name}`);
    const bytes = change(inode.cached.slice());
    if (bytes === null) {
      this.#names.delete(name);
      this.#durableNames.delete(name);
      return;
    }
    inode.cached = bytes;
    inode.durable = bytes.slice();
    inode.unsynced = [];
  }

  /** Queue positions of operations that no earlier one on the same file holds back. */
  #startable(): number[] {
    const seen = new Set<string>();
    const startable: number[] = [];
    for (const [at, request] of this.#queue.entries()) {
      const touched = touchedBy(request);
      if (!touched.some((name) => seen.has(name))) startable.push(at);
      for (const name of touched) seen.add(name);
    }
    return startable;
  }

  #carryOutSome(mode: CrashMode): void {
    if (mode.kind === "lose") return;
    const stopped = new Set<string>();
    for (const request of this.#queue) {
      const touched = touchedBy(request);
      const stops = mode.kind === "random" && mode.prng.chance(1, 2);
      if (stops || touched.some((name) => stopped.has(name))) {
        for (const name of touched) stopped.add(name);
      } else {
        this.#carryOut(request);
      }
    }
  }

  #carryOut(request: DiskRequest): DiskCompletion {
    const fault = this.fault(request);
    if (fault?.kind === "drop") return { op: request.op, error: null };
    if (fault?.kind === "error") {
      this.#failHalfway(request, fault.bytesKept ?? 0);
      return { op: request.op, error: new DiskError(fault.code, `${request.kind} failed`) };
    }
    try {
      this.#apply(request, fault?.at ?? null);
      return { op: request.op, error: null };
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      return { op: request.op, error };
    }
  }

  #failHalfway(request: DiskRequest, bytesKept: number): void {
    if (request.kind === "write" && bytesKept > 0) {
      writeCached(this.#inode(request.name), request.at, request.data.slice(0, bytesKept));
    }
    // After a failed fsync Linux takes the pages for clean: a second one would report success.
    if (request.kind === "sync") this.#inode(request.name).unsynced = [];
  }

  #apply(request: DiskRequest, misdirectedTo: number | null): void {
    switch (request.kind) {
      case "create": {
        if (this.#names.has(request.name)) {
          throw new DiskError("DISK_FAILED", `the file exists: ${request.name}`);
        }
        const inode: Inode = {
          cached: new Uint8Array(request.bytes),
          durable: new Uint8Array(request.bytes),
          unsynced: [],
        };
        this.#changeName({ kind: "link", name: request.name, inode });
        return;
      }
      case "write":
        writeCached(this.#inode(request.name), misdirectedTo ?? request.at, request.data);
        return;
      case "sync": {
        const inode = this.#inode(request.name);
        for (const write of inode.unsynced) {
          inode.durable = overwrite(inode.durable, write.at, write.data);
        }
        inode.unsynced = [];
        return;
      }
      case "rename":
        this.#changeName({
          kind: "move",
          name: request.name,
          to: request.to,
          inode: this.#inode(request.name),
        });
        return;
      case "remove":
        this.#changeName({
          kind: "unlink",
          name: request.name,
          inode: this.#inode(request.name),
        });
        return;
      case "syncDirectory":
        this.#durableNames = new Map(this.#names);
        this.#nameChanges = [];
        return;
      default:
        unreachable(request);
    }
  }

  #changeName(change: NameChange): void {
    applyNameChange(this.#names, change);
    this.#nameChanges.push(change);
  }

  #inode(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new DiskError("DISK_MISSING", `no such file: ${name}`);
    return inode;
  }
}

/** Names whose order of operations binds this one. */
function touchedBy(request: DiskRequest): readonly string[] {
  switch (request.kind) {
    case "rename":
      return [request.name, request.to];
    case "syncDirectory":
      return ["/"];
    case "create":
    case "write":
    case "sync":
    case "remove":
      return [request.name];
    default:
      return unreachable(request);
  }
}

function applyNameChange(names: Map<string, Inode>, change: NameChange): void {
  switch (change.kind) {
    case "link":
      names.set(change.name, change.inode);
      return;
    case "move":
      if (names.get(change.name) === change.inode) names.delete(change.name);
      names.set(change.to, change.inode);
      return;
    case "unlink":
      if (names.get(change.name) === change.inode) names.delete(change.name);
      return;
    default:
      unreachable(change);
  }
}

function writeCached(inode: Inode, at: number, data: Uint8Array): void {
  inode.cached = overwrite(inode.cached, at, data);
  inode.unsynced.push({ at, data });
}

/** The file with `data` at `at`: changed in place, or a longer copy. */
function overwrite(bytes: Uint8Array, at: number, data: Uint8Array): Uint8Array {
  let target = bytes;
  if (at + data.length > bytes.length) {
    target = new Uint8Array(at + data.length);
    target.set(bytes);
  }
  target.set(data, at);
  return target;
}

function survive(inode: Inode, mode: CrashMode): void {
  for (const write of inode.unsynced) {
    if (mode.kind === "keep") inode.durable = overwrite(inode.durable, write.at, write.data);
    if (mode.kind === "random") tear(inode, write, mode.prng);
  }
  inode.unsynced = [];
  inode.cached = inode.durable.slice();
}

/** Keeps, loses or garbles each sector's share of a write. */
function tear(inode: Inode, write: Write, prng: Prng): void {
  const end = write.at + write.data.length;
  let at = write.at;
  while (at < end) {
    const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    const share = write.data.slice(at - write.at, next - write.at);
    const fate = prng.below(16);
    if (fate === 0) for (let i = 0; i < share.length; i += 1) share[i] = prng.below(256);
    if (fate < 9) inode.durable = overwrite(inode.durable, at, share);
    at = next;
  }
}
