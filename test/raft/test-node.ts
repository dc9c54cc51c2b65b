import { concatBytes, encodeUtf8 } from "../../src/core/base/bytes.ts";
import { crc32 } from "../../src/core/base/hash.ts";
import type { MutantId } from "../../src/core/base/mutants.ts";
import { Prng } from "../../src/core/base/prng.ts";
import type { GroupCall, GroupReply } from "../../src/core/contract/group.ts";
import { groupId, type Instant, type NodeId } from "../../src/core/contract/ids.ts";
import { type Batch, type Effect, Outbox } from "../../src/core/contract/outbox.ts";
import type { Input } from "../../src/core/contract/protocol.ts";
import type { LogRecord } from "../../src/core/contract/record.ts";
import type { TraceEvent } from "../../src/core/contract/trace.ts";
import { MemoryStore } from "../../src/core/log/memory-store.ts";
import { Memtable } from "../../src/core/log/memtable.ts";
import { SnapshotFiles } from "../../src/core/log/snapshot-file.ts";
import {
  RAFT_LIMITS,
  type RaftLimits,
  type RaftOptions,
  type SingleLeaderVocabulary,
} from "../../src/core/replication/single-leader/raft.ts";
import { Replica } from "../../src/core/replication/single-leader/replica.ts";
import { MemoryDisk } from "../../src/testing/sim/memory-disk.ts";
import { toyMachine } from "./toy-machine.ts";

type V = SingleLeaderVocabulary;

export const GROUP = groupId(0, 0);
export const TIMING = { heartbeatMs: 100, electionTimeoutMs: 1000 };

/** Entries go at once: a story is easier to tell if they are not gathered into larger frames. */
export const PIPELINED = { groupWaitMsMax: 0 };

export interface NodePorts {
  send(from: NodeId, to: NodeId, message: V["message"]): void;
  reply(node: NodeId, ticket: number, reply: GroupReply): void;
  trace(event: TraceEvent): void;
}

export interface NodeSettings {
  readonly name: NodeId;
  readonly voters: readonly NodeId[];
  readonly limits?: Partial<RaftLimits>;
  readonly mutant?: MutantId | null;
}

/**
 * One replica with a disk that keeps what is unsynced apart, a state store and a clock of its own.
 * The test says when the disk syncs, when time passes and when the process dies.
 */
export class TestNode {
  readonly name: NodeId;
  readonly store: MemoryStore = new MemoryStore();
  /** Holds the files of snapshots, and nothing else. */
  readonly fileDisk = new MemoryDisk();
  #files: SnapshotFiles = this.#newFiles();
  readonly #settings: NodeSettings;
  readonly #ports: NodePorts;
  /** Records on disk since the last checkpoint, in order. */
  #disk: LogRecord[] = [];
  #pending: Batch<V>[] = [];
  #outbox = new Outbox<V>();
  #memtable: Memtable;
  #replica: Replica | null = null;
  #checkpointWanted = false;
  #written = 0;
  #toldWritten = 0;
  #boots = 0;
  /** Its own monotonic clock; tests may set it forward. */
  now: Instant = 0;

  constructor(settings: NodeSettings, ports: NodePorts) {
    this.name = settings.name;
    this.#settings = settings;
    this.#ports = ports;
    this.#memtable = new Memtable(this.store);
    this.start();
  }

  /** How often the process was started. */
  get boots(): number {
    return this.#boots;
  }

  get isUp(): boolean {
    return this.#replica !== null;
  }

