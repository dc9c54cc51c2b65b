import { beforeEach, describe, expect, test } from "vitest";
import { toyMachine } from "../../../../test/raft/toy-machine.ts";
import { makeOutbox, makeRaft } from "../../../../test/raft/unit.ts";
import { decodeUtf8, encodeUtf8 } from "../../base/bytes.ts";
import type { WriteConcern } from "../../contract/group.ts";
import { error, integer } from "../../contract/reply.ts";
import { MemoryStore } from "../../log/memory-store.ts";
import { Memtable } from "../../log/memtable.ts";
import { Applier } from "./applier.ts";
import { entryKind, entryPayload } from "./entry.ts";
import { Forwarding } from "./forwarding.ts";
import type { ForwardAnswer, ForwardItem, SingleLeaderMessage } from "./messages.ts";
import type { Raft } from "./raft.ts";

type ForwardReply = Extract<SingleLeaderMessage, { kind: "forwardReply" }>;

const SESSION = 40;
let raft: Raft;
let forwarding: Forwarding;
let out = makeOutbox();

beforeEach(() => {
  raft = makeRaft({ term: 3 });
  raft.leader = "n2";
  const applier = new Applier(raft, new Memtable(new MemoryStore()), toyMachine);
  forwarding = new Forwarding(raft, applier, "boot");
  out = makeOutbox();
});

function write(ticket: number, text: string, deadline = 2000, concern: WriteConcern = "majority") {
  const call = {
    kind: "write",
    connection: 1,
    payload: encodeUtf8(text),
    concern,
    deadline,
  } as const;
  forwarding.request(ticket, call, out);
}

function read(ticket: number, deadline = 2000, concern: "linearizable" | "local" = "linearizable") {
  const call = {
    kind: "read",
    connection: 1,
    payload: encodeUtf8("GET a"),
    concern,
    deadline,
  } as const;
  forwarding.request(ticket, call, out);
}

/** What goes out now, in short. */
function sent(now = 0) {
  const forward = forwarding.dispatch(now);
  if (forward === null) return null;
  const { stream, count, session, floor, items } = forward.message;
  return { to: forward.to, stream, count, session, floor, items: items.map(brief) };
}

function brief(item: ForwardItem): string {
  switch (item.kind) {
    case "register":
      return `register ${item.boot}`;
    case "write":
      return `#${item.sequence} ${entryKind(item.entry)} ${decodeUtf8(entryPayload(item.entry))}`;
    case "read":
      return `read ${item.ticket} after ${item.afterSequence}`;
    case "wait":
      return `wait ${item.ticket} after ${item.afterSequence} at ${item.term}.${item.index}`;
  }
}

function reply(change: Partial<ForwardReply>, now = 0, from = "n2"): void {
  const base = { kind: "forwardReply", term: 3, stream: 2, count: 1, session: SESSION } as const;
  forwarding.onReply(from, { ...base, boot: "", number: 1, answers: [], ...change }, now, out);
}

function open(): void {
  forwarding.dispatch(0);
  reply({ stream: 1, boot: "boot", number: 0 });
}

function answered(sequence: number, ticket = 0): ForwardAnswer {
  return { sequence, ticket, reply: integer(sequence), term: 3, index: 50 + sequence, durable: 2 };
}

function replies() {
  return out.take().immediate.map((effect) => {
    if (effect.kind !== "reply") return effect.kind;
    const { reply: given } = effect.reply;
    return [effect.to, given.kind === "error" ? `${given.code} ${given.outcome}` : given];
  });
}

describe("the session", () => {
  test("it registers as soon as there is a leader, and asks again when nothing comes", () => {
    expect(sent()).toEqual({
      to: "n2",
      stream: 1,
      count: 1,
      session: 0,
      floor: 0,
      items: ["register boot"],
    });
    expect(sent(499)).toBeNull();
    expect(sent(500)).toMatchObject({ stream: 2, items: ["register boot"] });
  });

  test("another boot's session is not taken", () => {
    sent();
    reply({ stream: 1, boot: "earlier boot", number: 0 });
    write(1, "SET a 1");
    expect(sent()).toBeNull();
  });

  test("answers to another session's numbers are not ours", () => {
    open();
    write(1, "SET a 1");
    sent();
    reply({ session: SESSION - 1, answers: [answered(1)] });
    expect(replies()).toEqual([]);
    reply({ answers: [answered(1)] });
    expect(replies()).toEqual([[1, integer(1)]]);
  });
});

