import { defined } from "../../core/base/assert.ts";
import { encodeUtf8 } from "../../core/base/bytes.ts";
import type { Prng } from "../../core/base/prng.ts";
import type { ConnectionId, NodeId } from "../../core/contract/ids.ts";
import type { Cluster } from "./cluster.ts";
import { rowsHash } from "./invariants.ts";
import type { SimNode } from "./sim-node.ts";

/** Keys that only this class writes and no client reads: what is flipped is never an answer. */
const KEYS = 6;

/** How often one of them is written, and a node is looked at that may be well again, ms. */
const WRITE_MS = 150;
const LOOK_MS = 20;

/**
 * Flips bits in stored rows behind the software's back (STO7), in one node at a time, and the next
 * only when that one is well: what a majority has is right.
 */
export class BitRot {
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly #meanMs: number;
  readonly #connections = new Map<SimNode, { readonly boots: number; readonly id: ConnectionId }>();
  #active = true;
  #writes = 0;
  #injected = 0;
  #flipped: { readonly key: string; readonly row: Uint8Array } | null = null;

  constructor(cluster: Cluster, prng: Prng) {
    this.#cluster = cluster;
    this.#prng = prng;
    this.#meanMs = cluster.settings.options.faults.rotMs;
  }

  /** Bits flipped so far. */
  get injected(): number {
    return this.#injected;
  }

  start(): void {
    if (this.#meanMs === 0) return;
    this.#repeat(WRITE_MS, () => this.#write());
    this.#repeat(LOOK_MS, () => this.#look());
    this.#repeat(this.#meanMs, () => this.#flip());
  }

  /** No more flips and writes; whoever is ill is still looked at. */
  stop(): void {
    this.#active = false;
  }

  #repeat(meanMs: number, run: () => void): void {
    this.#cluster.scheduler.after(this.#prng.between(1, 2 * meanMs * 1000), () => {
      if (this.#active) run();
      else if (meanMs === LOOK_MS) this.#look();
      this.#repeat(meanMs, run);
    });
  }

  /** Blindly: the old value is not looked at. */
  #write(): void {
    const node = this.#prng.pick(this.#cluster.nodes);
    const id = this.#connectionTo(node);
    if (id === null) return;
    this.#writes += 1;
    const key = `rot${this.#prng.below(KEYS)}`;
    node.call(id, ["SET", key, `value ${this.#writes}`].map(encodeUtf8));
  }

  #connectionTo(node: SimNode): ConnectionId | null {
    const known = this.#connections.get(node);
    if (known !== undefined && known.boots === node.boots && node.isUp) return known.id;
    const id = node.connect({ onReply: () => {}, onClosed: () => this.#connections.delete(node) });
    if (id !== null) this.#connections.set(node, { boots: node.boots, id });
    return id;
  }

  #flip(): void {
    const { nodes, timeline, now } = this.#cluster;
    const { ofDefault: invariants } = this.#cluster.invariants;
    if (invariants.rotten.size > 0) return;
    const node = this.#prng.pick(nodes);
    const key = `rot${this.#prng.below(KEYS)}`;
    const row = node.storedRow(key);
    if (row === null || node.replica?.inspect().applier.damage !== null) return;
    this.#injected += 1;
    invariants.rotten.add(node.id);
    this.#flipped = { key, row };
    // The end of a row is the value's: what the software reads before it stays as it was.
    row[row.length - 1] = row[row.length - 1]! ^ (1 << this.#prng.below(8));
    timeline.note(now, node.id, "bit-flip");
  }

  /** Well is whose rows are what its own hash and all others' say. */
  #look(): void {
    const { ofDefault: invariants } = this.#cluster.invariants;
    for (const id of [...invariants.rotten]) if (this.#isWell(id)) invariants.rotten.delete(id);
  }

  #isWell(id: NodeId): boolean {
    const node = this.#cluster.node(id);
    const replica = node.replica?.inspect();
    if (replica === undefined || replica.applier.damage !== null) return false;
    const { applier, snapshots } = replica;
    // Until a checkpoint holds the state that took its place, a crash brings the damaged one back.
    if (!snapshots.receiver.isIdle) return false;
    // A layer above may hide it for a while.
    const { key, row } = defined(this.#flipped, "a bit that was flipped");
    if (node.storedRow(key) === row) return false;
    const { hash } = applier.stateRows;
    const expected = this.#cluster.invariants.ofDefault.stateHashAt(applier.appliedIndex);
    return rowsHash(applier) === hash && (expected ?? hash) === hash;
  }
}
