import { RespClient } from "../client/resp-client.ts";
import { type Gate, renderGates } from "./gates.ts";
import { describeMachine, type Machine, renderMachine } from "./machine.ts";
import { metric, readMetrics } from "./node-metrics.ts";
import {
  type MemorySample,
  MemoryWatch,
  type ProcessMemory,
  processMemory,
} from "./process-memory.ts";
import { BenchError } from "./programs.ts";
import { RedisCluster, redisMissing } from "./redis.ts";
import { grouped, megabytes, textTable } from "./statistics.ts";
import { fill } from "./target.ts";
import { type RestartTimes, TrefoilCluster } from "./trefoil-cluster.ts";

const LOOK_EVERY_MS = 1_000;
const COUNT_MS_MAX = 120_000;
const SERVED_SECONDS_MAX = 60;
const ANONYMOUS_GB_MAX = 1;

/** Options of this bench. */
export const MEMORY_OPTIONS = {
  keys: { initial: 1_000_000, min: 1, max: 100_000_000, help: "keys to load" },
} as const;

/** One process with all keys. */
export interface LoadedProcess {
  readonly name: string;
  /** When all keys were there. */
  readonly loaded: ProcessMemory;
  /** The most anonymous memory seen while they were loaded, looked at every second. */
  readonly anonymousMax: number;
  /** The file that the state lies in; null for Redis, which has none. */
  readonly stateBytes: number | null;
  /** After it was killed and started again. */
  readonly restarted: ProcessMemory;
}

/** One store with all keys. */
export interface LoadedStore {
  readonly processes: readonly LoadedProcess[];
  readonly perSecond: number;
  /** Keys that it counted after the restart. */
  readonly keysAfter: number;
}

/** What `npm run bench -- memory --json` prints. */
export interface MemoryReport {
  readonly bench: "memory";
  readonly machine: Machine;
  readonly keys: number;
  readonly trefoil: LoadedStore & { readonly restart: RestartTimes };
  /** Its primary, without replicas; null where it is not installed. */
  readonly redis: (LoadedStore & { readonly restartMs: number }) | null;
  readonly redisMissing: string | null;
  readonly gates: readonly Gate[];
}

/**
 * Memory with many keys, and the start with them after all processes were killed; first Trefoil,
 * then Redis, so that neither takes memory from the other.
 */
export async function memory(
  { keys }: Readonly<Record<keyof typeof MEMORY_OPTIONS, number>>,
  progress: (line: string) => void,
): Promise<MemoryReport> {
  const machine = describeMachine();
  const trefoil = await loadTrefoil(keys, progress);
  const missing = redisMissing();
  const redis = missing === null ? await loadRedis(keys, progress) : null;
  const gates = gatesOf(trefoil);
  return { bench: "memory", machine, keys, trefoil, redis, redisMissing: missing, gates };
}

async function loadTrefoil(
  keys: number,
  progress: (line: string) => void,
): Promise<MemoryReport["trefoil"]> {
  const cluster = await TrefoilCluster.start();
  try {
    const { nodes } = cluster;
    const { perSecond, samples } = await loadWatched(
      cluster.leader.respPort,
      keys,
      nodes.map(({ pid }) => pid),
    );
    progress(`Trefoil: ${grouped(keys)} keys loaded at ${grouped(perSecond)}/s`);
    const stateBytes = await Promise.all(
      nodes.map(async ({ httpPort }) => {
        return metric(await readMetrics(httpPort), "trefoil_state_file_bytes");
      }),
    );
    const restart = await cluster.restartKilled();
    progress(`Trefoil: killed, and ready again after ${seconds(restart.readyMs)}`);
    const keysAfter = await countKeys(cluster.leader.respPort);
    const pidOf = (id: string): number => cluster.nodes.find((node) => node.id === id)?.pid ?? 0;
    const processes = nodes.map(({ id }, i) => ({
      name: `trefoil ${id}`,
      ...beforeAndAfter(samples, i, pidOf(id)),
      stateBytes: stateBytes[i]!,
    }));
    return { processes, perSecond, keysAfter, restart };
  } finally {
    await cluster.stop();
  }
}

