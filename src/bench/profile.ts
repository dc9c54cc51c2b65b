import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hottestFunctions, STAGES, type Stage, timeByStage } from "./cpu-profile.ts";
import { describeMachine, type Machine } from "./machine.ts";
import type { ProcessProfile } from "./profiler-hook.ts";
import { BenchError, dataDirectory, removeDirectory } from "./programs.ts";
import { grouped, textTable } from "./statistics.ts";
import { runRespLoader, VALUE_BYTES } from "./target.ts";
import { type NodeAddress, TrefoilCluster } from "./trefoil-cluster.ts";

const SHAPE = { connections: 64, depth: 16 };
const WARM_UP_MS = 1_500;
const MEASURE_MS = 4_000;
const HOTTEST = 15;

/** One node's share, in microseconds per acknowledged operation. */
export interface NodeCost {
  readonly node: string;
  readonly role: "leader" | "follower";
  /** Main thread, by stage; idle time included. */
  readonly stages: Readonly<Record<Stage, number>>;
  /** The functions with the most self time. */
  readonly hottest: readonly { readonly name: string; readonly micros: number }[];
  /** All threads of the process, as the kernel counts them. */
  readonly user: number;
  readonly system: number;
}

/** What `npm run bench -- profile --json` prints. */
export interface ProfileReport {
  readonly bench: "profile";
  readonly machine: Machine;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly loaderBusy: number;
  readonly nodes: readonly NodeCost[];
}

/**
 * Where the time of a durable SET goes: nodes under a pipelined load are profiled for some seconds,
 * and each stage's self time is divided by the operations acknowledged meanwhile. Profiling itself
 * costs some per cent, so the rate is lower than in `durable-set`.
 */
export async function profile(progress: (line: string) => void): Promise<ProfileReport> {
  const machine = describeMachine();
  const directory = dataDirectory("profile");
  try {
    const cluster = await startProfiled(directory);
    try {
      return await profileCluster(cluster, directory, machine, progress);
    } finally {
      await cluster.stop();
    }
  } finally {
    removeDirectory(directory);
  }
}

function startProfiled(directory: string): Promise<TrefoilCluster> {
  const hook = new URL("./profiler-hook.js", import.meta.url).href;
  return TrefoilCluster.start({
    NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import ${hook}`.trim(),
    BENCH_PROFILE_DIR: directory,
  });
}

async function profileCluster(
  cluster: TrefoilCluster,
  directory: string,
  machine: Machine,
  progress: (line: string) => void,
): Promise<ProfileReport> {
  const nodes = [cluster.leader, ...cluster.followers];
  progress(`loading ${cluster.leader.id}: ${SHAPE.connections} connections × ${SHAPE.depth}`);
  const loading = runRespLoader({
    ports: [cluster.leader.respPort],
    ...SHAPE,
    kind: "set",
    valueBytes: VALUE_BYTES,
    keySpace: 100_000,
    seed: 1,
    setUp: [],
    pace: { kind: "closed", warmUpMs: WARM_UP_MS, measureMs: MEASURE_MS + 1_000 },
  });
  await Promise.race([loading, after(WARM_UP_MS + 500)]);
  for (const { pid } of nodes) process.kill(pid, "SIGUSR2");
  await Promise.race([loading, after(MEASURE_MS)]);
  for (const { pid } of nodes) process.kill(pid, "SIGUSR2");
  const result = await loading;
  const costs: NodeCost[] = [];
  for (const node of nodes) {
    const found = await collect(directory, node.pid);
    costs.push(costOf(node, costs.length === 0, found, result.perSecond));
  }
  const { perSecond, p50Ms, p99Ms, errors, loaderBusy } = result;
  return {
    bench: "profile",
    machine,
    perSecond,
    p50Ms,
    p99Ms,
    errors,
    loaderBusy,
    nodes: costs,
  };
}

async function collect(directory: string, pid: number): Promise<ProcessProfile> {
  const path = join(directory, `${pid}.json`);
  for (let waits = 0; waits < 200; waits += 1) {
    if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")) as ProcessProfile;
    await after(50);
  }
  throw new BenchError(`process ${pid} left no profile`);
}

function costOf(
  { id }: NodeAddress,
  isLeader: boolean,
  found: ProcessProfile,
  perSecond: number,
): NodeCost {
  const operations = Math.max(1, perSecond * found.seconds);
  const stages = timeByStage(found.profile);
  const perOperation = STAGES.map((stage) => [stage, (stages.get(stage) ?? 0) / operations]);
  return {
    node: id,
    role: isLeader ? "leader" : "follower",
    stages: Object.fromEntries(perOperation) as Record<Stage, number>,
    hottest: hottestFunctions(found.profile, HOTTEST).map(({ name, micros }) => ({
      name,
      micros: micros / operations,
    })),
    user: found.userMicros / operations,
    system: found.systemMicros / operations,
  };
}

/** The report for people. */
export function renderProfile(report: ProfileReport): string {
  const { machine, nodes } = report;
  const row = (name: string, values: readonly number[]): string[] => [
    name,
    ...values.map((value) => value.toFixed(2)),
  ];
  const rows = [
    ...STAGES.map((stage) =>
      row(
        stage,
        nodes.map((node) => node.stages[stage]),
      ),
    ),
    row(
      "process, user",
      nodes.map((node) => node.user),
    ),
    row(
      "process, system",
      nodes.map((node) => node.system),
    ),
  ];
  const header = ["µs per operation", ...nodes.map(({ node, role }) => `${node} ${role}`)];
  return [
    "Where the time of a durable SET goes: 64 connections × 16 pipelined at the leader.",
    `${machine.cpus}, Node ${machine.node}, data on ${machine.fileSystem}.`,
    `${grouped(report.perSecond)} SET/s while profiled, p50 ${report.p50Ms.toFixed(1)} ms, ` +
      `p99 ${report.p99Ms.toFixed(1)} ms, ${report.errors} errors, ` +
      `loader ${Math.round(report.loaderBusy * 100)}% busy.`,
    "",
    textTable(header, rows),
    "",
    "Stages: self time of the main thread, by the clock on the wall; a stage waits for a processor",
    "where others use it. Process: all threads, as the kernel counts them.",
    "",
    ...nodes.slice(0, 2).flatMap(renderHottest),
    ...(nodes.some(isStarved) ? ["This machine was busy: nodes waited for a processor."] : []),
  ].join("\n");
}

function renderHottest({ node, role, hottest }: NodeCost): string[] {
  const rows = hottest.map(({ name, micros }) => [name, micros.toFixed(2)]);
  return [textTable([`hottest functions of ${node}, ${role}`, "µs per operation"], rows), ""];
}

/** Busy for longer than the kernel counted: the rest went to other programs. */
function isStarved(node: NodeCost): boolean {
  const busy = STAGES.reduce((sum, stage) => sum + (stage === "idle" ? 0 : node.stages[stage]), 0);
  return busy > 1.2 * (node.user + node.system);
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