describe("handing over", () => {
  test("calls go in order, writes numbered, reads behind their connection's last write", () => {
    open();
    read(1);
    write(2, "SET a 1");
    read(3);
    write(4, "SET a 2");
    expect(sent()).toEqual({
      to: "n2",
      stream: 2,
      count: 1,
      session: SESSION,
      floor: 1,
      items: ["read 1 after 0", "#1 command SET a 1", "read 3 after 1", "#2 command SET a 2"],
    });
    expect(sent()).toBeNull();
  });

  test("a new leader gets the whole line again, under the same numbers", () => {
    open();
    write(1, "SET a 1");
    write(2, "SET a 2");
    sent();
    reply({ answers: [answered(1)] });
    raft.term = 4;
    raft.leader = "n3";
    expect(sent()).toMatchObject({
      to: "n3",
      stream: 3,
      count: 1,
      floor: 2,
      items: ["#2 command SET a 2"],
    });
  });

  test("a message that is not taken in is repeated in a new stream", () => {
    open();
    write(1, "SET a 1");
    sent(100);
    write(2, "SET a 2");
    sent(300);
    expect(forwarding.deadline()).toBe(600);
    expect(sent(599)).toBeNull();
    expect(sent(600)).toMatchObject({
      stream: 3,
      count: 1,
      items: ["#1 command SET a 1", "#2 command SET a 2"],
    });
  });

  test("a lost reply shows as a gap, and everything open is repeated", () => {
    open();
    write(1, "SET a 1");
    sent();
    write(2, "SET a 2");
    sent();
    reply({ count: 2, number: 2, answers: [answered(2)] }, 100);
    expect(sent(599)).toBeNull();
    expect(sent(600)).toMatchObject({ stream: 3, items: ["#1 command SET a 1"] });
  });

  test("replies that only overtook each other leave no gap", () => {
    open();
    write(1, "SET a 1");
    sent();
    reply({ number: 2 }, 100);
    reply({ number: 1 }, 200);
    expect(sent(650)).toBeNull();
  });

  test("when the last reply may be lost, it asks how far the leader has come", () => {
    open();
    write(1, "SET a 1");
    sent();
    reply({ number: 1 }, 100);
    expect(forwarding.deadline()).toBe(600);
    expect(sent(600)).toMatchObject({ stream: 2, count: 2, items: [] });
    reply({ count: 2, number: 3 }, 610);
    expect(sent(1110)).toMatchObject({ stream: 3, items: ["#1 command SET a 1"] });
  });

  test("a read is not repeated past a later write of its connection", () => {
    open();
    read(1);
    write(2, "SET a 1");
    read(3);
    sent();
    raft.term = 4;
    raft.leader = "n3";
    expect(sent()?.items).toEqual(["#1 command SET a 1", "read 3 after 1"]);
    forwarding.endUnrepeatable(out);
    expect(replies()).toEqual([[1, "NOLEADER not-applied"]]);
  });

  test("a write that ended before it was handed over does not hide an earlier one", () => {
    open();
    write(1, "SET a 1");
    sent();
    raft.leader = null;
    write(2, "SET a 2", 100);
    forwarding.expire(100, out);
    expect(replies()).toEqual([[2, "NOLEADER not-applied"]]);
    read(3);
    raft.leader = "n2";
    expect(sent()?.items).toEqual(["read 3 after 1"]);
    reply({ count: 2, answers: [answered(1)] });
    forwarding.request(4, { kind: "wait", connection: 1, replicas: 1, deadline: 2000 }, out);
    expect(sent()?.items).toEqual(["wait 4 after 1 at 3.51"]);
  });
});

