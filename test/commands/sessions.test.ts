import { describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../src/core/base/bytes.ts";
import { LIMITS } from "../../src/core/commands/limits.ts";
import { ScanCursors } from "../../src/core/commands/scan-cursors.ts";
import { CALL_DEFAULTS } from "../../src/core/commands/session.ts";
import { parseWait, parseWith } from "../../src/core/commands/trefoil.ts";
import { NO_META } from "../../src/core/contract/group.ts";
import { error, integer, NULL, OK, type Reply, redisError } from "../../src/core/contract/reply.ts";
import { encodeToken, SESSION_GROUPS_MAX } from "../../src/core/sessions/session-token.ts";
import { InProcessTarget } from "../differential/targets.ts";

function words(...texts: string[]): Uint8Array[] {
  return texts.map((text) => new TextEncoder().encode(text));
}

function call(target: InProcessTarget, ...texts: string[]): Reply {
  return target.execute(words(...texts));
}

/** A reply as plain data, so that tests read like what a client sees. */
function plain(reply: Reply): unknown {
  switch (reply.kind) {
    case "simple":
      return reply.text;
    case "bulk":
    case "verbatim":
      return new TextDecoder().decode(reply.bytes);
    case "integer":
    case "double":
    case "boolean":
      return reply.value;
    case "null":
    case "nullArray":
      return null;
    case "error":
      return `${reply.code} ${reply.message}${reply.outcome === null ? "" : ` ${reply.outcome}`}`;
    case "array":
    case "set":
    case "pairs":
      return reply.items.map(plain);
    case "map": {
      const items = reply.items.map(plain);
      return Object.fromEntries(
        items.flatMap((key, i) => (i % 2 === 0 ? [[key, items[i + 1]]] : [])),
      );
    }
  }
}

/** The token of a session that has seen nothing, in the cluster of `serverView`. */
const TOKEN_OF_NOTHING = encodeToken("c1", []);

function ask(target: InProcessTarget, ...texts: string[]): unknown {
  return plain(call(target, ...texts));
}

describe("a transaction", () => {
  test("stays within one keyspace and one entry", () => {
    for (const command of [
      ["SELECT", "0"],
      ["HELLO", "3"],
      ["WAIT", "1", "0"],
      ["TREFOIL.MEMBER", "TRANSFER"],
      ["TREFOIL.WITH", "W", "all", "--", "GET", "k"],
      ["TREFOIL.DEFAULTS"],
      ["TREFOIL.LAST"],
      ["LPUSH", "l", "v"],
      ["CLIENT", "SETNAME", "x"],
      ["COMMAND"],
      ["DBSIZE"],
      ["SCAN", "0"],
      ["KEYS", "*"],
      ["RANDOMKEY"],
      ["FLUSHDB"],
    ]) {
      const target = new InProcessTarget();
      ask(target, "MULTI");
      expect(ask(target, "SET", "k", "v")).toBe("QUEUED");
      expect(ask(target, ...command), command[0]).toMatch(/^ERR .* (not allowed|not available)/);
      expect(ask(target, "EXEC")).toMatch(/^EXECABORT/);
      expect(ask(target, "GET", "k")).toBeNull();
    }
  });

  test("keeps its own copy of what the connection sent", () => {
    const target = new InProcessTarget();
    ask(target, "MULTI");
    const set = words("SET", "k", "value");
    const echo = words("ECHO", "said");
    for (const args of [set, echo]) {
      expect(plain(target.execute(args))).toBe("QUEUED");
      for (const arg of args) arg.fill(0);
    }
    expect(ask(target, "EXEC")).toEqual(["OK", "said"]);
    expect(ask(target, "GET", "k")).toBe("value");
  });

  test("has as many commands as the limit says, and not one more", () => {
    const target = new InProcessTarget();
    ask(target, "MULTI");
    for (let i = 0; i < LIMITS.transactionCommandsMax; i += 1) {
      expect(ask(target, "INCR", "n")).toBe("QUEUED");
    }
    expect(ask(target, "INCR", "n")).toMatch(/^LIMIT .* not-applied$/);
    expect(ask(target, "EXEC")).toMatch(/^EXECABORT/);
    expect(ask(target, "GET", "n")).toBeNull();
    ask(target, "MULTI");
    for (let i = 0; i < LIMITS.transactionCommandsMax; i += 1) ask(target, "INCR", "n");
    expect(ask(target, "EXEC")).toHaveLength(LIMITS.transactionCommandsMax);
    expect(ask(target, "GET", "n")).toBe(String(LIMITS.transactionCommandsMax));
  });

  test("changes and answers as many bytes as one command has, or nothing", () => {
    const large = "x".repeat(LIMITS.commandBytesMax / 2);
    const tooMuch = [
      ["GET", "large"],
      ["COPY", "large", "copy", "REPLACE"],
    ];
    for (const command of tooMuch) {
      const target = new InProcessTarget();
      ask(target, "MSET", "large", large, "before", "1");
      ask(target, "MULTI");
      ask(target, "SET", "before", "2");
      ask(target, "INCR", "new");
      ask(target, "RENAME", "before", "renamed");
      for (let i = 0; i < 3; i += 1) ask(target, ...command);
      ask(target, "DEL", "large");
      expect(ask(target, "EXEC"), command[0]).toMatch(/^LIMIT .* not-applied$/);
      const left = ask(target, "MGET", "before", "new", "renamed", "copy");
      expect(left).toEqual(["1", null, null, null]);
      expect(ask(target, "STRLEN", "large")).toBe(large.length);
    }
  });

  test("has as many bytes as one command", () => {
    const target = new InProcessTarget();
    const large = "x".repeat(LIMITS.commandBytesMax / 2);
    ask(target, "MULTI");
    expect(ask(target, "SET", "a", large)).toBe("QUEUED");
    expect(ask(target, "SET", "b", large)).toMatch(/^LIMIT .* not-applied$/);
    expect(ask(target, "EXEC")).toMatch(/^EXECABORT/);
    ask(target, "MULTI");
    expect(ask(target, "ECHO", large)).toBe("QUEUED");
    expect(ask(target, "ECHO", `${large}x`)).toMatch(/^LIMIT .* not-applied$/);
    ask(target, "DISCARD");
  });
});

test("MGET and BITOP gather as many bytes as the limit says, and not one more", () => {
  const target = new InProcessTarget();
  const quarter = "x".repeat(LIMITS.gatheredBytesMax / 4);
  ask(target, "SET", "k", quarter);
  ask(target, "SET", "one", "1");
  const most = ["k", "k", "k", "k"];
  // As text it would take the machine longer than the rest of the test.
  const gathered = call(target, "MGET", ...most);
  expect(gathered.kind === "array" && gathered.items.length).toBe(4);
  expect(ask(target, "BITOP", "AND", "result", ...most)).toBe(quarter.length);
  expect(ask(target, "MGET", ...most, "one")).toMatch(/^LIMIT .* not-applied$/);
  expect(ask(target, "BITOP", "AND", "other", ...most, "one")).toMatch(/^LIMIT .* not-applied$/);
  expect(ask(target, "EXISTS", "other")).toBe(0);
});

describe("TREFOIL.WITH", () => {
  test("options in any order and case, then the command", () => {
    const args = words(
      "TREFOIL.WITH",
      "timeout",
      "200",
      "W",
      "all",
      "r",
      "LOCAL",
      "META",
      "--",
      "GET",
      "--",
    );
    expect(parseWith(args)).toEqual({
      options: { timeoutMs: 200, w: "all", r: "local", meta: true },
      token: null,
      rest: words("GET", "--"),
    });
    expect(parseWith(words("TREFOIL.WITH", "--", "PING"))).toEqual({
      options: {},
      token: null,
      rest: words("PING"),
    });
    expect(parseWith(words("trefoil.with", "W", "2", "--", "SET", "k", "v"))).toMatchObject({
      options: { w: 2 },
    });
  });

  test.each([
    [["GET", "k"], "ERR TREFOIL.WITH needs -- between its options and the command"],
    [["W", "all", "--"], "ERR TREFOIL.WITH needs a command after --"],
    [["--", "trefoil.with", "--", "PING"], "ERR TREFOIL.WITH may not be nested"],
    [
      ["W", "0", "--", "PING"],
      "ERR W takes leader, majority, all or a number of nodes of at least 1",
    ],
    [
      ["W", "most", "--", "PING"],
      "ERR W takes leader, majority, all or a number of nodes of at least 1",
    ],
    [["W", "--", "PING"], "ERR W takes leader, majority, all or a number of nodes of at least 1"],
    [
      ["R", "stale", "--", "PING"],
      "ERR R takes linearizable, session, local, or bounded and milliseconds",
    ],
    [["R", "--", "PING"], "ERR R takes linearizable, session, local, or bounded and milliseconds"],
    [["R", "bounded", "--", "PING"], "ERR R bounded takes milliseconds from 1 to 86400000"],
    [["R", "bounded", "0", "--", "PING"], "ERR R bounded takes milliseconds from 1 to 86400000"],
    [
      ["R", "bounded", "86400001", "--", "PING"],
      "ERR R bounded takes milliseconds from 1 to 86400000",
    ],
    [["PREFER", "n2", "--", "PING"], "ERR PREFER takes nearest, the node that is asked, or leader"],
    [["TOKEN", "--", "PING"], "ERR TOKEN takes a session's token"],
    [["ID", "x", "--", "PING"], "ERR the option ID comes in a later version of Trefoil"],
    [["TIMEOUT", "0", "--", "PING"], "ERR TIMEOUT takes milliseconds from 1 to 86400000"],
    [["TIMEOUT", "86400001", "--", "PING"], "ERR TIMEOUT takes milliseconds from 1 to 86400000"],
    [
      ["BOGUS", "--", "PING"],
      "ERR unknown option 'BOGUS': it may be W, R, PREFER, TOKEN, TIMEOUT or META",
    ],
  ])("%j", (rest, expected) => {
    const parsed = parseWith(words("TREFOIL.WITH", ...rest));
    if (!("kind" in parsed)) throw new Error("it was taken");
    expect(plain(parsed)).toBe(expected);
  });

  test("a session's read and a bounded one, with a preference and a token", () => {
    const session = words("TREFOIL.WITH", "r", "Session", "token", "abc", "--", "GET", "k");
    expect(parseWith(session)).toEqual({
      options: { r: "session" },
      token: encodeUtf8("abc"),
      rest: words("GET", "k"),
    });
    const bounded = words("TREFOIL.WITH", "R", "bounded", "250", "PREFER", "leader", "--", "PING");
    expect(parseWith(bounded)).toMatchObject({ options: { r: 250, prefer: "leader" } });
    const longest = words(
      "TREFOIL.WITH",
      "R",
      "BOUNDED",
      String(LIMITS.timeoutMsMax),
      "--",
      "PING",
    );
    expect(parseWith(longest)).toMatchObject({ options: { r: LIMITS.timeoutMsMax } });
  });

  test("the longest timeout is taken", () => {
    const longest = String(LIMITS.timeoutMsMax);
    expect(parseWith(words("TREFOIL.WITH", "TIMEOUT", longest, "--", "PING"))).toMatchObject({
      options: { timeoutMs: LIMITS.timeoutMsMax },
    });
  });
});

describe("WAIT", () => {
  test("its arguments", () => {
    expect(parseWait(words("WAIT", "2", "100"))).toEqual({ replicas: 2, timeoutMs: 100 });
    expect(parseWait(words("WAIT", "-2", "0"))).toEqual({ replicas: 0, timeoutMs: 0 });
    expect(parseWait(words("WAIT", "1", "99999999999"))).toEqual({
      replicas: 1,
      timeoutMs: LIMITS.timeoutMsMax,
    });
    expect(parseWait(words("WAIT", "x", "0"))).toEqual(
      redisError("value is not an integer or out of range"),
    );
  });
});

describe("TREFOIL.DEFAULTS, TREFOIL.LAST and TREFOIL.EXPLAIN", () => {
  test("defaults are set one by one, shown, and reset", () => {
    const target = new InProcessTarget();
    expect(ask(target, "TREFOIL.DEFAULTS")).toEqual({
      w: "majority",
      r: "linearizable",
      prefer: "nearest",
      timeout: null,
    });
    expect(ask(target, "TREFOIL.DEFAULTS", "W", "all")).toBe("OK");
    expect(ask(target, "TREFOIL.DEFAULTS", "R", "local", "TIMEOUT", "50")).toBe("OK");
    expect(ask(target, "TREFOIL.DEFAULTS")).toMatchObject({ w: "all", r: "local", timeout: 50 });
    expect(ask(target, "TREFOIL.DEFAULTS", "R", "bounded", "90", "PREFER", "leader")).toBe("OK");
    expect(ask(target, "TREFOIL.DEFAULTS")).toMatchObject({ r: "bounded 90", prefer: "leader" });
    expect(ask(target, "TREFOIL.DEFAULTS", "R", "local", "PREFER", "nearest")).toBe("OK");
    expect(ask(target, "TREFOIL.DEFAULTS", "W", "x")).toContain("ERR W takes");
    expect(ask(target, "TREFOIL.DEFAULTS", "META")).toBe(
      "ERR META is for single calls: use TREFOIL.WITH",
    );
    expect(ask(target, "TREFOIL.DEFAULTS", "TOKEN", "x")).toBe(
      "ERR TOKEN is for single calls: use TREFOIL.WITH or TREFOIL.TOKEN",
    );
    expect(target.session.defaults).toEqual({
      ...CALL_DEFAULTS,
      ...{ w: "all", r: "local", timeoutMs: 50 },
    });
    expect(ask(target, "TREFOIL.DEFAULTS", "RESET")).toBe("OK");
    expect(target.session.defaults).toEqual(CALL_DEFAULTS);
  });

  test("the last command's meta and outcome", () => {
    const target = new InProcessTarget();
    expect(ask(target, "TREFOIL.LAST")).toBeNull();
    const meta = { term: 4, index: 17, durable: 2, node: "n2", staleMs: null };
    target.session.last = { command: "set", meta, reply: OK };
    expect(ask(target, "TREFOIL.LAST")).toEqual({
      ...{ command: "set", term: 4, index: 17, durable: 2, node: "n2", stale_ms: null },
      ...{ error: null, outcome: "applied", token: TOKEN_OF_NOTHING },
    });
    const late = { ...meta, node: null, staleMs: 12.2 };
    target.session.last = { command: "set", meta: late, reply: error("TIMEOUT", "Too late.") };
    expect(ask(target, "TREFOIL.LAST")).toMatchObject({ error: "TIMEOUT", outcome: "unknown" });
    target.session.last = { command: "", meta: late, reply: redisError("unknown command") };
    expect(ask(target, "TREFOIL.LAST")).toMatchObject({
      error: "ERR",
      outcome: "not-applied",
      node: null,
      stale_ms: 13,
    });
  });

  test("an error code is explained", () => {
    const target = new InProcessTarget();
    expect(ask(target, "TREFOIL.EXPLAIN")).toContain("NOLEADER");
    expect(ask(target, "TREFOIL.EXPLAIN", "busy")).toEqual({
      outcome: "not-applied",
      retryable: true,
      meaning: "Too many requests are waiting on this node. Send fewer at a time, or wait.",
    });
    expect(ask(target, "TREFOIL.EXPLAIN", "x")).toContain("no such error code");
  });
});

describe("TREFOIL.TOKEN", () => {
  const PLACE = { term: 3, index: 17 };

  test("shows the session's places, takes a token over, and begins anew", () => {
    const target = new InProcessTarget();
    expect(ask(target, "TREFOIL.TOKEN")).toBe(TOKEN_OF_NOTHING);
    target.session.places.move(0, PLACE);
    const token = String(ask(target, "TREFOIL.TOKEN"));
    expect(token).toBe(encodeToken("c1", [[0, PLACE]]));
    const other = new InProcessTarget();
    expect(ask(other, "TREFOIL.TOKEN", token)).toBe("OK");
    expect(other.session.places.in(0)).toEqual(PLACE);
    expect(ask(other, "TREFOIL.TOKEN", "reset")).toBe("OK");
    expect(other.session.places.in(0)).toBeNull();
    ask(target, "RESET");
    expect(target.session.places.in(0)).toBeNull();
  });

  test("says what is wrong with what is no token", () => {
    const target = new InProcessTarget();
    expect(ask(target, "TREFOIL.TOKEN", "x y")).toMatch(
      /^TOKEN This is no session token.* not-applied$/,
    );
    expect(ask(target, "TREFOIL.TOKEN", encodeToken("c2", []))).toMatch(/^TOKEN .*another cluster/);
    expect(ask(target, "TREFOIL.TOKEN", "a", "b")).toBe(
      "ERR wrong number of arguments for 'trefoil.token' command",
    );
  });

  test("is for as many keyspaces as the limit says; with one more there is none", () => {
    const target = new InProcessTarget();
    for (let group = 0; group < SESSION_GROUPS_MAX; group += 1) {
      target.session.places.move(group, PLACE);
    }
    const token = String(ask(target, "TREFOIL.TOKEN"));
    expect(ask(new InProcessTarget(), "TREFOIL.TOKEN", token)).toBe("OK");
    target.session.places.move(SESSION_GROUPS_MAX, PLACE);
    expect(ask(target, "TREFOIL.TOKEN")).toMatch(/^LIMIT .* not-applied$/);
    target.session.last = { command: "get", meta: NO_META, reply: OK };
    expect(ask(target, "TREFOIL.LAST")).toMatchObject({ token: null });
  });
});

describe("a connection", () => {
  test("chooses its protocol by HELLO and goes back by RESET", () => {
    const target = new InProcessTarget();
    expect(ask(target, "HELLO", "3", "AUTH", "default", "x", "SETNAME", "me")).toEqual({
      server: "redis",
      version: "7.2.4",
      proto: 3,
      id: 1,
      mode: "standalone",
      role: "master",
      modules: [],
      trefoil_version: "0.1.0",
    });
    expect(target.session).toMatchObject({ resp: 3, name: "me" });
    expect(ask(target, "HELLO", "2", "SETNAME", "bad name")).toContain("ERR Client names cannot");
    expect(target.session).toMatchObject({ resp: 3, name: "me" });
    expect(ask(target, "RESET")).toBe("RESET");
    expect(target.session).toMatchObject({ resp: 2, name: "", keyspace: 0 });
  });

  test("selects a keyspace by number or name", () => {
    const target = new InProcessTarget();
    expect(call(target, "SELECT", "0")).toEqual(OK);
    expect(call(target, "SELECT", "default")).toEqual(OK);
    expect(ask(target, "SELECT", "9")).toBe(
      "NOKEYSPACE There is no such keyspace; there are 0 (default). not-applied",
    );
    expect(ask(target, "SELECT", "nope")).toContain("NOKEYSPACE");
  });

  test("is closed after QUIT", () => {
    const target = new InProcessTarget();
    expect(call(target, "QUIT", "now")).toEqual(OK);
    expect(target.session.closing).toBe(true);
  });

  test("is described by CLIENT INFO and CLIENT LIST", () => {
    const target = new InProcessTarget();
    expect(ask(target, "CLIENT", "SETNAME", "me")).toBe("OK");
    expect(ask(target, "CLIENT", "SETINFO", "LIB-NAME", "lib")).toBe("OK");
    expect(ask(target, "CLIENT", "SETINFO", "lib-ver", "1.2")).toBe("OK");
    expect(ask(target, "CLIENT", "SETINFO", "x", "y")).toBe("ERR Unrecognized option 'x'");
    const line =
      "id=1 addr=127.0.0.1:1 name=me age=5 idle=5 flags=N db=0 cmd=NULL user=default resp=2 lib-name=lib lib-ver=1.2\n";
    expect(ask(target, "CLIENT", "INFO")).toBe(line);
    expect(ask(target, "CLIENT", "LIST")).toBe(line);
    expect(ask(target, "CLIENT", "LIST", "ID", "1", "2")).toBe(line);
    expect(ask(target, "CLIENT", "LIST", "ID", "2")).toBe("");
    expect(ask(target, "CLIENT", "LIST", "TYPE", "pubsub")).toBe("");
    expect(ask(target, "CLIENT", "KILL", "ID", "1")).toContain("ERR CLIENT KILL is not available");
    expect(ask(target, "CLIENT", "REPLY", "OFF")).toContain("ERR CLIENT REPLY takes only ON");
  });

  test("may have a name at the limit, and no longer one", () => {
    const target = new InProcessTarget();
    expect(ask(target, "CLIENT", "SETNAME", "x".repeat(LIMITS.clientTextBytesMax))).toBe("OK");
    expect(ask(target, "CLIENT", "SETNAME", "x".repeat(LIMITS.clientTextBytesMax + 1))).toContain(
      "ERR",
    );
  });
});

describe("the node", () => {
  test("INFO by sections", () => {
    const target = new InProcessTarget();
    call(target, "SET", "k", "v");
    expect(ask(target, "INFO", "keyspace")).toBe(
      "# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n",
    );
    expect(ask(target, "INFO", "persistence", "clients")).toBe(
      "# Clients\r\nconnected_clients:1\r\nblocked_clients:0\r\n\r\n# Persistence\r\nloading:0\r\nasync_loading:0\r\n",
    );
    expect(ask(target, "INFO", "replication")).toBe(
      "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n" +
        "trefoil_keyspace0:name=default,model=singleLeader,role=leader,leader=n1,term=3," +
        "commit_index=12,applied_index=12,last_index=13,lag_entries=0,lag_ms=0,halted=0,damaged=0,peer_n2=replicate:11,peer_n2_lag_entries=2,peer_n2_lag_ms=41\r\n" +
        "trefoil_catalog:role=follower,leader=n2,term=1,commit_index=5,applied_index=5,last_index=5,lag_entries=0,lag_ms=20,halted=0,damaged=0\r\n",
    );
    const all = String(ask(target, "INFO"));
    for (const line of [
      "redis_version:7.2.4",
      "trefoil_version:0.1.0",
      "loading:0",
      "cluster_enabled:0",
    ]) {
      expect(all).toContain(`${line}\r\n`);
    }
    expect(ask(target, "INFO", "everything")).toBe(all);
  });

  test("TIME has microseconds", () => {
    expect(ask(new InProcessTarget(), "TIME")).toEqual(["1700000000", "123500"]);
  });

  test("CONFIG GET by patterns, the host's settings among them; SET is refused", () => {
    const target = new InProcessTarget();
    expect(ask(target, "CONFIG", "GET", "d*", "TimeOut")).toEqual({
      databases: "16",
      dir: "/data",
      TimeOut: "0",
    });
    expect(ask(target, "CONFIG", "GET", "maxmemory*")).toEqual({
      maxmemory: "0",
      "maxmemory-policy": "noeviction",
    });
    expect(ask(target, "CONFIG", "SET", "maxmemory", "1")).toContain(
      "ERR CONFIG SET is not available",
    );
  });

  test("commands that are not there say why", () => {
    const target = new InProcessTarget();
    expect(ask(target, "REPLICAOF", "NO", "ONE")).toBe(
      "ERR REPLICAOF is not available: replication follows from the keyspace's model, not from commands to a node",
    );
    expect(ask(target, "FLUSHALL")).toBe(
      "ERR FLUSHALL is not available: no operation spans two keyspaces: use FLUSHDB in each of them",
    );
    expect(ask(target, "DEBUG", "SLEEP", "1")).toContain("ERR DEBUG is not available");
  });

  test("COMMAND INFO and DOCS", () => {
    const target = new InProcessTarget();
    expect(ask(target, "COMMAND", "INFO", "get", "client", "debug")).toEqual([
      [
        ...["get", 2, ["readonly", "fast"], 1, 1, 1, ["@fast", "@read", "@string"], []],
        [
          {
            flags: ["RO", "access"],
            begin_search: { type: "index", spec: { index: 1 } },
            find_keys: { type: "range", spec: { lastkey: 0, keystep: 1, limit: 0 } },
          },
        ],
        [],
      ],
      expect.arrayContaining(["client"]),
      null,
    ]);
    expect(ask(target, "COMMAND", "DOCS", "getdel", "expire", "nope")).toEqual({
      getdel: {
        summary: "Deletes a key and answers its value.",
        since: "6.2.0",
        group: "string",
        complexity: "O(1)",
        arguments: [{ name: "key", type: "key", key_spec_index: 0 }],
      },
      expire: {
        summary: "Lets a key expire after so many seconds; answers 0 where there is no key.",
        since: "1.0.0",
        group: "generic",
        complexity: "O(1)",
        arguments: [
          { name: "key", type: "key", key_spec_index: 0 },
          { name: "seconds", type: "integer" },
          {
            name: "nx-or-xx-or-gt-or-lt",
            type: "oneof",
            flags: ["optional"],
            arguments: ["nx", "xx", "gt", "lt"].map((name) => {
              return { name, type: "pure-token", token: name.toUpperCase() };
            }),
          },
        ],
      },
    });
    const names = ask(target, "COMMAND", "LIST") as string[];
    expect(names).toContain("get");
    expect(names).not.toContain("debug");
    expect(ask(target, "COMMAND", "COUNT")).toBe(names.length);
    expect(ask(target, "COMMAND", "LIST", "FILTERBY", "ACLCAT", "bitmap")).toContain("bitcount");
    expect((ask(target, "COMMAND") as unknown[]).length).toBe(names.length);
  });
});

describe("SCAN", () => {
  /** All pages of a scan, by the cursors given back. */
  function pages(target: InProcessTarget, ...options: string[]): string[][] {
    const found: string[][] = [];
    let cursor = "0";
    do {
      const [next, keys] = ask(target, "SCAN", cursor, ...options) as [string, string[]];
      found.push(keys);
      cursor = next;
    } while (cursor !== "0");
    return found;
  }

  test("gives every key once, page by page, and says which page is the last", () => {
    const target = new InProcessTarget();
    const keys = Array.from({ length: 25 }, (_, i) => `key:${String(i).padStart(2, "0")}`);
    for (const key of keys) call(target, "SET", key, "v");
    const found = pages(target);
    expect(found.map((page) => page.length)).toEqual([10, 10, 5]);
    expect(found.flat()).toEqual(keys);
    expect(pages(target, "COUNT", "25").length).toBe(1);
    expect(pages(target, "COUNT", "5").length).toBe(5);
    expect(pages(target, "COUNT", "7", "MATCH", "key:1*").flat()).toEqual(keys.slice(10, 20));
    expect(pages(target, "MATCH", "nothing*")).toEqual([[]]);
    expect(pages(target, "TYPE", "hash").flat()).toEqual([]);
  });

  test("goes on though keys come and go, and keeps those that stay", () => {
    const target = new InProcessTarget();
    for (const key of ["a", "b", "c", "d", "e", "f"]) call(target, "SET", key, "v");
    const [cursor, first] = ask(target, "SCAN", "0", "COUNT", "2") as [string, string[]];
    expect(first).toEqual(["a", "b"]);
    call(target, "DEL", "b", "c");
    call(target, "SET", "aa", "v");
    const again = ask(target, "SCAN", cursor, "COUNT", "2");
    expect(again).toEqual([expect.not.stringMatching(/^0$/), ["d", "e"]]);
    // The same cursor, the same page: a client may ask twice.
    expect(ask(target, "SCAN", cursor, "COUNT", "2")).toEqual(again);
  });

  test("looks at no more keys than the limit, whatever COUNT asks", () => {
    const target = new InProcessTarget();
    for (let i = 0; i <= LIMITS.scanCountMax; i += 1) call(target, "SET", `k${i}`, "v");
    const found = pages(target, "COUNT", "1000000");
    expect(found.map((page) => page.length)).toEqual([LIMITS.scanCountMax, 1]);
  });

  test("a cursor that this node does not know is refused", () => {
    const target = new InProcessTarget();
    expect(ask(target, "SCAN", "12345")).toBe(
      "ERR invalid cursor: this node does not know it any more, begin again with 0",
    );
    expect(ask(target, "SCAN", "1".repeat(21))).toBe("ERR invalid cursor");
  });

  test("KEYS and SCAN by a prefix of the highest bytes", () => {
    const target = new InProcessTarget();
    for (const key of [[0xff], [0xff, 0xff], [0xff, 0xff, 0x61], [0xfe]]) {
      target.execute([encodeUtf8("SET"), Uint8Array.from(key), encodeUtf8("v")]);
    }
    const prefix = Uint8Array.of(0xff, 0xff, 0x2a);
    const reply = target.execute([encodeUtf8("KEYS"), prefix]);
    expect(reply).toEqual({
      kind: "array",
      items: [
        { kind: "bulk", bytes: Uint8Array.of(0xff, 0xff) },
        { kind: "bulk", bytes: Uint8Array.of(0xff, 0xff, 0x61) },
      ],
    });
  });
});

describe("ScanCursors", () => {
  test("forgets the least recently used, and never uses a number twice", () => {
    const cursors = new ScanCursors(2);
    const [a, b] = [cursors.numberFor("a"), cursors.numberFor("b")];
    expect(cursors.numberFor("a")).toBe(a);
    const c = cursors.numberFor("c");
    expect([cursors.nameOf(a), cursors.nameOf(b), cursors.nameOf(c)]).toEqual([
      "a",
      undefined,
      "c",
    ]);
    expect(cursors.nameOf(a)).toBe("a");
    expect(cursors.numberFor("b")).toBeGreaterThan(c);
    expect(cursors.nameOf(c)).toBeUndefined();
    expect(cursors.size).toBe(2);
  });
});

describe("RANDOMKEY", () => {
  test("the number drawn decides, and every key can be drawn", () => {
    const target = new InProcessTarget();
    expect(call(target, "RANDOMKEY")).toEqual(NULL);
    for (const key of ["a", "b", "c", "d"]) call(target, "SET", key, "v");
    const drawn = (number: number) => plain(target.execute(words("RANDOMKEY"), number));
    const numbers = Array.from({ length: 40 }, (_, i) => i * 0x0600_0000);
    expect(new Set(numbers.map(drawn))).toEqual(new Set(["a", "b", "c", "d"]));
    expect(numbers.map(drawn)).toEqual(numbers.map(drawn));
    expect(call(target, "DBSIZE")).toEqual(integer(4));
  });
});
