import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { fromByteString } from "../../src/core/base/bytes.ts";
import { crc32 } from "../../src/core/base/hash.ts";
import type { DiskCompletion } from "../../src/core/contract/disk.ts";
import {
  type CheckpointFileStore,
  openCheckpointFileStore,
} from "../../src/core/log/checkpoint-file-store.ts";
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

describe.each([
  ["LMDB", () => new Lmdb()],
  ["checkpoint files on a disk", () => new Files()],
  ["checkpoint files on a simulated disk", () => new Simulated()],
])("state in %s", (_name, open) => {
  test.each(STORE_CASES.map(({ title, run }) => [title, run] as const))(
    "%s",
    async (_title, run) => {
      await run(async () => open());
    },
  );
});

describe("LMDB", () => {
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
