import { assert } from "../base/assert.ts";
import type { DiskCompletion, DiskError } from "../contract/disk.ts";
import type { Instant, LogPosition, NodeId, RequestId } from "../contract/ids.ts";
import { type Batch, type Effect, Outbox } from "../contract/outbox.ts";
import type { Input } from "../contract/protocol.ts";
import type { StateStore } from "../contract/state-store.ts";
import type { Checkpointer, CheckpointStatus } from "../log/checkpointer.ts";
import type { LogWriter } from "../log/log-writer.ts";
import type { Node } from "./node.ts";
import type { NodeMessage, NodeReply, NodeVocabulary } from "./vocabulary.ts";

/** Where a turn's effects go: sockets in the host, the network in the simulator. */
export interface LoopPorts {
  /** All that one turn says to one peer, in order. */
  send(to: NodeId, messages: readonly NodeMessage[]): void;
  reply(to: RequestId, reply: NodeReply): void;
}

/** A store or log that shares the node's Disk: it answers whether a completion was its own. */
export interface DiskClient {
  onDisk(completion: DiskCompletion): boolean;
  readonly failure: DiskError | null;
}

/** What the loop turns, and where its effects go. */
export interface LoopParts {
  readonly node: Node;
  readonly log: LogWriter;
  readonly store: StateStore & DiskClient;
  readonly files: DiskClient;
  readonly checkpointer: Checkpointer;
  readonly ports: LoopPorts;
}

/** A turn takes in at most this much before it settles: latency is bounded, batches stay large. */
const STEPS_MAX = 4096;

/** Inputs wait here when this much of the log is not yet on disk: back-pressure, not memory. */
const UNSYNCED_BYTES_MAX = 64 << 20;

type Waiting = Pick<Batch<NodeVocabulary>, "number" | "afterWrite">;

/**
 * The host's loop as deterministic code; the host and the simulator turn the same
 * one.
 *
 * A turn: step what has arrived → settle → immediate effects → this turn's records to the node's
 * one log → release the effects of every batch that is on disk, in order → tell the node what is
 * written.
 */
export class OrderingLoop {
  readonly #parts: LoopParts;
  readonly #outbox = new Outbox<NodeVocabulary>();
  #inbox: Input<NodeVocabulary>[] = [];
  #completions: DiskCompletion[] = [];
  #waiting: Waiting[] = [];
  #toldWritten = 0;
  #checkpoints = 0;
  #mustTell = false;
  #turns = 0;

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  get node(): Node {
    return this.#parts.node;
  }

  /** Turns made so far. */
  get turns(): number {
    return this.#turns;
  }

  /** Inputs not yet taken in. */
  get queued(): number {
    return this.#inbox.length;
  }

  /** Bytes of the log handed over and not yet known to be on disk. */
  get unsyncedBytes(): number {
    return this.#parts.log.queuedBytes;
  }

  get checkpoints(): CheckpointStatus {
    return this.#parts.checkpointer.status;
  }

  get syncedPosition(): LogPosition {
    return this.#parts.log.syncedPosition;
  }

  /** Set when a write or sync has failed: the node must stop, and nothing is tried again (STO8). */
  get failure(): DiskError | null {
    const { log, store, files } = this.#parts;
    return log.failure ?? store.failure ?? files.failure;
  }

  push(input: Input<NodeVocabulary>): void {
    this.#inbox.push(input);
  }

  onDisk(completion: DiskCompletion): void {
    this.#completions.push(completion);
  }

  /** Whether a turn now would do something. */
  get busy(): boolean {
    if (this.#mustTell || this.#completions.length > 0) return true;
    if (this.#parts.checkpointer.busy) return true;
    return this.#inbox.length > 0 && !this.#isFull;
  }

  /** When a `wake` is due though nothing happens. */
  deadline(): Instant | null {
    const node = this.#parts.node.deadline();
    const log = this.#parts.log.deadline();
    if (node === null) return log;
    return log === null ? node : Math.min(node, log);
  }

  turn(now: Instant, stepsMax: number = STEPS_MAX): void {
    if (this.failure !== null) return;
    this.#turns += 1;
    const { node, log, checkpointer } = this.#parts;
    this.#takeCompletions();
    if (this.failure !== null) return;
    this.#step(now, stepsMax);
    node.settle(now, this.#outbox);
    const { immediate, batch } = this.#outbox.take();
    this.#release(immediate);
    if (batch !== null) {
      log.append(batch.number, batch.records);
      this.#waiting.push(batch);
    }
    checkpointer.turn();
    if (checkpointer.completed > this.#checkpoints) {
      this.#checkpoints = checkpointer.completed;
      node.afterCheckpoint();
    }
    log.tick(now);
    log.flush();
    // A disk may complete at once what `flush` submits: no further turn is due for that, unless the
    // node has to hear of it.
    const written = log.written;
    this.#takeCompletions();
    this.#mustTell = log.written > written;
    // An empty batch may stand behind nothing that is still on its way.
    this.#releaseWritten();
  }

  #takeCompletions(): void {
    const completions = this.#completions;
    this.#completions = [];
    const { log, store, files } = this.#parts;
    for (const completion of completions) {
      const known = log.onDisk(completion) || store.onDisk(completion) || files.onDisk(completion);
      assert(known, "nobody submitted this disk operation", completion.op);
    }
    this.#releaseWritten();
  }

  /** `written` is an input like any other, but it comes first: commits depend on it. */
  #step(now: Instant, stepsMax: number): void {
    const { node, log } = this.#parts;
    if (log.written > this.#toldWritten) {
      this.#toldWritten = log.written;
      node.step({ kind: "written", batch: log.written }, now, this.#outbox);
    }
    const take = this.#isFull ? 0 : Math.min(stepsMax, this.#inbox.length);
    const inputs = take === this.#inbox.length ? this.#inbox : this.#inbox.slice(0, take);
    this.#inbox = take === this.#inbox.length ? [] : this.#inbox.slice(take);
    for (const input of inputs) node.step(input, now, this.#outbox);
  }

  get #isFull(): boolean {
    return this.#parts.log.queuedBytes > UNSYNCED_BYTES_MAX;
  }

  /** The promises of every batch that is on disk, in the order of the batches. */
  #releaseWritten(): void {
    const { written } = this.#parts.log;
    let done = 0;
    while (done < this.#waiting.length && this.#waiting[done]!.number <= written) {
      this.#release(this.#waiting[done]!.afterWrite);
      done += 1;
    }
    if (done > 0) this.#waiting.splice(0, done);
  }

  #release(effects: readonly Effect<NodeVocabulary>[]): void {
    if (effects.length === 0) return;
    const { ports } = this.#parts;
    const byPeer = new Map<NodeId, NodeMessage[]>();
    for (const effect of effects) {
      if (effect.kind === "reply") ports.reply(effect.to, effect.reply);
      else {
        const messages = byPeer.get(effect.to);
        if (messages === undefined) byPeer.set(effect.to, [effect.message]);
        else messages.push(effect.message);
      }
    }
    for (const [to, messages] of byPeer) ports.send(to, messages);
  }
}
