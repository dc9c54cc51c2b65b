import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Registry } from "prom-client";
import type { GroupStatus } from "../core/contract/group.ts";
import type { NodeId } from "../core/contract/ids.ts";
import type { CheckpointStatus } from "../core/log/checkpointer.ts";
import type { NodeStatus } from "../core/node/vocabulary.ts";
import { HotHistogram } from "./hot-histogram.ts";

/** Values read when somebody asks, instead of being kept up to date on the hot path. */
export interface MetricSources {
  readonly connections: () => number;
  readonly queuedInputs: () => number;
  readonly unsyncedBytes: () => number;
  readonly checkpoints: () => CheckpointStatus;
  readonly stateBytes: () => number;
  readonly peerQueues: () => readonly { readonly peer: NodeId; readonly bytes: number }[];
  readonly status: () => Promise<NodeStatus>;
}

type GroupGauge = Gauge<"keyspace">;

const MS_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500];
const COUNT_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
const BYTE_BUCKETS = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];

/** The event loop's delay is sampled this often, ms. */
const DELAY_RESOLUTION_MS = 10;

/**
 * The node's metrics in the Prometheus format. A registry of its own: two nodes in one process do
 * not collide. What happens per command is counted in plain numbers and handed over when scraped;
 * keys and values never become labels.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #loopDelay: IntervalHistogram;
  readonly #histograms: HotHistogram[] = [];
  readonly #turnMs: HotHistogram;
  readonly #turnInputs: HotHistogram;
  readonly #lateMs: HotHistogram;
  readonly #syncMs: HotHistogram;
  readonly #writeBytes: HotHistogram;
  #refresh: () => Promise<void> = async () => {};
  readonly #totals = new Map<string, { value: number; readonly metric: Counter }>();

  constructor() {
    this.#turnMs = this.#histogram("turn_ms", "Duration of a turn of the node's loop", MS_BUCKETS);
    this.#turnInputs = this.#histogram("turn_inputs", "Inputs taken in by a turn", COUNT_BUCKETS);
    this.#lateMs = this.#histogram("turn_late_ms", "How late turns began", MS_BUCKETS);
    this.#syncMs = this.#histogram("disk_sync_ms", "Duration of a sync of a file", MS_BUCKETS);
    this.#writeBytes = this.#histogram("disk_write_bytes", "Bytes of a write", BYTE_BUCKETS);
    this.#loopDelay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
    this.#loopDelay.enable();
    this.#total("commands_total", "Commands received from clients");
    this.#total("replies_total", "Replies to clients");
    this.#total("connections_total", "Client connections accepted");
    this.#total("connections_refused_total", "Client connections refused at the limit");
    this.#total("auth_failures_total", "Wrong passwords given by clients");
    this.#total("states_damaged_total", "Times this node found the state of a group wrong (STO7)");
    this.#total("state_differences_total", "Comparisons in which two replicas' states differed");
    this.#total("snapshot_files_failed_total", "Snapshots that could not be put into a file");
    this.#total("slow_clients_total", "Clients disconnected because they did not read");
    this.#total("resp_bytes_in_total", "Bytes received from clients");
    this.#total("resp_bytes_out_total", "Bytes sent to clients");
    this.#total("peer_frames_in_total", "Frames received from other nodes");
    this.#total("peer_frames_out_total", "Frames sent to other nodes");
    this.#total("peer_frames_dropped_total", "Frames not sent because a peer's queue was full");
    this.#total("peer_bytes_in_total", "Bytes received from other nodes");
    this.#total("peer_bytes_out_total", "Bytes sent to other nodes");
    this.#total("peer_connections_refused_total", "Connections refused in the peers' handshake");
    this.#total(
      "peer_protocol_errors_total",
      "Peer connections closed for bytes that are no frame",
    );
  }

  onTurn(inputs: number, durationMs: number): void {
    this.#turnMs.observe(durationMs);
    this.#turnInputs.observe(inputs);
  }

  onLate(lateMs: number): void {
    this.#lateMs.observe(lateMs);
  }

  onSync(durationMs: number): void {
    this.#syncMs.observe(durationMs);
  }

  onWrite(bytes: number): void {
    this.#writeBytes.observe(bytes);
  }

  /** Adds to one of the totals, by its name without the prefix. */
  count(name: string, by = 1): void {
    const total = this.#totals.get(name);
    if (total === undefined) throw new TypeError(`no such metric: ${name}`);
    total.value += by;
  }

  /** The value of one of the totals, for tests and `INFO`. */
  total(name: string): number {
    return this.#totals.get(name)?.value ?? 0;
  }

  /** Registers what is read on demand; once, when the node's parts exist. */
  observe(sources: MetricSources): void {
    this.#gauge("connections", "Open client connections", sources.connections);
    this.#gauge("inputs_queued", "Inputs that no turn has taken in yet", sources.queuedInputs);
    this.#gauge("log_unsynced_bytes", "Bytes of the log not yet on disk", sources.unsyncedBytes);
    this.#observeStorage(sources);
    this.#gauge("resident_bytes", "Resident memory", () => process.memoryUsage.rss());
    this.#gauge("uptime_seconds", "Seconds since the process started", () => process.uptime());
    for (const [suffix, percentile] of [
      ["p50", 50],
      ["p99", 99],
      ["max", 100],
    ] as const) {
      const name = `event_loop_delay_${suffix}_ms`;
      this.#gauge(name, "Delay of the event loop since the last scrape", () => {
        return percentile === 100
          ? this.#loopDelay.max / 1e6
          : this.#loopDelay.percentile(percentile) / 1e6;
      });
    }
    const queue = new Gauge({
      name: "trefoil_peer_queue_bytes",
      help: "Bytes waiting to be sent to another node",
      labelNames: ["peer"],
      registers: [this.#registry],
      collect: () => {
        for (const { peer, bytes } of sources.peerQueues()) queue.set({ peer }, bytes);
      },
    });
    this.#observeGroups(sources.status);
  }

  #observeStorage({ checkpoints, stateBytes }: MetricSources): void {
    const completed = () => checkpoints().completed;
    this.#gauge("checkpoints_completed", "Checkpoints since the process started", completed);
    const isRunning = () => (checkpoints().isRunning ? 1 : 0);
    this.#gauge("checkpoint_running", "1 while a checkpoint is under way", isRunning);
    const logBytes = () => checkpoints().logBytes;
    this.#gauge("checkpoint_log_bytes", "Bytes of log behind the last checkpoint", logBytes);
    const memtableBytes = () => checkpoints().memtableBytes;
    this.#gauge("memtable_bytes", "Bytes of changes that no checkpoint holds yet", memtableBytes);
    this.#gauge("state_file_bytes", "Size of the file that the state lies in", stateBytes);
  }

  #observeGroups(status: () => Promise<NodeStatus>): void {
    const gauge = (name: string, help: string): GroupGauge => {
      const labels = { labelNames: ["keyspace"] as const, registers: [this.#registry] };
      return new Gauge({ name: `trefoil_group_${name}`, help, ...labels });
    };
    const term = gauge("term", "Raft term");
    const commit = gauge("commit_index", "Highest index known to be committed");
    const applied = gauge("applied_index", "Highest index applied here");
    const lag = gauge("lag_entries", "Entries committed and not applied here");
    const lagMs = gauge("lag_ms", "Bound of this replica's staleness; -1 while unknown");
    const keys = gauge("keys", "Keys held");
    const damaged = gauge("is_damaged", "1 while this replica's state is being replaced (STO7)");
    const leads = gauge("is_leader", "1 on the leader");
    const followers = this.#followerGauges();
    this.#refresh = async () => {
      const { keyspaces, catalog } = await status();
      followers.reset();
      // A dropped keyspace must not be shown as it was last.
      for (const each of [term, commit, applied, lag, lagMs, keys, leads]) each.reset();
      // No keyspace can have this name.
      for (const group of [...keyspaces, { ...catalog, name: "(catalog)" }]) {
        const labels = { keyspace: group.name };
        term.set(labels, group.term);
        commit.set(labels, group.commitIndex);
        applied.set(labels, group.appliedIndex);
        lag.set(labels, group.lagEntries);
        lagMs.set(labels, group.lagMs ?? -1);
        keys.set(labels, group.keys);
        damaged.set(labels, group.damaged === null ? 0 : 1);
        leads.set(labels, group.role === "leader" ? 1 : 0);
        followers.set(group);
      }
    };
  }

  /** What a leader knows of its followers; a node that leads no more shows none. */
  #followerGauges(): { reset(): void; set(group: GroupStatus & { readonly name: string }): void } {
    const gauge = (name: string, help: string) => {
      const labels = { labelNames: ["keyspace", "peer"] as const, registers: [this.#registry] };
      return new Gauge({ name: `trefoil_group_follower_${name}`, help, ...labels });
    };
    const entries = gauge("lag_entries", "On the leader: entries committed and not applied there");
    const ms = gauge("lag_ms", "On the leader: bound of the age of its state; -1 while unknown");
    return {
      reset() {
        entries.reset();
        ms.reset();
      },
      set({ name: keyspace, peers }) {
        for (const { node: peer, lagEntries, lagMs } of peers) {
          entries.set({ keyspace, peer }, lagEntries);
          ms.set({ keyspace, peer }, lagMs ?? -1);
        }
      },
    };
  }

  /** Everything as text, and its content type. */
  async scrape(): Promise<{ readonly type: string; readonly text: string }> {
    for (const total of this.#totals.values()) {
      total.metric.reset();
      total.metric.inc(total.value);
    }
    await this.#refresh();
    const histograms = this.#histograms.map((histogram) => histogram.expose()).join("\n");
    const text = `${await this.#registry.metrics()}\n${histograms}`;
    this.#loopDelay.reset();
    return { type: this.#registry.contentType, text };
  }

  close(): void {
    this.#loopDelay.disable();
    this.#registry.clear();
  }

  #histogram(name: string, help: string, bounds: readonly number[]): HotHistogram {
    const histogram = new HotHistogram(`trefoil_${name}`, help, bounds);
    this.#histograms.push(histogram);
    return histogram;
  }

  #total(name: string, help: string): void {
    const metric = new Counter({ name: `trefoil_${name}`, help, registers: [this.#registry] });
    this.#totals.set(name, { value: 0, metric });
  }

  #gauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name: `trefoil_${name}`,
      help,
      registers: [this.#registry],
      collect: () => gauge.set(read()),
    });
  }
}
