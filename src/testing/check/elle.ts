import { defined } from "../../core/base/assert.ts";
import { type Dependency, DependencyGraph, type DependencyKind } from "./dependency-graph.ts";
import type { Violation } from "./history.ts";
import { ListVersions } from "./list-versions.ts";
import { describeTransaction, nameOf, type Transaction } from "./transaction-history.ts";

/** A cycle's class: it is the worse the fewer kinds of dependencies it needs. */
export type CycleClass = "G0" | "G1c" | "G-single" | "G2";

/** What besides the data orders the transactions of a cycle, if that is needed. */
export type CycleSuffix = "" | "-process" | "-realtime";

/** The names that Elle gives to what can be wrong with transactions on lists (§6 and §6.1). */
export type AnomalyName =
  | "duplicate-elements"
  | "garbage-read"
  | "incompatible-order"
  | "internal"
  | "G1a"
  | "G1b"
  | "lost-update"
  | `${CycleClass}${CycleSuffix}`;

/** One thing that no serial execution explains, and the transactions that show it. */
export interface Anomaly {
  readonly name: AnomalyName;
  readonly message: string;
}

/** What a cycle consists of besides data: with all of it, what holds is strict serializability. */
const FLAVOURS: readonly (readonly [CycleSuffix, readonly DependencyKind[]])[] = [
  ["", []],
  ["-process", ["process"]],
  ["-realtime", ["process", "realtime"]],
];

/** Every kind of dependency that there is. */
const EVERY_KIND = new Set<DependencyKind>(["ww", "wr", "rw", "process", "realtime"]);

/**
 * Judges transactions that read lists and append to them, as Elle does (Kingsbury and Alvaro, VLDB
 * 2020): what was read tells in which order elements were appended and by whom (§3, traceability
 * and recoverability), and that tells which transaction must have come before which (§4.3.2). A
 * cycle is an anomaly (§6). The time it takes grows as the history does, while there is none.
 *
 * A transaction of unknown outcome did happen if somebody has read what it appended (§4.2.2);
 * nothing depends on one of which nobody has.
 *
 * We depart from Elle in one thing: an element that took effect and that no read has found comes
 * behind all that reads have found, since lists only grow. So a lost append shows as a cycle.
 *
 * Empty if the transactions are strictly serializable as far as that can be told.
 */
export function findAnomalies(transactions: readonly Transaction[]): readonly Anomaly[] {
  const versions = new ListVersions(transactions);
  return [...versions.anomalies, ...findCycles(transactions, versions)];
}

/** The same as a finding of an oracle; null if all is well. */
export function checkTransactions(transactions: readonly Transaction[]): Violation | null {
  const [first, ...others] = findAnomalies(transactions);
  if (first === undefined) return null;
  const more = others.length === 0 ? "" : `\n  and ${others.map(({ name }) => name).join(", ")}`;
  return { oracle: "transactions", message: `${first.name}: ${first.message}${more}` };
}

function findCycles(transactions: readonly Transaction[], versions: ListVersions): Anomaly[] {
  const graph = new DependencyGraph(transactions.length);
  for (const dependency of versions.dependencies()) graph.add(dependency);
  const happened = transactions.filter((transaction) => versions.hasHappened(transaction));
  for (const dependency of processOrder(happened)) graph.add(dependency);
  for (const dependency of realTimeOrder(happened)) graph.add(dependency);
  if (graph.components(EVERY_KIND).every((component) => component === -1)) return [];

  const found: Anomaly[] = [];
  const classes = new Set<CycleClass>();
  for (const [suffix, extra] of FLAVOURS) {
    for (const [name, cycle] of cyclesOf(graph, extra)) {
      // With more to order them by, what was found without it would only be found again.
      if (cycle === null || classes.has(name)) continue;
      if (name === "G2" && classes.has("G-single")) continue;
      classes.add(name);
      found.push({ name: `${name}${suffix}`, message: describeCycle(cycle, transactions) });
    }
  }
  return found;
}

/** By what they begin with and how they go back (Elle, §6): the worst come first. */
function* cyclesOf(
  graph: DependencyGraph,
  extra: readonly DependencyKind[],
): Iterable<readonly [CycleClass, Dependency[] | null]> {
  yield ["G0", graph.cycle("ww", new Set(["ww", ...extra]))];
  yield ["G1c", graph.cycle("wr", new Set(["ww", "wr", ...extra]))];
  yield ["G-single", graph.cycle("rw", new Set(["ww", "wr", ...extra]))];
  // Only asked for what has no way back without another anti-dependency.
  yield ["G2", graph.cycle("rw", new Set(["ww", "wr", "rw", ...extra]))];
}

/** GEN2: the transactions of a connection take effect in the order they were sent (Elle, §5.1). */
function* processOrder(happened: readonly Transaction[]): Iterable<Dependency> {
  const latest = new Map<number, Transaction>();
  for (const transaction of happened) {
    const before = latest.get(transaction.process);
    latest.set(transaction.process, transaction);
    if (before === undefined) continue;
    const why = `p${transaction.process} sent ${nameOf(before)} before ${nameOf(transaction)}`;
    yield { from: before.id, to: transaction.id, kind: "process", why };
  }
}

/**
 * What had ended before another began (Elle, §5.1): only from those that ended last, since what
 * ended before one of these began is before it already.
 */
function* realTimeOrder(happened: readonly Transaction[]): Iterable<Dependency> {
  const events = happened.flatMap((transaction) => {
    const { invoked, completed } = transaction;
    const begin = { at: invoked, isEnd: false, transaction };
    return Number.isFinite(completed)
      ? [begin, { at: completed, isEnd: true, transaction }]
      : [begin];
  });
  // At one instant what begins comes first: it overlaps with what ends.
  events.sort((a, b) => a.at - b.at || Number(a.isEnd) - Number(b.isEnd));
  let last: Transaction[] = [];
  for (const { isEnd, transaction } of events) {
    if (isEnd) {
      last = last.filter(({ completed }) => completed >= transaction.invoked);
      last.push(transaction);
      continue;
    }
    for (const before of last) {
      const why = `${nameOf(before)} had ended when ${nameOf(transaction)} began`;
      yield { from: before.id, to: transaction.id, kind: "realtime", why };
    }
  }
}

function describeCycle(cycle: readonly Dependency[], transactions: readonly Transaction[]): string {
  const name = (id: number) => nameOf(defined(transactions[id], "a transaction"));
  const way = cycle.map(({ from, kind }) => `${name(from)} -${kind}->`).join(" ");
  const members = cycle.map(({ from }) => describeTransaction(transactions[from]!));
  const reasons = cycle.map(({ why }) => why);
  return [`${way} ${name(cycle[0]!.from)}`, ...members, ...reasons].join("\n  ");
}
