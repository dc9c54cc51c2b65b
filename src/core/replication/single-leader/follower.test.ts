import { beforeEach, describe, expect, test } from "vitest";
import { entry, makeOutbox, makeRaft } from "../../../../test/raft/unit.ts";
import { onAppendEntries, onAppendWhileInstalling, sendAck } from "./follower.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import { encodeRecord } from "./records.ts";

type AppendEntries = Extract<SingleLeaderMessage, { kind: "appendEntries" }>;
type AppendReply = Extract<SingleLeaderMessage, { kind: "appendReply" }>;

const APPEND: AppendEntries = {
  kind: "appendEntries",
  term: 3,
  prevLogIndex: 2,
  prevLogTerm: 2,
  commitIndex: 0,
  entries: [],
  round: 0,
  freshBoot: 0,
  freshStamp: 0,
  freshIndex: 0,
};

const REPLY: AppendReply = {
  kind: "appendReply",
  term: 3,
  success: true,
  matchIndex: 0,
  hintIndex: 0,
  hintTerm: 0,
  refusedIndex: 0,
  round: 0,
  boot: 0,
  stamp: 10,
  wallMs: 0,
  appliedIndex: 0,
};

let out = makeOutbox();
beforeEach(() => {
  out = makeOutbox();
});

function acks() {
  return out.take().batch?.afterWrite.map((effect) => effect.kind === "send" && effect.message);
}

test("new entries are written, and acknowledged behind the write", () => {
  const raft = makeRaft({ term: 3, log: [1, 2] });
  const entries = [entry(3, 3, "a"), entry(4, 3, "b")];
  onAppendEntries(raft, "n2", { ...APPEND, entries, round: 7 }, 10, out);
  sendAck(raft, 1, 10, out);
  expect(out.take()).toEqual({
    immediate: [],
    batch: {
      number: 1,
      records: [encodeRecord(raft.options.group, { kind: "entries", entries })],
      afterWrite: [
        { kind: "send", to: "n2", message: { ...REPLY, matchIndex: 4, round: 7, appliedIndex: 1 } },
      ],
    },
  });
  expect([raft.log.lastIndex, raft.log.durableIndex, raft.leader]).toEqual([4, 2, "n2"]);
});

test("several messages of a turn share one acknowledgement", () => {
  const raft = makeRaft({ term: 3, log: [1, 2] });
  onAppendEntries(raft, "n2", { ...APPEND, entries: [entry(3, 3)], round: 1 }, 10, out);
  const more = { prevLogIndex: 3, prevLogTerm: 3, entries: [entry(4, 3)], round: 2 };
  onAppendEntries(raft, "n2", { ...APPEND, ...more }, 10, out);
  sendAck(raft, 0, 10, out);
  expect(acks()).toEqual([{ ...REPLY, matchIndex: 4, round: 2 }]);
});

test("a conflict removes the entries from there on, and the log says so before the new ones", () => {
  const raft = makeRaft({ term: 3, log: [1, 2, 2, 2] });
  const entries = [entry(3, 3, "x")];
  onAppendEntries(raft, "n2", { ...APPEND, entries }, 10, out);
  expect(out.take().batch?.records).toEqual([
    encodeRecord(raft.options.group, { kind: "truncate", from: 3 }),
    encodeRecord(raft.options.group, { kind: "entries", entries }),
  ]);
  expect([raft.log.lastIndex, raft.log.durableIndex]).toEqual([3, 2]);
});

test("entries that are there already are neither written nor removed (L15)", () => {
  const raft = makeRaft({ term: 3, log: [1, 2, 3, 3] });
  onAppendEntries(raft, "n2", { ...APPEND, entries: [entry(3, 3)] }, 10, out);
  sendAck(raft, 0, 10, out);
  expect(acks()).toEqual([{ ...REPLY, matchIndex: 3 }]);
  expect(raft.log.lastIndex).toBe(4);
});

test("nothing beyond the verified prefix is committed or acknowledged (L16, L17)", () => {
  const raft = makeRaft({ term: 3, log: [1, 2, 2, 2] });
  onAppendEntries(raft, "n2", { ...APPEND, commitIndex: 4 }, 10, out);
  sendAck(raft, 0, 10, out);
  expect(acks()).toEqual([{ ...REPLY, matchIndex: 2 }]);
  expect(raft.commitIndex).toBe(2);
});

