import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Action,
  NOTHING_ASKED,
  NOTHING_LEARNED,
  type Operation,
  type OperationOutcome,
  type OperationResult,
} from "./history.ts";
import { searchKey } from "./linearizability.ts";
import { COUNTER, IMPOSSIBLE, LIST, type Model, type ModelState, REGISTER } from "./models.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** An operation to be executed at its place in a serial execution, and spread out in time. */
interface Draw {
  readonly process: number;
  readonly kind: number;
  readonly outcome: OperationOutcome;
  readonly happened: boolean;
  readonly before: number;
  readonly after: number;
}

const DRAW: fc.Arbitrary<Draw> = fc.record({
  process: fc.nat(3),
  kind: fc.nat(5),
  outcome: fc.constantFrom<OperationOutcome>("ok", "ok", "ok", "info", "fail"),
  happened: fc.boolean(),
  before: fc.nat(25),
  after: fc.nat(25),
});

/** What a draw stands for in each model; values name the place, so that reads name the writer. */
const ACTIONS: Readonly<Record<string, (kind: number, place: number) => Action>> = {
  register: (kind, place) => {
    const value = `v${place}`;
    const writes: readonly Action[] = [
      { kind: "set", value },
      { kind: "setIfAbsent", value },
      { kind: "swap", value },
      { kind: "delete" },
    ];
    return writes[kind] ?? { kind: "get" };
  },
  list: (kind, place) => (kind < 3 ? { kind: "append", token: `t${place};` } : { kind: "get" }),
  counter: (kind) => (kind < 3 ? { kind: "increment" } : { kind: "get" }),
};

/** What the model answers; found by asking which answer is possible. */
function answer(model: Model, state: ModelState, action: Action): OperationResult {
  const size = typeof state === "string" ? state.length : Number(state ?? 0);
  const token = action.kind === "append" ? action.token.length : 0;
  const candidates: OperationResult[] = [
    ...(state === null ? [null] : [state, String(state)]),
    ...[0, 1, size + 1, size + token],
  ];
  if (action.kind === "set") return undefined;
  return candidates.find((result) => model.step(state, action, result) !== IMPOSSIBLE);
}

/** The operation at place i takes effect at time 10 i + 30. */
function execute(model: Model, draws: readonly Draw[]): Operation[] {
  let state = model.initial;
  const latest = new Map<number, number>();
  const executed = draws.map((draw, place): Operation => {
    const { process, outcome, before, after, happened } = draw;
    const action = ACTIONS[model.name]!(draw.kind, place);
    const result = outcome === "ok" ? answer(model, state, action) : undefined;
    if (outcome === "ok" || (outcome === "info" && happened)) {
      const next = model.step(state, action, result);
      if (next === IMPOSSIBLE) throw new Error("the model's own answer is impossible");
      state = next;
    }
    const at = 10 * place + 30;
    // GEN2: within a process the order of invocation is that of effect, and ids follow it.
    const invoked = Math.max(at - before, latest.get(process) ?? 0);
    latest.set(process, invoked);
    const completed = outcome === "info" ? NEVER : at + after;
    return {
      ...{ id: 0, process, key: "k", action, promised: "strong", outcome, result },
      ...{ invoked, completed, ...NOTHING_ASKED, ...NOTHING_LEARNED },
    };
  });
  executed.sort((a, b) => a.invoked - b.invoked);
  return executed.map((operation, id) => ({ ...operation, id }));
}

/** One answer is another one of those that the history knows. */
function corrupted(operations: readonly Operation[], choice: number): Operation[] {
  const known = operations.map(({ result }) => result).filter((result) => result !== undefined);
  const answered = operations.filter(({ result }) => result !== undefined);
  const target = answered[choice % Math.max(1, answered.length)];
  const result = known[Math.floor(choice / 16) % Math.max(1, known.length)];
  return operations.map((one) => (one === target ? { ...one, result } : one));
}

/** Tries every order, and of those of unknown outcome also to leave them out. */
function isLinearizable(operations: readonly Operation[], model: Model): boolean {
  const search = (left: readonly Operation[], state: ModelState): boolean => {
    if (left.every(({ outcome }) => outcome !== "ok")) return true;
    return left.some((one) => {
      const isTooEarly = left.some(
        (other) =>
          other !== one &&
          other.outcome === "ok" &&
          (other.completed < one.invoked || (other.process === one.process && other.id < one.id)),
      );
      if (isTooEarly) return false;
      const next = model.step(state, one.action, one.result);
      if (next === IMPOSSIBLE) return false;
      // One of unknown outcome that is passed over takes no effect any more (GEN2).
      const isOver = (other: Operation) => other.process === one.process && other.id < one.id;
      return search(
        left.filter((other) => other !== one && !isOver(other)),
        next,
      );
    });
  };
  const mayMatter = operations.filter(
    ({ outcome, action }) => outcome === "ok" || (outcome === "info" && action.kind !== "get"),
  );
  return search(mayMatter, model.initial);
}

describe("histories of one key drawn at random", () => {
  test.each([REGISTER, LIST, COUNTER])(
    "whatever was executed one after the other is linearizable: $name",
    (model) => {
      fc.assert(
        fc.property(fc.array(DRAW, { maxLength: 60 }), (draws) => {
          expect(searchKey(execute(model, draws), model).kind).toBe("linearizable");
        }),
        { numRuns: 150 },
      );
    },
  );

  // Increments and deletions of unknown outcome are let off program order, so lists alone judge it.
  test("the search agrees with trying every order of tiny histories, one answer changed: list", () => {
    expect(rejectedOf(LIST)).toBeGreaterThan(50);
  });

  test.each([REGISTER, COUNTER])(
    "the search agrees with trying every order, one answer changed, program order aside: $name",
    (model) => {
      expect(rejectedOf(model)).toBeGreaterThan(50);
    },
  );
});

/** Compares both on many histories; returns how many were rejected. */
function rejectedOf(model: Model): number {
  let rejected = 0;
  const programOrder = model === LIST;
  fc.assert(
    fc.property(fc.array(DRAW, { maxLength: 6 }), fc.nat(1023), (draws, choice) => {
      const all = corrupted(execute(model, draws), choice);
      const operations = programOrder ? all : all.map((one) => ({ ...one, process: one.id }));
      const isFine = isLinearizable(operations, model);
      if (!isFine) rejected += 1;
      const { kind } = searchKey(operations, model, { programOrder });
      expect(kind).toBe(isFine ? "linearizable" : "violation");
    }),
    { numRuns: 1_000 },
  );
  return rejected;
}
