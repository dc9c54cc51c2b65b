import { beforeEach, describe, expect, test } from "vitest";
import { entry, makeOutbox, makeRaft, type RaftSettings } from "../../../../test/raft/unit.ts";
import { startElection } from "./election.ts";
import {
  advanceCommit,
  becomeLeader,
  checkQuorum,
  confirmedRound,
  durableCount,
  leaderDeadline,
  onAppendReply,
  ownTermCommitted,
  releaseGroup,
  replicate,
} from "./leader.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Raft } from "./raft.ts";

type AppendReply = Extract<SingleLeaderMessage, { kind: "appendReply" }>;

const OK: AppendReply = {
  kind: "appendReply",
  term: 1,
  success: true,
  matchIndex: 0,
  hintIndex: 0,
  hintTerm: 0,
  refusedIndex: 0,
  round: 0,
  boot: 0,
  stamp: 0,
  wallMs: 0,
  appliedIndex: 0,
};

let out = makeOutbox();
beforeEach(() => {
  out = makeOutbox();
});

/** Leads the term after the given one; its first entry is handed to the disk, not on it. */
function leading(settings: RaftSettings = {}): Raft {
  const raft = makeRaft(settings);
  startElection(raft, false, 0, out);
  raft.ownVoteBatch = null;
  becomeLeader(raft, 0, out);
  raft.writeTurn(0, out);
  out.take();
  return raft;
}

function sent() {
  return out.take().immediate.map((effect) => {
    if (effect.kind !== "send" || effect.message.kind !== "appendEntries") return effect;
    const { prevLogIndex, prevLogTerm, entries, commitIndex, round } = effect.message;
    return [effect.to, `${prevLogIndex}.${prevLogTerm}`, entries.length, commitIndex, round];
  });
}

function sentTo(node: string) {
  return sent().filter((message) => Array.isArray(message) && message[0] === node);
}

function matched(raft: Raft, node: string, matchIndex: number, round = 0): void {
  onAppendReply(raft, node, { ...OK, term: raft.term, matchIndex, round }, 0);
}

describe("replication", () => {
  test("a new leader probes behind its own first entry", () => {
    const raft = leading({ term: 2, log: [1, 2] });
    releaseGroup(raft, 0);
    replicate(raft, 0, out);
    expect(sent()).toEqual([
      ["n2", "2.2", 1, 0, 1],
      ["n3", "2.2", 1, 0, 1],
    ]);
    raft.appendOwn(entry(4, 3));
    releaseGroup(raft, 1);
    replicate(raft, 1, out);
    expect(sent()).toEqual([]);
  });

  test("once the logs agree, entries are pipelined without waiting", () => {
    const raft = leading();
    releaseGroup(raft, 0);
    replicate(raft, 0, out);
    matched(raft, "n2", 1);
    sent();
    raft.appendOwn(entry(2, 1));
    releaseGroup(raft, 1);
    replicate(raft, 1, out);
    raft.appendOwn(entry(3, 1));
    raft.appendOwn(entry(4, 1));
    releaseGroup(raft, 2);
    replicate(raft, 2, out);
    expect(sent()).toEqual([
      ["n2", "1.1", 1, 0, 1],
      ["n2", "2.1", 2, 0, 1],
    ]);
  });

  test("entries in flight are bounded, heartbeats are not", () => {
    const raft = leading();
    matched(raft, "n2", 1);
    raft.leadership!.progress("n2").inFlightBytes = raft.options.limits.inFlightBytesMax;
    raft.appendOwn(entry(2, 1));
    raft.leadership!.nextHeartbeatAt = 50;
    raft.leadership!.progress("n2").toldRound = 0;
    releaseGroup(raft, 10);
    replicate(raft, 10, out);
    expect(sentTo("n2")).toEqual([]);
    releaseGroup(raft, 50);
    replicate(raft, 50, out);
    expect(sentTo("n2")).toEqual([["n2", "1.1", 0, 0, 1]]);
  });

  test("a refusal leads to the hint, and never below what is matched", () => {
    const raft = leading({ term: 5, log: [1, 1, 3, 3, 5] });
    releaseGroup(raft, 0);
    replicate(raft, 0, out);
    sent();
    const refusal = { ...OK, term: 6, success: false, refusedIndex: 5 };
    onAppendReply(raft, "n2", { ...refusal, hintIndex: 4, hintTerm: 2 }, 0);
    releaseGroup(raft, 1);
    replicate(raft, 1, out);
    expect(sent()).toEqual([["n2", "2.1", 4, 0, 1]]);
    matched(raft, "n2", 6);
    onAppendReply(raft, "n2", { ...refusal, refusedIndex: 4, hintIndex: 1, hintTerm: 1 }, 0);
    expect(raft.leadership!.progress("n2")).toMatchObject({ matchIndex: 6, nextIndex: 7 });
  });

  test("a stale refusal of an earlier probe is ignored", () => {
    const raft = leading({ term: 2, log: [1, 1, 1] });
    const refusal = { ...OK, term: 3, success: false, hintIndex: 0, hintTerm: 0 };
    onAppendReply(raft, "n2", { ...refusal, refusedIndex: 1 }, 0);
    expect(raft.leadership!.progress("n2").nextIndex).toBe(4);
  });

  test("matchIndex never falls, and a stale acknowledgement changes nothing (L18)", () => {
    const raft = leading({ log: [] });
    for (let index = 2; index <= 4; index += 1) raft.appendOwn(entry(index, 1));
    matched(raft, "n2", 4);
    matched(raft, "n2", 2);
    expect(raft.leadership!.progress("n2")).toMatchObject({ matchIndex: 4, nextIndex: 5 });
  });

  test("replies of an earlier term are ignored, of a later one depose (L10, L12)", () => {
    const raft = leading({ term: 4, log: [4] });
    onAppendReply(raft, "n2", { ...OK, term: 4, matchIndex: 2 }, 0);
    expect(raft.leadership!.progress("n2").matchIndex).toBe(0);
    onAppendReply(raft, "n2", { ...OK, term: 6 }, 0);
    expect(raft).toMatchObject({ role: "follower", term: 6, leader: null, leadership: null });
  });

  test("an acknowledgement of what was never sent is a broken invariant", () => {
    expect(() => matched(leading(), "n2", 9)).toThrow("never sent");
  });

  test("a commit that nothing carries is told after a moment", () => {
    const raft = leading();
    releaseGroup(raft, 0);
    replicate(raft, 0, out);
    matched(raft, "n2", 1);
    matched(raft, "n3", 1);
    sent();
    raft.log.written(1);
    advanceCommit(raft);
    releaseGroup(raft, 1);
    replicate(raft, 1, out);
    expect(sent()).toEqual([]);
    expect(leaderDeadline(raft)).toBe(4);
    releaseGroup(raft, 4);
    replicate(raft, 4, out);
    expect(sent()).toEqual([
      ["n2", "1.1", 0, 1, 1],
      ["n3", "1.1", 0, 1, 1],
    ]);
  });
});

