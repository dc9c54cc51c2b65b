import { describe, expect, test } from "vitest";
import { Cluster, packets } from "../../../../test/raft/cluster.ts";
import { TIMING } from "../../../../test/raft/test-node.ts";
import { encodeUtf8 } from "../../base/bytes.ts";
import { entryKind, entryTerm } from "./entry.ts";

/**
 * One test per claim of the Raft paper (USENIX ATC 2014, §5 to §8) and of Ongaro's thesis (3.10,
 * 6.3, 6.4, 9.6), on whole replicas. The oracles of the rig watch Figure 3's properties meanwhile.
 */
function elected(name = "n1", nodes = 3): Cluster {
  const cluster = new Cluster({ nodes });
  cluster.elect(name);
  cluster.advance(100);
  return cluster;
}

function raftOf(cluster: Cluster, name: string) {
  return cluster.node(name).replica.inspect().raft;
}

function marks(cluster: Cluster, node: string): string[] {
  return cluster.events.filter((event) => event.node === node).map((event) => event.mark);
}

/** Everything is lost on its way, for this long. */
function deafen(cluster: Cluster, ms: number): void {
  for (const { name } of cluster.nodes) cluster.isolate(name);
  cluster.advance(ms);
  cluster.heal();
}

function clean(cluster: Cluster): void {
  expect(cluster.oracles.violations).toEqual([]);
}

describe("terms and elections (§5.1, §5.2)", () => {
  test("§5.1 a server that sees a higher term takes it and follows", () => {
    const c = elected();
    c.node("n1").turn({
      kind: "message",
      from: "n2",
      message: { kind: "vote", term: 7, granted: false, preVote: false },
    });
    expect(raftOf(c, "n1")).toMatchObject({ role: "follower", term: 7, vote: null });
  });

  test("§5.1 a request with a stale term is refused and answered with the newer one", () => {
    const c = elected();
    c.isolate("n1");
    c.elect("n2");
    c.heal();
    c.node("n1").now += TIMING.heartbeatMs;
    c.node("n1").wake();
    c.deliver(packets("appendEntries", "n1", "n3"));
    c.sync("n3");
    const [reply] = c.take(packets("appendReply", "n3", "n1"));
    expect(reply?.message).toMatchObject({ success: false, term: 2 });
    expect(raftOf(c, "n3").leader).toBe("n2");
    clean(c);
  });

  test("§5.2 servers begin as followers and stay so while they hear a leader", () => {
    const c = elected();
    c.events.length = 0;
    c.advance(5000);
    expect(c.events.filter((event) => event.mark === "pre-vote")).toEqual([]);
    expect(c.leader?.name).toBe("n1");
  });

  test("§5.2 a follower that hears nothing for an election timeout begins an election", () => {
    const c = elected();
    c.crash("n1");
    c.advance(3 * TIMING.electionTimeoutMs);
    expect(c.leader?.name).not.toBe("n1");
    expect(c.leader?.replica.status(0).term).toBeGreaterThan(1);
    clean(c);
  });

  test("§5.2 a server votes for at most one candidate in a term, first come first served", () => {
    const c = new Cluster();
    c.expireElection("n1");
    c.expireElection("n2");
    const asked = c.take(packets("requestVote"));
    for (const packet of asked) if (packet.to === "n3") c.deliverOne(packet);
    c.deliver(packets("vote"));
    c.sync("n1");
    c.sync("n2");
    c.deliver(packets("requestVote", "n2", "n3"));
    c.deliver(packets("requestVote", "n1", "n3"));
    c.sync("n3");
    const votes = c.take(packets("vote", "n3")).map(({ to, message }) => ({ to, message }));
    expect(votes).toEqual([
      { to: "n2", message: { kind: "vote", term: 1, granted: true, preVote: false } },
      { to: "n1", message: { kind: "vote", term: 1, granted: false, preVote: false } },
    ]);
  });

  test("§5.2 a candidate that hears a leader of its term becomes its follower", () => {
    const c = new Cluster();
    c.expireElection("n1");
    c.expireElection("n2");
    c.deliver(packets("requestVote", null, "n3"));
    c.deliver(packets("vote", "n3"));
    expect([raftOf(c, "n1").role, raftOf(c, "n2").role]).toEqual(["candidate", "candidate"]);
    c.stabilize();
    const roles = c.nodes.map(({ name }) => raftOf(c, name).role).sort();
    expect(roles).toEqual(["follower", "follower", "leader"]);
    clean(c);
  });

  test("§5.2 timeouts are drawn at random between T and 2T", () => {
    const c = new Cluster({ nodes: 5 });
    const deadlines = c.nodes.map(({ name }) => raftOf(c, name).electionDeadline);
    for (const deadline of deadlines) {
      expect(deadline).toBeGreaterThanOrEqual(TIMING.electionTimeoutMs);
      expect(deadline).toBeLessThanOrEqual(2 * TIMING.electionTimeoutMs);
    }
    expect(new Set(deadlines).size).toBeGreaterThan(1);
  });

  test("§5.2 a cluster of one elects itself without waiting for a timeout", () => {
    const c = new Cluster({ nodes: 1 });
    c.node("n1").wake();
    c.stabilize();
    expect(c.leader?.name).toBe("n1");
  });
});

