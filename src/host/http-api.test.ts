import { describe, expect, it } from "vitest";
import type { NodeStatus } from "../core/node/vocabulary.ts";
import type { LocalStatus, NodeAddresses } from "./cluster-status.ts";
import { createHttpApi, type HttpApiOptions, HttpServer } from "./http-api.ts";
import { Metrics } from "./metrics.ts";

const at = (port: number) => ({ host: "127.0.0.1", port });

function addresses(number: number): NodeAddresses {
  const id = `n${number}`;
  return { id, resp: at(7000 + number), http: at(8000 + number), peer: at(9000 + number) };
}

type Group = NodeStatus["keyspaces"][number];

function group(change: Partial<Group> = {}): Group {
  return {
    name: "default",
    number: 0,
    model: "singleLeader",
    preferredLeader: "n1",
    role: "follower",
    leader: "n1",
    term: 3,
    commitIndex: 20,
    appliedIndex: 18,
    lastIndex: 21,
    lagEntries: 2,
    lagMs: 12.6,
    keys: 5,
    expiring: 0,
    collections: 0,
    halted: null,
    damaged: null,
    peers: [],
    ...change,
  };
}

const CATALOG = {
  role: "follower",
  leader: "n3",
  term: 2,
  commitIndex: 7,
  appliedIndex: 7,
  lastIndex: 7,
  lagEntries: 0,
  lagMs: 3.2,
  keys: 1,
  expiring: 0,
  collections: 0,
  halted: null,
  damaged: null,
  peers: [],
};

/** The followers of n1, as it knows them. */
const PEERS = [
  { node: "n2", matchIndex: 19, state: "replicate", lagEntries: 1, lagMs: 40.6 },
  { node: "n3", matchIndex: 11, state: "probe", lagEntries: 9, lagMs: null },
];

function nodeStatus(node: string, change: Partial<Group> = {}, draining = false): NodeStatus {
  return {
    node,
    incarnation: "00aa",
    cluster: "c1",
    draining,
    connections: 0,
    members: ["n1", "n2", "n3"],
    keyspaces: [group(change)],
    catalog: { ...CATALOG },
    missingKeyspaces: [],
  };
}

function localStatus(number: number, change: Partial<Group> = {}): LocalStatus {
  const status = nodeStatus(`n${number}`, change);
  const where = { resp: `127.0.0.1:${7000 + number}`, http: `127.0.0.1:${8000 + number}` };
  return { ...status, ...where, peer: `127.0.0.1:${9000 + number}`, pid: 40 + number, ready: true };
}

function createApi(change: Partial<HttpApiOptions> = {}) {
  return createHttpApi({
    metrics: new Metrics(),
    pid: 41,
    self: () => addresses(1),
    nodes: [addresses(1), addresses(2), addresses(3)],
    status: async () => {
      return nodeStatus("n1", { role: "leader", lagEntries: 0, lagMs: 0, peers: PEERS });
    },
    askNode: async () => null,
    ...change,
  });
}

const host = { Host: "127.0.0.1:8001" };

describe("the HTTP API", () => {
  it("says that the process is alive", async () => {
    const response = await createApi().request("/health", { headers: host });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ok: true, node: "n1" });
  });

  it.each(["evil.example", "127.0.0.1.evil.example:8001", "169.254.169.254", ""])(
    "refuses the host %j",
    async (name) => {
      const response = await createApi().request("/status", { headers: { Host: name } });
      expect(response.status).toBe(403);
    },
  );

  it.each(["localhost:8001", "[::1]:8001", "127.0.0.1"])("accepts the host %j", async (name) => {
    const response = await createApi().request("/health", { headers: { Host: name } });
    expect(response.status).toBe(200);
  });

  it("answers 404 with what there is", async () => {
    const response = await createApi().request("/nothing", { headers: host });
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ error: "Try /health, /ready, /status or /metrics." });
  });

  it("answers 503 while the loop does not", async () => {
    const api = createApi({ status: () => Promise.reject(new Error("the loop is stuck")) });
    const response = await api.request("/status", { headers: host });
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ error: "the loop is stuck" });
  });
});