describe("commit", () => {
  test("a majority's disks decide, the leader's own among them", () => {
    const raft = leading();
    expect(durableCount(raft, 1)).toBe(0);
    matched(raft, "n2", 1);
    advanceCommit(raft);
    expect(raft.commitIndex).toBe(0);
    raft.log.written(1);
    advanceCommit(raft);
    expect([raft.commitIndex, durableCount(raft, 1)]).toEqual([1, 2]);
    expect(ownTermCommitted(raft)).toBe(true);
  });

  test("an entry of an earlier term is not committed by counting (§5.4.2)", () => {
    const raft = leading({ term: 2, log: [1, 2] });
    matched(raft, "n2", 2);
    matched(raft, "n3", 2);
    advanceCommit(raft);
    expect(raft.commitIndex).toBe(0);
    expect(ownTermCommitted(raft)).toBe(false);
    matched(raft, "n3", 3);
    matched(raft, "n2", 3);
    advanceCommit(raft);
    expect(raft.commitIndex).toBe(3);
  });
});

describe("leadership", () => {
  test("a round is confirmed by a majority, this node included", () => {
    const { leadership } = leading({ voters: ["n1", "n2", "n3", "n4", "n5"] });
    const round = leadership!.startRound(0, 10);
    leadership!.progress("n2").ackedRound = round;
    expect(leadership!.confirmedRound()).toBe(0);
    leadership!.progress("n5").ackedRound = round;
    expect(leadership!.confirmedRound()).toBe(round);
  });

  test("a confirmed round dates the followers' states, and the leader's by its beginning", () => {
    const raft = leading();
    const { leadership } = raft;
    const [n2, n3] = leadership!.followers;
    onAppendReply(raft, "n2", { ...OK, boot: 5, stamp: 70, matchIndex: 1 }, 10);
    raft.commitIndex = 1;
    const round = leadership!.startRound(1, 20);
    onAppendReply(raft, "n2", { ...OK, boot: 5, stamp: 90, matchIndex: 1 }, 30);
    expect(confirmedRound(raft)).toBe(0);
    expect(raft.staleMs(1, 40)).toBeNull();
    expect(n2!.freshIndex).toBe(0);
    onAppendReply(raft, "n2", { ...OK, boot: 5, stamp: 95, matchIndex: 1, round }, 40);
    expect(confirmedRound(raft)).toBe(round);
    // The stamp that it held when the round began, not the latest.
    expect(n2).toMatchObject({ freshStamp: { boot: 5, at: 70 }, freshIndex: 1 });
    expect(n3).toMatchObject({ freshIndex: 0 });
    expect(raft.staleMs(1, 50)).toBe(30);
    // Without a majority it does not get younger.
    leadership!.startRound(1, 60);
    confirmedRound(raft);
    expect(raft.staleMs(1, 100)).toBe(80);
  });

  test("stamps of two starts of a follower do not compare", () => {
    const raft = leading();
    const progress = raft.leadership!.progress("n2");
    onAppendReply(raft, "n2", { ...OK, boot: 5, stamp: 9000 }, 10);
    onAppendReply(raft, "n2", { ...OK, boot: 5, stamp: 8000 }, 11);
    expect(progress.stamp).toEqual({ boot: 5, at: 9000 });
    onAppendReply(raft, "n2", { ...OK, boot: 6, stamp: 3 }, 12);
    expect(progress.stamp).toEqual({ boot: 6, at: 3 });
  });

  test("a leader that has not heard a majority lately steps down", () => {
    const raft = leading();
    onAppendReply(raft, "n2", OK, 500);
    checkQuorum(raft, 1500);
    expect(raft.role).toBe("leader");
    checkQuorum(raft, 1501);
    expect(raft).toMatchObject({ role: "follower", term: 1, leader: null });
  });
});