describe("log replication (§5.3)", () => {
  test("§5.3 an entry is committed once it is on the disks of a majority, and applied then", () => {
    const c = elected();
    const ticket = c.write("n1", "SET a 1");
    c.deliver(packets("appendEntries", "n1", "n2"));
    c.sync("n1");
    expect(c.answer(ticket)).toBeNull();
    c.deliver(packets("appendReply"));
    expect(c.answer(ticket)).toBeNull();
    c.sync("n2");
    c.deliver(packets("appendReply", "n2"));
    expect(c.answer(ticket)).toBe("OK");
  });

  test("§5.3 the leader's own disk need not be among the majority", () => {
    const c = elected();
    c.holdDisk("n1");
    const ticket = c.write("n1", "SET a 1");
    c.stabilize();
    expect(c.answer(ticket)).toBe("OK");
    expect(raftOf(c, "n1").log.durableIndex).toBeLessThan(raftOf(c, "n1").commitIndex);
    clean(c);
  });

  test("§5.3 followers learn the commit index with the next message and apply in log order", () => {
    const c = elected();
    for (let i = 0; i < 5; i += 1) c.write("n1", `APPEND a ${i}`);
    c.stabilize();
    c.advance(TIMING.heartbeatMs);
    const ticket = c.read("n3", "GET a", { concern: "local" });
    expect(c.answer(ticket)).toBe('"01234"');
    clean(c);
  });

  test("§5.3 a lost AppendEntries is noticed and sent again, for ever", () => {
    const c = elected();
    const ticket = c.write("n1", "SET a 1", { deadlineMs: 60_000 });
    deafen(c, 800);
    c.advance(300);
    expect(c.answer(ticket)).toBe("OK");
    clean(c);
  });

  test("§5.3 a repeated AppendEntries changes nothing", () => {
    const c = elected();
    c.write("n1", "SET a 1");
    const [packet] = c.take(packets("appendEntries", "n1", "n2"));
    c.deliverOne(packet!);
    const before = raftOf(c, "n2").log.lastIndex;
    c.deliverOne(packet!);
    expect(raftOf(c, "n2").log.lastIndex).toBe(before);
    c.stabilize();
    c.deliverOne(packet!);
    expect(raftOf(c, "n2").log.lastIndex).toBe(before);
    expect(marks(c, "n2")).not.toContain("truncate");
    clean(c);
  });

  test("§5.3 an old, shorter AppendEntries removes no entry that came after it", () => {
    const c = elected();
    c.write("n1", "SET a 1");
    const [old] = c.take(packets("appendEntries", "n1", "n2"));
    c.deliverOne(old!);
    c.write("n1", "SET a 2");
    c.deliver(packets("appendEntries", "n1", "n2"));
    const last = raftOf(c, "n2").log.lastIndex;
    c.deliverOne(old!);
    expect(raftOf(c, "n2").log.lastIndex).toBe(last);
    c.stabilize();
    clean(c);
  });

  test("§5.3 reordered AppendEntries leave no gap", () => {
    const c = elected();
    c.write("n1", "APPEND a 1");
    c.write("n1", "APPEND a 2");
    c.write("n1", "APPEND a 3");
    for (const packet of c.take(packets("appendEntries")).reverse()) c.deliverOne(packet);
    c.stabilize();
    c.advance(3 * TIMING.heartbeatMs);
    expect(c.answer(c.read("n2", "GET a", { concern: "local" }))).toBe('"123"');
    clean(c);
  });

  test("§5.3 one hint per term is enough to find where the logs agree", () => {
    const c = elected();
    c.isolate("n1");
    for (let i = 0; i < 200; i += 1) c.write("n1", `SET k ${i}`, { deadlineMs: 60_000 });
    c.sync("n1");
    c.crash("n1");
    c.take();
    c.elect("n2");
    c.heal();
    c.restart("n1");
    c.events.length = 0;
    c.advance(2 * TIMING.heartbeatMs);
    expect(raftOf(c, "n1").log.lastIndex).toBe(raftOf(c, "n2").log.lastIndex);
    expect(marks(c, "n2").filter((mark) => mark === "step-back").length).toBeLessThanOrEqual(2);
    clean(c);
  });

  test("§5.3 a leader never removes or overwrites an entry of its own", () => {
    const c = elected();
    c.write("n1", "SET a 1");
    c.isolate("n1");
    c.write("n1", "SET a 2", { deadlineMs: 60_000 });
    c.advance(500);
    expect(marks(c, "n1")).not.toContain("truncate");
  });
});