describe("/ready", () => {
  const ready = async (...statuses: readonly NodeStatus[]) => {
    let asked = 0;
    const status = async () => statuses[Math.min(asked++, statuses.length - 1)]!;
    const api = createApi({ status });
    let response = new Response();
    for (const _ of statuses) response = await api.request("/ready", { headers: host });
    return { code: response.status, body: await response.json() };
  };

  it("is 200 once a leader is known and the node has caught up", async () => {
    expect(await ready(nodeStatus("n2"))).toEqual({
      code: 200,
      body: { ready: true, missing: [] },
    });
  });

  it.each<[string, NodeStatus, string]>([
    ["no leader", nodeStatus("n2", { leader: null }), "keyspace default knows no leader"],
    ["far behind", nodeStatus("n2", { lagEntries: 65 }), "keyspace default is 65 behind"],
    [
      "no word of what is committed",
      nodeStatus("n2", { lagEntries: 0, lagMs: null }),
      "keyspace default has not heard what is committed",
    ],
    ["halted", nodeStatus("n2", { halted: "bug" }), "keyspace default is halted: bug"],
    ["damaged", nodeStatus("n2", { damaged: "rot" }), "keyspace default is being rebuilt: rot"],
    ["draining", nodeStatus("n2", {}, true), "the node is being stopped"],
  ])("is 503 with %s", async (_, status, missing) => {
    expect(await ready(status)).toEqual({ code: 503, body: { ready: false, missing: [missing] } });
  });

  it("is 503 while the catalog has no leader, or a keyspace of the configuration is not there", async () => {
    const status = nodeStatus("n2");
    const catalog = { ...CATALOG, leader: null };
    const missingKeyspaces = [
      { name: "ledger", reason: null },
      { name: "carts", reason: "LIMIT too many" },
    ];
    expect(await ready({ ...status, catalog, missingKeyspaces })).toEqual({
      code: 503,
      body: {
        ready: false,
        missing: [
          "the catalog knows no leader",
          "keyspace ledger of the configuration is not there",
          "keyspace carts of the configuration is not there: LIMIT too many",
        ],
      },
    });
  });

  it("stays 200 when a node that had caught up falls behind", async () => {
    const behind = nodeStatus("n2", { lagEntries: 1_000 });
    expect((await ready(nodeStatus("n2"), behind)).code).toBe(200);
  });
});

describe("/status", () => {
  it("says what all nodes say, and which do not answer", async () => {
    const api = createApi({
      askNode: async ({ port }) => (port === 8002 ? localStatus(2) : null),
    });
    const response = await api.request("/status", { headers: host });
    expect(await response.json()).toEqual({
      cluster: "c1",
      nodes: [node(1, 41, true), node(2, 42, true), { ...node(3, 0, false), pid: null }],
      keyspaces: [
        {
          name: "default",
          number: 0,
          model: "singleLeader",
          preferredLeader: "n1",
          leader: "n1",
          term: 3,
          replicas: [
            { ...replica("n1", "leader", 20, 18, 0, 0), seenByLeader: null },
            {
              ...replica("n2", "follower", 20, 18, 2, 13),
              seenByLeader: { lagEntries: 1, lagMs: 41 },
            },
            {
              ...replica("n3", "unreachable", 0, 0, 0, null),
              seenByLeader: { lagEntries: 9, lagMs: null },
            },
          ],
        },
      ],
      catalog: {
        leader: "n3",
        term: 2,
        replicas: [
          { ...replica("n1", "follower", 7, 7, 0, 3), seenByLeader: null },
          { ...replica("n2", "follower", 7, 7, 0, 3), seenByLeader: null },
          { ...replica("n3", "unreachable", 0, 0, 0, null), seenByLeader: null },
        ],
      },
    });
  });

  it("believes the highest term about the leader", async () => {
    const api = createApi({
      askNode: async ({ port }) =>
        localStatus(
          port - 8000,
          port === 8002 ? { term: 4, leader: "n2" } : { term: 4, leader: null },
        ),
    });
    const response = await api.request("/status", { headers: host });
    const { keyspaces } = (await response.json()) as { keyspaces: readonly Group[] };
    expect(keyspaces[0]).toMatchObject({ leader: "n2", term: 4 });
  });

  it("does not count a node of another cluster as alive", async () => {
    const api = createApi({ askNode: async () => ({ ...localStatus(2), cluster: "c2" }) });
    const response = await api.request("/status", { headers: host });
    const { nodes } = (await response.json()) as { nodes: readonly { alive: boolean }[] };
    expect(nodes.map(({ alive }) => alive)).toEqual([true, false, false]);
  });

  it("of one node is what that node says", async () => {
    const response = await createApi().request("/status?scope=node", { headers: host });
    expect(await response.json()).toMatchObject({ node: "n1", pid: 41, http: "127.0.0.1:8001" });
  });
});

