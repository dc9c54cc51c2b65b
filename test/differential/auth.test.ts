import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestCluster } from "../e2e/cluster.ts";
import { lines, run, type Script, shape } from "./steps.ts";
import {
  encodeRequest,
  type RedisServer,
  SocketTarget,
  startRedis,
  visible,
  whyNoRedis,
} from "./targets.ts";

const PASSWORD = "correct horse";
const auth = (...words: string[]) => run("AUTH", ...words);
const hello = (...words: string[]) => shape("HELLO", ...words);

/** Each on a connection of its own, sent in one go. */
const SCRIPTS: readonly Script[] = [
  [
    "everything but a few is refused before AUTH, and nothing is done",
    [
      ...lines(`
        GET a
        SET a 1
        PING
        ECHO x
        SELECT 0
        INFO
        CLIENT ID
        CONFIG GET requirepass
        COMMAND
        MULTI
        EXEC
        DISCARD
        WATCH a
        WAIT 0 0
        SUBSCRIBE x
        EVAL x 0
      `),
      auth(PASSWORD),
      run("EXISTS a"),
      run("PING"),
    ],
  ],
  [
    "what is no command, or has the wrong number of arguments, is told so first",
    lines(`
      NOSUCHCOMMAND a b
      GET
      SET a
      CLIENT NOSUCH
      CLIENT ID x
      AUTH
      MULTI x
    `),
  ],
  [
    "AUTH with a password, with a user, with the wrong ones",
    [
      ...lines(`
        AUTH wrong
        AUTH default wrong
        AUTH nobody wrong
        AUTH a b c
        GET a
      `),
      auth("nobody", PASSWORD),
      auth("Default", PASSWORD),
      auth("DEFAULT", PASSWORD),
      auth("", PASSWORD),
      auth(""),
      run("PING"),
      auth("default", PASSWORD),
      run("PING"),
      // A failure does not take back what was there.
      run("AUTH wrong"),
      run("PING"),
      auth(PASSWORD),
      auth(PASSWORD),
      run("PING"),
    ],
  ],
  [
    "HELLO",
    [
      ...lines(`
        HELLO
        HELLO 2
        HELLO 3
        HELLO 4
        HELLO x
        HELLO 3 AUTH default
        HELLO 3 AUTH default wrong
        HELLO 3 AUTH nobody wrong
        HELLO 3 BOGUS
        PING
      `),
      hello("3", "AUTH", "default", PASSWORD, "SETNAME", "me"),
      run("CLIENT GETNAME"),
      run("GET none"),
      run("HELLO 2 AUTH default wrong"),
      run("GET none"),
      hello("2"),
      run("GET none"),
    ],
  ],
  ["HELLO with RESP2 and a password", [hello("2", "AUTH", "default", PASSWORD), run("GET none")]],
  [
    "a refusal of HELLO does not change the protocol",
    [
      run("HELLO 3"),
      run("HELLO 3 AUTH default wrong SETNAME me"),
      auth(PASSWORD),
      run("CLIENT GETNAME"),
      run("GET none"),
    ],
  ],
  [
    "RESET takes back what AUTH gave",
    [
      run("RESET"),
      auth(PASSWORD),
      run("SET a 1"),
      run("RESET"),
      run("GET a"),
      run("HELLO 3"),
      auth(PASSWORD),
      run("GET a"),
      run("DEL a"),
    ],
  ],
  [
    "transactions",
    [
      auth(PASSWORD),
      ...lines(`
        MULTI
        SET b 1
        AUTH wrong
      `),
      auth(PASSWORD),
      run("EXEC"),
      run("DEL b"),
      run("MULTI"),
      run("SET b 2"),
      run("RESET"),
      run("EXEC"),
      run("MULTI"),
      auth(PASSWORD),
      run("EXISTS b"),
      run("EXEC"),
    ],
  ],
  ["QUIT needs no password", [run("QUIT")]],
];

