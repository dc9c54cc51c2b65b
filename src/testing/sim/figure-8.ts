import type { Prng } from "../../core/base/prng.ts";
import type { NodeId, Term } from "../../core/contract/ids.ts";
import type { NodeMessage } from "../../core/node/vocabulary.ts";
import { entryTerm } from "../../core/replication/single-leader/entry.ts";
import type { Cluster } from "./cluster.ts";
import type { SimNode } from "./sim-node.ts";

/**
 * Steers five nodes into Figure 8 of the Raft paper, again and again:
 *
 * (a) a leader replicates entries of its term to one follower only, and crashes with it cut off;
 * (b) another node is elected, writes its first entry and crashes before it reaches anybody; (c)
 * the first is elected again and replicates its old entries to a majority, and nothing of its new
 *     term: a leader that commits them by counting commits what (d) the second, elected once more,
 *     overwrites.
 *
 * A correct leader gets through it without committing in (c). Whatever does not come about in time
 * is given up, and the next round begins.
 */
export class Figure8 {
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  #active = false;
  #round = 0;
  #rounds = 0;

  constructor(cluster: Cluster, prng: Prng) {
    this.#cluster = cluster;
    this.#prng = prng;
  }

  /** Rounds begun. */
  get injected(): number {
    return this.#rounds;
  }

  start(): void {
    this.#active = true;
    this.#begin();
  }

  stop(): void {
    this.#active = false;
    this.#cluster.network.filter = () => true;
  }

  get #timeoutMs(): number {
    return this.#cluster.settings.options.electionTimeoutMs;
  }

  /** Polls for a condition; goes on with `then`, or begins anew when it takes too long. */
  #await(timeoutMs: number, condition: () => boolean, then: () => void): void {
    const round = this.#round;
    const until = this.#cluster.now + timeoutMs * 1000;
    const poll = () => {
      if (!this.#active || round !== this.#round) return;
      if (condition()) return then();
      if (this.#cluster.now >= until) return this.#begin();
      this.#cluster.scheduler.after(500, poll);
    };
    poll();
  }

  #after(ms: number, then: () => void): void {
    const round = this.#round;
    this.#cluster.scheduler.after(Math.round(ms * 1000), () => {
      if (this.#active && round === this.#round) then();
    });
  }

  #begin(): void {
    this.#round += 1;
    this.#rounds += 1;
    const { nodes, network } = this.#cluster;
    network.filter = () => true;
    for (const node of nodes) {
      if (!node.isUp) node.boot();
      node.resume();
    }
    this.#cluster.join(nodes.map((node) => node.id));
    this.#await(
      20 * this.#timeoutMs,
      () => this.#cluster.leader() !== null,
      () => this.#after(this.#prng.between(1, 3 * this.#timeoutMs), () => this.#partA()),
    );
  }

  #partA(): void {
    const first = this.#cluster.leader();
    if (first === null) return this.#begin();
    const others = this.#cluster.nodes.filter((node) => node !== first);
    const companion = this.#prng.pick(others);
    const rest = others.filter((node) => node !== companion);
    const pair = [first.id, companion.id];
    this.#cluster.partition(
      pair,
      rest.map((node) => node.id),
    );
    const before = lastOf(first).index;
    this.#await(
      this.#timeoutMs,
      () =>
        lastOf(first).index > before && durableOf(companion) > before && durableOf(first) > before,
      () => {
        first.crash("figure 8 (a)");
        companion.crash("figure 8 (a)");
        this.#partB(first, companion, rest);
      },
    );
  }

  #partB(first: SimNode, companion: SimNode, rest: readonly SimNode[]): void {
    const ids = new Set(rest.map((node) => node.id));
    // A leader elected now keeps its entries to itself.
    this.#cluster.network.filter = (from, _to, { message }) =>
      !(ids.has(from) && message.kind === "appendEntries");
    const elected = () => rest.find((node) => node.isLeader && hasOwnEntryDurable(node));
    this.#await(
      15 * this.#timeoutMs,
      () => elected() !== undefined,
      () => {
        const second = elected()!;
        const term = second.replica!.inspect().raft.term;
        for (const node of rest) node.crash("figure 8 (b)");
        this.#partC(
          first,
          companion,
          second,
          rest.filter((node) => node !== second),
          term,
        );
      },
    );
  }

  #partC(
    first: SimNode,
    companion: SimNode,
    second: SimNode,
    bystanders: readonly SimNode[],
    term: Term,
  ): void {
    const up = [first, companion, ...bystanders];
    this.#cluster.network.filter = (from, _to, message) =>
      mayCampaign(new Set([first.id]), from, message) && !carriesTermAbove(message, term);
    for (const node of up) node.boot();
    this.#cluster.join(up.map((node) => node.id));
    const old = lastOf(first);
    const holders = () => up.filter((node) => termAt(node, old.index) === old.term).length;
    this.#await(
      20 * this.#timeoutMs,
      () => first.isLeader && holders() >= 3,
      // Time for the acknowledgements to be counted.
      () =>
        this.#after(this.#timeoutMs / 2, () => this.#partD(first, second, companion, bystanders)),
    );
  }

  #partD(
    first: SimNode,
    second: SimNode,
    companion: SimNode,
    bystanders: readonly SimNode[],
  ): void {
    first.crash("figure 8 (d)");
    this.#cluster.network.filter = (from, _to, message) =>
      mayCampaign(new Set([second.id]), from, message);
    second.boot();
    this.#cluster.join([second, companion, ...bystanders].map((node) => node.id));
    this.#await(
      20 * this.#timeoutMs,
      () => second.isLeader,
      () => this.#after(this.#timeoutMs, () => this.#begin()),
    );
  }
}

/** Whether the message is no bid for votes by anybody but these. */
function mayCampaign(
  candidates: ReadonlySet<NodeId>,
  from: NodeId,
  { message }: NodeMessage,
): boolean {
  return message.kind !== "requestVote" || candidates.has(from);
}

function carriesTermAbove({ message }: NodeMessage, term: Term): boolean {
  return (
    message.kind === "appendEntries" && message.entries.some((entry) => entryTerm(entry) > term)
  );
}

function lastOf(node: SimNode): { readonly index: number; readonly term: Term } {
  const log = node.replica?.inspect().raft.log;
  return { index: log?.lastIndex ?? 0, term: log?.lastTerm ?? 0 };
}

function durableOf(node: SimNode): number {
  return node.replica?.inspect().raft.log.durableIndex ?? 0;
}

function termAt(node: SimNode, index: number): Term | null {
  const log = node.replica?.inspect().raft.log;
  return log === undefined || index > log.lastIndex ? null : log.termAt(index);
}

function hasOwnEntryDurable(node: SimNode): boolean {
  const raft = node.replica?.inspect().raft;
  const leadership = raft?.leadership;
  if (raft === undefined || leadership === null || leadership === undefined) return false;
  return raft.log.durableIndex >= leadership.firstIndex;
}
