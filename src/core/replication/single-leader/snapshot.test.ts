import { beforeEach, describe, expect, test } from "vitest";
import { toyMachine } from "../../../../test/raft/toy-machine.ts";
import { makeOutbox, makeRaft } from "../../../../test/raft/unit.ts";
import { MemoryDisk } from "../../../testing/sim/memory-disk.ts";
import { ByteReader, ByteWriter, encodeUtf8 } from "../../base/bytes.ts";
import { crc32 } from "../../base/hash.ts";
import { RowHash } from "../../base/row-hash.ts";
import { MemoryStore } from "../../log/memory-store.ts";
import { Memtable } from "../../log/memtable.ts";
import { SnapshotFiles } from "../../log/snapshot-file.ts";
import { Applier } from "./applier.ts";
import { startElection } from "./election.ts";
import { becomeLeader } from "./leader.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import {
  bigEndian,
  DATA,
  decodeIncoming,
  decodeMeta,
  ENTRIES,
  encodeMeta,
  groupPrefix,
  INCOMING,
  KEYS,
  META,
  NO_KEYS,
  SESSIONS,
  type SnapshotId,
} from "./rows.ts";
import { Snapshots } from "./snapshot.ts";
import { seedOf } from "./snapshot-spool.ts";

type Install = Extract<SingleLeaderMessage, { kind: "installSnapshot" }>;

const PREFIX = groupPrefix(0);
const HEADER = 13;

let raft: Raft;
let applier: Applier;
let store: MemoryStore;
let memtable: Memtable;
let disk: MemoryDisk;
let files: SnapshotFiles;
let snapshots: Snapshots;
let checkpoints = 0;
let out = makeOutbox();

beforeEach(() => {
  raft = makeRaft({ term: 3, log: [1, 1] });
  store = new MemoryStore();
  disk = new MemoryDisk();
  checkpoints = 0;
  open();
});

/** As a process does that starts on what the store holds. */
function open(): void {
  let op = 0;
  const nextOp = () => {
    op += 1;
    return op;
  };
  memtable = new Memtable(store);
  files = new SnapshotFiles({ disk, checksum: crc32, nextOp });
  applier = new Applier(raft, memtable, toyMachine);
  const requestCheckpoint = () => {
    checkpoints += 1;
  };
  snapshots = new Snapshots(raft, applier, { memtable, store, files, requestCheckpoint });
  out = makeOutbox();
}

/** Everything frozen goes to the store. */
function checkpoint(): void {
  applier.writeRows();
  snapshots.onFreeze();
  memtable.freeze();
  store.begin(1, memtable.frozenChanges());
  store.work(1_000_000);
  memtable.dropFrozen();
  snapshots.onCheckpoint();
}

function settle(now = 30): void {
  snapshots.receiver.settle(now, out);
}

function sent(): SingleLeaderMessage[] {
  const { immediate, batch } = out.take();
  return [...immediate, ...(batch?.afterWrite ?? [])].map((effect) => {
    if (effect.kind !== "send") throw new Error("a reply to a client");
    return effect.message;
  });
}

function answers(): string[] {
  return sent().map((message) => {
    if (message.kind === "requestSnapshot") return `request from=${message.fromIndex}`;
    if (message.kind !== "snapshotReply") return message.kind;
    return message.installed ? `installed ${message.id.index}` : `at=${message.offset}`;
  });
}

/** Keys under which values of the other generation lie. */
function otherKeys(): string[] {
  const [from, to] = applier.generationRange(1 - applier.generation);
  return [...memtable.keys(from, to)].map((key) => key.slice(from.length + KEYS.length));
}

function row(key: string, value: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  writer.byteString(key);
  writer.bytes(value);
  return writer.take();
}

const value = (key: string) => row(DATA + KEYS + key, encodeUtf8(`value of ${key}`));

/** What a snapshot of these keys is called. */
function idOf(keys: readonly string[], index = 10): SnapshotId {
  const hash = new RowHash();
  for (const key of keys) hash.add(KEYS + key, 0, encodeUtf8(`value of ${key}`));
  return { index, term: 2, hash: hash.text };
}

