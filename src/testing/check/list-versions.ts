import type { Dependency } from "./dependency-graph.ts";
import type { Anomaly } from "./elle.ts";
import {
  describeList,
  describeTransaction,
  nameOf,
  type Transaction,
} from "./transaction-history.ts";

/** Who appended an element. */
interface Writer {
  readonly transaction: Transaction;
  /** Which of the transaction's steps it was. */
  readonly step: number;
  /** Whether its transaction appended nothing more to the key. */
  readonly isLast: boolean;
}

/** What a transaction found of a key that others had made. */
interface ExternalRead {
  readonly transaction: Transaction;
  readonly key: string;
  readonly elements: readonly string[];
  /** Whether it appended to the key afterwards. */
  readonly isUpdated: boolean;
}

/**
 * What the reads of a history tell about each list: in which order its elements came, and what is
 * wrong with that already (Elle, §3 and §6.1).
 */
export class ListVersions {
  readonly anomalies: Anomaly[] = [];
  readonly #writers = new Map<string, Map<string, Writer>>();
  readonly #reads: ExternalRead[] = [];
  /** Per key the longest list that was read: every other read is its beginning. */
  readonly #longest = new Map<string, readonly string[]>();
  /** Transactions some of whose elements were read. */
  readonly #seen = new Set<number>();

  constructor(transactions: readonly Transaction[]) {
    for (const transaction of transactions) this.#noteAppends(transaction);
    for (const transaction of transactions) {
      // What was found in vain, or was not learned, says nothing.
      if (transaction.outcome === "ok") this.#noteReads(transaction);
    }
    for (const read of this.#reads) this.#checkElements(read);
    for (const read of this.#reads) this.#checkOrder(read);
    this.#checkUpdates();
  }

  /** Whether it took effect, as far as anybody knows. */
  hasHappened({ id, outcome }: Transaction): boolean {
    return outcome === "ok" || (outcome === "info" && this.#seen.has(id));
  }

  #noteAppends(transaction: Transaction): void {
    const { steps } = transaction;
    steps.forEach((step, i) => {
      if (step.kind !== "append") return;
      const { key, element } = step;
      const ofKey = this.#writers.get(key) ?? new Map<string, Writer>();
      this.#writers.set(key, ofKey);
      if (ofKey.has(element)) throw new Error(`${element} is appended to ${key} twice`);
      const isLast = !steps.slice(i + 1).some((other) => isAppendTo(other, key));
      ofKey.set(element, { transaction, step: i, isLast });
    });
  }

  /**
   * A transaction sees its own appends, and otherwise always the same (Elle, §6.1). What
   * it found besides its own was made by others.
   */
  #noteReads(transaction: Transaction): void {
    const expected = new Map<string, string[]>();
    const own = new Map<string, string[]>();
    transaction.steps.forEach((step, i) => {
      const { key } = step;
      if (step.kind === "append") {
        expected.get(key)?.push(step.element);
        own.set(key, [...(own.get(key) ?? []), step.element]);
        return;
      }
      if (step.elements === undefined) return;
      const before = expected.get(key);
      const mine = own.get(key) ?? [];
      const rest = step.elements.slice(0, step.elements.length - mine.length);
      const isConsistent =
        before === undefined
          ? equals(step.elements.slice(rest.length), mine)
          : equals(step.elements, before);
      if (!isConsistent) this.#addInternal(transaction, key, before ?? mine);
      else if (before === undefined) {
        const isUpdated = transaction.steps.slice(i + 1).some((other) => isAppendTo(other, key));
        this.#reads.push({ transaction, key, elements: rest, isUpdated });
      }
      expected.set(key, [...step.elements]);
    });
  }

  #addInternal(transaction: Transaction, key: string, expected: readonly string[]): void {
    const text = `${describeTransaction(transaction)} should have found ${key} to end with ${describeList(expected)}`;
    this.anomalies.push({ name: "internal", message: text });
  }

