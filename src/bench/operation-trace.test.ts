import { expect, test } from "vitest";
import { OperationTrace } from "./operation-trace.ts";

test("what was added is read again, in order and however much", () => {
  const trace = new OperationTrace();
  for (let i = 0; i < 10_000; i += 1) trace.add(i, i + 0.5);
  const seen: number[] = [];
  OperationTrace.read(trace.bytes(), (dueAt, endedAt) => {
    if (endedAt === dueAt + 0.5) seen.push(dueAt);
  });
  expect(seen).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
});
