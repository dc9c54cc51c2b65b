import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { ClusterStatus } from "../../src/host/cluster-status.ts";
import { plainReply } from "../../src/testing/sim/talk.ts";
import { ENTRY, TestCluster } from "./cluster.ts";

const WAIT = { timeout: 20_000, interval: 50 };
const SLOW = { timeout: 90_000 };

let cluster: TestCluster | null = null;
afterEach(async () => {
  await cluster?.close();
  cluster = null;
}, 30_000);

async function started(): Promise<TestCluster> {
  cluster = await TestCluster.start();
  return cluster;
}

/** A connection that answers in plain data. */
async function talker(of: TestCluster, id: string) {
  const client = await of.client(id, 10_000);
  return async (...words: string[]) => plainReply(await client.call(...words));
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** `trefoil …` against the cluster. */
function trefoil(of: TestCluster, ...args: string[]): Promise<Ended> {
  return run(of, args, "");
}

function run(of: TestCluster, args: readonly string[], input: string): Promise<Ended> {
  const child = spawn(process.execPath, [ENTRY, ...args, "--dir", of.file.dir]);
  child.stdin.end(input);
  let out = "";
  let err = "";
  child.stdout.on("data", (bytes) => {
    out += String(bytes);
  });
  child.stderr.on("data", (bytes) => {
    err += String(bytes);
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, err })));
}

async function status(of: TestCluster): Promise<ClusterStatus> {
  const { http } = of.addresses(of.ids.find((id) => of.isRunning(id)) ?? "n1");
  const response = await fetch(`http://${http.host}:${http.port}/status`);
  return (await response.json()) as ClusterStatus;
}

describe("keyspaces", SLOW, () => {
  test("are created on one node, used on all, led by each, and outlive a restart", async () => {
    const of = await started();
    const one = await talker(of, "n1");
    for (const [i, name] of ["ledger", "carts"].entries()) {
      expect(await one("TREFOIL.KEYSPACE", "CREATE", name)).toMatchObject({ number: i + 1, name });
      expect(await one("SELECT", name)).toBe("OK");
      expect(await one("SET", "which", name)).toBe("OK");
    }
    for (const id of ["n2", "n3"]) {
      const other = await talker(of, id);
      for (const name of ["carts", "ledger"]) {
        expect(await other("SELECT", name)).toBe("OK");
        expect(await other("GET", "which")).toBe(name);
      }
      expect(await other("SELECT", "0")).toBe("OK");
      expect(await other("GET", "which")).toBeNull();
    }
    // Which node leads which is for the simulator to say: here a busy machine has its word, too.
    await vi.waitFor(async () => {
      const { keyspaces } = await status(of);
      expect(keyspaces.map(({ name, preferredLeader }) => [name, preferredLeader])).toEqual([
        ["default", "n1"],
        ["ledger", "n2"],
        ["carts", "n3"],
      ]);
      expect(new Set(keyspaces.map(({ leader }) => leader)).size).toBeGreaterThan(1);
    }, WAIT);

    expect(await one("TREFOIL.KEYSPACE", "DROP", "carts")).toMatchObject({ dropped: true });
    await of.killAll();
    of.startAll();
    await of.waitReady();
    const after = await talker(of, "n3");
    expect(await after("TREFOIL.KEYSPACE", "LIST")).toMatchObject([
      { name: "default", number: 0 },
      { name: "ledger", number: 1 },
    ]);
    expect(await after("SELECT", "1")).toBe("OK");
    expect(await after("GET", "which")).toBe("ledger");
    expect(await after("SELECT", "2")).toMatch(/^NOKEYSPACE/);
    expect(await after("TREFOIL.KEYSPACE", "CREATE", "carts")).toMatchObject({ number: 3 });
    expect(await after("SELECT", "carts")).toBe("OK");
    expect(await after("DBSIZE")).toBe(0);
  });

  test("keep what was acknowledged right before every node was killed", async () => {
    const of = await started();
    const one = await of.client("n2");
    const [created, selected, set] = await Promise.all([
      one.call("TREFOIL.KEYSPACE", "CREATE", "young"),
      one.call("SELECT", "young"),
      one.call("SET", "k", "v"),
    ]);
    await of.killAll();
    expect([plainReply(created), plainReply(selected), plainReply(set)]).toMatchObject([
      { number: 1 },
      "OK",
      "OK",
    ]);
    of.startAll();
    await of.waitReady();
    const after = await talker(of, "n3");
    expect(await after("SELECT", "young")).toBe("OK");
    expect(await after("GET", "k")).toBe("v");
  });

  test("go on without the node that led one, each by itself", async () => {
    const of = await started();
    const ids = of.ids;
    const one = await talker(of, "n1");
    await one("TREFOIL.KEYSPACE", "CREATE", "ledger", "LEADER", "n3");
    await one("SELECT", "ledger");
    await one("SET", "k", "1");
    const leader = await of.waitLeader(20_000, 1);
    await of.kill(leader);
    const survivor = await talker(of, ids.find((id) => id !== leader) ?? "");
    await survivor("SELECT", "ledger");
    await vi.waitFor(async () => expect(await survivor("INCR", "k")).toBe(2), WAIT);
    expect(await of.waitLeader(20_000, 1)).not.toBe(leader);
    await of.restart(leader);
    const back = await talker(of, leader);
    expect(await back("SELECT", "ledger")).toBe("OK");
    expect(await back("GET", "k")).toBe("2");
  });

  test("of the configuration are created when the cluster starts", async () => {
    const of = await TestCluster.create();
    cluster = of;
    // A configuration file says what a flag cannot; the tests' nodes take theirs from the folder's.
    const [first] = of.file.nodes;
    const config = join(of.folder, "n1.json");
    writeFileSync(config, JSON.stringify({ keyspaces: [{ name: "ledger", timeoutMs: 700 }] }));
    of.start("n2");
    of.start("n3");
    const args = [ENTRY, "serve", "--dir", join(of.file.dir, "n1"), "--config", config];
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    try {
      await vi.waitFor(async () => {
        const ready = await fetch(`http://${first!.http.host}:${first!.http.port}/ready`);
        expect(await ready.json()).toEqual({ ready: true, missing: [] });
      }, WAIT);
      const other = await talker(of, "n2");
      expect(await other("TREFOIL.KEYSPACE", "INFO", "ledger")).toMatchObject({
        number: 1,
        timeout: 700,
      });
    } finally {
      child.kill("SIGTERM");
      await ended;
    }
  });
});

