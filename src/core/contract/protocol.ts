import type { BatchNumber, Instant, NodeId, RequestId } from "./ids.ts";
import type { Emitter } from "./outbox.ts";

/** The types that one protocol speaks. */
export interface Vocabulary {
  /** Between nodes. */
  readonly message: unknown;
  /** From a local caller. */
  readonly command: unknown;
  /** To a local caller. */
  readonly reply: unknown;
  /** To the node's log. */
  readonly record: unknown;
}

/** Everything that can happen to a protocol. */
export type Input<V extends Vocabulary> =
  | { readonly kind: "message"; readonly from: NodeId; readonly message: V["message"] }
  | { readonly kind: "request"; readonly id: RequestId; readonly command: V["command"] }
  /** The caller is gone. The outcome of its request stays unknown. */
  | { readonly kind: "cancel"; readonly id: RequestId }
  /** This batch and all before it are on disk. */
  | { readonly kind: "written"; readonly batch: BatchNumber }
  /** A hint that a connection came or went, never proof that the peer lives or died (LEAD2). */
  | { readonly kind: "link"; readonly peer: NodeId; readonly up: boolean }
  /** The clock has reached `deadline()`. */
  | { readonly kind: "wake" };

/**
 * A deterministic state machine: everything it does follows from its inputs, their order and `now`.
 *
 * The owner calls `step` for each input that has arrived and then `settle` once; how many steps
 * share a settle is the owner's choice (the simulator draws it), so a protocol must be right for
 * any number. `now` never decreases from call to call. A throw ends the node: half a change is in
 * memory.
 */
export interface Protocol<V extends Vocabulary> {
  /** Takes in one input and changes state. Effects may be emitted here or left to `settle`. */
  step(input: Input<V>, now: Instant, out: Emitter<V>): void;
  /**
   * Decides what leaves, once per turn after the last step: one AppendEntries per peer, one log
   * batch, one run of replies for everything that the steps took in.
   */
  settle(now: Instant, out: Emitter<V>): void;
  /** When it wants to be woken though nothing happens; null for never. Asked after every settle. */
  deadline(): Instant | null;
}
