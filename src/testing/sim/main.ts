import { parseArgs } from "node:util";
import { MUTANTS, type MutantId } from "../../core/base/mutants.ts";
import { MUTANT_PROFILES } from "./mutant-profiles.ts";
import { formatFailure, formatStatistics, repeatCommand } from "./report.ts";
import { type RunResult, runSeed } from "./simulation.ts";

const USAGE = `npm run sim -- [options]

  --seeds N       run N seeds (default 100), from --from (default 1)
  --from S        the first seed
  --minutes M     run seeds for M minutes instead
  --seed S        run one seed and print its figures
  --trace         with --seed: print every line of its timeline
  --verify        run each seed twice; the trace hashes must be equal
  --mutant ID     plant a mistake; run seeds under its profile until an oracle kills it
  --mutants       the same for every mistake, as a table
  --cap N         give a mutant up after N seeds (default 2000)
  --lines N       lines of the timeline to print for a failure (default 150)

Exit code 0: every seed was clean, or every mutant died. 1: not so. 2: the arguments are wrong.
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
  readonly cap: number;
  readonly lines: number;
}

function main(): number {
  const parsed = readArguments();
  if (parsed === null) {
    process.stderr.write(USAGE);
    return 2;
  }
  if (parsed.mutants) return killAll(parsed);
  if (parsed.seed !== null) return runOne(parsed, parsed.seed);
  if (parsed.mutant !== null) return kill(parsed.mutant, parsed) === null ? 1 : 0;
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
        cap: { type: "string", default: "2000" },
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
    const { trace, verify, mutants } = values;
    return bad ? null : { ...numbers, trace, verify, mutant, mutants };
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

interface Kill {
  readonly result: RunResult;
  readonly seeds: number;
}

/** Runs seeds under the mutant's profile until an oracle finds it; null when the cap is reached. */
function kill(mutant: MutantId, parsed: Arguments): Kill | null {
  const started = performance.now();
  for (let seeds = 1; seeds <= parsed.cap; seeds += 1) {
    const seed = parsed.from + seeds - 1;
    const result = runSeed({ seed, mutant, profile: MUTANT_PROFILES[mutant] });
    if (result.violation === null) continue;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const message = result.violation.message.split("\n")[0];
    console.log(`${mutant} (${MUTANTS[mutant]}) died after ${seeds} seeds, ${seconds} s`);
    console.log(`    ${result.violation.oracle}: ${message}`);
    console.log(`    repeat: ${repeatCommand(seed, mutant)}`);
    return { result, seeds };
  }
  console.log(`${mutant} (${MUTANTS[mutant]}) lives after ${parsed.cap} seeds`);
  return null;
}

function killAll(parsed: Arguments): number {
  let alive = 0;
  for (const mutant of Object.keys(MUTANTS) as MutantId[]) {
    if (kill(mutant, parsed) === null) alive += 1;
  }
  console.log(alive === 0 ? "every mutant died" : `${alive} mutants live`);
  return alive === 0 ? 0 : 1;
}

process.exitCode = main();