describe("other clients", SLOW, () => {
  test("ioredis selects by number at the start, also right after the creation elsewhere", async () => {
    const of = await started();
    const one = await talker(of, "n1");
    await one("TREFOIL.KEYSPACE", "CREATE", "ledger");
    const store = new Redis(of.addresses("n3").resp.port, { db: 1, maxRetriesPerRequest: 0 });
    try {
      expect(await store.set("k", "v")).toBe("OK");
      expect(await store.info("keyspace")).toContain("db1:keys=1");
    } finally {
      store.disconnect();
    }
    expect(await one("EXISTS", "k")).toBe(0);
  });
});

describe("trefoil keyspace", SLOW, () => {
  test("creates, alters, shows and drops, with documents and exit codes", async () => {
    const of = await started();
    const run = (...args: string[]) => trefoil(of, "keyspace", ...args);
    expect(await run("create", "ledger")).toMatchObject({
      code: 0,
      out: "Keyspace ledger is created; its number is 1.\n",
    });
    const again = await run("create", "ledger", "--json");
    expect(again.code).toBe(1);
    expect(JSON.parse(again.out)).toMatchObject({
      error: { code: "KEYSPACE_EXISTS", outcome: "not-applied" },
    });
    expect((await run("create", "ledger", "--if-not-exists")).code).toBe(0);
    const altered = await run("alter", "ledger", "--leader", "n1", "--schema", "2", "--json");
    expect(JSON.parse(altered.out)).toMatchObject({
      keyspace: { name: "ledger", version: 2, schema: 2, preferred: "n1" },
    });
    const list = JSON.parse((await run("list", "--json")).out) as { keyspaces: unknown };
    expect(list.keyspaces).toMatchObject([
      { name: "default", number: 0, model: "singleLeader" },
      { name: "ledger", number: 1, version: 2 },
    ]);
    expect((await run("info", "1")).out).toContain("ledger");
    expect(await run("create", "Bad")).toMatchObject({ code: 1 });
    expect(await run("create", "b", "--model", "leaderless")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^MODEL .* later version .* not-applied\n$/),
    });
    expect(await run("drop", "ledger")).toMatchObject({
      code: 0,
      out: "Keyspace ledger, number 1, is dropped.\n",
    });
    expect((await run("drop", "ledger")).code).toBe(1);
    expect((await run("drop", "ledger", "--if-exists")).code).toBe(0);
    expect((await run("create")).code).toBe(2);
    expect((await run("list", "--port", "1")).code).toBe(3);
    const shown = await trefoil(of, "status");
    expect(shown.out).toContain("Catalog of the keyspaces, leader n");
    expect(shown.out).not.toContain("ledger");
  });

  test("the shell does not go on in another keyspace than the one selected", async () => {
    const of = await started();
    const lines = [
      "TREFOIL.KEYSPACE CREATE orders",
      "SELECT orders",
      "TREFOIL.KEYSPACE DROP orders",
      "\\node 2",
      "DBSIZE",
    ];
    const { code, out, err } = await run(of, ["shell"], lines.join("\n"));
    expect(err).toMatch(/^orders cannot be selected again, so nothing was sent: NOKEYSPACE /);
    expect(err).toContain("Commands go to keyspace 0 from now on.");
    expect([code, out.trimEnd().split("\n").at(-1)]).toEqual([1, "(integer) 0"]);
  });
});
