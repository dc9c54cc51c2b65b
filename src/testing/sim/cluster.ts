import { defined } from "../../core/base/assert.ts";
import type { MutantId } from "../../core/base/mutants.ts";
import { Prng } from "../../core/base/prng.ts";
import { type GroupId, groupId, type NodeId } from "../../core/contract/ids.ts";
import type { NodeMessage } from "../../core/node/vocabulary.ts";
import { GroupInvariants } from "./group-invariants.ts";
import { Network } from "./network.ts";
import { type Micros, Scheduler } from "./scheduler.ts";
import { CALM_DISK } from "./sim-disk.ts";
import { SimNode } from "./sim-node.ts";
import type { SwarmOptions } from "./swarm.ts";
import { Timeline } from "./timeline.ts";

/**
 * One stream of random numbers per concern, so that a draw added to one does not shift the others.
 */
const STREAMS = {
  node: 1,
  disk: 2,
  network: 3,
  hints: 4,
  faults: 5,
  workload: 6,
  churn: 7,
  starts: 8,
  transactions: 9,
} as const;

/** The generator of one concern: what one draws does not shift the others. */
export function streamOf(seed: number, concern: keyof typeof STREAMS, index = 0): Prng {
  return new Prng(seed, STREAMS[concern] * 100 + index);
}

/** What a simulated cluster is made from. */
export interface ClusterSettings {
  readonly seed: number;
  readonly options: SwarmOptions;
  readonly mutant: MutantId | null;
  /** Whether the timeline keeps lines to read. */
  readonly recording: boolean;
}

/** What listens to a cluster: targeted faults. */
export interface ClusterListener {
  /** A node's messages have left, in the middle of its turn. */
  onSent?(from: SimNode, to: SimNode, messages: readonly NodeMessage[]): void;
  /** A turn is over and every invariant holds. */
  onTurn?(node: SimNode): void;
  /** A node's process has ended. */
  onDown?(node: SimNode): void;
}

/** Nodes, the network between them, one clock over all, and the white-box oracles at every turn. */
export class Cluster {
  readonly settings: ClusterSettings;
  readonly scheduler = new Scheduler();
  readonly timeline: Timeline;
  readonly network: Network;
  readonly invariants: GroupInvariants;
  readonly nodes: readonly SimNode[];
  readonly listeners: ClusterListener[] = [];
  readonly #byId = new Map<NodeId, SimNode>();
  readonly #hints: Prng;
  /** While set, hints are prompt and true: nothing is wrong with the network. */
  #calm = false;

