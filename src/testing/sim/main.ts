import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { defined } from "../../core/base/assert.ts";
import { MUTANTS, type MutantId } from "../../core/base/mutants.ts";
import { SIMULATED_IDS } from "./mutant-catalog.ts";
import { MUTANT_ORACLES, MUTANT_PROFILES } from "./mutant-profiles.ts";
import { type MutantFigures, measureMutant, mutantsPage } from "./mutant-table.ts";
import {
  controlsOf,
  isUnderstood,
  MUTANT_SEEDS_MAX,
  type MutantTrial,
  runControl,
  tryMutant,
} from "./mutant-trial.ts";
import { formatFailure, formatStatistics, repeatCommand } from "./report.ts";
import { runSeed } from "./simulation.ts";

const USAGE = `npm run sim -- [options]

  --seeds N       run N seeds (default 100), from --from (default 1)
  --from S        the first seed
  --minutes M     run seeds for M minutes instead
  --seed S        run one seed and print its figures
  --trace         with --seed: print every line of its timeline
  --verify        run each seed twice; the trace hashes must be equal
  --mutant ID     plant a mistake; run seeds under its profile until one of its oracles finds it,
                  and as many with nothing planted, which must be clean
  --mutants       the same for every mistake
  --table         with --mutant or --mutants: write their figures into docs/mutants.md
  --cap N         give a mutant up after N seeds (default ${MUTANT_SEEDS_MAX})
  --lines N       lines of the timeline to print for a failure (default 150)

Exit code 0: every seed was clean, or every mutant was found as it should be. 1: not so.
2: the arguments are wrong.
`;

interface Arguments {
  readonly seeds: number;
  readonly from: number;
  readonly minutes: number | null;
  readonly seed: number | null;
  readonly trace: boolean;
  readonly verify: boolean;
  readonly mutant: MutantId | null;
  readonly mutants: boolean;
  readonly table: boolean;
  readonly cap: number;
  readonly lines: number;
}

function main(): number {
  const parsed = readArguments();
  if (parsed === null) {
    process.stderr.write(USAGE);
    return 2;
  }
  const { mutant, mutants, seed, table } = parsed;
  if (seed !== null) return runOne(parsed, seed);
  const chosen = mutants ? SIMULATED_IDS : mutant === null ? [] : [mutant];
  if (table) return writeTable(chosen);
  if (chosen.length > 0) return tryAll(chosen, parsed);
  return runMany(parsed);
}

function readArguments(): Arguments | null {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: "string", default: "100" },
        from: { type: "string", default: "1" },
        minutes: { type: "string" },
        seed: { type: "string" },
        trace: { type: "boolean", default: false },
        verify: { type: "boolean", default: false },
        mutant: { type: "string" },
        mutants: { type: "boolean", default: false },
        table: { type: "boolean", default: false },
        cap: { type: "string", default: String(MUTANT_SEEDS_MAX) },
        lines: { type: "string", default: "150" },
      },
    });
    const { mutant = null } = values;
    if (mutant !== null && !isMutant(mutant)) return null;
    const numbers = {
      seeds: Number(values.seeds),
      from: Number(values.from),
      minutes: values.minutes === undefined ? null : Number(values.minutes),
      seed: values.seed === undefined ? null : Number(values.seed),
      cap: Number(values.cap),
      lines: Number(values.lines),
    };
    const bad = Object.values(numbers).some((n) => n !== null && !(Number.isFinite(n) && n >= 0));
    const { trace, verify, mutants, table } = values;
    return bad ? null : { ...numbers, trace, verify, mutant, mutants, table };
  } catch {
    return null;
  }
}

function isMutant(text: string): text is MutantId {
  return Object.hasOwn(MUTANTS, text);
}

function runOne(parsed: Arguments, seed: number): number {
  const { mutant, verify } = parsed;
  const profile = mutant === null ? {} : MUTANT_PROFILES[mutant];
  const settings = { seed, mutant, profile };
  const result = runSeed({ ...settings, recording: true });
  const failed = result.violation !== null;
  if (failed || parsed.trace) {
    const lines = parsed.trace ? Number.MAX_SAFE_INTEGER : parsed.lines;
    console.log(formatFailure(result, mutant, lines));
  }
  if (!failed) console.log(formatStatistics(result));
  if (verify && runSeed(settings).hash !== result.hash) return reportNondeterminism(seed);
  return failed ? 1 : 0;
}

function reportNondeterminism(seed: number): number {
  console.log(`seed ${seed}: two runs have different trace hashes: something depends on chance`);
  return 1;
}

