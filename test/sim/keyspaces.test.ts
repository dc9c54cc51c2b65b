import { describe, expect, test } from "vitest";
import { encodeUtf8 } from "../../src/core/base/bytes.ts";
import { groupId } from "../../src/core/contract/ids.ts";
import { CATALOG_GROUP } from "../../src/core/node/keyspaces.ts";
import { decodeToken } from "../../src/core/sessions/session-token.ts";
import { Scenario } from "../../src/testing/sim/scenario.ts";
import type { SimNode } from "../../src/testing/sim/sim-node.ts";

const GROUP_1 = groupId(1, 0);

/** Three nodes, all of which know the keyspaces that were created. */
function withKeyspaces(names: readonly string[], settings = {}) {
  const sim = new Scenario(settings);
  sim.leader();
  const [n1, n2, n3] = sim.cluster.nodes as [SimNode, SimNode, SimNode];
  const talk = sim.talk(n1);
  names.forEach((name, i) => {
    expect(talk.ask("TREFOIL.KEYSPACE", "CREATE", name)).toMatchObject({
      name,
      number: i + 1,
      created: true,
    });
  });
  for (const name of names) expect(talk.ask("SELECT", name)).toBe("OK");
  sim.cluster.runUntil(2_000, () => everywhere(sim, ...names));
  return { sim, n1, n2, n3, talk };
}

function everywhere(sim: Scenario, ...names: readonly string[]): boolean {
  return sim.cluster.nodes.every((node) => {
    return names.every((name) => node.keyspaces?.find({ name }) !== undefined);
  });
}

/** Keeps the catalog's messages from a node: it hears nothing of what is created and dropped. */
function deafToCatalog(sim: Scenario, node: SimNode): void {
  sim.cluster.network.filter = (_from, to, { group }) => to !== node.id || group !== CATALOG_GROUP;
}

describe("a keyspace that is created", () => {
  test("is there for what its client sends next, on the same connection and in one go", () => {
    const sim = new Scenario();
    for (const node of sim.cluster.nodes) {
      const talk = sim.talk(node);
      const name = `k-${node.id}`;
      const requests = [
        talk.send("TREFOIL.KEYSPACE", "CREATE", name),
        talk.send("SELECT", name),
        talk.send("SET", "where", name),
        talk.send("GET", "where"),
        talk.send("SELECT", "0"),
        talk.send("GET", "where"),
      ];
      const answers = requests.map((request) => talk.await(request));
      expect(answers.slice(1)).toEqual(["OK", "OK", name, "OK", null]);
    }
    expect(sim.talk(sim.leader()).ask("TREFOIL.KEYSPACE", "LIST")).toMatchObject([
      { name: "default", number: 0 },
      { name: "k-n1", number: 1 },
      { name: "k-n2", number: 2 },
      { name: "k-n3", number: 3 },
    ]);
  });

  test("is there on a node that has not heard of it: SELECT waits until it has", () => {
    const { sim, n1, n3, talk } = withKeyspaces([]);
    deafToCatalog(sim, n3);
    expect(talk.ask("TREFOIL.KEYSPACE", "CREATE", "late")).toMatchObject({ number: 1 });
    const other = sim.talk(n3);
    const requests = [
      other.send("SELECT", "late"),
      other.send("SET", "k", "v"),
      other.send("GET", "k"),
    ];
    sim.run(300);
    expect(requests.map((request) => other.answer(request))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    sim.cluster.network.filter = () => true;
    expect(requests.map((request) => other.await(request))).toEqual(["OK", "OK", "v"]);
    expect(sim.talk(n1).ask("GET", "k")).toBeNull();
  });

  test("is not selected by a node that cannot hear of it within the deadline", () => {
    const { sim, n3, talk } = withKeyspaces([]);
    deafToCatalog(sim, n3);
    talk.ask("TREFOIL.KEYSPACE", "CREATE", "late");
    const other = sim.talk(n3);
    expect(other.ask("TREFOIL.WITH", "TIMEOUT", "200", "--", "SELECT", "late")).toMatch(
      /^(NOLEADER|TIMEOUT) .* not-applied$/,
    );
    expect(other.ask("SET", "k", "in the default keyspace")).toBe("OK");
  });

  test("is durable with its first write: all nodes die right after it was acknowledged", () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const sim = new Scenario({
        seed,
        options: { checkpointLogBytes: seed % 2 ? 1 << 20 : 2048 },
      });
      const talk = sim.talk(sim.leader());
      const requests = [
        talk.send("TREFOIL.KEYSPACE", "CREATE", "young"),
        talk.send("SELECT", "young"),
        talk.send("SET", "k", "v"),
      ];
      expect(talk.await(requests[2]!)).toBe("OK");
      for (const node of sim.cluster.nodes) node.crash();
      for (const node of sim.cluster.nodes) node.boot();
      // Whether it was created is for the catalog's leader to say; what it wrote is there at once.
      const logs = sim.cluster.nodes.map((node) => node.keyspaces?.get(GROUP_1)?.replica.lastIndex);
      expect(logs.filter((index) => (index ?? 0) >= 3).length).toBeGreaterThanOrEqual(2);
      for (const node of sim.cluster.nodes) {
        const after = sim.talk(node);
        expect(after.ask("SELECT", "young")).toBe("OK");
        expect(after.ask("GET", "k")).toBe("v");
      }
    }
  });

  test("outlives restarts with its number and its options", () => {
    const { sim, n1, talk } = withKeyspaces(["a", "b"]);
    expect(
      talk.ask("TREFOIL.KEYSPACE", "ALTER", "b", "LEADER", "n1", "TIMEOUT", "321"),
    ).toMatchObject({ version: 2, preferred: "n1", timeout: 321 });
    talk.ask("TREFOIL.KEYSPACE", "DROP", "a");
    for (const node of sim.cluster.nodes) node.crash();
    sim.heal();
    const after = sim.talk(n1);
    expect(after.ask("TREFOIL.KEYSPACE", "INFO", "2")).toMatchObject({
      name: "b",
      version: 2,
      preferred: "n1",
      timeout: 321,
    });
    expect(after.ask("TREFOIL.KEYSPACE", "CREATE", "a")).toMatchObject({ number: 3 });
  });
});

