import { beforeEach, expect, test } from "vitest";
import { toyMachine } from "../../../../test/raft/toy-machine.ts";
import { makeOutbox, makeRaft } from "../../../../test/raft/unit.ts";
import { ByteReader, ByteWriter, encodeUtf8 } from "../../base/bytes.ts";
import { MemoryStore } from "../../log/memory-store.ts";
import { Memtable } from "../../log/memtable.ts";
import { Applier } from "./applier.ts";
import { startElection } from "./election.ts";
import { becomeLeader } from "./leader.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Raft } from "./raft.ts";
import {
  bigEndian,
  DATA,
  ENTRIES,
  encodeMeta,
  groupPrefix,
  META,
  NO_KEYS,
  SESSIONS,
} from "./rows.ts";
import { Snapshots } from "./snapshot.ts";

type InstallSnapshot = Extract<SingleLeaderMessage, { kind: "installSnapshot" }>;

let raft: Raft;
let applier: Applier;
let memtable: Memtable;
let snapshots: Snapshots;
let checkpoints = 0;
let out = makeOutbox();

beforeEach(() => {
  raft = makeRaft({ term: 3, log: [1, 1] });
  memtable = new Memtable(new MemoryStore());
  applier = new Applier(raft, memtable, toyMachine);
  checkpoints = 0;
  snapshots = new Snapshots(raft, applier, memtable, new MemoryStore(), () => {
    checkpoints += 1;
  });
  out = makeOutbox();
});

const GROUP_PREFIX = groupPrefix(0);

function row(key: string, value: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  writer.byteString(key);
  writer.bytes(value);
  return writer.take();
}

function value(key: string): Uint8Array {
  return row(`${GROUP_PREFIX}${DATA}0k${key}`, encodeUtf8(`value of ${key}`));
}

function meta(keys: number, appliedIndex = 10): Uint8Array {
  const rest = { logTime: 5, generation: 0, voters: ["n1", "n2", "n3"] };
  const own = { term: 2, vote: "n3", appliedIndex, appliedTerm: 2 };
  const counts = { ...NO_KEYS, keys };
  const termStarts = [{ term: 2, first: 4 }];
  return row(GROUP_PREFIX + META, encodeMeta({ ...rest, ...own, counts, termStarts }));
}

function chunk(number: number, rows: Uint8Array, change: Partial<InstallSnapshot> = {}): void {
  const base = { kind: "installSnapshot", term: 3, lastIndex: 10, lastTerm: 2, stream: 6 } as const;
  const message = { ...base, chunk: number, rows, done: false, round: 0, ...change };
  snapshots.onInstall("n2", message, 20, out);
}

function answers() {
  const { immediate, batch } = out.take();
  return [...immediate, ...(batch?.afterWrite ?? [])].map((effect) => {
    if (effect.kind !== "send" || effect.message.kind !== "snapshotReply") return effect.kind;
    return `next=${effect.message.next}${effect.message.installed ? " installed" : ""}`;
  });
}

function keys(): number {
  return [...memtable.rows("", null)].length;
}

test("chunks gather unseen, the last one switches, durability is said later", () => {
  chunk(0, value("a"));
  expect(answers()).toEqual(["next=1"]);
  expect([applier.counts.keys, applier.generation, applier.appliedIndex]).toEqual([0, 0, 0]);
  chunk(1, value("b"));
  chunk(2, meta(2), { done: true });
  expect(answers()).toEqual(["next=2"]);
  expect([applier.counts.keys, applier.generation, applier.appliedIndex]).toEqual([2, 1, 10]);
  expect([raft.log.lastIndex, raft.log.lastTerm, raft.commitIndex]).toEqual([10, 2, 10]);
  // The sender's term and vote are not ours.
  expect([raft.term, raft.vote]).toEqual([3, null]);
  expect([snapshots.isInstalling, checkpoints]).toEqual([true, 1]);

  // A checkpoint that began before the switch says nothing about it.
  snapshots.onCheckpoint();
  snapshots.settle(30, out);
  expect(answers()).toEqual([]);
  snapshots.onFreeze();
  snapshots.onCheckpoint();
  expect(snapshots.isDue).toBe(true);
  snapshots.settle(30, out);
  expect(answers()).toEqual(["next=3 installed"]);
  expect(snapshots.isInstalling).toBe(false);
});

test("a chunk that is not the next is answered with the one that is wanted", () => {
  chunk(1, value("b"));
  chunk(0, value("a"));
  chunk(0, value("a"));
  chunk(2, value("c"));
  expect(answers()).toEqual(["next=0", "next=1", "next=1", "next=1"]);
});

