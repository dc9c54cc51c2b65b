import { decodeUtf8 } from "../base/bytes.ts";
import { ERRORS } from "../contract/errors.ts";
import type { ReadConcern, ReadPreference, ReplyMeta, WriteConcern } from "../contract/group.ts";
import { array, bulkText, error, integer, NULL, OK, type Reply } from "../contract/reply.ts";
import { SessionPlaces } from "../sessions/session-places.ts";
import { decodeToken, encodeToken, SESSION_GROUPS_MAX } from "../sessions/session-token.ts";
import { type Args, isWord, parseI64 } from "./arguments.ts";
import { LIMITS } from "./limits.ts";
import {
  Refusal,
  refusalReply,
  refuse,
  refuseArity,
  refuseLimit,
  refuseNotInteger,
} from "./refusal.ts";
import type { ServerView } from "./server-view.ts";
import { CALL_DEFAULTS, type CallMeta, type CallOptions, type ClientSession } from "./session.ts";
import type { CommandSpec, ConnectionCommand, WaitCommand, WithCommand } from "./spec.ts";
import { EVERY_MODEL } from "./spec.ts";

/** Options while they are parsed; only those given are there. */
type GivenOptions = { -readonly [K in keyof CallOptions]?: CallOptions[K] };

/** Words of options that are known and come later. */
const LATER = ["ID"] as const;

/** TREFOIL.WITH, taken apart. What the options do not name keeps the connection's default. */
export interface ParsedWith {
  readonly options: Partial<CallOptions>;
  /** A session's token, as it was sent. */
  readonly token: Uint8Array | null;
  readonly rest: Args;
}

/** The options of `TREFOIL.WITH option … -- command …` and the command, or an error reply. */
export function parseWith(args: Args): ParsedWith | Reply {
  try {
    const end = args.findIndex((arg, at) => at > 0 && isWord(arg, "--"));
    if (end === -1) refuse("TREFOIL.WITH needs -- between its options and the command");
    const rest = args.slice(end + 1);
    if (rest.length === 0) refuse("TREFOIL.WITH needs a command after --");
    if (isWord(rest[0]!, "TREFOIL.WITH")) refuse("TREFOIL.WITH may not be nested");
    return { ...parseOptions(args, 1, end), rest };
  } catch (failure) {
    return refusalReply(failure);
  }
}

/** The arguments of WAIT, or an error reply. `timeoutMs` 0: as long as it takes. */
export function parseWait(
  args: Args,
): { readonly replicas: number; readonly timeoutMs: number } | Reply {
  try {
    const replicas = Number(parseI64(args[1]!) ?? refuseNotInteger());
    const timeoutMs = Number(
      parseI64(args[2]!) ?? refuse("timeout is not an integer or out of range"),
    );
    if (timeoutMs < 0) refuse("timeout is negative");
    return { replicas: Math.max(0, replicas), timeoutMs: Math.min(timeoutMs, LIMITS.timeoutMsMax) };
  } catch (failure) {
    return refusalReply(failure);
  }
}

function parseOptions(
  args: Args,
  from: number,
  to: number,
): { readonly options: GivenOptions; readonly token: Uint8Array | null } {
  const options: GivenOptions = {};
  let token: Uint8Array | null = null;
  let at = from;
  while (at < to) {
    const word = args[at]!;
    if (isWord(word, "META")) {
      options.meta = true;
      at += 1;
      continue;
    }
    const value = at + 1 < to ? args[at + 1] : undefined;
    if (isWord(word, "R") && value !== undefined && isWord(value, "BOUNDED")) {
      options.r = parseBound(at + 2 < to ? args[at + 2] : undefined);
      at += 3;
      continue;
    }
    if (isWord(word, "W")) options.w = parseW(value);
    else if (isWord(word, "R")) options.r = parseR(value);
    else if (isWord(word, "PREFER")) options.prefer = parsePrefer(value);
    else if (isWord(word, "TOKEN")) token = value ?? refuse("TOKEN takes a session's token");
    else if (isWord(word, "TIMEOUT")) options.timeoutMs = parseTimeout(value);
    else refuseOption(word);
    at += 2;
  }
  return { options, token };
}

function refuseOption(word: Uint8Array): never {
  for (const later of LATER) {
    if (isWord(word, later)) refuse(`the option ${later} comes in a later version of Trefoil`);
  }
  const shown = decodeUtf8(word.subarray(0, 64));
  return refuse(`unknown option '${shown}': it may be W, R, PREFER, TOKEN, TIMEOUT or META`);
}

