import { beforeEach, describe, expect, test } from "vitest";
import { makeOutbox, makeRaft, type RaftSettings } from "../../../../test/raft/unit.ts";
import { startElection } from "./election.ts";
import { becomeLeader } from "./leader.ts";
import { LeaderPreference } from "./leader-preference.ts";
import type { Raft } from "./raft.ts";

// Heartbeats of 100 ms, elections after 1000 ms: a node must keep up for 20 s.
const STEADY_MS = 20_000;

let out = makeOutbox();
beforeEach(() => {
  out = makeOutbox();
});

function preferring(node: string | null, settings: RaftSettings = {}) {
  const raft = makeRaft(settings);
  const preference = new LeaderPreference(raft);
  preference.preferred = node;
  preference.begin(0);
  return { raft, preference };
}

function lead(raft: Raft, now: number): void {
  startElection(raft, false, now, out);
  raft.ownVoteBatch = null;
  becomeLeader(raft, now, out);
  raft.writeTurn(now, out);
  for (const progress of raft.leadership!.followers) progress.becomeReplicate();
}

/** Lets n2 answer every heartbeat up to `until`, or not; returns when a transfer to it began. */
function beat(
  { raft, preference }: { raft: Raft; preference: LeaderPreference },
  from: number,
  until: number,
  answers: (now: number) => boolean = () => true,
): number | null {
  for (let now = from; now <= until; now += 100) {
    const progress = raft.leadership!.progress("n2");
    if (answers(now)) {
      progress.lastHeardAt = now;
      progress.matched(raft.log.lastIndex, false);
    }
    preference.drive(now);
    if (raft.leadership?.transfer != null) return now;
  }
  return null;
}

describe("the preferred leader", () => {
  test("campaigns at once when it starts, and again soon until its time is over", () => {
    const { raft, preference } = preferring("n1");
    expect(raft.electionDeadline).toBe(0);
    raft.role = "preCandidate";
    raft.resetElectionTimer(10);
    preference.hasten(10);
    expect(raft.electionDeadline).toBe(35);
    raft.resetElectionTimer(2_000);
    const { electionDeadline } = raft;
    preference.hasten(2_000);
    expect(raft.electionDeadline).toBe(electionDeadline);
  });

  test("does not cut an election short: its own vote may be on the way to the disk", () => {
    const { raft, preference } = preferring("n1");
    startElection(raft, false, 0, out);
    const { electionDeadline } = raft;
    preference.hasten(0);
    expect(raft.electionDeadline).toBe(electionDeadline);
    expect(electionDeadline).toBeGreaterThanOrEqual(1_000);
  });

  test("is waited for by the others, in a new group only for a while", () => {
    const young = preferring("n2").raft;
    expect(young.electionDeadline).toBeGreaterThanOrEqual(500);
    expect(young.electionDeadline).toBeLessThanOrEqual(1_000);
    const old = preferring("n2", { term: 3, log: [1, 3] }).raft;
    expect(old.electionDeadline).toBeGreaterThanOrEqual(1_000);
  });

  test("is nobody where nobody is preferred", () => {
    const { raft, preference } = preferring(null);
    expect(raft.electionDeadline).toBeGreaterThanOrEqual(1_000);
    lead(raft, 0);
    expect(beat({ raft, preference }, 0, 3 * STEADY_MS)).toBeNull();
  });
});

describe("another leader hands over", () => {
  test("when the preferred node has kept up for long", () => {
    const both = preferring("n2");
    lead(both.raft, 0);
    expect(beat(both, 0, 3 * STEADY_MS)).toBe(STEADY_MS);
    expect(both.raft.leadership!.transfer).toMatchObject({ to: "n2" });
  });

  test("not before it has kept up without a gap", () => {
    const both = preferring("n2");
    lead(both.raft, 0);
    // Four heartbeats without an answer, 15 s after the start.
    const answers = (now: number) => now < 15_000 || now > 15_300;
    expect(beat(both, 0, 100_000, answers)).toBe(15_400 + STEADY_MS);
  });

  test("not while it is behind by more than a heartbeat's entries", () => {
    const both = preferring("n2");
    lead(both.raft, 0);
    both.raft.commitTo(1);
    for (let now = 0; now <= 3 * STEADY_MS; now += 100) {
      both.raft.leadership!.progress("n2").lastHeardAt = now;
      both.preference.drive(now);
    }
    expect(both.raft.leadership!.transfer).toBeNull();
  });

  test("soon when somebody asks for it", () => {
    const both = preferring("n3");
    lead(both.raft, 0);
    beat(both, 0, 5_000);
    both.preference.preferred = "n2";
    expect(beat(both, 5_000, 60_000)).toBe(6_100);
  });

  test("twice as late each time that it loses leadership soon again", () => {
    const both = preferring("n2");
    const waits: number[] = [];
    let now = 0;
    for (let i = 0; i < 4; i += 1) {
      // n2 leads for a moment, then this node again.
      both.raft.becomeFollower(both.raft.term + 1, "n2", now);
      both.preference.drive(now);
      now += 1_000;
      lead(both.raft, now);
      const handed = beat(both, now, now + 1_000_000)!;
      waits.push(handed - now);
      now = handed + 100;
    }
    expect(waits).toEqual([20_000, 40_000, 80_000, 160_000]);
    // It leads for long: what was wrong is over.
    both.raft.becomeFollower(both.raft.term + 1, "n2", now);
    both.preference.drive(now);
    now += 1_000_000;
    lead(both.raft, now);
    expect(beat(both, now, now + 1_000_000)).toBe(now + 20_000);
  });

  test("not while it leads because an operator wants it to", () => {
    const both = preferring("n2");
    lead(both.raft, 0);
    both.raft.isAskedToLead = true;
    expect(beat(both, 0, 5 * STEADY_MS)).toBeNull();
    both.raft.becomeFollower(both.raft.term, null, 5 * STEADY_MS);
    lead(both.raft, 5 * STEADY_MS);
    expect(beat(both, 5 * STEADY_MS, 10 * STEADY_MS)).toBe(6 * STEADY_MS);
  });

  test("later when it was told to lead and did not come to it", () => {
    const both = preferring("n2");
    lead(both.raft, 0);
    const first = beat(both, 0, 100_000)!;
    both.raft.leadership!.transfer = null;
    const second = beat(both, first + 1_000, 1_000_000)!;
    both.raft.leadership!.transfer = null;
    const third = beat(both, second + 1_000, 1_000_000)!;
    expect([first, second, third]).toEqual([20_000, 41_000, 82_000]);
  });
});
