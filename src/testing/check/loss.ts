import type { FinalValues } from "./exactly-once.ts";
import { describe, isWrite, type Operation, type Violation } from "./history.ts";
import { tokensOf } from "./models.ts";
import type { CommittedTerm } from "./session-guarantees.ts";

/** How durable a write was to be before it was answered (LEAD4). */
export type WriteConcern = "leader" | "majority" | "all" | number;

/** What went wrong while a history was made, as far as it matters to what may be lost. */
export interface Faults {
  /** Voters that there are. */
  readonly nodes: number;
  /**
   * A node that led stopped, hung or was cut off. Moving leadership on purpose is not that: it
   * loses nothing.
   */
  readonly hasLeaderFailed: boolean;
  /** Disks whose contents are gone for good. */
  readonly disksLost: number;
  /** At some time no process ran. */
  readonly wereAllKilled: boolean;
}

/** Nothing went wrong. */
export function noFaults(nodes: number): Faults {
  return { nodes, hasLeaderFailed: false, disksLost: 0, wereAllKilled: false };
}

/**
 * Why an acknowledged write of this concern may be missing after these faults, by the table in
 * `docs/guarantees.md`; null: it may not.
 */
export function excuseFor(concern: WriteConcern, faults: Faults): string | null {
  const { nodes, hasLeaderFailed, disksLost, wereAllKilled } = faults;
  const majority = Math.floor(nodes / 2) + 1;
  if (disksLost >= majority) return `${disksLost} of ${nodes} disks were lost`;
  const isCommitted =
    concern === "majority" ||
    concern === "all" ||
    (typeof concern === "number" && concern >= majority);
  if (isCommitted) return null;
  if (hasLeaderFailed) return "a leader failed";
  if (disksLost > 0) return "a disk was lost";
  return wereAllKilled ? "all processes were killed" : null;
}

/**
 * Every acknowledged append to a list is in its final value, but for those that their concern lets
 * go after what went wrong.
 */
export function checkLoss(
  operations: readonly Operation[],
  finals: FinalValues,
  isList: (key: string) => boolean,
  concernOf: (operation: Operation) => WriteConcern,
  faults: Faults,
): Violation | null {
  const present = new Map<string, ReadonlySet<string>>();
  for (const operation of operations) {
    const { key, action, outcome } = operation;
    if (!isList(key) || action.kind !== "append" || outcome !== "ok") continue;
    const tokens = present.get(key) ?? new Set(tokensOf(finals.get(key) ?? ""));
    present.set(key, tokens);
    if (tokens.has(action.token)) continue;
    const concern = concernOf(operation);
    if (excuseFor(concern, faults) !== null) continue;
    const message = `${describe(operation)}, acknowledged by ${concern}, is missing, and nothing that went wrong excuses it`;
    return { oracle: "lost-write", message };
  }
  return null;
}

/**
 * LEAD4 from within: where a write stands that was acknowledged as committed, that very entry is
 * committed. Unlike the values that are there at the end, this also shows a loss that was written
 * over.
 */
export function checkPlaces(
  operations: readonly Operation[],
  committedTerm: CommittedTerm,
): Violation | null {
  for (const operation of operations) {
    const { action, outcome, promised, place } = operation;
    if (!isWrite(action) || outcome !== "ok" || promised !== "strong" || place === null) continue;
    const term = committedTerm(place.index);
    if (term === place.term) continue;
    const there = term === undefined ? "nothing" : `one of term ${term}`;
    const message = `${describe(operation)} stands at entry ${place.index} of term ${place.term}, where ${there} is committed`;
    return { oracle: "lost-write", message };
  }
  return null;
}