describe("a keyspace that is dropped", () => {
  test("is gone for its connections, and its name is free", () => {
    const { sim, n2, talk } = withKeyspaces(["a"]);
    const user = sim.talk(n2);
    expect(user.ask("SELECT", "a")).toBe("OK");
    expect(user.ask("SET", "k", "v")).toBe("OK");
    expect(talk.ask("TREFOIL.KEYSPACE", "DROP", "a")).toEqual({
      name: "a",
      number: 1,
      dropped: true,
    });
    sim.run(200);
    expect(user.ask("GET", "k")).toBe(
      "NOKEYSPACE The selected keyspace was dropped. SELECT another one. not-applied",
    );
    expect(user.ask("SELECT", "a")).toBe(
      "NOKEYSPACE There is no such keyspace; there are 0 (default). not-applied",
    );
    expect(talk.ask("TREFOIL.KEYSPACE", "CREATE", "a")).toMatchObject({ number: 2 });
    expect(user.ask("SELECT", "a")).toBe("OK");
    expect(user.ask("GET", "k")).toBeNull();
  });

  test("ends its open calls: what was handed over is unknown, the rest is not applied", () => {
    const { sim, n1, n2, talk } = withKeyspaces(["a"]);
    const user = sim.talk(n1);
    expect(user.ask("SELECT", "a")).toBe("OK");
    expect(user.ask("SET", "k", "v")).toBe("OK");
    const leader = sim.cluster.leader(GROUP_1)!;
    expect(leader).toBe(n2);
    // The leader's entries reach nobody, so nothing is committed any more.
    sim.cluster.network.filter = (_from, _to, { group, message }) =>
      group !== GROUP_1 || message.kind !== "appendEntries" || message.entries.length === 0;
    const write = user.send("SET", "k", "w");
    const read = user.send("GET", "k");
    sim.run(20);
    talk.ask("TREFOIL.KEYSPACE", "DROP", "a");
    expect(user.await(write)).toBe("NOKEYSPACE The keyspace was dropped. unknown");
    expect(user.await(read)).toBe("NOKEYSPACE The keyspace was dropped. not-applied");
  });

  test("ends those too that wait for changes, for a state or for another leader", () => {
    const { sim, n1, n2, n3, talk } = withKeyspaces(["a"]);
    const selecting = (node: SimNode) => {
      const user = sim.talk(node);
      expect(user.ask("SELECT", "a")).toBe("OK");
      return user;
    };
    const follower = selecting(n1);
    const feed = follower.send("TREFOIL.CHANGES", "$", "BLOCK", "60000");
    // No replica's state is ever this fresh, and nothing of the keyspace reaches its leader.
    sim.cluster.network.filter = (_from, to, { group }) => group !== GROUP_1 || to !== n2.id;
    const reader = selecting(n3);
    const options = ["TREFOIL.WITH", "R", "bounded", "1", "TIMEOUT", "60000", "--"];
    const read = reader.send(...options, "GET", "k");
    const operator = selecting(n3);
    const wish = [
      "TREFOIL.WITH",
      "TIMEOUT",
      "60000",
      "--",
      "TREFOIL.MEMBER",
      "TRANSFER",
      "TO",
      "n3",
    ];
    const transfer = operator.send(...wish);
    sim.run(20);
    talk.ask("TREFOIL.KEYSPACE", "DROP", "a");
    expect(follower.await(feed)).toBe("NOKEYSPACE The keyspace was dropped. not-applied");
    expect(reader.await(read)).toBe("NOKEYSPACE The keyspace was dropped. not-applied");
    expect(operator.await(transfer)).toMatch(/^NOKEYSPACE The keyspace was dropped\. /);
  });

  test("lets no call wait beyond its deadline while its drop is neither known nor overwritten", () => {
    const { sim, n1, n2, n3, talk } = withKeyspaces(["a"]);
    sim.run(200);
    const user = sim.talk(n1);
    expect(user.ask("SELECT", "a")).toBe("OK");
    // The catalog's leader has the drop in its log and reaches nobody with it.
    const catalog = sim.cluster.leader(CATALOG_GROUP)!;
    expect(catalog).toBe(n1);
    sim.cluster.network.filter = (from, _to, { group }) =>
      from !== n1.id || group !== CATALOG_GROUP;
    talk.send("TREFOIL.WITH", "TIMEOUT", "100", "--", "TREFOIL.KEYSPACE", "DROP", "a");
    expect(sim.cluster.runUntil(50, () => n1.keyspaces?.get(GROUP_1)?.isResting === true)).toBe(
      true,
    );
    const within = (...options: string[]) => ["TREFOIL.WITH", ...options, "TIMEOUT", "60", "--"];
    const calls = [
      user.send(...within("R", "bounded", "1"), "GET", "k"),
      user.send(...within(), "TREFOIL.MEMBER", "TRANSFER", "TO", "n2"),
      user.send(...within(), "SET", "k", "v"),
    ];
    sim.run(95);
    const ends = [/^STALE .* not-applied$/, /^(NOLEADER|TIMEOUT)/, /^(NOLEADER|TIMEOUT)/];
    for (const [i, call] of calls.entries()) expect(user.answer(call)).toMatch(ends[i]!);
    // Another one leads the catalog, and knows nothing of it: the keyspace goes on.
    const isAwake = () => n1.keyspaces?.get(GROUP_1)?.isResting === false;
    sim.cluster.runUntil(3_000, () => [n2, n3].includes(sim.cluster.leader(CATALOG_GROUP)!));
    sim.cluster.network.filter = () => true;
    expect(sim.cluster.runUntil(3_000, isAwake)).toBe(true);
    expect(user.ask("SET", "k", "v")).toBe("OK");
  });

  test("is used by nobody after the drop was acknowledged, though a node has not heard of it", () => {
    const options = { checkpointLogBytes: 4 * 1024 };
    const { sim, n1, n3, talk } = withKeyspaces(["a"], { options });
    // Every node's checkpoint has the keyspace.
    for (let i = 0; i < 100; i += 1) talk.ask("SET", "k", "x".repeat(100));
    deafToCatalog(sim, n3);
    talk.ask("SELECT", "0");
    talk.ask("TREFOIL.KEYSPACE", "DROP", "a");
    const late = sim.talk(n3);
    expect(late.ask("SELECT", "a")).toBe("OK");
    const concern = ["TREFOIL.WITH", "TIMEOUT", "500", "--"];
    expect(late.ask(...concern, "SET", "k", "v")).toMatch(/^(TIMEOUT|NOLEADER)/);
    expect(late.ask(...concern, "GET", "k")).toMatch(/^(TIMEOUT|NOLEADER)/);
    // The same holds when all come back with checkpoints that have the keyspace.
    for (const node of sim.cluster.nodes) node.crash();
    for (const node of [n1, n3]) node.boot();
    expect(n1.keyspaces?.get(GROUP_1)?.isResting).toBe(true);
    const again = sim.talk(n3);
    expect(again.ask("SELECT", "a")).toBe("OK");
    expect(again.ask(...concern, "SET", "k", "v")).toMatch(/^(TIMEOUT|NOLEADER)/);
  });

  test("leaves no row behind, also when the node stops while it removes them", () => {
    const { sim, talk } = withKeyspaces(["a"], { options: { checkpointLogBytes: 16 * 1024 } });
    talk.ask("SELECT", "a");
    for (let i = 0; i < 400; i += 1) expect(talk.ask("SET", `key${i}`, "x".repeat(50))).toBe("OK");
    const rows = (node: SimNode) => node.rowsOf(GROUP_1);
    for (const node of sim.cluster.nodes) expect(rows(node)).toBeGreaterThan(400);
    talk.ask("SELECT", "0");
    talk.ask("TREFOIL.KEYSPACE", "DROP", "a");
    sim.run(1);
    // Not everything can be gone by now: a turn removes a slice.
    for (const node of sim.cluster.nodes) node.crash();
    sim.heal();
    sim.leader();
    const gone = () => sim.cluster.nodes.every((node) => rows(node) === 0);
    expect(sim.cluster.runUntil(5_000, gone)).toBe(true);
    const after = sim.talk(sim.leader());
    for (let i = 0; i < 400; i += 1) expect(after.ask("SET", `key${i}`, "x".repeat(50))).toBe("OK");
    for (const node of sim.cluster.nodes) node.crash();
    sim.heal();
    expect(sim.talk(sim.leader()).ask("DBSIZE")).toBe(400);
    for (const node of sim.cluster.nodes) expect(rows(node)).toBe(0);
  });
});

