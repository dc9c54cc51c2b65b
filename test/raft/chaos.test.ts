import { expect, test } from "vitest";
import type { MutantId } from "../../src/core/base/mutants.ts";
import { Prng } from "../../src/core/base/prng.ts";
import type { WriteConcern } from "../../src/core/contract/group.ts";
import { Cluster } from "./cluster.ts";

/**
 * Random schedules over whole replicas: loss, repetition and reordering of messages, crashes
 * between a write and its sync, checkpoints, transfers, lying link hints. What clients saw is
 * judged by one list per key, to which every write appends a token of its own.
 */
const SEEDS = Number(process.env["CHAOS_SEEDS"] ?? 24);
const FIRST_SEED = Number(process.env["CHAOS_FIRST"] ?? 261);
const STEPS = 1500;
const KEYS = 2;

interface Write {
  readonly kind: "write";
  readonly ticket: number;
  readonly node: string;
  readonly connection: number;
  readonly key: number;
  readonly token: string;
  readonly concern: WriteConcern;
}

interface Read {
  readonly kind: "read";
  readonly ticket: number;
  readonly node: string;
  readonly connection: number;
  readonly key: number;
  /** Tokens that a read begun now must see: acknowledged, or seen by a read that has ended. */
  readonly mustSee: readonly string[];
  readonly isLocal: boolean;
}

class Chaos {
  readonly cluster: Cluster;
  readonly #prng: Prng;
  readonly #calls: (Write | Read)[] = [];
  readonly #seen: Set<string>[] = Array.from({ length: KEYS }, () => new Set<string>());
  readonly #waits: number[] = [];
  readonly #judged = new Set<number>();
  readonly #crashedCalls = new Set<number>();
  #tokens = 0;

