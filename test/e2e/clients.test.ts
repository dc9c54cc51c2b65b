import { spawnSync } from "node:child_process";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CASES, COMMANDS_USED } from "./client-cases.ts";
import { TestCluster } from "./cluster.ts";
import { isInstalled, RedisServer } from "./redis-server.ts";

let cluster: TestCluster;
let redis: RedisServer | null;

beforeAll(async () => {
  [cluster, redis] = await Promise.all([TestCluster.start(), RedisServer.start()]);
}, 60_000);

afterAll(async () => {
  await Promise.all([cluster?.close(), redis?.stop()]);
}, 30_000);

function portOf(index: number): number {
  const id = cluster.ids[index] ?? "";
  return cluster.addresses(id).resp.port;
}

type Send = (command: readonly string[]) => Promise<unknown>;

/** Every case's answer, or its error's text, as the client gives it. */
async function answers(send: Send): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const command of [["FLUSHDB"], ...CASES]) {
    const answer = await send(command).catch((error: Error) => `error: ${error.message}`);
    found.push([command.join(" "), answer]);
  }
  return found;
}

async function withIoredis<T>(port: number, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(port);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

async function withNodeRedis<T>(
  port: number,
  use: (client: Awaited<ReturnType<typeof connectNodeRedis>>) => Promise<T>,
): Promise<T> {
  const client = await connectNodeRedis(port);
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}

function connectNodeRedis(port: number) {
  return createClient({ url: `redis://127.0.0.1:${port}` }).connect();
}

const viaIoredis = (port: number): Promise<unknown[]> =>
  withIoredis(port, (client) => answers(([name = "", ...args]) => client.call(name, ...args)));

const viaNodeRedis = (port: number): Promise<unknown[]> =>
  withNodeRedis(port, (client) => answers((command) => client.sendCommand([...command])));

describe("the same answers as Redis", { timeout: 60_000 }, () => {
  test("at least 40 commands are compared", () => {
    expect(COMMANDS_USED).toBeGreaterThanOrEqual(40);
  });

  test("ioredis with default options", async ({ skip }) => {
    if (redis === null) return skip("redis-server is not installed");
    expect(await viaIoredis(portOf(0))).toEqual(await viaIoredis(redis.port));
  });

  test("node-redis with default options", async ({ skip }) => {
    if (redis === null) return skip("redis-server is not installed");
    expect(await viaNodeRedis(portOf(1))).toEqual(await viaNodeRedis(redis.port));
  });
});

describe("with a password", { timeout: 60_000 }, () => {
  const password = "correct horse / battery:staple@";
  let locked: TestCluster;

  beforeAll(async () => {
    locked = await TestCluster.start({ nodes: 1, password });
  }, 60_000);

  afterAll(async () => {
    await locked?.close();
  }, 30_000);

  const port = () => locked.addresses("n1").resp.port;

  test("ioredis", async () => {
    const right = new Redis(port(), { password });
    const named = new Redis({ port: port(), username: "default", password });
    const none = new Redis(port());
    const wrong = new Redis(port(), { password: "wrong" });
    for (const client of [none, wrong]) client.on("error", () => {});
    try {
      expect(await right.set("by:ioredis", "1")).toBe("OK");
      expect(await named.multi().incr("by:ioredis").get("by:ioredis").exec()).toEqual([
        [null, 2],
        [null, "2"],
      ]);
      await expect(none.get("by:ioredis")).rejects.toThrow(/^NOAUTH /);
      await expect(wrong.get("by:ioredis")).rejects.toThrow(/^(NOAUTH|WRONGPASS) /);
    } finally {
      for (const client of [right, named, none, wrong]) client.disconnect();
    }
  });

  test.each([2, 3] as const)("node-redis, RESP%i", async (RESP) => {
    const at = {
      RESP,
      socket: { port: port(), host: "127.0.0.1", reconnectStrategy: false },
    } as const;
    const right = createClient({ ...at, password });
    const url = `redis://default:${encodeURIComponent(password)}@127.0.0.1:${port()}`;
    const named = createClient({ RESP, url });
    for (const client of [right, named]) {
      await client.connect();
      expect(await client.set("by:node-redis", "1")).toBe("OK");
      expect(await client.multi().incr("by:node-redis").exec()).toEqual([2]);
      client.destroy();
    }
    const wrong = createClient({ ...at, password: "wrong" });
    wrong.on("error", () => {});
    await expect(wrong.connect()).rejects.toThrow(/WRONGPASS/);
    if (wrong.isOpen) wrong.destroy();
  });

  test("redis-cli", ({ skip }) => {
    if (!isInstalled("redis-cli")) return skip("redis-cli is not installed");
    const ask = (env: Record<string, string>) =>
      spawnSync("redis-cli", ["-p", String(port()), "ECHO", "said"], {
        encoding: "utf8",
        env: { ...process.env, ...env },
        timeout: 20_000,
      }).stdout.trim();
    expect(ask({ REDISCLI_AUTH: password })).toBe("said");
    expect(ask({})).toBe("NOAUTH Authentication required.");
  });
});

describe("clients work unmodified", { timeout: 60_000 }, () => {
  test("ioredis: pipelines, buffers, scan streams", async () => {
    await withIoredis(portOf(2), async (client) => {
      await client.flushdb();
      const pipeline = client.pipeline();
      for (let i = 0; i < 500; i += 1) pipeline.set(`key:${i}`, `value ${i}`).incr("pipelined");
      const results = (await pipeline.exec()) ?? [];
      expect(results.filter(([error]) => error !== null)).toEqual([]);
      expect(results.at(-1)).toEqual([null, 500]);
      const binary = Buffer.from([0, 255, 13, 10, 36]);
      await client.set("binary", binary);
      expect(await client.getBuffer("binary")).toEqual(binary);
      const keys = new Set<string>();
      for await (const page of client.scanStream({ match: "key:*", count: 50 })) {
        for (const key of page as string[]) keys.add(key);
      }
      expect(keys.size).toBe(500);
    });
  });

  test("node-redis: automatic pipelines and scan iterators", async () => {
    await withNodeRedis(portOf(2), async (client) => {
      await client.flushDb();
      const writes = Array.from({ length: 500 }, (_, i) => client.set(`key:${i}`, `value ${i}`));
      expect(new Set(await Promise.all(writes))).toEqual(new Set(["OK"]));
      expect(await client.mGet(["key:1", "none", "key:499"])).toEqual([
        "value 1",
        null,
        "value 499",
      ]);
      const keys = new Set<string>();
      for await (const page of client.scanIterator({ MATCH: "key:*", COUNT: 50 })) {
        for (const key of page) keys.add(key);
      }
      expect(keys.size).toBe(500);
      expect(await client.incrBy("count", 5)).toBe(5);
    });
  });

  test("what is written on one port is read on every other", async () => {
    for (const writer of cluster.ids.keys()) {
      await withIoredis(portOf(writer), (client) => client.set("shared", `by ${writer}`));
      for (const reader of cluster.ids.keys()) {
        const seen = await withIoredis(portOf(reader), (client) => client.get("shared"));
        expect(seen).toBe(`by ${writer}`);
      }
    }
  });

  test.for([[], ["-3"]])("redis-cli %s", async (flags, { skip }) => {
    if (!isInstalled("redis-cli")) return skip("redis-cli is not installed");
    const input = [
      "SET cli 'some text'",
      "GET cli",
      "INCR visits:cli",
      "GET none",
      "NOSUCH",
      "DEL visits:cli",
    ];
    const result = spawnSync("redis-cli", [...flags, "-p", String(portOf(0))], {
      input: `${input.join("\n")}\n`,
      encoding: "utf8",
      timeout: 20_000,
    });
    expect(result.stdout.trimEnd().split("\n")).toEqual([
      "OK",
      "some text",
      "1",
      "",
      "ERR unknown command 'NOSUCH', with args beginning with: ",
      "",
      "1",
    ]);
    expect(result.status).toBe(0);
  });

  test("redis-benchmark", async ({ skip }) => {
    if (!isInstalled("redis-benchmark")) return skip("redis-benchmark is not installed");
    const options = [
      "-t",
      "ping,set,get,incr,mset",
      "-n",
      "1000",
      "-c",
      "20",
      "-P",
      "4",
      "-d",
      "128",
    ];
    const result = spawnSync("redis-benchmark", ["-p", String(portOf(0)), ...options, "--csv"], {
      encoding: "utf8",
      timeout: 50_000,
    });
    const tests = result.stdout.split("\n").filter((line) => /^"[A-Z]+.*","\d/.test(line));
    expect(tests.map((line) => /^"(\w+)/.exec(line)?.[1])).toEqual([
      "PING_INLINE",
      "PING_MBULK",
      "SET",
      "GET",
      "INCR",
      "MSET",
    ]);
    expect(result.status).toBe(0);
  });
});