describe("one connection", () => {
  test("finds its changes of the catalog done, and its commands in order", () => {
    const { sim, n3 } = withKeyspaces([]);
    const talk = sim.talk(n3);
    const requests = [
      ["TREFOIL.KEYSPACE", "CREATE", "a"],
      ["SELECT", "a"],
      ["SET", "k", "1"],
      ["TREFOIL.KEYSPACE", "DROP", "a"],
      ["GET", "k"],
      ["SELECT", "a"],
      ["TREFOIL.KEYSPACE", "CREATE", "a"],
      ["SELECT", "a"],
      ["GET", "k"],
      ["SELECT", "default"],
      ["TREFOIL.KEYSPACE", "INFO", "a"],
    ].map((words) => talk.send(...words));
    expect(requests.map((request) => talk.await(request))).toMatchObject([
      { number: 1 },
      "OK",
      "OK",
      { number: 1, dropped: true },
      expect.stringMatching(/^NOKEYSPACE/),
      expect.stringMatching(/^NOKEYSPACE/),
      { number: 2 },
      "OK",
      null,
      "OK",
      { number: 2, name: "a" },
    ]);
  });

  test("is the one that it is when its turn has come: RESET waits with the rest", () => {
    const { sim, n3 } = withKeyspaces([]);
    const talk = sim.talk(n3);
    const requests = [
      ["TREFOIL.KEYSPACE", "CREATE", "a"],
      ["SELECT", "a"],
      ["SET", "k", "1"],
      ["RESET"],
      ["TREFOIL.TOKEN"],
      ["SET", "k", "2"],
      ["TREFOIL.KEYSPACE", "LIST"],
      ["TREFOIL.TOKEN"],
    ].map((words) => talk.send(...words));
    const answers = requests.map((request) => talk.await(request));
    expect(answers.slice(1, 4)).toEqual(["OK", "OK", "RESET"]);
    const placesOf = (token: unknown) => {
      const entries = decodeToken("simulated", encodeUtf8(String(token)));
      return typeof entries === "string" ? entries : entries.length;
    };
    // A new session has seen nothing; then the default keyspace's write, and the catalog is none.
    expect([placesOf(answers[4]), placesOf(answers[7])]).toEqual([0, 1]);
  });

  test("waits no longer than its calls may, and those of a keyspace have its deadline", () => {
    const { sim, n1, n2, n3, talk } = withKeyspaces(["a"]);
    expect(talk.ask("TREFOIL.KEYSPACE", "ALTER", "a", "TIMEOUT", "150")).toMatchObject({
      timeout: 150,
    });
    talk.ask("SELECT", "a");
    n2.crash();
    n3.crash();
    const before = sim.cluster.now;
    expect(talk.ask("INCR", "c")).toMatch(/^(NOLEADER|TIMEOUT)/);
    expect((sim.cluster.now - before) / 1000).toBeLessThan(400);
    const other = sim.talk(n1);
    const asked = other.send("TREFOIL.WITH", "TIMEOUT", "200", "--", "SELECT", "nowhere");
    expect(other.await(asked)).toMatch(/^(NOLEADER|TIMEOUT) .* not-applied$/);
    const create = ["TREFOIL.WITH", "TIMEOUT", "200", "--", "TREFOIL.KEYSPACE", "CREATE", "b"];
    expect(other.ask(...create)).toMatch(/^(NOLEADER .* not-applied|TIMEOUT .* unknown)$/);
    expect(other.ask("TREFOIL.WITH", "R", "local", "--", "TREFOIL.KEYSPACE", "LIST")).toMatchObject(
      [{ number: 0 }, { number: 1, timeout: 150 }],
    );
  });
});

