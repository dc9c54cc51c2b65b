import { afterEach, expect, test } from "vitest";
import { writeClusterFile } from "../../src/cli/cluster-file.ts";
import type { RespClient } from "../../src/client/resp-client.ts";
import { decodeUtf8 } from "../../src/core/base/bytes.ts";
import type { Reply } from "../../src/core/contract/reply.ts";
import type { ClusterStatus } from "../../src/host/cluster-status.ts";
import { TestCluster } from "./cluster.ts";
import { LinkProxy } from "./link-proxy.ts";

let cluster: TestCluster | null = null;
let proxy: LinkProxy | null = null;

afterEach(async () => {
  await cluster?.close();
  proxy?.close();
  cluster = null;
  proxy = null;
});

/** Three nodes; what the others say to n3 goes through a proxy, and n3 does not lead. */
async function withSlowFollower(): Promise<{
  leader: string;
  cluster: TestCluster;
  link: LinkProxy;
}> {
  // A leader that the machine keeps waiting hands over, and it must not be to n3: so it is patient.
  const made = await TestCluster.create({ env: { TREFOIL_ELECTION_TIMEOUT_MS: "3000" } });
  cluster = made;
  const link = await LinkProxy.to(made.addresses("n3").peer);
  proxy = link;
  const { file } = made;
  const nodes = file.nodes.map((node) =>
    node.id === "n3" ? { ...node, peer: link.address } : node,
  );
  writeClusterFile({ ...file, nodes });
  made.start("n1");
  made.start("n2");
  await made.waitReady(30_000, ["n1", "n2"]);
  writeClusterFile(file);
  made.start("n3");
  await made.waitReady();
  return { leader: await made.waitLeader(), cluster: made, link };
}

function plain(reply: Reply): unknown {
  switch (reply.kind) {
    case "bulk":
      return decodeUtf8(reply.bytes);
    case "integer":
      return reply.value;
    case "error":
      return `${reply.code} ${reply.outcome}`;
    case "null":
      return null;
    case "simple":
      return reply.text;
    case "array":
      return reply.items.map(plain);
    case "map": {
      const items = reply.items.map(plain);
      return Object.fromEntries(
        items.flatMap((key, i) => (i % 2 === 0 ? [[key, items[i + 1]]] : [])),
      );
    }
    default:
      throw new Error(`a ${reply.kind} is not expected here`);
  }
}

async function ask(client: RespClient, ...words: string[]): Promise<unknown> {
  return plain(await client.call(...words));
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const LOCAL = ["TREFOIL.WITH", "R", "local", "--", "GET", "a"];

test("a follower lags, and the session's token hides it", { timeout: 90_000 }, async () => {
  const { leader, cluster, link } = await withSlowFollower();
  expect(leader).not.toBe("n3");
  const writer = await cluster.client(leader, 30_000);
  const [local, session, other] = [
    await cluster.client("n3", 30_000),
    await cluster.client("n3", 30_000),
    await cluster.client("n3", 30_000),
  ];
  expect(await ask(writer, "SET", "a", "old")).toBe("OK");
  await until("n3 has the first write", async () => (await ask(local, ...LOCAL)) === "old");

  link.hold();
  expect(await ask(writer, "SET", "a", "new")).toBe("OK");
  const token = String(await ask(writer, "TREFOIL.TOKEN"));
  const within = ["TOKEN", token, "TIMEOUT", "25000", "META"];
  const read = ask(session, "TREFOIL.WITH", "R", "session", ...within, "--", "GET", "a");
  expect(await ask(local, ...LOCAL)).toBe("old");
  // Another session has seen nothing that n3 lacks.
  expect(await ask(other, "TREFOIL.WITH", "R", "session", "--", "GET", "a")).toBe("old");
  // It cannot be proved to be young, and no answer of the leader comes through.
  const bounded = ["TREFOIL.WITH", "R", "bounded", "1", "TIMEOUT", "300", "--", "GET", "a"];
  expect(await ask(other, ...bounded)).toBe("STALE not-applied");
  const http = cluster.addresses(leader).http;
  await until("the leader shows the lag", async () => {
    const response = await fetch(`http://${http.host}:${http.port}/status`);
    const status = (await response.json()) as ClusterStatus;
    const seen = status.keyspaces[0]?.replicas.find(({ node }) => node === "n3")?.seenByLeader;
    return seen !== null && seen !== undefined && seen.lagEntries >= 1 && (seen.lagMs ?? 0) > 0;
  });
  expect(await ask(local, ...LOCAL)).toBe("old");

  link.release();
  const [value, meta] = (await read) as [string, Record<string, unknown>];
  expect(value).toBe("new");
  expect(["n3", leader]).toContain(meta["node"]);
  // The session has come at least as far as the token, and goes on with its own.
  const next = ["TREFOIL.WITH", "R", "session", "TOKEN", String(meta["token"]), "--", "GET", "a"];
  for (const id of cluster.ids) expect(await ask(await cluster.client(id), ...next)).toBe("new");
  await until("n3 catches up", async () => (await ask(local, ...LOCAL)) === "new");
});

test("a session goes from node to node by its token, write by write", {
  timeout: 90_000,
}, async () => {
  cluster = await TestCluster.start();
  const clients = await Promise.all(cluster.ids.map((id) => cluster!.client(id, 30_000)));
  let token = String(await ask(clients[0]!, "TREFOIL.TOKEN"));
  for (let i = 0; i < 60; i += 1) {
    const [writer, reader] = [clients[i % 3]!, clients[(i + 1) % 3]!];
    expect(await ask(writer, "SET", "k", String(i))).toBe("OK");
    expect(await ask(writer, "TREFOIL.TOKEN", token)).toBe("OK");
    token = String(await ask(writer, "TREFOIL.TOKEN"));
    const read = ["TREFOIL.WITH", "R", "session", "TOKEN", token, "--", "GET", "k"];
    expect(await ask(reader, ...read)).toBe(String(i));
  }
  // The same sessions, pipelined on one connection: each read sees the write before it.
  const answers = await Promise.all(
    [1, 2, 3].flatMap((value) => [
      ask(clients[2]!, "SET", "p", String(value)),
      ask(clients[2]!, "TREFOIL.WITH", "R", "session", "--", "GET", "p"),
      ask(clients[2]!, "TREFOIL.WITH", "R", "bounded", "60000", "--", "GET", "p"),
    ]),
  );
  expect(answers).toEqual([1, 2, 3].flatMap((value) => ["OK", String(value), String(value)]));
});