function meta({ index, term, hash }: SnapshotId, keys: number): Uint8Array {
  const rest = { logTime: 5, generation: 0, isDamaged: false, voters: ["n1", "n2", "n3"] };
  const own = { term: 0, vote: null, appliedIndex: index, appliedTerm: term, hash };
  const counts = { ...NO_KEYS, keys };
  return row(META, encodeMeta({ ...rest, ...own, counts, termStarts: [{ term: 2, first: 4 }] }));
}

/** A sender: its chunks in a row. */
class Stream {
  readonly id: SnapshotId;
  offset = 0;
  crc: number;

  constructor(id: SnapshotId) {
    this.id = id;
    this.crc = seedOf({ files, group: 0 }, id);
  }

  offer(fresh = false, term = 3): void {
    snapshots.receiver.onOffer("n2", { kind: "offerSnapshot", term, id: this.id, fresh }, 20, out);
    for (let i = 0; i < 3; i += 1) settle();
  }

  next(rows: Uint8Array, done = false): Install {
    const { id, offset } = this;
    this.crc = crc32(rows, this.crc);
    this.offset += HEADER + rows.length;
    return { kind: "installSnapshot", term: 3, id, offset, crc: this.crc, rows, done };
  }

  send(rows: Uint8Array, done = false): Install {
    const message = this.next(rows, done);
    snapshots.receiver.onInstall("n2", message, 20, out);
    settle();
    return message;
  }
}

