import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { crc32 as zlibCrc32 } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { crc32 } from "../../src/core/base/hash.ts";
import type { DiskCompletion } from "../../src/core/contract/disk.ts";
import { LogWriter } from "../../src/core/log/log-writer.ts";
import { recoverLog } from "../../src/core/log/recovery.ts";
import { diskError } from "../../src/host/disk/disk-errors.ts";
import { type LogWriterVariant, NodeDisk } from "../../src/host/disk/node-disk.ts";
import { DISK_CASES, type DiskUnderTest } from "../../src/testing/disk-conformance.ts";
import { textRecord, texts } from "../log/log-rig.ts";

const VARIANTS: readonly LogWriterVariant[] = ["fdatasync", "dsync-worker"];
const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true });
});

function temporary(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "trefoil-disk-"));
  directories.push(directory);
  return directory;
}

/** A disk whose completions can be waited for: all of them, or each as it comes. */
class Opened implements DiskUnderTest {
  readonly disk: NodeDisk;
  readonly #directory: string;
  readonly #variant: LogWriterVariant;
  #completions: DiskCompletion[] = [];
  onCompletion: (completion: DiskCompletion) => void = () => {};

  constructor(directory: string, variant: LogWriterVariant) {
    this.#directory = directory;
    this.#variant = variant;
    this.disk = new NodeDisk({
      directory,
      logWriter: variant,
      onCompletion: (completion) => {
        this.#completions.push(completion);
        this.onCompletion(completion);
      },
    });
  }

  async settle(): Promise<readonly DiskCompletion[]> {
    await this.disk.idle();
    return this.#completions.splice(0);
  }

  async reopen(): Promise<DiskUnderTest> {
    await this.disk.close();
    return new Opened(this.#directory, this.#variant);
  }

  close(): Promise<void> {
    return this.disk.close();
  }
}

describe.each(VARIANTS)("NodeDisk with the log written by %s", (variant) => {
  for (const one of DISK_CASES) {
    it(one.title, () => one.run(() => Promise.resolve(new Opened(temporary(), variant))));
  }

  it("never completes an operation within the call that submits it", async () => {
    const opened = new Opened(temporary(), variant);
    let isSubmitting = false;
    let completed = 0;
    opened.onCompletion = () => {
      expect(isSubmitting).toBe(false);
      completed += 1;
    };
    const submit = (run: () => void) => {
      isSubmitting = true;
      run();
      isSubmitting = false;
    };
    for (const name of ["a", "log-000000000000000"]) {
      submit(() => opened.disk.create(1, name, 10));
      await opened.settle();
      submit(() => opened.disk.write(2, name, 0, [Uint8Array.of(1)]));
      submit(() => opened.disk.sync(3, name));
      submit(() => opened.disk.write(4, "missing", 0, [Uint8Array.of(1)]));
      await opened.settle();
    }
    expect(completed).toBe(8);
    await opened.close();
  });

  it("fails what is submitted once it is closed, and lets nothing hang", async () => {
    const opened = new Opened(temporary(), variant);
    const { disk } = opened;
    opened.onCompletion = ({ op }) => {
      if (op === 1) disk.write(2, "a", 0, [Uint8Array.of(1)]);
    };
    disk.create(1, "a", 10);
    await disk.close();
    disk.sync(3, "a");
    const completions = await opened.settle();
    expect(completions.map(({ op, error }) => [op, error?.code])).toEqual([
      [1, undefined],
      [2, "DISK_FAILED"],
      [3, "DISK_FAILED"],
    ]);
    await disk.close();
  });

  it("keeps files to the owner", async () => {
    const directory = temporary();
    const opened = new Opened(directory, variant);
    opened.disk.create(1, "a", 10);
    await opened.settle();
    expect(fs.statSync(path.join(directory, "a")).mode & 0o777).toBe(0o600);
    await opened.close();
  });

  it("carries the log: what was promised is there for the next process", async () => {
    const directory = temporary();
    const first = new Opened(directory, variant);
    const log = open(first);
    for (let batch = 1; batch <= 40; batch += 1) {
      log.append(batch, [textRecord(`record ${batch} `.padEnd(9000, "x"))]);
      log.flush();
    }
    await written(first, log, 40);
    expect(log.failure).toBeNull();
    await first.close();
    const second = new Opened(directory, variant);
    const recovery = recoverLog(second.disk, zlibCrc32, 0);
    expect(texts(recovery).map((text) => text.split(" ")[1])).toEqual(
      Array.from({ length: 40 }, (_, i) => String(i + 1)),
    );
    const next = open(second);
    next.append(1, [textRecord("after")]);
    next.flush();
    await written(second, next, 1);
    expect(texts(recoverLog(second.disk, crc32, 0)).at(-1)).toBe("after");
    await second.close();
  });
});

function open(opened: Opened): LogWriter {
  const recovery = recoverLog(opened.disk, zlibCrc32, 0);
  if (recovery.kind === "corrupt") throw new Error(recovery.reason);
  let op = 0;
  const nextOp = () => {
    op += 1;
    return op;
  };
  const { end } = recovery;
  const segmentBytes = 64 * 1024;
  return new LogWriter({ disk: opened.disk, checksum: zlibCrc32, nextOp, end, segmentBytes });
}

async function written(opened: Opened, log: LogWriter, batch: number): Promise<void> {
  await new Promise<void>((resolve) => {
    opened.onCompletion = (completion) => {
      log.onDisk(completion);
      log.flush();
      if (log.written >= batch || log.failure !== null) resolve();
    };
  });
}

describe("errors of the file system", () => {
  it("are told apart as the core needs it, with the system's own words", () => {
    const failed = (code: string) =>
      diskError(Object.assign(new Error(`${code}: no`), { code }), "write log");
    for (const code of ["ENOSPC", "EDQUOT", "EFBIG"]) expect(failed(code).code).toBe("DISK_FULL");
    for (const code of ["EIO", "EROFS", "EACCES"]) expect(failed(code).code).toBe("DISK_FAILED");
    expect(failed("ENOENT").code).toBe("DISK_MISSING");
    expect(failed("EIO").message).toBe("write log: EIO: no");
  });

  it("come at once where the directory is missing", () => {
    const directory = path.join(temporary(), "missing");
    expect(() => new NodeDisk({ directory, onCompletion: () => {} })).toThrow("ENOENT");
  });
});