function runMany(parsed: Arguments): number {
  const started = performance.now();
  const untilMs = parsed.minutes === null ? Number.POSITIVE_INFINITY : parsed.minutes * 60_000;
  const count = parsed.minutes === null ? parsed.seeds : Number.POSITIVE_INFINITY;
  let simulatedMs = 0;
  let acknowledged = 0;
  let lastShown = started;
  for (let i = 0; i < count && performance.now() - started < untilMs; i += 1) {
    const seed = parsed.from + i;
    const result = runSeed({ seed });
    if (result.violation !== null) return reportFailure(parsed, seed, null);
    if (parsed.verify && runSeed({ seed }).hash !== result.hash) return reportNondeterminism(seed);
    simulatedMs += result.statistics.simulatedMs;
    acknowledged += result.statistics.acknowledged;
    if (performance.now() - lastShown < 2_000 && i + 1 < count) continue;
    lastShown = performance.now();
    showProgress(i + 1, simulatedMs, acknowledged, lastShown - started);
  }
  return 0;
}

function showProgress(
  seeds: number,
  simulatedMs: number,
  acknowledged: number,
  tookMs: number,
): void {
  const rate = Math.round(simulatedMs / tookMs);
  const perSeed = Math.round(tookMs / seeds);
  console.log(
    `${seeds} seeds clean, ${acknowledged} operations acknowledged, ${rate} simulated seconds per second, ${perSeed} ms per seed`,
  );
}

/** Runs the seed again, now with lines. */
function reportFailure(parsed: Arguments, seed: number, mutant: MutantId | null): number {
  const profile = mutant === null ? {} : MUTANT_PROFILES[mutant];
  const result = runSeed({ seed, mutant, profile, recording: true });
  console.log(formatFailure(result, mutant, parsed.lines));
  return 1;
}

/** Tries the mutants, then their profiles with nothing planted. */
function tryAll(mutants: readonly MutantId[], parsed: Arguments): number {
  const trials: MutantTrial[] = [];
  let failures = 0;
  for (const mutant of mutants) {
    const started = performance.now();
    const trial = tryMutant(mutant, parsed.from, parsed.cap);
    trials.push(trial);
    if (!reportTrial(trial, performance.now() - started)) failures += 1;
  }
  const controls = controlsOf(trials);
  for (const control of controls) {
    const result = runControl(control, parsed.from);
    if (result === null) continue;
    failures += 1;
    const { oracle, message } = defined(result.violation, "a control that is not clean");
    console.log(`FAILED: the profile of ${control.mutants.join(", ")} finds what is not planted`);
    console.log(`    seed ${result.seed}: ${oracle}: ${message.split("\n")[0]}`);
  }
  const kinds = `${mutants.length} mutants, ${controls.length} profiles with nothing planted`;
  console.log(failures === 0 ? `all is well: ${kinds}` : `${failures} failures: ${kinds}`);
  return failures === 0 ? 0 : 1;
}

const PAGE = new URL("../../../docs/mutants.md", import.meta.url);

/** Measures mutant by mutant and writes the page after each: it takes long, and may be ended. */
function writeTable(mutants: readonly MutantId[]): number {
  let alive = 0;
  for (const mutant of mutants) {
    const figures: MutantFigures = measureMutant(mutant);
    if (figures.seeds.includes(null)) alive += 1;
    writeFileSync(PAGE, mutantsPage(readFileSync(PAGE, "utf8"), new Map([[mutant, figures]])));
    const { oracles, seeds, plain, plainSeeds } = figures;
    console.log(
      `${mutant}: ${seeds.join(", ")} (${oracles.join(", ")}), ${plain} of ${plainSeeds}`,
    );
  }
  return alive === 0 ? 0 : 1;
}

/** Says how the mutant fared; false where that is a failure. */
function reportTrial(trial: MutantTrial, tookMs: number): boolean {
  const { mutant, seeds, found } = trial;
  const name = `${mutant} (${MUTANTS[mutant]})`;
  if (found === null) {
    console.log(`FAILED: ${name} lives after ${seeds} seeds`);
    return false;
  }
  const { oracle, message } = defined(found.violation, "what found it");
  const isRight = isUnderstood(trial);
  const seconds = (tookMs / 1000).toFixed(1);
  console.log(`${isRight ? "" : "FAILED: "}${name} died after ${seeds} seeds, ${seconds} s`);
  console.log(`    ${oracle}: ${message.split("\n")[0]}`);
  if (!isRight) {
    console.log(`    not one of its oracles: ${MUTANT_ORACLES[mutant].join(", ")}`);
  }
  console.log(`    repeat: ${repeatCommand(found.seed, mutant)}`);
  return isRight;
}

process.exitCode = main();
