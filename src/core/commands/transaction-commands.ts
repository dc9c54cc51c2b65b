import {
  type CommandSpec,
  EVERY_MODEL,
  type ExecCommand,
  singleLeaderOnly,
  type TransactionCommand,
} from "./spec.ts";

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
    "Of the commands about the connection only PING, ECHO and TIME are queued; KEYS, SCAN, RANDOMKEY, DBSIZE and FLUSHDB are refused, since they look at the whole keyspace; and a refusal keeps EXEC from executing any. `TREFOIL.WITH … -- EXEC` gives a transaction its options.",
};

const DISCARD: TransactionCommand = {
  ...HERE,
  name: "discard",
  since: "2.0.0",
  summary: "Forgets the queued commands and ends the transaction.",
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
  summary: "Carries out the queued commands, all or none of them, and answers their replies.",
  complexity: "As the queued commands",
};

/** MULTI, EXEC and DISCARD. */
export const TRANSACTION_COMMANDS: readonly CommandSpec[] = [MULTI, DISCARD, EXEC];