describe("keyspaces of the configuration", () => {
  test("are created once, by whichever node comes first, and not again when they were dropped", () => {
    const sim = new Scenario({ options: { keyspaces: 3 } });
    sim.leader();
    expect(sim.cluster.runUntil(3_000, () => everywhere(sim, "k1", "k2"))).toBe(true);
    const talk = sim.talk(sim.leader());
    expect(talk.ask("TREFOIL.KEYSPACE", "LIST")).toMatchObject([
      { name: "default", number: 0 },
      { name: "k1", number: 1 },
      { name: "k2", number: 2 },
    ]);
    talk.ask("TREFOIL.KEYSPACE", "DROP", "k1");
    sim.run(2_000);
    expect(talk.ask("SELECT", "k1")).toMatch(/^NOKEYSPACE/);
    for (const node of sim.cluster.nodes) node.crash();
    sim.heal();
    sim.cluster.runUntil(3_000, () => everywhere(sim, "k1", "k2"));
    expect(sim.talk(sim.leader()).ask("TREFOIL.KEYSPACE", "INFO", "k1")).toMatchObject({
      number: 3,
    });
  });
});

describe("the leaders", () => {
  const names = ["a", "b", "c", "d", "e"];
  const leaders = (sim: Scenario) =>
    [0, 1, 2, 3, 4, 5].map((number) => sim.cluster.leader(groupId(number, 0))?.id);

  test("are spread over the nodes from the start, and again after a restart", () => {
    const { sim } = withKeyspaces(names);
    const spread = ["n1", "n2", "n3", "n1", "n2", "n3"];
    sim.cluster.runUntil(1_000, () => leaders(sim).join() === spread.join());
    expect(leaders(sim)).toEqual(spread);
    // A node whose log lacks what another one has on disk could not lead.
    sim.run(500);
    for (const node of sim.cluster.nodes) node.crash();
    sim.heal();
    sim.cluster.runUntil(1_000, () => leaders(sim).join() === spread.join());
    expect(leaders(sim)).toEqual(spread);
  });

  test("return to a node that came back, once it has kept up for long", () => {
    const { sim, n2 } = withKeyspaces(["a"]);
    sim.cluster.runUntil(1_000, () => sim.cluster.leader(GROUP_1) === n2);
    n2.crash();
    const others = () => sim.cluster.leader(GROUP_1) ?? n2;
    expect(sim.cluster.runUntil(2_000, () => others() !== n2)).toBe(true);
    n2.boot();
    // 20 election timeouts of 100 ms.
    sim.run(1_500);
    expect(sim.cluster.leader(GROUP_1)).not.toBe(n2);
    expect(sim.cluster.runUntil(3_000, () => sim.cluster.leader(GROUP_1) === n2)).toBe(true);
  });

  test("do not go back and forth with a node that stalls again and again", () => {
    const { sim, n2 } = withKeyspaces(["a"]);
    sim.cluster.runUntil(1_000, () => sim.cluster.leader(GROUP_1) === n2);
    let returns = 0;
    let led = true;
    // It stalls for a moment whenever it has led for a while.
    for (let ms = 0; ms < 60_000; ms += 100) {
      sim.run(100);
      const leads = sim.cluster.leader(GROUP_1) === n2;
      if (leads && !led) returns += 1;
      led = leads;
      if (!leads || ms % 500 !== 0) continue;
      n2.pause();
      sim.run(300);
      n2.resume();
    }
    // 2, 4, 8, 16 and 32 s between them, and not every 2 s.
    expect(returns).toBeGreaterThan(1);
    expect(returns).toBeLessThanOrEqual(5);
  });

  test("stay where an operator puts them", () => {
    const { sim, n1, n3, talk } = withKeyspaces([]);
    sim.run(500);
    expect(sim.cluster.leader()).toBe(n1);
    expect(talk.ask("TREFOIL.MEMBER", "TRANSFER", "TO", "n3")).toBe("OK");
    sim.run(10_000);
    expect(sim.cluster.leader()).toBe(n3);
    // Until that node is lost.
    n3.crash();
    sim.run(1_000);
    n3.boot();
    expect(sim.cluster.runUntil(10_000, () => sim.cluster.leader() === n1)).toBe(true);
  });

  test("follow a preference that is altered", () => {
    const { sim, n3, talk } = withKeyspaces(["a"]);
    talk.ask("TREFOIL.KEYSPACE", "ALTER", "a", "LEADER", "n3");
    expect(sim.cluster.runUntil(1_000, () => sim.cluster.leader(GROUP_1) === n3)).toBe(true);
    expect(sim.cluster.leader()?.id).toBe("n1");
  });
});

