import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  checkpointLog,
  mergeSpans,
  parseCheckpointLog,
  type Span,
  touches,
} from "./checkpoint-spans.ts";
import { type Gate, renderGates } from "./gates.ts";
import { LatencyHistogram } from "./latency-histogram.ts";
import { describeMachine, type Machine, renderMachine } from "./machine.ts";
import { OperationTrace } from "./operation-trace.ts";
import { dataDirectory, removeDirectory } from "./programs.ts";
import type { LoadOptions, LoadResult } from "./resp-loader.ts";
import { grouped, millis, textTable } from "./statistics.ts";
import { fill, runRespLoader, VALUE_BYTES } from "./target.ts";
import { TrefoilCluster } from "./trefoil-cluster.ts";

const CONNECTIONS = 64;
/** So many may be under way on a connection before requests that are due wait for one. */
const OPEN_DEPTH = 64;
const WARM_UP_MS = 2_000;
const P99_RATIO_MAX = 2;

/** Options of this bench. */
export const CHECKPOINTS_OPTIONS = {
  seconds: { initial: 60, min: 1, max: 3_600, help: "length of the measured window" },
  checkpointKb: { initial: 16_384, min: 64, max: 1_048_576, help: "the nodes' checkpoint-bytes" },
  keys: { initial: 100_000, min: 1, max: 100_000_000, help: "keys that are overwritten" },
  rate: { initial: 0, min: 0, max: 1_000_000, help: "SETs per second; 0: half of what is reached" },
  closedSeconds: { initial: 20, min: 1, max: 600, help: "load at full speed beforehand" },
} as const;

