import { byKey, describe, type Operation, type Violation } from "./history.ts";
import { tokensOf } from "./models.ts";

/** The values that all replicas agreed on at the end, after everything had healed. */
export type FinalValues = ReadonlyMap<string, string | null>;

/**
 * LEAD8 and GEN1 on counters that nobody deletes: acknowledged ≤ value ≤ acknowledged + unknown,
 * and no value is handed out twice.
 */
export function checkCounters(
  operations: readonly Operation[],
  finals: FinalValues,
  isCounter: (key: string) => boolean,
): Violation | null {
  for (const [key, ofKey] of byKey(operations.filter(({ key }) => isCounter(key)))) {
    const found = checkCounter(key, ofKey, Number(finals.get(key) ?? 0));
    if (found !== null) return found;
  }
  return null;
}

function checkCounter(
  key: string,
  operations: readonly Operation[],
  value: number,
): Violation | null {
  let acknowledged = 0;
  let unknown = 0;
  const handedOut = new Map<number, Operation>();
  for (const operation of operations) {
    if (operation.action.kind !== "increment" || operation.outcome === "fail") continue;
    if (operation.outcome === "info") unknown += 1;
    else acknowledged += 1;
    if (operation.outcome !== "ok" || typeof operation.result !== "number") continue;
    const other = handedOut.get(operation.result);
    if (other !== undefined) {
      return violation("exactly-once", `${describe(operation)} repeats ${describe(other)}`);
    }
    handedOut.set(operation.result, operation);
  }
  if (value < acknowledged) {
    return violation("lost-write", `${key} is ${value}, and ${acknowledged} were acknowledged`);
  }
  if (value > acknowledged + unknown) {
    const most = `${acknowledged} were acknowledged and ${unknown} may have been applied`;
    return violation("exactly-once", `${key} is ${value}, and ${most}`);
  }
  return null;
}

/**
 * The same on lists: no token twice in any read, none that failed or was never sent, each read a
 * prefix of the final value, and every acknowledged token in it (unless its concern let it be
 * lost).
 */
export function checkLists(
  operations: readonly Operation[],
  finals: FinalValues,
  isList: (key: string) => boolean,
): Violation | null {
  for (const [key, ofKey] of byKey(operations.filter(({ key }) => isList(key)))) {
    const found = checkList(key, ofKey, finals.get(key) ?? "");
    if (found !== null) return found;
  }
  return null;
}

function checkList(key: string, operations: readonly Operation[], value: string): Violation | null {
  const writers = new Map<string, Operation>();
  for (const operation of operations) {
    if (operation.action.kind === "append") writers.set(operation.action.token, operation);
  }
  const bad = checkTokens(`the final value of ${key}`, value, writers);
  if (bad !== null) return bad;
  for (const read of operations) {
    if (read.action.kind !== "get" || read.outcome !== "ok") continue;
    const text = typeof read.result === "string" ? read.result : "";
    const wrong = checkTokens(describe(read), text, writers);
    if (wrong !== null) return wrong;
    if (!value.startsWith(text)) {
      return violation("lost-write", `${describe(read)} is no prefix of the final value ${value}`);
    }
  }
  return checkPresent(key, operations, value);
}

function checkTokens(
  where: string,
  value: string,
  writers: ReadonlyMap<string, Operation>,
): Violation | null {
  const seen = new Set<string>();
  for (const token of tokensOf(value)) {
    const writer = writers.get(token);
    if (writer === undefined) {
      return violation("outcome-honesty", `${where} holds ${token}, which nobody wrote`);
    }
    if (writer.outcome === "fail") {
      const text = `${where} holds what was reported as not applied: ${describe(writer)}`;
      return violation("outcome-honesty", text);
    }
    if (seen.has(token)) return violation("exactly-once", `${where} holds ${token} twice`);
    seen.add(token);
  }
  return null;
}

function checkPresent(
  key: string,
  operations: readonly Operation[],
  value: string,
): Violation | null {
  const present = new Set(tokensOf(value));
  for (const operation of operations) {
    if (operation.action.kind !== "append" || operation.outcome !== "ok") continue;
    if (operation.promised === "strong" && !present.has(operation.action.token)) {
      const text = `the final value of ${key} lacks ${describe(operation)}`;
      return violation("lost-write", text);
    }
  }
  return null;
}

/** GEN1 on registers: what was reported as not applied, or was never sent, is never read. */
export function checkRegisterReads(
  operations: readonly Operation[],
  isRegister: (key: string) => boolean,
): Violation | null {
  const writers = new Map<string, Operation>();
  for (const operation of operations) {
    if ("value" in operation.action) writers.set(operation.action.value, operation);
  }
  for (const read of operations) {
    if (!isRegister(read.key) || typeof read.result !== "string" || read.outcome !== "ok") continue;
    const writer = writers.get(read.result);
    if (writer === undefined || writer.key !== read.key) {
      return violation("outcome-honesty", `${describe(read)} reads what nobody wrote`);
    }
    if (writer.outcome === "fail") {
      const text = `${describe(read)} reads what was not applied: ${describe(writer)}`;
      return violation("outcome-honesty", text);
    }
  }
  return null;
}

function violation(oracle: string, message: string): Violation {
  return { oracle, message };
}