describe("idle keyspaces", () => {
  /** Frames and messages of one simulated second of a quiet cluster. */
  function idle(count: number): { frames: number; messages: number; turns: number } {
    const names = Array.from({ length: count }, (_, i) => `k${i + 1}`);
    // A turn takes in all that has arrived, as a node's does.
    const { sim } = withKeyspaces(names, { options: { stepsMax: 1 << 20 } });
    sim.run(3_000);
    let messages = 0;
    sim.cluster.listeners.push({
      onSent: (_from, _to, sent) => {
        messages += sent.length;
      },
    });
    const turns = () => sim.cluster.nodes.reduce((sum, node) => sum + node.turns, 0);
    const before = { frames: sim.cluster.network.frames, turns: turns() };
    sim.run(1_000);
    return {
      frames: sim.cluster.network.frames - before.frames,
      messages,
      turns: turns() - before.turns,
    };
  }

  test("share their heartbeats' frames: twenty cost as many as three", () => {
    const three = idle(3);
    const twenty = idle(20);
    // Each node leads something then: 6 directed links, 40 beats a second, a beat and an answer.
    expect(twenty.frames).toBeLessThanOrEqual(6 * 2 * 41);
    expect(twenty.frames).toBeLessThanOrEqual(three.frames * 1.05);
    expect(twenty.turns).toBeLessThanOrEqual(three.turns * 1.05);
    // 22 groups say their own, all the same.
    expect(twenty.messages).toBeGreaterThanOrEqual(22 * 2 * 2 * 39);
  });
});
