import { beforeEach, describe, expect, test } from "vitest";
import { entry, makeOutbox, makeRaft, type RaftSettings } from "../../../../test/raft/unit.ts";
import { onRequestVote, startElection } from "./election.ts";
import { becomeLeader, onAppendReply } from "./leader.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import { RAFT_LIMITS, type Raft } from "./raft.ts";
import { driveTransfer, onTransferRequest, startTransfer } from "./transfer.ts";

type TransferRequest = Extract<SingleLeaderMessage, { kind: "transferRequest" }>;

let out = makeOutbox();
beforeEach(() => {
  out = makeOutbox();
});

/** Leads term 1; its first entry has index 1, a second one index 2. */
function leading(settings: RaftSettings = {}): Raft {
  const raft = makeRaft(settings);
  startElection(raft, false, 0, out);
  raft.ownVoteBatch = null;
  becomeLeader(raft, 0, out);
  raft.appendOwn(entry(raft.log.lastIndex + 1, raft.term));
  raft.writeTurn(0, out);
  out.take();
  return raft;
}

function matched(raft: Raft, node: string, matchIndex: number, now = 0): void {
  const reply = { kind: "appendReply", term: raft.term, success: true, matchIndex } as const;
  const rest = {
    hintIndex: 0,
    hintTerm: 0,
    refusedIndex: 0,
    round: 0,
    boot: 0,
    stamp: 0,
    wallMs: 0,
    appliedIndex: 0,
  };
  onAppendReply(raft, node, { ...reply, ...rest }, now);
}

function sent() {
  return out.take().immediate;
}

function timeoutNow(to: string, term = 1) {
  return { kind: "send", to, message: { kind: "timeoutNow", term, isAsked: false } };
}

const started = (to: string) => ({ kind: "started", to });
const refused = (reason: string) => ({ kind: "refused", reason });

