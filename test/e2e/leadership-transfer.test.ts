import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { RespClient } from "../../src/client/resp-client.ts";
import type { NodeId } from "../../src/core/contract/ids.ts";
import { EXIT } from "../../src/host/exit-codes.ts";
import { ENTRY, TestCluster } from "./cluster.ts";
import { SteadyLoad } from "./load.ts";

/** On a busy machine a node may be late: what was refused with certainty is asked again. */
const PATIENT = { timeout: 60_000, interval: 100 };

const within = (ms: number) => ["TREFOIL.WITH", "TIMEOUT", String(ms), "--"];

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
}, 60_000);

afterAll(async () => {
  await cluster?.close();
}, 30_000);

async function transfer(client: RespClient, ...words: string[]): Promise<string> {
  const command = [...within(5_000), "TREFOIL.MEMBER", "TRANSFER", ...words];
  const reply = await client.callWithin(20_000, command);
  if (reply.kind === "simple") return reply.text;
  return reply.kind === "error" ? `${reply.code} ${reply.outcome}: ${reply.message}` : reply.kind;
}

/** Asks until it is done: the node leads, and says so itself. */
async function move(client: RespClient, target: NodeId): Promise<void> {
  await vi.waitFor(async () => {
    expect(await transfer(client, "TO", target)).toBe("OK");
    expect(await leaderAt(target)).toBe(target);
  }, PATIENT);
}

/** Runs `trefoil member …` beside the cluster's data. */
function member(...args: string[]) {
  const command = [ENTRY, "member", ...args, "--dir", "data"];
  const child = spawn(process.execPath, command, { cwd: cluster.folder });
  const parts = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    parts.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    parts.err += chunk;
  });
  return new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, ...parts }));
  });
}

async function leaderAt(id: NodeId): Promise<NodeId | null | undefined> {
  return (await cluster.status(id))?.keyspaces[0]?.leader;
}

describe("leadership is moved while every node is being written to", { timeout: 240_000 }, () => {
  test("to each node in turn, asked of each in turn: nothing acknowledged is lost", async () => {
    const load = new SteadyLoad(cluster);
    await load.progress(100, 60_000);
    const clients = await Promise.all(cluster.ids.map((id) => cluster.client(id)));
    for (let round = 0; round < 6; round += 1) {
      const target = cluster.ids[round % 3]!;
      const asked = clients[(round + Math.floor(round / 3)) % 3]!;
      await move(asked, target);
      await load.progress(50, 60_000);
    }
    await vi.waitFor(async () => {
      const before = await cluster.waitLeader();
      expect(await transfer(clients[0]!)).toBe("OK");
      expect(await cluster.waitLeader()).not.toBe(before);
    }, PATIENT);
    await load.progress(100, 60_000);
    await load.stop();
    expect(await load.violations(clients[1]!)).toEqual([]);
  });

  test("what cannot be is refused, and says that nothing was done", async () => {
    const leader = await cluster.waitLeader();
    const client = await cluster.client(leader);
    expect(await transfer(client, "TO", "n9")).toMatch(
      /^TRANSFER_REFUSED not-applied: n9 is no voter of this keyspace; its voters are n1, n2, n3\.$/,
    );
    const down = cluster.ids.find((id) => id !== leader)!;
    await cluster.kill(down);
    await vi.waitFor(async () => {
      const refusal = /^TRANSFER_REFUSED not-applied: N\d is down or cut off/;
      expect(await transfer(client, "TO", down)).toMatch(refusal);
    }, PATIENT);
    await cluster.restart(down);
    await move(client, down);
  });

  test("a node that hangs does not keep the writes waiting for longer than an election", async () => {
    const leader = await cluster.waitLeader();
    const [hung, other] = cluster.ids.filter((id) => id !== leader) as [NodeId, NodeId];
    const client = await cluster.client(other);
    await cluster.kill(hung, "SIGSTOP");
    try {
      const asked = transfer(client, "TO", hung);
      const written = await client.callWithin(20_000, [...within(15_000), "SET", "meanwhile", "1"]);
      expect(written).toMatchObject({ text: "OK" });
      const outcome = await asked;
      expect(outcome).toMatch(/^(TIMEOUT unknown|TRANSFER_REFUSED not-applied)/);
    } finally {
      await cluster.kill(hung, "SIGCONT");
    }
    // It may campaign by the leader's late word; whoever leads, what was acknowledged is there.
    await vi.waitFor(() => cluster.waitLeader(), PATIENT);
    const reply = await client.callWithin(20_000, [...within(15_000), "GET", "meanwhile"]);
    expect(reply).toMatchObject({ kind: "bulk" });
  });

  test("the command line", async () => {
    const leader = await cluster.waitLeader();
    const target = cluster.ids.find((id) => id !== leader)!;
    await vi.waitFor(async () => {
      const moved = await member("transfer", "--to", target.slice(1), "--timeout", "15000");
      expect(moved).toEqual({ code: EXIT.ok, out: `${target} leads keyspace default.\n`, err: "" });
      const again = await member("transfer", "-k", "default", "--to", target, "--json");
      expect(again).toMatchObject({ code: EXIT.ok, err: "" });
      expect(JSON.parse(again.out)).toEqual({ keyspace: "default", leader: target });
    }, PATIENT);

    const list = await member("list");
    const lines = list.out.trim().split("\n");
    expect(lines.map((line) => line.trim().split(/ {2,}/)[1])).toEqual(["node", "n1", "n2", "n3"]);
    const { voters } = JSON.parse((await member("list", "--json")).out);
    expect(voters).toHaveLength(3);

    const wrong = await member("transfer", "--to", "9", "--json");
    expect(wrong.code).toBe(EXIT.failed);
    expect(JSON.parse(wrong.out)).toMatchObject({
      error: { code: "TRANSFER_REFUSED", outcome: "not-applied" },
    });
    const none = await member("transfer", "--keyspace", "none");
    expect([none.code, none.err]).toEqual([EXIT.failed, expect.stringContaining("NOKEYSPACE")]);
    const unknown = await member("promote");
    expect([unknown.code, unknown.err]).toEqual([
      EXIT.usage,
      expect.stringContaining("unknown command"),
    ]);
  });
});
