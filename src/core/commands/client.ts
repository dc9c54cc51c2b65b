import { decodeUtf8, encodeUtf8 } from "../base/bytes.ts";
import { array, bulkText, integer, NULL, OK, type Reply } from "../contract/reply.ts";
import { type Args, isWord, lowerText, parseI64 } from "./arguments.ts";
import { clientName, libraryText } from "./connection.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
import type { ServerView } from "./server-view.ts";
import type { ClientSession } from "./session.ts";
import { type CommandSpec, type ConnectionCommand, EVERY_MODEL, type Subcommand } from "./spec.ts";

/** One line of CLIENT LIST; the fields that clients read, in Redis's order. */
function describe(session: ClientSession, server: ServerView): string {
  const seconds = (since: number) => Math.max(0, Math.floor((server.now - since) / 1000));
  const flags = `${session.noEvict ? "e" : ""}${session.noTouch ? "T" : ""}`;
  return [
    `id=${session.id}`,
    `addr=${session.peer}`,
    `name=${session.name}`,
    `age=${seconds(session.created)}`,
    `idle=${seconds(session.lastInteraction)}`,
    `flags=${flags === "" ? "N" : flags}`,
    `db=${session.keyspace}`,
    `cmd=${session.last === null || session.last.command === "" ? "NULL" : session.last.command}`,
    "user=default",
    `resp=${session.resp}`,
    `lib-name=${session.libName}`,
    `lib-ver=${session.libVersion}`,
  ].join(" ");
}

/** Text for people: RESP3 says so, RESP2 sees a bulk string. */
export function verbatimText(text: string): Reply {
  return { kind: "verbatim", format: "txt", bytes: encodeUtf8(text) };
}

function list(args: Args, server: ServerView): Reply {
  let ids: readonly number[] | null = null;
  if (args.length > 2) {
    if (isWord(args[2]!, "TYPE") && args.length === 4) {
      if (!isClientType(args[3]!)) return verbatimText("");
    } else if (isWord(args[2]!, "ID") && args.length > 3) {
      ids = args.slice(3).map((id) => Number(parseI64(id) ?? refuse("Invalid client ID")));
    } else refuseSyntax();
  }
  let text = "";
  for (const session of server.clients()) {
    if (ids === null || ids.includes(session.id)) text += `${describe(session, server)}\n`;
  }
  return verbatimText(text);
}

/** All our clients are of type normal; the other types exist and have no members. */
function isClientType(arg: Uint8Array): boolean {
  if (isWord(arg, "NORMAL")) return true;
  for (const type of ["MASTER", "REPLICA", "SLAVE", "PUBSUB"]) if (isWord(arg, type)) return false;
  return refuse(`Unknown client type '${decodeUtf8(arg.subarray(0, 128))}'`);
}

function setInfo(args: Args, session: ClientSession): Reply {
  const attribute = lowerText(args[2]!);
  if (attribute === "lib-name") session.libName = libraryText(args[3]!, attribute);
  else if (attribute === "lib-ver") session.libVersion = libraryText(args[3]!, attribute);
  else refuse(`Unrecognized option '${decodeUtf8(args[2]!.subarray(0, 128))}'`);
  return OK;
}

function onOff(arg: Uint8Array): boolean {
  if (isWord(arg, "ON")) return true;
  return isWord(arg, "OFF") ? false : refuseSyntax();
}

const HELP = [
  "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
  "GETNAME",
  "    The connection's name.",
  "HELP",
  "    Prints this help.",
  "ID",
  "    The connection's id.",
  "INFO",
  "    What is known of the connection.",
  "LIST [TYPE normal | ID id [id ...]]",
  "    What is known of all connections of this node.",
  "NO-EVICT (ON|OFF), NO-TOUCH (ON|OFF)",
  "    Taken, and without effect: nothing is evicted here.",
  "REPLY ON",
  "    OFF and SKIP are refused.",
  "SETINFO (LIB-NAME|LIB-VER) text",
  "    What library the client is.",
  "SETNAME name",
  "    Names the connection.",
];

function run(args: Args, session: ClientSession, server: ServerView): Reply {
  switch (lowerText(args[1]!)) {
    case "id":
      return integer(session.id);
    case "getname":
      return session.name === "" ? NULL : bulkText(session.name);
    case "setname":
      session.name = clientName(args[2]!);
      return OK;
    case "setinfo":
      return setInfo(args, session);
    case "info":
      return verbatimText(`${describe(session, server)}\n`);
    case "list":
      return list(args, server);
    case "no-evict":
      session.noEvict = onOff(args[2]!);
      return OK;
    case "no-touch":
      session.noTouch = onOff(args[2]!);
      return OK;
    case "reply":
      if (isWord(args[2]!, "ON")) return OK;
      return refuse("CLIENT REPLY takes only ON: every command is answered");
    case "kill":
      return refuse("CLIENT KILL is not available: close the connection at the client");
    case "tracking":
      if (isWord(args[2]!, "OFF")) return OK;
      return refuse("CLIENT TRACKING is not available: this node tells clients of no changes");
    case "help":
      return array(HELP.map((text) => ({ kind: "simple", text }) as const));
    default:
      return refuseSyntax();
  }
}

function word(
  name: string,
  arity: number,
  usage: string,
  since: string,
  summary: string,
): Subcommand {
  return { name, arity, usage, since, summary };
}

const CLIENT: ConnectionCommand = {
  kind: "connection",
  id: 0,
  name: "client",
  arity: -2,
  usage: "subcommand [argument ...]",
  group: "connection",
  flags: ["noscript", "loading", "stale"],
  keys: null,
  models: EVERY_MODEL,
  since: "2.4.0",
  summary: "About client connections of this node.",
  complexity: "O(1), or O(N) in the connections for LIST",
  subcommands: [
    word("getname", 2, "", "2.6.9", "The connection's name, null if it has none."),
    word("help", 2, "", "5.0.0", "Explains the subcommands."),
    word("id", 2, "", "5.0.0", "The connection's id."),
    word("info", 2, "", "6.2.0", "What is known of the connection."),
    word("kill", -3, "argument [argument ...]", "2.4.0", "Refused."),
    word(
      "list",
      -2,
      "[TYPE NORMAL | ID client-id [client-id ...]]",
      "2.4.0",
      "All connections of this node.",
    ),
    word("no-evict", 3, "ON | OFF", "7.0.0", "Taken, and without effect."),
    word("no-touch", 3, "ON | OFF", "7.2.0", "Taken, and without effect."),
    word("reply", 3, "ON", "3.2.0", "Whether commands are answered: always."),
    word("setinfo", 4, "(LIB-NAME libname | LIB-VER libver)", "7.2.0", "Says what library it is."),
    word("setname", 3, "connection-name", "2.6.9", "Names the connection."),
    word("tracking", -3, "OFF", "6.0.0", "Refused, but for OFF."),
  ],
  run,
};

/** CLIENT with its subcommands. */
export const CLIENT_COMMANDS: readonly CommandSpec[] = [CLIENT];
