import { describe, expect, test } from "vitest";
import { encodeUtf8 } from "../base/bytes.ts";
import type { Reply } from "../contract/reply.ts";
import { commandsMarkdown } from "./docs.ts";
import { categoriesOf } from "./introspection.ts";
import { LIMITS } from "./limits.ts";
import { ClientSession } from "./session.ts";
import {
  COMMANDS,
  checkAuthenticated,
  checkCall,
  checkModel,
  findSubcommand,
  keyPositions,
  lookupCommand,
  SERVED_COMMANDS,
} from "./table.ts";
import { parseUsage } from "./usage.ts";

function words(...texts: string[]): Uint8Array[] {
  return texts.map((text) => encodeUtf8(text));
}

function check(args: readonly Uint8Array[]): string | null {
  const reply = checkCall(lookupCommand(args[0]!), args);
  return reply === null ? null : errorText(reply);
}

function errorText(reply: Reply): string {
  if (reply.kind !== "error") throw new Error(`no error: ${reply.kind}`);
  const outcome = reply.outcome === null ? "" : ` ${reply.outcome}`;
  return `${reply.code} ${reply.message}${outcome}`;
}

describe("looking a command up", () => {
  test("finds every one, in any case", () => {
    for (const spec of COMMANDS) {
      expect(lookupCommand(encodeUtf8(spec.name))).toBe(spec);
      expect(lookupCommand(encodeUtf8(spec.name.toUpperCase()))).toBe(spec);
    }
  });

  test("finds nothing else", () => {
    for (const name of ["", "ge", "gett", "g%t", "GE\u0014", "get ", "x".repeat(1000)]) {
      expect(lookupCommand(encodeUtf8(name))).toBeUndefined();
    }
    // Bit 5 is all that tells these from letters.
    expect(lookupCommand(Uint8Array.of(0x47, 0x45, 0x54))?.name).toBe("get");
    expect(lookupCommand(Uint8Array.of(0x47, 0x45, 0x14))).toBeUndefined();
  });

  test("the table is in the order of names, each there once", () => {
    const names = COMMANDS.map((spec) => spec.name);
    expect(names).toEqual([...new Set(names)].sort((a, b) => (a < b ? -1 : 1)));
    expect(SERVED_COMMANDS.length).toBeGreaterThan(60);
  });
});

describe("checking a call", () => {
  test.each([
    [["GET", "k"], null],
    [["GET"], "ERR wrong number of arguments for 'get' command"],
    [["CLIENT", "ID", "x"], "ERR wrong number of arguments for 'client|id' command"],
    [["CLIENT", "NOPE"], "ERR unknown subcommand 'NOPE'. Try CLIENT HELP."],
    [["NOPE", "a", "b"], "ERR unknown command 'NOPE', with args beginning with: 'a' 'b' "],
    [["SET", "k", "v", "EX", "1"], null],
    [["SET", "k", "v", "EX", "0"], "ERR invalid expire time in 'set' command"],
    [["LPUSH"], null],
  ])("%j", (call, expected) => {
    expect(check(words(...call))).toBe(expected);
  });

  test("a key at the limit passes, one byte more does not", () => {
    const key = new Uint8Array(LIMITS.keyBytesMax).fill(0x61);
    const longer = new Uint8Array(LIMITS.keyBytesMax + 1).fill(0x61);
    const [get, set, mset] = words("GET", "SET", "MSET");
    expect(check([get!, key])).toBeNull();
    expect(check([get!, longer])).toBe("LIMIT A key may have 1900 bytes at most. not-applied");
    expect(check([set!, key, longer])).toBeNull();
    expect(check([set!, longer, key])).toContain("LIMIT A key");
    expect(check([mset!, key, longer])).toBeNull();
    expect(check([mset!, key, key, longer, key])).toContain("LIMIT A key");
  });

  test("a value at the limit passes, one byte more does not", () => {
    const [set, key] = words("SET", "k");
    expect(check([set!, key!, new Uint8Array(LIMITS.valueBytesMax)])).toBeNull();
    expect(check([set!, key!, new Uint8Array(LIMITS.valueBytesMax + 1)])).toBe(
      "LIMIT A value may have 8388608 bytes at most. not-applied",
    );
  });

  test("so do arguments and bytes of a whole command", () => {
    const key = encodeUtf8("k");
    const call = new Array<Uint8Array>(LIMITS.argsMax).fill(key);
    call[0] = encodeUtf8("MGET");
    expect(check(call)).toBeNull();
    expect(check([...call, key])).toBe(
      "LIMIT A command may have 131072 arguments at most. not-applied",
    );
    const half = new Uint8Array(LIMITS.commandBytesMax / 2 - 1);
    const mset = [encodeUtf8("MSET"), key, half, key, half];
    expect(check(mset)).toBeNull();
    expect(check([...mset, key, key])).toBe(
      "LIMIT A command may have 12582912 bytes at most. not-applied",
    );
  });

  test("a model that cannot give a command its meaning says what to use instead", () => {
    const rename = lookupCommand(encodeUtf8("RENAME"))!;
    expect(checkModel(rename, "singleLeader")).toBeNull();
    expect(errorText(checkModel(rename, "leaderless")!)).toBe(
      "MODEL RENAME has no meaning in a leaderless keyspace. Several keys change at once only in a single-leader keyspace. not-applied",
    );
    expect(checkModel(lookupCommand(encodeUtf8("GET"))!, "leaderless")).toBeNull();
  });
});

