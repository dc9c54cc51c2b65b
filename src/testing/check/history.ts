import { assert } from "../../core/base/assert.ts";

/**
 * What a client asked of one key. Values and tokens are unique in a history, so that reads name
 * them.
 */
export type Action =
  | { readonly kind: "get" }
  | { readonly kind: "set"; readonly value: string }
  | { readonly kind: "setIfAbsent"; readonly value: string }
  | { readonly kind: "swap"; readonly value: string }
  | { readonly kind: "delete" }
  | { readonly kind: "increment" }
  | { readonly kind: "append"; readonly token: string };

/**
 * What the client may conclude (GEN1). `ok`: it took effect between invocation and completion.
 * `fail`: it did not and never will. `info`: it may take effect at any time after its invocation,
 * or never.
 */
export type OperationOutcome = "ok" | "fail" | "info";

/**
 * What was promised. `strong`: a linearizable read, a write that is committed when it is answered.
 * `lossy`: a write that is answered before it is committed. `local`: a read of whatever one replica
 * holds. `session`: a read of nothing older than its session has seen. `bounded`: of nothing older
 * than a time.
 */
export type Promised = "strong" | "lossy" | "local" | "session" | "bounded";

/** The answer: a value, null for none, a number; undefined where it was not learned. */
export type OperationResult = string | number | null | undefined;

/** An entry of the replicated log, as META names it. */
export interface Place {
  readonly term: number;
  readonly index: number;
}

/** What a client asked beside the operation itself. */
export interface Asked {
  /**
   * The operation whose answer carried the token that went along with this one: from here on its
   * process has seen what that one's had seen by then.
   */
  readonly inherits: number | null;
  /** Of a `bounded` read: how old what it sees may be, in the history's unit of time. */
  readonly staleMax: number | null;
}

/** A client that asked for nothing else. */
export const NOTHING_ASKED: Asked = { inherits: null, staleMax: null };

/** What a client learned beside the result. */
export interface Learned {
  /** Where the write stands, or how far the state had come that the read saw; null if not told. */
  readonly place: Place | null;
  /** The code of an error. */
  readonly error: string | null;
}

/** A client that was told nothing else. */
export const NOTHING_LEARNED: Learned = { place: null, error: null };

/** One operation of a history, from its invocation to what was learnt of it. */
export interface Operation extends Asked, Learned {
  /** Ascending in order of invocation, also within a process. */
  readonly id: number;
  /** One client connection: it has a program order. */
  readonly process: number;
  readonly key: string;
  readonly action: Action;
  readonly promised: Promised;
  /** In any unit; only the order matters. */
  readonly invoked: number;
  /** Infinity while it is not known to have ended. */
  readonly completed: number;
  readonly outcome: OperationOutcome;
  readonly result: OperationResult;
}

/** A finding of an oracle: which one, and a sentence with what it saw. */
export interface Violation {
  readonly oracle: string;
  readonly message: string;
}

/** Records what clients see. Operations that never complete stay `info`. */
export class History {
  readonly #operations: Operation[] = [];

  get operations(): readonly Operation[] {
    return this.#operations;
  }

  /** Begins an operation; returns its id. */
  invoke(
    process: number,
    key: string,
    action: Action,
    promised: Promised,
    now: number,
    asked: Asked = NOTHING_ASKED,
  ): number {
    const id = this.#operations.length;
    this.#operations.push({
      id,
      process,
      key,
      action,
      promised,
      invoked: now,
      completed: Number.POSITIVE_INFINITY,
      outcome: "info",
      result: undefined,
      ...asked,
      ...NOTHING_LEARNED,
    });
    return id;
  }

  /** Ends an operation. One of unknown outcome has no end: it may take effect later (GEN1). */
  complete(
    id: number,
    outcome: OperationOutcome,
    result: OperationResult,
    now: number,
    learned: Learned = NOTHING_LEARNED,
  ): void {
    const operation = this.#operations[id];
    assert(operation !== undefined, `no operation ${id}`);
    assert(operation.completed === Number.POSITIVE_INFINITY, "an operation ends once");
    assert(now >= operation.invoked, "an operation ends after it begins");
    const completed = outcome === "info" ? Number.POSITIVE_INFINITY : now;
    this.#operations[id] = { ...operation, outcome, result, completed, ...learned };
  }
}

/** Whether an action may change the state. */
export function isWrite(action: Action): boolean {
  return action.kind !== "get";
}

/** Operations by key, keys ascending, each list in order of invocation. */
export function byKey(operations: readonly Operation[]): [string, Operation[]][] {
  return grouped(operations, (operation) => operation.key).sort(([a], [b]) =>
    a < b ? -1 : a > b ? 1 : 0,
  );
}

/** Operations by process, processes ascending, each list in program order. */
export function byProcess(operations: readonly Operation[]): [number, Operation[]][] {
  return grouped(operations, (operation) => operation.process).sort(([a], [b]) => a - b);
}

function grouped<K>(
  operations: readonly Operation[],
  keyOf: (operation: Operation) => K,
): [K, Operation[]][] {
  const groups = new Map<K, Operation[]>();
  for (const operation of operations) {
    const key = keyOf(operation);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [operation]);
    else group.push(operation);
  }
  return [...groups];
}

/** One operation in one line, for reports. */
export function describe(operation: Operation): string {
  const { id, process, key, action, promised, invoked, completed, outcome, result } = operation;
  const argument =
    "value" in action ? ` ${action.value}` : "token" in action ? ` ${action.token}` : "";
  const end = completed === Number.POSITIVE_INFINITY ? "…" : String(completed);
  const answer = result === undefined ? "" : ` -> ${JSON.stringify(result)}`;
  const promise = promised === "strong" ? "" : ` (${promised})`;
  return `#${id} p${process} ${action.kind} ${key}${argument}${answer}${promise} ${outcome} [${invoked}, ${end}]`;
}
