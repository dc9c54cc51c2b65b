import { describe, expect, test } from "vitest";
import { toyMachine } from "../../../../test/raft/toy-machine.ts";
import { makeOutbox, makeRaft, type RaftSettings } from "../../../../test/raft/unit.ts";
import { encodeUtf8 } from "../../base/bytes.ts";
import { commandMachine, encodeCommand } from "../../commands/command-machine.ts";
import { lookupCommand } from "../../commands/table.ts";
import type { LogPlace } from "../../contract/group.ts";
import { bulkText, error, integer, NULL, NULL_ARRAY, OK } from "../../contract/reply.ts";
import type { StateMachine } from "../../contract/state-machine.ts";
import { MemoryStore } from "../../log/memory-store.ts";
import { Memtable } from "../../log/memtable.ts";
import { Applier } from "./applier.ts";
import { startElection } from "./election.ts";
import {
  entryFloor,
  entryKind,
  entrySequence,
  entrySession,
  entryTime,
  makeEntry,
} from "./entry.ts";
import { advanceCommit, becomeLeader, releaseGroup } from "./leader.ts";
import type { ForwardItem, SingleLeaderMessage } from "./messages.ts";
import { Proposals } from "./proposals.ts";
import type { Raft } from "./raft.ts";

type Forward = Extract<SingleLeaderMessage, { kind: "forward" }>;

/** A leader of three, alone: the test says what its followers have and what is committed. */
class Desk {
  readonly raft: Raft;
  readonly applier: Applier;
  readonly proposals: Proposals;
  readonly #out = makeOutbox();
  #count = 0;