  constructor(settings: ClusterSettings) {
    const { seed, options, recording } = settings;
    this.settings = settings;
    this.timeline = new Timeline(recording);
    this.#hints = streamOf(seed, "hints");
    const ids = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}`);
    this.invariants = new GroupInvariants(ids);
    this.network = new Network(
      options.network,
      this.scheduler,
      streamOf(seed, "network"),
      this.timeline,
      (from, to, message) => this.#deliver(from, to, message),
    );
    this.network.onSent = (from, to, messages) => this.#onSent(from, to, messages);
    this.nodes = ids.map((id, i) => this.#makeNode(id, ids, i));
    for (const node of this.nodes) {
      this.#byId.set(node.id, node);
      node.disk.fullPermille = options.faults.fullPermille;
      node.disk.failPermille = options.faults.failPermille;
    }
  }

  #deliver(from: NodeId, to: NodeId, message: NodeMessage): void {
    const node = this.node(to);
    if (node.isUp) this.invariants.onDelivered(to, message);
    node.deliver(from, message);
  }

  #makeNode(id: NodeId, members: readonly NodeId[], index: number): SimNode {
    const { seed, options, mutant } = this.settings;
    return new SimNode({
      id,
      members,
      options,
      mutant,
      scheduler: this.scheduler,
      timeline: this.timeline,
      prng: streamOf(seed, "node", index),
      diskPrng: streamOf(seed, "disk", index),
      send: (from, to, messages) => this.network.send(from, to, messages),
      onTrace: (event) => this.invariants.onTrace(event),
      onBoot: (node) => {
        this.invariants.onBoot(node, this.now);
        this.#hintAround(node, true);
      },
      onTurn: (node) => {
        this.invariants.afterTurn(node, this.now);
        this.invariants.checkAges(node, this.now);
        for (const listener of this.listeners) listener.onTurn?.(node);
      },
      onDown: (node) => {
        this.invariants.onCrash(node.id);
        this.#hintAround(node, false);
        for (const listener of this.listeners) listener.onDown?.(node);
      },
    });
  }

  /** Starts every node for the first time. */
  start(): void {
    for (const node of this.nodes) node.boot();
  }

  get now(): Micros {
    return this.scheduler.now;
  }

  node(id: NodeId): SimNode {
    return defined(this.#byId.get(id), `no such node: ${id}`);
  }

  /**
   * Who leads the group in the highest term that anybody leads it in; null for nobody. Without a
   * group, the default keyspace's.
   */
  leader(group: GroupId = groupId(0, 0)): SimNode | null {
    let leader: SimNode | null = null;
    let term = -1;
    for (const node of this.nodes) {
      const raft = node.keyspaces?.get(group)?.replica.inspect().raft;
      if (raft === undefined || !raft.isLeader || raft.term <= term) continue;
      leader = node;
      term = raft.term;
    }
    return leader;
  }

  /** Runs for so many simulated milliseconds. */
  run(ms: number): void {
    this.scheduler.runUntil(this.now + Math.round(ms * 1000));
  }

  /** Runs until the condition holds, for at most so long; says whether it does. */
  runUntil(ms: number, done: () => boolean): boolean {
    return this.scheduler.runUntilDone(this.now + Math.round(ms * 1000), done);
  }

  /**
   * Cuts (or restores) one direction between two nodes, and tells the ends as the options have it.
   */
  setBlocked(from: NodeId, to: NodeId, blocked: boolean): void {
    if (this.network.isBlocked(from, to) === blocked) return;
    this.network.setBlocked(from, to, blocked);
    this.timeline.note(this.now, "net", blocked ? "cut" : "join", `${from}>${to}`);
    this.#hint(this.node(from), to);
    this.#hint(this.node(to), from);
  }

  /** Cuts every link between nodes of different groups; nodes in no group stay as they are. */
  partition(...groups: readonly (readonly NodeId[])[]): void {
    groups.forEach((group, g) => {
      groups.forEach((other, o) => {
        for (const from of group)
          for (const to of other) if (from !== to) this.setBlocked(from, to, g !== o);
      });
    });
  }

  /** Restores every link among these nodes. */
  join(nodes: readonly NodeId[]): void {
    this.partition(nodes);
  }

  /** From now on network and disks work as they should; links among `nodes` are restored. */
  calm(nodes: readonly NodeId[]): void {
    this.#calm = true;
    this.network.calm();
    for (const id of nodes) {
      this.node(id).disk.options = CALM_DISK;
      this.node(id).disk.fullPermille = 0;
      this.node(id).disk.failPermille = 0;
    }
    this.join(nodes);
    for (const node of nodes) {
      for (const peer of nodes) if (node !== peer) this.#hint(this.node(node), peer);
    }
  }

  #onSent(from: NodeId, to: NodeId, messages: readonly NodeMessage[]): void {
    for (const message of messages) this.invariants.onSent(from, to, message);
    for (const listener of this.listeners) {
      listener.onSent?.(this.node(from), this.node(to), messages);
    }
  }

  #hintAround(node: SimNode, up: boolean): void {
    for (const peer of this.nodes) {
      if (peer === node) continue;
      this.#hint(peer, node.id);
      if (up) this.#hint(node, peer.id);
    }
  }

  /** Tells a node later how its link to a peer stood now; perhaps too late, perhaps never. */
  #hint(node: SimNode, peer: NodeId): void {
    const up =
      this.node(peer).isUp &&
      !this.network.isBlocked(node.id, peer) &&
      !this.network.isBlocked(peer, node.id);
    const { hintsMissingPercent, hintsLateMsMax } = this.settings.options.faults;
    const lateMs = this.#calm ? 1 : hintsLateMsMax;
    const missing = this.#hints.chance(hintsMissingPercent, 100);
    const delay = 1 + this.#hints.below(1 + lateMs * 1000);
    if (missing && !this.#calm) return;
    const { boots } = node;
    this.scheduler.after(delay, () => {
      if (node.isUp && node.boots === boots) node.hint(peer, up);
    });
  }
}
