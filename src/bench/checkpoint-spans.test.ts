import fc from "fast-check";
import { expect, test } from "vitest";
import { mergeSpans, parseCheckpointLog, type Span, touches } from "./checkpoint-spans.ts";

test("a node's checkpoints, also one that goes on", () => {
  const log = "begin 10.5\nend 20\nbegin 30\n";
  expect(parseCheckpointLog(log)).toEqual([
    { from: 10.5, to: 20 },
    { from: 30, to: Number.POSITIVE_INFINITY },
  ]);
  expect(parseCheckpointLog("")).toEqual([]);
});

const anySpan: fc.Arbitrary<Span> = fc
  .record({ from: fc.nat(100), length: fc.nat(20) })
  .map(({ from, length }) => ({ from, to: from + length }));

test("merged spans hold the same times, in order and apart", () => {
  fc.assert(
    fc.property(fc.array(anySpan, { maxLength: 8 }), (spans) => {
      const merged = mergeSpans(spans);
      for (let i = 1; i < merged.length; i += 1) {
        expect(merged[i]!.from).toBeGreaterThan(merged[i - 1]!.to);
      }
      const holds = (list: readonly Span[], at: number): boolean =>
        list.some(({ from, to }) => from <= at && at <= to);
      for (let at = 0; at <= 121; at += 1) expect(holds(merged, at)).toBe(holds(spans, at));
    }),
  );
});

test("an operation touches a span if any of its time lies in it", () => {
  fc.assert(
    fc.property(fc.array(anySpan, { maxLength: 8 }), anySpan, (spans, operation) => {
      const wanted = spans.some(({ from, to }) => from <= operation.to && to >= operation.from);
      expect(touches(mergeSpans(spans), operation.from, operation.to)).toBe(wanted);
    }),
  );
});
