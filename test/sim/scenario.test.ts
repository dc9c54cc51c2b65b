import { describe, expect, test } from "vitest";
import { checkBounded } from "../../src/testing/check/bounded-staleness.ts";
import { checkSessions } from "../../src/testing/check/session-guarantees.ts";
import { Scenario } from "../../src/testing/sim/scenario.ts";
import { growthOf } from "../../src/testing/sim/workload.ts";

const INCREMENT = { kind: "increment" } as const;
const GET = { kind: "get" } as const;

describe("a cluster driven by hand", () => {
  test("what is written on one node is read on any other", () => {
    const sim = new Scenario();
    const leader = sim.leader();
    const [first, second] = sim.others(leader);
    expect(sim.ask(sim.connect(first!), "c0", INCREMENT)).toEqual({ outcome: "ok", result: 1 });
    for (const node of [leader, first!, second!]) {
      expect(sim.ask(sim.connect(node), "c0", GET)).toEqual({ outcome: "ok", result: "1" });
    }
  });

  test("the leader dies, and nothing acknowledged is lost", () => {
    const sim = new Scenario();
    const leader = sim.leader();
    expect(sim.ask(sim.connect(leader), "c0", INCREMENT).result).toBe(1);
    leader.crash();
    const next = sim.leader();
    expect(next).not.toBe(leader);
    expect(sim.ask(sim.connect(next), "c0", INCREMENT).result).toBe(2);
    leader.boot();
    expect(sim.converge()).toBe(true);
    expect(sim.ask(sim.connect(leader), "c0", GET, { r: "local" }).result).toBe("2");
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "writes go on within 2 s of the leader's death, seed %i",
    (seed) => {
      // The host's defaults. The call waits at a survivor for the next leader, until its deadline.
      const sim = new Scenario({ seed, options: { electionTimeoutMs: 1_000, heartbeatMs: 100 } });
      const leader = sim.leader(10_000);
      const client = sim.connect(sim.others(leader)[0]!);
      expect(sim.ask(client, "c0", INCREMENT)).toEqual({ outcome: "ok", result: 1 });
      leader.crash();
      const answer = sim.ask(client, "c0", INCREMENT, { timeoutMs: 2_000 });
      expect(answer).toEqual({ outcome: "ok", result: 2 });
    },
  );

  test("all nodes die at once, and nothing acknowledged is lost", () => {
    const sim = new Scenario();
    expect(sim.ask(sim.connect(sim.leader()), "c0", INCREMENT).result).toBe(1);
    for (const node of sim.cluster.nodes) node.crash();
    sim.heal();
    expect(sim.ask(sim.connect(sim.leader()), "c0", INCREMENT).result).toBe(2);
  });

  test("a leader that is cut off answers no linearizable read, and its writes are unknown", () => {
    const sim = new Scenario();
    const old = sim.leader();
    const client = sim.connect(old);
    expect(sim.ask(client, "c0", INCREMENT).result).toBe(1);
    sim.partition([old], sim.others(old));
    const concern = { timeoutMs: 300 };
    expect(sim.ask(client, "c0", INCREMENT, concern).outcome).toBe("info");
    expect(sim.ask(client, "c0", GET, concern).outcome).not.toBe("ok");
    // Whether its own write will ever be applied is unknown: a local read does not wait for it.
    expect(sim.ask(client, "c0", GET, { r: "local" })).toEqual({ outcome: "ok", result: "1" });
    const next = sim.leader();
    expect(next).not.toBe(old);
    expect(sim.ask(sim.connect(next), "c0", GET).result).toBe("1");
    sim.heal();
    expect(sim.converge()).toBe(true);
    expect(old.isLeader).toBe(false);
  });

  test("without a majority an operation ends within its deadline, with its outcome", () => {
    const sim = new Scenario();
    const leader = sim.leader();
    for (const node of sim.others(leader)) node.crash();
    sim.run(1_000);
    const client = sim.connect(leader);
    const before = sim.cluster.now;
    expect(sim.ask(client, "c0", INCREMENT, { timeoutMs: 200 }).outcome).toBe("fail");
    expect(sim.ask(client, "c0", GET, { timeoutMs: 200 }).outcome).toBe("fail");
    expect((sim.cluster.now - before) / 1000).toBeLessThan(500);
  });

  test("a node that slept takes in all that piled up, and does not lead on it", () => {
    const sim = new Scenario();
    const old = sim.leader();
    old.pause();
    sim.run(1_000);
    const next = sim.cluster.nodes.find((node) => node !== old && node.isLeader);
    expect(next).toBeDefined();
    expect(sim.ask(sim.connect(next!), "c0", INCREMENT).result).toBe(1);
    old.resume();
    expect(sim.converge()).toBe(true);
    expect(old.isLeader).toBe(false);
    expect(sim.ask(sim.connect(old), "c0", GET).result).toBe("1");
  });

  test("a node that was away for long is brought back by a snapshot", () => {
    const sim = new Scenario({
      options: {
        checkpointLogBytes: 4096,
        retainedBytes: 0,
        appendBytesMax: 2048,
        segmentBytes: 8192,
      },
    });
    const leader = sim.leader();
    const [away] = sim.others(leader);
    away!.crash();
    const client = sim.connect(leader);
    for (let i = 1; i <= 200; i += 1) expect(sim.ask(client, "c0", INCREMENT).result).toBe(i);
    const log = leader.replica!.inspect().raft.log;
    expect(log.compactedIndex).toBeGreaterThan(50);
    away!.boot();
    expect(sim.converge()).toBe(true);
    expect(away!.replica!.inspect().raft.log.compactedIndex).toBeGreaterThan(50);
    expect(sim.ask(sim.connect(away!), "c0", GET, { r: "local" }).result).toBe("200");
  });

  test("what a connection has seen itself does not hide that a token's write was lost", () => {
    const sim = new Scenario();
    const old = sim.leader();
    const writer = sim.connect(old);
    expect(sim.ask(writer, "c0", INCREMENT).result).toBe(1);
    sim.partition([old], sim.others(old));
    const write = { kind: "set", value: "lost" } as const;
    const { outcome, token = null } = sim.ask(writer, "r0", write, { w: "leader", meta: true });
    expect([outcome, token === null]).toEqual(["ok", false]);
    sim.run(1_000);
    const next = sim.leader();
    expect(next).not.toBe(old);
    const client = sim.connect(next);
    expect(sim.ask(client, "c0", INCREMENT).result).toBe(2);
    const lost = { outcome: "fail", result: undefined, error: "SESSION_LOST" };
    expect(sim.ask(client, "r0", GET, { r: "session", token })).toEqual(lost);
    expect(sim.ask(client, "r0", GET, { r: "session" })).toEqual({ outcome: "ok", result: null });
    sim.heal();
    expect(sim.converge()).toBe(true);
    // The writer's own session has seen nothing since.
    expect(sim.ask(writer, "r0", GET, { r: "session" })).toEqual(lost);
  });

  test("a token hides on another node that it lags, and never lets it answer with less", () => {
    const sim = new Scenario();
    const leader = sim.leader();
    const [lagging, other] = sim.others(leader);
    const writer = sim.connect(leader);
    expect(sim.ask(writer, "c0", INCREMENT).result).toBe(1);
    expect(sim.converge()).toBe(true);
    sim.partition([lagging!], [leader, other!]);
    const { token = null } = sim.ask(writer, "c0", INCREMENT, { meta: true });
    expect(token).not.toBeNull();
    const reader = sim.connect(lagging!);
    expect(sim.ask(reader, "c0", GET, { r: "local" }).result).toBe("1");
    const early = sim.ask(reader, "c0", GET, { r: "session", token, timeoutMs: 300 });
    expect(early).toEqual({ outcome: "fail", result: undefined, error: "STALE" });
    sim.heal();
    expect(sim.ask(reader, "c0", GET, { r: "session", token }).result).toBe("2");
    // From the first answer on, what the token told is the connection's own.
    sim.partition([lagging!], [leader, other!]);
    expect(sim.ask(reader, "c0", GET, { r: "session" }).result).toBe("2");
    sim.heal();
    expect(sim.ask(sim.connect(other!), "c0", GET, { r: "session", token }).result).toBe("2");
    const { operations } = sim.history;
    expect(checkSessions(operations, growthOf, () => undefined)).toBeNull();
  });

  test.each([1, 2, 3])(
    "a bound holds across restarts of the node that gives it, seed %i",
    (seed) => {
      // Clocks begin anew at each start; the oracle compares every bound with the commits.
      const sim = new Scenario({ seed, options: { instantBaseMsMax: 5 } });
      const leader = sim.leader();
      const [restarted] = sim.others(leader);
      const writer = sim.connect(leader);
      for (let round = 1; round <= 6; round += 1) {
        expect(sim.ask(writer, "c0", INCREMENT).result).toBe(round);
        expect(sim.ask(sim.connect(restarted!), "c0", GET, { r: 400 }).outcome).toBe("ok");
        sim.run(40 * round);
        restarted!.crash();
        sim.run(10 * seed);
        restarted!.boot();
      }
      expect(sim.ask(sim.connect(restarted!), "c0", GET, { r: 1, timeoutMs: 2_000 }).result).toBe(
        "6",
      );
      expect(checkBounded(sim.history.operations, growthOf)).toBeNull();
    },
  );
});
