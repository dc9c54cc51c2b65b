import { afterEach, describe, expect, test } from "vitest";
import type { RespClient } from "../../src/client/resp-client.ts";
import type { Reply } from "../../src/core/contract/reply.ts";
import { TestCluster } from "./cluster.ts";
import { readText, SteadyLoad } from "./load.ts";

let cluster: TestCluster | null = null;
let load: SteadyLoad | null = null;

afterEach(async () => {
  await load?.stop();
  await cluster?.close();
  load = null;
  cluster = null;
});

async function loadedCluster(): Promise<{ cluster: TestCluster; load: SteadyLoad }> {
  cluster = await TestCluster.start();
  await cluster.waitLeader();
  load = new SteadyLoad(cluster);
  await load.progress(200);
  return { cluster, load };
}

/** Waits until a node has applied what the leader has committed. */
async function caughtUp(of: TestCluster, id: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const leader = await of.waitLeader();
    const committed = (await of.status(leader))?.keyspaces[0]?.commitIndex;
    const applied = (await of.status(id))?.keyspaces[0]?.appliedIndex;
    if (committed !== undefined && applied !== undefined && applied >= committed) return;
    if (performance.now() > deadline) throw new Error(`${id}: ${applied} of ${committed}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

describe("nothing acknowledged is lost", { timeout: 90_000 }, () => {
  // How soon they go on is asserted on simulated time, in test/sim/scenario.test.ts: a loaded
  // machine would need a second try here, which would also forgive a write lost in the first.
  test("kill -9 of the leader: writes go on, and the killed node catches up", async () => {
    const { cluster, load } = await loadedCluster();
    const leader = await cluster.waitLeader();
    await cluster.kill(leader);
    // Each client has at most one command under way, which the dead leader may have answered: one
    // acknowledgement more than there are clients comes from the new leader.
    await load.progress(cluster.ids.length + 1);
    await load.progress(200);
    await cluster.restart(leader);
    await load.progress(200);
    await load.stop();
    await caughtUp(cluster, leader);
    expect(await load.violations(await cluster.client(leader))).toEqual([]);
  });

  test("kill -9 of all three, and a start", async () => {
    const { cluster, load } = await loadedCluster();
    await cluster.killAll();
    await Promise.all(cluster.ids.map((id) => Promise.resolve(cluster.start(id))));
    await cluster.waitReady();
    await load.progress(100);
    await load.stop();
    for (const id of cluster.ids) {
      expect(await load.violations(await cluster.client(id)), id).toEqual([]);
    }
  });

  test("SIGTERM of the leader hands over without an unknown outcome", async () => {
    const { cluster, load } = await loadedCluster();
    const leader = await cluster.waitLeader();
    expect(await cluster.stopNode(leader)).toMatchObject({ code: 0, signal: null });
    await load.progress(100);
    await load.stop();
    const rest = cluster.ids.filter((id) => id !== leader);
    expect(await load.violations(await cluster.client(rest[0] ?? ""))).toEqual([]);
  });
});

describe("two of three stopped", { timeout: 90_000 }, () => {
  const DEADLINE_MS = 500;

  /** Stops all but one node, and gives a function that connects to it. */
  async function survivor(): Promise<() => Promise<RespClient>> {
    cluster = await TestCluster.start();
    const leader = await cluster.waitLeader();
    const first = await cluster.client(leader);
    expect(await first.call("SET", "kept", "here")).toMatchObject({ text: "OK" });
    const left = cluster;
    const survivor = left.ids.find((id) => id !== leader) ?? "";
    await caughtUp(left, survivor);
    for (const id of left.ids) if (id !== survivor) await left.kill(id);
    return () => left.client(survivor, 20_000);
  }

  function within(client: RespClient, ...command: string[]): Promise<Reply> {
    return client.call("TREFOIL.WITH", "TIMEOUT", String(DEADLINE_MS), "--", ...command);
  }

  test("linearizable commands end at their deadline with an outcome; local reads answer", async () => {
    const stays = await survivor();
    const client = await stays();
    for (const command of [
      ["SET", "kept", "gone"],
      ["INCR", "n"],
      ["GET", "kept"],
    ]) {
      const begun = performance.now();
      const reply = await within(client, ...command);
      expect(performance.now() - begun).toBeLessThan(DEADLINE_MS + 5_000);
      expect(reply.kind, command.join(" ")).toBe("error");
      if (reply.kind !== "error") return;
      expect(reply.outcome).toBe(reply.code === "NOLEADER" ? "not-applied" : "unknown");
      expect(["NOLEADER", "TIMEOUT"]).toContain(reply.code);
    }
    // Also on the connection whose writes may yet be applied: they are not there to be seen.
    for (const reader of [client, await stays()]) {
      const local = await reader.call("TREFOIL.WITH", "R", "local", "--", "GET", "kept");
      expect(local).toEqual({ kind: "bulk", bytes: new Uint8Array(Buffer.from("here")) });
    }
    await expect(readText(client, "kept")).rejects.toThrow(/NOLEADER|TIMEOUT/);
  });
});
