import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { RespClientError } from "../../src/client/resp-client.ts";
import { EXIT } from "../../src/host/exit-codes.ts";
import { TestCluster } from "./cluster.ts";

let cluster: TestCluster | null = null;

afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

const HELLO = { kind: "bulk", bytes: new Uint8Array(Buffer.from("hello")) };

describe("a cluster of three", () => {
  it("hands leadership over when its leader is stopped, and takes the node back", async () => {
    cluster = await TestCluster.start();
    const leader = await cluster.waitLeader();
    const [other] = cluster.ids.filter((id) => id !== leader);
    const client = await cluster.client(other!);
    expect(await client.call("SET", "greeting", "hello")).toMatchObject({ text: "OK" });
    expect(await cluster.stopNode(leader)).toEqual({ code: EXIT.ok, signal: null });
    expect(readFileSync(cluster.node(leader).logFile, "utf8")).toContain('"msg":"stopped"');
    expect(await client.call("GET", "greeting")).toEqual(HELLO);
    expect(await cluster.waitLeader()).not.toBe(leader);
    await cluster.restart(leader);
    const back = await cluster.client(leader);
    expect(await back.call("GET", "greeting")).toEqual(HELLO);
  });

  it("logs no key and no value, whatever happens to it", async () => {
    cluster = await TestCluster.start();
    const client = await cluster.client("n1");
    await client.call("SET", "s3cret-key", "s3cret-value");
    await client.call("INCR", "s3cret-key");
    await client.call("s3cret-command");
    await cluster.kill(await cluster.waitLeader());
    await cluster.waitLeader();
    await cluster.stop();
    for (const node of cluster.nodes) {
      const log = readFileSync(node.logFile, "utf8");
      expect(log).toContain('"msg":"serving"');
      expect(log).not.toMatch(/s3cret/i);
      for (const line of log.trimEnd().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
    }
  });
});

const hasPrlimit = spawnSync("prlimit", ["--version"]).status === 0;
if (!hasPrlimit) console.warn("prlimit is not installed: the test of a failing disk is skipped.");

describe("a node whose disk fails", () => {
  it.skipIf(!hasPrlimit)("stops without acknowledging, and has what it acknowledged", async () => {
    cluster = await TestCluster.start({ nodes: 1 });
    const node = cluster.node("n1");
    const client = await cluster.client("n1");
    expect(await client.call("SET", "greeting", "hello")).toMatchObject({ text: "OK" });
    // From now on a write beyond the first page of any file fails.
    spawnSync("prlimit", ["--pid", String(node.pid), "--fsize=4096"]);
    const failure = await client.call("SET", "lost", "x".repeat(20_000)).then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(RespClientError);
    expect((failure as RespClientError).outcome).toBe("unknown");
    expect(await node.exited).toEqual({ code: EXIT.disk, signal: null });
    expect(readFileSync(node.logFile, "utf8")).toContain("the node stops: write log-");
    await cluster.restart("n1");
    expect(await (await cluster.client("n1")).call("GET", "greeting")).toEqual(HELLO);
  });
});