describe("/metrics", () => {
  it("has totals and the groups' state, from a registry of its own", async () => {
    const metrics = new Metrics();
    const other = new Metrics();
    let peers: Group["peers"] = PEERS;
    const status = async () => nodeStatus("n1", { role: "leader", peers });
    metrics.observe({
      connections: () => 2,
      queuedInputs: () => 0,
      unsyncedBytes: () => 0,
      checkpoints: () => ({ completed: 4, isRunning: true, logBytes: 5, memtableBytes: 6 }),
      stateBytes: () => 8192,
      peerQueues: () => [{ peer: "n2", bytes: 9 }],
      status,
    });
    metrics.count("commands_total", 7);
    metrics.onTurn(3, 0.2);
    const api = createApi({ metrics, status });
    const text = await (await api.request("/metrics", { headers: host })).text();
    expect(text).toContain("\ntrefoil_commands_total 7\n");
    expect(text).toContain("\ntrefoil_connections 2\n");
    expect(text).toContain("\ntrefoil_checkpoints_completed 4\n");
    expect(text).toContain("\ntrefoil_checkpoint_running 1\n");
    expect(text).toContain("\ntrefoil_memtable_bytes 6\n");
    expect(text).toContain("\ntrefoil_state_file_bytes 8192\n");
    expect(text).toContain('\ntrefoil_peer_queue_bytes{peer="n2"} 9\n');
    expect(text).toContain('\ntrefoil_group_commit_index{keyspace="default"} 20\n');
    expect(text).toContain('\ntrefoil_group_is_leader{keyspace="default"} 1\n');
    expect(text).toContain('\ntrefoil_group_commit_index{keyspace="(catalog)"} 7\n');
    for (const line of [
      'lag_entries{keyspace="default",peer="n2"} 1',
      'lag_ms{keyspace="default",peer="n2"} 40.6',
      'lag_entries{keyspace="default",peer="n3"} 9',
      'lag_ms{keyspace="default",peer="n3"} -1',
    ]) {
      expect(text).toContain(`\ntrefoil_group_follower_${line}\n`);
    }
    // A node that leads no more says nothing about followers.
    peers = [];
    expect(text).toContain('\ntrefoil_turn_inputs_bucket{le="4"} 1\n');
    const again = await (await api.request("/metrics", { headers: host })).text();
    expect(again).toContain("\ntrefoil_commands_total 7\n");
    expect(again).not.toContain("trefoil_group_follower_lag_entries{");
    expect((await other.scrape()).text).toContain("\ntrefoil_commands_total 0\n");
    metrics.close();
    other.close();
  });
});

describe("the HTTP server", () => {
  it("serves the API on a port of its own, and frees it", async () => {
    const server = new HttpServer(createApi());
    const port = await server.listen({ host: "127.0.0.1", port: 0 });
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    expect(await response.json()).toEqual({ ok: true, node: "n1" });
    await server.close();
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow();
  });
});

function node(number: number, pid: number, alive: boolean) {
  const port = (base: number) => `127.0.0.1:${base + number}`;
  return { id: `n${number}`, pid, resp: port(7000), http: port(8000), peer: port(9000), alive };
}

function replica(
  id: string,
  role: string,
  commitIndex: number,
  appliedIndex: number,
  lagEntries: number,
  lagMs: number | null,
) {
  return { node: id, role, commitIndex, appliedIndex, lagEntries, lagMs };
}
