import { assert } from "../base/assert.ts";
import type { LogPosition } from "../contract/ids.ts";
import type { StateStore } from "../contract/state-store.ts";
import type { LogWriter } from "./log-writer.ts";
import type { Memtable } from "./memtable.ts";

/** Counts the checkpoints of a process's lifetime, from 1. */
export type CheckpointNumber = number;

/** What a `Checkpointer` works with, and when it starts. */
export interface CheckpointerOptions {
  readonly memtable: Memtable;
  readonly store: StateStore;
  readonly log: LogWriter;
  /**
   * Called right before the changes are set aside: the node puts the rows that describe its groups
   * into the memtable (applied index, term, vote, configuration, live log entries, sessions), as
   * they are after everything that the log holds up to its end.
   */
  readonly beforeFreeze: () => void;
  /** Bytes of log since the last checkpoint that start another. */
  readonly logBytesMax?: number;
  /** Bytes of changes in memory that start one. */
  readonly memtableBytesMax?: number;
  /** Rows a commit may handle in one turn: less than a millisecond (STO5). */
  readonly sliceRowsMax?: number;
}

/** Log volume between checkpoints unless told otherwise, in bytes. */
export const CHECKPOINT_LOG_BYTES_DEFAULT = 64 * 1024 * 1024;
/** Changes in memory that start a checkpoint unless told otherwise, in bytes. */
export const CHECKPOINT_MEMTABLE_BYTES_DEFAULT = 64 * 1024 * 1024;
/** Rows per turn unless told otherwise: a third of a millisecond, which every turn then takes. */
export const CHECKPOINT_SLICE_ROWS_DEFAULT = 100;

/** What a `Checkpointer` has done, and what has gathered since. */
export interface CheckpointStatus {
  /** Checkpoints of this process's lifetime that are durable. */
  readonly completed: CheckpointNumber;
  readonly isRunning: boolean;
  /** Bytes of log behind the last one begun: what a start would have to replay. */
  readonly logBytes: number;
  /** Bytes of changes in memory that none has taken over. */
  readonly memtableBytes: number;
}

/** The checkpoint under way, and how far the log reached when its rows were set aside. */
type Stage =
  | { readonly kind: "idle" }
  | { readonly kind: "waitingForLog"; readonly position: LogPosition }
  | { readonly kind: "committing"; readonly position: LogPosition };

/**
 * Decides when state is checkpointed, by log volume or memory and never by time, and sees it
 * through (STO5): freeze, wait until the log is durable up to the frozen position, commit in
 * slices, free the log below.
 *
 * The owner calls `turn` once per turn, *after* the turn's batch was appended to the log: the state
 * in memory then is what the log up to `position` leads to, no more and no less.
 */
export class Checkpointer {
  readonly #memtable: Memtable;
  readonly #store: StateStore;
  readonly #log: LogWriter;
  readonly #beforeFreeze: () => void;
  readonly #logBytesMax: number;
  readonly #memtableBytesMax: number;
  readonly #sliceRowsMax: number;
  #stage: Stage = { kind: "idle" };
  #begun: CheckpointNumber = 0;
  #requested: CheckpointNumber = 0;
  #completed: CheckpointNumber = 0;
  /** Where the last checkpoint begun replays from; the next is due a volume of log later. */
  #frozenPosition: LogPosition;
  #isWorking = false;

  constructor(options: CheckpointerOptions) {
    this.#memtable = options.memtable;
    this.#store = options.store;
    this.#log = options.log;
    this.#beforeFreeze = options.beforeFreeze;
    this.#logBytesMax = options.logBytesMax ?? CHECKPOINT_LOG_BYTES_DEFAULT;
    this.#memtableBytesMax = options.memtableBytesMax ?? CHECKPOINT_MEMTABLE_BYTES_DEFAULT;
    this.#sliceRowsMax = options.sliceRowsMax ?? CHECKPOINT_SLICE_ROWS_DEFAULT;
    this.#frozenPosition = options.store.position;
  }

  /**
   * Asks for a checkpoint of everything in the memtable now. Returns the number that `completed`
   * reaches when it is durable.
   */
  request(): CheckpointNumber {
    this.#requested = this.#begun + 1;
    return this.#requested;
  }

  /** The last checkpoint that is durable; 0 before the first of this process's lifetime. */
  get completed(): CheckpointNumber {
    return this.#completed;
  }

  /** Log position of the last durable checkpoint: replay would start there. */
  get lastPosition(): LogPosition {
    return this.#store.position;
  }

  /** How far the next one is, for an operator. */
  get status(): CheckpointStatus {
    return {
      completed: this.#completed,
      isRunning: this.isRunning,
      logBytes: this.#log.position - this.#frozenPosition,
      memtableBytes: this.#memtable.bytes,
    };
  }

  /** Whether a checkpoint is under way. */
  get isRunning(): boolean {
    return this.#stage.kind !== "idle";
  }

  /** Whether another turn right now would get on with it, rather than wait for the disk. */
  get busy(): boolean {
    return this.#isWorking || (this.#stage.kind === "idle" && this.#isDue());
  }

  /** Once per turn, after the turn's batch was appended. */
  turn(): void {
    this.#isWorking = false;
    if (this.#stage.kind === "idle" && this.#isDue()) this.#freeze();
    if (this.#stage.kind === "waitingForLog") this.#maybeBegin(this.#stage.position);
    if (this.#stage.kind === "committing") this.#work(this.#stage.position);
  }

  #isDue(): boolean {
    if (this.#requested > this.#begun) return true;
    const logBytes = this.#log.position - this.#frozenPosition;
    return logBytes >= this.#logBytesMax || this.#memtable.bytes >= this.#memtableBytesMax;
  }

  #freeze(): void {
    this.#beforeFreeze();
    this.#memtable.freeze();
    this.#begun += 1;
    this.#frozenPosition = this.#log.position;
    this.#stage = { kind: "waitingForLog", position: this.#frozenPosition };
  }

  /** A checkpoint that covered more than the synced log would survive what it rests on. */
  #maybeBegin(position: LogPosition): void {
    if (this.#log.syncedPosition < position) return;
    this.#store.begin(position, this.#memtable.frozenChanges());
    this.#stage = { kind: "committing", position };
  }

  #work(position: LogPosition): void {
    const progress = this.#store.work(this.#sliceRowsMax);
    assert(progress !== "idle", "the store lost its commit");
    this.#isWorking = progress === "working";
    if (progress !== "done") return;
    assert(this.#store.position === position, "the store finished another commit");
    this.#memtable.dropFrozen();
    this.#completed = this.#begun;
    this.#stage = { kind: "idle" };
    this.#log.freeBefore(position);
  }
}
