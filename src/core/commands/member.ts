import { decodeUtf8 } from "../base/bytes.ts";
import type { NodeId } from "../contract/ids.ts";
import { array, bulkText, error, integer, NULL, type Reply } from "../contract/reply.ts";
import { type Args, isWord, lowerText } from "./arguments.ts";
import { findKeyspace } from "./connection.ts";
import { Refusal, refusalReply, refuse, refuseSyntax } from "./refusal.ts";
import type { KeyspaceView, ServerView } from "./server-view.ts";
import type { ClientSession } from "./session.ts";
import { type CommandSpec, EVERY_MODEL, type MemberCommand } from "./spec.ts";

/** What TREFOIL.MEMBER TRANSFER asks for. */
export interface TransferWish {
  /** Number of the keyspace. */
  readonly keyspace: number;
  /** Null: the most complete follower. */
  readonly to: NodeId | null;
}

const HELP = [
  "TREFOIL.MEMBER <subcommand> [<arg> [value] ...]. Subcommands are:",
  "TRANSFER [KEYSPACE name-or-number] [TO node]",
  "    Hands the keyspace's leadership to the node, or to the most complete follower, and answers",
  "    when it leads. Without KEYSPACE it is about the selected one.",
  "LIST",
  "    The voters of each keyspace, as this node sees them.",
  "HELP",
  "    Prints this help.",
];

/** Carries out LIST and HELP; for TRANSFER it says what the replica is to be asked. */
export function runMember(
  args: Args,
  session: ClientSession,
  server: ServerView,
): Reply | TransferWish {
  try {
    switch (lowerText(args[1]!)) {
      case "transfer":
        return parseTransfer(args, session, server);
      case "list":
        return array(server.keyspaces().flatMap((keyspace) => voters(keyspace, server)));
      case "help":
        return array(HELP.map((text) => ({ kind: "simple", text }) as const));
      default:
        return refuseSyntax();
    }
  } catch (failure) {
    return refusalReply(failure);
  }
}

function parseTransfer(args: Args, session: ClientSession, server: ServerView): TransferWish {
  let keyspace: KeyspaceView | null = null;
  let to: NodeId | null = null;
  for (let i = 2; i < args.length; i += 2) {
    const value = args[i + 1];
    if (value === undefined) refuseSyntax();
    if (isWord(args[i]!, "KEYSPACE") && keyspace === null) keyspace = findKeyspace(value, server);
    else if (isWord(args[i]!, "TO") && to === null) to = decodeUtf8(value.subarray(0, 128));
    else refuse("syntax error: TREFOIL.MEMBER TRANSFER [KEYSPACE name-or-number] [TO node]");
  }
  keyspace ??= server.keyspaces().find(({ number }) => number === session.keyspace) ?? null;
  if (keyspace !== null && keyspace.model !== "singleLeader") {
    const text = `A ${keyspace.model} keyspace has no leader: every replica takes writes.`;
    throw new Refusal(error("MODEL", text));
  }
  return { keyspace: keyspace?.number ?? session.keyspace, to };
}

/** What a voter is, and on the leader how far it has come. */
function voters(keyspace: KeyspaceView, server: ServerView): Reply[] {
  return server.members.map((node) => {
    const peer = keyspace.peers.find((each) => each.node === node);
    const isHere = node === server.node;
    const role = node === keyspace.leader ? "leader" : isHere ? keyspace.role : "follower";
    const matched = isHere ? keyspace.lastIndex : (peer?.matchIndex ?? null);
    const items = [
      ...[bulkText("keyspace"), bulkText(keyspace.name)],
      ...[bulkText("number"), integer(keyspace.number)],
      ...[bulkText("node"), bulkText(node)],
      ...[bulkText("role"), bulkText(keyspace.leader === null && !isHere ? "unknown" : role)],
      ...[bulkText("term"), integer(keyspace.term)],
      ...[bulkText("log_index"), matched === null ? NULL : integer(matched)],
    ];
    return { kind: "map", items };
  });
}

const MEMBER: MemberCommand = {
  kind: "member",
  id: 0,
  name: "trefoil.member",
  arity: -2,
  usage: "TRANSFER [KEYSPACE keyspace] [TO node] | LIST",
  group: "trefoil",
  flags: ["admin", "noscript"],
  keys: null,
  models: EVERY_MODEL,
  since: "trefoil 0.1.0",
  summary: "Lists the voters of each keyspace, and moves its leadership to another one.",
  complexity: "O(N) in keyspaces and nodes",
  subcommands: [
    {
      name: "transfer",
      arity: -2,
      usage: "[KEYSPACE keyspace] [TO node]",
      summary:
        "Hands leadership to the node, or to the most complete follower, and answers when it leads.",
      since: "trefoil 0.1.0",
    },
    {
      name: "list",
      arity: 2,
      usage: "",
      summary: "The voters of each keyspace; on its leader also how far their logs have come.",
      since: "trefoil 0.1.0",
    },
    {
      name: "help",
      arity: 2,
      usage: "",
      summary: "Explains the subcommands.",
      since: "trefoil 0.1.0",
    },
  ],
};

/** What operators do with a cluster's members. */
export const MEMBER_COMMANDS: readonly CommandSpec[] = [MEMBER];