/** LEAD4. */
function parseW(value: Uint8Array | undefined): WriteConcern {
  if (value !== undefined) {
    if (isWord(value, "LEADER")) return "leader";
    if (isWord(value, "MAJORITY")) return "majority";
    if (isWord(value, "ALL")) return "all";
    const nodes = Number(parseI64(value) ?? 0);
    if (nodes >= 1 && Number.isSafeInteger(nodes)) return nodes;
  }
  return refuse("W takes leader, majority, all or a number of nodes of at least 1");
}

/** LEAD5. */
function parseR(value: Uint8Array | undefined): ReadConcern {
  if (value !== undefined) {
    if (isWord(value, "LINEARIZABLE")) return "linearizable";
    if (isWord(value, "SESSION")) return "session";
    if (isWord(value, "LOCAL")) return "local";
  }
  return refuse("R takes linearizable, session, local, or bounded and milliseconds");
}

/** LEAD6: the most that the state may be old, ms. */
function parseBound(value: Uint8Array | undefined): number {
  const ms = Number((value === undefined ? null : parseI64(value)) ?? 0);
  if (ms >= 1 && ms <= LIMITS.timeoutMsMax) return ms;
  return refuse(`R bounded takes milliseconds from 1 to ${LIMITS.timeoutMsMax}`);
}

function parsePrefer(value: Uint8Array | undefined): ReadPreference {
  if (value !== undefined) {
    if (isWord(value, "NEAREST")) return "nearest";
    if (isWord(value, "LEADER")) return "leader";
  }
  return refuse("PREFER takes nearest, the node that is asked, or leader");
}

function parseTimeout(value: Uint8Array | undefined): number {
  const ms = Number((value === undefined ? null : parseI64(value)) ?? 0);
  if (ms >= 1 && ms <= LIMITS.timeoutMsMax) return ms;
  return refuse(`TIMEOUT takes milliseconds from 1 to ${LIMITS.timeoutMsMax}`);
}

/** How an answer came about, as META and TREFOIL.LAST show it. */
export function metaReply(meta: ReplyMeta, places: SessionPlaces, cluster: string): Reply {
  return { kind: "map", items: metaItems(meta, places, cluster) };
}

function metaItems(meta: ReplyMeta, places: SessionPlaces, cluster: string): Reply[] {
  return [
    bulkText("term"),
    integer(meta.term),
    bulkText("index"),
    integer(meta.index),
    bulkText("durable"),
    integer(meta.durable),
    bulkText("node"),
    meta.node === null ? NULL : bulkText(meta.node),
    bulkText("stale_ms"),
    meta.staleMs === null ? NULL : integer(Math.ceil(meta.staleMs)),
    bulkText("token"),
    places.isIncomplete ? NULL : bulkText(encodeToken(cluster, places.entries())),
  ];
}

function lastReply(last: CallMeta, places: SessionPlaces, cluster: string): Reply {
  const { reply, meta } = last;
  const items = [bulkText("command"), bulkText(last.command), ...metaItems(meta, places, cluster)];
  items.push(bulkText("error"), reply.kind === "error" ? bulkText(reply.code) : NULL);
  // A refusal in Redis's words carries no outcome because it can have only one.
  const outcome = reply.kind === "error" ? (reply.outcome ?? "not-applied") : "applied";
  items.push(bulkText("outcome"), bulkText(outcome));
  return { kind: "map", items };
}

function defaultsReply(options: CallOptions): Reply {
  const items = [
    bulkText("w"),
    typeof options.w === "number" ? integer(options.w) : bulkText(options.w),
    bulkText("r"),
    bulkText(typeof options.r === "number" ? `bounded ${options.r}` : options.r),
    bulkText("prefer"),
    bulkText(options.prefer),
    bulkText("timeout"),
    options.timeoutMs === null ? NULL : integer(options.timeoutMs),
  ];
  return { kind: "map", items };
}

function runDefaults(args: Args, session: ClientSession): Reply {
  if (args.length === 1) return defaultsReply(session.defaults);
  if (args.length === 2 && isWord(args[1]!, "RESET")) {
    session.defaults = CALL_DEFAULTS;
    return OK;
  }
  const { options, token } = parseOptions(args, 1, args.length);
  if (options.meta !== undefined) refuse("META is for single calls: use TREFOIL.WITH");
  if (token !== null) refuse("TOKEN is for single calls: use TREFOIL.WITH or TREFOIL.TOKEN");
  session.defaults = { ...session.defaults, ...options };
  return OK;
}

const WITH: WithCommand = {
  kind: "with",
  id: 0,
  name: "trefoil.with",
  arity: -3,
  usage:
    "[W (LEADER | MAJORITY | ALL | nodes)] [R (LINEARIZABLE | SESSION | BOUNDED milliseconds | LOCAL)] [PREFER (NEAREST | LEADER)] [TOKEN token] [TIMEOUT milliseconds] [META] -- command [argument ...]",
  group: "trefoil",
  flags: ["movablekeys"],
  keys: null,
  models: EVERY_MODEL,
  since: "trefoil 0.1.0",
  summary: "Carries out one command with options; META makes the answer [reply, meta].",
  complexity: "That of the command",
};