describe("taking in", () => {
  test("chunks gather unseen, the last one switches, durability is said later", () => {
    const stream = new Stream(idOf(["a", "b"]));
    stream.offer();
    expect(answers()).toEqual(["at=0"]);
    stream.send(value("a"));
    expect(answers()).toEqual([`at=${stream.offset}`]);
    expect([applier.counts.keys, applier.generation, applier.appliedIndex]).toEqual([0, 0, 0]);
    stream.send(value("b"));
    stream.send(meta(stream.id, 2), true);
    expect(answers()).toEqual([`at=${stream.offset - HEADER - meta(stream.id, 2).length}`]);
    expect([applier.counts.keys, applier.generation, applier.appliedIndex]).toEqual([2, 1, 10]);
    expect([raft.log.lastIndex, raft.log.lastTerm, raft.commitIndex]).toEqual([10, 2, 10]);
    expect(applier.stateRows.hash).toBe(stream.id.hash);
    // The sender's term and vote are not ours.
    expect([raft.term, raft.vote]).toEqual([3, null]);
    expect([snapshots.receiver.isInstalling, checkpoints]).toEqual([true, 1]);

    // A checkpoint that began before the switch says nothing about it.
    snapshots.onCheckpoint();
    settle();
    expect(answers()).toEqual([]);
    checkpoint();
    expect(snapshots.receiver.isDue).toBe(true);
    settle();
    expect(answers()).toEqual(["installed 10"]);
    expect(snapshots.receiver.isInstalling).toBe(false);
  });

  test("a chunk that is not the next changes nothing, and an offer says where to go on", () => {
    const stream = new Stream(idOf(["a", "b"]));
    stream.offer();
    const first = stream.send(value("a"));
    const skipped = stream.next(value("b"));
    const third = stream.next(value("c"));
    answers();
    for (const message of [first, third]) snapshots.receiver.onInstall("n2", message, 20, out);
    settle();
    expect(answers()).toEqual([]);
    expect(otherKeys()).toEqual(["a"]);
    stream.offer();
    expect(answers()).toEqual([`at=${skipped.offset}`]);
  });

  test("a chunk from another file in the right place is refused by its checksum (L35)", () => {
    const stream = new Stream(idOf(["a", "b"]));
    stream.offer();
    stream.send(value("a"));
    answers();
    const other = { ...stream.next(value("b")), crc: 77 };
    snapshots.receiver.onInstall("n2", other, 20, out);
    settle();
    settle();
    expect(otherKeys()).toEqual([]);
    stream.offer();
    expect(answers()).toEqual(["at=0"]);
  });

  test("another snapshot begins anew, an older one of the same leader is a late message", () => {
    const stream = new Stream(idOf(["a"]));
    stream.offer();
    stream.send(value("a"));
    new Stream(idOf(["a"], 9)).offer();
    expect(answers()).toEqual(["at=0", `at=${stream.offset}`]);
    expect(otherKeys()).toEqual(["a"]);
    new Stream(idOf(["x"], 12)).offer();
    expect(answers()).toEqual(["at=0"]);
    expect(otherKeys()).toEqual([]);
    raft.becomeFollower(4, null, 20);
    new Stream(idOf(["y"], 7)).offer(false, 4);
    expect(answers()).toEqual(["at=0"]);
  });

  test.each([
    ["without a meta row", () => value("z")],
    ["whose rows are not those of its hash", () => meta(idOf(["a", "z"]), 2)],
    ["of another index than it says", () => meta(idOf(["a"], 11), 1)],
    ["that is no rows at all", () => new Uint8Array([1, 2, 3])],
    ["with rows of no known table", () => row("?x", new Uint8Array(1))],
  ])("a snapshot %s is refused and leaves the state alone", (_, last) => {
    const stream = new Stream(idOf(["a"]));
    stream.offer();
    stream.send(value("a"));
    stream.send(last(), true);
    expect([applier.appliedIndex, applier.counts.keys, raft.log.lastIndex]).toEqual([0, 0, 2]);
    expect(snapshots.receiver.isInstalling).toBe(false);
    settle();
    answers();
    stream.offer();
    expect(answers()).toEqual(["at=0"]);
  });

  test("entries that only this node has as a deposed leader go with the log", () => {
    raft.role = "leader";
    raft.unwritten = [...raft.log.slice(2, raft.log.lastIndex, 1)];
    raft.role = "follower";
    const stream = new Stream(idOf([]));
    stream.offer();
    stream.send(meta(stream.id, 0), true);
    out.take();
    raft.writeTurn(20, out);
    expect(out.take().batch).toBeNull();
  });

  test("what is committed already is installed already", () => {
    raft.commitTo(2);
    new Stream({ ...idOf([], 2), term: 1 }).offer();
    expect(answers()).toEqual(["installed 2"]);
  });

  test("a snapshot of what the log holds commits it and removes nothing (§7)", () => {
    new Stream({ ...idOf([], 1), term: 1 }).offer();
    expect(answers()).toEqual(["installed 1"]);
    expect([raft.commitIndex, raft.log.lastIndex]).toEqual([1, 2]);
  });

  test("a snapshot that the log has overtaken leaves no rows behind", () => {
    raft = makeRaft({ term: 3, log: [1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2] });
    open();
    const stream = new Stream({ ...idOf(["a"], 11), term: 1 });
    stream.offer();
    stream.send(value("a"));
    expect(otherKeys()).toEqual(["a"]);
    raft.commitTo(11);
    settle();
    settle();
    expect(otherKeys()).toEqual([]);
  });

  test("a chunk of a deposed leader gets the term", () => {
    raft.becomeFollower(9, null, 0);
    new Stream(idOf(["a"])).offer();
    expect(sent()).toMatchObject([{ kind: "snapshotReply", term: 9, installed: false }]);
    expect(otherKeys()).toEqual([]);
  });

  test("what another snapshot left goes in slices, and nothing is filled in before that", () => {
    const slices = makeRaft({ term: 3, log: [1, 1] });
    raft = Object.assign(slices, {
      options: { ...slices.options, limits: { ...slices.options.limits, wipeRowsMax: 2 } },
    });
    const [from] = applier.generationRange(1);
    store.begin(
      1,
      [1, 2, 3, 4, 5].map((i) => [`${from}${KEYS}k${i}`, new Uint8Array(1)] as const).values(),
    );
    store.work(1_000_000);
    open();
    const stream = new Stream(idOf(["a"]));
    const offer = { kind: "offerSnapshot", term: 3, id: stream.id, fresh: false } as const;
    snapshots.receiver.onOffer("n2", offer, 20, out);
    const left: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      snapshots.receiver.onInstall("n2", new Stream(stream.id).next(value("a")), 20, out);
      settle();
      left.push(otherKeys().length);
    }
    expect(left).toEqual([3, 1, 0]);
    expect(answers()).toEqual(["at=0"]);
  });

  test("while a checkpoint is under way and much is in memory, the sender is not answered", () => {
    const full = makeRaft({ term: 3, log: [1, 1] });
    raft = Object.assign(full, {
      options: { ...full.options, limits: { ...full.options.limits, snapshotMemtableBytesMax: 1 } },
    });
    open();
    const stream = new Stream(idOf(["a", "b"]));
    stream.offer();
    memtable.freeze();
    answers();
    stream.send(value("a"));
    expect([answers(), snapshots.receiver.isDue]).toEqual([[], false]);
    memtable.dropFrozen();
    expect(snapshots.receiver.isDue).toBe(true);
    settle();
    expect(answers()).toEqual([`at=${stream.offset}`]);
  });
});

