import { describe, expect, test } from "vitest";
import { MUTANTS, type MutantId } from "../../src/core/base/mutants.ts";
import { MUTANT_PROFILES } from "../../src/testing/sim/mutant-profiles.ts";
import { runSeed } from "../../src/testing/sim/simulation.ts";

/** Seeds that a mutant may survive before the simulator counts as blind to it. */
const SEEDS_MAX = 20;

/** The oracles that may find each: a mistake that is found as something else is not understood. */
const ORACLES: Readonly<Record<MutantId, readonly string[]>> = {
  L1: ["vote-durability", "one-vote-per-term", "election-safety"],
  L2: ["term-durability", "vote-durability", "one-vote-per-term", "election-safety", "assertion"],
  L3: ["match-truth", "commit-durability", "log-durability"],
  L4: ["leader-completeness", "state-machine-safety"],
  L13: ["log-matching", "match-truth", "state-machine-safety", "assertion"],
  L14: ["match-truth", "log-matching", "state-machine-safety", "assertion"],
  L18: ["match-monotonic"],
  L19: ["linearizability", "program-order", "lost-write", "bounded-staleness"],
  L20: ["linearizability", "program-order", "lost-write", "bounded-staleness"],
  L21: ["exactly-once", "linearizability"],
  L51: ["leader-completeness", "state-machine-safety", "assertion"],
  L52: ["transfer-target"],
  L36: ["program-order", "read-your-writes", "monotonic-reads", "session-lost"],
  L53: ["session-lost"],
  L54: ["freshness"],
  L55: ["freshness"],
  L56: ["freshness"],
  S1: ["snapshot-durability"],
  S2: ["snapshot-truth", "state-divergence"],
  S3: ["needless-rebuild"],
  S4: ["snapshot-truth", "convergence", "liveness"],
  S5: ["convergence"],
  S6: ["needless-rebuild"],
  S7: ["damaged-state"],
};

describe("planted mistakes", () => {
  test.each(Object.keys(MUTANTS) as MutantId[])("%s is found", { timeout: 60_000 }, (mutant) => {
    for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
      const { violation } = runSeed({ seed, mutant, profile: MUTANT_PROFILES[mutant] });
      if (violation === null) continue;
      expect(ORACLES[mutant]).toContain(violation.oracle);
      return;
    }
    expect.unreachable(`${mutant} lived through ${SEEDS_MAX} seeds`);
  });

  test.each(Object.keys(MUTANTS) as MutantId[])(
    "the profile that finds %s finds nothing where nothing is planted",
    { timeout: 60_000 },
    (mutant) => {
      for (const seed of [1, 2]) {
        expect(runSeed({ seed, profile: MUTANT_PROFILES[mutant] }).violation).toBeNull();
      }
    },
  );
});
