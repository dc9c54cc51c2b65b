import { Histogram, Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { HotHistogram } from "./hot-histogram.ts";

describe("a histogram of the hot path", () => {
  test("says of the same values what prom-client's says", async () => {
    const registry = new Registry();
    const options = {
      name: "a_ms",
      help: "How long",
      buckets: [0.1, 1, 25],
      registers: [registry],
    };
    const theirs = new Histogram(options);
    const ours = new HotHistogram("a_ms", "How long", options.buckets);
    for (const value of [0, 0.1, 0.5, 1, 1.5, 25, 26, 1000]) {
      theirs.observe(value);
      ours.observe(value);
    }
    expect(ours.expose().trimEnd()).toBe((await registry.metrics()).trimEnd());
  });

  test("counts nothing before the first value", () => {
    const text = new HotHistogram("n", "None", [1]).expose();
    expect(text).toBe(
      '# HELP n None\n# TYPE n histogram\nn_bucket{le="1"} 0\nn_bucket{le="+Inf"} 0\nn_sum 0\nn_count 0\n',
    );
  });
});
