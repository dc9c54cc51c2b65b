import { type Gate, renderGates } from "./gates.ts";
import { describeMachine, type Machine, renderMachine } from "./machine.ts";
import { type MemorySample, MemoryWatch, type ProcessMemory } from "./process-memory.ts";
import type { LoadResult } from "./resp-loader.ts";
import { grouped, mean, megabytes, slope, textTable } from "./statistics.ts";
import { fill, runRespLoader, VALUE_BYTES } from "./target.ts";
import { TrefoilCluster } from "./trefoil-cluster.ts";

const CONNECTIONS = 64;
const OPEN_DEPTH = 64;
const LOOK_EVERY_MS = 5_000;
const PER_CENT_MAX = 1;

/** Options of this bench. */
export const RSS_OPTIONS = {
  minutes: { initial: 10, min: 1, max: 1_440, help: "length of the load" },
  keys: { initial: 100_000, min: 1, max: 100_000_000, help: "keys that are overwritten" },
  rate: { initial: 5_000, min: 1, max: 1_000_000, help: "SETs per second" },
} as const;

/** One node's memory in the second half of the load. */
export interface MemoryTrend {
  readonly node: string;
  readonly role: "leader" | "follower";
  /** Means in bytes. */
  readonly rss: number;
  readonly anonymous: number;
  /** Of the least-squares line, in per cent of the mean per minute. */
  readonly rssPerCentPerMinute: number;
  readonly anonymousPerCentPerMinute: number;
}

/** What `npm run bench -- rss --json` prints. */
export interface RssReport {
  readonly bench: "rss";
  readonly machine: Machine;
  readonly minutes: number;
  readonly keys: number;
  readonly rate: number;
  readonly load: LoadResult;
  readonly trends: readonly MemoryTrend[];
  /** Resident bytes of each node at each look, for a picture. */
  readonly rssSeries: readonly (readonly number[])[];
  readonly gates: readonly Gate[];
}

/**
 * Whether memory grows while a fixed set of keys is overwritten: the slope of the resident memory
 * in the second half, when what grows at first (compiled code, pools, the files' pages) has grown.
 */
export async function rss(
  { minutes, keys, rate }: Readonly<Record<keyof typeof RSS_OPTIONS, number>>,
  progress: (line: string) => void,
): Promise<RssReport> {
  const machine = describeMachine();
  const trefoil = await TrefoilCluster.start();
  try {
    await fill(trefoil.leader.respPort, keys);
    await trefoil.refresh();
    const { nodes } = trefoil;
    progress(`${grouped(keys)} keys are there; ${minutes} minutes of ${grouped(rate)} SET/s begin`);
    const watch = new MemoryWatch(
      nodes.map(({ pid }) => pid),
      LOOK_EVERY_MS,
    );
    const load = await overwrite(trefoil.leader.respPort, { minutes, keys, rate }).finally(() =>
      watch.cancel(),
    );
    const samples = watch.stop();
    const trends = nodes.map(({ id }, i) => trendOf(id, i === 0, samples, i));
    const rssSeries = nodes.map((_, i) => samples.map(({ processes }) => processes[i]!.rss));
    const gates = trends.map(gateOf);
    return { bench: "rss", machine, minutes, keys, rate, load, trends, rssSeries, gates };
  } finally {
    await trefoil.stop();
  }
}

function overwrite(
  port: number,
  {
    minutes,
    keys,
    rate,
  }: { readonly minutes: number; readonly keys: number; readonly rate: number },
): Promise<LoadResult> {
  const times = { warmUpMs: 0, measureMs: minutes * 60_000 };
  return runRespLoader({
    ports: [port],
    connections: CONNECTIONS,
    depth: OPEN_DEPTH,
    kind: "set",
    valueBytes: VALUE_BYTES,
    keySpace: keys,
    seed: 2,
    setUp: [],
    pace: { kind: "open", perSecond: rate, ...times, tracePath: null },
  });
}

function trendOf(
  node: string,
  isLeader: boolean,
  samples: readonly MemorySample[],
  at: number,
): MemoryTrend {
  const half = secondHalf(samples);
  const series = (of: (memory: ProcessMemory) => number): (readonly [number, number])[] =>
    half.map((sample) => [sample.at / 60_000, of(sample.processes[at]!)]);
  const resident = series((memory) => memory.rss);
  const anonymous = series((memory) => memory.anonymous);
  return {
    node,
    role: isLeader ? "leader" : "follower",
    rss: mean(resident.map(([, bytes]) => bytes)),
    anonymous: mean(anonymous.map(([, bytes]) => bytes)),
    rssPerCentPerMinute: perCentPerMinute(resident),
    anonymousPerCentPerMinute: perCentPerMinute(anonymous),
  };
}

/** The samples of the second half of the time. */
export function secondHalf<T extends { readonly at: number }>(samples: readonly T[]): T[] {
  const first = samples[0]?.at ?? 0;
  const middle = first + ((samples.at(-1)?.at ?? first) - first) / 2;
  return samples.filter(({ at }) => at >= middle);
}

/** The slope of bytes over minutes, in per cent of the mean. */
export function perCentPerMinute(
  series: readonly (readonly [minute: number, bytes: number])[],
): number {
  return (100 * slope(series)) / mean(series.map(([, bytes]) => bytes));
}

function gateOf({ node, rssPerCentPerMinute }: MemoryTrend): Gate {
  return {
    what: `RSS of ${node}, % per minute in the second half`,
    bound: { kind: "below", value: PER_CENT_MAX },
    measured: rssPerCentPerMinute,
  };
}

/** The report for people: what was measured, where, and what it does not show. */
export function renderRss(report: RssReport): string {
  const { minutes, keys, rate, load, trends } = report;
  const rows = trends.map((trend) => [
    `${trend.node} ${trend.role}`,
    megabytes(trend.rss),
    trend.rssPerCentPerMinute.toFixed(2),
    megabytes(trend.anonymous),
    trend.anonymousPerCentPerMinute.toFixed(2),
  ]);
  return [
    "Memory of the nodes while a fixed set of keys is overwritten, three nodes on this machine.",
    ...renderMachine(report.machine),
    `${grouped(keys)} keys overwritten at random, 128-byte values, ${grouped(rate)} SET/s over ${CONNECTIONS} connections at`,
    `the leader for ${minutes} minutes; ${grouped(load.perSecond)} SET/s were answered, ${load.errors} errors` +
      `${load.firstError === null ? "" : `, the first: ${load.firstError}`}.`,
    "",
    textTable(["second half", "RSS MB", "%/min", "anonymous MB", "%/min"], rows),
    "",
    ...renderGates(report.gates),
    `Looked at every ${LOOK_EVERY_MS / 1000} s. MB: the mean of the second half; %/min: the slope of its`,
    "least-squares line. Memory falls after each checkpoint: over few of them the slope means little.",
    "Not shown: growth with the number of keys, with connections that come and go, over days.",
  ].join("\n");
}