  get replica(): Replica {
    if (this.#replica === null) throw new Error(`${this.name} is down`);
    return this.#replica;
  }

  /** Batches that are not on disk. */
  get unsynced(): number {
    return this.#pending.length;
  }

  /** Starts the process on what the disk and the store hold. */
  start(): void {
    this.#boots += 1;
    this.store.crash();
    this.#pending = [];
    this.#outbox = new Outbox<V>();
    this.#memtable = new Memtable(this.store);
    this.#checkpointWanted = false;
    this.#written = 0;
    this.#toldWritten = 0;
    const { name, voters, limits, mutant } = this.#settings;
    const options: RaftOptions = {
      group: GROUP,
      node: name,
      voters,
      timing: TIMING,
      limits: { ...RAFT_LIMITS, ...PIPELINED, ...limits },
      prng: new Prng(voters.indexOf(name) + 10 * this.#boots),
      trace: (event) => this.#ports.trace(event),
      traced: true,
      mutant: mutant ?? null,
    };
    const requestCheckpoint = () => {
      this.#checkpointWanted = true;
    };
    const boot = `${name}#${this.#boots}`;
    this.#files = this.#newFiles();
    const files = this.#files;
    const parts = { memtable: this.#memtable, store: this.store, files, machine: toyMachine };
    const replica = new Replica(options, { ...parts, requestCheckpoint, boot }, this.now);
    for (const { group, type, parts: bytes } of this.#disk) {
      replica.replay({ group, type, body: concatBytes(bytes) });
    }
    replica.restored(this.now);
    this.#replica = replica;
  }

  #newFiles(): SnapshotFiles {
    let op = 0;
    const nextOp = () => {
      op += 1;
      return op;
    };
    this.fileDisk.crash({ kind: "lose" });
    return new SnapshotFiles({ disk: this.fileDisk, checksum: crc32, nextOp });
  }

  /** The process dies: what is not synced is lost. */
  crash(): void {
    this.#replica = null;
    this.#pending = [];
  }

  /** One turn: the inputs, a settle, and what follows at once. */
  turn(...inputs: Input<V>[]): void {
    const { replica } = this;
    for (const input of inputs) replica.step(input, this.now, this.#outbox);
    replica.settle(this.now, this.#outbox);
    const { immediate, batch } = this.#outbox.take();
    if (batch !== null) this.#pending.push(batch);
    this.#release(immediate);
    this.#releaseEmpty();
    // The files of snapshots are written at once: nothing is promised on the strength of them.
    for (const completion of this.fileDisk.drain()) this.#files.onDisk(completion);
  }

  call(ticket: number, command: GroupCall): void {
    this.turn({ kind: "request", id: ticket, command });
  }

  /** Wakes the replica for as long as its deadline is over; each wake must get it on. */
  wake(): void {
    for (let turns = 0; this.isDue; turns += 1) {
      if (turns > 100) throw new Error(`${this.name} wants to be woken for ever`);
      this.turn({ kind: "wake" });
    }
  }

  get isDue(): boolean {
    const deadline = this.#replica?.deadline() ?? null;
    return deadline !== null && deadline <= this.now;
  }

  /** Everything handed to the disk is on it. False when there was nothing. */
  sync(): boolean {
    if (this.#replica === null) return false;
    const done = this.#pending;
    this.#pending = [];
    for (const batch of done) this.#disk.push(...batch.records);
    for (const batch of done) this.#releaseBatch(batch);
    if (this.#written === this.#toldWritten) return false;
    this.#toldWritten = this.#written;
    this.turn({ kind: "written", batch: this.#written });
    return true;
  }

  #releaseBatch({ number, afterWrite }: Batch<V>): void {
    this.#written = number;
    this.#release(afterWrite);
  }

  /** A checkpoint is wanted and the log is synced, so that it can be taken. */
  get isCheckpointDue(): boolean {
    return this.#checkpointWanted && this.#pending.length === 0;
  }

  /** Takes a whole checkpoint: state to the store, the log below it freed. */
  checkpoint(): void {
    if (this.#pending.length > 0) throw new Error("sync before a checkpoint");
    this.#checkpointWanted = false;
    this.replica.beforeFreeze();
    this.#memtable.freeze();
    this.store.begin(this.store.position + this.#disk.length, this.#memtable.frozenChanges());
    if (this.store.work(Number.POSITIVE_INFINITY) !== "done")
      throw new Error("a commit in memory ends at once");
    this.#memtable.dropFrozen();
    this.#disk = [];
    this.replica.afterCheckpoint();
    this.turn();
  }

  #release(effects: readonly Effect<V>[]): void {
    for (const effect of effects) {
      if (effect.kind === "send") this.#ports.send(this.name, effect.to, effect.message);
      else this.#ports.reply(this.name, effect.to, effect.reply);
    }
  }

  /** A promise without a write of its own waits for earlier writes only. */
  #releaseEmpty(): void {
    while (this.#pending[0]?.records.length === 0) this.#releaseBatch(this.#pending.shift()!);
  }
}

export function payload(text: string): Uint8Array {
  return encodeUtf8(text);
}
