import { beforeEach, expect, test } from "vitest";
import { toyMachine } from "../../../../test/raft/toy-machine.ts";
import { entry, makeOutbox, makeRaft } from "../../../../test/raft/unit.ts";
import { MemoryStore } from "../../log/memory-store.ts";
import { Memtable } from "../../log/memtable.ts";
import { type AppliedListener, Applier } from "./applier.ts";
import { ConsistencyCheck } from "./consistency-check.ts";
import { startElection } from "./election.ts";
import { becomeLeader } from "./leader.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Raft } from "./raft.ts";

const NOBODY: AppliedListener = {
  onApplied: () => {},
  onApplying: () => {},
  onRegistered: () => {},
  onExpired: () => {},
  onAdvanced: () => {},
};
const OTHER = "f".repeat(16);
const NEVER = { stateHashMs: 1e9, scrubMs: 1e9 };

let raft: Raft;
let applier: Applier;
let check: ConsistencyCheck;
let out = makeOutbox();

function open(limits: Partial<Raft["options"]["limits"]>, voters = ["n1", "n2", "n3"]): void {
  const made = makeRaft({ term: 3, voters });
  raft = Object.assign(made, {
    options: { ...made.options, limits: { ...made.options.limits, ...NEVER, ...limits } },
  });
  applier = new Applier(raft, new Memtable(new MemoryStore()), toyMachine);
  check = new ConsistencyCheck(raft, applier, 0);
  out = makeOutbox();
}

beforeEach(() => open({ stateHashMs: 100 }));

/** Entries 1 to `count` are appended, committed and applied: a session, then SETs. */
function apply(count: number): void {
  const first = raft.log.lastIndex + 1;
  for (let index = first; index <= count; index += 1) {
    const isFirst = index === 1;
    const text = isFirst ? "n1\0boot" : `SET k${index} ${index}`;
    const options = isFirst
      ? ({ kind: "register" } as const)
      : { session: 1, sequence: index - 1, floor: index - 1 };
    raft.log.append(entry(index, raft.term, text, options));
  }
  raft.commitTo(count);
  applier.applyCommitted(NOBODY);
}

function lead(): void {
  startElection(raft, false, 0, out);
  raft.ownVoteBatch = null;
  becomeLeader(raft, 0, out);
  raft.commitTo(raft.log.lastIndex);
  applier.applyCommitted(NOBODY);
  out.take();
}

function sent(): (readonly [to: string, message: SingleLeaderMessage])[] {
  return out.take().immediate.map((effect) => {
    if (effect.kind !== "send") throw new Error("a reply to a client");
    return [effect.to, effect.message] as const;
  });
}

function told(index: number, hash: string, agreed = false): void {
  raft.leader = "n2";
  check.onStateHash("n2", { kind: "stateHash", term: raft.term, index, hash, agreed }, 5, out);
}

function replied(from: string, index: number, hash: string): void {
  check.onReply(from, { kind: "stateHashReply", term: raft.term, index, hash }, 5, out);
}

test("a leader tells all followers its hash, and a state that all have seen not again", () => {
  apply(5);
  lead();
  check.settle(99, out);
  expect(sent()).toEqual([]);
  check.settle(100, out);
  const { hash } = applier.stateRows;
  const message = { kind: "stateHash", term: 4, index: 6, hash, agreed: false };
  expect(sent()).toEqual([
    ["n2", message],
    ["n3", message],
  ]);
  replied("n2", 6, hash);
  check.settle(200, out);
  expect(sent()).toHaveLength(2);
  replied("n2", 6, hash);
  replied("n3", 6, hash);
  check.settle(300, out);
  expect(sent()).toEqual([]);
  expect(applier.damage).toBeNull();
});

test("a leader that is busy tells the hash at an index gone by that all remember", () => {
  apply(150);
  lead();
  const own = applier.trail.at(128);
  raft.appendOwn(entry(152, 4, "SET later 1"));
  check.settle(100, out);
  expect(sent()[0]?.[1]).toMatchObject({ index: 128, hash: own });
});

