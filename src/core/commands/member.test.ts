import { describe, expect, test } from "vitest";
import { serverView } from "../../../test/differential/targets.ts";
import { TestKeyspace } from "../../../test/raft/test-keyspace.ts";
import { encodeUtf8 } from "../base/bytes.ts";
import type { Reply } from "../contract/reply.ts";
import { runMember } from "./member.ts";
import type { ServerView } from "./server-view.ts";
import { ClientSession } from "./session.ts";
import { checkCall, lookupCommand } from "./table.ts";

const session = new ClientSession(1, "127.0.0.1:1", 0, true);
const view = serverView(session, new TestKeyspace());
const [first] = view.keyspaces();
const ledger = { ...first!, name: "ledger", number: 4, leader: "n2", role: "follower", peers: [] };
const board = { ...ledger, name: "board", number: 5, model: "multiLeader" };
const server: ServerView = { ...view, keyspaces: () => [first!, ledger, board] };

function member(...words: string[]) {
  return runMember(["TREFOIL.MEMBER", ...words].map(encodeUtf8), session, server);
}

function errorOf(found: ReturnType<typeof member>): string {
  if (!("kind" in found) || found.kind !== "error") return "";
  return `${found.code} ${found.message} ${found.outcome ?? ""}`.trim();
}

describe("TREFOIL.MEMBER TRANSFER", () => {
  test.each<[words: string[], keyspace: number, to: string | null]>([
    [[], 0, null],
    [["TO", "n2"], 0, "n2"],
    [["keyspace", "ledger"], 4, null],
    [["TO", "n3", "KEYSPACE", "4"], 4, "n3"],
  ])("%j", (words, keyspace, to) => {
    expect(member("TRANSFER", ...words)).toEqual({ keyspace, to });
  });

  test.each<[words: string[], error: string]>([
    [["TO"], "ERR syntax error"],
    [["FROM", "n1"], "ERR syntax error: TREFOIL.MEMBER TRANSFER"],
    [["TO", "n1", "TO", "n2"], "ERR syntax error: TREFOIL.MEMBER TRANSFER"],
    [["KEYSPACE", "none"], "NOKEYSPACE There is no such keyspace; there are 0 (default), 4 (led"],
    [["KEYSPACE", "board"], "MODEL A multiLeader keyspace has no leader"],
  ])("%j is refused", (words, error) => {
    expect(errorOf(member("TRANSFER", ...words))).toContain(error);
  });

  test("an unknown subcommand names HELP", () => {
    const args = ["TREFOIL.MEMBER", "PROMOTE"].map(encodeUtf8);
    const wrong = checkCall(lookupCommand(args[0]!), args);
    expect(errorOf(wrong!)).toContain("Try TREFOIL.MEMBER HELP.");
  });
});

describe("TREFOIL.MEMBER LIST", () => {
  const rows = (reply: Reply) => {
    if (reply.kind !== "array") throw new Error(`a ${reply.kind}`);
    return reply.items.map((item) => {
      const values = item.kind === "map" ? item.items.filter((_, i) => i % 2 === 1) : [];
      return values.map((value) => {
        if (value.kind === "bulk") return new TextDecoder().decode(value.bytes);
        return value.kind === "integer" ? value.value : null;
      });
    });
  };

  test("shows every voter of every keyspace, and on the leader how far its log has come", () => {
    expect(rows(member("LIST") as Reply).slice(0, 6)).toEqual([
      ["default", 0, "n1", "leader", 3, 13],
      ["default", 0, "n2", "follower", 3, 11],
      ["default", 0, "n3", "follower", 3, null],
      ["ledger", 4, "n1", "follower", 3, 13],
      ["ledger", 4, "n2", "leader", 3, null],
      ["ledger", 4, "n3", "follower", 3, null],
    ]);
  });
});
