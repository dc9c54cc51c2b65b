import { assert, defined } from "../../core/base/assert.ts";
import { byKey, describe, type Operation, type Violation } from "./history.ts";
import { type Feasible, IMPOSSIBLE, type Model, type ModelState } from "./models.ts";

/** `undecided`: the search was cut off. Callers treat it as a failure: nothing was proved. */
export type Verdict =
  | { readonly kind: "linearizable"; readonly order: readonly Operation[] }
  | { readonly kind: "violation"; readonly message: string }
  | { readonly kind: "undecided"; readonly steps: number };

/** How hard to search before giving up. */
export interface SearchOptions {
  /** Tries of one operation after a prefix, in all. */
  readonly stepsMax: number;
  /**
   * Also asks for GEN2: the operations of one process take effect in the order of their ids, and
   * one of unknown outcome before the later ones of its process or never.
   */
  readonly programOrder: boolean;
}

const DEFAULTS: SearchOptions = { stepsMax: 300_000, programOrder: true };

/**
 * Checks each key on its own, which is enough: linearizability is local (Herlihy and Wing 1990,
 * §3.3).
 */
export function checkLinearizable(
  operations: readonly Operation[],
  modelOf: (key: string) => Model,
  options: Partial<SearchOptions> = {},
): Violation | null {
  for (const [key, ofKey] of byKey(operations)) {
    const verdict = searchKey(ofKey, modelOf(key), options);
    if (verdict.kind === "linearizable") continue;
    const message =
      verdict.kind === "violation" ? verdict.message : `undecided after ${verdict.steps} steps`;
    return { oracle: "linearizability", message: `key ${key}: ${message}` };
  }
  return null;
}

/**
 * Searches for a linearization of one key's operations. Writes of unknown outcome that no answer
 * gives away are first left out: an order without them is an order (they may never take effect),
 * and most histories have one. Only if there is none are they tried in every place.
 */
export function searchKey(
  operations: readonly Operation[],
  model: Model,
  options: Partial<SearchOptions> = {},
): Verdict {
  const settings = { ...DEFAULTS, ...options };
  const relevant = operations.filter(isRelevant).map(asPromised);
  const observed = observedText(relevant);
  const isLikely = (operation: Operation) =>
    operation.outcome === "ok" || isSeen(operation, observed);
  const likely = relevant.filter(isLikely);
  const first = new Search(likely, model, settings).run();
  if (first.kind === "linearizable" || likely.length === relevant.length) return first;
  const all = relevant.map((operation) => (isLikely(operation) ? operation : asUnread(operation)));
  return new Search(all, model, settings).run();
}

/** What every write stands for whose value no answer shows: there is a value, whichever. */
const UNREAD = "(unread)";

function asUnread(operation: Operation): Operation {
  const { action } = operation;
  if (!("value" in action)) return operation;
  const kind = action.kind === "setIfAbsent" ? "setIfAbsent" : "set";
  return { ...operation, action: { kind, value: UNREAD } };
}

/** Reads that are not linearizable by choice, and what certainly never happened, take no part. */
function isRelevant(operation: Operation): boolean {
  if (operation.outcome === "fail") return false;
  if (operation.action.kind !== "get") return true;
  return operation.outcome === "ok" && operation.promised === "strong";
}

/** A write that is answered before it is committed may be lost: its answer proves nothing. */
function asPromised(operation: Operation): Operation {
  if (operation.promised !== "lossy") return operation;
  return { ...operation, outcome: "info", result: undefined, completed: Number.POSITIVE_INFINITY };
}

function observedText(operations: readonly Operation[]): string {
  return operations.map(({ result }) => (typeof result === "string" ? result : "")).join("\n");
}

function isSeen(operation: Operation, observed: string): boolean {
  const { action } = operation;
  if ("value" in action) return observed.includes(action.value);
  if ("token" in action) return observed.includes(action.token);
  return true;
}

/** Of unknown outcome, and like any other of its kind: no answer says which of them took effect. */
function isAnonymous({ outcome, action }: Operation): boolean {
  if (outcome !== "info" || "token" in action) return false;
  return !("value" in action) || action.value === UNREAD;
}

interface Choice {
  readonly operation: number;
  /** Whether nothing else needs to be tried in its place. */
  readonly forced: boolean;
  readonly state: ModelState;
  readonly highest: number;
}

interface Seen {
  readonly bits: Uint32Array;
  readonly state: ModelState;
}

/**
 * The search of Wing and Gong (1993) with Lowe's memory of configurations (2017): try an operation
 * whose invocation precedes every open completion, go on, and come back where the result is
 * impossible.
 */