test("the odd one out of three is told what the two others have", () => {
  apply(5);
  lead();
  check.settle(100, out);
  sent();
  replied("n2", 6, OTHER);
  // One against one: nobody knows who is wrong.
  expect([sent(), applier.damage]).toEqual([[], null]);
  const { hash } = applier.stateRows;
  replied("n3", 6, hash);
  replied("n2", 6, OTHER);
  expect(sent()).toEqual([["n2", { kind: "stateHash", term: 4, index: 6, hash, agreed: true }]]);
  expect(applier.damage).toBeNull();
});

test("a leader whose state a majority does not have is the one who is wrong", () => {
  apply(5);
  lead();
  check.settle(100, out);
  replied("n2", 6, OTHER);
  replied("n3", 6, OTHER);
  expect(applier.damage).toContain("a majority has another state at 6");
  sent();
  check.settle(1000, out);
  expect(sent()).toEqual([]);
});

test("answers to another comparison, or from another term, do not count", () => {
  apply(5);
  lead();
  check.settle(100, out);
  sent();
  for (const from of ["n2", "n3"]) {
    replied(from, 5, OTHER);
    check.onReply(from, { kind: "stateHashReply", term: 3, index: 6, hash: OTHER }, 5, out);
  }
  expect([applier.damage, sent()]).toEqual([null, []]);
});

test("a follower compares at the very index: gone by, now, or still to come", () => {
  apply(130);
  const at128 = applier.trail.at(128)!;
  told(128, at128);
  told(130, applier.stateRows.hash);
  told(127, OTHER);
  expect(sent().map(([, message]) => message)).toMatchObject([
    { kind: "stateHashReply", index: 128, hash: at128 },
    { kind: "stateHashReply", index: 130, hash: applier.stateRows.hash },
  ]);
  told(133, OTHER);
  apply(132);
  check.settle(10, out);
  expect(sent()).toEqual([]);
  apply(133);
  const { hash } = applier.stateRows;
  apply(135);
  check.settle(10, out);
  expect(sent()).toEqual([["n2", { kind: "stateHashReply", term: 3, index: 133, hash }]]);
  expect(applier.damage).toBeNull();
});

test("a follower that differs believes it only of a majority", () => {
  apply(5);
  told(5, OTHER);
  expect(applier.damage).toBeNull();
  told(5, OTHER, true);
  expect(applier.damage).toContain("a majority has another state at 5");
  sent();
  told(5, OTHER, true);
  expect(sent()).toEqual([]);
});

test("only the leader of the term is listened to", () => {
  apply(5);
  raft.leader = "n3";
  check.onStateHash(
    "n2",
    { kind: "stateHash", term: 3, index: 5, hash: OTHER, agreed: true },
    5,
    out,
  );
  raft.leader = "n2";
  check.onStateHash(
    "n2",
    { kind: "stateHash", term: 2, index: 5, hash: OTHER, agreed: true },
    5,
    out,
  );
  expect([sent(), applier.damage]).toEqual([[], null]);
});

test("each reads all of its rows from time to time, a few at once", () => {
  open({ scrubMs: 1000, scrubRowsMax: 2, scrubPauseMs: 10 });
  apply(6);
  expect(check.deadline()).toBe(1000);
  check.settle(1000, out);
  expect(check.deadline()).toBe(1010);
  for (let now = 1010; check.deadline()! < 2000; now += 10) check.settle(now, out);
  expect([check.deadline(), applier.damage]).toEqual([2020, null]);
});

test("a row changed behind its back is found by that, and then nothing is compared", () => {
  open({ scrubMs: 1000 });
  apply(6);
  const [from] = applier.generationRange(0);
  applier.stateRows.get(`${from}kk4`)![0] = 0;
  check.settle(1000, out);
  expect(applier.damage).toBe("its rows are not what was written");
  expect(check.deadline()).toBeNull();
});

test("two that differ read their rows at once, to find out who it is", () => {
  apply(5);
  told(5, OTHER);
  expect(check.deadline()).toBe(5);
});

test("alone there is nobody to have a better state from: the keyspace halts", () => {
  open({ scrubMs: 1000 }, ["n1"]);
  apply(6);
  const [from] = applier.generationRange(0);
  applier.stateRows.get(`${from}kk4`)![0] = 0;
  check.settle(1000, out);
  expect([applier.damage, applier.halted]).toEqual([null, expect.stringContaining("no replica")]);
});
