import { EtcdCluster, etcdMissing } from "./etcd.ts";
import { type Gate, renderGates } from "./gates.ts";
import { describeMachine, type Machine, renderMachine } from "./machine.ts";
import { RedisCluster, redisMissing } from "./redis.ts";
import {
  measureRounds,
  ROUND_OPTIONS,
  type RoundTimes,
  ratioOf,
  renderShapes,
  roundTimes,
  type ShapeResult,
  shapeNotes,
  summarise,
} from "./rounds.ts";
import { respTarget, type Shape, type Target } from "./target.ts";
import { TrefoilCluster } from "./trefoil-cluster.ts";

/** Connections and pipelining that are compared. */
export const SHAPES: readonly Shape[] = [
  { connections: 1, depth: 1 },
  { connections: 64, depth: 1 },
  { connections: 256, depth: 1 },
  { connections: 64, depth: 16 },
  { connections: 256, depth: 16 },
];
const WARM_UPS: readonly Shape[] = [
  { connections: 64, depth: 16 },
  { connections: 64, depth: 1 },
];
const GATE_CONNECTIONS = [64, 256];
const TO_ETCD_MIN = 3;
const TO_REDIS_MIN = 1.2;
const REPLICAS = 2;
const KEY_SPACE = 100_000;

/** Options of this bench. */
export const DURABLE_SET_OPTIONS = ROUND_OPTIONS;

/** One store under one shape of load, and its ratios to the others. */
export interface DurableSetResult extends ShapeResult {
  /** The median rate divided by etcd's under the same shape; null without etcd. */
  readonly toEtcd: number | null;
  /** The same by Redis. */
  readonly toRedis: number | null;
}

/** What `npm run bench -- durable-set --json` prints. */
export interface DurableSetReport {
  readonly bench: "durable-set";
  readonly machine: Machine;
  readonly times: RoundTimes;
  readonly results: readonly DurableSetResult[];
  readonly gates: readonly Gate[];
  /** Why etcd was not measured; null where it was. */
  readonly etcdMissing: string | null;
  /** The same of Redis. */
  readonly redisMissing: string | null;
}

/** Durable majority SETs of 128 bytes, Trefoil beside etcd and Redis, all up and loaded in turn. */
export async function durableSet(
  options: Readonly<Record<keyof typeof DURABLE_SET_OPTIONS, number>>,
  progress: (line: string) => void,
): Promise<DurableSetReport> {
  const missing = { etcdMissing: etcdMissing(), redisMissing: redisMissing() };
  const machine = describeMachine();
  const times = roundTimes(options, WARM_UPS);
  const trefoil = await TrefoilCluster.start();
  const etcd = missing.etcdMissing === null ? await EtcdCluster.start() : null;
  const redis = missing.redisMissing === null ? await RedisCluster.start(REPLICAS) : null;
  try {
    const set = { kind: "set", keySpace: KEY_SPACE, setUp: [] } as const;
    const targets: Target[] = [respTarget("trefoil", () => [trefoil.leader.respPort], set)];
    if (etcd !== null) targets.push(etcd.target("etcd", "put"));
    if (redis !== null) {
      targets.push(respTarget("redis", () => [redis.port], { ...set, kind: "set-wait" }));
    }
    const followers = (): number[] => trefoil.followers.map((node) => node.respPort);
    targets.push(respTarget("trefoil, via followers", followers, set));
    const refresh = () => trefoil.refresh();
    const measured = await measureRounds(targets, SHAPES, times, refresh, progress);
    const results = withRatios(summarise(measured));
    const gates = gatesOf(results);
    return { bench: "durable-set", machine, times, results, gates, ...missing };
  } finally {
    await Promise.all([trefoil.stop(), etcd?.stop(), redis?.stop()]);
  }
}

/** Each result with its ratios to etcd and Redis under the same load. */
export function withRatios(results: readonly ShapeResult[]): DurableSetResult[] {
  return results.map((result) => ({
    ...result,
    toEtcd: ratioOf(results, result.target, "etcd", result.shape),
    toRedis: ratioOf(results, result.target, "redis", result.shape),
  }));
}

function gatesOf(results: readonly ShapeResult[]): Gate[] {
  return GATE_CONNECTIONS.flatMap((connections) => {
    const gate = (other: string, value: number): Gate => ({
      what: `SET/s at ${connections} connections ÷ ${other}'s`,
      bound: { kind: "at least", value },
      measured: ratioOf(results, "trefoil", other, { connections, depth: 1 }),
    });
    return [gate("etcd", TO_ETCD_MIN), gate("redis", TO_REDIS_MIN)];
  });
}

/** The report for people: what was measured, where, and what it does not show. */
export function renderDurableSet(report: DurableSetReport): string {
  const { machine, times, results, gates } = report;
  const ratios = {
    "to etcd": ({ target, shape }: ShapeResult) => ratioOf(results, target, "etcd", shape),
    "to redis": ({ target, shape }: ShapeResult) => ratioOf(results, target, "redis", shape),
  };
  return [
    "Durable SET on a majority of three nodes, 128-byte values that vary, all on this machine.",
    ...renderMachine(machine),
    "Trefoil: SET over RESP, keys drawn from 100,000, answered when synced on a majority.",
    "etcd: KV.Put over HTTP/2 at its leader, one key (the loader's limit, in etcd's favour).",
    "Redis: a primary and two replicas, appendfsync always; the same loader and keys, each run of",
    "SETs that go out together with one WAIT 1 behind it, whose answer ends them. It promises less:",
    "WAIT says that a replica has the write, not that it has synced it, and a replica that takes over",
    "need not be one that has it.",
    "",
    renderShapes(results, "SET/s", ratios),
    "",
    ...renderGates(gates),
    ...shapeNotes(results, times),
    "Not shown: a network between the nodes, a disk for each, failures, data larger than memory.",
    ...(report.etcdMissing === null ? [] : [`etcd was not measured; ${report.etcdMissing}.`]),
    ...(report.redisMissing === null ? [] : [`Redis was not measured; ${report.redisMissing}.`]),
  ].join("\n");
}
