import { expect, test } from "vitest";
import { makeOutbox, makeRaft } from "../../../../test/raft/unit.ts";
import { startElection } from "./election.ts";
import { becomeLeader } from "./leader.ts";
import { LogClock } from "./log-clock.ts";
import type { Raft } from "./raft.ts";

function leader(): { readonly raft: Raft; readonly clock: LogClock } {
  const raft = makeRaft();
  const out = makeOutbox();
  startElection(raft, false, 0, out);
  raft.ownVoteBatch = null;
  becomeLeader(raft, 0, out);
  return { raft, clock: new LogClock(raft) };
}

/** What the voters' wall clocks show at an instant; null for one that was not heard of. */
function show(raft: Raft, now: number, own: number, ...others: readonly (number | null)[]): void {
  raft.wallMs = own;
  raft.leadership!.followers.forEach((progress, i) => {
    const wall = others[i] ?? null;
    progress.wallOffset = wall === null ? null : wall - now;
  });
}

test("log time is the leader's clock, never backwards", () => {
  const { raft, clock } = leader();
  clock.begin(50_000);
  show(raft, 10, 60_000, 60_100, 59_900);
  expect(clock.read(10)).toBe(60_000);
  show(raft, 20, 58_000, 60_100, 59_900);
  expect(clock.read(20)).toBe(60_000);
  show(raft, 30, 60_500, 60_100, 59_900);
  expect(clock.read(30)).toBe(60_500);
});

test("it does not go on before a majority's clocks are known", () => {
  const { raft, clock } = leader();
  clock.begin(50_000);
  show(raft, 10, 60_000, null, null);
  expect(clock.read(10)).toBe(50_000);
  show(raft, 10, 60_000, 60_000, null);
  expect(clock.read(10)).toBe(60_000);
});

test("it does not go on while the leader's clock is more than 5 s from the median", () => {
  const { raft, clock } = leader();
  clock.begin(50_000);
  show(raft, 10, 65_001, 60_000, 60_000);
  expect(clock.read(10)).toBe(50_000);
  show(raft, 10, 54_999, 60_000, 60_000);
  expect(clock.read(10)).toBe(50_000);
  show(raft, 10, 65_000, 60_000, 60_000);
  expect(clock.read(10)).toBe(65_000);
  // One that is wrong does not matter.
  show(raft, 10, 66_000, 66_000, 9_999_999);
  expect(clock.read(10)).toBe(66_000);
});

test("another voter's clock goes on while nothing is heard of it", () => {
  const { raft, clock } = leader();
  show(raft, 10, 60_000, 60_000, 60_000);
  raft.wallMs = 90_000;
  expect(clock.read(30_010)).toBe(90_000);
});