async function loadRedis(
  keys: number,
  progress: (line: string) => void,
): Promise<NonNullable<MemoryReport["redis"]>> {
  const redis = await RedisCluster.start(0);
  try {
    const { perSecond, samples } = await loadWatched(redis.port, keys, [redis.pid]);
    progress(`Redis: ${grouped(keys)} keys loaded at ${grouped(perSecond)}/s`);
    const restartMs = await redis.restartKilled();
    progress(`Redis: killed, and ready again after ${seconds(restartMs)}`);
    const keysAfter = await countKeys(redis.port);
    const processes = [
      { name: "redis", ...beforeAndAfter(samples, 0, redis.pid), stateBytes: null },
    ];
    return { processes, perSecond, keysAfter, restartMs };
  } finally {
    await redis.stop();
  }
}

async function loadWatched(port: number, keys: number, pids: readonly number[]) {
  const watch = new MemoryWatch(pids, LOOK_EVERY_MS);
  try {
    const { perSecond } = await fill(port, keys);
    return { perSecond, samples: watch.stop() };
  } catch (error) {
    watch.cancel();
    throw error;
  }
}

function beforeAndAfter(samples: readonly MemorySample[], at: number, restartedPid: number) {
  const seen = samples.map(({ processes }) => processes[at]!);
  return {
    loaded: seen.at(-1)!,
    anonymousMax: Math.max(...seen.map(({ anonymous }) => anonymous)),
    restarted: processMemory(restartedPid),
  };
}

async function countKeys(port: number): Promise<number> {
  const client = await RespClient.connect({ host: "127.0.0.1", port, timeoutMs: COUNT_MS_MAX });
  try {
    const reply = await client.call("DBSIZE");
    if (reply.kind === "integer") return Number(reply.value);
    throw new BenchError(`DBSIZE answered ${reply.kind === "error" ? reply.message : reply.kind}`);
  } finally {
    client.close();
  }
}

function gatesOf({ processes, restart }: MemoryReport["trefoil"]): Gate[] {
  const anonymous = Math.max(...processes.map(({ anonymousMax }) => anonymousMax));
  return [
    {
      what: "seconds from the start to the first linearizable answer",
      bound: { kind: "at most", value: SERVED_SECONDS_MAX },
      measured: Math.max(restart.readyMs, restart.answerMs) / 1000,
    },
    {
      what: "GB of anonymous memory of a node while it is loaded",
      bound: { kind: "below", value: ANONYMOUS_GB_MAX },
      measured: anonymous / 1e9,
    },
  ];
}

/** The report for people: what was measured, where, and what it does not show. */
export function renderMemory(report: MemoryReport): string {
  const { trefoil, redis, keys } = report;
  const processes = [...trefoil.processes, ...(redis?.processes ?? [])];
  const rows = processes.map(({ name, loaded, anonymousMax, stateBytes, restarted }) => [
    name,
    ...[loaded.rss, loaded.anonymous, loaded.file, anonymousMax].map(megabytes),
    stateBytes === null ? "" : megabytes(stateBytes),
    ...[restarted.rss, restarted.anonymous].map(megabytes),
  ]);
  const header = [
    "MB",
    ...["RSS", "anonymous", "files", "anon. max", "state file"],
    ...["RSS restarted", "anon. restarted"],
  ];
  const { readyMs, answerMs } = trefoil.restart;
  return [
    `Memory and start-up with ${grouped(keys)} keys of 16 bytes, values of 128; three nodes on this machine.`,
    ...renderMachine(report.machine),
    "Loaded in random order by 16 connections × 64 pipelined SETs: Trefoil durable on a majority,",
    "Redis one server without replicas, appendfsync always. Then all processes are killed (kill -9)",
    "and started again on the same data.",
    "",
    textTable(header, rows),
    "",
    `Trefoil: loaded at ${grouped(trefoil.perSecond)} SET/s; after kill -9, ready in ${seconds(readyMs)}, ` +
      `first linearizable answer after ${seconds(answerMs)}, DBSIZE ${grouped(trefoil.keysAfter)}.`,
    ...(redis === null
      ? [`Redis was not measured; ${report.redisMissing}.`]
      : [
          `Redis: loaded at ${grouped(redis.perSecond)} SET/s; after kill -9, all data in ` +
            `${seconds(redis.restartMs)}, DBSIZE ${grouped(redis.keysAfter)}.`,
        ]),
    "",
    ...renderGates(report.gates),
    "files: mapped pages, most of them the state file's; the kernel takes them back when memory is",
    "short, and counts them once for each process. anon. max: the most while loading, each second.",
    "Not shown: a machine with less memory than the state file, a cold page cache.",
  ].join("\n");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
