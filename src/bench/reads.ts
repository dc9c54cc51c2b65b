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
import { fill, respTarget, type Shape, type Target } from "./target.ts";
import { TrefoilCluster } from "./trefoil-cluster.ts";

const SHAPES: readonly Shape[] = [
  { connections: 1, depth: 1 },
  { connections: 64, depth: 1 },
  { connections: 256, depth: 1 },
  { connections: 64, depth: 16 },
];
const WARM_UPS: readonly Shape[] = [{ connections: 64, depth: 16 }];
const GATE_CONNECTIONS = [64, 256];
const TO_ETCD_MIN = 3;
const KEY_SPACE = 100_000;
const REPLICAS = 2;

const LINEARIZABLE = "linearizable, leader";
const LOCAL = "local, one follower";
const ETCD_LINEARIZABLE = "etcd linearizable";
const REDIS = "redis GET";

/** Options of this bench. */
export const READS_OPTIONS = {
  ...ROUND_OPTIONS,
  warmUpSeconds: { ...ROUND_OPTIONS.warmUpSeconds, initial: 8 },
  boundMs: { initial: 1_000, min: 1, max: 600_000, help: "oldest state for bounded reads, ms" },
} as const;

/** What `npm run bench -- reads --json` prints. */
export interface ReadsReport {
  readonly bench: "reads";
  readonly machine: Machine;
  readonly times: RoundTimes;
  readonly boundMs: number;
  readonly results: readonly ShapeResult[];
  readonly gates: readonly Gate[];
  /** Why etcd was not measured; null where it was. */
  readonly etcdMissing: string | null;
  /** The same of Redis. */
  readonly redisMissing: string | null;
}

/** GETs in each read concern, beside etcd's reads and Redis's GET; each finds a value. */
export async function reads(
  options: Readonly<Record<keyof typeof READS_OPTIONS, number>>,
  progress: (line: string) => void,
): Promise<ReadsReport> {
  const missing = { etcdMissing: etcdMissing(), redisMissing: redisMissing() };
  const machine = describeMachine();
  const times = roundTimes(options, WARM_UPS);
  const { boundMs } = options;
  const trefoil = await TrefoilCluster.start();
  const etcd = missing.etcdMissing === null ? await EtcdCluster.start() : null;
  const redis = missing.redisMissing === null ? await RedisCluster.start(REPLICAS) : null;
  try {
    await fill(trefoil.leader.respPort, KEY_SPACE);
    const targets = trefoilTargets(trefoil, boundMs);
    if (etcd !== null) {
      targets.push(etcd.target(ETCD_LINEARIZABLE, "linearizable range"));
      targets.push(etcd.target("etcd serializable", "serializable range"));
    }
    if (redis !== null) {
      await fill(redis.port, KEY_SPACE);
      targets.push(getTarget(REDIS, () => [redis.port], []));
    }
    const refresh = () => trefoil.refresh();
    const measured = await measureRounds(targets, SHAPES, times, refresh, progress);
    const results = summarise(measured);
    const gates = gatesOf(results);
    return { bench: "reads", machine, times, boundMs, results, gates, ...missing };
  } finally {
    await Promise.all([trefoil.stop(), etcd?.stop(), redis?.stop()]);
  }
}

/**
 * What a replica can answer by itself is measured at one of them, as Redis is: three processes of
 * one machine would say more about its processors.
 */
function trefoilTargets(trefoil: TrefoilCluster, boundMs: number): Target[] {
  const leader = (): number[] => [trefoil.leader.respPort];
  const followers = (): number[] => trefoil.followers.map((node) => node.respPort);
  const follower = (): number[] => followers().slice(0, 1);
  const concern = (...words: string[]): string[] => ["TREFOIL.DEFAULTS", "R", ...words];
  return [
    getTarget(LINEARIZABLE, leader, concern("LINEARIZABLE")),
    getTarget("linearizable, via followers", followers, concern("LINEARIZABLE")),
    getTarget("session, one follower", follower, concern("SESSION")),
    getTarget(`bounded ${boundMs} ms, one follower`, follower, concern("BOUNDED", `${boundMs}`)),
    getTarget(LOCAL, follower, concern("LOCAL")),
  ];
}

function getTarget(name: string, ports: () => readonly number[], setUp: string[]): Target {
  const commands = setUp.length === 0 ? [] : [setUp];
  return respTarget(name, ports, { kind: "get", keySpace: KEY_SPACE, setUp: commands });
}

function gatesOf(results: readonly ShapeResult[]): Gate[] {
  return GATE_CONNECTIONS.map((connections) => ({
    what: `linearizable GET/s at ${connections} connections ÷ etcd's`,
    bound: { kind: "at least", value: TO_ETCD_MIN },
    measured: ratioOf(results, LINEARIZABLE, ETCD_LINEARIZABLE, { connections, depth: 1 }),
  }));
}

/** The report for people: what was measured, where, and what it does not show. */
export function renderReads(report: ReadsReport): string {
  const { machine, times, results, gates } = report;
  const ratios = {
    "to etcd lin.": ({ target, shape }: ShapeResult) =>
      ratioOf(results, target, ETCD_LINEARIZABLE, shape),
    "to redis": ({ target, shape }: ShapeResult) => ratioOf(results, target, REDIS, shape),
  };
  return [
    "GET of 128-byte values in each read concern, three nodes, all on this machine, no writes.",
    ...renderMachine(machine),
    "Trefoil: GET over RESP, keys drawn from 100,000 that are all there; the concern is set by",
    "TREFOIL.DEFAULTS on each connection. What a follower answers by itself is asked of one.",
    "etcd: KV.Range of one key over HTTP/2 at its leader (the loader's limit, in etcd's favour).",
    "Redis: GET at the primary, the same loader and keys; what one process has, as with `local`.",
    "",
    renderShapes(results, "GET/s", ratios),
    "",
    ...renderGates(gates),
    ...shapeNotes(results, times),
    "Not shown: reads among writes, a network between the nodes, data larger than memory.",
    ...(report.etcdMissing === null ? [] : [`etcd was not measured; ${report.etcdMissing}.`]),
    ...(report.redisMissing === null ? [] : [`Redis was not measured; ${report.redisMissing}.`]),
  ].join("\n");
}
