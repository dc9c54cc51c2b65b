import { unreachable } from "../../core/base/assert.ts";
import type { Action, Operation, OperationResult } from "./history.ts";

/** What a sequential execution answers with when the action could not have had this result. */
export const IMPOSSIBLE = Symbol("impossible");

/** A key's value in a sequential execution; null where there is none. */
export type ModelState = string | number | null;

/** `isLeft` says which operations, by their place in the list, have not had their turn. */
export type Feasible = (state: ModelState, isLeft: (place: number) => boolean) => boolean;

/** The sequential specification of one key. */
export interface Model {
  readonly name: string;
  readonly initial: ModelState;
  /**
   * The state after the action, or IMPOSSIBLE. A result of undefined was not learned: any will do.
   */
  step(state: ModelState, action: Action, result: OperationResult): ModelState | typeof IMPOSSIBLE;
  /**
   * Says of a state whether the answers that are still to be explained can come out. It may rule
   * out only what is certainly a dead end; a search that asks is shorter, and finds the same.
   */
  feasible?(operations: readonly Operation[]): Feasible;
}

function expecting(
  result: OperationResult,
  expected: OperationResult,
  next: ModelState,
): ModelState | typeof IMPOSSIBLE {
  return result === undefined || result === expected ? next : IMPOSSIBLE;
}

/** SET, GET, SET NX, GETSET and DEL on a text. */
export const REGISTER: Model = {
  name: "register",
  initial: null,
  step(state, action, result) {
    switch (action.kind) {
      case "get":
        return expecting(result, state, state);
      case "set":
        return action.value;
      case "setIfAbsent":
        return expecting(result, state === null ? 1 : 0, state ?? action.value);
      case "swap":
        return expecting(result, state, action.value);
      case "delete":
        return expecting(result, state === null ? 0 : 1, null);
      case "increment":
      case "append":
        return IMPOSSIBLE;
      default:
        return unreachable(action);
    }
  },
  feasible(operations) {
    const writers = new Map<string, number[]>();
    const reads: { readonly place: number; readonly value: string }[] = [];
    operations.forEach(({ action, result }, place) => {
      if (typeof result === "string") reads.push({ place, value: result });
      if (!("value" in action)) return;
      const places = writers.get(action.value);
      if (places === undefined) writers.set(action.value, [place]);
      else places.push(place);
    });
    // A value that is gone comes back only if somebody is still to write it.
    return (state, isLeft) =>
      reads.every(
        ({ place, value }) =>
          value === state || !isLeft(place) || (writers.get(value) ?? []).some(isLeft),
      );
  },
};

/** INCR, GET and DEL on a whole number. */
export const COUNTER: Model = {
  name: "counter",
  initial: null,
  step(state, action, result) {
    if (action.kind === "get") {
      return expecting(result, state === null ? null : String(state), state);
    }
    if (action.kind === "delete") return expecting(result, state === null ? 0 : 1, null);
    if (action.kind !== "increment") return IMPOSSIBLE;
    const next = (typeof state === "number" ? state : 0) + 1;
    return expecting(result, next, next);
  },
  feasible(operations) {
    if (operations.some(({ action }) => action.kind === "delete")) return () => true;
    const grows = growing(operations, (result) => Number(result ?? 0));
    return (state, isLeft) => grows(typeof state === "number" ? state : 0, isLeft);
  },
};

/** APPEND of unique tokens, GET and DEL: a list whose every element names its writer. */
export const LIST: Model = {
  name: "list",
  initial: null,
  step(state, action, result) {
    if (action.kind === "get") return expecting(result, state, state);
    if (action.kind === "delete") return expecting(result, state === null ? 0 : 1, null);
    if (action.kind !== "append") return IMPOSSIBLE;
    const next = (typeof state === "string" ? state : "") + action.token;
    return expecting(result, next.length, next);
  },
  feasible(operations) {
    const grows = growing(operations, (result) => String(result ?? "").length);
    let longest = "";
    for (const { action, result } of operations) {
      if (action.kind === "delete") return () => true;
      const isRead = action.kind === "get" && typeof result === "string";
      if (isRead && result.length > longest.length) longest = result;
    }
    // Whatever it holds before or after, it agrees with the longest value that was read.
    return (state, isLeft) => {
      const value = typeof state === "string" ? state : "";
      const agrees =
        value.length <= longest.length ? longest.startsWith(value) : value.startsWith(longest);
      return agrees && grows(value.length, isLeft);
    };
  },
};

/**
 * For what only grows: the size that each answer names must not have been passed while the answer
 * is still to be explained. A write's answer names the size that it makes, a read's the size it
 * finds.
 */
function growing(
  operations: readonly Operation[],
  sizeRead: (result: OperationResult) => number,
): (size: number, isLeft: (place: number) => boolean) => boolean {
  const bounds: { readonly place: number; readonly sizeMax: number }[] = [];
  operations.forEach(({ action, outcome, result }, place) => {
    if (outcome !== "ok" || result === undefined) return;
    const sizeMax = action.kind === "get" ? sizeRead(result) : Number(result) - 1;
    bounds.push({ place, sizeMax });
  });
  bounds.sort((a, b) => a.sizeMax - b.sizeMax);
  return (size, isLeft) => {
    for (const { place, sizeMax } of bounds) {
      if (sizeMax >= size) return true;
      if (isLeft(place)) return false;
    }
    return true;
  };
}

/** Ends every token of a list: what lies between two is a token. */
export const TOKEN_END = ";";

/** The tokens of a list's value, in order. */
export function tokensOf(value: string | null): string[] {
  if (value === null || value === "") return [];
  const parts = value.split(TOKEN_END);
  const rest = parts.pop();
  const tokens = parts.map((part) => part + TOKEN_END);
  // A value that does not end with a whole token is itself a finding: keep the piece visible.
  return rest === undefined || rest === "" ? tokens : [...tokens, rest];
}
