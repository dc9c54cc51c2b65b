import { defined } from "../../core/base/assert.ts";
import type { MutantId } from "../../core/base/mutants.ts";
import type { NodeId } from "../../core/contract/ids.ts";
import { type Action, History } from "../check/history.ts";
import { Cluster } from "./cluster.ts";
import { CALM_NETWORK } from "./network.ts";
import { CALM_DISK } from "./sim-disk.ts";
import type { SimNode } from "./sim-node.ts";
import type { SwarmOptions } from "./swarm.ts";
import { Talk } from "./talk.ts";
import { type Answer, Client, type Concern, DEFAULT_CONCERN } from "./workload.ts";

/** Nothing goes wrong by itself: what a test wants broken, it breaks. */
const CALM_OPTIONS: SwarmOptions = {
  nodes: 3,
  electionTimeoutMs: 100,
  heartbeatMs: 25,
  stepsMax: 64,
  turnMicrosMax: 20,
  network: CALM_NETWORK,
  disk: CALM_DISK,
  segmentBytes: 64 * 1024,
  checkpointLogBytes: 1 << 20,
  appendBytesMax: 1 << 20,
  inFlightBytesMax: 1 << 20,
  retainedBytes: 1 << 20,
  snapshotChunkBytes: 1 << 16,
  snapshotWindowBytes: 1 << 16,
  snapshotMemtableBytesMax: 1 << 20,
  snapshotIdleMsMax: 60_000,
  wipeRowsMax: 1000,
  stateHashMs: 1000,
  scrubMs: 60_000,
  scrubRowsMax: 100,
  applyEntriesMax: 8192,
  groupWaitMsMax: 0,
  instantBaseMsMax: 1_000_000,
  faults: {
    crashMs: 0,
    partitionMs: 0,
    pauseMs: 0,
    clockJumpMs: 0,
    transferMs: 0,
    rotMs: 0,
    fullPermille: 0,
    failPermille: 0,
    badStartPercent: 0,
    downMsMax: 1,
    partitionMsMax: 1,
    pauseMsMax: 1,
    driftPpmMax: 0,
    hintsMissingPercent: 0,
    hintsLateMsMax: 1,
    directors: [],
    directorPermille: 0,
  },
  workload: {
    clients: 1,
    thinkMs: 100,
    burstMax: 1,
    registers: 1,
    counters: 1,
    lists: 1,
    timeoutMs: 1000,
    readPercent: 50,
    localPercent: 0,
    sessionPercent: 0,
    boundedPercent: 0,
    boundMsMax: 1,
    concernPercent: 0,
    churnMs: 0,
    transactors: 0,
  },
  keyspaces: 1,
  safetyMs: 0,
};

/** What a scenario begins with; the defaults are three healthy nodes and seed 1. */
export interface ScenarioSettings {
  readonly seed?: number;
  readonly mutant?: MutantId | null;
  readonly options?: Partial<SwarmOptions>;
  /** Keep a timeline to read when the scenario fails. */
  readonly recording?: boolean;
}

/**
 * A cluster driven by hand, for tests that tell one story: whole nodes on simulated time, every
 * white-box oracle at every turn, and nothing wrong but what the test breaks.
 */
export class Scenario {
  readonly cluster: Cluster;
  readonly history = new History();
  #processes = 0;

  constructor(settings: ScenarioSettings = {}) {
    const { seed = 1, mutant = null, options = {}, recording = false } = settings;
    const all = { ...CALM_OPTIONS, ...options };
    this.cluster = new Cluster({ seed, options: all, mutant, recording });
    this.cluster.start();
  }

  node(id: NodeId): SimNode {
    return this.cluster.node(id);
  }

  run(ms: number): void {
    this.cluster.run(ms);
  }

  /** Runs until somebody leads a majority's highest term, or throws after so many milliseconds. */
  leader(withinMs = 2_000): SimNode {
    this.cluster.runUntil(withinMs, () => this.cluster.leader() !== null);
    return defined(this.cluster.leader(), `no leader within ${withinMs} ms`);
  }

  /** The nodes other than this one, in order. */
  others(node: SimNode): readonly SimNode[] {
    return this.cluster.nodes.filter((other) => other !== node);
  }

  /** Cuts every link between the groups; restores those within each. */
  partition(...groups: readonly (readonly SimNode[])[]): void {
    this.cluster.partition(...groups.map((group) => group.map((node) => node.id)));
  }

  /** Restores every link and every node. */
  heal(): void {
    for (const node of this.cluster.nodes) {
      node.resume();
      if (!node.isUp) node.boot();
    }
    this.cluster.join(this.cluster.nodes.map((node) => node.id));
  }

  /** Opens a connection to the node, which must be up. */
  connect(node: SimNode): Client {
    this.#processes += 1;
    const client = Client.connect(this.cluster, this.history, node, this.#processes);
    return defined(client, `${node.id} is down`);
  }

  /** Opens a connection for commands of any kind to the node, which must be up. */
  talk(node: SimNode): Talk {
    return new Talk(this.cluster, node);
  }

  /** Sends one command and runs until it is answered; what is not answered in time is `info`. */
  ask(
    client: Client,
    key: string,
    action: Action,
    concern: Partial<Concern> = {},
    withinMs = 5_000,
  ): Answer {
    let answer: Answer | null = null;
    client.call(key, action, { ...DEFAULT_CONCERN, ...concern }, (given) => {
      answer = given;
    });
    this.cluster.runUntil(withinMs, () => answer !== null);
    return answer ?? { outcome: "info", result: undefined };
  }

  /** Runs until every node has applied everything that the leader holds; says whether they have. */
  converge(withinMs = 5_000): boolean {
    return this.cluster.runUntil(withinMs, () => {
      const last = this.cluster.leader()?.replica?.inspect().raft.log.lastIndex;
      if (last === undefined) return false;
      return this.cluster.nodes.every(
        (node) => node.replica?.inspect().applier.appliedIndex === last,
      );
    });
  }
}