describe("a transfer", () => {
  test("goes to the most complete follower once it has everything", () => {
    const raft = leading();
    matched(raft, "n2", 1);
    matched(raft, "n3", 2);
    expect(startTransfer(raft, 10)).toEqual(started("n3"));
    driveTransfer(raft, 10, out);
    driveTransfer(raft, 11, out);
    expect(sent()).toEqual([timeoutNow("n3")]);
    driveTransfer(raft, 1010, out);
    expect(raft.leadership!.transfer).toBeNull();
  });

  test("goes to the follower that is named, once that has everything", () => {
    const raft = leading();
    matched(raft, "n2", 1);
    matched(raft, "n3", 2);
    expect(startTransfer(raft, 10, "n2")).toEqual(started("n2"));
    driveTransfer(raft, 10, out);
    expect(sent()).toEqual([]);
    matched(raft, "n2", 2);
    driveTransfer(raft, 11, out);
    expect(sent()).toEqual([timeoutNow("n2")]);
  });

  test("is one at a time", () => {
    const raft = leading();
    matched(raft, "n2", 2);
    matched(raft, "n3", 2);
    expect(startTransfer(raft, 10, "n3")).toEqual(started("n3"));
    expect(startTransfer(raft, 11)).toEqual(started("n3"));
    expect(startTransfer(raft, 11, "n3")).toEqual(started("n3"));
    expect(startTransfer(raft, 11, "n2")).toEqual({ kind: "later" });
    expect(raft.leadership!.transfer).toEqual({
      to: "n3",
      until: 1010,
      isAsked: false,
      sent: false,
    });
  });

  test("passes over who did not take over, until that has rested", () => {
    const raft = leading();
    const fail = (now: number) => {
      const { kind, ...rest } = startTransfer(raft, now);
      driveTransfer(raft, now + 1000, out);
      return "to" in rest ? rest.to : kind;
    };
    const alive = (now: number) => {
      for (const node of ["n2", "n3"]) matched(raft, node, 2, now);
    };
    alive(0);
    expect(fail(0)).toBe("n2");
    alive(1000);
    expect(fail(1000)).toBe("n3");
    alive(2000);
    expect(fail(2000)).toBe("refused");
    expect(raft.leadership!.transfer).toBeNull();
    alive(9000);
    expect(startTransfer(raft, 8999)).toMatchObject({ kind: "refused" });
    expect(startTransfer(raft, 9000)).toEqual(started("n2"));
  });

  test("an operator may name who has just failed", () => {
    const raft = leading();
    matched(raft, "n2", 2, 1000);
    raft.leadership!.transfersFailed.set("n2", 999);
    expect(startTransfer(raft, 1000, "n2")).toEqual(started("n2"));
  });

  test("is refused where nothing could come of it", () => {
    const raft = leading();
    matched(raft, "n2", 2);
    expect(startTransfer(raft, 0, "n1")).toEqual(refused("n1 is no other voter"));
    expect(startTransfer(raft, 0, "n9")).toEqual(refused("n9 is no other voter"));
    expect(startTransfer(raft, 1000, "n2")).toEqual(started("n2"));
    raft.leadership!.transfer = null;
    const silent = "n2 is down or cut off: the leader has not heard it for 1001 ms";
    expect(startTransfer(raft, 1001, "n2")).toEqual(refused(silent));
    const none =
      "no other voter can take over: none is up, close behind and has not just failed to";
    expect(startTransfer(raft, 1001)).toEqual(refused(none));
    raft.leadership!.progress("n2").state = "snapshot";
    const behind = "n2 is far behind: it is being sent the whole state";
    expect(startTransfer(raft, 500, "n2")).toEqual(refused(behind));
    expect(startTransfer(leading({ voters: ["n1"] }), 0)).toEqual(
      refused("there is no other voter"),
    );
  });

  test("to a follower that is as far behind as may be begins, to one further does not", () => {
    const raft = leading();
    matched(raft, "n2", 1);
    const last = 1 + RAFT_LIMITS.transferLagEntriesMax;
    for (let index = 3; index <= last; index += 1) raft.log.append(entry(index, 1));
    expect(startTransfer(raft, 0, "n2")).toEqual(started("n2"));
    raft.leadership!.transfer = null;
    raft.log.append(entry(last + 1, 1));
    const behind = `n2 is ${RAFT_LIMITS.transferLagEntriesMax + 1} entries behind`;
    expect(startTransfer(raft, 0, "n2")).toEqual(refused(behind));
  });

  test("waits until a new leader knows where its followers stand", () => {
    const raft = leading();
    expect(startTransfer(raft, 10)).toEqual({ kind: "later" });
    expect(startTransfer(raft, 10, "n2")).toEqual({ kind: "later" });
    matched(raft, "n3", 1);
    expect(startTransfer(raft, 10)).toEqual(started("n3"));
  });
});

