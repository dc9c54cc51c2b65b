import { expect, test } from "vitest";
import { withRatios } from "./durable-set.ts";
import { type ShapeResult, summarise } from "./rounds.ts";

function result(target: string, perSecond: number): ShapeResult[] {
  const shape = { connections: 64, depth: 1 };
  const more = { p50Ms: 1, p99Ms: 2, errors: 0, firstError: null, loaderBusy: null };
  return summarise([{ target, shape, windows: [{ perSecond, ...more }] }]);
}

test("each result has its ratios to the other stores", () => {
  const results = withRatios([...result("trefoil", 60), ...result("etcd", 20)]);
  expect(results[0]).toMatchObject({ toEtcd: 3, toRedis: null });
  expect(results[1]).toMatchObject({ toEtcd: 1, toRedis: null });
  const [first] = withRatios([...result("trefoil", 60), ...result("redis", 30)]);
  expect(first).toMatchObject({ toEtcd: null, toRedis: 2 });
});
