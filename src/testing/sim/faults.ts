import type { Prng } from "../../core/base/prng.ts";
import type { NodeMessage } from "../../core/node/vocabulary.ts";
import { BadStarts } from "./bad-starts.ts";
import { BitRot } from "./bit-rot.ts";
import { type Cluster, type ClusterListener, streamOf } from "./cluster.ts";
import { Figure8 } from "./figure-8.ts";
import { Operator } from "./operator.ts";
import type { DiskOpKind } from "./sim-disk.ts";
import type { SimNode } from "./sim-node.ts";
import type { DirectorName, FaultOptions } from "./swarm.ts";

/**
 * Breaks things while the safety phase lasts: at random times by the classes that the seed drew,
 * and at the worst times by its directors. Restarts what it has crashed.
 */
export class Faults implements ClusterListener {
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  readonly #options: FaultOptions;
  readonly #directors: ReadonlySet<DirectorName>;
  #active = true;
  #injected = 0;
  #restUntil = 0;
  /** Partitions made so far: only the last one's end restores the links. */
  #partitions = 0;
  readonly #figure8: Figure8 | null;
  /** Not a fault, but as little announced. */
  readonly operator: Operator;
  readonly #rot: BitRot;
  readonly #badStarts: BadStarts;

  constructor(cluster: Cluster, prng: Prng) {
    this.#cluster = cluster;
    this.#prng = prng;
    this.#options = cluster.settings.options.faults;
    this.#directors = new Set(this.#options.directors);
    this.operator = new Operator(cluster, prng);
    const scripted = this.#directors.has("figure-8") && cluster.nodes.length === 5;
    this.#rot = new BitRot(cluster, prng.split(1));
    const starts = streamOf(cluster.settings.seed, "starts");
    this.#badStarts = new BadStarts(starts, this.#options.badStartPercent);
    this.#figure8 = scripted ? new Figure8(cluster, prng) : null;
  }

  /** Faults injected so far. */
  get injected(): number {
    const scripted = this.#figure8?.injected ?? 0;
    return this.#injected + scripted + this.#rot.injected + this.#badStarts.injected;
  }

