import { afterEach, describe, expect, test } from "vitest";
import { Prng } from "../../src/core/base/prng.ts";
import { TestCluster } from "./cluster.ts";
import { VersionWriter } from "./version-writer.ts";

/** A lane of its own runs more: `CRASHES=200 npx vitest run test/e2e/checkpoints.test.ts`. */
const CRASHES = Number(process.env["CRASHES"] ?? 3);
const SEED = Number(process.env["CRASH_SEED"] ?? Date.now() % 1_000_000);

/** A checkpoint every few hundred writes, so that a kill rarely misses one. */
const CHECKPOINT_BYTES = 64 << 10;

let cluster: TestCluster | null = null;

afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

describe("a node that is killed while it checkpoints", () => {
  test(`loses and invents nothing, ${CRASHES} times`, {
    timeout: 30_000 + CRASHES * 10_000,
  }, async () => {
    const prng = new Prng(SEED);
    const env = { TREFOIL_CHECKPOINT_BYTES: String(CHECKPOINT_BYTES) };
    const started = await TestCluster.start({ nodes: 1, env });
    cluster = started;
    const [id = ""] = started.ids;
    const writer = new VersionWriter(prng);
    for (let crash = 1; crash <= CRASHES; crash += 1) {
      await started.waitLeader();
      const running = writer.run(await started.client(id));
      const enough = writer.writes + 1_500;
      await expect
        .poll(() => writer.writes, { timeout: 20_000, interval: 5 })
        .toBeGreaterThan(enough);
      await new Promise((resolve) => setTimeout(resolve, prng.between(0, 60)));
      await started.kill(id);
      await running;
      await started.restart(id);
      await started.waitLeader();
      const violations = await writer.violations(await started.client(id));
      expect(violations, `crash ${crash} of seed ${SEED}`).toEqual([]);
    }
  });
});