describe("safety (§5.4)", () => {
  test("§5.4.1 a candidate whose log lacks a committed entry is not elected", () => {
    const c = elected();
    c.isolate("n3");
    const ticket = c.write("n1", "SET a 1");
    c.stabilize();
    expect(c.answer(ticket)).toBe("OK");
    c.crash("n1");
    c.heal();
    expect(() => c.elect("n3")).toThrow("not elected");
    c.elect("n2");
    expect(c.leader?.name).toBe("n2");
    clean(c);
  });

  test("§5.4.1 the later last term wins over the longer log", () => {
    const c = elected();
    c.isolate("n1");
    for (let i = 0; i < 10; i += 1) c.write("n1", `SET a ${i}`, { deadlineMs: 60_000 });
    c.sync("n1");
    c.crash("n1");
    c.take();
    c.elect("n2");
    c.heal();
    c.restart("n1");
    expect(raftOf(c, "n1").log.lastIndex).toBeGreaterThan(raftOf(c, "n3").log.lastIndex);
    expect(raftOf(c, "n3").isUpToDate(raftOf(c, "n1").log.lastIndex, 1)).toBe(false);
    expect(raftOf(c, "n1").isUpToDate(raftOf(c, "n3").log.lastIndex, 2)).toBe(true);
  });

  test("§5.4.2 a new leader commits earlier entries only through one of its own term", () => {
    const c = elected();
    const ticket = c.write("n1", "SET a 1", { deadlineMs: 60_000 });
    c.deliver(packets("appendEntries", "n1", "n2"));
    c.sync("n2");
    c.crash("n1");
    c.take();
    c.campaign("n2", ["n3"]);
    const raft = raftOf(c, "n2");
    expect(entryTerm(raft.log.entry(raft.log.lastIndex - 1))).toBe(1);
    expect(entryKind(raft.log.entry(raft.log.lastIndex))).toBe("noop");
    expect(raft.commitIndex).toBeLessThan(raft.log.lastIndex - 1);
    c.stabilize();
    expect(raft.commitIndex).toBe(raft.log.lastIndex);
    expect(ticket).toBeGreaterThan(0);
    clean(c);
  });

  test("§5.5 term, vote and log survive a crash", () => {
    const c = elected();
    c.write("n1", "SET a 1");
    c.stabilize();
    const before = { term: raftOf(c, "n2").term, vote: raftOf(c, "n2").vote };
    const last = raftOf(c, "n2").log.lastIndex;
    c.restart("n2");
    expect(raftOf(c, "n2")).toMatchObject({ ...before, commitIndex: 0 });
    expect(raftOf(c, "n2").log.lastIndex).toBe(last);
  });

  test("§5.5 followers that crash are asked again until they answer", () => {
    const c = elected();
    c.crash("n2");
    c.crash("n3");
    const ticket = c.write("n1", "SET a 1", { deadlineMs: 60_000 });
    c.advance(500);
    expect(c.answer(ticket)).toBeNull();
    c.restart("n3");
    c.advance(500);
    expect(c.answer(ticket)).toBe("OK");
    clean(c);
  });
});

