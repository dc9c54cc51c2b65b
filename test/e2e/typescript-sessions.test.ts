import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, defineKeyspaces, singleLeader, text } from "../../src/client/index.ts";
import { TestCluster } from "./cluster.ts";

const keyspaces = defineKeyspaces({ default: singleLeader({ value: text() }) });

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.waitLeader();
}, 60_000);

afterAll(async () => {
  await cluster?.close();
}, 30_000);

function connectTo(id: string) {
  const { host, port } = cluster.addresses(id).resp;
  return connect(`trefoil://${host}:${port}`, { keyspaces, timeoutMs: 10_000 });
}

test("a session sees what it wrote, at other nodes and in other processes", async () => {
  const [first, second, third] = await Promise.all(cluster.ids.map(connectTo));
  try {
    const writer = first!.session();
    expect(writer.token).toBeNull();
    for (let i = 0; i < 50; i += 1) {
      await writer.default.set("k", `v${i}`);
      // The token is text: it can travel in a cookie.
      const reader = (i % 2 === 0 ? second! : third!).session(String(writer.token));
      expect(await reader.default.get("k")).toBe(`v${i}`);
      expect(await reader.default.get("k", { r: "session" })).toBe(`v${i}`);
    }
    expect(await second!.default.get("k", { r: { boundedMs: 5_000 } })).toBe("v49");
    const { meta } = await third!.default.withMeta().get("k", { r: { boundedMs: 5_000 } });
    expect(meta.stalenessMs === null || meta.stalenessMs <= 5_000).toBe(true);
    expect(() => first!.session("nonsense")).toThrow("not the token of a session");
  } finally {
    for (const db of [first, second, third]) await db?.close();
  }
}, 60_000);
