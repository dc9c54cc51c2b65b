import { defined } from "../../core/base/assert.ts";
import { ByteWriter, equalBytes } from "../../core/base/bytes.ts";
import type { MutantId } from "../../core/base/mutants.ts";
import { Prng } from "../../core/base/prng.ts";
import type { GroupId } from "../../core/contract/ids.ts";
import { groupId } from "../../core/contract/ids.ts";
import { checkBounded } from "../check/bounded-staleness.ts";
import {
  checkCounters,
  checkLists,
  checkRegisterReads,
  type FinalValues,
} from "../check/exactly-once.ts";
import type { Violation } from "../check/history.ts";
import { checkLinearizable } from "../check/linearizability.ts";
import { COUNTER, LIST, REGISTER } from "../check/models.ts";
import { checkProgramOrder } from "../check/program-order.ts";
import { checkSessions } from "../check/session-guarantees.ts";
import { Churn } from "./churn.ts";
import { Cluster, streamOf } from "./cluster.ts";
import { Faults } from "./faults.ts";
import { rowsHash, ViolationError } from "./invariants.ts";
import { keyspaceNames, type SimNode } from "./sim-node.ts";
import { drawSwarm, type SwarmOptions, type SwarmProfile } from "./swarm.ts";
import type { TimelineLine } from "./timeline.ts";
import { Transactors } from "./transactors.ts";
import { type Answer, DEFAULT_CONCERN, growthOf, modelOf, Workload } from "./workload.ts";

/** What one run is made from. */
export interface RunSettings {
  readonly seed: number;
  readonly mutant?: MutantId | null;
  /** Options to fix; the seed draws the others. */
  readonly profile?: SwarmProfile;
  /** Keep lines to read. The hash is the same either way. */
  readonly recording?: boolean;
}

/** What a run did, in numbers. */
export interface RunStatistics {
  readonly simulatedMs: number;
  readonly operations: number;
  readonly acknowledged: number;
  readonly faults: number;
  /** Transfers of leadership that an operator asked for, and that were done. */
  readonly transfers: number;
  readonly boots: number;
  /** Terms that had a leader. */
  readonly terms: number;
  readonly committed: number;
  /** Groups that there were, the catalog among them. */
  readonly groups: number;
  /** Snapshots that took the place of a state, and states that were found wrong. */
  readonly installs: number;
  readonly rebuilds: number;
  readonly frames: number;
  readonly turns: number;
  readonly events: number;
}

/** How a run ended. */
export interface RunResult {
  readonly seed: number;
  readonly options: SwarmOptions;
  /** Null: every oracle is content. */
  readonly violation: Violation | null;
  /** Over everything that happened: equal for equal seeds. */
  readonly hash: string;
  readonly statistics: RunStatistics;
  readonly lines: readonly TimelineLine[];
}

/** How long an answer to a probe may take once a majority is healed (in election timeouts). */
const LIVENESS_TIMEOUTS = 10;

/** How long the healed cluster may take to become equal everywhere. */
const CONVERGENCE_MS_MAX = 20_000;

/**
 * One run of one seed: a safety phase with faults, a liveness phase in which a random majority is
 * healed and must make progress, then everything is healed and must converge. Then the clients'
 * oracles judge what clients saw; the white-box ones have judged every turn.
 */
export function runSeed(settings: RunSettings): RunResult {
  const { seed, mutant = null, profile = {}, recording = false } = settings;
  const options = drawSwarm(new Prng(seed), profile);
  const cluster = new Cluster({ seed, options, mutant, recording });
  const run = new Run(cluster, seed);
  const violation = run.execute();
  return {
    seed,
    options,
    violation,
    hash: cluster.timeline.hash,
    statistics: run.statistics(),
    lines: cluster.timeline.lines,
  };
}

class Run {
  readonly #cluster: Cluster;
  readonly #faults: Faults;
  readonly #workload: Workload;
  readonly #churn: Churn;
  readonly #transactors: Transactors;
  readonly #prng: Prng;
  #lookAt = 0;
  /** By node and group: what its rows hashed to, and where its state stood then. */
  readonly #counted = new Map<string, { readonly at: string; readonly hash: string }>();

  constructor(cluster: Cluster, seed: number) {
    this.#cluster = cluster;
    this.#prng = streamOf(seed, "faults");
    this.#faults = new Faults(cluster, this.#prng.split(1));
    this.#workload = new Workload(cluster, streamOf(seed, "workload"));
    this.#churn = new Churn(cluster, streamOf(seed, "churn"));
    const transactions = streamOf(seed, "transactions");
    this.#transactors = new Transactors(cluster, this.#workload, transactions);
  }

