import { describe, expect, test } from "vitest";
import { MUTANTS, type MutantId } from "../../src/core/base/mutants.ts";
import { MUTANT_IDS } from "../../src/testing/sim/mutant-catalog.ts";
import { MUTANT_ORACLES, MUTANT_PROFILES } from "../../src/testing/sim/mutant-profiles.ts";
import {
  controlsOf,
  isUnderstood,
  runControl,
  tryMutant,
} from "../../src/testing/sim/mutant-trial.ts";
import { runSeed } from "../../src/testing/sim/simulation.ts";

/**
 * Those that die on their first seed and at once. `npm run sim -- --mutants`, a lane of its own in
 * CI, tries all of them, with a control for each: that takes longer than all other tests together
 * may. What is tried here shows that a change has not blinded the simulator as a whole.
 */
const QUICK: readonly MutantId[] = ["L1", "L2", "L3", "L18", "L52", "L54", "L55", "L56", "S23"];

/** Profiles that have little in common. */
const CONTROLLED: readonly MutantId[] = ["L3", "L54"];

describe("planted mistakes", () => {
  test.each(QUICK)("%s is found, by one of its oracles", (mutant) => {
    const trial = tryMutant(mutant, 1, 1);
    expect(trial.found?.violation ?? null).not.toBeNull();
    expect(isUnderstood(trial)).toBe(true);
  });

  test.each(CONTROLLED)(
    "the profile that finds %s finds nothing where nothing is planted",
    (id) => {
      expect(runSeed({ seed: 1, profile: MUTANT_PROFILES[id] }).violation).toBeNull();
    },
  );

  test("every mistake that can be planted has a profile and oracles", () => {
    expect(MUTANT_IDS).toEqual(Object.keys(MUTANTS));
    expect(Object.keys(MUTANT_PROFILES).sort()).toEqual([...MUTANT_IDS].sort());
    expect(Object.keys(MUTANT_ORACLES).sort()).toEqual([...MUTANT_IDS].sort());
    for (const mutant of MUTANT_IDS) expect(MUTANT_ORACLES[mutant].length).toBeGreaterThan(0);
  });

  test("one that nothing finds, and one that is found as something else, are told", () => {
    const lives = { mutant: "L3", seeds: 20, found: null } as const;
    expect(isUnderstood(lives)).toBe(false);
    const { found } = tryMutant("L18", 1, 1);
    expect(isUnderstood({ mutant: "L3", seeds: 1, found })).toBe(false);
  });

  test("a profile is run clean for as many seeds as its mutants had", () => {
    const trial = (mutant: MutantId, seeds: number) => ({ mutant, seeds, found: null });
    const controls = controlsOf([trial("L13", 4), trial("L18", 1), trial("L14", 5)]);
    expect(controls.map(({ mutants, seeds }) => [mutants, seeds])).toEqual([
      [["L13", "L14"], 5],
      [["L18"], 2],
    ]);
    const never = { options: { safetyMs: 10 }, faults: { crashMs: 0 } };
    expect(runControl({ profile: never, mutants: [], seeds: 1 }, 1)).toBeNull();
  });
});
