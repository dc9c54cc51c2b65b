import { describe, expect, test } from "vitest";
import { NO_ROWS } from "../../core/base/row-hash.ts";
import { makeEntry, stampEntry } from "../../core/replication/single-leader/entry.ts";
import { RaftLog } from "../../core/replication/single-leader/raft-log.ts";
import type { Replica } from "../../core/replication/single-leader/replica.ts";
import { Invariants } from "./invariants.ts";

type Follower = { readonly node: string; matchIndex: number; readonly ackedRound?: number };

/** As much of a replica as the oracles look at. */
class Fake {
  term = 1;
  vote: string | null = null;
  commitIndex = 0;
  appliedIndex = 0;
  leadership: { readonly followers: Follower[]; readonly round: number } | null = null;
  readonly log = new RaftLog();
  damage: string | null = null;
  generation = 0;
  /** What the state's hash is said to be, and its rows. */
  hash = NO_ROWS;
  stored: readonly (readonly [string, Uint8Array])[] = [];

  get replica(): Replica {
    const { appliedIndex, damage, generation, hash, stored } = this;
    const rows = { hash, rows: () => stored };
    const generationRange = () => ["from", "to"];
    const own = { appliedIndex, halted: null, damage, generation };
    const applier = { ...own, stateRows: rows, generationRange };
    return { inspect: () => ({ raft: this, applier }) } as unknown as Replica;
  }

  /** The same replica, as it is whenever somebody looks. */
  get watched(): Replica {
    return { inspect: () => this.replica.inspect() } as unknown as Replica;
  }

  append(term: number, mark = 0): this {
    const entry = makeEntry("command", new Uint8Array([mark]));
    const index = this.log.lastIndex + 1;
    stampEntry(entry, { index, term, time: 0, session: 0, sequence: 0, floor: 0 });
    this.log.append(entry);
    return this;
  }

  sync(batch: number): this {
    this.log.handedToDisk(batch, 0);
    this.log.written(batch);
    return this;
  }

  lead(term: number, followers: Follower[] = []): this {
    this.term = term;
    this.leadership = { followers, round: 3 };
    return this;
  }

  commit(index: number): this {
    this.commitIndex = index;
    return this;
  }
}

/** Three nodes under watch, each with the given entries synced. */
function watched(...terms: readonly (readonly number[])[]): {
  readonly nodes: readonly [Fake, Fake, Fake];
  readonly invariants: Invariants;
  readonly look: (now?: number) => void;
} {
  const names = ["n1", "n2", "n3"];
  const nodes = names.map((_, i) => {
    const node = new Fake();
    for (const term of terms[i] ?? []) node.append(term);
    return node.log.lastIndex > 0 ? node.sync(1) : node;
  }) as unknown as [Fake, Fake, Fake];
  const invariants = new Invariants(names);
  names.forEach((name, i) => {
    invariants.onBoot(name, nodes[i]!.watched, 0);
  });
  const look = (now = 0) => {
    for (const name of names) invariants.afterTurn(name, now);
  };
  return { nodes, invariants, look };
}

