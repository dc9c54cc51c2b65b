import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../src/core/base/bytes.ts";
import { CASES, HOSTILE, INLINE, type Step } from "./cases.ts";
import { RandomCommands } from "./random-commands.ts";
import {
  InProcessTarget,
  type RedisServer,
  SocketTarget,
  startRedis,
  visible,
  whyNoRedis,
} from "./targets.ts";
import { transcript } from "./transcript.ts";

const missing = whyNoRedis();
if (missing !== null) console.warn(`not compared with Redis: ${missing}`);

describe.skipIf(missing !== null)("answers as Redis does, to the byte", () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(async () => {
    await redis.stop();
  });

  test.each(CASES)("$name", async ({ resp, steps }) => {
    const [theirs, ours] = await runBoth(redis.port, resp, steps);
    expect(ours).toEqual(theirs);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "a random sequence of 500 commands, seed %i",
    async (seed) => {
      const steps = new RandomCommands(seed).sequence(500);
      const [theirs, ours] = await runBoth(redis.port, seed % 2 === 0 ? 2 : 3, steps);
      expect(ours).toEqual(theirs);
    },
  );

  test.each(HOSTILE)("%s", async (_name, bytes) => {
    const target = await SocketTarget.open(redis.port);
    const theirs = await target.raw(encodeUtf8(bytes));
    target.close();
    const ours = await new InProcessTarget().raw(encodeUtf8(bytes));
    expect(visible(ours)).toBe(visible(theirs));
  });

  test.each(INLINE)("%j", async (bytes) => {
    const target = await SocketTarget.open(redis.port);
    const theirs = await target.raw(encodeUtf8(bytes));
    target.close();
    const ours = await new InProcessTarget().raw(encodeUtf8(bytes));
    expect(visible(ours)).toBe(visible(theirs));
  });
});

/** What both answered, each reply behind its command so that a difference can be read. */
async function runBoth(
  port: number,
  resp: 2 | 3,
  steps: readonly Step[],
): Promise<[theirs: string[], ours: string[]]> {
  const real = await SocketTarget.open(port);
  try {
    return [
      await transcript(real, resp, steps),
      await transcript(new InProcessTarget(), resp, steps),
    ];
  } finally {
    real.close();
  }
}