  #checkElements({ transaction, key, elements }: ExternalRead): void {
    const reader = describeTransaction(transaction);
    const found = new Set<string>();
    const steps = new Map<number, number>();
    elements.forEach((element, i) => {
      if (found.has(element)) {
        const message = `${reader} finds ${element} twice in ${key}`;
        this.anomalies.push({ name: "duplicate-elements", message });
      }
      found.add(element);
      const writer = this.#writers.get(key)?.get(element);
      if (writer === undefined || writer.transaction === transaction) {
        const who = writer === undefined ? "nobody appended" : "it has not yet appended";
        const message = `${reader} finds ${element} in ${key}, which ${who}`;
        this.anomalies.push({ name: "garbage-read", message });
        return;
      }
      this.#seen.add(writer.transaction.id);
      const by = describeTransaction(writer.transaction);
      if (writer.step < (steps.get(writer.transaction.id) ?? 0)) {
        const message = `${reader} finds elements of ${key} not as they were appended by ${by}`;
        this.anomalies.push({ name: "incompatible-order", message });
      }
      steps.set(writer.transaction.id, writer.step);
      if (writer.transaction.outcome === "fail") {
        const message = `${reader} finds ${element} in ${key} of one that was aborted: ${by}`;
        this.anomalies.push({ name: "G1a", message });
      } else if (i === elements.length - 1 && !writer.isLast) {
        const message = `${reader} finds ${key} as it was in the midst of ${by}`;
        this.anomalies.push({ name: "G1b", message });
      }
    });
  }

  #checkOrder(read: ExternalRead): void {
    const { transaction, key, elements } = read;
    const longest = this.#longest.get(key) ?? [];
    const isLonger = elements.length > longest.length;
    const [short, long] = isLonger ? [longest, elements] : [elements, longest];
    if (isLonger) this.#longest.set(key, elements);
    if (isBeginning(short, long)) return;
    const message = `${describeTransaction(transaction)} finds ${key} as no beginning or continuation of ${describeList(longest)}, which another has found`;
    this.anomalies.push({ name: "incompatible-order", message });
  }

  /** Two that began with the same and both changed it: one did not see what the other did. */
  #checkUpdates(): void {
    const updates = new Map<string, Transaction[]>();
    for (const { transaction, key, elements, isUpdated } of this.#reads) {
      if (!isUpdated) continue;
      const version = JSON.stringify([key, elements.length, elements.at(-1)]);
      const others = updates.get(version) ?? [];
      updates.set(version, [...others, transaction]);
    }
    for (const [version, of] of updates) {
      if (of.length < 2) continue;
      const [key] = JSON.parse(version) as [string];
      const all = of.map(describeTransaction).join("\n  ");
      const message = `all of these found the same in ${key} and appended to it:\n  ${all}`;
      this.anomalies.push({ name: "lost-update", message });
    }
  }

  /** Which transaction depends on which by the data (Elle, §4.3.2). */
  *dependencies(): Iterable<Dependency> {
    for (const [key, ofKey] of this.#writers) yield* this.#writeOrder(key, ofKey);
    for (const read of this.#reads) yield* this.#aroundRead(read);
  }

  #writerOf(key: string, element: string | undefined): Transaction | null {
    if (element === undefined) return null;
    const transaction = this.#writers.get(key)?.get(element)?.transaction;
    return transaction !== undefined && this.hasHappened(transaction) ? transaction : null;
  }

  /** Of transactions that took effect, and in no list that anybody read. */
  #unread(key: string, ofKey: ReadonlyMap<string, Writer>): [string, Transaction][] {
    const longest = new Set(this.#longest.get(key) ?? []);
    const unread: [string, Transaction][] = [];
    for (const [element, { transaction }] of ofKey) {
      if (this.hasHappened(transaction) && !longest.has(element))
        unread.push([element, transaction]);
    }
    return unread;
  }

  *#writeOrder(key: string, ofKey: ReadonlyMap<string, Writer>): Iterable<Dependency> {
    const longest = this.#longest.get(key) ?? [];
    let before: readonly [string, Transaction] | null = null;
    for (const element of longest) {
      const writer = this.#writerOf(key, element);
      if (writer === null) continue;
      if (before !== null) yield writtenBefore(key, before, [element, writer]);
      before = [element, writer];
    }
    if (before === null) return;
    for (const unread of this.#unread(key, ofKey)) yield writtenBefore(key, before, unread);
  }

  *#aroundRead({ transaction, key, elements }: ExternalRead): Iterable<Dependency> {
    const longest = this.#longest.get(key) ?? [];
    if (!isBeginning(elements, longest)) return;
    const last = elements.at(-1);
    const writer = this.#writerOf(key, last);
    const reader = nameOf(transaction);
    if (writer !== null) {
      const why = `${reader} found ${last} in ${key}, which ${nameOf(writer)} appended`;
      yield { from: writer.id, to: transaction.id, kind: "wr", why };
    }
    const next = longest[elements.length];
    const later: (readonly [string, Transaction | null])[] =
      next === undefined
        ? this.#unread(key, this.#writers.get(key) ?? new Map())
        : [[next, this.#writerOf(key, next)]];
    for (const [element, overwriter] of later) {
      if (overwriter === null) continue;
      const why = `${reader} found ${key} without ${element}, which ${nameOf(overwriter)} appended`;
      yield { from: transaction.id, to: overwriter.id, kind: "rw", why };
    }
  }
}

function writtenBefore(
  key: string,
  [element, writer]: readonly [string, Transaction],
  [nextElement, next]: readonly [string, Transaction],
): Dependency {
  const why = `${nameOf(writer)} appended ${element} to ${key} before ${nameOf(next)} appended ${nextElement}`;
  return { from: writer.id, to: next.id, kind: "ww", why };
}

function isAppendTo(step: Transaction["steps"][number], key: string): boolean {
  return step.kind === "append" && step.key === key;
}

function isBeginning(short: readonly string[], long: readonly string[]): boolean {
  return short.length <= long.length && short.every((element, i) => long[i] === element);
}

function equals(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && isBeginning(a, b);
}
