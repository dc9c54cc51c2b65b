import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RespClient } from "../../src/client/resp-client.ts";
import { TestCluster } from "./cluster.ts";

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.waitLeader();
}, 60_000);

afterAll(async () => {
  await cluster?.close();
}, 30_000);

async function ask(client: RespClient, ...words: string[]): Promise<unknown> {
  const reply = await client.call(...words);
  if (reply.kind === "bulk") return Buffer.from(reply.bytes).toString();
  return reply.kind === "integer" ? reply.value : reply.kind;
}

/** Until the answer is as wished: expiry is a matter of time, and how much is not tested. */
async function until(wished: unknown, answer: () => Promise<unknown>): Promise<void> {
  for (;;) {
    if ((await answer()) === wished) return;
    await sleep(20);
  }
}

describe("expiry", { timeout: 60_000 }, () => {
  test("a key is there until its time is up, and then on no node", async () => {
    const [first, ...others] = await Promise.all(cluster.ids.map((id) => cluster.client(id)));
    await first!.call("SET", "short", "v", "PX", "300");
    await first!.call("SET", "long", "v", "EX", "1000");
    await until("null", () => ask(first!, "GET", "short"));
    for (const client of others) {
      expect(await ask(client, "GET", "short")).toBe("null");
      expect(await ask(client, "TTL", "short")).toBe(-2);
      expect(await ask(client, "GET", "long")).toBe("v");
      const left = Number(await ask(client, "TTL", "long"));
      expect(left > 900 && left <= 1000).toBe(true);
      // The clock of the node that is asked counts, and it never shows less than nothing.
      expect(Number(await ask(client, "PTTL", "long"))).toBeGreaterThan(900_000);
    }
  });

  test("nobody has to ask for a dead key to be removed everywhere", async () => {
    const client = await cluster.client(cluster.ids[0] ?? "");
    await client.call("FLUSHDB");
    for (let i = 0; i < 500; i += 1) await client.call("SET", `k${i}`, "v", "PX", "50");
    await until(0, () => ask(client, "DBSIZE"));
    for (const id of cluster.ids) {
      const local = ["TREFOIL.WITH", "R", "local", "--", "DBSIZE"];
      const other = await cluster.client(id);
      await until(0, () => ask(other, ...local));
    }
  });

  test("a deadline outlives a restart of all nodes, and passes while they are down", async () => {
    const client = await cluster.client(cluster.ids[0] ?? "");
    await client.call("SET", "soon", "v", "PX", "200");
    await client.call("SET", "late", "v", "EX", "1000");
    await cluster.killAll();
    await sleep(300);
    await Promise.all(cluster.ids.map((id) => cluster.restart(id)));
    await cluster.waitLeader();
    const again = await cluster.client(cluster.ids[1] ?? "");
    await until("v", () => ask(again, "GET", "late"));
    await until("null", () => ask(again, "GET", "soon"));
    expect(Number(await ask(again, "TTL", "late"))).toBeGreaterThan(900);
  });
});

describe("WATCH", { timeout: 60_000 }, () => {
  test("of two that read and write the same, one is told to read again", async () => {
    const ports = cluster.ids.map((id) => cluster.addresses(id).resp.port);
    const [ann, bob] = [new Redis(ports[1]!), new Redis(ports[2]!)];
    try {
      await ann.set("stock", "1");
      await Promise.all([ann.watch("stock"), bob.watch("stock")]);
      expect([await ann.get("stock"), await bob.get("stock")]).toEqual(["1", "1"]);
      const both = await Promise.all([
        ann.multi().decr("stock").set("buyer", "ann").exec(),
        bob.multi().decr("stock").set("buyer", "bob").exec(),
      ]);
      expect(both.filter((result) => result === null)).toHaveLength(1);
      expect(await ann.get("stock")).toBe("0");
      expect(await bob.get("buyer")).toBe(both[0] === null ? "bob" : "ann");
    } finally {
      ann.disconnect();
      bob.disconnect();
    }
  });

  test("sent in one go with what depends on it", async () => {
    const client = await cluster.client(cluster.ids[1] ?? "");
    await client.call("SET", "k", "1");
    const replies = await Promise.all(
      [
        ["WATCH", "k"],
        ["GET", "k"],
        ["MULTI"],
        ["INCR", "k"],
        ["EXEC"],
        ["WATCH", "k"],
        ["SET", "k", "10"],
        ["MULTI"],
        ["INCR", "k"],
        ["EXEC"],
        ["GET", "k"],
      ].map((words) => client.call(...words)),
    );
    expect(replies.map(({ kind }) => kind)).toEqual([
      ...["simple", "bulk", "simple", "simple", "array"],
      ...["simple", "simple", "simple", "simple", "null", "bulk"],
    ]);
    expect(await ask(client, "GET", "k")).toBe("10");
  });

  test("a key that dies before EXEC makes it carry out nothing", async () => {
    const client = await cluster.client(cluster.ids[2] ?? "");
    await client.call("SET", "lease", "mine", "PX", "150");
    await client.call("WATCH", "lease");
    const other = await cluster.client(cluster.ids[0] ?? "");
    await until("null", () => ask(other, "GET", "lease"));
    await client.call("MULTI");
    await client.call("SET", "work", "done");
    expect((await client.call("EXEC")).kind).toBe("null");
    expect(await ask(client, "EXISTS", "work")).toBe(0);
  });
});