  start(): void {
    this.#cluster.listeners.push(this);
    this.#rot.start();
    if (this.#figure8 !== null) {
      // It starts and ends its nodes itself.
      for (const { disk } of this.#cluster.nodes) disk.failPermille = 0;
      this.#figure8.start();
      return;
    }
    const { crashMs, partitionMs, pauseMs, clockJumpMs, transferMs } = this.#options;
    this.#repeat(crashMs, () => this.#crashSomebody());
    this.#repeat(partitionMs, () => this.#partition());
    this.#repeat(pauseMs, () => this.#pauseSomebody());
    this.#repeat(clockJumpMs, () => this.#jumpClock());
    this.#repeat(transferMs, () => this.operator.transfer());
    if (this.#directors.has("isolate-leader")) this.#repeat(800, () => this.#isolateLeader());
    if (this.#directors.has("around-disk-op")) this.#listenToDisks();
  }

  /** No more faults. What is down, paused or cut stays so. */
  stop(): void {
    this.#active = false;
    this.#figure8?.stop();
    this.#rot.stop();
    const at = this.#cluster.listeners.indexOf(this);
    if (at >= 0) this.#cluster.listeners.splice(at, 1);
    for (const { disk } of this.#cluster.nodes) {
      disk.onCarriedOut = () => {};
      disk.failPermille = 0;
    }
  }

  onSent(from: SimNode, to: SimNode, messages: readonly NodeMessage[]): void {
    if (!this.#active) return;
    const isInstalled = messages.some(
      ({ message }) => message.kind === "snapshotReply" && message.installed,
    );
    if (isInstalled && this.#directors.has("around-snapshot") && this.#prng.chance(1, 4)) {
      return this.#crash(from, "right after acknowledging a snapshot", this.#briefly());
    }
    const isSnapshot = messages.some(
      ({ message }) => message.kind === "installSnapshot" || message.kind === "snapshotReply",
    );
    if (isSnapshot && this.#takes("around-snapshot")) return this.#aroundSnapshot(from, to);
    const grants = messages.some(
      ({ message }) => message.kind === "vote" && message.granted && !message.preVote,
    );
    if (grants && this.#takes("voter-after-grant")) {
      return this.#crash(from, "right after granting its vote", this.#briefly());
    }
    const asks = messages.some(({ message }) => message.kind === "requestVote" && !message.preVote);
    if (asks && this.#takes("candidate-after-request")) {
      return this.#crash(from, "right after asking for votes", this.#briefly());
    }
    const appends = messages.some(
      ({ message }) => message.kind === "appendEntries" && message.entries.length > 0,
    );
    // `crashNow` silences the rest of the turn: no other peer gets what this one got.
    if (appends && this.#takes("leader-after-one-send")) {
      this.#crash(from, "after sending to one peer", this.#briefly());
    }
  }

  /** A snapshot is on its way: one of its ends dies, or their link, or the leader is cut off. */
  #aroundSnapshot(from: SimNode, to: SimNode): void {
    switch (this.#prng.below(4)) {
      case 0:
        return this.#crash(from, "an end of a snapshot", this.#briefly());
      case 1:
        return this.#crash(to, "the other end of a snapshot", this.#briefly());
      case 2:
        return this.#isolateLeader();
      default: {
        this.#injected += 1;
        this.#partitions += 1;
        const mine = this.#partitions;
        this.#cut([from], [to], true);
        this.#cluster.scheduler.after(1000 * this.#briefly(), () => {
          if (this.#active && mine === this.#partitions) this.#joinAll();
        });
      }
    }
  }

  onTurn(node: SimNode): void {
    if (!this.#active || !this.#directors.has("new-leader")) return;
    const raft = node.replica?.inspect().raft;
    const leadership = raft?.leadership;
    if (raft === undefined || leadership === null || leadership === undefined) return;
    // Not yet committed in its own term: what earlier terms left over is at stake.
    if (raft.commitIndex < leadership.firstIndex && this.#takes("new-leader")) {
      this.#crash(node, "before its first commit", this.#briefly());
    }
  }

  /** Not too often: a cluster that never gets anything done makes no mistakes either. */
  #takes(director: DirectorName): boolean {
    if (!this.#directors.has(director) || this.#cluster.now < this.#restUntil) return false;
    if (!this.#prng.chance(this.#options.directorPermille, 1000)) return false;
    const { electionTimeoutMs } = this.#cluster.settings.options;
    this.#restUntil = this.#cluster.now + 1000 * this.#prng.between(1, 12 * electionTimeoutMs);
    return true;
  }

  #briefly(): number {
    const { electionTimeoutMs } = this.#cluster.settings.options;
    return this.#prng.between(0, 2 * electionTimeoutMs);
  }

  /** Runs the fault again and again, after times drawn around the mean. */
  #repeat(meanMs: number, run: () => void): void {
    if (meanMs === 0) return;
    this.#cluster.scheduler.after(this.#prng.between(1, 2 * meanMs * 1000), () => {
      if (!this.#active) return;
      run();
      this.#repeat(meanMs, run);
    });
  }

  #crashSomebody(): void {
    const leader = this.#cluster.leader();
    const node =
      leader !== null && this.#prng.chance(1, 3) ? leader : this.#prng.pick(this.#cluster.nodes);
    this.#crash(node, "at random", this.#prng.between(0, this.#options.downMsMax));
    if (!this.#prng.chance(1, 8)) return;
    for (const other of this.#cluster.nodes) {
      this.#crash(other, "all at once", this.#prng.between(0, this.#options.downMsMax));
    }
  }

  #crash(node: SimNode, why: string, downMs: number): void {
    if (!node.isUp) return;
    this.#injected += 1;
    node.crashNow(why);
    // The crash is due at this instant; the restart comes after it, however short the time.
    this.#cluster.scheduler.after(1 + downMs * 1000, () => {
      this.#restart(node);
    });
  }

  #restart(node: SimNode): void {
    if (node.isUp) return;
    if (this.#active) this.#badStarts.maybeStart(node);
    if (!node.isUp) node.boot();
  }

  /** A process that its disk has ended is started again. */
  onDown(node: SimNode): void {
    if (!this.#active || !node.hasFailed) return;
    this.#injected += 1;
    this.#cluster.scheduler.after(1 + 1000 * this.#briefly(), () => this.#restart(node));
  }

  #pauseSomebody(): void {
    const leader = this.#cluster.leader();
    const node =
      leader !== null && this.#prng.chance(1, 2) ? leader : this.#prng.pick(this.#cluster.nodes);
    if (!node.isUp || node.isPaused) return;
    this.#injected += 1;
    node.pause();
    const { boots } = node;
    this.#cluster.scheduler.after(1000 * this.#prng.between(1, this.#options.pauseMsMax), () => {
      if (node.boots === boots) node.resume();
    });
  }

  #jumpClock(): void {
    this.#injected += 1;
    const node = this.#prng.pick(this.#cluster.nodes);
    node.wallOffsetMs = this.#prng.between(-100_000, 100_000);
  }

  /** A split in two, one node alone, one direction only, or a single link. */
  #partition(): void {
    this.#injected += 1;
    this.#partitions += 1;
    const mine = this.#partitions;
    const nodes = this.#shuffled();
    const cut = this.#prng.between(1, nodes.length - 1);
    const left = nodes.slice(0, cut);
    const right = nodes.slice(cut);
    const [first, second] = nodes as [SimNode, SimNode];
    switch (this.#prng.below(4)) {
      case 0:
        this.#cut(left, right, true);
        break;
      case 1:
        this.#cut([first], nodes.slice(1), true);
        break;
      case 2:
        this.#cut(left, right, false);
        break;
      default:
        this.#cut([first], [second], this.#prng.chance(1, 2));
    }
    const lasts = 1000 * this.#prng.between(1, this.#options.partitionMsMax);
    this.#cluster.scheduler.after(lasts, () => {
      if (this.#active && mine === this.#partitions) this.#joinAll();
    });
  }

  #isolateLeader(): void {
    const leader = this.#cluster.leader();
    if (leader === null) return;
    this.#injected += 1;
    this.#partitions += 1;
    const mine = this.#partitions;
    const others = this.#cluster.nodes.filter((node) => node !== leader);
    this.#cut([leader], others, this.#prng.chance(1, 2));
    // The others are told at once, so that they elect while the old leader still believes in
    // itself.
    const { electionTimeoutMs } = this.#cluster.settings.options;
    for (const node of others) if (node.isUp) node.hint(leader.id, false);
    this.#cluster.scheduler.after(1000 * this.#prng.between(1, 4 * electionTimeoutMs), () => {
      if (this.#active && mine === this.#partitions) this.#joinAll();
    });
  }

  #cut(left: readonly SimNode[], right: readonly SimNode[], bothWays: boolean): void {
    for (const a of left) {
      for (const b of right) {
        this.#cluster.setBlocked(a.id, b.id, true);
        if (bothWays) this.#cluster.setBlocked(b.id, a.id, true);
      }
    }
  }

  #joinAll(): void {
    this.#cluster.join(this.#cluster.nodes.map((node) => node.id));
  }

  #shuffled(): SimNode[] {
    const nodes = [...this.#cluster.nodes];
    for (let i = nodes.length - 1; i > 0; i -= 1) {
      const j = this.#prng.below(i + 1);
      [nodes[i], nodes[j]] = [nodes[j]!, nodes[i]!];
    }
    return nodes;
  }

  #listenToDisks(): void {
    for (const node of this.#cluster.nodes) {
      node.disk.onCarriedOut = (kind: DiskOpKind, after: boolean) => {
        // Syncs are many, renames are few: each kind gets its share of crashes.
        const rare = kind === "rename" || kind === "syncDirectory" || kind === "create";
        if (!this.#active || !this.#prng.chance(rare ? 30 : 2, 1000)) return;
        this.#crash(node, `${after ? "after" : "before"} a disk ${kind}`, this.#briefly());
      };
    }
  }
}
