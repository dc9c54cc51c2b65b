import { afterEach, describe, expect, test } from "vitest";
import type { RespClient } from "../../src/client/resp-client.ts";
import { Prng } from "../../src/core/base/prng.ts";
import { TestCluster } from "./cluster.ts";
import { readText } from "./load.ts";

/** `CRASHES=200 npx vitest run test/e2e/checkpoints.test.ts` for a longer run. */
const CRASHES = Number(process.env["CRASHES"] ?? 5);
const SEED = Number(process.env["CRASH_SEED"] ?? Date.now() % 1_000_000);

/** A checkpoint every few hundred writes, so that a kill rarely misses one. */
const CHECKPOINT_BYTES = 64 << 10;
const KEYS = 300;
const PIPELINED = 64;

let cluster: TestCluster | null = null;

afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

/** Writes ascending versions to its keys, many at a time, until the connection breaks. */
class VersionWriter {
  readonly #prng: Prng;
  /** Per key: the last version that was sent, and the last that was acknowledged. */
  readonly sent: number[] = new Array<number>(KEYS).fill(0);
  readonly acknowledged: number[] = new Array<number>(KEYS).fill(0);
  increments = 0;
  incrementsSent = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Resolves when the connection is gone; never sends anything twice (GEN6). */
  async run(client: RespClient): Promise<void> {
    const lanes = Array.from({ length: PIPELINED }, () => this.#lane(client));
    await Promise.allSettled(lanes);
  }

  async #lane(client: RespClient): Promise<never> {
    for (;;) {
      if (this.#prng.chance(1, 4)) {
        this.incrementsSent += 1;
        const reply = await client.call("INCR", "counter");
        if (reply.kind === "integer") this.increments += 1;
        continue;
      }
      const key = this.#prng.between(0, KEYS - 1);
      const version = this.sent[key]! + 1;
      this.sent[key] = version;
      const reply = await client.call("SET", nameOf(key), textFor(key, version));
      if (reply.kind !== "simple") continue;
      this.acknowledged[key] = Math.max(this.acknowledged[key]!, version);
    }
  }

  /** What was lost or invented, in words. What is there counts as written from now on. */
  async violations(client: RespClient): Promise<string[]> {
    const found: string[] = [];
    const check = async (key: number): Promise<void> => {
      const text = await readText(client, nameOf(key));
      const version = Number(text?.split(":")[0] ?? 0);
      const [least, most] = [this.acknowledged[key]!, this.sent[key]!];
      const isWhole = text === null || text === textFor(key, version);
      if (version < least || version > most || !isWhole) {
        found.push(`${nameOf(key)} is ${text?.slice(0, 20)}, must be from ${least} to ${most}`);
      }
      this.acknowledged[key] = version;
    };
    await Promise.all(Array.from({ length: KEYS }, (_, key) => check(key)));
    const counter = Number((await readText(client, "counter")) ?? 0);
    if (counter < this.increments || counter > this.incrementsSent) {
      found.push(`counter is ${counter}: from ${this.increments} to ${this.incrementsSent}`);
    }
    this.increments = counter;
    return found;
  }
}

const nameOf = (key: number) => `key:${key}`;
const textFor = (key: number, version: number) => `${version}:${key}:`.padEnd(200, "x");

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
      const before = writer.sent.reduce((sum, version) => sum + version, 0);
      const isFarEnough = () =>
        writer.sent.reduce((sum, version) => sum + version, 0) > before + 1_500;
      await expect.poll(isFarEnough, { timeout: 20_000, interval: 5 }).toBe(true);
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