const DEFAULTS: ConnectionCommand = {
  kind: "connection",
  id: 0,
  name: "trefoil.defaults",
  arity: -1,
  usage:
    "[RESET | [W (LEADER | MAJORITY | ALL | nodes)] [R (LINEARIZABLE | SESSION | BOUNDED milliseconds | LOCAL)] [PREFER (NEAREST | LEADER)] [TIMEOUT milliseconds]]",
  group: "trefoil",
  flags: ["loading", "stale", "fast"],
  keys: null,
  models: EVERY_MODEL,
  since: "trefoil 0.1.0",
  summary: "Sets the connection's default options, or shows them.",
  complexity: "O(1)",
  run: runDefaults,
};

const LAST: ConnectionCommand = {
  kind: "connection",
  id: 0,
  name: "trefoil.last",
  arity: 1,
  usage: "",
  group: "trefoil",
  flags: ["loading", "stale", "fast"],
  keys: null,
  models: EVERY_MODEL,
  since: "trefoil 0.1.0",
  summary: "How the answer to the connection's previous command came about, and its outcome.",
  complexity: "O(1)",
  isAfterPrevious: () => true,
  run: (_args, session, server) => {
    return session.last === null ? NULL : lastReply(session.last, session.places, server.cluster);
  },
};

const TOKEN: ConnectionCommand = {
  kind: "connection",
  id: 0,
  name: "trefoil.token",
  arity: -1,
  usage: "[token | RESET]",
  group: "trefoil",
  flags: ["loading", "stale", "fast"],
  keys: null,
  models: EVERY_MODEL,
  since: "trefoil 0.1.0",
  summary:
    "The token of the connection's session, for R session on any node; or takes one over, or begins a new session.",
  complexity: "O(N) in the keyspaces that the session has touched",
  isAfterPrevious: (args) => args.length === 1,
  run: runToken,
};

function runToken(args: Args, session: ClientSession, server: ServerView): Reply {
  if (args.length > 2) refuseArity("trefoil.token");
  if (args.length === 1) {
    const { places } = session;
    if (places.isIncomplete) refuseLimit(`A token has ${SESSION_GROUPS_MAX} keyspaces at most.`);
    return bulkText(encodeToken(server.cluster, places.entries()));
  }
  if (isWord(args[1]!, "RESET")) {
    session.places = new SessionPlaces();
    return OK;
  }
  const entries = decodeToken(server.cluster, args[1]!);
  if (typeof entries === "string") return error("TOKEN", entries);
  // At once, before the commands that still wait: they become fresher than they were asked to be.
  session.places.merge(entries);
  return OK;
}

const EXPLAIN: ConnectionCommand = {
  kind: "connection",
  id: 0,
  name: "trefoil.explain",
  arity: -1,
  usage: "[code]",
  group: "trefoil",
  flags: ["loading", "stale", "fast"],
  keys: null,
  models: EVERY_MODEL,
  since: "trefoil 0.1.0",
  summary: "What an error code means, and what is certain about the operation.",
  complexity: "O(1)",
  run: runExplain,
};

function runExplain(args: Args): Reply {
  const codes = Object.entries(ERRORS);
  if (args.length === 1) return array(codes.map(([code]) => bulkText(code)));
  const found = codes.find(([code]) => isWord(args[1]!, code));
  if (found === undefined)
    refuse("no such error code: TREFOIL.EXPLAIN without arguments lists them");
  const [, spec] = found;
  const items = [
    bulkText("outcome"),
    bulkText(spec.outcome),
    bulkText("retryable"),
    { kind: "boolean", value: spec.retryable } as const,
    bulkText("meaning"),
    bulkText(spec.meaning),
  ];
  return { kind: "map", items };
}

const WAIT: WaitCommand = {
  kind: "wait",
  id: 0,
  name: "wait",
  arity: 3,
  usage: "numreplicas timeout",
  group: "generic",
  flags: ["noscript", "blocking"],
  keys: null,
  models: EVERY_MODEL,
  since: "3.0.0",
  summary:
    "Waits until so many replicas durably hold the connection's last write in this keyspace.",
  complexity: "O(1)",
  differences:
    "The write is counted only while it is part of the log: 0 if it was lost. Replicas count when they hold it on disk.",
  check(args) {
    const parsed = parseWait(args);
    if ("kind" in parsed) throw new Refusal(parsed);
  },
};

/** Our own commands, and WAIT. */
export const TREFOIL_COMMANDS: readonly CommandSpec[] = [
  WITH,
  DEFAULTS,
  LAST,
  TOKEN,
  EXPLAIN,
  WAIT,
];
