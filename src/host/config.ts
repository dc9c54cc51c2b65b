import { readFileSync } from "node:fs";
import * as v from "valibot";
import { encodeUtf8 } from "../core/base/bytes.ts";
import { Password } from "../core/base/password.ts";
import { LIMITS } from "../core/commands/limits.ts";
import {
  isKeyspaceName,
  KEYSPACE_NAME_RULE,
  type KeyspaceRequest,
} from "../core/contract/keyspace.ts";
import { CHECKPOINT_LOG_BYTES_DEFAULT } from "../core/log/checkpointer.ts";
import { RAFT_LIMITS } from "../core/replication/single-leader/raft.ts";
import { type Address, formatAddress, parseAddress } from "./address.ts";
import type { NodeAddresses } from "./cluster-status.ts";
import { EXIT, StartError } from "./exit-codes.ts";
import { nearest } from "./nearest.ts";
import { problemOf, readPasswordFile } from "./password-file.ts";

/** How much is logged, from nothing to everything. */
export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug", "trace"] as const;

/** One of `LOG_LEVELS`. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One node's configuration, complete and checked. */
export interface NodeConfig {
  /** The data directory; it was formatted by `trefoil init` or `trefoil start`. */
  readonly dir: string;
  readonly resp: Address;
  readonly http: Address;
  readonly peer: Address;
  /** Where every node of the cluster is found, this one included. */
  readonly nodes: readonly NodeAddresses[];
  /** Created if they are not there. */
  readonly keyspaces: readonly KeyspaceRequest[];
  readonly heartbeatMs: number;
  readonly electionTimeoutMs: number;
  /** For commands that name no deadline, ms. */
  readonly timeoutMs: number;
  readonly maxClients: number;
  /** What clients have to authenticate with; null: nothing. It cannot be read back from here. */
  readonly password: Password | null;
  readonly logWriter: "fdatasync" | "dsync-worker";
  /** Bytes of one log segment. */
  readonly segmentBytes: number;
  readonly checkpointBytes: number;
  /** Bytes of applied entries that a leader keeps for followers that lag. */
  readonly retainedBytes: number;
  /** How often a node reads all rows of its state (STO7), ms. */
  readonly scrubMs: number;
  readonly logLevel: LogLevel;
}

/**
 * What one source may say. Everything may be left out; what is missing everywhere has a default.
 */
export type PartialConfig = { readonly [K in keyof NodeConfig]?: NodeConfig[K] | undefined };

const MINUTE_MS = 60_000;
const NAME = /^[a-z][a-z0-9-]{0,62}$/;

const address = v.pipe(
  v.union([v.string(), v.number()], "must be host:port"),
  v.transform((text) => parseAddress(String(text))),
  v.check((parsed) => parsed !== null, "must be host:port"),
  v.transform((parsed) => parsed as Address),
);

const name = v.pipe(v.string(), v.regex(NAME, "must be a lower-case name such as n1"));
const nodes = v.array(
  v.strictObject({ id: name, resp: address, http: address, peer: address }),
  "must be a list of { id, resp, http, peer }",
);

function wholeNumber(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.regex(/^\d+$/, message))], message),
    v.transform(Number),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

const NUMBERS_ARE_GIVEN = "is not said here: the cluster numbers its keyspaces";

const keyspace = v.pipe(
  v.strictObject({
    name: v.pipe(v.string(), v.check(isKeyspaceName, `is none. ${KEYSPACE_NAME_RULE}`)),
    number: v.optional(v.never(NUMBERS_ARE_GIVEN)),
    model: v.optional(v.literal("singleLeader", 'must be "singleLeader"'), "singleLeader"),
    schemaVersion: v.optional(wholeNumber(0, 0xffff_ffff), 0),
    preferredLeader: v.optional(name, undefined),
    timeoutMs: v.optional(wholeNumber(1, LIMITS.timeoutMsMax), undefined),
  }),
  v.transform(({ name, model, schemaVersion, preferredLeader = null, timeoutMs = null }) => {
    return { name, model, schemaVersion, options: { preferredLeader, timeoutMs } };
  }),
);

const keyspaces = v.pipe(
  v.array(keyspace, "must be a list of { name, … }"),
  v.maxLength(LIMITS.keyspacesMax, `may name ${LIMITS.keyspacesMax} keyspaces at most`),
  v.check((list) => distinct(list.map((k) => k.name)), "two keyspaces have the same name"),
);

function distinct(values: readonly (string | number)[]): boolean {
  return new Set(values).size === values.length;
}

/** Nothing of what was given is repeated in the message: it may be all but right. */
const password = v.pipe(
  v.string("must be a text"),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const problem = problemOf(dataset.value);
    if (problem === null) return Password.of(encodeUtf8(dataset.value));
    addIssue({ message: `cannot be used: ${problem.replace(/\.$/, "")}` });
    return NEVER;
  }),
);

const passwordFile = v.pipe(
  v.string("must be the name of a file"),
  v.transform((path) => Password.of(encodeUtf8(readPasswordFile(path)))),
);

