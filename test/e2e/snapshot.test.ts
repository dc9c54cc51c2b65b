import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import type { RespClient } from "../../src/client/resp-client.ts";
import { TestCluster } from "./cluster.ts";

/** Several times what the leader keeps of applied entries for followers that lag. */
const VALUES = 80;
const VALUE_BYTES = 100_000;
const RETAINED_BYTES = 2 << 20;

let cluster: TestCluster | null = null;

afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

const valueAt = (i: number) => `${i}:`.padEnd(VALUE_BYTES, String(i % 10));

async function localGet(client: RespClient, key: string): Promise<string | null> {
  const reply = await client.call("TREFOIL.WITH", "R", "local", "--", "GET", key);
  if (reply.kind === "null") return null;
  if (reply.kind !== "bulk") throw new Error(JSON.stringify(reply));
  return Buffer.from(reply.bytes).toString();
}

/** The follower holds what was written while it was away, and nothing that was deleted. */
async function expectWhole(client: RespClient): Promise<void> {
  for (let i = 0; i < VALUES; i += 1) {
    const expected = i % 3 === 0 ? null : valueAt(i);
    expect(await localGet(client, `key:${i}`), `key ${i}`).toBe(expected);
  }
  expect(await localGet(client, "before")).toBe("kept");
  expect(await localGet(client, "gone")).toBeNull();
}

describe("a follower that comes back after its entries are compacted", () => {
  test("gets the state as a snapshot, and has it on disk", { timeout: 120_000 }, async () => {
    const env = {
      TREFOIL_CHECKPOINT_BYTES: String(1 << 20),
      TREFOIL_RETAINED_BYTES: String(RETAINED_BYTES),
    };
    const started = await TestCluster.start({ env });
    cluster = started;
    const leader = await started.waitLeader();
    const client = await started.client(leader, 20_000);
    await client.call("MSET", "before", "kept", "gone", "soon");
    const behind = started.ids.find((id) => id !== leader) ?? "";
    await started.kill(behind);
    await client.call("DEL", "gone");
    for (let i = 0; i < VALUES; i += 1) {
      const reply = await client.call("SET", `key:${i}`, valueAt(i));
      expect(reply).toMatchObject({ text: "OK" });
      if (i % 3 === 0) await client.call("DEL", `key:${i}`);
    }
    await started.restart(behind);
    const commitIndex = async () => (await started.status(leader))?.keyspaces[0]?.commitIndex ?? 0;
    const appliedIndex = async () => (await started.status(behind))?.keyspaces[0]?.appliedIndex;
    const wanted = await commitIndex();
    await expect.poll(appliedIndex, { timeout: 60_000 }).toBeGreaterThanOrEqual(wanted);
    const log = readFileSync(started.node(behind).logFile, "utf8");
    expect(log).toContain("snapshot-switch");
    await expectWhole(await started.client(behind, 20_000));
    await started.kill(behind);
    await started.restart(behind);
    await expect.poll(appliedIndex, { timeout: 60_000 }).toBeGreaterThanOrEqual(wanted);
    await expectWhole(await started.client(behind, 20_000));
  });
});
