import { expect, test } from "vitest";
import { type Measured, ratioOf, renderShapes, roundTimes, summarise } from "./rounds.ts";
import type { Window } from "./target.ts";

const SHAPE = { connections: 64, depth: 1 };
const OTHER_SHAPE = { connections: 64, depth: 16 };

function window(perSecond: number, more: Partial<Window> = {}): Window {
  return {
    perSecond,
    p50Ms: 1,
    p99Ms: 2,
    errors: 0,
    firstError: null,
    loaderBusy: null,
    ...more,
  };
}

const MEASURED: readonly Measured[] = [
  { target: "trefoil", shape: SHAPE, windows: [window(90), window(30), window(60)] },
  { target: "etcd", shape: SHAPE, windows: [window(10), window(20), window(30)] },
  { target: "etcd", shape: OTHER_SHAPE, windows: [window(6)] },
];

test("medians of the rounds", () => {
  const results = summarise(MEASURED);
  expect(results[0]).toMatchObject({ perSecond: 60, rounds: [90, 30, 60] });
  expect(results[1]).toMatchObject({ perSecond: 20 });
});

test("ratios are of stores under the same load", () => {
  const results = summarise(MEASURED);
  expect(ratioOf(results, "trefoil", "etcd", { ...SHAPE })).toBe(3);
  expect(ratioOf(results, "trefoil", "redis", SHAPE)).toBeNull();
  expect(ratioOf(results, "trefoil", "etcd", OTHER_SHAPE)).toBeNull();
});

test("errors of any round are told", () => {
  const bad = window(1, { errors: 2, firstError: "TIMEOUT", loaderBusy: 0.5 });
  const [result] = summarise([{ target: "trefoil", shape: SHAPE, windows: [window(1), bad] }]);
  expect(result).toMatchObject({ errors: 2, firstError: "TIMEOUT", loaderBusy: 0.5 });
});

test("a table has a column per ratio", () => {
  const results = summarise(MEASURED);
  const ratios = { "to etcd": () => 3, "to redis": () => null };
  const [header, , first] = renderShapes(results, "SET/s", ratios).split("\n");
  expect(header).toMatch(/SET\/s +p50 ms +p99 ms +to etcd +to redis +loader +errors$/);
  expect(first).toMatch(/^64 +trefoil +60 +1\.00 +2\.00 +3\.00 +0$/);
});

test("the warm-up is shared by its shapes", () => {
  const options = { rounds: 3, seconds: 2, warmUpSeconds: 20 };
  expect(roundTimes(options, [SHAPE, OTHER_SHAPE])).toMatchObject({ warmUpMs: 10_000 });
  expect(roundTimes({ ...options, warmUpSeconds: 0 }, [SHAPE]).warmUps).toEqual([]);
});
