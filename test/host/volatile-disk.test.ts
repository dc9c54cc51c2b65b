import { setImmediate as immediate } from "node:timers/promises";
import { describe, it } from "vitest";
import type { DiskCompletion } from "../../src/core/contract/disk.ts";
import { VolatileDisk } from "../../src/host/disk/volatile-disk.ts";
import { DISK_CASES, type DiskUnderTest } from "../../src/testing/disk-conformance.ts";

class Opened implements DiskUnderTest {
  readonly disk: VolatileDisk;
  #completions: DiskCompletion[] = [];

  constructor(before?: VolatileDisk) {
    this.disk = new VolatileDisk((completion) => this.#completions.push(completion), before);
  }

  async settle(): Promise<readonly DiskCompletion[]> {
    await immediate();
    await immediate();
    return this.#completions.splice(0);
  }

  async reopen(): Promise<DiskUnderTest> {
    return new Opened(this.disk);
  }

  async close(): Promise<void> {}
}

describe("a disk in memory", () => {
  for (const one of DISK_CASES) it(one.title, () => one.run(async () => new Opened()));
});
