import { assert } from "../../core/base/assert.ts";
import type { OperationOutcome } from "./history.ts";

/**
 * One step of a transaction on a list. An element is appended at most once to a key in a history,
 * so that a read names the steps that led to what it found.
 */
export type Step =
  | { readonly kind: "append"; readonly key: string; readonly element: string }
  | {
      readonly kind: "read";
      readonly key: string;
      /** What was found, in order; undefined where it was not learned. */
      readonly elements: readonly string[] | undefined;
    };

/** A transaction as its client saw it. */
export interface Transaction {
  /** Ascending in order of invocation, also within a process. */
  readonly id: number;
  /** One client connection: it has a program order. */
  readonly process: number;
  readonly steps: readonly Step[];
  /** In any unit; only the order matters. */
  readonly invoked: number;
  /** Infinity while it is not known to have ended. */
  readonly completed: number;
  /** As of an operation (GEN1): it took effect whole, it never will, or nobody knows. */
  readonly outcome: OperationOutcome;
}

/** Records transactions. One that never completes stays `info`. */
export class TransactionHistory {
  readonly #transactions: Transaction[] = [];

  get transactions(): readonly Transaction[] {
    return this.#transactions;
  }

  /** Begins a transaction that is to take these steps; returns its id. */
  invoke(process: number, steps: readonly Step[], now: number): number {
    const id = this.#transactions.length;
    const completed = Number.POSITIVE_INFINITY;
    this.#transactions.push({ id, process, steps, invoked: now, completed, outcome: "info" });
    return id;
  }

  /** Ends a transaction, with what its reads have found. One of unknown outcome has no end. */
  complete(id: number, outcome: OperationOutcome, steps: readonly Step[], now: number): void {
    const transaction = this.#transactions[id];
    assert(transaction !== undefined, `no transaction ${id}`);
    assert(transaction.completed === Number.POSITIVE_INFINITY, "a transaction ends once");
    assert(now >= transaction.invoked, "a transaction ends after it begins");
    const completed = outcome === "info" ? Number.POSITIVE_INFINITY : now;
    this.#transactions[id] = { ...transaction, outcome, steps, completed };
  }
}

/** How reports name a transaction. */
export function nameOf({ id }: Transaction): string {
  return `T${id}`;
}

/** One transaction in one line, for reports. */
export function describeTransaction(transaction: Transaction): string {
  const { process, steps, invoked, completed, outcome } = transaction;
  const end = completed === Number.POSITIVE_INFINITY ? "…" : String(completed);
  const shown = steps.map(describeStep).join(", ");
  return `${nameOf(transaction)} p${process} {${shown}} ${outcome} [${invoked}, ${end}]`;
}

function describeStep(step: Step): string {
  if (step.kind === "append") return `append ${step.key} ${step.element}`;
  return `read ${step.key} ${step.elements === undefined ? "?" : describeList(step.elements)}`;
}

/** A list for reports; of a long one only the end. */
export function describeList(elements: readonly string[]): string {
  const hidden = elements.length - ELEMENTS_SHOWN;
  if (hidden <= 0) return `[${elements.join(" ")}]`;
  return `[… ${hidden} more, ${elements.slice(hidden).join(" ")}]`;
}

const ELEMENTS_SHOWN = 12;
