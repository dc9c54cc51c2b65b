import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatFailure } from "../../src/testing/sim/report.ts";
import { type RunResult, runSeed } from "../../src/testing/sim/simulation.ts";

/**
 * A few, so that a mistake in the simulator itself is seen at once. Ground is covered elsewhere: a
 * lane of CI runs hundreds of seeds, and every seed that has failed once is below.
 */
const FIRST_SEED = 1;
const SEEDS = 6;

function explain(result: RunResult): string {
  if (result.violation === null) return "";
  return formatFailure(runSeed({ seed: result.seed, recording: true }), null, 60);
}

/** Seeds that have failed once: `seed  why`, and `#` for remarks. */
function failedOnce(): readonly (readonly [seed: number, why: string])[] {
  const text = readFileSync(new URL("../seeds.txt", import.meta.url), "utf8");
  return text
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"))
    .map((line) => {
      const [seed = "", ...why] = line.trim().split(/\s+/);
      return [Number(seed), why.join(" ")] as const;
    });
}

describe("simulated clusters", () => {
  test(`${SEEDS} seeds are clean, and get something done`, { timeout: 120_000 }, () => {
    let acknowledged = 0;
    let faults = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
      const result = runSeed({ seed });
      expect(explain(result)).toBe("");
      acknowledged += result.statistics.acknowledged;
      faults += result.statistics.faults;
    }
    // A run in which nothing happens proves nothing.
    expect(acknowledged).toBeGreaterThan(SEEDS * 200);
    expect(faults).toBeGreaterThan(SEEDS * 5);
  });

  test.each(failedOnce())("seed %i, which failed once, is clean: %s", (seed, why) => {
    expect(Number.isSafeInteger(seed) && why.length > 0).toBe(true);
    expect(explain(runSeed({ seed }))).toBe("");
  });

  test("one seed is one run: its trace hash is the same twice, and with lines kept", () => {
    for (const seed of [3, 5]) {
      const { hash, statistics } = runSeed({ seed });
      expect(runSeed({ seed })).toMatchObject({ hash, statistics });
      const recorded = runSeed({ seed, recording: true });
      expect(recorded).toMatchObject({ hash, statistics });
      expect(recorded.lines.length).toBeGreaterThan(1000);
    }
  });

  test("two seeds are two runs", () => {
    const quick = { options: { safetyMs: 1000 } };
    expect(runSeed({ seed: 1, profile: quick }).hash).not.toBe(
      runSeed({ seed: 2, profile: quick }).hash,
    );
  });
});
