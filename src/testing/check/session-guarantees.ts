import { describe, type Operation, type Place, type Violation } from "./history.ts";
import { tokensOf } from "./models.ts";

/** What holds for a key: lists only get longer, counters only greater. Others are not looked at. */
export type Growth = "list" | "counter" | "other";

/** The term of the entry that is committed at an index; undefined where none is known to be. */
export type CommittedTerm = (index: number) => number | undefined;

/** What a session has seen of one key. */
interface Seen {
  /** The longest list that it has read, and the tokens that it was promised to have written. */
  text: string;
  readonly tokens: Map<string, Operation>;
  /** The greatest number that it has read or been answered. */
  number: number;
  by: Operation | null;
}

/** What a session has seen in all. */
interface Session {
  readonly keys: Map<string, Seen>;
  /** The latest place that it was told, as the order of terms and indexes has it. */
  top: Place | null;
  /** Every place that it was told is known here: then the server's session ends at `top`. */
  isExact: boolean;
}

/**
 * Read-your-writes and monotonic reads per session (Terry et al. 1994), across tokens: a `session`
 * read sees what its process has written and read before, and what the processes had by the answer
 * from which it took a token. And the entry that the session names last is really committed if the
 * read is answered, and really is not if it is told to be lost (LEAD7).
 *
 * It goes through the operations in order of invocation: a process's earlier ones, and the one
 * whose token is handed on, come before.
 */
export function checkSessions(
  operations: readonly Operation[],
  growthOf: (key: string) => Growth,
  committedTerm: CommittedTerm,
): Violation | null {
  const sessions = new Map<number, Session>();
  const handedOn = new Set(operations.map(({ inherits }) => inherits));
  const asOf = new Map<number, Session>();
  for (const operation of operations) {
    const before = sessions.get(operation.process) ?? newSession();
    const { inherits } = operation;
    const session = inherits === null ? before : joined(before, asOf.get(inherits));
    if (operation.promised === "session") {
      const found =
        checkRead(operation, session, growthOf(operation.key)) ??
        checkPlace(operation, session, committedTerm);
      if (found !== null) return found;
    }
    // What a token told is the session's own from the first answer on.
    if (operation.outcome === "ok") {
      see(session, operation, growthOf(operation.key));
      sessions.set(operation.process, session);
    }
    if (handedOn.has(operation.id)) asOf.set(operation.id, copyOf(session));
  }
  return null;
}

function newSession(): Session {
  return { keys: new Map(), top: null, isExact: true };
}

function seenOf(session: Session, key: string): Seen {
  const seen = session.keys.get(key) ?? { text: "", tokens: new Map(), number: 0, by: null };
  session.keys.set(key, seen);
  return seen;
}

function see(session: Session, operation: Operation, growth: Growth): void {
  const { action, result, place } = operation;
  if (place === null) session.isExact = false;
  else session.top = laterOf(session.top, place);
  const seen = seenOf(session, operation.key);
  if (growth === "list" && action.kind === "append" && operation.promised === "strong") {
    seen.tokens.set(action.token, operation);
  }
  if (growth === "list" && action.kind === "get" && typeof result === "string") {
    seeText(seen, result, operation);
  }
  if (growth === "counter" && result !== undefined) seeNumber(seen, Number(result ?? 0), operation);
}

function seeText(seen: Seen, text: string, by: Operation): void {
  if (text.length <= seen.text.length) return;
  seen.text = text;
  seen.by = by;
}

function seeNumber(seen: Seen, number: number, by: Operation): void {
  if (number <= seen.number) return;
  seen.number = number;
  seen.by = by;
}

function inherit(session: Session, from: Session | undefined): void {
  // A token may tell more than its answer did: what was answered to others meanwhile.
  session.isExact = false;
  if (from === undefined) return;
  for (const [key, theirs] of from.keys) {
    const ours = seenOf(session, key);
    for (const [token, by] of theirs.tokens) ours.tokens.set(token, by);
    if (theirs.by === null) continue;
    seeText(ours, theirs.text, theirs.by);
    seeNumber(ours, theirs.number, theirs.by);
  }
}

function copyOf(session: Session): Session {
  const copy = newSession();
  inherit(copy, session);
  return copy;
}

function joined(session: Session, other: Session | undefined): Session {
  const both = copyOf(session);
  inherit(both, other);
  return both;
}

function laterOf(a: Place | null, b: Place): Place {
  if (a === null || b.term > a.term) return b;
  return b.term === a.term && b.index > a.index ? b : a;
}

function checkRead(read: Operation, session: Session, growth: Growth): Violation | null {
  const seen = session.keys.get(read.key);
  if (read.outcome !== "ok" || seen === undefined) return null;
  if (growth === "counter") {
    return Number(read.result ?? 0) < seen.number ? goesBack(read, seen.by) : null;
  }
  if (growth !== "list") return null;
  const text = typeof read.result === "string" ? read.result : "";
  if (!text.startsWith(seen.text)) return goesBack(read, seen.by);
  const tokens = new Set(tokensOf(text));
  for (const [token, write] of seen.tokens) {
    if (!tokens.has(token)) {
      const message = `${describe(read)} misses a write of its session: ${describe(write)}`;
      return { oracle: "read-your-writes", message };
    }
  }
  return null;
}

function goesBack(read: Operation, before: Operation | null): Violation {
  const known = before === null ? "what it had seen" : describe(before);
  const message = `${describe(read)} is older than what its session has seen: ${known}`;
  return { oracle: "monotonic-reads", message };
}

function checkPlace(
  read: Operation,
  { top, isExact }: Session,
  committedTerm: CommittedTerm,
): Violation | null {
  if (top === null || !isExact) return null;
  const term = committedTerm(top.index);
  if (read.outcome === "ok" && term !== top.term) {
    const there = term === undefined ? "nothing is committed" : `one of term ${term} is committed`;
    const message = `${describe(read)} is answered though its session has seen entry ${top.index} of term ${top.term}, where ${there}`;
    return { oracle: "session-lost", message };
  }
  if (read.error === "SESSION_LOST" && term === top.term) {
    const message = `${describe(read)} is told that entry ${top.index} of term ${term} is lost; it is committed`;
    return { oracle: "session-lost", message };
  }
  return null;
}