describe("compaction (§7)", () => {
  function compacted(): Cluster {
    const c = new Cluster({ limits: { retainedBytes: 0, snapshotChunkBytes: 50 } });
    c.elect("n1");
    c.advance(100);
    c.isolate("n3");
    c.link("n1", "n3", false);
    for (let i = 0; i < 5; i += 1) c.write("n1", `SET k${i} ${i}`);
    c.stabilize();
    c.checkpoint("n1");
    expect(raftOf(c, "n1").log.compactedIndex).toBe(raftOf(c, "n1").log.lastIndex);
    c.heal();
    c.link("n1", "n3", true);
    return c;
  }

  test("§7 a follower that needs discarded entries is sent a snapshot, chunk by chunk", () => {
    const c = compacted();
    const chunks = new Set<number>();
    for (let rounds = 0; rounds < 40; rounds += 1) {
      for (const { message } of c.wire) {
        if (message.kind === "installSnapshot") chunks.add(message.offset);
      }
      c.deliver();
      for (const { name } of c.nodes) c.sync(name);
      for (const node of c.nodes) node.wake();
    }
    expect(chunks.size).toBeGreaterThan(2);
    c.advance(200);
    expect(c.answer(c.read("n3", "GET k4", { concern: "local" }))).toBe('"4"');
    expect(c.nodes.map(({ store }) => store.openSnapshots)).toEqual([0, 0, 0]);
    clean(c);
  });

  test("§7 a snapshot of what the follower has already keeps the entries behind it", () => {
    const c = elected();
    c.write("n1", "SET a 1");
    c.stabilize();
    const { log } = raftOf(c, "n2");
    const { lastIndex, lastTerm } = log;
    c.node("n2").turn({
      kind: "message",
      from: "n1",
      message: {
        kind: "offerSnapshot",
        term: 1,
        id: { index: lastIndex - 1, term: lastTerm, hash: "0".repeat(16) },
        fresh: false,
      },
    });
    expect(log.lastIndex).toBe(lastIndex);
    c.sync("n2");
    const [reply] = c.take(packets("snapshotReply", "n2"));
    expect(reply?.message).toMatchObject({ installed: true, id: { index: lastIndex - 1 } });
  });

  test("§7 the snapshot holds the sessions: a retry after it is still recognised", () => {
    const c = compacted();
    c.advance(300);
    const before = c.node("n1").replica.inspect().applier.sessions.all();
    const after = c.node("n3").replica.inspect().applier.sessions.all();
    expect(after).toEqual(before);
    clean(c);
  });

  test("§7 a snapshot that is lost on its way starts over", () => {
    const c = compacted();
    c.deliver();
    c.take(packets("installSnapshot"));
    deafen(c, TIMING.electionTimeoutMs / 2);
    c.advance(4 * TIMING.electionTimeoutMs);
    expect(c.node("n3").replica.status(0).appliedIndex).toBe(raftOf(c, "n1").commitIndex);
    clean(c);
  });

  test("§7 the receiver says that it has it only when it is on disk, and answers meanwhile", () => {
    const c = compacted();
    c.holdDisk("n3");
    c.advance(300);
    expect(c.node("n1").replica.status(0).peers).toContainEqual(
      expect.objectContaining({ node: "n3", state: "snapshot" }),
    );
    // The leader needs n3 to keep its quorum, and n3 still writes its checkpoint.
    c.crash("n2");
    c.advance(3 * TIMING.electionTimeoutMs);
    expect(c.leader?.name).toBe("n1");
    c.freeDisk("n3");
    c.advance(300);
    const ticket = c.write("n1", "SET after 1");
    c.advance(300);
    expect(c.answer(ticket)).toBe("OK");
    clean(c);
  });
});