describe("giving up (GEN1)", () => {
  test("what was handed to nobody is certain, a write that was is unknown, a read has no effect", () => {
    write(1, "SET a 1", 100);
    open();
    forwarding.expire(100, out);
    expect(replies()).toEqual([[1, "NOLEADER not-applied"]]);
    write(2, "SET a 2", 200);
    read(3, 200);
    sent();
    forwarding.expire(200, out);
    expect(replies()).toEqual([
      [2, "TIMEOUT unknown"],
      [3, "TIMEOUT not-applied"],
    ]);
    expect(forwarding.openCalls).toBe(0);
  });

  test("a write given up keeps its number: a new leader gets a no-op in its place", () => {
    open();
    write(1, "SET a 1", 100);
    write(2, "SET a 2");
    sent();
    forwarding.expire(100, out);
    raft.term = 4;
    raft.leader = "n3";
    expect(sent(110)?.items).toEqual(["#1 noop ", "#2 command SET a 2"]);
    reply({ stream: 3, answers: [answered(1), answered(2)] }, 120, "n3");
    expect(replies()).toEqual([
      [1, "TIMEOUT unknown"],
      [2, integer(2)],
    ]);
    write(3, "SET a 3");
    expect(sent(130)).toMatchObject({ floor: 3 });
  });

  test("where the leader decides at the deadline, it gets the time to say so", () => {
    open();
    write(1, "SET a 1", 100, "all");
    write(2, "SET a 2", 100, "leader");
    sent();
    forwarding.expire(100, out);
    expect(replies()).toEqual([[2, "TIMEOUT unknown"]]);
    forwarding.expire(1100, out);
    expect(replies()).toEqual([[1, "TIMEOUT unknown"]]);
  });

  test("a refused session ends handed-over writes as unknown, and the rest goes on in a new one", () => {
    open();
    write(1, "SET a 1");
    write(2, "SET a 2");
    sent();
    write(3, "SET a 3");
    const expired = { ...answered(1), reply: error("SESSION_EXPIRED", "replaced") };
    reply({ answers: [expired] });
    expect(replies()).toEqual([
      [1, "SESSION_EXPIRED not-applied"],
      [2, "TIMEOUT unknown"],
    ]);
    expect(sent()).toMatchObject({ session: 0, items: ["register boot"] });
    reply({ session: 60, boot: "boot", number: 0 });
    expect(sent()).toMatchObject({ session: 60, items: ["#1 command SET a 3"] });
  });

  test("a write refused after it had been handed over before may have been applied then", () => {
    open();
    write(1, "SET a 1");
    sent();
    raft.term = 4;
    sent();
    const expired = { ...answered(1), reply: error("SESSION_EXPIRED", "replaced") };
    reply({ stream: 3, answers: [expired] });
    expect(replies()).toEqual([[1, "TIMEOUT unknown"]]);
  });

  test("a caller that is gone gets no answer, and only what nobody has is dropped", () => {
    open();
    write(1, "SET a 1");
    sent();
    write(2, "SET a 2");
    forwarding.cancel(1);
    forwarding.cancel(2);
    expect(sent()).toBeNull();
    reply({ answers: [answered(1)] });
    expect(replies()).toEqual([]);
    expect(forwarding.floor).toBe(2);
  });
});

describe("local reads (GEN2)", () => {
  test("a write told as unknown is not waited for, an earlier one that is still open is", () => {
    open();
    write(1, "SET a 1", 5000);
    write(2, "SET a 2", 100);
    sent();
    read(3, 2000, "local");
    forwarding.expire(100, out);
    expect(replies()).toEqual([[2, "TIMEOUT unknown"]]);
    forwarding.cancel(1);
    forwarding.answerVisible(out);
    expect(replies()).toEqual([[3, { kind: "null" }]]);
  });

  test("an acknowledged write is waited for until it is applied here", () => {
    open();
    write(1, "SET a 1");
    sent();
    reply({ answers: [answered(1)] });
    read(2, 300, "local");
    expect(replies()).toEqual([[1, integer(1)]]);
    forwarding.expire(300, out);
    expect(replies()).toEqual([[2, "TIMEOUT not-applied"]]);
  });
});

describe("bounds", () => {
  test("more calls than the window, waiting or given up, are refused", () => {
    const { windowCalls } = raft.options.limits;
    open();
    for (let ticket = 1; ticket <= windowCalls; ticket += 1) write(ticket, "SET a 1", 100);
    while (sent() !== null);
    read(windowCalls + 1);
    expect(replies()).toEqual([[windowCalls + 1, "BUSY not-applied"]]);
    forwarding.expire(100, out);
    out.take();
    write(windowCalls + 2, "SET a 1");
    expect(replies()).toEqual([[windowCalls + 2, "BUSY not-applied"]]);
  });

  test("without a leader calls end and make room", () => {
    const { windowCalls } = raft.options.limits;
    raft.leader = null;
    for (let round = 0; round < 3; round += 1) {
      const from = 1 + round * windowCalls;
      for (let i = 0; i < windowCalls; i += 1) write(from + i, "SET a 1", round);
      forwarding.expire(round, out);
      const codes = new Set(replies().map((answer) => answer[1]));
      expect([...codes]).toEqual(["NOLEADER not-applied"]);
    }
  });

  test("local reads that wait are bounded too", () => {
    const { windowCalls } = raft.options.limits;
    open();
    write(1, "SET a 1");
    sent();
    for (let i = 2; i <= windowCalls; i += 1) read(i, 2000, "local");
    expect(replies()).toEqual([]);
    read(windowCalls + 1, 2000, "local");
    expect(replies()).toEqual([[windowCalls + 1, "BUSY not-applied"]]);
  });
});
