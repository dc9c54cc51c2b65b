import { describe, expect, test } from "vitest";
import type { SingleLeaderMessage } from "../../core/replication/single-leader/messages.ts";
import type { Raft } from "../../core/replication/single-leader/raft.ts";
import { Elections } from "./elections.ts";

class Fake {
  term = 0;
  leadership: { readonly followers: readonly { readonly lastHeardAt: number }[] } | null = null;
  readonly options = { timing: { electionTimeoutMs: 100 } };

  lead(...lastHeardAt: readonly number[]): void {
    this.leadership = { followers: lastHeardAt.map((at) => ({ lastHeardAt: at })) };
  }

  get raft(): Raft {
    return this as unknown as Raft;
  }
}

function elections(): {
  readonly oracle: Elections;
  readonly node: Fake;
  readonly look: (idle?: boolean, now?: number) => void;
} {
  const oracle = new Elections(["n1", "n2", "n3"]);
  const node = new Fake();
  oracle.afterTurn("n1", node.raft, true, 0);
  const look = (idle = true, now = 0) => oracle.afterTurn("n1", node.raft, idle, now);
  return { oracle, node, look };
}

function campaign(oracle: Elections, term: number): void {
  oracle.onTrace({ node: "n1", group: 0, mark: "become-candidate", detail: `term=${term}` });
}

const refusal = (term: number) =>
  ({ kind: "vote", term, granted: false, preVote: true }) as SingleLeaderMessage;

describe("the oracle of elections", () => {
  test("a term that a candidate began, and a leader that a majority elected", () => {
    const { oracle, node, look } = elections();
    campaign(oracle, 1);
    node.term = 1;
    look();
    oracle.onVoteSent("n3", "n1", 1);
    node.lead(0, 0);
    expect(() => look()).not.toThrow();
  });

  test("a term that nobody began", () => {
    const { node, look } = elections();
    node.term = 1;
    expect(() => look()).toThrow("term-origin");
  });

  test("a leader with its own vote only", () => {
    const { oracle, node, look } = elections();
    campaign(oracle, 2);
    node.term = 2;
    // Of another term, and for another candidate.
    oracle.onVoteSent("n3", "n1", 1);
    oracle.onVoteSent("n2", "n3", 2);
    node.lead(0, 0);
    expect(() => look()).toThrow("elected-by-majority");
  });

  test("a leader that one of two answers leads on, and one that none does not", () => {
    const { oracle, node, look } = elections();
    campaign(oracle, 1);
    oracle.onVoteSent("n3", "n1", 1);
    node.term = 1;
    node.lead(0, 500);
    expect(() => look(true, 700)).not.toThrow();
    expect(() => look(true, 701)).toThrow("deaf-leader");
  });

  test("a term in an answer is taken over once the answer is taken in", () => {
    const { oracle, node, look } = elections();
    campaign(oracle, 3);
    oracle.onDelivered("n1", refusal(3));
    expect(() => look(false)).not.toThrow();
    expect(() => look()).toThrow("term-learned");
    node.term = 3;
    expect(() => look()).not.toThrow();
  });

  test("a process that ended without taking an answer in owes nothing", () => {
    const { oracle } = elections();
    oracle.onDelivered("n1", refusal(3));
    expect(() => oracle.afterTurn("n1", new Fake().raft, true, 0)).not.toThrow();
  });

  test("a granted vote tells nothing of its voter's term, and a request is no answer", () => {
    const { oracle, look } = elections();
    oracle.onDelivered("n1", { kind: "vote", term: 9, granted: true, preVote: true });
    expect(() => look()).not.toThrow();
  });
});