describe("clients (§8, thesis 6.3 and 6.4)", () => {
  test("§8 any node takes a command and brings it to the leader", () => {
    const c = elected();
    const tickets = ["n1", "n2", "n3"].map((name) => c.write(name, "INCR n"));
    c.stabilize();
    expect(new Set(tickets.map((ticket) => c.answer(ticket)))).toEqual(new Set(["1", "2", "3"]));
  });

  test("6.3 a command handed over twice is executed once and answered alike", () => {
    const c = elected();
    const ticket = c.write("n2", "INCR n", { deadlineMs: 60_000 });
    const [forward] = c.wire.filter(packets("forward"));
    c.deliver();
    c.stabilize();
    expect(c.answer(ticket)).toBe("1");
    c.deliverOne(forward!);
    c.stabilize();
    const read = c.read("n2", "GET n");
    c.stabilize();
    expect(c.answer(read)).toBe('"1"');
  });

  test("6.3 a session survives a change of leader", () => {
    const c = elected();
    const ticket = c.write("n3", "INCR n", { deadlineMs: 60_000 });
    c.deliver(packets("forward"));
    c.deliver(packets("appendEntries"));
    for (const { name } of c.nodes) c.sync(name);
    c.deliver(packets("appendReply"));
    c.crash("n1");
    c.take();
    c.elect("n2");
    c.advance(200);
    expect(c.answer(ticket)).toBe("1");
    const read = c.read("n3", "GET n");
    c.stabilize();
    expect(c.answer(read)).toBe('"1"');
    clean(c);
  });

  test("6.3 a restarted node is another client: its numbers begin anew and match nothing old", () => {
    const c = elected();
    const lost = c.write("n2", "INCR n");
    c.deliver(packets("forward"));
    c.stabilize();
    expect(c.answer(lost)).toBe("1");
    const late = c.write("n2", "INCR n", { deadlineMs: 60_000 });
    c.deliver(packets("forward"));
    c.deliver(packets("appendEntries"));
    for (const { name } of c.nodes) c.sync(name);
    c.deliver(packets("appendReply"));
    const replies = c.take(packets("forwardReply", "n1", "n2"));
    expect(replies.length).toBeGreaterThan(0);
    c.restart("n2");
    c.advance(300);
    const first = c.write("n2", "SET m 1", { deadlineMs: 60_000 });
    const second = c.write("n2", "SET m 2", { deadlineMs: 60_000 });
    for (const packet of replies) c.deliverOne(packet);
    expect([c.answer(first), c.answer(second), c.answer(late)]).toEqual([null, null, null]);
    c.stabilize();
    expect([c.answer(first), c.answer(second)]).toEqual(["OK", "OK"]);
    const read = c.read("n1", "GET m");
    c.stabilize();
    expect(c.answer(read)).toBe('"2"');
  });

  test("6.3 a late registration of an earlier boot ends no write as what it is not", () => {
    const c = new Cluster();
    c.campaign("n1", ["n2"]);
    c.deliver(packets("appendEntries"));
    const [old] = c.take(packets("forward", "n2", "n1"));
    expect(old?.message).toMatchObject({ items: [{ kind: "register", boot: "n2#1" }] });
    c.stabilize();
    c.restart("n2");
    c.advance(700);
    const before = c.write("n2", "INCR n");
    c.stabilize();
    expect(c.answer(before)).toBe("1");
    c.deliverOne(old!);
    c.stabilize();
    const after = c.write("n2", "INCR n", { deadlineMs: 60_000 });
    c.advance(2000);
    expect(c.answer(after)).toBe("SESSION_EXPIRED not-applied");
    const again = c.write("n2", "INCR n", { deadlineMs: 60_000 });
    c.advance(2000);
    expect(c.answer(again)).toBe("2");
    clean(c);
  });

  test("6.4 a read is answered only after a majority has confirmed the leader since", () => {
    const c = elected();
    c.write("n1", "SET a 1");
    c.stabilize();
    const ticket = c.read("n1", "GET a");
    expect(c.answer(ticket)).toBeNull();
    c.deliver(packets("appendEntries", "n1", "n2"));
    c.sync("n2");
    c.deliver(packets("appendReply", "n2"));
    expect(c.answer(ticket)).toBe('"1"');
  });

  test("6.4 acknowledgements of earlier rounds confirm nothing", () => {
    const c = elected();
    c.node("n1").now += TIMING.heartbeatMs;
    c.node("n1").wake();
    c.deliver(packets("appendEntries"));
    const earlier = c.take(packets("appendReply"));
    const ticket = c.read("n1", "GET a");
    for (const packet of earlier) c.deliverOne(packet);
    expect(earlier.length).toBe(2);
    expect(c.answer(ticket)).toBeNull();
    c.stabilize();
    expect(c.answer(ticket)).toBe("nil");
  });

  test("6.4 one round serves all the reads that are waiting", () => {
    const c = elected();
    const node = c.node("n1");
    const tickets = Array.from({ length: 10 }, (_, i) => 1000 + i);
    const call = { kind: "read", concern: "linearizable", deadline: node.now + 1000 } as const;
    const command = { ...call, connection: 1, payload: encodeUtf8("GET a") };
    node.turn(...tickets.map((id) => ({ kind: "request", id, command }) as const));
    expect(c.wire.filter(packets("appendEntries", "n1", "n2")).length).toBe(1);
    c.stabilize();
    expect(tickets.map((ticket) => c.answer(ticket))).toEqual(tickets.map(() => "nil"));
    // Nothing was written for it.
    expect(raftOf(c, "n1").log.lastIndex).toBe(4);
  });

  test("6.4 a new leader holds reads until an entry of its term is applied, backlog and all", () => {
    const c = new Cluster({ limits: { applyEntriesMax: 2 } });
    c.elect("n1");
    c.advance(100);
    for (let i = 1; i <= 9; i += 1) c.write("n1", `SET a ${i}`);
    c.deliver(packets("appendEntries"));
    for (const { name } of c.nodes) c.sync(name);
    c.deliver(packets("appendReply"));
    c.node("n1").wake();
    c.crash("n1");
    c.take();
    c.campaign("n2", ["n3"]);
    c.deliver(packets("appendEntries"));
    for (const name of ["n2", "n3"]) c.sync(name);
    c.deliver(packets("appendReply"));
    const { raft, applier } = c.node("n2").replica.inspect();
    expect(raft.commitIndex).toBeGreaterThan(applier.appliedIndex);
    const ticket = c.read("n2", "GET a", { deadlineMs: 60_000 });
    for (let i = 0; i < 20; i += 1) {
      c.node("n2").wake();
      c.stabilize();
    }
    expect(c.answer(ticket)).toBe('"9"');
  });
});