class Search {
  readonly #operations: readonly Operation[];
  readonly #model: Model;
  readonly #settings: SearchOptions;
  /** Events in order of time as a doubly linked list: n calls, then n returns, then the head. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #head: number;
  readonly #bits: Uint32Array;
  readonly #seen = new Map<number, Seen[]>();
  readonly #stack: Choice[] = [];
  /** Per operation: the earlier `ok` one of its process, or -1. */
  readonly #predecessor: Int32Array;
  readonly #processOf: Int32Array;
  readonly #highest: Int32Array;
  /**
   * 1: after a write of unknown outcome in its process, which it would rule out when taken too
   * early.
   */
  readonly #isLate: Uint8Array;
  /** Per operation of unknown outcome: the one before it that is as good as this one, or -1. */
  readonly #twin: Int32Array;
  readonly #isFeasible: Feasible;
  #hash = 0;
  #state: ModelState;
  #okLeft: number;
  #best: readonly Operation[] = [];
  #blocked: Operation | null = null;

  constructor(operations: readonly Operation[], model: Model, settings: SearchOptions) {
    const n = operations.length;
    this.#operations = operations;
    this.#model = model;
    this.#settings = settings;
    this.#head = 2 * n;
    this.#next = new Int32Array(2 * n + 1).fill(-1);
    this.#previous = new Int32Array(2 * n + 1).fill(-1);
    this.#bits = new Uint32Array((n + 31) >>> 5);
    this.#predecessor = new Int32Array(n).fill(-1);
    this.#processOf = new Int32Array(n);
    this.#twin = new Int32Array(n).fill(-1);
    this.#isLate = new Uint8Array(n);
    this.#state = model.initial;
    this.#isFeasible = model.feasible?.(operations) ?? (() => true);
    this.#okLeft = operations.filter((operation) => operation.outcome === "ok").length;
    this.#link();
    this.#highest = new Int32Array(this.#relate()).fill(-1);
    this.#pairTwins();
  }

