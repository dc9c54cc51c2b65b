import { expect, test } from "vitest";
import { sidesOf } from "./checkpoints.ts";
import { OperationTrace } from "./operation-trace.ts";

test("operations are told apart by the checkpoints in their time", () => {
  const trace = new OperationTrace();
  for (let i = 0; i < 100; i += 1) trace.add(i * 10, i * 10 + (i % 10 === 5 ? 8 : 1));
  const nodes = [
    [
      { from: -50, to: -20 },
      { from: 250, to: 259 },
    ],
    [
      { from: 256, to: 262 },
      { from: 657, to: 663 },
    ],
  ];
  const { inside, outside, ...found } = sidesOf(trace.bytes(), nodes);
  expect(inside).toMatchObject({ operations: 4, maxMs: 8 });
  expect(outside).toMatchObject({ operations: 96, maxMs: 8 });
  expect(found).toEqual({ counts: [1, 2], spans: { count: 2, meanMs: 9, apartMs: 407 } });
});