describe("pre-vote, check-quorum and transfer (thesis 9.6, 6.2, 3.10)", () => {
  test("9.6 a pre-vote changes no term and no vote", () => {
    const c = new Cluster();
    c.expireElection("n1");
    c.deliver(packets("requestVote"));
    expect(raftOf(c, "n2")).toMatchObject({ term: 0, vote: null, role: "follower" });
    expect(raftOf(c, "n1")).toMatchObject({ term: 0, vote: null, role: "preCandidate" });
    expect(c.node("n2").unsynced).toBe(0);
  });

  test("9.6 a pre-vote is refused while a live leader is heard", () => {
    const c = elected();
    c.expireElection("n3");
    c.deliver(packets("requestVote", "n3", "n2"));
    const [vote] = c.take(packets("vote", "n2", "n3"));
    expect(vote?.message).toMatchObject({ granted: false, preVote: true });
  });

  test("9.6 a node behind in terms learns so from the refusal of its pre-vote", () => {
    const c = elected();
    c.isolate("n3");
    c.node("n1").replica.transferLeadership(c.node("n1").now);
    c.node("n1").turn();
    c.stabilize();
    expect(c.leader?.name).toBe("n2");
    c.crash("n2");
    c.restart("n1");
    c.heal();
    c.expireElection("n3");
    c.stabilize();
    expect(raftOf(c, "n3")).toMatchObject({ term: 2, role: "follower" });
    c.advance(5000);
    expect(c.leader?.name).toBe("n1");
    clean(c);
  });

  test("6.2 a leader that hears no majority for an election timeout steps down", () => {
    const c = elected();
    c.isolate("n1");
    c.advance(TIMING.electionTimeoutMs + 2 * TIMING.heartbeatMs);
    expect(raftOf(c, "n1").role).not.toBe("leader");
    expect(marks(c, "n1")).toContain("quorum-lost");
  });

  test("6.2 a follower cut off one way does not depose a leader that the rest hears", () => {
    const c = elected();
    c.cut("n1", "n3", false);
    c.advance(5 * TIMING.electionTimeoutMs);
    expect(c.leader?.name).toBe("n1");
    expect(raftOf(c, "n1").term).toBe(1);
  });

  test("3.10 the target wins at once, although the others hear a leader", () => {
    const c = elected();
    expect(c.node("n1").replica.transferLeadership(c.node("n1").now)).toBe(true);
    c.node("n1").turn();
    c.stabilize();
    expect(c.leader?.name).not.toBe("n1");
    expect(raftOf(c, "n1").role).toBe("follower");
    clean(c);
  });

  test("3.10 the target is told only when it holds the whole log", () => {
    const c = elected();
    c.write("n1", "SET a 1");
    c.node("n1").replica.transferLeadership(c.node("n1").now);
    c.node("n1").turn();
    expect(c.wire.filter(packets("timeoutNow"))).toEqual([]);
    c.stabilize();
    expect(c.leader?.name).not.toBe("n1");
    const read = c.read("n1", "GET a");
    c.advance(600);
    expect(c.answer(read)).toBe('"1"');
  });

  test("3.10 a transfer whose target fails is given up and the leader goes on", () => {
    const c = elected();
    c.node("n1").replica.transferLeadership(c.node("n1").now);
    c.node("n1").turn();
    c.take(packets("timeoutNow"));
    c.advance(TIMING.electionTimeoutMs + TIMING.heartbeatMs);
    const ticket = c.write("n1", "SET a 1");
    c.advance(TIMING.electionTimeoutMs);
    expect(c.answer(ticket)).toBe("OK");
    expect(c.leader?.name).toBe("n1");
  });
});