  constructor(settings: RaftSettings = {}, machine: StateMachine = toyMachine) {
    this.raft = makeRaft(settings);
    this.applier = new Applier(this.raft, new Memtable(new MemoryStore()), machine);
    this.proposals = new Proposals(this.raft, this.applier);
    startElection(this.raft, false, 0, this.#out);
    this.raft.ownVoteBatch = null;
    becomeLeader(this.raft, 0, this.#out);
    this.proposals.begin();
  }

  /** Commits everything in the log by these followers, and applies it. */
  commit(...followers: string[]): void {
    releaseGroup(this.raft, 0);
    this.raft.writeTurn(0, this.#out);
    const { batch } = this.#out.take();
    if (batch !== null) this.raft.log.written(batch.number);
    for (const name of followers) this.hold(name);
    advanceCommit(this.raft);
    const { proposals } = this;
    this.applier.applyCommitted({
      onApplied: (session, sequence, answer) => proposals.onApplied(session, sequence, answer),
      onApplying: () => {},
      onRegistered: (node, boot, session) => proposals.onRegistered(node, boot, session),
      onExpired: (session, sequence) => proposals.onExpired(session, sequence),
      onAdvanced: () => proposals.onAdvanced(),
    });
  }

  /** What every voter's wall clock shows at instant 0. */
  setClocks(wallMs: number): void {
    this.raft.wallMs = wallMs;
    for (const progress of this.raft.leadership!.followers) progress.wallOffset = wallMs;
  }

  /** The follower holds the whole log durably. */
  hold(name: string): void {
    this.raft.leadership!.progress(name).matched(this.raft.log.lastIndex, false);
  }

  /** Registers n2's boot; returns its session. */
  register(boot = "b"): number {
    this.forward([{ kind: "register", boot }], { session: 0 });
    this.commit("n2");
    const [reply] = this.proposals.takeReplies();
    if (reply?.message.kind !== "forwardReply") throw new Error("no answer to the registration");
    return reply.message.session;
  }

  forward(items: readonly ForwardItem[], change: Partial<Forward> = {}, now = 0): void {
    this.#count += 1;
    const base = { kind: "forward", term: this.raft.term, stream: 1, floor: 1, items } as const;
    const message = { ...base, count: this.#count, session: 0, ...change };
    if (message.session === 0) this.#count -= 1;
    this.proposals.onForward("n2", message, now);
  }

  answers(now = 0) {
    this.proposals.beforeReplicate(now);
    this.proposals.settle(now);
    return this.proposals
      .takeReplies()
      .flatMap(({ message }) => (message.kind === "forwardReply" ? message.answers : []));
  }

  confirm(): void {
    const { followers, round } = this.raft.leadership!;
    followers[0]!.ackedRound = round;
  }
}

function write(sequence: number, text: string, concern = -1, deadlineMs = 1000): ForwardItem {
  const entry = makeEntry("command", encodeUtf8(text));
  return { kind: "write", sequence, concern, deadlineMs, entry };
}

function read(
  ticket: number,
  afterSequence: number,
  key = "a",
  places: readonly LogPlace[] = [],
): ForwardItem {
  return { kind: "read", ticket, afterSequence, places, payload: encodeUtf8(`GET ${key}`) };
}

test("a registration is answered with its session, its boot and its stream's number", () => {
  const desk = new Desk();
  desk.forward([{ kind: "register", boot: "b" }], { session: 0, stream: 9 });
  desk.commit("n2");
  expect(desk.proposals.takeReplies()).toEqual([
    {
      to: "n2",
      message: {
        kind: "forwardReply",
        term: 1,
        stream: 9,
        count: 1,
        session: 2,
        boot: "b",
        number: 0,
        answers: [],
      },
    },
  ]);
});

test("a write is stamped, and answered when it is applied", () => {
  const desk = new Desk();
  const session = desk.register();
  desk.setClocks(5000);
  desk.forward([write(1, "INCR n")], { session, floor: 1 });
  const entry = desk.raft.log.entry(3);
  expect([entrySession(entry), entrySequence(entry), entryFloor(entry), entryTime(entry)]).toEqual([
    session,
    1,
    1,
    5000,
  ]);
  expect(desk.answers()).toEqual([]);
  desk.commit("n2");
  expect(desk.answers()).toEqual([
    { sequence: 1, ticket: 0, reply: integer(1), term: 1, index: 3, durable: 2 },
  ]);
});

test("log time never goes back (GEN7)", () => {
  const desk = new Desk();
  const session = desk.register();
  desk.setClocks(5000);
  desk.forward([write(1, "INCR n")], { session });
  desk.setClocks(4000);
  desk.forward([write(2, "INCR n")], { session });
  expect([3, 4].map((index) => entryTime(desk.raft.log.entry(index)))).toEqual([5000, 5000]);
});

test("messages out of order, repeated or of another term are not taken in", () => {
  const desk = new Desk();
  const session = desk.register();
  desk.forward([write(1, "INCR n")], { session, count: 2 });
  desk.forward([write(1, "INCR n")], { session, count: 1, term: 7 });
  expect(desk.raft.log.lastIndex).toBe(2);
  desk.forward([write(1, "INCR n")], { session, count: 1 });
  desk.forward([write(1, "INCR n")], { session, count: 1 });
  desk.forward([write(2, "INCR n")], { session, count: 3 });
  expect(desk.raft.log.lastIndex).toBe(3);
});

test("a new stream repeats without writing again, applied or not", () => {
  const desk = new Desk();
  const session = desk.register();
  desk.forward([write(1, "INCR n"), write(2, "INCR n")], { session, count: 1 });
  desk.commit("n2");
  desk.answers();
  desk.forward([write(3, "INCR n")], { session, count: 2 });
  desk.forward([write(2, "INCR n"), write(3, "INCR n")], { session, stream: 2, count: 1 });
  expect(desk.raft.log.lastIndex).toBe(5);
  expect(desk.answers()).toMatchObject([{ sequence: 2, reply: integer(2), index: 4 }]);
  desk.commit("n2");
  expect(desk.answers()).toMatchObject([{ sequence: 3, reply: integer(3), index: 5 }]);
});

test("an older stream, or one of an earlier boot, ends no newer one", () => {
  const desk = new Desk();
  const first = desk.register("b1");
  desk.forward([write(1, "INCR n")], { session: first, stream: 5, count: 1 });
  const second = desk.register("b2");
  // A later boot counts its streams from the beginning.
  desk.forward([write(1, "INCR n")], { session: second, stream: 1, count: 1 });
  expect(desk.raft.log.lastIndex).toBe(5);
  desk.forward([write(2, "INCR n")], { session: first, stream: 6, count: 1 });
  desk.forward([write(2, "INCR n")], { session: second, stream: 1, count: 2 });
  expect(entrySession(desk.raft.log.entry(6))).toBe(second);
  expect(desk.raft.log.lastIndex).toBe(6);
});

test("what an earlier boot asked is not answered to the next, whose numbers are the same", () => {
  const desk = new Desk();
  const first = desk.register("b1");
  desk.forward([write(1, "INCR n"), write(2, "INCR n", -2)], { session: first, count: 1 });
  const wait = { kind: "wait", ticket: 8, afterSequence: 1, term: 0, index: 0 } as const;
  desk.forward([{ ...wait, replicas: 2, deadlineMs: 200 }], { session: first, count: 2 });
  const second = desk.register("b2");
  desk.forward([write(1, "SET n 7")], { session: second, count: 1 });
  desk.commit("n2", "n3");
  expect(desk.answers(500)).toMatchObject([{ sequence: 1, reply: OK, index: 6 }]);
});

test("a write of a session that was replaced is refused, and it is certain that it was not done", () => {
  const desk = new Desk();
  const old = desk.register("b1");
  desk.register("b2");
  desk.forward([write(1, "INCR n")], { session: old, count: 1 });
  expect(desk.answers()).toMatchObject([
    { sequence: 1, reply: { kind: "error", code: "SESSION_EXPIRED", outcome: "not-applied" } },
  ]);
  expect(desk.raft.log.lastIndex).toBe(3);
});

test("a session whose registration is in the log but not applied is not taken for replaced", () => {
  const desk = new Desk();
  desk.forward([{ kind: "register", boot: "b" }], { session: 0 });
  desk.forward([write(1, "INCR n")], { session: 2, count: 1 });
  expect(desk.raft.log.lastIndex).toBe(3);
  desk.commit("n2");
  expect(desk.answers()).toMatchObject([{ sequence: 1, reply: integer(1) }]);
});

test("concern all waits for the last disk, also when the write is repeated (L37)", () => {
  const desk = new Desk();
  const session = desk.register();
  desk.forward([write(1, "INCR n", -2)], { session, count: 1 });
  desk.commit("n2");
  expect(desk.answers()).toEqual([]);
  desk.forward([write(1, "INCR n", -2)], { session, stream: 2, count: 1 });
  expect(desk.answers()).toEqual([]);
  desk.hold("n3");
  expect(desk.answers()).toContainEqual(
    expect.objectContaining({ sequence: 1, reply: integer(1), durable: 3 }),
  );
});

test("a concern that is unmet at the deadline says that the write is applied", () => {
  const desk = new Desk();
  const session = desk.register();
  desk.forward([write(1, "INCR n", -2, 500)], { session, count: 1 }, 100);
  desk.commit("n2");
  expect(desk.answers(599)).toEqual([]);
  expect(desk.proposals.deadline()).toBe(600);
  expect(desk.answers(600)).toMatchObject([
    { reply: { code: "CONCERN_UNMET", outcome: "applied" }, index: 3, durable: 2 },
  ]);
});

test.each([NULL_ARRAY, error("NOKEYSPACE", "Refused.")])(
  "what was not carried out waits for no concern, and is not said to be applied: $kind",
  (reply) => {
    const desk = new Desk({}, { ...toyMachine, apply: () => reply });
    const session = desk.register();
    desk.forward([write(1, "SET a 1", -2, 500)], { session, count: 1 }, 100);
    desk.commit("n2");
    expect(desk.answers(100)).toMatchObject([{ sequence: 1, reply, durable: 2 }]);
    expect(desk.proposals.deadline()).toBeNull();
  },
);

test("concern leader is answered by the leader's disk alone", () => {
  const desk = new Desk();
  const session = desk.register();
  desk.forward([write(1, "SET a 1", 0)], { session, count: 1 });
  expect(desk.answers()).toEqual([]);
  desk.commit();
  expect(desk.answers()).toEqual([
    { sequence: 1, ticket: 0, reply: OK, term: 1, index: 3, durable: 1 },
  ]);
  // Below the floor now, but the read behind it must still see it.
  desk.forward([read(7, 1)], { session, floor: 2, count: 2 });
  desk.confirm();
  expect(desk.answers()).toEqual([]);
  desk.commit("n2");
  desk.answers();
  desk.confirm();
  expect(desk.answers()).toMatchObject([{ ticket: 7, reply: { kind: "bulk" } }]);
});

test("a read is evaluated right behind the write it follows, and before the next", () => {
  const desk = new Desk();
  const session = desk.register();
  const items = [write(1, "SET a 1"), read(5, 1), write(2, "SET a 2"), read(6, 2)];
  desk.forward(items, { session, count: 1 });
  desk.commit("n2");
  desk.answers();
  desk.confirm();
  const texts = desk.answers().map(({ ticket, index, reply }) => {
    return [
      ticket,
      index,
      reply.kind === "bulk" ? String.fromCharCode(...reply.bytes) : reply.kind,
    ];
  });
  expect(texts).toEqual([
    [5, 3, "1"],
    [6, 4, "2"],
  ]);
});

test("nothing is taken in while a transfer is under way (thesis 3.10)", () => {
  const desk = new Desk();
  const session = desk.register();
  desk.raft.leadership!.transfer = { to: "n3", until: 1000, isAsked: false, sent: false };
  desk.forward([write(1, "INCR n")], { session, count: 1 });
  expect(desk.raft.log.lastIndex).toBe(2);
  expect(desk.proposals.takeReplies()).toEqual([]);
});

test("replies of a stream are counted, so that a lost one leaves a gap", () => {
  const desk = new Desk();
  const session = desk.register();
  const numbers: unknown[] = [];
  for (let count = 1; count <= 3; count += 1) {
    desk.forward([], { session, count });
    for (const { message } of desk.proposals.takeReplies()) {
      if (message.kind === "forwardReply") numbers.push([message.count, message.number]);
    }
  }
  expect(numbers).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ]);
});

test("a WAIT for a write that is nowhere counts nobody (LEAD11)", () => {
  const desk = new Desk();
  const session = desk.register();
  const wait = { kind: "wait", ticket: 8, afterSequence: 77, term: 0, index: 0 } as const;
  desk.forward([{ ...wait, replicas: 1, deadlineMs: 200 }], { session, count: 1 });
  expect(desk.answers(199)).toEqual([]);
  expect(desk.answers(200)).toMatchObject([{ ticket: 8, reply: integer(0) }]);
});

test("what an earlier leader put into the log is answered, not written again", () => {
  const desk = new Desk();
  const session = desk.register();
  desk.forward([write(1, "INCR n")], { session, count: 1 });
  desk.proposals.end();
  desk.proposals.begin();
  desk.forward([write(1, "INCR n"), write(2, "INCR n")], { session, count: 1 });
  expect(desk.raft.log.lastIndex).toBe(4);
  desk.commit("n2");
  expect(desk.answers()).toMatchObject([
    { sequence: 1, reply: integer(1), index: 3 },
    { sequence: 2, reply: integer(2), index: 4 },
  ]);
});

describe("keys that are due (GEN7)", () => {
  /** A desk over a keyspace with the real commands, in which `k` dies at 6000. */
  function deskWithDeadline(): { readonly desk: Desk; readonly session: number } {
    const desk = new Desk({}, commandMachine);
    const session = desk.register();
    desk.setClocks(5000);
    desk.forward([command(1, "SET", "k", "v", "PX", "1000")], { session });
    desk.commit("n2");
    desk.answers();
    return { desk, session };
  }

  function encoded(...words: string[]): Uint8Array {
    const args = words.map((word) => encodeUtf8(word));
    return encodeCommand(lookupCommand(args[0]!)!, args);
  }

  function command(sequence: number, ...words: string[]): ForwardItem {
    const entry = makeEntry("command", encoded(...words));
    return { kind: "write", sequence, concern: -1, deadlineMs: 1000, entry };
  }

  function get(ticket: number, key: string, afterSequence = 1): ForwardItem {
    const payload = encoded("GET", key);
    return { kind: "read", ticket, afterSequence, places: [], payload };
  }

  function replies(desk: Desk): unknown[] {
    desk.proposals.beforeReplicate(0);
    desk.confirm();
    return desk.answers().map(({ ticket, reply }) => [ticket, reply]);
  }

  test("a read before the deadline needs no entry", () => {
    const { desk, session } = deskWithDeadline();
    const { lastIndex } = desk.raft.log;
    desk.setClocks(5999);
    desk.forward([get(1, "k")], { session, floor: 2 });
    expect(replies(desk)).toEqual([[1, bulkText("v")]]);
    expect(desk.raft.log.lastIndex).toBe(lastIndex);
  });

  test("a read after it waits for an entry that moves log time on; those of a turn share it", () => {
    const { desk, session } = deskWithDeadline();
    const { lastIndex } = desk.raft.log;
    desk.setClocks(6000);
    desk.forward([get(1, "k"), get(2, "other"), get(3, "k")], { session, floor: 2 });
    expect(replies(desk)).toEqual([[2, NULL]]);
    expect(desk.raft.log.lastIndex).toBe(lastIndex + 1);
    const entry = desk.raft.log.entry(lastIndex + 1);
    expect([entryKind(entry), entryTime(entry)]).toEqual(["time", 6000]);
    desk.commit("n2");
    expect(replies(desk)).toEqual([
      [1, NULL],
      [3, NULL],
    ]);
    expect(desk.applier.counts.keys).toBe(0);
  });

  test("a write that its connection sent after the read comes behind it", () => {
    const { desk, session } = deskWithDeadline();
    desk.setClocks(6000);
    desk.forward([get(1, "k"), command(2, "SET", "k", "new")], { session, floor: 2 });
    desk.commit("n2");
    expect(replies(desk)).toEqual([
      [0, OK],
      [1, NULL],
    ]);
  });

  test("dead keys are removed although nobody asks for them, one entry at a time", () => {
    const { desk } = deskWithDeadline();
    const { lastIndex } = desk.raft.log;
    desk.setClocks(6000);
    desk.proposals.beforeReplicate(0);
    desk.proposals.beforeReplicate(0);
    expect(desk.raft.log.lastIndex).toBe(lastIndex + 1);
    desk.commit("n2");
    desk.proposals.beforeReplicate(0);
    expect([desk.applier.counts.keys, desk.raft.log.lastIndex]).toEqual([0, lastIndex + 1]);
  });

  test("a leader whose clock is far from the others' lets no key die", () => {
    const { desk, session } = deskWithDeadline();
    desk.raft.wallMs = 90_000;
    desk.forward([get(1, "k")], { session, floor: 2 });
    expect(replies(desk)).toEqual([[1, bulkText("v")]]);
  });
});

describe("a session's read that came to the leader (LEAD7)", () => {
  function asked(place: readonly [term: number, index: number], log: readonly string[] = []) {
    const [term, index] = place;
    const desk = new Desk();
    const session = desk.register();
    log.forEach((text, i) => {
      desk.forward([write(i + 1, text)], { session });
    });
    const places = [
      { term: 1, index: 1 },
      { term, index },
    ];
    desk.forward([read(9, 0, "a", places)], { session });
    return desk;
  }

  test("is evaluated if the state holds its entry, and says how far that has come", () => {
    const desk = asked([1, 2]);
    expect(desk.answers()).toEqual([]);
    desk.confirm();
    expect(desk.answers()).toEqual([
      { sequence: 0, ticket: 9, reply: NULL, term: 1, index: 2, durable: 0 },
    ]);
  });

  test("waits for an entry of our log that is not applied", () => {
    const desk = asked([1, 3], ["SET a 1"]);
    desk.confirm();
    expect(desk.answers()).toEqual([]);
    desk.commit("n2");
    desk.answers();
    desk.confirm();
    expect(desk.answers()).toEqual([
      { sequence: 0, ticket: 9, reply: bulkText("1"), term: 1, index: 3, durable: 0 },
    ]);
  });

  test("is told that another entry took the place of its own", () => {
    const answers = asked([0, 2]).answers();
    expect(answers).toMatchObject([{ ticket: 9, reply: { code: "SESSION_LOST" }, index: 0 }]);
    // An index that no entry of so early a term can get any more.
    expect(asked([0, 40]).answers()).toMatchObject([{ reply: { code: "SESSION_LOST" } }]);
  });

  test("is left open if its entry is a later leader's: that one will be asked", () => {
    for (const place of [
      [2, 3],
      [1, 3],
    ] as const) {
      const desk = asked(place);
      desk.confirm();
      expect(desk.answers()).toEqual([]);
      desk.confirm();
      expect(desk.answers()).toEqual([]);
    }
  });
});
