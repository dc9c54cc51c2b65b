import type { MutantId } from "../../core/base/mutants.ts";
import type { RunResult } from "./simulation.ts";
import { formatLine } from "./timeline.ts";

const LEGEND = [
  "time since the start | who: node (/its keyspace), pN = client connection, net, sim | what",
  "  -> sent   ->X lost   call / answer: a client's operation #id   crash, boot, pause, resume, cut, join: faults",
  "  other marks are the node's own trace",
];

/** The command that runs a seed again, line by line. */
export function repeatCommand(seed: number, mutant: MutantId | null): string {
  const mutation = mutant === null ? "" : ` --mutant ${mutant}`;
  return `npm run sim -- --seed ${seed}${mutation} --trace`;
}

/** A failed run for people: what was found, under which options, how it came about. */
export function formatFailure(
  result: RunResult,
  mutant: MutantId | null,
  linesMax: number,
): string {
  const { seed, violation, options, lines } = result;
  const shown = lines.slice(-linesMax);
  const hidden = lines.length - shown.length;
  return [
    `seed ${seed}: ${violation === null ? "clean" : `${violation.oracle}: ${violation.message}`}`,
    `options ${JSON.stringify(options)}`,
    ...LEGEND,
    ...(hidden > 0 ? [`  (${hidden} earlier lines; --trace shows all)`] : []),
    ...shown.map(formatLine),
    `repeat: ${repeatCommand(seed, mutant)}`,
  ].join("\n");
}

/** One line about a clean run. */
export function formatStatistics(result: RunResult): string {
  const { statistics: s, hash, seed } = result;
  return `seed ${seed}: clean, hash ${hash}, ${Math.round(s.simulatedMs / 1000)} s simulated, ${s.acknowledged} of ${s.operations} operations acknowledged, ${s.faults} faults, ${s.transfers} transfers, ${s.boots} starts, ${s.groups} groups, ${s.terms} terms, ${s.committed} entries, ${s.installs} snapshots, ${s.rebuilds} rebuilds, ${s.frames} frames, ${s.turns} turns`;
}
