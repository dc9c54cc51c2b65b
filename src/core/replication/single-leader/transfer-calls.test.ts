import { beforeEach, describe, expect, test } from "vitest";
import { makeOutbox, makeRaft } from "../../../../test/raft/unit.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Raft } from "./raft.ts";
import { TransferCalls } from "./transfer-calls.ts";

type TransferReply = Extract<SingleLeaderMessage, { kind: "transferReply" }>;

let out = makeOutbox();
let raft: Raft;
let calls: TransferCalls;
beforeEach(() => {
  out = makeOutbox();
  raft = makeRaft({ term: 3 });
  raft.leader = "n2";
  calls = new TransferCalls(raft, "boot");
});

function request(ticket: number, to: string | null = "n3", deadline = 5000): void {
  calls.request(ticket, { kind: "transfer", connection: 1, to, deadline }, out);
}

function answers() {
  return out.take().immediate.map((effect) => {
    if (effect.kind !== "reply") throw new Error(`a ${effect.kind}`);
    const { reply } = effect.reply;
    const text = reply.kind === "error" ? `${reply.code} ${reply.message} ${reply.outcome}` : "OK";
    return [effect.to, text];
  });
}

function asked(now: number) {
  const request = calls.dispatch(now);
  if (request === null) return null;
  const { term, boot, id, to, from, fromTerm } = request.message;
  return [request.to, term, `${boot}/${id}`, to, from, fromTerm];
}

const LEADS: TransferReply = {
  kind: "transferReply",
  term: 4,
  boot: "boot",
  id: 1,
  verdict: "leads",
  reason: "",
};
const REFUSED: TransferReply = { ...LEADS, term: 3, verdict: "refused", reason: "n3 is down" };

describe("a call for a transfer", () => {
  test("asks the leader, again after a while, and at once when another leads", () => {
    request(1);
    expect(asked(0)).toEqual(["n2", 3, "boot/1", "n3", "", 0]);
    expect(asked(499)).toBeNull();
    expect(calls.deadline()).toBe(500);
    expect(asked(500)).toEqual(["n2", 3, "boot/1", "n3", "n2", 3]);
    raft.term = 4;
    raft.leader = null;
    expect([asked(600), calls.deadline()]).toEqual([null, 5000]);
    raft.leader = "n3";
    expect(asked(600)).toEqual(["n3", 4, "boot/1", "n3", "n2", 3]);
    expect(answers()).toEqual([]);
    calls.onReply(LEADS, out);
    expect(answers()).toEqual([[1, "OK"]]);
    expect([calls.openCalls, asked(700), calls.deadline()]).toEqual([0, null, null]);
  });

  test("that names nobody says so, and from whom leadership is to pass", () => {
    request(1, null);
    expect(asked(0)).toEqual(["n2", 3, "boot/1", "", "", 0]);
    raft.term = 5;
    raft.leader = "n1";
    expect(asked(1)).toEqual(["n1", 5, "boot/1", "", "n2", 3]);
  });

  test("is refused by the leader, with certainty", () => {
    request(1);
    asked(0);
    calls.onReply(REFUSED, out);
    expect(answers()).toEqual([[1, "TRANSFER_REFUSED N3 is down. not-applied"]]);
  });

  test("is refused without certainty where an earlier leader was asked too (GEN1)", () => {
    request(1);
    asked(0);
    raft.term = 4;
    asked(1);
    calls.onReply({ ...REFUSED, term: 4 }, out);
    expect(answers()).toEqual([[1, "TRANSFER_REFUSED N3 is down. unknown"]]);
  });

  test("ends at its deadline with what is certain", () => {
    request(1, "n3", 100);
    asked(0);
    calls.expire(99, out);
    expect(answers()).toEqual([]);
    calls.expire(100, out);
    const text = "It is not known within the deadline that n3 leads; it may yet come to.";
    expect(answers()).toEqual([[1, `TIMEOUT ${text} unknown`]]);
    raft.leader = null;
    request(2, null, 200);
    expect(asked(150)).toBeNull();
    calls.expire(200, out);
    const none = "No leader could be reached within the deadline; none was asked to hand over.";
    expect(answers()).toEqual([[2, `NOLEADER ${none} not-applied`]]);
  });

  test("to no voter goes nowhere; of two at a time the second does not", () => {
    request(1, "n9");
    const text = "n9 is no voter of this keyspace; its voters are n1, n2, n3.";
    expect(answers()).toEqual([[1, `TRANSFER_REFUSED ${text} not-applied`]]);
    expect(asked(0)).toBeNull();
    request(2);
    request(3);
    const busy = "Another transfer that was asked for on this node is under way.";
    expect(answers()).toEqual([[3, `BUSY ${busy} not-applied`]]);
    expect(calls.openCalls).toBe(1);
  });

  test("hears no answers to other calls, of another boot, or too late", () => {
    request(1);
    asked(0);
    calls.onReply({ ...LEADS, id: 2 }, out);
    calls.onReply({ ...LEADS, boot: "other" }, out);
    expect(answers()).toEqual([]);
    calls.cancel(2);
    expect(calls.openCalls).toBe(1);
    calls.cancel(1);
    expect(calls.openCalls).toBe(0);
    calls.onReply(LEADS, out);
    expect(answers()).toEqual([]);
    request(4);
    expect(asked(0)).toEqual(["n2", 3, "boot/2", "n3", "", 0]);
  });
});
