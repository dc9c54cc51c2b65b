import { describe, expect, test } from "vitest";
import { encodeUtf8 } from "../base/bytes.ts";
import { isKeyspaceName } from "../contract/keyspace.ts";
import { noSuchKeyspace, parseKeyspaceCommand, parseKeyspaceRef } from "./keyspaces.ts";
import { LIMITS } from "./limits.ts";

const NODES = ["n1", "n2"];

function parse(text: string) {
  const words = ["TREFOIL.KEYSPACE", ...text.split(" ")];
  const parsed = parseKeyspaceCommand(words.map(encodeUtf8), NODES);
  if ("call" in parsed) return parsed.call;
  return parsed.reply.kind === "error" ? `${parsed.reply.code} ${parsed.reply.message}` : "help";
}

describe("a keyspace's name", () => {
  test.each(["a", "ledger", "a-b_2", "x".repeat(64)])("may be %s", (name) => {
    expect(isKeyspaceName(name)).toBe(true);
    expect(parseKeyspaceRef(encodeUtf8(name))).toEqual({ name });
  });

  test.each(["", "1a", "-a", "A", "a b", "ä", "a.b", "x".repeat(65), "a\n"])(
    "may not be %j",
    (name) => {
      expect(isKeyspaceName(name)).toBe(false);
      expect(parseKeyspaceRef(encodeUtf8(name))).toBeNull();
    },
  );

  test.each([
    ["0", 0],
    ["17", 17],
    ["4294967294", 4_294_967_294],
  ])("is none where there is the number %s", (text, number) => {
    expect(parseKeyspaceRef(encodeUtf8(text))).toEqual({ number });
  });

  test.each(["-1", "4294967295", "18446744073709551615"])("nor is %s a number of one", (text) => {
    expect(parseKeyspaceRef(encodeUtf8(text))).toBeNull();
  });
});

describe("TREFOIL.KEYSPACE", () => {
  test("CREATE says what it does not say by its defaults", () => {
    expect(parse("CREATE a")).toEqual({
      kind: "create",
      request: {
        name: "a",
        model: "singleLeader",
        schemaVersion: 0,
        options: { preferredLeader: null, timeoutMs: null },
      },
      ifNotExists: false,
    });
    expect(
      parse("create a MODEL singleleader SCHEMA 3 leader n2 timeout 250 if not exists"),
    ).toEqual({
      kind: "create",
      request: {
        name: "a",
        model: "singleLeader",
        schemaVersion: 3,
        options: { preferredLeader: "n2", timeoutMs: 250 },
      },
      ifNotExists: true,
    });
  });

  test("ALTER changes what is said, and only that", () => {
    expect(parse("ALTER a LEADER * TIMEOUT 0")).toEqual({
      kind: "alter",
      name: "a",
      change: { preferredLeader: null, timeoutMs: null },
    });
    expect(parse("ALTER a SCHEMA 2")).toEqual({
      kind: "alter",
      name: "a",
      change: { schemaVersion: 2 },
    });
  });

  test("DROP, LIST, INFO and HELP", () => {
    expect(parse("DROP a")).toEqual({ kind: "drop", name: "a", ifExists: false });
    expect(parse("DROP a IF EXISTS")).toEqual({ kind: "drop", name: "a", ifExists: true });
    expect(parse("LIST")).toEqual({ kind: "list" });
    expect(parse("INFO a")).toEqual({ kind: "info", keyspace: { name: "a" } });
    expect(parse("INFO 7")).toEqual({ kind: "info", keyspace: { number: 7 } });
    expect(parse("HELP")).toBe("help");
  });

  test.each([
    ["CREATE A", "ERR A keyspace's name has 1 to 64 of a-z"],
    ["CREATE a MODEL leaderless", "MODEL Keyspaces of the model leaderless come in a later"],
    ["CREATE a MODEL raft", "ERR MODEL takes one of singleLeader, multiLeader, leaderless"],
    ["CREATE a LEADER n3", "ERR LEADER takes one of n1, n2, or *"],
    ["CREATE a SCHEMA -1", "ERR SCHEMA takes a version"],
    ["CREATE a TIMEOUT x", "ERR TIMEOUT takes milliseconds"],
    [`CREATE a TIMEOUT ${LIMITS.timeoutMsMax + 1}`, "ERR TIMEOUT takes milliseconds"],
    ["CREATE a COLOUR red", "ERR unknown option 'COLOUR'"],
    ["CREATE a TIMEOUT", "ERR syntax error"],
    ["CREATE a IF EXISTS", "ERR syntax error"],
    ["CREATE a IF NOT EXISTS TIMEOUT 1", "ERR syntax error"],
    ["ALTER a MODEL singleLeader", "ERR the MODEL of a keyspace cannot be changed"],
    ["ALTER a IF NOT EXISTS", "ERR syntax error"],
    ["DROP a IF", "ERR syntax error"],
    ["DROP a NOW", "ERR syntax error"],
    ["INFO A", "ERR A keyspace's name"],
  ])("%s is refused", (text, message) => {
    expect(parse(text)).toContain(message);
  });
});

test("one who asks for a keyspace that is not there hears of those that are", () => {
  const known = Array.from({ length: 18 }, (_, number) => ({ name: `k${number}`, number }));
  expect(noSuchKeyspace(known.slice(0, 2))).toMatchObject({
    code: "NOKEYSPACE",
    message: "There is no such keyspace; there are 0 (k0), 1 (k1).",
  });
  expect(noSuchKeyspace(known)).toMatchObject({ message: expect.stringMatching(/, 2 more\.$/) });
});
