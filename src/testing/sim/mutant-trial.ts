import type { MutantId } from "../../core/base/mutants.ts";
import { MUTANT_ORACLES, MUTANT_PROFILES } from "./mutant-profiles.ts";
import { type RunResult, runSeed } from "./simulation.ts";
import type { SwarmProfile } from "./swarm.ts";

/** Seeds that a mutant may survive before the simulator counts as blind to it. */
export const MUTANT_SEEDS_MAX = 20;

/** Seeds that a control has at least. */
const CONTROL_SEEDS_MIN = 2;

/** How a mutant fared. */
export interface MutantTrial {
  readonly mutant: MutantId;
  /** Seeds that were run. */
  readonly seeds: number;
  /** The run that found it; null where it lives. */
  readonly found: RunResult | null;
}

/** Runs seeds under the mutant's profile until an oracle finds it, at most so many. */
export function tryMutant(mutant: MutantId, from: number, seedsMax: number): MutantTrial {
  for (let seeds = 1; seeds <= seedsMax; seeds += 1) {
    const seed = from + seeds - 1;
    const result = runSeed({ seed, mutant, profile: MUTANT_PROFILES[mutant] });
    if (result.violation !== null) return { mutant, seeds, found: result };
  }
  return { mutant, seeds: seedsMax, found: null };
}

/** Whether the oracle that found the mutant is one of those that may. */
export function isUnderstood({ mutant, found }: MutantTrial): boolean {
  const oracle = found?.violation?.oracle;
  return oracle !== undefined && MUTANT_ORACLES[mutant].includes(oracle);
}

/** One profile with nothing planted: what it finds is not what was planted. */
export interface Control {
  readonly profile: SwarmProfile;
  /** Those who are tried under it. */
  readonly mutants: readonly MutantId[];
  readonly seeds: number;
}

/** The controls of the trials: as many seeds as any mutant of the profile had, and each once. */
export function controlsOf(trials: readonly MutantTrial[]): readonly Control[] {
  const controls = new Map<string, Control>();
  for (const { mutant, seeds } of trials) {
    const profile = MUTANT_PROFILES[mutant];
    const key = JSON.stringify(profile);
    const known = controls.get(key);
    controls.set(key, {
      profile,
      mutants: [...(known?.mutants ?? []), mutant],
      seeds: Math.max(seeds, known?.seeds ?? CONTROL_SEEDS_MIN),
    });
  }
  return [...controls.values()];
}

/** The first of the control's seeds that is not clean; null where all are. */
export function runControl({ profile, seeds }: Control, from: number): RunResult | null {
  for (let seed = from; seed < from + seeds; seed += 1) {
    const result = runSeed({ seed, profile });
    if (result.violation !== null) return result;
  }
  return null;
}