test("chunks of different snapshots are never mixed (L35)", () => {
  chunk(0, value("a"));
  chunk(1, value("b"), { stream: 7 });
  chunk(1, value("b"), { lastIndex: 11 });
  expect(answers()).toEqual(["next=1", "next=0", "next=0"]);
  chunk(0, value("x"), { stream: 7 });
  expect(keys()).toBe(1);
});

test.each([
  ["without a meta row", () => value("z")],
  ["with fewer keys than it says", () => meta(9)],
  ["of another index than it says", () => meta(1, 11)],
  ["that is no rows at all", () => new Uint8Array([1, 2, 3])],
  ["of another group", () => row(`${bigEndian(5)}${DATA}0kk`, new Uint8Array(1))],
])("a snapshot %s is refused and leaves the state alone", (_, last) => {
  chunk(0, value("a"));
  chunk(1, last(), { done: true });
  expect(answers()).toEqual(["next=1", "next=0"]);
  expect([applier.appliedIndex, applier.counts.keys, raft.log.lastIndex]).toEqual([0, 0, 2]);
  expect(snapshots.isInstalling).toBe(false);
});

test("entries that only this node has as a deposed leader go with the log", () => {
  raft.role = "leader";
  raft.unwritten = [...raft.log.slice(2, raft.log.lastIndex, 1)];
  raft.role = "follower";
  chunk(0, meta(0), { done: true });
  raft.writeTurn(20, out);
  expect(out.take().batch).toBeNull();
});

test("what is committed already is installed already", () => {
  raft.commitTo(2);
  chunk(0, meta(0), { lastIndex: 2, lastTerm: 1, done: true });
  expect(answers()).toEqual(["next=0 installed"]);
});

test("a snapshot of what the log holds commits it and removes nothing (§7)", () => {
  chunk(0, new Uint8Array(0), { lastIndex: 1, lastTerm: 1 });
  expect(answers()).toEqual(["next=0 installed"]);
  expect([raft.commitIndex, raft.log.lastIndex]).toEqual([1, 2]);
});

test("a snapshot that will never be complete leaves no rows behind", () => {
  chunk(0, value("a"));
  expect(keys()).toBe(1);
  raft.becomeFollower(4, null, 20);
  snapshots.settle(20, out);
  expect([keys(), checkpoints]).toEqual([0, 1]);
});

test("a chunk of a deposed leader gets the term", () => {
  raft.becomeFollower(9, null, 0);
  chunk(0, value("a"));
  expect(out.take().batch?.afterWrite).toMatchObject([
    { to: "n2", message: { kind: "snapshotReply", term: 9, installed: false, round: 0 } },
  ]);
  expect(keys()).toBe(0);
});

test("what is sent holds the generation in use, and nothing that another left behind", () => {
  const stored: [string, Uint8Array][] = [
    [`${GROUP_PREFIX}${DATA}0stale`, encodeUtf8("of a snapshot taken in before")],
    [`${GROUP_PREFIX}${DATA}1a`, encodeUtf8("1")],
    [`${GROUP_PREFIX}${DATA}1b`, encodeUtf8("2")],
    [`${GROUP_PREFIX}${ENTRIES}${bigEndian(3)}`, encodeUtf8("an entry not yet applied")],
    [GROUP_PREFIX + META, encodeUtf8("meta")],
    [`${GROUP_PREFIX}${SESSIONS}${bigEndian(1)}`, encodeUtf8("session")],
    [`${groupPrefix(1)}${META}`, encodeUtf8("another group's")],
  ];
  const store = new MemoryStore();
  store.begin(1, stored.values());
  store.work(1_000);
  snapshots = new Snapshots(raft, applier, memtable, store, () => {});
  snapshots.restored(2, 1, 1);
  startElection(raft, false, 0, out);
  raft.ownVoteBatch = null;
  becomeLeader(raft, 0, out);
  out.take();
  const leadership = raft.leadership!;
  const progress = leadership.progress("n2");
  progress.state = "snapshot";
  const sent: string[] = [];
  for (let done = false; !done; ) {
    snapshots.drive(leadership, 0, out);
    const [effect] = out.take().immediate;
    if (effect?.kind !== "send" || effect.message.kind !== "installSnapshot") throw new Error();
    const reader = new ByteReader(effect.message.rows);
    while (reader.remaining > 0) {
      sent.push(reader.byteString().slice(GROUP_PREFIX.length));
      reader.bytes();
    }
    done = effect.message.done;
    const { stream, chunk: number } = effect.message;
    const reply = { kind: "snapshotReply", term: raft.term, stream, next: number + 1 } as const;
    const rest = { installed: false, lastIndex: 2, round: 0, boot: 0, stamp: 0 };
    snapshots.onReply("n2", { ...reply, ...rest }, 0);
  }
  expect(sent).toEqual([`${DATA}1a`, `${DATA}1b`, META, `${SESSIONS}${bigEndian(1)}`]);
});
