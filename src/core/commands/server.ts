import { decodeUtf8 } from "../base/bytes.ts";
import type { GroupStatus } from "../contract/group.ts";
import { array, bulkText, type Reply } from "../contract/reply.ts";
import { type Args, isWord, lowerText } from "./arguments.ts";
import { verbatimText } from "./client.ts";
import { Glob } from "./glob.ts";
import { LIMITS } from "./limits.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
import { REDIS_VERSION, type ServerView } from "./server-view.ts";
import { type CommandSpec, type ConnectionCommand, EVERY_MODEL } from "./spec.ts";

const HERE = {
  kind: "connection",
  id: 0,
  group: "server",
  keys: null,
  models: EVERY_MODEL,
} as const;

type Lines = readonly string[];

function serverLines(server: ServerView): Lines {
  return [
    `redis_version:${REDIS_VERSION}`,
    "server_name:trefoil",
    `trefoil_version:${server.version}`,
    "redis_mode:standalone",
    "arch_bits:64",
    `process_id:${server.pid}`,
    `run_id:${server.runId}`,
    `tcp_port:${server.respPort}`,
    `http_port:${server.httpPort}`,
    `server_time_usec:${Math.floor(server.wallMs * 1000)}`,
    `uptime_in_seconds:${server.uptimeSeconds}`,
    `uptime_in_days:${Math.floor(server.uptimeSeconds / 86_400)}`,
    `node:${server.node}`,
    `cluster:${server.cluster}`,
  ];
}

function clientLines(server: ServerView): Lines {
  let connected = 0;
  for (const _ of server.clients()) connected += 1;
  return [`connected_clients:${connected}`, "blocked_clients:0"];
}

/** Nothing is loading once a node answers: it recovers before it listens. */
const PERSISTENCE_LINES: Lines = ["loading:0", "async_loading:0"];
const MEMORY_LINES: Lines = ["maxmemory:0", "maxmemory_policy:noeviction"];

function replicationLines(server: ServerView): Lines {
  const lines = ["role:master", `connected_slaves:${server.members.length - 1}`];
  for (const keyspace of server.keyspaces()) {
    const { name, number, model } = keyspace;
    lines.push(`trefoil_keyspace${number}:name=${name},model=${model},${groupFields(keyspace)}`);
  }
  lines.push(`trefoil_catalog:${groupFields(server.catalog())}`);
  return lines;
}

function groupFields(group: GroupStatus): string {
  const fields = [
    `role=${group.role}`,
    `leader=${group.leader ?? ""}`,
    `term=${group.term}`,
    `commit_index=${group.commitIndex}`,
    `applied_index=${group.appliedIndex}`,
    `last_index=${group.lastIndex}`,
    `lag_entries=${group.lagEntries}`,
    `lag_ms=${group.lagMs === null ? "" : Math.round(group.lagMs)}`,
    `halted=${group.halted === null ? 0 : 1}`,
    `damaged=${group.damaged === null ? 0 : 1}`,
  ];
  for (const peer of group.peers) {
    const name = `peer_${peer.node}`;
    fields.push(`${name}=${peer.state}:${peer.matchIndex}`);
    fields.push(`${name}_lag_entries=${peer.lagEntries}`);
    fields.push(`${name}_lag_ms=${peer.lagMs === null ? "" : Math.round(peer.lagMs)}`);
  }
  return fields.join(",");
}

function keyspaceLines(server: ServerView): Lines {
  const lines: string[] = [];
  for (const keyspace of server.keyspaces()) {
    if (keyspace.keys === 0) continue;
    lines.push(`db${keyspace.number}:keys=${keyspace.keys},expires=${keyspace.expiring},avg_ttl=0`);
  }
  return lines;
}

const SECTIONS: readonly (readonly [title: string, lines: (server: ServerView) => Lines])[] = [
  ["Server", serverLines],
  ["Clients", clientLines],
  ["Memory", () => MEMORY_LINES],
  ["Persistence", () => PERSISTENCE_LINES],
  ["Replication", replicationLines],
  ["Cluster", () => ["cluster_enabled:0"]],
  ["Keyspace", keyspaceLines],
];

const ALL_SECTIONS = ["all", "default", "everything"];

/** INFO's text; sections nobody knows are left out, as in Redis. */
function info(args: Args, server: ServerView): Reply {
  const wanted = args.slice(1).map((arg) => lowerText(arg.subarray(0, 64)));
  const isAll = wanted.length === 0 || wanted.some((name) => ALL_SECTIONS.includes(name));
  const parts: string[] = [];
  for (const [title, lines] of SECTIONS) {
    if (!isAll && !wanted.includes(title.toLowerCase())) continue;
    parts.push(
      `# ${title}\r\n${lines(server)
        .map((line) => `${line}\r\n`)
        .join("")}`,
    );
  }
  return verbatimText(parts.join("\r\n"));
}

const INFO: ConnectionCommand = {
  ...HERE,
  name: "info",
  arity: -1,
  usage: "[section ...]",
  flags: ["loading", "stale"],
  categories: ["dangerous"],
  since: "1.0.0",
  summary: "About the node: server, clients, memory, persistence, replication, cluster, keyspace.",
  complexity: "O(N) in the connections and keyspaces",
  differences:
    "The role is always master, because every node takes every command; what a node really is in a keyspace is told in the lines trefoil_keyspace.",
  run: (args, _session, server) => info(args, server),
};