  run(): Verdict {
    let steps = this.#takeForced();
    let entry = this.#next[this.#head]!;
    const n = this.#operations.length;
    while (this.#okLeft > 0) {
      assert(entry !== -1, "an operation that is left has an event that is left");
      if (entry < n) {
        if (this.#isAllowed(entry)) steps += 1;
        if (steps > this.#settings.stepsMax) return { kind: "undecided", steps };
        if (this.#try(entry, false)) {
          steps += this.#takeForced();
          entry = this.#next[this.#head]!;
        } else entry = this.#next[entry]!;
        continue;
      }
      this.#noteBlocked(entry - n);
      const choice = this.#backtrack();
      if (choice === null) return { kind: "violation", message: this.#explain() };
      entry = this.#next[choice.operation]!;
    }
    return { kind: "linearizable", order: this.#order() };
  }

  /** Undoes the last choice that had alternatives, and what it entailed. */
  #backtrack(): Choice | null {
    for (;;) {
      const choice = this.#stack.pop();
      if (choice === undefined) return null;
      this.#undo(choice);
      if (!choice.forced) return choice;
    }
  }

  /**
   * Takes every operation that is possible now and changes nothing: an order in which it comes
   * later is as good with it here. Without this, n reads of one value would give 2^n
   * configurations.
   */
  #takeForced(): number {
    const n = this.#operations.length;
    let tried = 0;
    let entry = this.#next[this.#head]!;
    while (entry !== -1 && entry < n) {
      const next = this.#next[entry]!;
      if (this.#isForced(entry)) {
        tried += 1;
        this.#try(entry, true);
      }
      entry = next;
    }
    return tried;
  }

  #isForced(i: number): boolean {
    const { action, outcome, result } = this.#operations[i]!;
    if (outcome !== "ok" || this.#isLate[i] === 1) return false;
    // Without its answer, a deletion that changes nothing here may have changed something later.
    if (result === undefined) return false;
    return this.#model.step(this.#state, action, result) === this.#state;
  }

  /**
   * Lays out calls and returns in order of time; at one instant calls come first (they overlap).
   */
  #link(): void {
    const n = this.#operations.length;
    const events: { readonly at: number; readonly entry: number }[] = [];
    this.#operations.forEach((operation, i) => {
      events.push({ at: operation.invoked, entry: i });
      if (operation.outcome === "ok") events.push({ at: operation.completed, entry: n + i });
    });
    events.sort((a, b) => a.at - b.at || a.entry - b.entry);
    let last = this.#head;
    for (const { entry } of events) {
      this.#next[last] = entry;
      this.#previous[entry] = last;
      last = entry;
    }
  }

  /**
   * Numbers the processes and links each operation to its predecessor; returns how many there are.
   */
  #relate(): number {
    const numbers = new Map<number, number>();
    const lastOk = new Map<number, number>();
    const unsure = new Set<number>();
    const order = this.#operations.map((_, i) => i);
    order.sort((a, b) => this.#operations[a]!.id - this.#operations[b]!.id);
    for (const i of order) {
      const { process, outcome } = this.#operations[i]!;
      if (!numbers.has(process)) numbers.set(process, numbers.size);
      this.#processOf[i] = defined(numbers.get(process), "just set");
      if (this.#settings.programOrder) this.#predecessor[i] = lastOk.get(process) ?? -1;
      if (outcome === "ok") lastOk.set(process, i);
      else if (!isAnonymous(this.#operations[i]!)) unsure.add(process);
      if (this.#settings.programOrder && unsure.has(process)) this.#isLate[i] = 1;
    }
    return numbers.size;
  }

  /**
   * Increments (deletions) of unknown outcome can stand for one another: only the first that is
   * left is tried, or n of them would give 2^n configurations. For that they are let off their
   * place in program order, which their results could not show anyway.
   */
  #pairTwins(): void {
    const latest = new Map<string, number>();
    this.#operations.forEach((operation, i) => {
      if (!isAnonymous(operation)) return;
      this.#twin[i] = latest.get(operation.action.kind) ?? -1;
      latest.set(operation.action.kind, i);
    });
  }

  #try(i: number, forced: boolean): boolean {
    if (!this.#isAllowed(i)) return false;
    const operation = this.#operations[i]!;
    const next = this.#model.step(this.#state, operation.action, operation.result);
    if (next === IMPOSSIBLE) return false;
    // What may be left out altogether and changes nothing need not be tried here.
    if (operation.outcome === "info" && next === this.#state) return false;
    this.#flip(i);
    if (!this.#isFeasible(next, (place) => !this.#isSet(place)) || !this.#remember(next)) {
      this.#flip(i);
      return false;
    }
    const process = this.#processOf[i]!;
    const highest = this.#highest[process]!;
    this.#stack.push({ operation: i, forced, state: this.#state, highest });
    if (!isAnonymous(operation)) this.#highest[process] = operation.id;
    this.#state = next;
    this.#lift(i);
    if (operation.outcome === "ok") this.#okLeft -= 1;
    return true;
  }

  #isAllowed(i: number): boolean {
    const twin = this.#twin[i]!;
    if (twin !== -1 && !this.#isSet(twin)) return false;
    if (!this.#settings.programOrder || isAnonymous(this.#operations[i]!)) return true;
    const predecessor = this.#predecessor[i]!;
    if (predecessor !== -1 && !this.#isSet(predecessor)) return false;
    return this.#highest[this.#processOf[i]!]! < this.#operations[i]!.id;
  }

  #undo({ operation, state, highest }: Choice): void {
    this.#state = state;
    this.#highest[this.#processOf[operation]!] = highest;
    this.#flip(operation);
    this.#unlift(operation);
    if (this.#operations[operation]!.outcome === "ok") this.#okLeft += 1;
  }

  #lift(i: number): void {
    this.#unlink(i);
    if (this.#operations[i]!.outcome === "ok") this.#unlink(this.#operations.length + i);
  }

  /** In the reverse order of `lift`: each entry finds its neighbours as it left them. */
  #unlift(i: number): void {
    if (this.#operations[i]!.outcome === "ok") this.#relink(this.#operations.length + i);
    this.#relink(i);
  }

  #unlink(entry: number): void {
    const previous = this.#previous[entry]!;
    const next = this.#next[entry]!;
    this.#next[previous] = next;
    if (next !== -1) this.#previous[next] = previous;
  }

  #relink(entry: number): void {
    const next = this.#next[entry]!;
    this.#next[this.#previous[entry]!] = entry;
    if (next !== -1) this.#previous[next] = entry;
  }

  #flip(i: number): void {
    this.#bits[i >>> 5]! ^= 1 << (i & 31);
    this.#hash ^= scatter(i + 1);
  }

  #isSet(i: number): boolean {
    return (this.#bits[i >>> 5]! & (1 << (i & 31))) !== 0;
  }

  /** False when the same operations led to the same state before: what follows was tried. */
  #remember(state: ModelState): boolean {
    const known = this.#seen.get(this.#hash);
    if (known === undefined) {
      this.#seen.set(this.#hash, [{ bits: this.#bits.slice(), state }]);
      return true;
    }
    for (const seen of known) {
      if (seen.state === state && seen.bits.every((word, i) => word === this.#bits[i]))
        return false;
    }
    known.push({ bits: this.#bits.slice(), state });
    return true;
  }

  #noteBlocked(i: number): void {
    if (this.#blocked !== null && this.#stack.length <= this.#best.length) return;
    this.#best = this.#order();
    this.#blocked = this.#operations[i]!;
  }

  #order(): Operation[] {
    return this.#stack.map((choice) => this.#operations[choice.operation]!);
  }

  #explain(): string {
    const blocked = this.#blocked === null ? "nothing" : describe(this.#blocked);
    const before = this.#best.slice(-6).map(describe).join("; ");
    return `no order of the operations explains ${blocked}; the longest that was found ends with: ${before}`;
  }
}

/**
 * Spreads small numbers over 32 bits, so that the exclusive or of a set of them tells sets apart.
 */
function scatter(n: number): number {
  let h = Math.imul(n, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
