import { expect, test } from "vitest";
import { summarise } from "./durable-set.ts";
import type { Window } from "./target.ts";

const SHAPE = { connections: 64, depth: 1 };

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

test("medians of the rounds, and ratios to etcd's under the same load", () => {
  const results = summarise([
    { target: "trefoil", shape: SHAPE, windows: [window(90), window(30), window(60)] },
    { target: "etcd", shape: SHAPE, windows: [window(10), window(20), window(30)] },
  ]);
  expect(results[0]).toMatchObject({ perSecond: 60, toEtcd: 3, rounds: [90, 30, 60] });
  expect(results[1]).toMatchObject({ perSecond: 20, toEtcd: 1 });
});

test("errors of any round are told", () => {
  const bad = window(1, { errors: 2, firstError: "TIMEOUT", loaderBusy: 0.5 });
  const [result] = summarise([{ target: "trefoil", shape: SHAPE, windows: [window(1), bad] }]);
  expect(result).toMatchObject({ errors: 2, firstError: "TIMEOUT", loaderBusy: 0.5, toEtcd: null });
});