const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ["appendonly", "yes"],
  ["appendfsync", "always"],
  ["databases", "16"],
  ["maxmemory", "0"],
  ["maxmemory-policy", "noeviction"],
  ["proto-max-bulk-len", String(LIMITS.valueBytesMax)],
  ["save", ""],
  ["timeout", "0"],
];

/** Settings by name, those of the host over those that every node has; in ascending order. */
function settings(server: ServerView): readonly (readonly [string, string])[] {
  const all = new Map<string, string>(SETTINGS);
  for (const [name, value] of server.config()) all.set(name, value);
  const keyspaces = server.keyspaces();
  const highest = keyspaces.reduce((max, keyspace) => Math.max(max, keyspace.number), 0);
  if (!server.config().has("databases")) all.set("databases", String(Math.max(16, highest + 1)));
  return [...all].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function configGet(args: Args, server: ServerView): Reply {
  const all = settings(server);
  const found = new Map<string, string>();
  for (const arg of args.slice(2)) {
    const glob = new Glob(lowered(arg));
    // A setting that is named in full is answered under the name as it was given.
    const given = glob.isLiteral ? decodeUtf8(arg) : null;
    for (const [name, value] of all) if (glob.matches(name)) found.set(given ?? name, value);
  }
  return { kind: "map", items: [...found].flatMap((entry) => entry.map(bulkText)) };
}

function lowered(arg: Uint8Array): Uint8Array {
  return arg.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));
}

const CONFIG_HELP = [
  "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
  "GET <pattern>",
  "    Settings of this node whose names match.",
  "SET <directive> <value>",
  "    Refused: a node is configured by its file, environment and flags.",
  "HELP",
  "    Prints this help.",
];

function config(args: Args, server: ServerView): Reply {
  switch (lowerText(args[1]!)) {
    case "get":
      return configGet(args, server);
    case "set":
      return refuse(
        "CONFIG SET is not available: a node is configured by its file, environment and flags",
      );
    case "resetstat":
      return refuse("CONFIG RESETSTAT is not available: a node's counters only grow");
    case "rewrite":
      return refuse("CONFIG REWRITE is not available: a node does not write its configuration");
    case "help":
      return array(CONFIG_HELP.map((text) => ({ kind: "simple", text }) as const));
    default:
      return refuseSyntax();
  }
}

const CONFIG: ConnectionCommand = {
  ...HERE,
  name: "config",
  arity: -2,
  usage: "GET pattern [pattern ...]",
  flags: ["admin", "noscript", "loading", "stale"],
  since: "2.0.0",
  summary: "Settings of this node, those that clients of Redis ask for among them.",
  complexity: "O(N) in the settings",
  differences: "SET, RESETSTAT and REWRITE are refused.",
  subcommands: [
    {
      name: "get",
      arity: -3,
      usage: "pattern [pattern ...]",
      summary: "Settings whose names match.",
      since: "2.0.0",
    },
    { name: "help", arity: 2, usage: "", summary: "Explains the subcommands.", since: "5.0.0" },
    { name: "resetstat", arity: 2, usage: "", summary: "Refused.", since: "2.0.0" },
    { name: "rewrite", arity: 2, usage: "", summary: "Refused.", since: "2.8.0" },
    {
      name: "set",
      arity: -4,
      usage: "directive value [directive value ...]",
      summary: "Refused.",
      since: "2.0.0",
    },
  ],
  run: (args, _session, server) => config(args, server),
};

const TIME: ConnectionCommand = {
  ...HERE,
  name: "time",
  arity: 1,
  usage: "",
  flags: ["loading", "stale", "fast"],
  since: "2.6.0",
  summary: "The node's clock: seconds since 1970, and microseconds.",
  complexity: "O(1)",
  run(_args, _session, server) {
    const micros = Math.floor(server.wallMs * 1000);
    const seconds = Math.floor(micros / 1_000_000);
    return array([bulkText(String(seconds)), bulkText(String(micros - seconds * 1_000_000))]);
  },
};

const CLUSTER_DISABLED = "This instance has cluster support disabled";

function cluster(args: Args, server: ServerView): Reply {
  if (isWord(args[1]!, "INFO")) {
    return verbatimText(
      `cluster_enabled:0\r\ncluster_state:ok\r\ncluster_known_nodes:${server.members.length}\r\n`,
    );
  }
  if (isWord(args[1]!, "MYID")) return bulkText(server.node);
  return refuse(CLUSTER_DISABLED);
}

const CLUSTER: ConnectionCommand = {
  ...HERE,
  name: "cluster",
  arity: -2,
  usage: "INFO | MYID",
  flags: ["loading", "stale"],
  since: "3.0.0",
  summary: "Trefoil needs no cluster-aware client: any node takes any command.",
  complexity: "O(1)",
  differences: "Only INFO and MYID; everything else answers that cluster support is disabled.",
  run: (args, _session, server) => cluster(args, server),
};

/** Commands about the node. */
export const SERVER_COMMANDS: readonly CommandSpec[] = [INFO, CONFIG, TIME, CLUSTER];