describe("what the project adds (PROTOCOLS)", () => {
  test("LEAD1 nobody leads before its own vote is on disk", () => {
    const c = new Cluster();
    c.holdDisk("n1");
    c.expireElection("n1");
    c.stabilize();
    expect(raftOf(c, "n1").role).toBe("candidate");
    expect(c.wire.length).toBe(0);
    c.freeDisk("n1");
    c.stabilize();
    expect(raftOf(c, "n1").role).toBe("leader");
  });

  test("LEAD1 a leader whose disk hangs hands over", () => {
    const c = elected();
    c.holdDisk("n1");
    c.write("n1", "SET a 1");
    c.advance(2 * TIMING.electionTimeoutMs);
    expect(c.leader?.name).not.toBe("n1");
    clean(c);
  });

  test("LEAD6 staleness is dated by the follower's own clock, never by an unconfirmed leader", () => {
    const c = elected();
    c.advance(5 * TIMING.heartbeatMs);
    const { now, replica } = c.node("n2");
    const lag = replica.status(now).lagMs;
    expect(lag).not.toBeNull();
    expect(lag).toBeLessThanOrEqual(3 * TIMING.heartbeatMs);
    expect(lag).toBeGreaterThanOrEqual(0);
    c.isolate("n2");
    c.advance(700);
    expect(replica.status(c.node("n2").now).lagMs).toBeGreaterThanOrEqual(700);
  });

  test("LEAD6 a leader without a committed entry of its term dates nobody", () => {
    const c = elected();
    c.crash("n1");
    c.campaign("n2", ["n3"]);
    c.take();
    const { leadership } = raftOf(c, "n2");
    leadership?.startRound(raftOf(c, "n2").commitIndex, 0);
    for (const progress of leadership?.followers ?? []) progress.ackedRound = leadership!.round;
    leadership?.confirmedRound();
    expect(leadership?.followers.map(({ freshIndex }) => freshIndex)).toEqual([0, 0]);
  });

  test("LEAD12 a leader that was paused steps down before it acts", () => {
    const c = elected();
    c.node("n1").now += 2 * TIMING.electionTimeoutMs;
    const ticket = c.read("n1", "GET a");
    expect(raftOf(c, "n1").role).toBe("follower");
    expect(c.answer(ticket)).toBeNull();
    expect(marks(c, "n1")).toContain("paused");
  });

  test("GEN5 a throw in apply halts the keyspace, undoes its changes and crashes nobody", () => {
    const c = elected();
    const bad = c.write("n1", "FAIL", { deadlineMs: 300 });
    c.advance(500);
    expect(c.answer(bad)).toBe("TIMEOUT unknown");
    for (const { replica, now } of c.nodes) {
      expect(replica.status(now).halted).toMatch(/^entry 5: a bug in FAIL/);
      expect(replica.status(now)).toMatchObject({ keys: 0, appliedIndex: 4 });
    }
    expect(c.answer(c.read("n2", "GET half", { concern: "local" }))).toBe("HALTED not-applied");
    c.restart("n2");
    c.advance(300);
    expect(c.node("n2").replica.status(0).halted).toMatch(/^entry 5/);
  });
});