describe("going on after a restart", () => {
  /** The process dies and starts again: only what the last checkpoint holds is left. */
  function restart(): void {
    const row = store.get(PREFIX + INCOMING);
    const own = store.get(PREFIX + META);
    raft = makeRaft({ term: 3, log: [1, 1] });
    open();
    if (own !== undefined) applier.restore(decodeMeta(own), decodeMeta(own).generation, []);
    snapshots.receiver.restored(row === undefined ? null : decodeIncoming(row));
    snapshots.restored();
    settle();
  }

  test("begins where the last checkpoint has its rows, and ends with all of them", () => {
    const stream = new Stream(idOf(["a", "b", "c"]));
    stream.offer();
    stream.send(value("a"));
    checkpoint();
    const { offset, crc } = stream;
    stream.send(value("b"));
    restart();
    expect(otherKeys()).toEqual(["a"]);
    answers();
    stream.offer();
    expect(answers()).toEqual([`at=${offset}`]);
    Object.assign(stream, { offset, crc });
    stream.send(value("b"));
    stream.send(value("c"));
    stream.send(meta(stream.id, 3), true);
    expect([applier.counts.keys, applier.stateRows.hash]).toEqual([3, stream.id.hash]);
    checkpoint();
    settle();
    expect(answers().at(-1)).toBe("installed 10");
    expect(store.has(PREFIX + INCOMING)).toBe(false);
  });

  test("what comes behind the values is asked for again: no row holds it", () => {
    const stream = new Stream(idOf(["a"]));
    stream.offer();
    stream.send(value("a"));
    const { offset } = stream;
    stream.send(row(`${SESSIONS}${bigEndian(1)}`, encodeUtf8("a session")));
    checkpoint();
    restart();
    answers();
    stream.offer();
    expect(answers()).toEqual([`at=${offset}`]);
  });

  test("a restart between switch and checkpoint has what was there before", () => {
    const stream = new Stream(idOf(["a"]));
    stream.offer();
    stream.send(value("a"));
    checkpoint();
    stream.send(meta(stream.id, 1), true);
    expect(applier.generation).toBe(1);
    restart();
    expect([applier.generation, applier.appliedIndex, applier.counts.keys]).toEqual([0, 0, 0]);
    expect(otherKeys()).toEqual(["a"]);
  });

  test("rows of a snapshot that nobody needs any more are removed", () => {
    const stream = new Stream(idOf(["a"]));
    stream.offer();
    stream.send(value("a"));
    checkpoint();
    open();
    snapshots.receiver.restored(null);
    settle();
    expect(otherKeys()).toEqual([]);
  });
});

describe("a replica whose state is wrong", () => {
  beforeEach(() => {
    raft = makeRaft({ term: 3, log: [1, 1, 2, 2, 2, 2] });
    raft.leader = "n2";
    open();
    raft.commitTo(4);
    applier.declareDamaged("a test says so");
  });

  test("asks its leader for a state that is no older, and again after a while", () => {
    settle(2000);
    settle(2500);
    settle(3100);
    expect(answers()).toEqual(["request from=0", "request from=0"]);
  });

  test("takes it in although the log holds it, keeps the log, and is well", () => {
    const stream = new Stream({ ...idOf(["a"], 5), term: 2 });
    stream.offer();
    stream.send(value("a"));
    stream.send(meta(stream.id, 1), true);
    expect([applier.damage, applier.appliedIndex, applier.counts.keys]).toEqual([null, 5, 1]);
    expect([raft.log.lastIndex, raft.commitIndex]).toEqual([6, 5]);
    // The log did not begin anew, so entries may be appended before it is on disk.
    expect(snapshots.receiver.isInstalling).toBe(false);
    answers();
    settle();
    expect(answers()).toEqual([]);
    checkpoint();
    settle();
    expect(answers()).toEqual(["installed 5"]);
  });

  test("knows of it after a restart", () => {
    checkpoint();
    const own = decodeMeta(store.get(PREFIX + META)!);
    open();
    applier.restore(own, own.generation, []);
    expect(applier.damage).not.toBeNull();
    expect(applier.read(encodeUtf8("GET a"), 0)).toMatchObject({ code: "REBUILDING" });
  });
});

