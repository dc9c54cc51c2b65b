import { Redis } from "ioredis";
import { createClient } from "redis";
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

const portOf = (index: number) => cluster.addresses(cluster.ids[index] ?? "").resp.port;

const ACCOUNTS = ["savings", "current", "cash"];
const TOTAL = 3_000;
const TRANSFERS = 60;

/** Moves money in a transaction, again and again, and never sends one twice. */
async function transferring(client: RespClient, first: number): Promise<void> {
  for (let i = 0; i < TRANSFERS; i += 1) {
    const from = ACCOUNTS[(first + i) % 3] ?? "";
    const to = ACCOUNTS[(first + i + 1) % 3] ?? "";
    const amount = String(1 + (i % 7));
    await Promise.all([
      client.call("MULTI"),
      client.call("DECRBY", from, amount),
      client.call("INCRBY", to, amount),
      client.call("EXEC"),
    ]);
  }
}

/** The sum, read in a transaction: half a transfer would show. */
async function readSum(client: RespClient): Promise<number> {
  const [, , reply] = await Promise.all([
    client.call("MULTI"),
    client.call("MGET", ...ACCOUNTS),
    client.call("EXEC"),
  ]);
  if (reply.kind !== "array" || reply.items[0]?.kind !== "array") throw new Error(reply.kind);
  const balances = reply.items[0].items.map((item) => {
    return item.kind === "bulk" ? Number(Buffer.from(item.bytes).toString()) : Number.NaN;
  });
  return balances.reduce((sum, balance) => sum + balance, 0);
}

describe("MULTI and EXEC", { timeout: 60_000 }, () => {
  test("nobody sees half a transaction, whichever node takes it", async () => {
    const clients = await Promise.all(cluster.ids.map((id) => cluster.client(id, 20_000)));
    const [reader] = clients;
    await reader!.call("MSET", ...ACCOUNTS.flatMap((name) => [name, String(TOTAL / 3)]));
    let open = true;
    const writing = Promise.all(clients.map(transferring)).finally(() => {
      open = false;
    });
    let reads = 0;
    while (open) {
      for (const sum of await Promise.all(clients.map(readSum))) expect(sum).toBe(TOTAL);
      reads += 1;
    }
    await writing;
    expect(reads).toBeGreaterThan(5);
    for (const client of clients) expect(await readSum(client)).toBe(TOTAL);
  });

  test("below a majority there is none, and what was queued is not executed", async () => {
    const client = await cluster.client(cluster.ids[1] ?? "");
    await client.call("MULTI");
    await client.call("SET", "asked", "too little");
    const withLeader = ["TREFOIL.WITH", "W", "leader", "--"];
    expect(await client.call(...withLeader, "EXEC")).toMatchObject({
      code: "CONCERN",
      outcome: "not-applied",
    });
    expect(await client.call("EXEC")).toMatchObject({ message: "EXEC without MULTI" });
    await client.call("MULTI");
    expect(await client.call(...withLeader, "GET", "asked")).toMatchObject({ kind: "error" });
    expect(await client.call("EXEC")).toMatchObject({ code: "EXECABORT" });
    await client.call("MULTI");
    await client.call("SET", "asked for all", "yes");
    const all = await client.call("TREFOIL.WITH", "W", "all", "META", "--", "EXEC");
    expect(all).toMatchObject({ kind: "array", items: [{ kind: "array" }, {}] });
    await client.call("TREFOIL.DEFAULTS", "W", "leader");
    await client.call("MULTI");
    await client.call("SET", "asked", "too little");
    expect(await client.call("EXEC")).toMatchObject({ code: "CONCERN", outcome: "not-applied" });
    await client.call("TREFOIL.DEFAULTS", "W", "majority");
    expect(await client.call("GET", "asked")).toMatchObject({ kind: "null" });
  });

  test("ioredis and node-redis use it as they use Redis", async () => {
    const ioredis = new Redis(portOf(0));
    const results = await ioredis.multi().set("a", "1").incr("a").get("a").exec();
    expect(results).toEqual([
      [null, "OK"],
      [null, 2],
      [null, "2"],
    ]);
    ioredis.disconnect();
    const node = await createClient({ url: `redis://127.0.0.1:${portOf(2)}` }).connect();
    expect(await node.multi().set("b", "1").incr("b").get("b").exec()).toEqual(["OK", 2, "2"]);
    node.destroy();
  });
});