describe("the white-box oracles", () => {
  test("two leaders of one term", () => {
    const { nodes, look } = watched();
    nodes[0].lead(2);
    look();
    nodes[1].lead(2);
    expect(look).toThrow("election-safety");
  });

  test("a leader of a later term without a committed entry", () => {
    const { nodes, look } = watched([1], [1], []);
    nodes[0].lead(1).commit(1);
    look();
    nodes[2].lead(2);
    expect(look).toThrow("leader-completeness");
  });

  test("a leader of an earlier term need not know what a later one committed", () => {
    const { nodes, look } = watched([1, 3], [1, 3], [1]);
    nodes[0].lead(3).commit(2);
    look();
    nodes[2].lead(2);
    expect(look).not.toThrow();
  });

  test("a round that was confirmed before it began", () => {
    const { nodes, look } = watched();
    nodes[0].lead(1, [{ node: "n2", matchIndex: 0, ackedRound: 3 }]);
    expect(look).not.toThrow();
    nodes[0].lead(1, [{ node: "n2", matchIndex: 0, ackedRound: 4 }]);
    expect(look).toThrow("round-truth");
  });

  test("a write that fewer nodes hold durably than it asked for", () => {
    const { nodes, invariants, look } = watched([1], [1], []);
    nodes[0].lead(1).commit(1);
    look();
    const check = (needed: number) => () => invariants.checkConcern({ term: 1, index: 1 }, needed);
    expect(check(2)).not.toThrow();
    expect(check(3)).toThrow("write-concern");
    nodes[2].append(1);
    look();
    expect(check(3)).toThrow("write-concern");
    nodes[2].sync(1);
    expect(check(3)).not.toThrow();
  });

  test("one index and term, two entries", () => {
    const { nodes, look } = watched();
    nodes[0].append(1, 1);
    nodes[1].append(1, 2);
    expect(look).toThrow("log-matching");
  });

  test("one entry behind two different ones", () => {
    expect(() => watched([1, 3], [2, 3])).toThrow("log-matching");
  });

  test("an entry committed on less than a majority of disks", () => {
    const { nodes, look } = watched([1]);
    nodes[0].lead(1).commit(1);
    nodes[1].append(1);
    expect(look).toThrow("commit-durability");
  });

  test("two entries committed at one index", () => {
    const { nodes, look } = watched([1], [1], [2]);
    nodes[0].commit(1);
    look();
    nodes[2].commit(1);
    expect(look).toThrow("state-machine-safety");
  });

  test("a match index that is not so, or goes back", () => {
    const first = watched([1, 1], [1]);
    first.nodes[0].lead(1, [{ node: "n2", matchIndex: 2 }]);
    expect(first.look).toThrow("match-truth");
    const second = watched([1, 1], [1, 1]);
    const follower = { node: "n2", matchIndex: 2 };
    second.nodes[0].lead(1, [follower]);
    second.look();
    follower.matchIndex = 1;
    expect(second.look).toThrow("match-monotonic");
  });

  test("terms, commits and applied entries that go back, or run ahead", () => {
    const back = (change: (node: Fake) => void) => {
      const { nodes, look } = watched([1, 1], [1, 1], [1, 1]);
      Object.assign(nodes[0], { term: 5, commitIndex: 2, appliedIndex: 1 });
      look();
      change(nodes[0]);
      return look;
    };
    expect(back((node) => Object.assign(node, { term: 4 }))).toThrow("term-monotonic");
    expect(back((node) => Object.assign(node, { commitIndex: 1 }))).toThrow("commit-monotonic");
    expect(back((node) => Object.assign(node, { appliedIndex: 0 }))).toThrow("applied-monotonic");
    expect(back((node) => Object.assign(node, { commitIndex: 2, appliedIndex: 3 }))).toThrow(
      "applied-uncommitted",
    );
  });

  test("a promise that a restart forgets", () => {
    const { invariants } = watched();
    invariants.onVoteSent("n1", "n2", 4);
    const forgetful = new Fake();
    forgetful.term = 4;
    expect(() => invariants.onBoot("n1", forgetful.replica, 0)).toThrow("vote-durability");
    forgetful.term = 3;
    expect(() => invariants.onBoot("n1", forgetful.replica, 0)).toThrow("term-durability");
    forgetful.term = 4;
    forgetful.vote = "n2";
    expect(() => invariants.onBoot("n1", forgetful.replica, 0)).not.toThrow();
    expect(() => invariants.onVoteSent("n1", "n3", 4)).toThrow("one-vote-per-term");
  });

  test("a state that is said to be younger than it is", () => {
    const { nodes, invariants, look } = watched([1, 1], [1, 1], [1, 1]);
    nodes[0].commitIndex = 2;
    nodes[0].appliedIndex = 2;
    look(1000);
    invariants.checkAge("n1", 9000);
    invariants.checkAge("n2", 1000);
    expect(() => invariants.checkAge("n2", 1010)).toThrow("freshness: n2 dates its state 1010");
    nodes[1].commitIndex = 1;
    nodes[1].appliedIndex = 1;
    expect(() => invariants.checkAge("n2", 1010)).toThrow("not applied entry 2");
    expect(invariants.committedTerm(2)).toBe(1);
    expect(invariants.committedTerm(3)).toBeUndefined();
  });

  test("two states at one index, unless one was damaged on purpose", () => {
    const differing = () => {
      const all = watched([1, 1], [1, 1], [1, 1]);
      for (const node of all.nodes) Object.assign(node, { commitIndex: 2, appliedIndex: 2 });
      all.nodes[2].hash = "f".repeat(16);
      return all;
    };
    expect(differing().look).toThrow("state-divergence: at 2 the state of n3");
    const { invariants, look } = differing();
    invariants.rotten.add("n3");
    expect(look).not.toThrow();
    expect(invariants.stateHashAt(2)).toBe(NO_ROWS);
  });

  test("a replica that finds fault with a state in which there is none", () => {
    const { invariants } = watched();
    const damaged = { node: "n2", group: 0, mark: "damaged", detail: "index=1" };
    expect(() => invariants.onTrace(damaged)).toThrow("needless-rebuild");
    invariants.rotten.add("n2");
    expect(() => invariants.onTrace(damaged)).not.toThrow();
    expect(invariants.rebuilds).toBe(2);
  });

  test("a replica that applies to a state that it knows to be wrong", () => {
    const { nodes, look } = watched([1, 1], [1, 1], [1, 1]);
    Object.assign(nodes[0], { commitIndex: 2, appliedIndex: 1, damage: "rot" });
    look();
    nodes[0].appliedIndex = 2;
    expect(look).toThrow("damaged-state");
  });

  test("a switch to rows that are not those of the hash", () => {
    const { nodes, look } = watched();
    nodes[1].generation = 1;
    expect(look).not.toThrow();
    Object.assign(nodes[1], { generation: 0, stored: [["fromkey", new Uint8Array(1)]] });
    expect(look).toThrow("snapshot-truth: n2");
  });

  test("a snapshot that was acknowledged and is gone after a restart", () => {
    const { invariants } = watched();
    const id = { index: 2, term: 1, hash: NO_ROWS };
    const reply = { kind: "snapshotReply", term: 1, id, offset: 0 } as const;
    invariants.onSent("n1", { ...reply, installed: false });
    expect(() => invariants.onBoot("n1", new Fake().replica, 0)).not.toThrow();
    invariants.onSent("n1", { ...reply, installed: true });
    const one = new Fake().append(1).sync(1);
    expect(() => invariants.onBoot("n1", one.replica, 0)).toThrow("snapshot-durability");
    expect(() => invariants.onBoot("n1", one.append(1).sync(2).replica, 0)).not.toThrow();
  });

  test("a synced entry that a restart does not find again", () => {
    const { invariants } = watched([1, 1]);
    invariants.onCrash("n1");
    expect(() => invariants.onBoot("n1", new Fake().append(1).sync(1).replica, 0)).toThrow(
      "log-durability",
    );
    const more = new Fake().append(1).append(1).append(1).sync(1);
    expect(() => invariants.onBoot("n1", more.replica, 0)).not.toThrow();
  });
});