  execute(): Violation | null {
    try {
      this.#safety();
      this.#liveness();
      const finals = this.#convergence();
      return this.#judge(finals);
    } catch (failure) {
      if (!(failure instanceof ViolationError)) throw failure;
      const { oracle, message } = failure.violation;
      this.#note("violation", `${oracle}: ${message}`);
      return failure.violation;
    }
  }

  statistics(): RunStatistics {
    const { nodes, scheduler, network, invariants } = this.#cluster;
    const sum = (of: (node: SimNode) => number) =>
      nodes.reduce((total, node) => total + of(node), 0);
    return {
      simulatedMs: scheduler.now / 1000,
      operations: this.#workload.history.operations.length,
      acknowledged: this.#workload.acknowledged,
      faults: this.#faults.injected,
      transfers: this.#faults.operator.done,
      boots: sum((node) => node.boots),
      terms: invariants.terms,
      committed: invariants.committed,
      groups: invariants.groups,
      installs: invariants.installs,
      rebuilds: invariants.rebuilds,
      frames: network.frames,
      turns: sum((node) => node.turns),
      events: scheduler.executed,
    };
  }

  get #timeoutMs(): number {
    return this.#cluster.settings.options.electionTimeoutMs;
  }

  #note(mark: string, detail = ""): void {
    this.#cluster.timeline.note(this.#cluster.now, "sim", mark, detail);
  }

  #safety(): void {
    this.#cluster.start();
    this.#workload.start();
    this.#churn.start();
    this.#transactors.start();
    this.#faults.start();
    this.#cluster.run(this.#cluster.settings.options.safetyMs);
    this.#faults.stop();
    this.#workload.stop();
    this.#churn.stop();
    this.#transactors.stop();
  }

  /** A majority that is up and connected makes progress, whatever state the faults left it in. */
  #liveness(): void {
    const { nodes } = this.#cluster;
    const healed = this.#drawMajority();
    const others = nodes.filter((node) => !healed.includes(node));
    this.#note("heal-majority", healed.map((node) => node.id).join(" "));
    this.#cluster.network.filter = () => true;
    for (const node of healed) {
      for (const other of others) {
        this.#cluster.setBlocked(node.id, other.id, true);
        this.#cluster.setBlocked(other.id, node.id, true);
      }
    }
    this.#heal(healed);
    const limitMs = LIVENESS_TIMEOUTS * this.#timeoutMs;
    for (const key of this.#workload.keys.filter((key) => key.startsWith("l0"))) {
      if (this.#probe(healed, key, limitMs)) continue;
      const text = `no write of ${key} was acknowledged within ${limitMs} ms of healing ${healed.map((node) => node.id).join(", ")}`;
      throw new ViolationError("liveness", text);
    }
  }

  /** Of nodes whose state is whole: to replace another's by theirs needs one of these. */
  #drawMajority(): SimNode[] {
    const { rotten } = this.#cluster.invariants.ofDefault;
    const left = this.#cluster.nodes.filter((node) => !rotten.has(node.id));
    const healed: SimNode[] = [];
    while (healed.length < Math.floor(this.#cluster.nodes.length / 2) + 1) {
      healed.push(...left.splice(this.#prng.below(left.length), 1));
    }
    return healed;
  }

  #heal(nodes: readonly SimNode[]): void {
    for (const node of nodes) {
      node.resume();
      if (!node.isUp) node.boot();
    }
    this.#cluster.calm(nodes.map((node) => node.id));
  }

  /** Sends writes to each of the nodes until one is acknowledged; says whether it was in time. */
  #probe(nodes: readonly SimNode[], key: string, limitMs: number): boolean {
    let acknowledged = false;
    const onAnswer = (answer: Answer) => {
      if (answer.outcome === "ok") acknowledged = true;
    };
    const connect = (node: SimNode) => defined(this.#workload.connect(node), "a healed node");
    const clients = nodes.map(connect);
    const until = this.#cluster.now + limitMs * 1000;
    const concern = { ...DEFAULT_CONCERN, timeoutMs: 2 * this.#timeoutMs };
    while (!acknowledged && this.#cluster.now < until) {
      nodes.forEach((node, i) => {
        // A keyspace that a node does not know ends the connection: it may be there the next time.
        if (!clients[i]!.isOpen) clients[i] = connect(node);
        const token = this.#workload.token();
        clients[i]!.call(key, { kind: "append", token }, concern, onAnswer);
      });
      this.#cluster.runUntil(this.#timeoutMs / 2, () => acknowledged);
    }
    return acknowledged;
  }

  /** Everything is healed: all replicas come to hold the same. Returns what they hold. */
  #convergence(): FinalValues {
    this.#note("heal-all");
    this.#heal(this.#cluster.nodes);
    const openCalls = () => {
      const { openCalls } = this.#faults.operator;
      return this.#workload.openCalls + openCalls + this.#transactors.openCalls;
    };
    const settled = () => openCalls() === 0 && this.#isConverged();
    if (!this.#cluster.runUntil(CONVERGENCE_MS_MAX, settled)) {
      throw new ViolationError(
        "convergence",
        `not within ${CONVERGENCE_MS_MAX} ms: ${this.#states()}`,
      );
    }
    // Answers that are still open belong to the probes; they must not come after the last reads.
    this.#cluster.run(2 * this.#timeoutMs + 1);
    // What is dead by then is removed by entries of its own.
    if (!this.#cluster.runUntil(CONVERGENCE_MS_MAX, () => this.#isConverged())) {
      throw new ViolationError("convergence", `no longer: ${this.#states()}`);
    }
    this.#checkSessions();
    this.#checkRows();
    return this.#readAll();
  }

  /** Every node has the same groups, and in each of them the same log, all of it applied. */
  #isConverged(): boolean {
    // To count all rows is dear, and not much happens in so short a time.
    if (this.#cluster.now < this.#lookAt) return false;
    const { nodes } = this.#cluster;
    const groups = nodes[0]?.keyspaces?.groups ?? [];
    const ids = groups.map(({ id }) => id).join();
    if (nodes.some(({ keyspaces }) => keyspaces?.groups.map(({ id }) => id).join() !== ids)) {
      return false;
    }
    const names = keyspaceNames(this.#cluster.settings.options.keyspaces);
    if (names.some((name) => nodes[0]?.keyspaces?.find({ name }) === undefined)) return false;
    return groups.every(({ id }) => this.#isGroupConverged(id)) && this.#isWhole();
  }

  #isGroupConverged(id: GroupId): boolean {
    const inside = (node: SimNode | null) => node?.keyspaces?.get(id)?.replica.inspect();
    const raft = inside(this.#cluster.leader(id))?.raft;
    if (raft === undefined || raft.commitIndex !== raft.log.lastIndex) return false;
    return this.#cluster.nodes.every((node) => {
      const replica = inside(node);
      return (
        replica !== undefined &&
        replica.raft.term === raft.term &&
        replica.raft.log.lastIndex === raft.log.lastIndex &&
        replica.applier.appliedIndex === raft.commitIndex &&
        replica.applier.damage === null
      );
    });
  }

  /** What was damaged was found and replaced: every row is what its hash is of (STO7). */
  #isWhole(): boolean {
    this.#lookAt = this.#cluster.now + 10_000;
    const [first] = this.#cluster.nodes;
    const hashIn = (node: SimNode | undefined, id: GroupId) =>
      node?.keyspaces?.get(id)?.replica.inspect().applier.stateRows.hash;
    return this.#cluster.nodes.every((node) => {
      return (node.keyspaces?.groups ?? []).every(({ id }) => {
        const hash = hashIn(node, id);
        return hash === hashIn(first, id) && this.#rowsHashOf(node, id) === hash;
      });
    });
  }

  /**
   * What the node's rows hash to, counted anew where they may have changed. With the faults over,
   * nothing changes rows but entries, another generation and a start from what the disk kept: to
   * wait for a replica that never finds its damage would else count the same rows all the time.
   */
  #rowsHashOf(node: SimNode, group: GroupId): string {
    const replica = defined(node.keyspaces?.get(group)?.replica, "a group of a healed node");
    const { applier } = replica.inspect();
    const key = `${node.id}/${group}`;
    const at = `${node.boots}/${applier.generation}/${applier.appliedIndex}`;
    const counted = this.#counted.get(key);
    if (counted?.at === at) return counted.hash;
    const hash = rowsHash(applier);
    this.#counted.set(key, { at, hash });
    return hash;
  }

  #states(): string {
    const states = this.#cluster.nodes.flatMap((node) => {
      if (node.keyspaces === null) return [`${node.id} down`];
      return node.keyspaces.groups.map(({ id, replica }) => {
        const { raft, applier } = replica.inspect();
        return `${node.id} group ${id} ${raft.role} term ${raft.term} last ${raft.log.lastIndex} commit ${raft.commitIndex} applied ${applier.appliedIndex} rows ${rowsHash(applier)} of ${applier.stateRows.hash}${applier.damage === null ? "" : " damaged"}`;
      });
    });
    return `${states.join("; ")}; ${this.#workload.openCalls} calls open`;
  }

  /** The session tables are replicated state, so they are equal too (LEAD8). */
  #checkSessions(): void {
    for (const { id } of this.#cluster.nodes[0]?.keyspaces?.groups ?? []) {
      this.#checkSessionsOf(id);
    }
  }

  #checkSessionsOf(group: GroupId): void {
    const tables = this.#cluster.nodes.map((node) => {
      const replica = defined(node.keyspaces?.get(group)?.replica, "a group of a healed node");
      const { applier } = replica.inspect();
      const writer = new ByteWriter();
      for (const session of applier.sessions.all()) applier.sessions.encode(session, writer);
      return writer.take();
    });
    const first = defined(tables[0], "a cluster has nodes");
    tables.forEach((table, i) => {
      if (equalBytes(table, first)) return;
      const text = `the session tables of group ${group} of ${this.#cluster.nodes[0]?.id} and ${this.#cluster.nodes[i]?.id} differ`;
      throw new ViolationError("convergence", text);
    });
  }

  /** Keys, fields, deadlines and graves: equal to the byte, whatever each node has been through. */
  #checkRows(): void {
    const [first, ...others] = this.#cluster.nodes;
    const expected = rowsOf(defined(first, "a cluster has nodes"));
    for (const node of others) {
      const rows = rowsOf(node);
      const key = firstDifference(expected, rows);
      if (key === null) continue;
      const text = `${JSON.stringify(key)} differs between ${first?.id} and ${node.id}`;
      throw new ViolationError("convergence", text);
    }
  }

  /** Reads every key on every node, locally and linearizably: all must agree. */
  #readAll(): FinalValues {
    const seen = this.#cluster.nodes.map((node) => this.#readFrom(node));
    const count = this.#workload.keys.length;
    const complete = () =>
      seen.every(({ local, strong }) => local.size === count && strong.size === count);
    const { keyspaces } = this.#cluster.settings.options;
    if (!this.#cluster.runUntil(keyspaces * LIVENESS_TIMEOUTS * this.#timeoutMs, complete)) {
      throw new ViolationError("liveness", "the healed cluster does not answer reads");
    }
    const finals = defined(seen[0], "a cluster has nodes").strong;
    for (const key of this.#workload.keys) {
      const value = finals.get(key) ?? null;
      this.#cluster.nodes.forEach((node, i) => {
        const { local, strong } = seen[i]!;
        if ((local.get(key) ?? null) === value && (strong.get(key) ?? null) === value) return;
        const text = `${key} is ${value}, and on ${node.id} ${local.get(key)} (local) or ${strong.get(key)}`;
        throw new ViolationError("convergence", text);
      });
    }
    return finals;
  }

  #readFrom(node: SimNode): {
    readonly local: Map<string, string | null>;
    readonly strong: Map<string, string | null>;
  } {
    const local = new Map<string, string | null>();
    const strong = new Map<string, string | null>();
    const client = defined(this.#workload.connect(node), "a healed node");
    // Slow nodes have many reads to answer here, and leaders may change hands: no read is hurried.
    const timeoutMs = LIVENESS_TIMEOUTS * this.#timeoutMs;
    for (const key of this.#workload.keys) {
      for (const r of ["local", "linearizable"] as const) {
        const into = r === "local" ? local : strong;
        const read = () => {
          const concern = { ...DEFAULT_CONCERN, r, timeoutMs };
          client.call(key, { kind: "get" }, concern, ({ outcome, result }) => {
            if (outcome === "ok") into.set(key, typeof result === "string" ? result : null);
            else if (client.isOpen) this.#cluster.scheduler.after(1000, read);
          });
        };
        read();
      }
    }
    return { local, strong };
  }

  #judge(finals: FinalValues): Violation | null {
    const { operations } = this.#workload.history;
    const { invariants } = this.#cluster;
    const isList = (key: string) => modelOf(key) === LIST;
    const found =
      checkCounters(operations, finals, (key) => modelOf(key) === COUNTER) ??
      checkLists(operations, finals, isList) ??
      checkRegisterReads(operations, (key) => modelOf(key) === REGISTER) ??
      checkProgramOrder(operations, isList) ??
      checkSessions(operations, growthOf, (index) =>
        invariants.committedTerm(groupId(0, 0), index),
      ) ??
      checkBounded(operations, growthOf) ??
      checkLinearizable(operations, modelOf);
    if (found !== null) this.#note("violation", `${found.oracle}: ${found.message}`);
    return found;
  }
}

/** The rows of a node's replica by their keys. */
function rowsOf(node: SimNode): ReadonlyMap<string, Uint8Array> {
  return new Map(defined(node.replica, "a healed node").inspect().applier.rows());
}

/** A key whose row only one of them has, or has otherwise; null where they are equal. */
function firstDifference(
  a: ReadonlyMap<string, Uint8Array>,
  b: ReadonlyMap<string, Uint8Array>,
): string | null {
  for (const [key, row] of a) {
    const other = b.get(key);
    if (other === undefined || !equalBytes(row, other)) return key;
  }
  for (const key of b.keys()) if (!a.has(key)) return key;
  return null;
}
