import { decodeUtf8 } from "../base/bytes.ts";
import { array, bulk, bulkText, error, integer, OK, type Reply } from "../contract/reply.ts";
import { type Args, isPlainText, isWord, parseI64 } from "./arguments.ts";
import { authenticate, deauthenticate, requireAuthenticated } from "./auth.ts";
import { LIMITS } from "./limits.ts";
import { Refusal, refuse, refuseArity } from "./refusal.ts";
import { type KeyspaceView, REDIS_VERSION, type ServerView } from "./server-view.ts";
import type { ClientSession } from "./session.ts";
import {
  type CommandSpec,
  type ConnectionCommand,
  EVERY_MODEL,
  type SelectCommand,
} from "./spec.ts";

const HERE = {
  kind: "connection",
  id: 0,
  group: "connection",
  keys: null,
  models: EVERY_MODEL,
  complexity: "O(1)",
} as const;

const PONG: Reply = { kind: "simple", text: "PONG" };

const PING: ConnectionCommand = {
  ...HERE,
  name: "ping",
  arity: -1,
  usage: "[message]",
  flags: ["fast"],
  since: "1.0.0",
  summary: "Answers PONG, or the message.",
  run(args) {
    if (args.length > 2) refuseArity("ping");
    return args.length === 2 ? bulk(args[1]!.slice()) : PONG;
  },
};

const ECHO: ConnectionCommand = {
  ...HERE,
  name: "echo",
  arity: 2,
  usage: "message",
  flags: ["loading", "stale", "fast"],
  since: "1.0.0",
  summary: "Answers the message.",
  run: (args) => bulk(args[1]!.slice()),
};

function checkName(name: Uint8Array, what: string): string {
  if (!isPlainText(name)) refuse(`${what} cannot contain spaces, newlines or special characters.`);
  if (name.length > LIMITS.clientTextBytesMax) {
    refuse(`${what} may have ${LIMITS.clientTextBytesMax} bytes at most.`);
  }
  return decodeUtf8(name);
}

/** A client's name, checked as Redis checks it. Throws `Refusal`. */
export function clientName(name: Uint8Array): string {
  return checkName(name, "Client names");
}

/** A library's name or version, checked likewise. Throws `Refusal`. */
export function libraryText(text: Uint8Array, what: string): string {
  return checkName(text, what);
}

function protocolVersion(arg: Uint8Array): 2 | 3 {
  const version = parseI64(arg) ?? refuse("Protocol version is not an integer or out of range");
  if (version !== 2 && version !== 3) refuse("unsupported protocol version", "NOPROTO");
  return version;
}

function hello(args: Args, session: ClientSession, server: ServerView): Reply {
  const resp = args.length > 1 ? protocolVersion(args[1]!) : session.resp;
  let name = session.name;
  let credentials: Args | null = null;
  for (let i = 2; i < args.length; ) {
    const left = args.length - i - 1;
    if (isWord(args[i]!, "AUTH") && left >= 2) {
      credentials = args.slice(i + 1, i + 3);
      i += 3;
    } else if (isWord(args[i]!, "SETNAME") && left >= 1) {
      name = clientName(args[i + 1]!);
      i += 2;
    } else refuse(`Syntax error in HELLO option '${decodeUtf8(args[i]!.subarray(0, 128))}'`);
  }
  if (credentials !== null) authenticate(credentials[0]!, credentials[1]!, session, server);
  requireAuthenticated(session);
  session.resp = resp;
  session.name = name;
  const items = [
    bulkText("server"),
    bulkText("redis"),
    bulkText("version"),
    bulkText(REDIS_VERSION),
    bulkText("proto"),
    integer(resp),
    bulkText("id"),
    integer(session.id),
    bulkText("mode"),
    bulkText("standalone"),
    bulkText("role"),
    bulkText("master"),
    bulkText("modules"),
    array([]),
    bulkText("trefoil_version"),
    bulkText(server.version),
  ];
  return { kind: "map", items };
}

const HELLO: ConnectionCommand = {
  ...HERE,
  name: "hello",
  arity: -1,
  usage: "[protover [AUTH username password] [SETNAME clientname]]",
  flags: ["noscript", "loading", "stale", "fast", "no_auth"],
  since: "6.0.0",
  summary: "Chooses RESP2 or RESP3, and tells what the server is.",
  differences:
    "The version told is that of the Redis whose commands Trefoil keeps to; trefoil_version is its own. The role is always master: every node takes every command.",
  run: hello,
};

/** The keyspace that an argument names or numbers. Throws `Refusal`. */
export function findKeyspace(arg: Uint8Array, server: ServerView): KeyspaceView {
  const number = parseI64(arg);
  const name = decodeUtf8(arg);
  const keyspaces = server.keyspaces();
  const found =
    number === null
      ? keyspaces.find((keyspace) => keyspace.name === name)
      : keyspaces.find((keyspace) => keyspace.number === number);
  if (found !== undefined) return found;
  const known = keyspaces.map((keyspace) => `${keyspace.number} (${keyspace.name})`).join(", ");
  throw new Refusal(error("NOKEYSPACE", `There is no such keyspace; there are ${known}.`));
}

const SELECT: SelectCommand = {
  ...HERE,
  kind: "select",
  name: "select",
  arity: 2,
  usage: "index",
  flags: ["loading", "stale", "fast"],
  since: "1.0.0",
  summary: "Selects a keyspace by its number or name.",
  differences:
    "Names are taken too. An unknown keyspace is NOKEYSPACE, once the catalog has been asked.",
};

const QUIT: ConnectionCommand = {
  ...HERE,
  name: "quit",
  arity: -1,
  usage: "",
  flags: ["noscript", "loading", "stale", "fast", "no_auth"],
  since: "1.0.0",
  summary: "Closes the connection once everything before it is answered.",
  run(_args, session) {
    session.closing = true;
    return OK;
  },
};

const RESET: ConnectionCommand = {
  ...HERE,
  name: "reset",
  arity: 1,
  usage: "",
  flags: ["noscript", "loading", "stale", "fast", "no_auth"],
  since: "6.2.0",
  summary: "Puts the connection back as it was when it was opened.",
  run(_args, session, server) {
    session.reset();
    deauthenticate(session, server);
    return { kind: "simple", text: "RESET" };
  },
};

/** Commands about the connection itself. */
export const CONNECTION_COMMANDS: readonly CommandSpec[] = [PING, ECHO, HELLO, SELECT, QUIT, RESET];
