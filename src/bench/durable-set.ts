import { EtcdCluster, etcdMissing } from "./etcd.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { grouped, median, millis, textTable } from "./statistics.ts";
import { respTarget, type Shape, type Target, type Window, type WindowTimes } from "./target.ts";
import { TrefoilCluster } from "./trefoil-cluster.ts";

/** Connections and pipelining that are compared. */
export const SHAPES: readonly Shape[] = [
  { connections: 1, depth: 1 },
  { connections: 64, depth: 1 },
  { connections: 256, depth: 1 },
  { connections: 64, depth: 16 },
  { connections: 256, depth: 16 },
];

const TIMES: WindowTimes = { warmUpMs: 500, measureMs: 2_000 };
const ROUNDS = 3;
/**
 * Before the first round each store gets these loads. A server runs for months: what is measured is
 * compiled code, and V8 goes on compiling a node's for some 15 seconds of load.
 */
const WARM_UPS: readonly Shape[] = [
  { connections: 64, depth: 16 },
  { connections: 64, depth: 1 },
];
const WARM_UP_TIMES: WindowTimes = { warmUpMs: 1_000, measureMs: 9_000 };
const WARM_UP_SECONDS =
  (WARM_UPS.length * (WARM_UP_TIMES.warmUpMs + WARM_UP_TIMES.measureMs)) / 1000;

/** Medians of one store under one shape of load. */
export interface ShapeResult {
  readonly target: string;
  readonly shape: Shape;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly firstError: string | null;
  readonly loaderBusy: number | null;
  /** Rates of the rounds, in the order measured. */
  readonly rounds: readonly number[];
  /** The median rate divided by etcd's under the same shape; null without etcd. */
  readonly toEtcd: number | null;
}

/** What `npm run bench -- durable-set --json` prints. */
export interface DurableSetReport {
  readonly bench: "durable-set";
  readonly machine: Machine;
  readonly times: WindowTimes;
  readonly results: readonly ShapeResult[];
  /** Why etcd was not measured; null where it was. */
  readonly etcdMissing: string | null;
}

/**
 * Durable majority SETs of 128 bytes, Trefoil beside etcd: both are up, one is loaded at a time, in
 * turn, and medians of the rounds are compared, because a machine's speed drifts within minutes.
 */
export async function durableSet(progress: (line: string) => void): Promise<DurableSetReport> {
  const missing = etcdMissing();
  const machine = describeMachine();
  const trefoil = await TrefoilCluster.start();
  const etcd = missing === null ? await EtcdCluster.start() : null;
  try {
    const targets: Target[] = [
      respTarget("trefoil", () => [trefoil.leader.respPort]),
      respTarget("trefoil, via followers", () => trefoil.followers.map((node) => node.respPort)),
    ];
    if (etcd !== null) targets.splice(1, 0, etcd);
    const windows = await measureRounds(targets, () => trefoil.refresh(), progress);
    return {
      bench: "durable-set",
      machine,
      times: TIMES,
      results: summarise(windows),
      etcdMissing: missing,
    };
  } finally {
    await Promise.all([trefoil.stop(), etcd?.stop()]);
  }
}

interface Measured {
  readonly target: string;
  readonly shape: Shape;
  readonly windows: Window[];
}

async function measureRounds(
  targets: readonly Target[],
  beforeEach: () => Promise<unknown>,
  progress: (line: string) => void,
): Promise<Measured[]> {
  const all: Measured[] = [];
  for (const target of targets) {
    for (const shape of WARM_UPS) {
      await beforeEach();
      await target.measure(shape, WARM_UP_TIMES);
    }
    progress(`warmed up: ${target.name}`);
  }
  for (const shape of SHAPES) {
    const measured = targets.map(({ name }) => ({ target: name, shape, windows: [] as Window[] }));
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const [at, target] of targets.entries()) {
        await beforeEach();
        const window = await target.measure(shape, TIMES);
        measured[at]!.windows.push(window);
        const rate = grouped(window.perSecond);
        progress(`${describeShape(shape)}, round ${round}: ${target.name} ${rate}/s`);
      }
    }
    all.push(...measured);
  }
  return all;
}

/** Medians per store and shape, and their ratios to etcd's. */
export function summarise(measured: readonly Measured[]): ShapeResult[] {
  const medianRate = (windows: readonly Window[]): number =>
    median(windows.map((window) => window.perSecond));
  return measured.map(({ target, shape, windows }) => {
    const etcd = measured.find((other) => other.target === "etcd" && other.shape === shape);
    const perSecond = medianRate(windows);
    const busy = windows.flatMap(({ loaderBusy }) => (loaderBusy === null ? [] : [loaderBusy]));
    return {
      target,
      shape,
      perSecond,
      p50Ms: median(windows.map((window) => window.p50Ms)),
      p99Ms: median(windows.map((window) => window.p99Ms)),
      errors: windows.reduce((sum, window) => sum + window.errors, 0),
      firstError: windows.find((window) => window.firstError !== null)?.firstError ?? null,
      loaderBusy: busy.length === 0 ? null : median(busy),
      rounds: windows.map((window) => Math.round(window.perSecond)),
      toEtcd: etcd === undefined ? null : perSecond / medianRate(etcd.windows),
    };
  });
}

/** The report for people: what was measured, where, and what it does not show. */
export function renderDurableSet(report: DurableSetReport): string {
  const { machine, times, results } = report;
  const rows = results.map((result) => [
    describeShape(result.shape),
    result.target,
    grouped(result.perSecond),
    millis(result.p50Ms),
    millis(result.p99Ms),
    result.toEtcd === null ? "" : result.toEtcd.toFixed(2),
    result.loaderBusy === null ? "" : `${Math.round(result.loaderBusy * 100)}%`,
    String(result.errors),
  ]);
  const header = ["load", "store", "SET/s", "p50 ms", "p99 ms", "to etcd", "loader", "errors"];
  const errors = results.filter((result) => result.firstError !== null);
  return [
    "Durable SET on a majority of three nodes, 128-byte values that vary, all on this machine.",
    `${machine.cpus}, ${machine.memoryGb} GB, Linux ${machine.kernel}, Node ${machine.node},`,
    `data on ${machine.fileSystem}; 200 B + fdatasync takes ${machine.syncMicros} µs here.`,
    `Medians of ${ROUNDS} interleaved rounds of ${times.measureMs / 1000} s; compare within a run only.`,
    `Each store was warmed up for ${WARM_UP_SECONDS} s before the first round.`,
    "Trefoil: SET over RESP, keys drawn from 100,000, answered when synced on a majority.",
    "etcd: KV.Put over HTTP/2 at its leader, one key (the loader's limit, in etcd's favour).",
    "",
    textTable(header, rows),
    "",
    "loader: share of the time in which the load generator was busy; near 100% it is the limit.",
    ...errors.map(({ target, firstError }) => `error from ${target}: ${firstError}`),
    ...(report.etcdMissing === null ? [] : [`etcd was not measured; ${report.etcdMissing}.`]),
  ].join("\n");
}

function describeShape({ connections, depth }: Shape): string {
  return depth === 1 ? `${connections}` : `${connections} × ${depth} pipelined`;
}