test.each([
  ["a log that is too short", [1], { hintIndex: 1, hintTerm: 1 }],
  ["another term there", [1, 1, 1], { hintIndex: 2, hintTerm: 1 }],
  ["a later term there: the whole term is skipped", [1, 3, 3], { hintIndex: 1, hintTerm: 1 }],
  ["an empty log", [], { hintIndex: 0, hintTerm: 0 }],
])("%s is refused with a hint", (_, log, hint) => {
  const raft = makeRaft({ term: 3, log });
  onAppendEntries(raft, "n2", { ...APPEND, entries: [entry(3, 3)] }, 10, out);
  sendAck(raft, 0, 10, out);
  expect(acks()).toEqual([{ ...REPLY, success: false, refusedIndex: 2, ...hint }]);
  expect(raft.log.lastIndex).toBe(log.length);
});

test("a deposed leader gets the term and confirms no round", () => {
  const raft = makeRaft({ term: 5, log: [1, 2] });
  onAppendEntries(raft, "n2", { ...APPEND, round: 9 }, 10, out);
  expect(acks()).toEqual([{ ...REPLY, term: 5, success: false, refusedIndex: 2 }]);
  expect(raft.leader).toBeNull();
});

test("a promise to a leader whose term has passed in the same turn is not sent", () => {
  const raft = makeRaft({ term: 3, log: [1, 2] });
  onAppendEntries(raft, "n2", { ...APPEND, entries: [entry(3, 3)] }, 10, out);
  onAppendEntries(raft, "n3", { ...APPEND, term: 4, entries: [entry(3, 4)] }, 10, out);
  sendAck(raft, 0, 10, out);
  expect(acks()).toEqual([{ ...REPLY, term: 4, matchIndex: 3 }]);
});

test("two leaders of one term are a broken invariant", () => {
  const raft = makeRaft({ term: 3 });
  raft.role = "leader";
  expect(() => onAppendEntries(raft, "n2", APPEND, 10, out)).toThrow("two leaders in one term: 3");
});

test("a prefix that was compacted is committed and so agrees", () => {
  const raft = makeRaft({ term: 3, log: [1, 2, 2, 2] });
  raft.commitTo(4);
  raft.log.compact(4);
  const entries = [entry(3, 2), entry(4, 2), entry(5, 3)];
  onAppendEntries(raft, "n2", { ...APPEND, entries, commitIndex: 5 }, 10, out);
  sendAck(raft, 0, 10, out);
  expect(acks()).toEqual([{ ...REPLY, matchIndex: 5 }]);
  expect([raft.log.lastIndex, raft.commitIndex]).toEqual([5, 5]);
});

test("while a snapshot is not on disk, the leader is heard and nothing is promised", () => {
  const raft = makeRaft({ term: 3, log: [1, 2] });
  onAppendWhileInstalling(raft, "n2", { ...APPEND, entries: [entry(3, 3)], round: 4 }, 10, out);
  sendAck(raft, 0, 10, out);
  expect(acks()).toEqual([{ ...REPLY, success: false, round: 4 }]);
  expect([raft.log.lastIndex, raft.leaderHeardAt]).toEqual([2, 10]);
});

describe("the age of the state (LEAD6)", () => {
  const BOOT = 7;

  function fresh(freshStamp: number, freshIndex: number, freshBoot = BOOT) {
    return { ...APPEND, freshBoot, freshStamp, freshIndex };
  }

  test("is dated by the stamp that comes back, not by when it comes", () => {
    const raft = makeRaft({ term: 3, log: [1, 2], boot: BOOT });
    onAppendEntries(raft, "n2", fresh(3, 2), 10, out);
    expect(raft.staleMs(1, 10)).toBeNull();
    expect(raft.staleMs(2, 10)).toBe(7);
    onAppendEntries(raft, "n2", fresh(2, 1), 11, out);
    expect(raft.staleMs(2, 11)).toBe(8);
  });

  test("a stamp of another start of the process dates nothing, whatever its clock said", () => {
    const raft = makeRaft({ term: 3, log: [1, 2], boot: BOOT });
    for (const stamp of [0, 5, 10, 11]) {
      onAppendEntries(raft, "n2", fresh(stamp, 2, BOOT + 1), 10, out);
    }
    expect(raft.staleMs(2, 10)).toBeNull();
    onAppendEntries(raft, "n2", fresh(11, 2), 10, out);
    expect(raft.staleMs(2, 10)).toBeNull();
  });

  test("every answer names the start of the process that its stamp is by", () => {
    const raft = makeRaft({ term: 3, log: [1, 2], boot: BOOT });
    onAppendEntries(raft, "n2", APPEND, 10, out);
    sendAck(raft, 0, 10, out);
    onAppendEntries(raft, "n2", { ...APPEND, term: 2 }, 10, out);
    expect(acks()).toMatchObject([{ boot: BOOT, stamp: 10 }, { boot: BOOT }]);
  });
});
