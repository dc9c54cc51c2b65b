import { MUTANTS, type MutantId } from "../../core/base/mutants.ts";
import {
  FOREIGN_MISTAKES,
  MUTANT_IDS,
  MUTANT_SCENARIOS,
  SIMULATED_IDS,
  TESTED_MISTAKES,
} from "./mutant-catalog.ts";
import { tryMutant } from "./mutant-trial.ts";
import { runSeed } from "./simulation.ts";

/** The first seeds of the trials in the table. */
const STARTS = [1, 1001, 2001];

/** Seeds that a mutant may survive there: more, and the table says that it lives. */
const SEEDS_MAX = 200;

/** Seeds of the plain swarm. */
const PLAIN_SEEDS = 30;

/** What one row of the table says of a mutant in the simulator. */
export interface MutantFigures {
  /** The oracles that found it, in the order in which they did. */
  readonly oracles: readonly string[];
  /** From each start, the number of seeds until it was found; null where it lives. */
  readonly seeds: readonly (number | null)[];
  /** Of `plainSeeds` seeds without a profile, how many found it. */
  readonly plain: number;
  readonly plainSeeds: number;
}

/** Runs a mutant under its profile from several starts, and in the plain swarm. */
export function measureMutant(mutant: MutantId): MutantFigures {
  const oracles = new Set<string>();
  const seeds = STARTS.map((from) => {
    const { found, seeds: count } = tryMutant(mutant, from, SEEDS_MAX);
    if (found?.violation == null) return null;
    oracles.add(found.violation.oracle);
    return count;
  });
  let plain = 0;
  for (let seed = 1; seed <= PLAIN_SEEDS; seed += 1) {
    if (runSeed({ seed, mutant }).violation !== null) plain += 1;
  }
  return { oracles: [...oracles], seeds, plain, plainSeeds: PLAIN_SEEDS };
}

/** A mutant's line of the page. */
export function rowOf(mutant: MutantId, figures: MutantFigures | null): string {
  const scenario = MUTANT_SCENARIOS[mutant];
  const story = scenario === undefined ? "" : `\`test/scenarios/${scenario}.txt\``;
  return row([mutant, MUTANTS[mutant], ...cellsOf(figures), story]);
}

function cellsOf(figures: MutantFigures | null): readonly string[] {
  if (figures === null) return ["", "", ""];
  const { oracles, seeds, plain, plainSeeds } = figures;
  const counts = seeds.map((count) => count ?? `over ${SEEDS_MAX}`).join(", ");
  return [oracles.join(", "), counts, `${plain} of ${plainSeeds}`];
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/**
 * The page with new figures in the lines of the mutants that have some; the other lines are taken
 * over from the page as it was.
 */
export function mutantsPage(before: string, figures: ReadonlyMap<MutantId, MutantFigures>): string {
  const old = new Map<string, string>();
  for (const line of before.split("\n")) {
    const id = /^\| ([LS]\d+) \|/.exec(line)?.[1];
    if (id !== undefined) old.set(id, line);
  }
  const lines = MUTANT_IDS.map((id) => {
    const measured = figures.get(id);
    if (measured !== undefined || !SIMULATED_IDS.includes(id)) return rowOf(id, measured ?? null);
    const kept = old.get(id);
    return kept?.startsWith(`${row([id, MUTANTS[id]])} `) ? kept : rowOf(id, null);
  });
  return [
    ...INTRODUCTION,
    "| id | mistake | found by | seeds | plain swarm | told by |",
    "|---|---|---|---|---|---|",
    ...lines,
    ...IN_TESTS,
    ...TESTED_MISTAKES.map(({ id, what, test }) => row([id, what, `\`${test}\``])),
    ...NOT_HERE,
    ...FOREIGN_MISTAKES.map(({ id, what, why }) => row([id, what, why])),
    "",
  ].join("\n");
}

const INTRODUCTION = [
  "# Planted mistakes",
  "",
  "Each line is a mistake that real systems have shipped. The simulator plants one on purpose and must then find a",
  "violation: a simulator that catches none proves nothing. Nodes that serve have no way to plant one.",
  "",
  "`npm run sim -- --mutant L4` runs seeds with one of them until it is found, which must be by one of its oracles; as",
  "many seeds with nothing planted must be clean. `npm run sim -- --mutants` does so for all. This page is written by",
  "`npm run sim -- --mutants --table`, or with `--mutant` for single lines.",
  "",
  `*Seeds*: how many until it was found under the options that make its execution likely, from the seeds ${STARTS.join(", ")} on.`,
  `*Plain swarm*: of ${PLAIN_SEEDS} seeds with options as each draws them, how many found it. *Told by*: a scenario that brings`,
  "it to light step by step; a mistake without figures is found by that alone.",
  "",
];

const IN_TESTS = [
  "",
  "## Planted by a test",
  "",
  "These lie outside of what the simulator runs, or in code that takes no options. A test replaces the part and shows",
  "that what is asked of it notices.",
  "",
  "| id | mistake | test |",
  "|---|---|---|",
];

const NOT_HERE = ["", "## Cannot be made here", "", "| id | mistake | why |", "|---|---|---|"];
