import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TestCluster } from "./cluster.ts";

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ env: { TREFOIL_CHECKPOINT_BYTES: "65536" } });
  await cluster.waitLeader();
}, 60_000);

afterAll(async () => {
  await cluster?.close();
}, 30_000);

function portOf(index: number): number {
  return cluster.addresses(cluster.ids[index] ?? "").resp.port;
}

async function withIoredis<T>(index: number, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(portOf(index));
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

const PERSON = { name: "Ann", town: "Köln", empty: "", "0": "zero" };

describe("hashes and sets on three nodes", { timeout: 120_000 }, () => {
  test("ioredis on one node sees what it wrote on another", async () => {
    await withIoredis(0, async (client) => {
      expect(await client.hset("person", PERSON)).toBe(4);
      expect(await client.hincrby("person", "visits", 3)).toBe(3);
      expect(await client.sadd("tags", "b", "a", "c")).toBe(3);
    });
    await withIoredis(1, async (client) => {
      expect(await client.hgetall("person")).toEqual({ ...PERSON, visits: "3" });
      expect(await client.hmget("person", "name", "none")).toEqual(["Ann", null]);
      expect(await client.smembers("tags")).toEqual(["a", "b", "c"]);
      const done = await client
        .multi()
        .srem("tags", "c")
        .hdel("person", "visits")
        .hlen("person")
        .exec();
      expect(done).toEqual([
        [null, 1],
        [null, 1],
        [null, 4],
      ]);
    });
  });

  test("node-redis, in RESP3 too", async () => {
    const client = createClient({ url: `redis://127.0.0.1:${portOf(2)}`, RESP: 3 });
    await client.connect();
    try {
      expect({ ...(await client.hGetAll("person")) }).toEqual(PERSON);
      expect([...(await client.sMembers("tags"))]).toEqual(["a", "b"]);
      expect(await client.hRandFieldCountWithValues("person", 10)).toHaveLength(4);
      expect(await client.sIsMember("tags", "a")).toBe(1);
      const fields: string[] = [];
      for await (const page of client.hScanIterator("person")) {
        fields.push(...page.map(({ field }) => field));
      }
      expect(fields.sort()).toEqual(Object.keys(PERSON).sort());
    } finally {
      client.destroy();
    }
  });

  test("every member is popped once, by whichever node", async () => {
    const members = Array.from({ length: 60 }, (_, i) => `job${i}`);
    await withIoredis(0, (client) => client.sadd("jobs", ...members));
    const popped = await Promise.all(
      [0, 1, 2].map((index) =>
        withIoredis(index, async (client) => {
          const mine: string[] = [];
          for (let job = await client.spop("jobs"); job !== null; job = await client.spop("jobs")) {
            mine.push(job);
          }
          return mine;
        }),
      ),
    );
    expect(popped.flat().sort()).toEqual([...members].sort());
  });

  test("they outlive a restart of all nodes, from checkpoints and log", async () => {
    const many = Array.from({ length: 3000 }, (_, i) => [`field${i}`, `value of ${i}`] as const);
    await withIoredis(0, async (client) => {
      // Several checkpoints' worth, so that much of it is read from the store afterwards.
      for (let from = 0; from < many.length; from += 100) {
        await client.hset("many", Object.fromEntries(many.slice(from, from + 100)));
      }
      await client.copy("many", "gone");
      await client.del("gone");
    });
    await cluster.killAll();
    await Promise.all(cluster.ids.map((id) => cluster.restart(id)));
    await cluster.waitLeader();
    await withIoredis(1, async (client) => {
      expect(await client.hgetall("many")).toEqual(Object.fromEntries(many));
      expect(await client.hlen("many")).toBe(3000);
      expect(await client.hgetall("person")).toEqual(PERSON);
      expect(await client.smembers("tags")).toEqual(["a", "b"]);
      expect(await client.exists("gone", "jobs")).toBe(0);
      expect(await client.hdel("many", ...many.map(([field]) => field))).toBe(3000);
      expect(await client.exists("many")).toBe(0);
      expect(await client.dbsize()).toBe(2);
    });
  });
});
