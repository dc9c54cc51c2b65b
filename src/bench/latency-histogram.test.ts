import fc from "fast-check";
import { expect, test } from "vitest";
import { LatencyHistogram } from "./latency-histogram.ts";

test("a quantile is within 1/64 above the exact one", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 60_000_000 }), { minLength: 1, maxLength: 200 }),
      fc.constantFrom(0.5, 0.9, 0.99, 1),
      (values, fraction) => {
        const histogram = new LatencyHistogram();
        for (const value of values) histogram.record(value);
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(values.length * fraction) - 1)] ?? 0;
        const got = histogram.quantile(fraction);
        expect(got).toBeGreaterThanOrEqual(exact);
        expect(got).toBeLessThanOrEqual(exact + exact / 64 + 1);
      },
    ),
    { numRuns: 200 },
  );
});

test("nothing recorded", () => {
  expect(new LatencyHistogram().quantile(0.99)).toBe(0);
});