/** Bytes on a connection of their own, until the server is done with it. */
const HOSTILE: readonly (readonly [name: string, bytes: string])[] = [
  ["as many strings as may be", `*10\r\n${"$1\r\nx\r\n".repeat(10)}QUIT\r\n`],
  ["one string too many", "*11\r\n"],
  ["as long a string as may be", `*1\r\n$16384\r\n${"x".repeat(16_384)}\r\nQUIT\r\n`],
  ["a string that is too long", "*1\r\n$16385\r\n"],
  ["inline, before and after", `PING\r\nAUTH "${PASSWORD}"\r\nPING\r\n`],
  [
    "what is sent with AUTH in one go may be longer than what comes before",
    `*2\r\n$4\r\nAUTH\r\n$13\r\n${PASSWORD}\r\n*12\r\n$4\r\nMGET\r\n${"$1\r\nx\r\n".repeat(11)}*2\r\n$4\r\nECHO\r\n$20000\r\n${"y".repeat(20_000)}\r\n`,
  ],
];

const missing = whyNoRedis();
if (missing !== null) console.warn(`authentication is not compared with Redis: ${missing}`);

describe.skipIf(missing !== null)("a node with a password answers as Redis with one does", () => {
  let redis: RedisServer;
  let cluster: TestCluster;

  beforeAll(async () => {
    redis = await startRedis(["--requirepass", PASSWORD]);
    cluster = await TestCluster.start({ nodes: 1, password: PASSWORD });
  }, 60_000);

  afterAll(async () => {
    await cluster?.close();
    await redis?.stop();
  }, 30_000);

  async function both<T>(use: (target: SocketTarget) => Promise<T>): Promise<[T, T]> {
    const found: T[] = [];
    for (const port of [redis.port, cluster.addresses("n1").resp.port]) {
      const target = await SocketTarget.open(port);
      try {
        found.push(await use(target));
      } finally {
        target.close();
      }
    }
    return [found[0]!, found[1]!];
  }

  test.each(SCRIPTS)("%s", async (_name, steps) => {
    const [theirs, ours] = await both(async (target) => {
      const replies = await target.run(steps.map((step) => step.args));
      return replies.map((reply, i) => {
        const { args, compare } = steps[i]!;
        const shown = compare === "shape" ? String.fromCharCode(reply[0]!) : visible(reply);
        return `${args.map(visible).join(" ")} -> ${shown}`;
      });
    });
    expect(ours).toEqual(theirs);
  });

  test.each(HOSTILE)("%s", async (_name, bytes) => {
    const [theirs, ours] = await both((target) => target.raw(Buffer.from(bytes)));
    expect(visible(ours)).toBe(visible(theirs));
  });

  test("a command that follows RESET in one go is not carried out", async () => {
    const commands = [["AUTH", PASSWORD], ["RESET"], ["SET", "sneaked", "1"], ["QUIT"]].map(
      (words) => encodeRequest(words.map((word) => Buffer.from(word))),
    );
    const [theirs, ours] = await both((target) => target.raw(Buffer.concat(commands)));
    expect(visible(ours)).toBe(visible(theirs));
    expect(visible(ours)).toContain("NOAUTH");
    const client = await cluster.client("n1");
    expect(await client.call("EXISTS", "sneaked")).toEqual({ kind: "integer", value: 0 });
  });

  test("a command that follows QUIT in one go is not carried out", async () => {
    const sent = [["AUTH", PASSWORD], ["SET", "before", "1"], ["QUIT"], ["SET", "behind", "1"]];
    const bytes = sent.map((words) => encodeRequest(words.map((word) => Buffer.from(word))));
    const [theirs, ours] = await both((target) => target.raw(Buffer.concat(bytes)));
    expect(visible(ours)).toBe(visible(theirs));
    const [there, here] = await both(async (target) => {
      const [, count] = await target.run([
        ["AUTH", PASSWORD].map((word) => Buffer.from(word)),
        ["EXISTS", "before", "behind"].map((word) => Buffer.from(word)),
      ]);
      return Buffer.from(count!).toString();
    });
    expect([there, here]).toEqual([":1\r\n", ":1\r\n"]);
  });
});