describe("a request for a transfer", () => {
  const REQUEST: TransferRequest = {
    kind: "transferRequest",
    term: 1,
    boot: "b",
    id: 7,
    to: "n2",
    from: "",
    fromTerm: 0,
  };
  const reply = { kind: "transferReply", term: 1, boot: "b", id: 7 };
  const leads = { ...reply, verdict: "leads", reason: "" };
  const ask = (raft: Raft, change: Partial<TransferRequest> = {}, now = 10) =>
    onTransferRequest(raft, "n3", { ...REQUEST, ...change }, now);

  test("is answered by who was asked for, when it leads", () => {
    const raft = leading();
    expect(ask(raft, { to: "n1" })).toEqual(leads);
    expect(ask(raft)).toBeNull();
    expect(raft.leadership!.transfer).toBeNull();
  });

  test("that names nobody is answered by who has taken over from the one first asked", () => {
    const raft = leading();
    matched(raft, "n2", 2);
    expect(ask(raft, { to: "", from: "n2", fromTerm: 0 })).toEqual(leads);
    expect(raft.leadership!.transfer).toBeNull();
    expect(ask(raft, { to: "", from: "n2", fromTerm: 1, id: 8 })).toBeNull();
    expect(raft.leadership!.transfer).toMatchObject({ to: "n2" });
  });

  test("is nothing to any other leader, or to a follower", () => {
    const raft = leading();
    matched(raft, "n2", 2);
    expect(ask(raft, { term: 2 })).toBeNull();
    expect(ask(makeRaft({ term: 1 }), { to: "n1" })).toBeNull();
    expect(raft.leadership!.transfer).toBeNull();
  });

  test("that names a target has one attempt, however often it is repeated", () => {
    const raft = leading();
    matched(raft, "n2", 2);
    expect(ask(raft)).toBeNull();
    expect(raft.leadership!.transfer).toMatchObject({ to: "n2" });
    expect(ask(raft, {}, 500)).toBeNull();
    driveTransfer(raft, 1010, out);
    matched(raft, "n2", 2, 1010);
    expect(ask(raft, {}, 1020)).toBeNull();
    expect(raft.leadership!.transfer).toBeNull();
    // A new one has its own.
    expect(ask(raft, { id: 8 }, 1030)).toBeNull();
    expect(raft.leadership!.transfer).toMatchObject({ to: "n2" });
    // The old one comes late, and is over.
    raft.leadership!.transfer = null;
    expect(ask(raft, {}, 1040)).toBeNull();
    expect(raft.leadership!.transfer).toBeNull();
  });

  test("that names nobody goes on to the next follower, and never says that nothing was done", () => {
    const raft = leading();
    const targets: (string | undefined)[] = [];
    for (const now of [0, 1000, 2000, 3000]) {
      for (const node of ["n2", "n3"]) matched(raft, node, 2, now);
      expect(ask(raft, { to: "" }, now)).toBeNull();
      targets.push(raft.leadership!.transfer?.to);
      driveTransfer(raft, now + 1000, out);
    }
    expect(targets).toEqual(["n2", "n3", undefined, undefined]);
  });

  test("that was refused stays so, though the target is there meanwhile (GEN1)", () => {
    const raft = leading();
    matched(raft, "n2", 2);
    raft.leadership!.progress("n2").state = "snapshot";
    const reason = "n2 is far behind: it is being sent the whole state";
    const refusal = { ...reply, verdict: "refused", reason };
    expect(ask(raft)).toEqual(refusal);
    raft.leadership!.progress("n2").state = "replicate";
    expect(ask(raft)).toEqual(refusal);
    expect(raft.leadership!.transfer).toBeNull();
    // Another boot of the node counts anew.
    expect(ask(raft, { boot: "c", id: 1 })).toBeNull();
    expect(raft.leadership!.transfer).toMatchObject({ to: "n2" });
  });

  test("is remembered of so many boots of nodes, and no more", () => {
    const raft = leading();
    for (let boot = 1; boot <= 70; boot += 1) ask(raft, { boot: `b${boot}` });
    expect(raft.leadership!.transferAsks.size).toBe(64);
    expect(raft.leadership!.transferAsks.has("n3\0b6")).toBe(false);
    expect(raft.leadership!.transferAsks.has("n3\0b7")).toBe(true);
  });
});

describe("the vote for a target", () => {
  const vote = (raft: Raft, lastLogIndex: number) => {
    const message = { kind: "requestVote", term: 2, lastLogTerm: 1, preVote: false } as const;
    onRequestVote(raft, "n2", { ...message, lastLogIndex, transfer: true }, 10, out);
    raft.writeTurn(10, out);
    return out.take().batch?.afterWrite.map((effect) => "message" in effect && effect.message);
  };

  test("is given although a leader is alive, but only to a complete log (L51)", () => {
    for (const [lastLogIndex, granted] of [
      [2, true],
      [1, false],
    ] as const) {
      const raft = makeRaft({ term: 1, log: [1, 1] });
      raft.becomeFollower(1, "n1", 5);
      raft.leaderHeardAt = 9;
      const expected = { kind: "vote", term: 2, granted, preVote: false };
      expect(vote(raft, lastLogIndex)).toEqual([expected]);
    }
  });
});
