import { join } from "node:path";
import { open } from "lmdb";
import { afterEach, expect, test } from "vitest";
import type { RespClient } from "../../src/client/resp-client.ts";
import { keyOf, rowOf, rowsIn, STATE_DIRECTORY, View } from "../../src/host/state/lmdb-rows.ts";
import { TestCluster } from "./cluster.ts";
import { readText } from "./load.ts";

const KEYS = 500;

let cluster: TestCluster | null = null;

afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

/** Flips a bit of the key's stored row, checksum and all, in a directory that no process uses. */
async function flipBit(directory: string, key: string): Promise<void> {
  const env = open<Buffer, Buffer>({
    path: join(directory, STATE_DIRECTORY),
    encoding: "binary",
    keyEncoding: "binary",
    pageSize: 4096,
  });
  const view = new View(env);
  const found = [...rowsIn(env, view.transaction, "", null)].find(([stored]) =>
    stored.endsWith(key),
  );
  if (found === undefined) throw new Error(`${key} is not in the state yet`);
  const [stored, value] = found;
  const changed = Uint8Array.from(value);
  changed[changed.length - 1] = changed.at(-1)! ^ 1;
  view.release();
  await env.put(keyOf(stored), rowOf(keyOf(stored), changed));
  await env.close();
}

async function localText(client: RespClient, key: string): Promise<string | null> {
  const reply = await client.call("TREFOIL.WITH", "R", "local", "--", "GET", key);
  return reply.kind === "bulk" ? Buffer.from(reply.bytes).toString() : null;
}

test("a state changed behind a node's back is found, and replaced by what the others have", {
  timeout: 120_000,
}, async () => {
  const env = { TREFOIL_CHECKPOINT_BYTES: String(64 << 10), TREFOIL_SCRUB_MS: "300" };
  const started = await TestCluster.start({ env });
  cluster = started;
  const leader = await started.waitLeader();
  const client = await started.client(leader, 20_000);
  const set = (prefix: string, value: string) =>
    Promise.all(Array.from({ length: KEYS }, (_, i) => client.call("SET", prefix + i, value)));
  await set("key:", "value".padEnd(200));
  await client.call("SET", "key:7", "the last");
  // Until the row is in everybody's store.
  await set("more:", "x".padEnd(400));
  const others = started.ids.filter((id) => id !== leader);
  const [rotten = ""] = others;
  await started.stopNode(rotten);
  await flipBit(join(started.folder, "data", rotten), "key:7");
  started.start(rotten);
  const metric = async (name: string): Promise<number> => {
    const { http } = started.addresses(rotten);
    const response = await fetch(`http://${http.host}:${http.port}/metrics`).catch(() => null);
    const text = (await response?.text()) ?? "";
    const line = text.split("\n").find((one) => one.startsWith(name));
    return Number(line?.split(" ").at(-1) ?? Number.NaN);
  };
  const damages = async () => metric("trefoil_states_damaged_total");
  await expect.poll(damages, { timeout: 60_000 }).toBeGreaterThan(0);
  const isDamaged = async () => metric("trefoil_group_is_damaged");
  await expect.poll(isDamaged, { timeout: 60_000 }).toBe(0);
  await started.waitReady();
  const own = await started.client(rotten, 20_000);
  expect(await localText(own, "key:7")).toBe("the last");
  for (let i = 0; i < KEYS; i += 50) {
    if (i !== 0) expect(await localText(own, `more:${i}`)).toBe("x".padEnd(400));
  }
  // Nobody else took part in it, and all go on.
  expect(await readText(client, "key:7")).toBe("the last");
  expect(await client.call("SET", "after", "all")).toMatchObject({ text: "OK" });
  expect(await damages()).toBe(1);
});
