import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { fromByteString } from "../../src/core/base/bytes.ts";
import { crc32 } from "../../src/core/base/hash.ts";
import type { DiskCompletion } from "../../src/core/contract/disk.ts";
import {
  type CheckpointFileStore,
  openCheckpointFileStore,
} from "../../src/core/log/checkpoint-file-store.ts";
import { MemoryStore } from "../../src/core/log/memory-store.ts";
import { NodeDisk } from "../../src/host/disk/node-disk.ts";
import { type LmdbStore, openLmdbStore } from "../../src/host/state/lmdb-store.ts";
import { MemoryDisk } from "../../src/testing/sim/memory-disk.ts";
import { STORE_CASES, type StoreUnderTest } from "../../src/testing/store-conformance.ts";

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true });
});

function temporary(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "trefoil-state-"));
  directories.push(directory);
  return directory;
}

function counter(): () => number {
  let last = 0;
  return () => {
    last += 1;
    return last;
  };
}

/** Long enough for a thread to answer, short enough for a test that has to wait often. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

class Lmdb implements StoreUnderTest {
  readonly store: LmdbStore;
  readonly #directory: string;

  constructor(directory = temporary()) {
    this.#directory = directory;
    this.store = openLmdbStore({
      directory,
      nextOp: counter(),
      onCompletion: (completion) => expect(this.store.onDisk(completion)).toBe(true),
    });
  }

  pause = turn;

  async reopen(): Promise<StoreUnderTest> {
    await this.store.close();
    return new Lmdb(this.#directory);
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

class Files implements StoreUnderTest {
  readonly store: CheckpointFileStore;
  readonly #disk: NodeDisk;
  readonly #directory: string;

  constructor(directory = temporary()) {
    this.#directory = directory;
    const onCompletion = (completion: DiskCompletion) => void this.store.onDisk(completion);
    this.#disk = new NodeDisk({ directory, onCompletion });
    this.store = openCheckpointFileStore({ disk: this.#disk, checksum: crc32, nextOp: counter() });
  }

  pause = turn;

  async reopen(): Promise<StoreUnderTest> {
    await this.#disk.close();
    return new Files(this.#directory);
  }

  close(): Promise<void> {
    return this.#disk.close();
  }
}

class Simulated implements StoreUnderTest {
  readonly store: CheckpointFileStore;
  readonly #disk: MemoryDisk;

  constructor(disk = new MemoryDisk()) {
    this.#disk = disk;
    this.store = openCheckpointFileStore({ disk, checksum: crc32, nextOp: counter() });
  }

  async pause(): Promise<void> {
    for (const completion of this.#disk.drain(1)) this.store.onDisk(completion);
  }

  async reopen(): Promise<StoreUnderTest> {
    for (let drained = this.#disk.drain(1); drained.length > 0; ) drained = this.#disk.drain(1);
    return new Simulated(this.#disk);
  }

  async close(): Promise<void> {}
}

/** Its rows outlive it for as long as the test holds them. */
class Memory implements StoreUnderTest {
  readonly store: MemoryStore;

  constructor(store = new MemoryStore()) {
    this.store = store;
  }

  async pause(): Promise<void> {}

  async reopen(): Promise<StoreUnderTest> {
    this.store.crash();
    return new Memory(this.store);
  }

  async close(): Promise<void> {}
}

describe.each([
  ["memory", () => new Memory()],
  ["LMDB", () => new Lmdb()],
  ["checkpoint files on a disk", () => new Files()],
  ["checkpoint files on a simulated disk", () => new Simulated()],
])("state in %s", (_name, open) => {
  for (const requirement of STORE_CASES) {
    test(requirement.title, () => requirement.run(async () => open()));
  }
});

/** A file system in memory of that size, or null where it may not be mounted. */
function smallFileSystem(size: string): { directory: string; grow(size: string): void } | null {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "trefoil-full-"));
  const mount = (options: string) =>
    spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory]).status === 0;
  if (!mount(`size=${size}`)) {
    fs.rmdirSync(directory);
    return null;
  }
  unmount = () => {
    spawnSync("umount", [directory]);
    fs.rmdirSync(directory);
  };
  return { directory, grow: (size) => void mount(`remount,size=${size}`) };
}

let unmount = () => {};

describe("LMDB", () => {
  afterEach(() => {
    unmount();
    unmount = () => {};
  });

  test("a full disk fails the commit, says so, and leaves the one before", async ({ skip }) => {
    const small = smallFileSystem("4m");
    if (small === null) return skip("a file system cannot be mounted here");
    const rows = (count: number) =>
      Array.from({ length: count }, (_, i) => {
        return [`key${String(i).padStart(4, "0")}`, new Uint8Array(10_000).fill(i)] as const;
      }).values();
    const full = new Lmdb(small.directory);
    full.store.begin(1, rows(50));
    for (let said = full.store.work(10); said !== "done"; said = full.store.work(10)) {
      await full.pause();
    }
    full.store.begin(2, rows(600));
    await vi.waitUntil(() => {
      full.store.work(100);
      return full.store.failure !== null;
    });
    expect(full.store.failure).toMatchObject({ code: "DISK_FULL" });
    expect(full.store.work(100)).toBe("waiting");
    await full.close();
    small.grow("40m");
    const next = new Lmdb(small.directory);
    expect(next.store.position).toBe(1);
    expect([...next.store.rows("", null)]).toHaveLength(50);
    next.store.begin(2, rows(600));
    for (let said = next.store.work(100); said !== "done"; said = next.store.work(100)) {
      await next.pause();
    }
    expect([...next.store.rows("", null)]).toHaveLength(600);
    await next.close();
  });

  test("a row that was changed on the disk is found out", async () => {
    const directory = temporary();
    const marked = "a value that is easy to find";
    const first = new Lmdb(directory);
    first.store.begin(1, [["key", fromByteString(marked)] as const].values());
    for (let said = first.store.work(1); said !== "done"; said = first.store.work(1)) {
      await first.pause();
    }
    await first.close();
    const file = path.join(directory, "state", "data.mdb");
    const bytes = fs.readFileSync(file);
    const at = bytes.indexOf(marked);
    expect(at).toBeGreaterThan(0);
    bytes[at] = bytes[at]! ^ 1;
    fs.writeFileSync(file, bytes);
    const second = new Lmdb(directory);
    expect(() => second.store.get("key")).toThrow("the checksum of a row is wrong");
    expect(() => [...second.store.rows("", null)]).toThrow("checksum");
    await second.close();
  });

  test("a file that is none of LMDB's is refused, whichever of its first pages shows it", async () => {
    const whole = temporary();
    await new Lmdb(whole).close();
    const good = fs.readFileSync(path.join(whole, "state", "data.mdb"));
    const bad = [Buffer.alloc(8192, 7), good.subarray(0, 4000), good.subarray(0, 5)];
    for (const page of [0, 4096]) {
      const wrong = Buffer.from(good);
      wrong.fill(1, page, page + 100);
      bad.push(wrong);
    }
    for (const bytes of bad) {
      const directory = temporary();
      fs.mkdirSync(path.join(directory, "state"));
      fs.writeFileSync(path.join(directory, "state", "data.mdb"), bytes);
      expect(() => new Lmdb(directory)).toThrow(/state is damaged/);
    }
  });
});