/** Latencies of the operations of one side. */
export interface Side {
  readonly operations: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** What `npm run bench -- checkpoints --json` prints. */
export interface CheckpointsReport {
  readonly bench: "checkpoints";
  readonly machine: Machine;
  readonly checkpointBytes: number;
  readonly keys: number;
  readonly seconds: number;
  /** SETs per second that were asked for, and that closed-loop load reached before. */
  readonly rate: number;
  readonly closedRate: number;
  readonly errors: number;
  readonly firstError: string | null;
  readonly loaderBusy: number;
  /** Who led at the end of the window. */
  readonly leader: string;
  /** Checkpoints of each node within the window, the leader first. */
  readonly nodes: readonly { readonly node: string; readonly checkpoints: number }[];
  /** Times in which any node was in a checkpoint: how many, how long together, how far apart. */
  readonly spans: { readonly count: number; readonly meanMs: number; readonly apartMs: number };
  readonly inside: Side;
  readonly outside: Side;
  readonly gates: readonly Gate[];
}

/**
 * Latencies of SETs at a fixed rate, those under way while any node was in a checkpoint apart from
 * the others.
 */
export async function checkpoints(
  options: Readonly<Record<keyof typeof CHECKPOINTS_OPTIONS, number>>,
  progress: (line: string) => void,
): Promise<CheckpointsReport> {
  const machine = describeMachine();
  const checkpointBytes = options.checkpointKb * 1024;
  const directory = dataDirectory("checkpoints");
  const trefoil = await startWatched(directory, checkpointBytes);
  try {
    await fill(trefoil.leader.respPort, options.keys);
    progress(`${grouped(options.keys)} keys are there`);
    const closed = await closedLoad(trefoil, options);
    progress(`at full speed: ${grouped(closed.perSecond)} SET/s`);
    const rate = options.rate === 0 ? Math.round(closed.perSecond / 2) : options.rate;
    const tracePath = join(directory, "operations");
    const result = await openLoad(trefoil, options, rate, tracePath);
    const seen = trefoil.nodes.map(({ pid }) => checkpointsOf(directory, pid));
    const sides = sidesOf(readFileSync(tracePath), seen);
    const { errors, firstError, loaderBusy } = result;
    return {
      bench: "checkpoints",
      machine,
      checkpointBytes,
      keys: options.keys,
      seconds: options.seconds,
      rate,
      closedRate: closed.perSecond,
      ...{ errors, firstError, loaderBusy },
      leader: trefoil.leader.id,
      nodes: trefoil.nodes.map(({ id }, i) => ({ node: id, checkpoints: sides.counts[i]! })),
      ...{ spans: sides.spans, inside: sides.inside, outside: sides.outside },
      gates: [gateOf(sides)],
    };
  } finally {
    await trefoil.stop();
    removeDirectory(directory);
  }
}

function setsOf(trefoil: TrefoilCluster, keySpace: number): Omit<LoadOptions, "pace" | "depth"> {
  const ports = [trefoil.leader.respPort];
  const load = { connections: CONNECTIONS, kind: "set", valueBytes: VALUE_BYTES } as const;
  return { ports, ...load, keySpace, seed: 1, setUp: [] };
}

async function closedLoad(
  trefoil: TrefoilCluster,
  { keys, closedSeconds }: { readonly keys: number; readonly closedSeconds: number },
): Promise<LoadResult> {
  await trefoil.refresh();
  const half = closedSeconds * 500;
  const pace = { kind: "closed", warmUpMs: half, measureMs: half } as const;
  return runRespLoader({ ...setsOf(trefoil, keys), depth: 1, pace });
}

async function openLoad(
  trefoil: TrefoilCluster,
  { keys, seconds }: { readonly keys: number; readonly seconds: number },
  perSecond: number,
  tracePath: string,
): Promise<LoadResult> {
  await trefoil.refresh();
  const times = { warmUpMs: WARM_UP_MS, measureMs: seconds * 1000 };
  const pace = { kind: "open", perSecond, ...times, tracePath } as const;
  return runRespLoader({ ...setsOf(trefoil, keys), depth: OPEN_DEPTH, pace });
}

/** Starts nodes that write when their checkpoints begin and end. */
function startWatched(directory: string, checkpointBytes: number): Promise<TrefoilCluster> {
  const hook = new URL("./checkpoint-hook.js", import.meta.url).href;
  return TrefoilCluster.start({
    NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import ${hook}`.trim(),
    BENCH_CHECKPOINT_DIR: directory,
    TREFOIL_CHECKPOINT_BYTES: String(checkpointBytes),
  });
}

/** A node's checkpoints so far. */
function checkpointsOf(directory: string, pid: number): Span[] {
  const path = checkpointLog(directory, pid);
  return existsSync(path) ? parseCheckpointLog(readFileSync(path, "utf8")) : [];
}

interface Sides extends Pick<CheckpointsReport, "spans" | "inside" | "outside"> {
  /** Checkpoints of each node in the time of the trace. */
  readonly counts: readonly number[];
}

/** The traced operations by whether a checkpoint of any node was in their time. */
export function sidesOf(trace: Uint8Array, nodes: readonly (readonly Span[])[]): Sides {
  const merged = mergeSpans(nodes.flat());
  const inside = new LatencyHistogram();
  const outside = new LatencyHistogram();
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  OperationTrace.read(trace, (dueAt, endedAt) => {
    const side = touches(merged, dueAt, endedAt) ? inside : outside;
    side.record((endedAt - dueAt) * 1000);
    first = Math.min(first, dueAt);
    last = Math.max(last, endedAt);
  });
  const isMeasured = ({ from, to }: Span): boolean => to >= first && from <= last;
  const measured = merged.filter(isMeasured);
  const lengths = measured.map(({ from, to }) => Math.min(to, last) - Math.max(from, first));
  const count = measured.length;
  const between = count < 2 ? 0 : (measured.at(-1)!.from - measured[0]!.from) / (count - 1);
  const totalMs = lengths.reduce((sum, length) => sum + length, 0);
  return {
    counts: nodes.map((spans) => spans.filter(isMeasured).length),
    spans: { count, meanMs: count === 0 ? 0 : totalMs / count, apartMs: between },
    inside: sideOf(inside),
    outside: sideOf(outside),
  };
}

function sideOf(histogram: LatencyHistogram): Side {
  return {
    operations: histogram.count,
    p50Ms: histogram.quantile(0.5) / 1000,
    p99Ms: histogram.quantile(0.99) / 1000,
    maxMs: histogram.max / 1000,
  };
}

function gateOf({ inside, outside }: Sides): Gate {
  const isMeasured = inside.operations > 0 && outside.operations > 0;
  return {
    what: "p99 during a checkpoint ÷ p99 outside",
    bound: { kind: "at most", value: P99_RATIO_MAX },
    measured: isMeasured ? inside.p99Ms / outside.p99Ms : null,
  };
}

/** The report for people: what was measured, where, and what it does not show. */
export function renderCheckpoints(report: CheckpointsReport): string {
  const { spans, inside, outside, nodes } = report;
  const row = (name: string, side: Side): string[] => [
    name,
    grouped(side.operations),
    ...[side.p50Ms, side.p99Ms, side.maxMs].map(millis),
  ];
  const counts = nodes.map(({ node, checkpoints: count }) => `${node} ${count}`).join(", ");
  const leads = `${report.leader} led`;
  return [
    "Latency of durable SETs while nodes make checkpoints, three nodes, all on this machine.",
    ...renderMachine(report.machine),
    `${grouped(report.keys)} keys overwritten at random, 128-byte values, ${CONNECTIONS} connections at the leader,`,
    `${grouped(report.rate)} SET/s due at fixed times for ${report.seconds} s (at full speed: ` +
      `${grouped(report.closedRate)} SET/s); a latency counts from when a SET was due.`,
    `checkpoint-bytes ${grouped(report.checkpointBytes)}; checkpoints in the window: ${counts} (${leads}).`,
    `${spans.count} times with a checkpoint on any node, ${grouped(spans.meanMs)} ms long on average, ` +
      `${(spans.apartMs / 1000).toFixed(1)} s apart.`,
    "",
    textTable(
      ["SETs under way", "operations", "p50 ms", "p99 ms", "max ms"],
      [row("during a checkpoint", inside), row("outside", outside)],
    ),
    "",
    ...renderGates(report.gates),
    "A checkpoint lasts from when the changes are set aside until LMDB has synced them.",
    `The loader was busy for ${Math.round(report.loaderBusy * 100)}% of the time; ${report.errors} errors` +
      `${report.firstError === null ? "" : `, the first: ${report.firstError}`}.`,
    "Not shown: a disk for each node, data larger than memory.",
  ].join("\n");
}
