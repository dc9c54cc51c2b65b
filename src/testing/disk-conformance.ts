import assert from "node:assert/strict";
import type { Disk, DiskCompletion, DiskErrorCode } from "../core/contract/disk.ts";

/** A disk under test: an empty directory, and a way to wait for what was submitted. */
export interface DiskUnderTest {
  readonly disk: Disk;
  /** Completions in the order of arrival, until nothing that was submitted is open. */
  settle(): Promise<readonly DiskCompletion[]>;
  /** The same directory as the next process would find it. */
  reopen(): Promise<DiskUnderTest>;
  /** Frees what it holds. */
  close(): Promise<void>;
}

/** One requirement: a test runner names it by its title and waits for `run`. */
export interface DiskCase {
  readonly title: string;
  run(open: () => Promise<DiskUnderTest>): Promise<void>;
}

/**
 * What every driver of `Disk` must do, as far as it can be seen without pulling the plug. A
 * driver's test runs each case by its own test runner.
 */
export const DISK_CASES: readonly DiskCase[] = [
  {
    title: "is empty at first",
    run: using(async ({ disk }) => {
      assert.deepEqual(disk.list(), []);
      assert.equal(disk.size("a"), -1);
      assert.ok(disk.room() > 0);
      assert.throws(() => disk.read("a", 0, 1), isDiskError("DISK_MISSING"));
    }),
  },
  {
    title: "creates files of zeros, and lists them in the order of bytes",
    run: using(async (test) => {
      const { disk } = test;
      for (const [i, name] of ["log-2", "log-10", "B", "a"].entries())
        disk.create(i + 1, name, i * 1000);
      await expectDone(test, 4);
      assert.deepEqual(disk.list(), ["B", "a", "log-10", "log-2"]);
      assert.equal(disk.size("a"), 3000);
      assert.deepEqual(disk.read("a", 0, 5000), new Uint8Array(3000));
    }),
  },
  {
    title: "refuses to create a file that exists",
    run: using(async (test) => {
      test.disk.create(1, "a", 10);
      test.disk.write(2, "a", 0, [Uint8Array.of(7)]);
      test.disk.create(3, "a", 10);
      const completions = await test.settle();
      assert.equal(errorOf(completions, 3), "DISK_FAILED");
      assert.deepEqual(test.disk.read("a", 0, 2), Uint8Array.of(7, 0));
    }),
  },
  {
    title: "writes parts one after the other, anywhere, and lets the file grow",
    run: using(async (test) => {
      test.disk.create(1, "a", 4);
      test.disk.write(2, "a", 1, [Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)]);
      test.disk.write(3, "a", 6, [Uint8Array.of(9)]);
      test.disk.write(4, "a", 2, []);
      test.disk.sync(5, "a");
      await expectDone(test, 5);
      assert.deepEqual(test.disk.read("a", 0, 100), Uint8Array.of(0, 1, 2, 3, 0, 0, 9));
      assert.deepEqual(test.disk.read("a", 2, 2), Uint8Array.of(2, 3));
      assert.deepEqual(test.disk.read("a", 50, 2), new Uint8Array(0));
    }),
  },
  {
    title: "writes thousands of parts, and megabytes",
    run: using(async (test) => {
      const parts = Array.from({ length: 3000 }, (_, i) => Uint8Array.of(i & 0xff, i >> 8));
      const large = new Uint8Array(3_000_000).fill(5);
      test.disk.create(1, "a", 0);
      test.disk.write(2, "a", 0, parts);
      test.disk.write(3, "a", 6000, [large, Uint8Array.of(6)]);
      await expectDone(test, 3);
      assert.equal(test.disk.size("a"), 3_006_001);
      const bytes = test.disk.read("a", 0, 3_006_001);
      assert.deepEqual(bytes.subarray(0, 6000), Uint8Array.from(parts.flatMap((p) => [...p])));
      assert.ok(bytes.subarray(6000, 3_006_000).every((byte) => byte === 5));
      assert.equal(bytes[3_006_000], 6);
    }),
  },
  {
    title: "carries out the operations on one file in the order submitted",
    run: using(async (test) => {
      test.disk.create(1, "log-000000000000000", 100_000);
      let op = 1;
      for (let i = 1; i <= 200; i += 1) {
        const length = (i * 7919) % 90_000;
        op += 1;
        test.disk.write(op, "log-000000000000000", 0, [new Uint8Array(length).fill(i)]);
        if (i % 3 !== 0) continue;
        op += 1;
        test.disk.sync(op, "log-000000000000000");
      }
      const ops = (await expectDone(test, op)).map((completion) => completion.op);
      assert.deepEqual(
        ops,
        ops.toSorted((a, b) => a - b),
      );
      assert.equal(test.disk.read("log-000000000000000", 0, 1)[0], 200);
    }),
  },
  {
    title: "renames, over another file too, and the operations go with the name",
    run: using(async (test) => {
      const { disk } = test;
      disk.create(1, "old", 1);
      disk.create(2, "new.tmp", 1);
      disk.write(3, "new.tmp", 0, [Uint8Array.of(1)]);
      disk.rename(4, "new.tmp", "old");
      disk.write(5, "old", 1, [Uint8Array.of(2)]);
      disk.sync(6, "old");
      disk.create(7, "new.tmp", 3);
      disk.syncDirectory(8);
      await expectDone(test, 8);
      assert.deepEqual(disk.read("old", 0, 9), Uint8Array.of(1, 2));
      assert.equal(disk.size("new.tmp"), 3);
    }),
  },
  {
    title: "replaces a segment that was written, and writes to the new one",
    run: using(async (test) => {
      const { disk } = test;
      const [name, copy] = ["log-000000000000000", "log-000000000000000.tmp"];
      disk.create(1, name, 10);
      disk.write(2, name, 0, [Uint8Array.of(1)]);
      disk.sync(3, name);
      disk.create(4, copy, 10);
      disk.write(5, copy, 0, [Uint8Array.of(2)]);
      disk.sync(6, copy);
      disk.rename(7, copy, name);
      disk.write(8, name, 1, [Uint8Array.of(3)]);
      disk.sync(9, name);
      await expectDone(test, 9);
      assert.deepEqual(disk.read(name, 0, 3), Uint8Array.of(2, 3, 0));
      assert.deepEqual(disk.list(), [name]);
    }),
  },
  {
    title: "removes, and creates anew under the same name",
    run: using(async (test) => {
      const { disk } = test;
      disk.create(1, "log-000000000000000", 10);
      disk.write(2, "log-000000000000000", 0, [Uint8Array.of(9)]);
      disk.remove(3, "log-000000000000000");
      disk.create(4, "log-000000000000000", 5);
      disk.write(5, "log-000000000000000", 4, [Uint8Array.of(8)]);
      await expectDone(test, 5);
      assert.deepEqual(disk.read("log-000000000000000", 0, 9), Uint8Array.of(0, 0, 0, 0, 8));
      disk.remove(6, "log-000000000000000");
      await expectDone(test, 1);
      assert.deepEqual(disk.list(), []);
    }),
  },
  {
    title: "answers operations on a file that is not there with DISK_MISSING",
    run: using(async (test) => {
      test.disk.write(1, "log-000000000000000", 0, [Uint8Array.of(1)]);
      test.disk.write(2, "a", 0, [Uint8Array.of(1)]);
      test.disk.sync(3, "a");
      test.disk.rename(4, "a", "b");
      test.disk.remove(5, "c");
      const completions = await test.settle();
      for (let op = 1; op <= 5; op += 1) assert.equal(errorOf(completions, op), "DISK_MISSING");
      assert.deepEqual(test.disk.list(), []);
    }),
  },
  {
    title: "keeps what was synced for the next process",
    run: using(async (test) => {
      test.disk.create(1, "log-000000000000000", 10);
      test.disk.write(2, "log-000000000000000", 3, [Uint8Array.of(1, 2)]);
      test.disk.sync(3, "log-000000000000000");
      test.disk.syncDirectory(4);
      await expectDone(test, 4);
      const next = await test.reopen();
      try {
        assert.deepEqual(next.disk.list(), ["log-000000000000000"]);
        assert.deepEqual(next.disk.read("log-000000000000000", 3, 2), Uint8Array.of(1, 2));
        next.disk.sync(1, "log-000000000000000");
        await expectDone(next, 1);
      } finally {
        await next.close();
      }
    }),
  },
];

function using(body: (test: DiskUnderTest) => Promise<void>): DiskCase["run"] {
  return async (open) => {
    const test = await open();
    try {
      await body(test);
    } finally {
      await test.close();
    }
  };
}

/** All operations submitted have completed, so many, each once and without an error. */
async function expectDone(test: DiskUnderTest, count: number): Promise<readonly DiskCompletion[]> {
  const completions = await test.settle();
  assert.deepEqual(
    completions.filter(({ error }) => error !== null),
    [],
  );
  assert.equal(new Set(completions.map(({ op }) => op)).size, count);
  assert.equal(completions.length, count);
  return completions;
}

function errorOf(completions: readonly DiskCompletion[], op: number): DiskErrorCode | undefined {
  return completions.find((completion) => completion.op === op)?.error?.code;
}

function isDiskError(code: DiskErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof Error && "code" in error && error.code === code;
}