describe("sending", () => {
  let progress: Progress;

  function stored(rows: readonly (readonly [string, Uint8Array])[]): void {
    store.begin(1, rows.values());
    store.work(1_000_000);
  }

  /** Rows of generation 1 with the two keys, and what else a store may hold. */
  function lead(hash = idOf(["a", "b"]).hash): void {
    const own = { term: 3, vote: "n1", appliedIndex: 2, appliedTerm: 1, logTime: 0, generation: 1 };
    const counts = { ...NO_KEYS, keys: 2 };
    const rest = { counts, hash, isDamaged: false, voters: ["n1", "n2", "n3"], termStarts: [] };
    const metaRow = { ...own, ...rest };
    stored([
      [`${PREFIX}${DATA}0kstale`, encodeUtf8("of a snapshot taken in before")],
      [`${PREFIX}${DATA}1ka`, encodeUtf8("value of a")],
      [`${PREFIX}${DATA}1kb`, encodeUtf8("value of b")],
      [`${PREFIX}${ENTRIES}${bigEndian(3)}`, encodeUtf8("an entry not yet applied")],
      [PREFIX + META, encodeMeta(metaRow)],
      [`${PREFIX}${SESSIONS}${bigEndian(1)}`, encodeUtf8("session")],
      [`${groupPrefix(1)}${META}`, encodeUtf8("another group's")],
    ]);
    open();
    applier.restore(metaRow, 1, []);
    snapshots.restored();
    startElection(raft, false, 0, out);
    raft.ownVoteBatch = null;
    becomeLeader(raft, 0, out);
    out.take();
    progress = raft.leadership!.progress("n2");
    progress.state = "snapshot";
  }

  /** Turns of the sender, with a disk that writes at once. */
  function drive(now = 0, turns = 8): SingleLeaderMessage[] {
    const messages: SingleLeaderMessage[] = [];
    for (let i = 0; i < turns; i += 1) {
      snapshots.sender.settle(now);
      if (raft.leadership !== null) snapshots.sender.drive(raft.leadership, now, out);
      messages.push(...sent().filter(({ kind }) => kind !== "appendEntries"));
      for (const completion of disk.drain()) files.onDisk(completion);
    }
    return messages;
  }

  function reply(offset: number, installed = false, now = 0): void {
    const { id } = progress.snapshot!.spool;
    const message = { kind: "snapshotReply", term: raft.term, id, offset, installed } as const;
    snapshots.sender.onReply("n2", message, now);
  }

  const chunks = (messages: readonly SingleLeaderMessage[]) =>
    messages.filter((message) => message.kind === "installSnapshot");

  function keysIn(messages: readonly SingleLeaderMessage[]): string[] {
    const keys: string[] = [];
    for (const { rows } of chunks(messages)) {
      const reader = new ByteReader(rows);
      while (reader.remaining > 0) {
        keys.push(reader.byteString());
        reader.bytes();
      }
    }
    return keys;
  }

  test("offers first, then sends the generation in use, and nothing that another left", () => {
    lead();
    expect(drive()).toMatchObject([{ kind: "offerSnapshot", fresh: false, id: { index: 2 } }]);
    reply(0);
    const messages = drive();
    expect(keysIn(messages)).toEqual([
      `${DATA}ka`,
      `${DATA}kb`,
      META,
      `${SESSIONS}${bigEndian(1)}`,
    ]);
    // What is behind the values is a chunk of its own.
    expect(chunks(messages).map(({ done }) => done)).toEqual([false, true]);
    expect(store.openSnapshots).toBe(0);
    reply(0, true);
    expect([progress.state, progress.matchIndex, progress.snapshot]).toEqual(["probe", 2, null]);
  });

  test("goes on from where the follower stands, with the same bytes", () => {
    lead();
    drive();
    reply(0);
    const [, second] = chunks(drive());
    snapshots.sender.onLink(progress);
    expect(drive()).toMatchObject([{ kind: "offerSnapshot", fresh: false }]);
    reply(second!.offset);
    expect(chunks(drive())).toEqual([second]);
  });

  test("a follower that stands where no chunk begins has to begin anew", () => {
    lead();
    drive();
    reply(7);
    expect(drive()).toMatchObject([{ kind: "offerSnapshot", fresh: true }]);
    reply(1_000_000);
    expect(drive()).toMatchObject([{ kind: "offerSnapshot", fresh: true }]);
  });

  test("asks again when nothing is heard for an election timeout", () => {
    lead();
    drive();
    progress.lastHeardAt = 900;
    expect(drive(900)).toEqual([]);
    expect(drive(1000)).toMatchObject([{ kind: "offerSnapshot" }]);
  });

  test("a full disk fails the file, not the node, and it is tried again later", () => {
    lead();
    disk.fault = ({ kind }) => (kind === "write" ? { kind: "error", code: "DISK_FULL" } : null);
    drive();
    expect([files.failure, progress.snapshot, store.openSnapshots]).toEqual([null, null, 0]);
    disk.fault = () => null;
    expect(disk.list()).toEqual([]);
    progress.lastHeardAt = 29_999;
    drive(29_999);
    expect(disk.list()).toEqual([]);
    progress.lastHeardAt = 30_000;
    expect(drive(30_000)).toMatchObject([{ kind: "offerSnapshot" }]);
  });

  test("a disk with little room is left to others", () => {
    lead();
    disk.capacityBytes = raft.options.limits.diskRoomBytesMin - 1;
    drive();
    expect([files.failure, progress.snapshot, disk.list()]).toEqual([null, null, []]);
  });

  test("any other failure of the disk stops the node (STO8)", () => {
    lead();
    disk.fault = ({ kind }) => (kind === "write" ? { kind: "error", code: "DISK_FAILED" } : null);
    drive();
    expect(files.failure?.code).toBe("DISK_FAILED");
  });

  test("a store that keeps its pages for too long is let go", () => {
    lead();
    snapshots.sender.settle(0);
    snapshots.sender.drive(raft.leadership!, 0, out);
    expect(store.openSnapshots).toBe(3);
    snapshots.sender.settle(raft.options.limits.snapshotAgeMsMax + 1);
    expect(store.openSnapshots).toBe(0);
  });

  test("rows that are not what the checkpoint says never leave: the sender is the one (STO7)", () => {
    lead(idOf(["a", "c"]).hash);
    expect(chunks(drive())).toEqual([]);
    expect(applier.damage).not.toBeNull();
    expect(store.openSnapshots).toBe(0);
  });

  test("a file that was damaged is made anew", () => {
    lead();
    drive();
    const [name = ""] = disk.list();
    disk.damage(name, (bytes) => bytes.fill(1, 20, 22));
    reply(0);
    expect(chunks(drive())).toEqual([]);
    expect(disk.list()).toEqual([]);
  });

  test("nobody asks for it any more: the file goes; what an earlier process left too", () => {
    lead();
    drive();
    expect(disk.list()).toHaveLength(1);
    progress.state = "replicate";
    drive(raft.options.limits.snapshotIdleMsMax + 1);
    expect(disk.list()).toEqual([]);
    progress.state = "snapshot";
    progress.lastHeardAt = 100_000;
    drive(100_000);
    expect(disk.list()).toHaveLength(1);
    open();
    for (const completion of disk.drain()) files.onDisk(completion);
    expect(disk.list()).toEqual([]);
  });

  test("one that has to be rebuilt gets no state older than its own, and goes on replicating", () => {
    lead();
    progress.state = "replicate";
    const request = { kind: "requestSnapshot", term: raft.term, fromIndex: 2 } as const;
    snapshots.sender.onRequest("n2", { ...request, fromIndex: 3 }, 0);
    expect(drive()).toEqual([]);
    snapshots.sender.onRequest("n2", request, 0);
    expect(drive()).toMatchObject([{ kind: "offerSnapshot", id: { index: 2 } }]);
    reply(0, true);
    expect([progress.state, progress.rebuildFrom]).toEqual(["replicate", null]);
  });
});
