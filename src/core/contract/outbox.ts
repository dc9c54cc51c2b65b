import { assert } from "../base/assert.ts";
import type { BatchNumber, NodeId, RequestId } from "./ids.ts";
import type { Vocabulary } from "./protocol.ts";

/** Something that leaves the node: a message to a peer, or an answer to a local caller. */
export type Effect<V extends Vocabulary> =
  | { readonly kind: "send"; readonly to: NodeId; readonly message: V["message"] }
  | { readonly kind: "reply"; readonly to: RequestId; readonly reply: V["reply"] };

/** What one turn writes, and the promises that rest on it and on everything written before. */
export interface Batch<V extends Vocabulary> {
  readonly number: BatchNumber;
  /** May be empty: a promise without a write of its own still queues behind earlier writes. */
  readonly records: readonly V["record"][];
  /** Released, in this order, once this batch and all before it are on disk. */
  readonly afterWrite: readonly Effect<V>[];
}

/** The side of the Outbox that a protocol sees. */
export interface Emitter<V extends Vocabulary> {
  /**
   * The batch that a `write` of this turn will be part of; `written` says it when it is on disk.
   */
  readonly batch: BatchNumber;
  send(to: NodeId, message: V["message"]): void;
  reply(to: RequestId, reply: V["reply"]): void;
  write(record: V["record"]): void;
  sendAfterWrite(to: NodeId, message: V["message"]): void;
  replyAfterWrite(to: RequestId, reply: V["reply"]): void;
}

/**
 * Collects what a turn wants done, and says in what order it may be done.
 *
 * There is one rule. Plain effects may leave at once. Effects marked `AfterWrite` leave when the
 * records of this turn and of every earlier turn are on disk, because they are promises made on the
 * strength of those records: a vote, an acknowledgement, an answer to a client. Batches are written
 * in the order of their numbers, and a batch is atomic.
 */
export class Outbox<V extends Vocabulary> implements Emitter<V> {
  #batch: BatchNumber = 1;
  #immediate: Effect<V>[] = [];
  #records: V["record"][] = [];
  #afterWrite: Effect<V>[] = [];

  get batch(): BatchNumber {
    return this.#batch;
  }

  send(to: NodeId, message: V["message"]): void {
    this.#immediate.push({ kind: "send", to, message });
  }

  reply(to: RequestId, reply: V["reply"]): void {
    assert(to !== 0, "a reply to nobody");
    this.#immediate.push({ kind: "reply", to, reply });
  }

  write(record: V["record"]): void {
    this.#records.push(record);
  }

  sendAfterWrite(to: NodeId, message: V["message"]): void {
    this.#afterWrite.push({ kind: "send", to, message });
  }

  replyAfterWrite(to: RequestId, reply: V["reply"]): void {
    assert(to !== 0, "a reply to nobody");
    this.#afterWrite.push({ kind: "reply", to, reply });
  }

  /** Hands over the turn's effects and begins the next turn. */
  take(): { readonly immediate: readonly Effect<V>[]; readonly batch: Batch<V> | null } {
    const immediate = this.#immediate;
    this.#immediate = [];
    if (this.#records.length === 0 && this.#afterWrite.length === 0) {
      return { immediate, batch: null };
    }
    const batch = { number: this.#batch, records: this.#records, afterWrite: this.#afterWrite };
    this.#batch += 1;
    this.#records = [];
    this.#afterWrite = [];
    return { immediate, batch };
  }
}
