import { beforeEach, describe, expect, test } from "vitest";
import { makeOutbox, makeRaft } from "../../../../test/raft/unit.ts";
import {
  onOwnVoteWritten,
  onRequestVote,
  onVote,
  startElection,
  startPreVote,
} from "./election.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import { encodeRecord } from "./records.ts";

type RequestVote = Extract<SingleLeaderMessage, { kind: "requestVote" }>;

const ASK: RequestVote = {
  kind: "requestVote",
  term: 4,
  lastLogIndex: 2,
  lastLogTerm: 3,
  preVote: false,
  transfer: false,
};

let out = makeOutbox();
beforeEach(() => {
  out = makeOutbox();
});

describe("asking", () => {
  test("a pre-vote asks for the next term and writes nothing", () => {
    const raft = makeRaft({ term: 3, log: [1, 3] });
    startPreVote(raft, 10, out);
    raft.writeTurn(10, out);
    const message = { ...ASK, preVote: true };
    expect(out.take()).toEqual({
      immediate: [
        { kind: "send", to: "n2", message },
        { kind: "send", to: "n3", message },
      ],
      batch: null,
    });
    expect(raft).toMatchObject({ role: "preCandidate", term: 3, vote: null });
  });

  test("an election leaves behind its own term and vote (LEAD1)", () => {
    const raft = makeRaft({ term: 3, log: [1, 3] });
    startElection(raft, true, 10, out);
    raft.writeTurn(10, out);
    const message = { ...ASK, transfer: true };
    expect(out.take()).toEqual({
      immediate: [],
      batch: {
        number: 1,
        records: [encodeRecord(raft.options.group, { kind: "hardState", term: 4, vote: "n1" })],
        afterWrite: [
          { kind: "send", to: "n2", message },
          { kind: "send", to: "n3", message },
        ],
      },
    });
  });

  test("votes of others do not suffice before the own vote is on disk", () => {
    const raft = makeRaft({ voters: ["n1", "n2", "n3"] });
    startElection(raft, false, 0, out);
    onVote(raft, "n2", { kind: "vote", term: 1, granted: true, preVote: false }, 0, out);
    onVote(raft, "n3", { kind: "vote", term: 1, granted: true, preVote: false }, 0, out);
    expect(raft.role).toBe("candidate");
    onOwnVoteWritten(raft, 0, 0, out);
    expect(raft.role).toBe("candidate");
    onOwnVoteWritten(raft, 1, 0, out);
    expect(raft.role).toBe("leader");
  });

  test("a vote is counted once per voter", () => {
    const raft = makeRaft({ voters: ["n1", "n2", "n3", "n4", "n5"] });
    startElection(raft, false, 0, out);
    onOwnVoteWritten(raft, 1, 0, out);
    const vote = { kind: "vote", term: 1, granted: true, preVote: false } as const;
    onVote(raft, "n2", vote, 0, out);
    onVote(raft, "n2", vote, 0, out);
    expect(raft.role).toBe("candidate");
    onVote(raft, "n3", vote, 0, out);
    expect(raft.role).toBe("leader");
  });

  test("a grant of another term or kind says nothing (L9)", () => {
    const raft = makeRaft({ term: 5 });
    startElection(raft, false, 0, out);
    onOwnVoteWritten(raft, 1, 0, out);
    onVote(raft, "n2", { kind: "vote", term: 5, granted: true, preVote: false }, 0, out);
    onVote(raft, "n2", { kind: "vote", term: 7, granted: true, preVote: true }, 0, out);
    expect(raft.role).toBe("candidate");
  });

  test("refused by a majority, it follows and waits for another timeout", () => {
    const raft = makeRaft();
    startElection(raft, false, 0, out);
    const refusal = { kind: "vote", term: 1, granted: false, preVote: false } as const;
    onVote(raft, "n2", refusal, 5, out);
    expect(raft.role).toBe("candidate");
    onVote(raft, "n3", refusal, 5, out);
    expect(raft).toMatchObject({ role: "follower", term: 1, vote: "n1" });
    expect(raft.electionDeadline).toBeGreaterThanOrEqual(1005);
  });

  test("a refusal of a higher term ends the election", () => {
    const raft = makeRaft();
    startElection(raft, false, 0, out);
    onVote(raft, "n2", { kind: "vote", term: 9, granted: false, preVote: false }, 0, out);
    expect(raft).toMatchObject({ role: "follower", term: 9, vote: null });
  });
});

