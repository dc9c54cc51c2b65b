import { beforeEach, describe, expect, test } from "vitest";
import { toyMachine } from "../../../../test/raft/toy-machine.ts";
import { entry, makeOutbox, makeRaft } from "../../../../test/raft/unit.ts";
import { encodeUtf8 } from "../../base/bytes.ts";
import type { LogPlace, ReadCondition, ReadPreference } from "../../contract/group.ts";
import { MemoryStore } from "../../log/memory-store.ts";
import { Memtable } from "../../log/memtable.ts";
import { Applier } from "./applier.ts";
import { Forwarding } from "./forwarding.ts";
import type { Raft } from "./raft.ts";
import { ReplicaReads } from "./replica-reads.ts";

let raft: Raft;
let applier: Applier;
let forwarding: Forwarding;
let reads: ReplicaReads;
let out = makeOutbox();

beforeEach(() => {
  raft = makeRaft({ term: 3, log: [1, 1, 3] });
  raft.leader = "n2";
  applier = new Applier(raft, new Memtable(new MemoryStore()), toyMachine);
  forwarding = new Forwarding(raft, applier, "boot");
  reads = new ReplicaReads(raft, applier, forwarding);
  out = makeOutbox();
});

const LISTENER = {
  onApplied: () => {},
  onApplying: () => {},
  onRegistered: () => {},
  onExpired: () => {},
  onAdvanced: () => {},
};

function apply(index: number): void {
  raft.commitTo(index);
  applier.applyCommitted(LISTENER);
}

interface Asked {
  readonly now?: number;
  readonly deadline?: number;
  readonly prefer?: ReadPreference;
}

function ask(ticket: number, condition: ReadCondition, asked: Asked = {}): void {
  const { now = 0, deadline = 2000, prefer = "nearest" } = asked;
  forwarding.now = now;
  const call = { connection: 1, payload: encodeUtf8("GET a"), condition, prefer, deadline };
  reads.request(ticket, { kind: "replicaRead", ...call }, now, out);
}

function session(...places: LogPlace[]): ReadCondition {
  return { kind: "session", places };
}

function bounded(staleMsMax: number): ReadCondition {
  return { kind: "bounded", staleMsMax };
}

function settle(now: number): void {
  forwarding.now = now;
  reads.settle(now, out);
}

function replies() {
  return out.take().immediate.map((effect) => {
    if (effect.kind !== "reply") return effect.kind;
    const { reply, meta } = effect.reply;
    const said = reply.kind === "error" ? `${reply.code} ${reply.outcome}` : reply.kind;
    return [effect.to, said, meta.index, meta.node, meta.staleMs];
  });
}