  constructor(seed: number, mutant: MutantId | null = null) {
    this.#prng = new Prng(seed);
    const small = this.#prng.chance(1, 2);
    this.cluster = new Cluster({
      nodes: this.#prng.pick([3, 3, 5]),
      limits: {
        ...(small ? { retainedBytes: 0, snapshotChunkBytes: 100, appendBytesMax: 100 } : {}),
        ...(this.#prng.chance(1, 2) ? { groupWaitMsMax: 2 } : {}),
        applyEntriesMax: this.#prng.pick([1, 3, 8192]),
      },
      mutant,
    });
  }

  /** What the schedule brought about: marks of the trace, and `answered` for calls. */
  get marks(): string[] {
    const marks = this.cluster.events.map((event) => event.mark);
    const kinds = this.#calls.map(({ kind, ticket }) => {
      const answer = this.cluster.answer(ticket) ?? "none";
      return `${kind} ${answer.includes(" ") ? answer : "answered"}`;
    });
    return [...marks, ...kinds];
  }

  run(): void {
    for (let step = 0; step < STEPS; step += 1) {
      this.#act();
      this.#judgeAnswers();
      if (this.cluster.oracles.violations.length > 0) return;
    }
    this.#heal();
  }

  #act(): void {
    const prng = this.#prng;
    const node = prng.pick(this.cluster.nodes);
    const dice = prng.below(1000);
    if (dice < 480) return this.#network();
    if (dice < 650) return void (node.isUp && this.cluster.sync(node.name));
    if (dice < 820) return this.#time();
    if (dice < 930) return node.isUp ? this.#call(node.name) : undefined;
    if (dice < 938) return node.isUp ? this.#crash(node.name) : undefined;
    if (dice < 958) return node.isUp ? undefined : this.cluster.restart(node.name);
    if (dice < 966) return node.isUp ? this.cluster.checkpoint(node.name) : undefined;
    if (dice < 976) return this.cluster.isolate(node.name);
    if (dice < 986) return this.cluster.heal();
    if (dice < 990 && node.isUp) {
      node.replica.transferLeadership(node.now);
      return node.turn();
    }
    if (dice < 993 && node.isUp) return this.#askTransfer(node.name);
    const peer = prng.pick(this.cluster.nodes);
    if (node.isUp && peer !== node) this.cluster.link(node.name, peer.name, prng.chance(1, 2));
  }

  #askTransfer(name: string): void {
    const prng = this.#prng;
    const to = prng.chance(1, 2) ? prng.pick(this.cluster.nodes).name : null;
    this.cluster.transfer(name, to, prng.pick([100, 1500, 4000]));
  }

  #network(): void {
    const prng = this.#prng;
    const { wire } = this.cluster;
    for (let n = prng.between(1, 12); n > 0 && wire.length > 0; n -= 1) {
      // Mostly in order, as a connection would; at times from anywhere.
      const at = prng.chance(4, 5) ? 0 : prng.below(wire.length);
      const packet = wire[at]!;
      if (!prng.chance(1, 20)) wire.splice(at, 1);
      if (!prng.chance(1, 20)) this.cluster.deliverOne(packet);
    }
  }

  #time(): void {
    const ms = this.#prng.between(1, 40);
    for (const node of this.cluster.nodes) {
      if (this.#prng.chance(1, 30)) continue;
      node.now += this.#prng.chance(1, 100) ? 1500 : ms;
      if (node.isUp && node.isDue) node.wake();
      if (node.isUp) this.cluster.oracles.check(node);
      if (node.isUp && node.isCheckpointDue && this.#prng.chance(1, 3)) node.checkpoint();
    }
  }

  #call(node: string): void {
    const prng = this.#prng;
    // A connection ends with the process that serves it.
    const connection = 10 * this.cluster.node(node).boots + prng.between(1, 3);
    const key = prng.below(KEYS);
    if (prng.chance(1, 12)) {
      this.#waits.push(this.cluster.wait(node, prng.below(3), { connection, deadlineMs: 300 }));
      return;
    }
    if (prng.chance(1, 3)) return this.#read(node, connection, key, prng.chance(1, 3));
    this.#tokens += 1;
    const token = `${node}.${connection}.${this.#tokens};`;
    const concern = prng.pick<WriteConcern>(["majority", "majority", "leader", "all", 2]);
    // The id is known before the call, which may be answered at once.
    const call = { kind: "write", node, connection, key, token, concern } as const;
    const settings = { connection, concern, deadlineMs: prng.pick([200, 2000, 10_000]) };
    this.#calls.push({
      ...call,
      ticket: this.cluster.write(node, `APPEND k${key} ${token}`, settings),
    });
  }

  #read(node: string, connection: number, key: number, isLocal: boolean): void {
    const mustSee = isLocal ? [] : [...this.#seen[key]!];
    const concern = isLocal ? "local" : "linearizable";
    const ticket = this.cluster.read(node, `GET k${key}`, {
      connection,
      concern,
      deadlineMs: 2000,
    });
    this.#calls.push({ kind: "read", node, connection, key, mustSee, isLocal, ticket });
  }

  #crash(name: string): void {
    for (const call of this.#calls) {
      if (call.node === name && this.cluster.answer(call.ticket) === null) {
        this.#crashedCalls.add(call.ticket);
      }
    }
    this.cluster.crash(name);
  }

  /** Takes note of what has been answered since, in the order in which it was. */
  #judgeAnswers(): void {
    for (const call of this.#calls) {
      const answer = this.cluster.answer(call.ticket);
      if (answer === null || this.#judged.has(call.ticket)) continue;
      this.#judged.add(call.ticket);
      if (call.kind === "write") {
        if (this.#isKept(call, answer)) this.#seen[call.key]!.add(call.token);
      } else if (!/ /.test(answer)) this.#judgeRead(call, tokensIn(answer));
    }
  }

  #judgeRead(read: Read, tokens: readonly string[]): void {
    for (const token of read.mustSee) {
      if (!tokens.includes(token)) this.#fail(`read ${read.ticket} misses ${token}`);
    }
    for (const call of this.#calls) {
      if (call.kind !== "write" || call.key !== read.key) continue;
      if (call.connection !== read.connection || call.node !== read.node) continue;
      const isSeen = tokens.includes(call.token);
      if (call.ticket > read.ticket && isSeen) this.#fail(`read ${read.ticket} sees the future`);
      const answer = this.cluster.answer(call.ticket) ?? "";
      if (call.ticket < read.ticket && this.#isKept(call, answer) && !isSeen) {
        this.#fail(`read ${read.ticket} does not see ${call.token} of its connection`);
      }
    }
    if (!read.isLocal) for (const token of tokens) this.#seen[read.key]!.add(token);
  }

  /** Whether the answer promises that the write is not lost. */
  #isKept({ concern }: Write, answer: string): boolean {
    const majority = Math.floor(this.cluster.nodes.length / 2) + 1;
    const isBelow = concern === "leader" || (typeof concern === "number" && concern < majority);
    return /^\d+$/.test(answer) ? !isBelow : answer.startsWith("CONCERN_UNMET");
  }

  /** Everything works again: the cluster must come to life, and everybody agree. */
  #heal(): void {
    const { cluster } = this;
    cluster.heal();
    for (const node of cluster.nodes) if (!node.isUp) cluster.restart(node.name);
    for (const node of cluster.nodes) {
      for (const peer of cluster.nodes) {
        if (peer !== node) cluster.link(node.name, peer.name, true);
      }
    }
    cluster.advance(15_000, 50);
    this.#judgeAnswers();
    for (const call of this.#calls) {
      if (this.cluster.answer(call.ticket) === null && !this.#crashedCalls.has(call.ticket)) {
        this.#fail(`call ${call.ticket} of ${call.node} was never answered`);
      }
    }
    for (const ticket of this.#waits) {
      const replicas = Number(this.cluster.answer(ticket));
      if (replicas >= this.cluster.nodes.length) this.#fail(`WAIT counted ${replicas} replicas`);
    }
    this.#judgeEnd();
  }

  #judgeEnd(): void {
    const { cluster } = this;
    for (let key = 0; key < KEYS; key += 1) {
      const ticket = cluster.read("n1", `GET k${key}`, { connection: 99 });
      cluster.advance(1000, 50);
      const tokens = tokensIn(cluster.answer(ticket) ?? "no answer");
      for (const token of this.#seen[key]!) {
        if (!tokens.includes(token)) this.#fail(`${token} was lost`);
      }
      if (new Set(tokens).size !== tokens.length) this.#fail(`applied twice: ${tokens.join(" ")}`);
      this.#judgeOrder(tokens);
      for (const call of this.#calls) {
        if (call.kind !== "write" || call.key !== key) continue;
        const isNotApplied = (cluster.answer(call.ticket) ?? "").endsWith("not-applied");
        if (isNotApplied && tokens.includes(call.token)) {
          this.#fail(`${call.token} was called not applied and was`);
        }
      }
    }
    const states = cluster.nodes.map((node) => {
      const { appliedIndex, keys } = node.replica.status(node.now);
      return `${appliedIndex} ${keys}`;
    });
    if (new Set(states).size !== 1) this.#fail(`replicas differ: ${states.join(", ")}`);
    const open = cluster.nodes.map((node) => node.store.openSnapshots);
    if (open.some((count) => count > 0)) this.#fail(`snapshots left open: ${open.join(", ")}`);
    if (cluster.nodes.some((node) => node.replica.openCalls > 0)) this.#fail("calls left open");
  }

  /** Writes of one connection take effect in the order sent (GEN2). */
  #judgeOrder(tokens: readonly string[]): void {
    const last = new Map<string, number>();
    for (const token of tokens) {
      const [node, connection, number] = token.slice(0, -1).split(".");
      const lane = `${node}.${connection}`;
      if (Number(number) < (last.get(lane) ?? 0)) this.#fail(`${token} out of order`);
      last.set(lane, Number(number));
    }
  }

  #fail(text: string): void {
    const { violations } = this.cluster.oracles;
    if (violations.length < 5) violations.push(text);
  }
}

function tokensIn(answer: string): string[] {
  return answer.match(/n\d+\.\d+\.\d+;/g) ?? [];
}

/** What must happen somewhere in all schedules together, or they prove little. */
const SOMETIMES = [
  "truncate",
  "step-back",
  "transfer",
  "quorum-lost",
  "paused",
  "vote-ignored",
  "snapshot-switch",
  "snapshot-installed",
  "write answered",
  "read answered",
  "write CONCERN_UNMET applied",
  "write TIMEOUT unknown",
  "write NOLEADER not-applied",
];

test("no random schedule breaks a promise", () => {
  const found: string[] = [];
  const marks = new Map<string, number>();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    const chaos = new Chaos(seed);
    try {
      chaos.run();
    } catch (failure) {
      found.push(`seed ${seed}: ${failure instanceof Error ? failure.stack : String(failure)}`);
    }
    found.push(...chaos.cluster.oracles.violations.map((text) => `seed ${seed}: ${text}`));
    for (const mark of chaos.marks) marks.set(mark, (marks.get(mark) ?? 0) + 1);
  }
  expect(found.join("\n")).toBe("");
  expect(SOMETIMES.filter((mark) => !marks.has(mark))).toEqual([]);
});