describe("being asked", () => {
  const grant = { kind: "vote", term: 4, granted: true, preVote: false };

  test("the vote leaves once term and vote are on disk", () => {
    const raft = makeRaft({ term: 3, log: [1, 3] });
    onRequestVote(raft, "n2", ASK, 0, out);
    raft.writeTurn(0, out);
    expect(out.take()).toEqual({
      immediate: [],
      batch: {
        number: 1,
        records: [encodeRecord(raft.options.group, { kind: "hardState", term: 4, vote: "n2" })],
        afterWrite: [{ kind: "send", to: "n2", message: grant }],
      },
    });
  });

  test.each([
    ["a shorter log of the same term", { lastLogIndex: 1, lastLogTerm: 3 }, false],
    ["a longer log of an earlier term", { lastLogIndex: 9, lastLogTerm: 2 }, false],
    ["a shorter log of a later term", { lastLogIndex: 1, lastLogTerm: 4 }, true],
    ["the same log", { lastLogIndex: 2, lastLogTerm: 3 }, true],
    ["an earlier term", { term: 2 }, false],
  ])("%s: granted %s", (_, change, granted) => {
    for (const preVote of [true, false]) {
      const raft = makeRaft({ term: 3, log: [3, 3] });
      onRequestVote(raft, "n2", { ...ASK, ...change, preVote }, 0, out);
      const { immediate, batch } = out.take();
      const [effect] = [...immediate, ...(batch?.afterWrite ?? [])];
      expect(effect).toMatchObject({ to: "n2", message: { kind: "vote", granted, preVote } });
    }
  });

  test("who has voted in this term refuses others and repeats itself", () => {
    const raft = makeRaft({ term: 4, vote: "n3", log: [1, 3] });
    onRequestVote(raft, "n2", ASK, 0, out);
    onRequestVote(raft, "n3", ASK, 0, out);
    expect(out.take().batch?.afterWrite).toEqual([
      { kind: "send", to: "n2", message: { ...grant, granted: false } },
      { kind: "send", to: "n3", message: grant },
    ]);
  });

  test("who hears a leader ignores a higher term, unless the leader asked for it (LEAD2)", () => {
    const raft = makeRaft({ term: 3, log: [1, 3] });
    raft.leader = "n3";
    raft.leaderHeardAt = 0;
    onRequestVote(raft, "n2", ASK, 999, out);
    expect(out.take()).toEqual({ immediate: [], batch: null });
    expect(raft.term).toBe(3);
    onRequestVote(raft, "n2", { ...ASK, transfer: true }, 999, out);
    expect(out.take().batch?.afterWrite).toEqual([{ kind: "send", to: "n2", message: grant }]);
  });

  test("a leader is heard for one election timeout, and not over a broken link", () => {
    const raft = makeRaft({ term: 3 });
    raft.leader = "n3";
    raft.leaderHeardAt = 0;
    expect([raft.hearsLeader(999), raft.hearsLeader(1000)]).toEqual([true, false]);
    raft.linksDown.add("n3");
    expect(raft.hearsLeader(1)).toBe(false);
  });

  test("a granted pre-vote promises nothing and leaves at once", () => {
    const raft = makeRaft({ term: 3, log: [1, 3] });
    onRequestVote(raft, "n2", { ...ASK, preVote: true }, 0, out);
    raft.writeTurn(0, out);
    expect(out.take()).toEqual({
      immediate: [{ kind: "send", to: "n2", message: { ...grant, preVote: true } }],
      batch: null,
    });
  });
});