interface Setting {
  readonly schema: v.GenericSchema<unknown, unknown>;
  readonly help: string;
  /** Where it cannot be said: a command line shows in `ps`, and takes no lists. */
  readonly notIn?: readonly ("flags" | "environment")[];
  /** The setting that it says in another way. */
  readonly sets?: keyof NodeConfig;
}

type SettingName = keyof NodeConfig | "passwordFile";
const FILE_ONLY = ["flags", "environment"] as const;

/**
 * Every setting, once: its key in the file; `TREFOIL_` and upper case in the environment; dashes on
 * the command line. A flag goes before the environment, the environment before the file.
 */
export const SETTINGS: { readonly [K in SettingName]: Setting } = {
  dir: { schema: v.pipe(v.string(), v.minLength(1)), help: "data directory of this node" },
  resp: { schema: address, help: "address for Redis clients" },
  http: { schema: address, help: "address for /health, /ready, /status and /metrics" },
  peer: { schema: address, help: "address for the other nodes" },
  nodes: { schema: nodes, help: "where every node is found", notIn: FILE_ONLY },
  keyspaces: {
    schema: keyspaces,
    help: "keyspaces to create if they are missing",
    notIn: FILE_ONLY,
  },
  heartbeatMs: { schema: wholeNumber(5, MINUTE_MS), help: "the leader is heard this often, ms" },
  electionTimeoutMs: {
    schema: wholeNumber(20, 10 * MINUTE_MS),
    help: "silence after which a follower calls an election, ms",
  },
  timeoutMs: {
    schema: wholeNumber(1, 10 * MINUTE_MS),
    help: "deadline of commands that name none, ms",
  },
  maxClients: { schema: wholeNumber(1, 1_000_000), help: "client connections at most" },
  password: { schema: password, help: "what clients authenticate with", notIn: ["flags"] },
  passwordFile: {
    schema: passwordFile,
    help: "file with the password that clients authenticate with; or TREFOIL_PASSWORD itself",
    sets: "password",
  },
  logWriter: {
    schema: v.picklist(["fdatasync", "dsync-worker"], "must be fdatasync or dsync-worker"),
    help: "how the log is synced",
  },
  segmentBytes: {
    schema: wholeNumber(16 << 20, 1 << 30),
    help: "size of one log segment, bytes",
  },
  checkpointBytes: {
    schema: wholeNumber(64 << 10, 1 << 30),
    help: "log, or changes in memory, after which state is checkpointed, bytes",
  },
  retainedBytes: {
    schema: wholeNumber(0, 1 << 30),
    help: "applied entries kept for followers that lag; those further behind get a snapshot, bytes",
  },
  scrubMs: {
    schema: wholeNumber(100, 30 * 24 * 60 * MINUTE_MS),
    help: "all of the state is read and compared with its hash this often, ms",
  },
  logLevel: {
    schema: v.picklist(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`),
    help: "what is logged to stderr",
  },
};

/** What holds where no file, variable or flag says anything. */
export const CONFIG_DEFAULTS = {
  keyspaces: [],
  heartbeatMs: 100,
  electionTimeoutMs: 1_000,
  timeoutMs: 2_000,
  maxClients: 10_000,
  password: null,
  logWriter: "fdatasync",
  segmentBytes: 16 << 20,
  checkpointBytes: CHECKPOINT_LOG_BYTES_DEFAULT,
  retainedBytes: RAFT_LIMITS.retainedBytes,
  scrubMs: RAFT_LIMITS.scrubMs,
  logLevel: "info",
} as const satisfies PartialConfig;

const KEYS = Object.keys(SETTINGS) as readonly SettingName[];

/** `electionTimeoutMs` → `TREFOIL_ELECTION_TIMEOUT_MS`. */
export function envName(key: string): string {
  return `TREFOIL_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** `electionTimeoutMs` → `--election-timeout-ms`. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Variables with our prefix that are no setting of a node. */
const OTHER_VARIABLES: readonly string[] = ["TREFOIL_URL"];

/** What a JSON configuration file says. Throws `StartError` with the file's name. */
export function readConfigFile(path: string): PartialConfig {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (failure) {
    throw new StartError(
      EXIT.usage,
      `The configuration file ${path} cannot be used: ${readFailure(failure)}`,
    );
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new StartError(EXIT.usage, `${path} must hold one JSON object.`);
  }
  return parseSettings(new Map(Object.entries(content)), (key) => `${path}: ${key}`);
}

/** A syntax error's own message quotes the text around it, which may be the password. */
function readFailure(failure: unknown): string {
  if (!(failure instanceof SyntaxError)) return String(failure);
  const [where] = / at position \d+/.exec(failure.message) ?? [""];
  return `it is not valid JSON${where}.`;
}

/** What the environment says. Unknown variables with our prefix are mistakes, not decoration. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): PartialConfig {
  const byName = new Map(KEYS.filter(isVariable).map((key) => [envName(key), key]));
  const settings = new Map<string, unknown>();
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith("TREFOIL_") || value === undefined) continue;
    if (OTHER_VARIABLES.includes(variable)) continue;
    const key = byName.get(variable);
    if (key === undefined) throw unknown(variable, [...byName.keys()], "environment variable");
    settings.set(key, value);
  }
  return parseSettings(settings, envName);
}

/** What the command line says, as camel-cased keys. */
export function readFlags(flags: Readonly<Record<string, unknown>>): PartialConfig {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  return parseSettings(new Map(given), flagName);
}

/** Settings that fit on a command line. */
export function isFlag(key: SettingName): boolean {
  return SETTINGS[key].notIn?.includes("flags") !== true;
}

function isVariable(key: SettingName): boolean {
  return SETTINGS[key].notIn?.includes("environment") !== true;
}

function parseSettings(
  given: ReadonlyMap<string, unknown>,
  nameOf: (key: string) => string,
): PartialConfig {
  const config: Record<string, unknown> = {};
  for (const [key, value] of given) {
    if (!Object.hasOwn(SETTINGS, key)) throw unknown(nameOf(key), KEYS.map(nameOf), "setting");
    const { schema, sets } = SETTINGS[key as SettingName];
    const result = v.safeParse(schema, value);
    if (!result.success) throw new StartError(EXIT.usage, `${nameOf(key)} ${firstIssue(result)}.`);
    config[sets ?? key] = result.output;
  }
  if (given.has("password") && given.has("passwordFile")) {
    const both = `${nameOf("password")} and ${nameOf("passwordFile")}`;
    throw new StartError(EXIT.usage, `${both} are two ways to say one thing: leave one out.`);
  }
  return config as PartialConfig;
}

function firstIssue(result: { readonly issues: readonly v.BaseIssue<unknown>[] }): string {
  const issue = result.issues[0];
  if (issue === undefined) return "is not valid";
  const path = issue.path?.map((item) => String(item.key)).join(".");
  return path === undefined ? issue.message : `(${path}) ${issue.message}`;
}

function unknown(given: string, candidates: readonly string[], what: string): StartError {
  const near = nearest(given, candidates);
  const hint = near === null ? `Known: ${candidates.join(", ")}.` : `Did you mean ${near}?`;
  return new StartError(EXIT.usage, `Unknown ${what} ${given}. ${hint}`);
}

/**
 * One configuration of all sources, the first that says something about a setting winning. Throws
 * `StartError` where something is missing, or two settings do not fit together.
 */
export function mergeConfig(...sources: readonly PartialConfig[]): NodeConfig {
  const merged: Record<string, unknown> = { ...CONFIG_DEFAULTS };
  for (const source of [...sources].reverse()) {
    for (const [key, value] of Object.entries(source)) if (value !== undefined) merged[key] = value;
  }
  for (const key of KEYS) {
    if (merged[SETTINGS[key].sets ?? key] !== undefined) continue;
    const ways = isFlag(key) ? `${flagName(key)}, ${envName(key)} or ` : "";
    throw new StartError(EXIT.usage, `${key} is missing: ${ways}"${key}" in the file says it.`);
  }
  const config = merged as unknown as NodeConfig;
  if (config.electionTimeoutMs < 3 * config.heartbeatMs) {
    const { electionTimeoutMs, heartbeatMs } = config;
    throw new StartError(
      EXIT.usage,
      `electionTimeoutMs (${electionTimeoutMs}) must be at least three times heartbeatMs (${heartbeatMs}), or one late heartbeat deposes a healthy leader.`,
    );
  }
  const ids = config.nodes.map((node) => node.id);
  if (!distinct(ids)) throw new StartError(EXIT.usage, `nodes names one twice: ${ids.join(", ")}.`);
  checkLeaders(config.keyspaces, ids);
  return config;
}

function checkLeaders(keyspaces: readonly KeyspaceRequest[], ids: readonly string[]): void {
  for (const { name, options } of keyspaces) {
    const { preferredLeader } = options;
    if (preferredLeader === null || ids.includes(preferredLeader)) continue;
    const text = `keyspaces: the preferredLeader of ${name} is ${preferredLeader}, which is none of ${ids.join(", ")}.`;
    throw new StartError(EXIT.usage, text);
  }
}

/** The configuration as CONFIG GET and logs show it: names and texts. */
export function describeConfig(config: NodeConfig): ReadonlyMap<string, string> {
  const { resp, http, peer, heartbeatMs, electionTimeoutMs, timeoutMs, maxClients } = config;
  return new Map([
    ["bind", resp.host],
    ["dir", config.dir],
    ["maxclients", String(maxClients)],
    ["port", String(resp.port)],
    ["trefoil-election-timeout-ms", String(electionTimeoutMs)],
    ["trefoil-heartbeat-ms", String(heartbeatMs)],
    ["trefoil-http", formatAddress(http)],
    ["trefoil-log-writer", config.logWriter],
    ["trefoil-peer", formatAddress(peer)],
    ["trefoil-timeout-ms", String(timeoutMs)],
  ]);
}