describe("a session's read (LEAD7)", () => {
  test("is answered at once when its entry is applied, or when it has seen nothing", () => {
    apply(2);
    ask(1, session({ term: 1, index: 2 }));
    ask(2, session());
    expect(replies()).toEqual([
      [1, "null", 2, "n1", null],
      [2, "null", 2, "n1", null],
    ]);
  });

  test("waits until its entry is applied", () => {
    apply(2);
    ask(1, session({ term: 3, index: 3 }));
    expect([replies(), reads.waiting]).toEqual([[], 1]);
    apply(3);
    settle(10);
    expect([replies(), reads.waiting]).toEqual([[[1, "null", 3, "n1", null]], 0]);
  });

  test("is never answered when another entry is in its place", () => {
    apply(3);
    ask(1, session({ term: 2, index: 3 }));
    // Behind an entry of term 3 none of term 2 can come any more.
    ask(2, session({ term: 2, index: 8 }));
    ask(3, session({ term: 4, index: 3 }));
    expect(replies()).toEqual([
      [1, "SESSION_LOST not-applied", 0, null, null],
      [2, "SESSION_LOST not-applied", 0, null, null],
      [3, "SESSION_LOST not-applied", 0, null, null],
    ]);
  });

  test("that has seen several entries is judged by the worst of them", () => {
    apply(3);
    ask(1, session({ term: 1, index: 2 }, { term: 3, index: 3 }));
    ask(2, session({ term: 3, index: 3 }, { term: 2, index: 2 }));
    ask(3, session({ term: 3, index: 9 }, { term: 2, index: 2 }));
    ask(4, session({ term: 3, index: 9 }, { term: 1, index: 2 }));
    expect(replies().map(([ticket, said]) => [ticket, said])).toEqual([
      [1, "null"],
      [2, "SESSION_LOST not-applied"],
      [3, "SESSION_LOST not-applied"],
    ]);
    expect(reads.waiting).toBe(1);
  });

  test("finds the term at an entry that is compacted", () => {
    apply(3);
    raft.log.append(entry(4, 3));
    raft.log.allDurable();
    raft.log.compact(3);
    expect(raft.log.compactedIndex).toBe(3);
    ask(1, session({ term: 1, index: 2 }));
    ask(2, session({ term: 2, index: 2 }));
    expect(replies().map((reply) => reply[1])).toEqual(["null", "SESSION_LOST not-applied"]);
  });

  test("goes to the leader after a heartbeat, or half of the time that it has", () => {
    ask(1, session({ term: 3, index: 3 }));
    ask(2, session({ term: 3, index: 3 }), { deadline: 60 });
    expect(reads.deadline()).toBe(30);
    settle(29);
    expect([reads.waiting, forwarding.openCalls]).toEqual([2, 0]);
    settle(30);
    expect([reads.waiting, forwarding.openCalls]).toEqual([1, 1]);
    expect(reads.deadline()).toBe(100);
    settle(100);
    expect([reads.waiting, forwarding.openCalls, reads.deadline()]).toEqual([0, 2, null]);
    expect(replies()).toEqual([]);
  });

  test("waits for its entry or for a leader while there is none, up to its deadline", () => {
    raft.leader = null;
    ask(1, session({ term: 3, index: 3 }), { deadline: 500 });
    expect(reads.deadline()).toBe(500);
    settle(499);
    expect(replies()).toEqual([]);
    settle(500);
    expect([replies(), reads.waiting]).toEqual([[[1, "STALE not-applied", 0, null, null]], 0]);
  });

  test("goes to the leader at once where that is preferred, whatever is here", () => {
    apply(3);
    ask(1, session({ term: 3, index: 3 }), { prefer: "leader" });
    expect([replies(), forwarding.openCalls]).toEqual([[], 1]);
  });

  test("that the leader does not answer in time ends as STALE, handed over or not", () => {
    ask(1, session({ term: 3, index: 3 }), { prefer: "leader", deadline: 500 });
    forwarding.expire(500, out);
    expect(replies()).toEqual([[1, "STALE not-applied", 0, null, null]]);
  });

  test("that nobody waits for any more is forgotten", () => {
    ask(1, session({ term: 3, index: 3 }));
    reads.cancel(1);
    expect([reads.waiting, reads.deadline()]).toEqual([0, null]);
  });
});

describe("a bounded read (LEAD6)", () => {
  test("is answered by a state that is young enough, with its age", () => {
    apply(2);
    raft.freshness.note(100, 2);
    ask(1, bounded(50), { now: 150 });
    expect(replies()).toEqual([[1, "null", 2, "n1", 50]]);
  });

  test("goes to the leader at once when it is older, or of unknown age", () => {
    apply(2);
    ask(1, bounded(50), { now: 150 });
    raft.freshness.note(100, 2);
    ask(2, bounded(50), { now: 151 });
    expect([replies(), forwarding.openCalls]).toEqual([[], 2]);
  });

  test("waits for a younger state while there is no leader", () => {
    raft.leader = null;
    apply(2);
    ask(1, bounded(50), { now: 150 });
    expect([replies(), reads.waiting]).toEqual([[], 1]);
    raft.freshness.note(120, 2);
    settle(160);
    expect(replies()).toEqual([[1, "null", 2, "n1", 40]]);
  });

  test("follows its connection's last write, however young the state is", () => {
    const write = { kind: "write", connection: 1, payload: encodeUtf8("SET a 1") } as const;
    forwarding.request(7, { ...write, concern: "majority", deadline: 2000 }, out);
    apply(2);
    raft.freshness.note(100, 2);
    raft.leader = null;
    ask(1, bounded(50), { now: 110 });
    expect([replies(), reads.waiting]).toEqual([[], 1]);
  });
});

test("what waits is bounded, together with what waits for the leader", () => {
  const { limits } = raft.options;
  for (let i = 1; i < limits.windowCalls; i += 1) ask(i, session({ term: 3, index: 3 }));
  const write = { kind: "write", connection: 2, payload: encodeUtf8("SET a 1") } as const;
  forwarding.request(90_000, { ...write, concern: "majority", deadline: 2000 }, out);
  expect(replies()).toEqual([]);
  ask(90_001, session({ term: 3, index: 3 }));
  forwarding.request(90_002, { ...write, concern: "majority", deadline: 2000 }, out);
  expect(replies().map((reply) => reply[1])).toEqual(["BUSY not-applied", "BUSY not-applied"]);
  reads.cancel(1);
  ask(90_003, session({ term: 3, index: 3 }));
  expect(replies()).toEqual([]);
});
