import { grouped, median, millis, textTable } from "./statistics.ts";
import type { Shape, Target, Window, WindowTimes } from "./target.ts";

/** How often and how long stores are measured in turn. */
export interface RoundTimes {
  readonly rounds: number;
  readonly window: WindowTimes;
  /**
   * Before the first round each store gets each of these loads for so long. A server runs for
   * months: what is measured is compiled code, and V8 goes on compiling a node's for some 15
   * seconds of load.
   */
  readonly warmUps: readonly Shape[];
  readonly warmUpMs: number;
}

/** One store's windows under one shape of load. */
export interface Measured {
  readonly target: string;
  readonly shape: Shape;
  readonly windows: readonly Window[];
}

/** Medians of one store under one shape of load. */
export interface ShapeResult extends Window {
  readonly target: string;
  readonly shape: Shape;
  /** Rates of the rounds, in the order measured. */
  readonly rounds: readonly number[];
}

/** Options of the benches that measure in rounds. */
export const ROUND_OPTIONS = {
  rounds: { initial: 3, min: 1, max: 100, help: "rounds of which medians are taken" },
  seconds: { initial: 2, min: 1, max: 600, help: "length of a measured window" },
  warmUpSeconds: { initial: 20, min: 0, max: 600, help: "load on each store beforehand" },
} as const;

/** What `ROUND_OPTIONS` say, for these warm-ups. */
export function roundTimes(
  options: Readonly<Record<keyof typeof ROUND_OPTIONS, number>>,
  warmUps: readonly Shape[],
): RoundTimes {
  const window = { warmUpMs: 500, measureMs: options.seconds * 1000 };
  const warmUpMs = (options.warmUpSeconds * 1000) / warmUps.length;
  return { rounds: options.rounds, window, warmUps: warmUpMs === 0 ? [] : warmUps, warmUpMs };
}

/**
 * All stores are up, one is loaded at a time, in turn: a machine's speed drifts within minutes.
 */
export async function measureRounds(
  targets: readonly Target[],
  shapes: readonly Shape[],
  times: RoundTimes,
  beforeEach: () => Promise<unknown>,
  progress: (line: string) => void,
): Promise<Measured[]> {
  const all: Measured[] = [];
  const warmUp = { warmUpMs: 0, measureMs: times.warmUpMs };
  for (const target of targets) {
    for (const shape of times.warmUps) {
      await beforeEach();
      await target.measure(shape, warmUp);
    }
    if (times.warmUps.length > 0) progress(`warmed up: ${target.name}`);
  }
  for (const shape of shapes) {
    const measured = targets.map(({ name }) => ({ target: name, shape, windows: [] as Window[] }));
    for (let round = 1; round <= times.rounds; round += 1) {
      for (const [at, target] of targets.entries()) {
        await beforeEach();
        const window = await target.measure(shape, times.window);
        measured[at]!.windows.push(window);
        const rate = grouped(window.perSecond);
        progress(`${describeShape(shape)}, round ${round}: ${target.name} ${rate}/s`);
      }
    }
    all.push(...measured);
  }
  return all;
}

/** Medians per store and shape. */
export function summarise(measured: readonly Measured[]): ShapeResult[] {
  return measured.map(({ target, shape, windows }) => {
    const busy = windows.flatMap(({ loaderBusy }) => (loaderBusy === null ? [] : [loaderBusy]));
    return {
      target,
      shape,
      perSecond: median(windows.map((window) => window.perSecond)),
      p50Ms: median(windows.map((window) => window.p50Ms)),
      p99Ms: median(windows.map((window) => window.p99Ms)),
      errors: windows.reduce((sum, window) => sum + window.errors, 0),
      firstError: windows.find((window) => window.firstError !== null)?.firstError ?? null,
      loaderBusy: busy.length === 0 ? null : median(busy),
      rounds: windows.map((window) => Math.round(window.perSecond)),
    };
  });
}

/**
 * A store's median rate divided by another's under the same load; null where one was not measured.
 */
export function ratioOf(
  results: readonly ShapeResult[],
  target: string,
  other: string,
  shape: Shape,
): number | null {
  const rateOf = (name: string): number | undefined =>
    results.find((result) => result.target === name && isSame(result.shape, shape))?.perSecond;
  const rate = rateOf(target);
  const otherRate = rateOf(other);
  return rate === undefined || otherRate === undefined ? null : rate / otherRate;
}

function isSame(a: Shape, b: Shape): boolean {
  return a.connections === b.connections && a.depth === b.depth;
}

/** The medians as a table; `unit` is the column of rates, and `ratios` further columns. */
export function renderShapes(
  results: readonly ShapeResult[],
  unit: string,
  ratios: Readonly<Record<string, (result: ShapeResult) => number | null>>,
): string {
  const columns = Object.entries(ratios);
  const rows = results.map((result) => [
    describeShape(result.shape),
    result.target,
    grouped(result.perSecond),
    millis(result.p50Ms),
    millis(result.p99Ms),
    ...columns.map(([, ratio]) => ratio(result)?.toFixed(2) ?? ""),
    result.loaderBusy === null ? "" : `${Math.round(result.loaderBusy * 100)}%`,
    String(result.errors),
  ]);
  const names = columns.map(([name]) => name);
  return textTable(["load", "store", unit, "p50 ms", "p99 ms", ...names, "loader", "errors"], rows);
}

/** What the table's columns mean, and the errors that occurred. */
export function shapeNotes(results: readonly ShapeResult[], times: RoundTimes): string[] {
  const errors = results.filter((result) => result.firstError !== null);
  return [
    "loader: share of the time in which the load generator was busy; near 100% it is the limit.",
    `Medians of ${times.rounds} interleaved rounds of ${times.window.measureMs / 1000} s; ` +
      "compare within a run only.",
    `Before the first round each store was under load for ${warmUpSeconds(times)} s.`,
    ...errors.map(({ target, firstError }) => `error from ${target}: ${firstError}`),
  ];
}

function warmUpSeconds({ warmUps, warmUpMs }: RoundTimes): number {
  return Math.round((warmUps.length * warmUpMs) / 1000);
}

/** Connections, and how many requests each has under way. */
export function describeShape({ connections, depth }: Shape): string {
  return depth === 1 ? `${connections}` : `${connections} × ${depth} pipelined`;
}
