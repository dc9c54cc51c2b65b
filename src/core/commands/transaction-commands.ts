import { OK } from "../contract/reply.ts";
import {
  ALL_KEYS,
  type CommandSpec,
  type ConnectionCommand,
  EVERY_MODEL,
  type ExecCommand,
  singleLeaderOnly,
  type TransactionCommand,
  type WatchCommand,
} from "./spec.ts";
import { WatchedKeys, watch } from "./watched-keys.ts";

const ONE_ORDER = singleLeaderOnly(
  "A transaction needs one order of all writes: use a single-leader keyspace",
);

const HERE = {
  kind: "transaction",
  id: 0,
  arity: 1,
  usage: "",
  group: "transactions",
  flags: ["noscript", "loading", "stale", "fast"],
  categories: ["transaction"],
  keys: null,
  models: EVERY_MODEL,
} as const;

const MULTI: TransactionCommand = {
  ...HERE,
  name: "multi",
  since: "1.2.0",
  summary: "Begins a transaction: the commands up to EXEC are queued.",
  complexity: "O(1)",
  differences:
    "Of the commands about the connection only PING, ECHO, TIME and AUTH are queued; KEYS, SCAN, RANDOMKEY, DBSIZE and FLUSHDB are refused, since they look at the whole keyspace; and a refusal keeps EXEC from executing any. `TREFOIL.WITH … -- EXEC` gives a transaction its options.",
};

const DISCARD: TransactionCommand = {
  ...HERE,
  name: "discard",
  since: "2.0.0",
  summary: "Forgets the queued commands and the watched keys, and ends the transaction.",
  complexity: "O(N) in the queued commands",
};

const EXEC: ExecCommand = {
  kind: "exec",
  id: 120,
  name: "exec",
  arity: 1,
  usage: "",
  group: "transactions",
  flags: ["noscript", "loading", "stale"],
  categories: ["transaction"],
  keys: null,
  models: ONE_ORDER,
  since: "1.2.0",
  summary:
    "Carries out the queued commands, all or none of them, and answers their replies; null if a watched key was changed.",
  complexity: "As the queued commands",
};

const WATCH: WatchCommand = {
  kind: "watch",
  id: 121,
  name: "watch",
  arity: -2,
  usage: "key [key ...]",
  group: "transactions",
  flags: ["noscript", "loading", "stale", "fast"],
  categories: ["transaction"],
  keys: ALL_KEYS,
  models: ONE_ORDER,
  since: "2.2.0",
  summary: "Lets EXEC carry out nothing if one of the keys is changed, deleted or expires before.",
  complexity: "O(N) in the number of keys",
  differences:
    "A key that does not exist counts as unchanged if it does not exist again when EXEC comes. Until EXEC, DISCARD or UNWATCH the connection's reads are linearizable, and it watches keys of one keyspace.",
  read: watch,
};

const UNWATCH: ConnectionCommand = {
  kind: "connection",
  id: 0,
  name: "unwatch",
  arity: 1,
  usage: "",
  group: "transactions",
  flags: ["noscript", "loading", "stale", "fast"],
  categories: ["transaction"],
  keys: null,
  models: EVERY_MODEL,
  since: "2.2.0",
  summary: "Forgets the watched keys.",
  complexity: "O(N) in the watched keys",
  run(_args, session) {
    session.watched = new WatchedKeys();
    return OK;
  },
};

/** MULTI, EXEC, DISCARD, WATCH and UNWATCH. */
export const TRANSACTION_COMMANDS: readonly CommandSpec[] = [MULTI, DISCARD, EXEC, WATCH, UNWATCH];
