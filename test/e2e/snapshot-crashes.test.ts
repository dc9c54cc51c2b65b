import { readFileSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { RespClient } from "../../src/client/resp-client.ts";
import { Prng } from "../../src/core/base/prng.ts";
import type { NodeId } from "../../src/core/contract/ids.ts";
import { TestCluster } from "./cluster.ts";
import { VersionWriter } from "./version-writer.ts";

/** A lane of its own runs more: `CRASHES=200 npx vitest run test/e2e/snapshot-crashes.test.ts`. */
const CRASHES = Number(process.env["CRASHES"] ?? 2);
const SEED = Number(process.env["CRASH_SEED"] ?? Date.now() % 1_000_000);

/** So much state that a snapshot takes many chunks, and so little kept that everybody needs one. */
const BALLAST_KEYS = 100;
const BALLAST_BYTES = 100_000;
const ENV = {
  TREFOIL_CHECKPOINT_BYTES: String(64 << 10),
  TREFOIL_RETAINED_BYTES: "0",
};

let cluster: TestCluster | null = null;

afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

async function localText(client: RespClient, key: string): Promise<string | null> {
  const reply = await client.call("TREFOIL.WITH", "R", "local", "--", "GET", key);
  if (reply.kind === "bulk") return Buffer.from(reply.bytes).toString();
  if (reply.kind === "null") return null;
  throw new Error(`${key}: ${JSON.stringify(reply)}`);
}

/** How often a node's log has the mark: how many snapshots it took in, or went on with. */
function marks(started: TestCluster, id: NodeId, mark: string): number {
  return readFileSync(started.node(id).logFile, "utf8").split(`"${mark}"`).length - 1;
}

/** Waits until a log has the mark behind `from`, but not for ever: it need not come. */
async function waitForMark(logFile: string, from: number, mark: string): Promise<void> {
  const file = await open(logFile);
  try {
    const buffer = Buffer.alloc(1 << 20);
    let at = from;
    const isThere = async () => {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      const text = buffer.toString("latin1", 0, bytesRead);
      // A line may have been read in part: from its beginning again.
      at += text.lastIndexOf("\n") + 1;
      return text.includes(`"${mark}"`);
    };
    const until = performance.now() + 10_000;
    while (!(await isThere()) && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  } finally {
    await file.close();
  }
}

async function fill(client: RespClient): Promise<void> {
  for (let i = 0; i < BALLAST_KEYS; i += 1) {
    const reply = await client.call("SET", `ballast:${i}`, `${i}:`.padEnd(BALLAST_BYTES, "b"));
    expect(reply).toMatchObject({ text: "OK" });
  }
}

/** Waits until the node has applied all that the leader has committed by now. */
async function caughtUp(started: TestCluster, id: NodeId): Promise<void> {
  const leader = await started.waitLeader(20_000);
  const wanted = (await started.status(leader))?.keyspaces[0]?.commitIndex ?? 0;
  const applied = async () => (await started.status(id))?.keyspaces[0]?.appliedIndex ?? 0;
  await expect.poll(applied, { timeout: 30_000 }).toBeGreaterThanOrEqual(wanted);
}

class Rounds {
  readonly #started: TestCluster;
  readonly #prng = new Prng(SEED);
  readonly #writer = new VersionWriter(new Prng(SEED, 1));

  constructor(started: TestCluster) {
    this.#started = started;
  }

  /** A follower comes back to a leader that has no entries for it; one end or both are killed. */
  async run(round: number): Promise<void> {
    const started = this.#started;
    const leader = await started.waitLeader(20_000);
    const others = started.ids.filter((id) => id !== leader);
    const behind = this.#prng.pick(others);
    await started.kill(behind);
    const client = await started.client(leader);
    const running = this.#writer.run(client);
    const enough = this.#writer.writes + 1_000;
    const poll = { timeout: 30_000, interval: 5 };
    await expect.poll(() => this.#writer.writes, poll).toBeGreaterThan(enough);
    // Under load the leader soon has no entries behind the snapshot any more, and sends another.
    if (this.#prng.chance(2, 3)) client.close();
    const { logFile } = started.node(leader);
    const from = statSync(logFile).size;
    started.start(behind);
    await waitForMark(logFile, from, "snapshot-send");
    await new Promise((resolve) => setTimeout(resolve, this.#prng.between(0, 400)));
    const victims = this.#prng.pick([[behind], [leader], [behind, leader], []]);
    await Promise.all(victims.map((id) => started.kill(id)));
    client.close();
    await running;
    for (const id of victims) started.start(id);
    await started.waitReady(30_000);
    await this.#judge(`round ${round} of seed ${SEED}: ${victims.join(", ")}`);
  }

  /** Every node has what was acknowledged, and nothing that was not sent. */
  async #judge(what: string): Promise<void> {
    const started = this.#started;
    const [first = ""] = started.ids;
    expect(await this.#writer.violations(await started.client(first)), what).toEqual([]);
    for (const id of started.ids) {
      await caughtUp(started, id);
      const client = await started.client(id, 10_000);
      const found = await this.#writer.violations(client, localText);
      expect(found, `${what}, on ${id}`).toEqual([]);
      const ballast = this.#prng.below(BALLAST_KEYS);
      const text = await localText(client, `ballast:${ballast}`);
      expect(text, `${what}, on ${id}`).toBe(`${ballast}:`.padEnd(BALLAST_BYTES, "b"));
      client.close();
    }
  }
}

describe("nodes that are killed while a snapshot is on its way", () => {
  test(`lose and invent nothing, ${CRASHES} times`, {
    timeout: 60_000 + CRASHES * 20_000,
  }, async () => {
    const started = await TestCluster.start({ env: ENV });
    cluster = started;
    await fill(await started.client(await started.waitLeader()));
    const rounds = new Rounds(started);
    for (let round = 1; round <= CRASHES; round += 1) await rounds.run(round);
    const counts = (mark: string) =>
      started.ids.reduce((sum, id) => sum + marks(started, id, mark), 0);
    // Whoever comes back gets a snapshot: a run without one proves nothing.
    expect(counts("snapshot-switch")).toBeGreaterThan(0);
    expect(counts("damaged")).toBe(0);
    if (process.env["CRASHES"] === undefined) return;
    const shown = ["snapshot-send", "snapshot-switch", "snapshot-resumed", "snapshot-resume"];
    console.log(shown.map((mark) => `${mark}: ${counts(mark)}`).join(", "));
  });
});
