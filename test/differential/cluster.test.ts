import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../src/core/base/bytes.ts";
import { TestCluster } from "../e2e/cluster.ts";
import { CASES, HOSTILE, INLINE } from "./cases.ts";
import { RandomCommands } from "./random-commands.ts";
import { type RedisServer, SocketTarget, startRedis, visible, whyNoRedis } from "./targets.ts";
import { transcript } from "./transcript.ts";

const missing = whyNoRedis();
if (missing !== null) console.warn(`the cluster is not compared with Redis: ${missing}`);

describe.skipIf(missing !== null)("a cluster of three answers as Redis does, to the byte", () => {
  let redis: RedisServer;
  let cluster: TestCluster;

  beforeAll(async () => {
    redis = await startRedis();
    cluster = await TestCluster.start();
  }, 60_000);

  afterAll(async () => {
    await cluster?.close();
    await redis?.stop();
  }, 30_000);

  /** What `use` finds at both, asked one after the other; ours at any of the nodes. */
  async function both<T>(node: number, use: (target: SocketTarget) => Promise<T>): Promise<[T, T]> {
    const id = cluster.ids[node % cluster.ids.length] ?? "";
    const found: T[] = [];
    for (const port of [redis.port, cluster.addresses(id).resp.port]) {
      const target = await SocketTarget.open(port);
      try {
        found.push(await use(target));
      } finally {
        target.close();
      }
    }
    return [found[0]!, found[1]!];
  }

  test.each(CASES.map((one, i) => ({ ...one, node: i })))(
    "$name",
    async ({ node, resp, steps }) => {
      const [theirs, ours] = await both(node, (target) => transcript(target, resp, steps));
      expect(ours).toEqual(theirs);
    },
  );

  test.each([101, 102, 103])("a random sequence of 500 commands, seed %i", async (seed) => {
    const steps = new RandomCommands(seed).sequence(500);
    const [theirs, ours] = await both(seed, (target) => transcript(target, 3, steps));
    expect(ours).toEqual(theirs);
  });

  test.each([...HOSTILE, ...INLINE.map((line) => [line, line] as const)])(
    "%j",
    async (_name, bytes) => {
      const [theirs, ours] = await both(0, (target) => target.raw(encodeUtf8(bytes)));
      expect(visible(ours)).toBe(visible(theirs));
    },
  );
});
