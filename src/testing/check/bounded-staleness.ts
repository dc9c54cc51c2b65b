import { byKey, describe, type Operation, type Violation } from "./history.ts";
import { tokensOf } from "./models.ts";
import type { Growth } from "./session-guarantees.ts";

/**
 * LEAD6 as clients see it: a `bounded` read sees every write that anybody was told to be committed
 * longer before the read was sent than its bound.
 */
export function checkBounded(
  operations: readonly Operation[],
  growthOf: (key: string) => Growth,
): Violation | null {
  for (const [key, ofKey] of byKey(operations)) {
    const growth = growthOf(key);
    if (growth === "other") continue;
    const writes = ofKey.filter(isAcknowledged);
    for (const read of ofKey) {
      if (read.promised !== "bounded" || read.outcome !== "ok") continue;
      const found = checkRead(read, writes, growth);
      if (found !== null) return found;
    }
  }
  return null;
}

function isAcknowledged({ action, outcome, promised }: Operation): boolean {
  return action.kind !== "get" && outcome === "ok" && promised === "strong";
}

function checkRead(
  read: Operation,
  writes: readonly Operation[],
  growth: "list" | "counter",
): Violation | null {
  if (read.staleMax === null) throw new Error(`a bounded read without a bound: ${describe(read)}`);
  const until = read.invoked - read.staleMax;
  const text = typeof read.result === "string" ? read.result : "";
  const tokens = new Set(growth === "list" ? tokensOf(text) : []);
  for (const write of writes) {
    if (write.completed >= until || isSeen(write, tokens, Number(text))) continue;
    const message = `${describe(read)} may be ${read.staleMax} old and misses ${describe(write)}`;
    return { oracle: "bounded-staleness", message };
  }
  return null;
}

function isSeen(write: Operation, tokens: ReadonlySet<string>, number: number): boolean {
  if (write.action.kind === "append") return tokens.has(write.action.token);
  return typeof write.result !== "number" || number >= write.result;
}
