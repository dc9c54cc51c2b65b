import { redisError } from "../contract/reply.ts";
import { type CommandSpec, type ConnectionCommand, EVERY_MODEL } from "./spec.ts";

const PUBSUB = "publish and subscribe are not part of Trefoil";
const SCRIPTS = "Trefoil runs no scripts: they would have to be deterministic on every replica";
const SPANS = "no operation spans two keyspaces";
const SNAPSHOTS = "every acknowledged write is on disk already, and nodes checkpoint by themselves";
const KINDS = "values of this kind come in a later version of Trefoil";
const TOPOLOGY = "replication follows from the keyspace's model, not from commands to a node";

/** Commands of Redis that people will try, and why they are not there. */
const REASONS: readonly (readonly [reason: string, names: readonly string[]])[] = [
  [
    PUBSUB,
    ["publish", "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "spublish"],
  ],
  [
    SCRIPTS,
    ["eval", "evalsha", "eval_ro", "evalsha_ro", "script", "fcall", "fcall_ro", "function"],
  ],
  [SPANS, ["move", "swapdb"]],
  [`${SPANS}: use FLUSHDB in each of them`, ["flushall"]],
  [SNAPSHOTS, ["save", "bgsave", "bgrewriteaof", "lastsave"]],
  [TOPOLOGY, ["replicaof", "slaveof", "failover", "role", "readonly", "readwrite", "asking"]],
  [
    "a node is stopped by the operator: see `trefoil status`, or send the process SIGTERM",
    ["shutdown"],
  ],
  ["it would let a client stop or change the node behind the replicas' back", ["debug"]],
  ["it would show every client's data to one of them", ["monitor"]],
  [
    KINDS,
    [
      ...["lpush", "rpush", "lpop", "rpop", "lrange", "llen"],
      ...["zadd", "zrange", "zrem", "zscore", "zcard", "zincrby", "zpopmin"],
    ],
  ],
  [
    "streams, HyperLogLogs and geographic sets are not part of Trefoil",
    ["xadd", "xread", "xrange", "pfadd", "pfcount", "geoadd"],
  ],
];

function refused(name: string, reason: string): ConnectionCommand {
  const reply = redisError(`${name.toUpperCase()} is not available: ${reason}`);
  return {
    kind: "connection",
    id: 0,
    name,
    arity: -1,
    usage: "",
    group: "generic",
    flags: [],
    keys: null,
    models: EVERY_MODEL,
    since: "",
    summary: "",
    complexity: "",
    refused: reason,
    run: () => reply,
  };
}

/** Commands of Redis that are refused on purpose, each with its reason. */
export const REFUSED_COMMANDS: readonly CommandSpec[] = REASONS.flatMap(([reason, names]) =>
  names.map((name) => refused(name, reason)),
);