describe("before a connection has authenticated", () => {
  const session = new ClientSession(1, "127.0.0.1:1", 0, false);
  const args = (name: string, count: number) => words(name, ...Array(count).fill("x"));

  test("it gets at four commands", () => {
    const open = COMMANDS.filter((spec) => {
      const call = args(spec.name, Math.abs(spec.arity) - 1);
      return checkAuthenticated(spec, call, session) === null;
    });
    expect(open.map(({ name }) => name)).toEqual(["auth", "hello", "quit", "reset"]);
  });

  test.each([
    [["GET", "k"], "NOAUTH Authentication required."],
    [["TREFOIL.WITH", "META", "--", "AUTH", "x"], "NOAUTH Authentication required."],
    [["GET"], "ERR wrong number of arguments for 'get' command"],
    [["NOPE"], "ERR unknown command 'NOPE', with args beginning with: "],
  ])("%j: %s", (call, expected) => {
    const given = words(...call);
    const reply = checkAuthenticated(lookupCommand(given[0]!), given, session);
    expect(errorText(reply!)).toBe(expected);
  });

  test("afterwards nothing of that is in the way", () => {
    session.isAuthenticated = true;
    const get = words("GET");
    expect(checkAuthenticated(lookupCommand(get[0]!), get, session)).toBeNull();
  });
});

describe("what is known of each command", () => {
  test.each(SERVED_COMMANDS.map((spec) => [spec.name, spec] as const))("%s", (_name, spec) => {
    expect(spec.summary).toMatch(/\.$/);
    expect(spec.complexity).not.toBe("");
    expect(spec.since).toMatch(/^(trefoil )?\d+\.\d+\.\d+$/);
    expect(() => parseUsage(spec.usage)).not.toThrow();
    expect(categoriesOf(spec).length).toBeGreaterThan(0);
    expect(spec.models.in).toContain("singleLeader");
    expect(spec.models.instead === "").toBe(spec.models.in.length === 3);
    for (const sub of spec.subcommands ?? []) {
      expect(findSubcommand(spec, encodeUtf8(sub.name.toUpperCase()))).toBe(sub);
      expect(() => parseUsage(sub.usage)).not.toThrow();
    }
  });

  test("only replies that are the same whatever the state may come before a majority", () => {
    const blind = (...call: string[]) => {
      const spec = lookupCommand(encodeUtf8(call[0]!));
      return spec?.kind === "write" && spec.isBlind(words(...call));
    };
    expect(blind("SET", "k", "v")).toBe(true);
    expect(blind("MSET", "k", "v")).toBe(true);
    expect(blind("FLUSHDB")).toBe(true);
    expect(blind("SET", "k", "v", "EX", "1")).toBe(true);
    expect(blind("SETEX", "k", "1", "v")).toBe(true);
    expect(blind("SET", "k", "v", "NX")).toBe(false);
    expect(blind("SET", "k", "v", "GET")).toBe(false);
    const others = COMMANDS.filter(
      (spec) =>
        spec.kind === "write" && !["set", "setex", "psetex", "mset", "flushdb"].includes(spec.name),
    );
    for (const { name } of others) expect(blind(name, "a", "b", "c")).toBe(false);
  });

  test("positions of keys", () => {
    const keys = (...call: string[]) =>
      keyPositions(lookupCommand(encodeUtf8(call[0]!))!, words(...call));
    expect(keys("GET", "a")).toEqual([1]);
    expect(keys("MSET", "a", "1", "b", "2")).toEqual([1, 3]);
    expect(keys("BITOP", "AND", "d", "a", "b")).toEqual([2, 3, 4]);
    expect(keys("OBJECT", "ENCODING", "k")).toEqual([2]);
    expect(keys("PING")).toEqual([]);
  });

  test("docs/commands.md names them all", () => {
    const page = commandsMarkdown();
    expect(page).toBe(commandsMarkdown());
    for (const spec of COMMANDS) expect(page).toContain(spec.name.toUpperCase());
    expect(page).toContain("### GET\n\n`GET key`\n\nThe value of a key.\n");
    expect(page).not.toContain("undefined");
  });
});

describe("parseUsage", () => {
  const shape = (usage: string): unknown =>
    parseUsage(usage).map(function part(argument): unknown {
      const flags = `${argument.isOptional ? "?" : ""}${argument.isMultiple ? "+" : ""}`;
      const token = argument.token === null ? "" : `${argument.token}=`;
      const name = `${token}${argument.type}:${argument.name}${flags}`;
      return argument.parts.length === 0 ? name : [name, ...argument.parts.map(part)];
    });

  test.each([
    ["", []],
    ["key value", ["key:key", "string:value"]],
    ["key [key ...]", ["key:key+"]],
    ["key value [key value ...]", [["block:key-value+", "key:key", "string:value"]]],
    [
      "[NX | XX] [GET]",
      [["oneof:nx-or-xx?", "NX=pure-token:nx", "XX=pure-token:xx"], "GET=pure-token:get?"],
    ],
    ["cursor [MATCH pattern]", ["integer:cursor", "MATCH=pattern:pattern?"]],
    ["(AND | OR) key", [["oneof:and-or-or", "AND=pure-token:and", "OR=pure-token:or"], "key:key"]],
    [
      "[W (LEADER | nodes)]",
      [["W=oneof:leader-or-nodes?", "LEADER=pure-token:leader", "integer:nodes"]],
    ],
  ])("%j", (usage, expected) => {
    expect(shape(usage)).toEqual(expected);
  });

  test("refuses what is not balanced", () => {
    for (const usage of ["[a", "a]", "(a", "a)", "..."]) expect(() => parseUsage(usage)).toThrow();
  });
});
