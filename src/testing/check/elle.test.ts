import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkTransactions, findAnomalies } from "./elle.ts";
import type { OperationOutcome } from "./history.ts";
import { type Step, type Transaction, TransactionHistory } from "./transaction-history.ts";

/** A process, its steps as `x+1` (append) or `x=1,2` (read), from when to when, the outcome. */
type Spec = readonly [
  process: number,
  steps: string,
  from: number,
  to: number,
  outcome?: OperationOutcome,
];

const NEVER = Number.POSITIVE_INFINITY;

function stepOf(text: string): Step {
  const [key = "", rest = ""] = text.split(/[+=]/);
  if (text.includes("+")) return { kind: "append", key, element: rest };
  return { kind: "read", key, elements: rest === "" ? [] : rest.split(",") };
}

function history(specs: readonly Spec[]): Transaction[] {
  return specs.map(([process, text, invoked, to, outcome = "ok"], id) => {
    const completed = outcome === "info" ? NEVER : to;
    const steps = text.split(" ").filter(Boolean).map(stepOf);
    return { id, process, steps, invoked, completed, outcome };
  });
}

function names(specs: readonly Spec[]): string[] {
  return findAnomalies(history(specs)).map(({ name }) => name);
}

interface Pair {
  readonly title: string;
  /** What is found in the bad one, all of it. */
  readonly found: readonly string[];
  readonly bad: readonly Spec[];
  /** The same but for as little as possible; nothing is found. */
  readonly good: readonly Spec[];
}

const PAIRS: readonly Pair[] = [
  {
    title: "two that appended to two lists in opposite orders (G0)",
    found: ["G0"],
    bad: [
      [1, "x+1 y+1", 1, 9],
      [2, "x+2 y+2", 1, 9],
      [3, "x=1,2 y=2,1", 1, 9],
    ],
    good: [
      [1, "x+1 y+1", 1, 9],
      [2, "x+2 y+2", 1, 9],
      [3, "x=1,2 y=1,2", 1, 9],
    ],
  },
  {
    title: "an element that came between those of one transaction (G0)",
    found: ["G0"],
    bad: [
      [1, "x+1 x+2", 1, 9],
      [2, "x+3", 1, 9],
      [3, "x=1,3,2", 1, 9],
    ],
    good: [
      [1, "x+1 x+2", 1, 9],
      [2, "x+3", 1, 9],
      [3, "x=1,2,3", 1, 9],
    ],
  },
  {
    title: "what an aborted transaction appended is read (G1a)",
    found: ["G1a"],
    bad: [
      [1, "x+1", 1, 2, "fail"],
      [2, "x=1", 3, 4],
    ],
    good: [
      [1, "x+1", 1, 2, "info"],
      [2, "x=1", 3, 4],
    ],
  },
  {
    title: "a list as it was in the midst of a transaction (G1b)",
    found: ["G1b", "G-single"],
    bad: [
      [1, "x+1 x+2", 1, 9],
      [2, "x=1", 1, 9],
    ],
    good: [
      [1, "x+1 y+2", 1, 9],
      [2, "x=1", 1, 9],
    ],
  },
  {
    title: "two that saw each other's appends (G1c)",
    found: ["G1c"],
    bad: [
      [1, "x+1 y=2", 1, 9],
      [2, "y+2 x=1", 1, 9],
    ],
    good: [
      [1, "x+1 y=2", 1, 9],
      [2, "y+2 x=", 1, 9],
    ],
  },
  {
    title: "a read of half of a transaction (G-single)",
    found: ["G-single"],
    bad: [
      [1, "x+1 y+1", 1, 9],
      [2, "x=1 y=", 1, 9],
      [3, "x=1 y=1", 1, 9],
    ],
    good: [
      [1, "x+1 y+1", 1, 9],
      [2, "x= y=", 1, 9],
      [3, "x=1 y=1", 1, 9],
    ],
  },
  {
    title: "two that each missed what the other appended: write skew (G2)",
    found: ["G2"],
    bad: [
      [1, "x= y+1", 1, 9],
      [2, "y= x+1", 1, 9],
      [3, "x=1 y=1", 10, 12],
    ],
    good: [
      [1, "x= y+1", 1, 9],
      [2, "y=1 x+1", 1, 9],
      [3, "x=1 y=1", 10, 12],
    ],
  },
  {
    title: "two reads that disagree on which of two appends came first: a long fork (G2)",
    found: ["G2"],
    bad: [
      [1, "x+1", 1, 9],
      [2, "y+1", 1, 9],
      [3, "x=1 y=", 1, 9],
      [4, "x= y=1", 1, 9],
      [5, "x=1 y=1", 1, 9],
    ],
    good: [
      [1, "x+1", 1, 9],
      [2, "y+1", 1, 9],
      [3, "x=1 y=", 1, 9],
      [4, "x= y=", 1, 9],
      [5, "x=1 y=1", 1, 9],
    ],
  },
  {
    title: "two that read the same and both changed it (lost update)",
    found: ["lost-update", "G-single"],
    bad: [
      [1, "x= x+1", 1, 9],
      [2, "x= x+2", 1, 9],
      [3, "x=1,2", 10, 12],
    ],
    good: [
      [1, "x= x+1", 1, 9],
      [2, "x=1 x+2", 1, 9],
      [3, "x=1,2", 10, 12],
    ],
  },
  {
    title: "an update of which no trace is left (lost update)",
    found: ["lost-update", "G-single", "G0-realtime"],
    bad: [
      [1, "x= x+1", 1, 9],
      [2, "x= x+2", 1, 9],
      [3, "x=1", 10, 12],
      [3, "x+3", 13, 14],
      [3, "x=1,3", 15, 16],
    ],
    good: [
      [1, "x= x+1", 1, 9],
      [2, "x= x+2", 1, 9, "fail"],
      [3, "x=1", 10, 12],
      [3, "x+3", 13, 14],
      [3, "x=1,3", 15, 16],
    ],
  },
  {
    title: "a transaction that does not see its own append (internal)",
    found: ["internal"],
    bad: [[1, "x+1 x=", 1, 9]],
    good: [[1, "x+1 x=1", 1, 9]],
  },
  {
    title: "a transaction that reads one list twice, and otherwise (internal)",
    found: ["internal"],
    bad: [
      [1, "x+1", 1, 9],
      [2, "x= x=1", 1, 9],
    ],
    good: [
      [1, "x+1", 1, 9],
      [2, "x=1 x=1", 1, 9],
    ],
  },
  {
    title: "what came of its own append while it ran (internal)",
    found: ["internal"],
    bad: [
      [1, "x+1", 1, 9],
      [2, "x= x+2 x=1,2", 1, 9],
    ],
    good: [
      [1, "x+1", 1, 9],
      [2, "x=1 x+2 x=1,2", 1, 9],
    ],
  },
  {
    title: "one append twice (duplicate elements)",
    found: ["duplicate-elements"],
    bad: [
      [1, "x+1", 1, 2],
      [2, "x=1,1", 3, 4],
    ],
    good: [
      [1, "x+1", 1, 2],
      [2, "x=1", 3, 4],
    ],
  },
  {
    title: "two reads that no order of the appends explains (incompatible order)",
    found: ["incompatible-order"],
    bad: [
      [1, "x+1", 1, 9],
      [2, "x+2", 1, 9],
      [3, "x=1,2", 1, 9],
      [4, "x=2,1", 1, 9],
    ],
    good: [
      [1, "x+1", 1, 9],
      [2, "x+2", 1, 9],
      [3, "x=1,2", 1, 9],
      [4, "x=1", 1, 9],
    ],
  },
  {
    title: "a transaction's appends in another order than its own (incompatible order)",
    found: ["incompatible-order"],
    bad: [
      [1, "x+1 x+2", 1, 9],
      [2, "x+3", 1, 9],
      [3, "x=2,1,3", 1, 9],
    ],
    good: [
      [1, "x+1 x+2", 1, 9],
      [2, "x+3", 1, 9],
      [3, "x=1,2,3", 1, 9],
    ],
  },
  {
    title: "an element that nobody appended",
    found: ["garbage-read"],
    bad: [
      [1, "x+1", 1, 2],
      [2, "x=7", 1, 4],
    ],
    good: [
      [1, "x+7", 1, 2],
      [2, "x=7", 1, 4],
    ],
  },
  {
    title: "an element that its own transaction has yet to append",
    found: ["garbage-read"],
    bad: [[1, "x=1 x+1", 1, 2]],
    good: [[1, "x= x+1", 1, 2]],
  },
  {
    title: "an acknowledged append that a later transaction misses (G-single-realtime)",
    found: ["G-single-realtime"],
    bad: [
      [1, "x+1", 1, 2],
      [2, "x=", 3, 4],
    ],
    good: [
      [1, "x+1", 1, 3],
      [2, "x=", 3, 4],
    ],
  },
  {
    title: "an append of which later appends know nothing (G0-realtime)",
    found: ["G0-realtime"],
    bad: [
      [1, "x+1", 1, 2],
      [2, "x+2", 3, 4],
      [3, "x=2,1", 5, 6],
    ],
    good: [
      [1, "x+1", 1, 3],
      [2, "x+2", 3, 4],
      [3, "x=2,1", 5, 6],
    ],
  },
  {
    title: "a connection that no longer sees what it appended (G-single-process)",
    found: ["G-single-process"],
    bad: [
      [1, "x+1", 1, 9],
      [1, "x=", 2, 9],
    ],
    good: [
      [1, "x+1", 1, 9],
      [2, "x=", 2, 9],
    ],
  },
  {
    title: "transactions of one connection in the wrong order, the first of unknown outcome",
    found: ["G0-process"],
    bad: [
      [1, "x+1", 1, NEVER, "info"],
      [1, "x+2", 2, 9],
      [2, "x=2,1", 10, 12],
    ],
    good: [
      [1, "x+1", 1, NEVER, "info"],
      [3, "x+2", 2, 9],
      [2, "x=2,1", 10, 12],
    ],
  },
  {
    title: "half of a transaction of unknown outcome (G-single)",
    found: ["G-single"],
    bad: [
      [1, "x+1 y+1", 1, NEVER, "info"],
      [2, "x=1 y=", 5, 6],
      [2, "x=1 y=1", 7, 8],
    ],
    good: [
      [1, "x+1 y+1", 1, NEVER, "info"],
      [2, "x= y=", 5, 6],
      [2, "x=1 y=1", 7, 8],
    ],
  },
  {
    title: "a transaction of unknown outcome before it began (realtime)",
    found: ["G1c-realtime"],
    bad: [
      [2, "x=1", 1, 2],
      [1, "x+1", 3, NEVER, "info"],
    ],
    good: [
      [2, "x=1", 1, 3],
      [1, "x+1", 3, NEVER, "info"],
    ],
  },
];

describe("transactions on lists", () => {
  const titled = PAIRS.map((pair) => [pair.title, pair] as const);

  test.each(titled)("finds %s", (_, { bad, found }) => {
    expect(names(bad)).toEqual(found);
  });

  test.each(titled)("allows the twin of: %s", (_, { good }) => {
    expect(names(good)).toEqual([]);
  });

  test("a transaction of unknown outcome takes effect at any later time, or never", () => {
    const unknown: Spec = [1, "x+1 y+1", 1, NEVER, "info"];
    const before: Spec = [2, "x= y=", 5, 6];
    expect(names([unknown, before, [2, "x= y=", 50, 60]])).toEqual([]);
    expect(names([unknown, before, [2, "x=1 y=1", 50, 60]])).toEqual([]);
  });

  test("a report names the transactions, the cycle and the reasons", () => {
    const bad = history(PAIRS.find(({ title }) => title.includes("half of a transaction (G"))!.bad);
    expect(checkTransactions(bad)).toEqual({
      oracle: "transactions",
      message: [
        "G-single: T1 -rw-> T0 -wr-> T1",
        "  T1 p2 {read x [1], read y []} ok [1, 9]",
        "  T0 p1 {append x 1, append y 1} ok [1, 9]",
        "  T1 found y without 1, which T0 appended",
        "  T1 found 1 in x, which T0 appended",
      ].join("\n"),
    });
  });

  test("a cycle through many transactions is found, and long histories are no trouble", () => {
    const specs: Spec[] = [];
    const count = 2_000;
    for (let i = 0; i < count; i += 1) {
      specs.push([i % 8, `k${i}+1 k${(i + 1) % count}=${i === count - 1 ? "1" : ""}`, 1, 9]);
    }
    const transactions = history(specs).map((one) => ({ ...one, process: one.id }));
    expect(findAnomalies(transactions).map(({ name }) => name)).toEqual([]);
    const closing: Spec[] = [...specs.slice(0, -1), [1, `k${count - 1}+1 k0=`, 1, 9]];
    const closed = history(closing).map((one) => ({ ...one, process: one.id }));
    expect(findAnomalies(closed).map(({ name }) => name)).toEqual(["G2"]);
  });

  test("an element appended twice is a mistake of the history's, not a finding", () => {
    const twice = history([
      [1, "x+1", 1, 2],
      [2, "x+1", 3, 4],
    ]);
    expect(() => findAnomalies(twice)).toThrow("twice");
  });
});

/** A random draw of transactions, executed one after the other and then spread out in time. */
interface Serial {
  readonly transactions: readonly {
    readonly process: number;
    readonly steps: readonly (readonly [isRead: boolean, key: number])[];
    readonly outcome: OperationOutcome;
    readonly before: number;
    readonly after: number;
    /** Whether one of unknown outcome took effect. */
    readonly happened: boolean;
  }[];
}

function serial(transactionsMax: number, keys: number): fc.Arbitrary<Serial> {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(keys - 1)), { minLength: 1, maxLength: 3 });
  const one = fc.record({
    process: fc.nat(3),
    steps,
    outcome: fc.constantFrom<OperationOutcome>("ok", "ok", "ok", "info", "fail"),
    before: fc.nat(25),
    after: fc.nat(25),
    happened: fc.boolean(),
  });
  return fc.record({
    transactions: fc.array(one, { minLength: 1, maxLength: transactionsMax }),
  });
}

/** Executes one after the other: the one at place i takes effect at time 10 i + 30. */
function execute({ transactions }: Serial): Transaction[] {
  const lists = new Map<string, string[]>();
  const executed = transactions.map((one, place): Transaction => {
    const at = 10 * place + 30;
    const takesEffect = one.outcome === "ok" || (one.outcome === "info" && one.happened);
    const own = new Map<string, string[]>();
    const steps = one.steps.map(([isRead, number], i): Step => {
      const key = `k${number}`;
      const list = own.get(key) ?? [...(lists.get(key) ?? [])];
      own.set(key, list);
      if (isRead) {
        return { kind: "read", key, elements: one.outcome === "ok" ? [...list] : undefined };
      }
      list.push(`${place}.${i}`);
      return { kind: "append", key, element: `${place}.${i}` };
    });
    if (takesEffect) for (const [key, list] of own) lists.set(key, list);
    const completed = one.outcome === "info" ? NEVER : at + one.after;
    const { process, outcome } = one;
    return { id: 0, process, steps, invoked: at - one.before, completed, outcome };
  });
  // Within a process the order of invocation is that of effect, and ids follow it.
  const latest = new Map<number, number>();
  const ordered = executed.map((one) => {
    const invoked = Math.max(one.invoked, latest.get(one.process) ?? 0);
    latest.set(one.process, invoked);
    return { ...one, invoked };
  });
  ordered.sort((a, b) => a.invoked - b.invoked);
  return ordered.map((one, id) => ({ ...one, id }));
}

/** Tries every order, and every choice of those of unknown outcome. */
function isStrictlySerializable(transactions: readonly Transaction[]): boolean {
  const search = (left: readonly Transaction[], lists: ReadonlyMap<string, string[]>): boolean => {
    if (left.every(({ outcome }) => outcome !== "ok")) return true;
    return left.some((one) => {
      const isTooEarly = left.some(
        (other) =>
          other !== one &&
          other.outcome === "ok" &&
          (other.completed < one.invoked || (other.process === one.process && other.id < one.id)),
      );
      if (isTooEarly) return false;
      const after = applied(one, lists);
      if (after === null) return false;
      // One of unknown outcome that is passed over takes no effect any more (GEN2).
      const rest = left.filter(
        (other) => other !== one && !(other.process === one.process && other.id < one.id),
      );
      return search(rest, after);
    });
  };
  return search(
    transactions.filter(({ outcome }) => outcome !== "fail"),
    new Map(),
  );
}

function applied(
  { steps }: Transaction,
  lists: ReadonlyMap<string, string[]>,
): Map<string, string[]> | null {
  const after = new Map(lists);
  for (const step of steps) {
    const list = after.get(step.key) ?? [];
    if (step.kind === "append") after.set(step.key, [...list, step.element]);
    else if (step.elements !== undefined && step.elements.join() !== list.join()) return null;
  }
  return after;
}

/** One read of one transaction finds something else: shorter, longer, or in another order. */
function corrupted(transactions: readonly Transaction[], choice: number): Transaction[] {
  const reads = transactions.flatMap((one, i) =>
    one.outcome !== "ok"
      ? []
      : one.steps.flatMap((step, j) => (step.kind === "read" ? [[i, j] as const] : [])),
  );
  const target = reads[choice % Math.max(1, reads.length)];
  if (target === undefined) return [...transactions];
  const change = (elements: readonly string[], key: string): string[] => {
    const all = transactions.flatMap(({ steps }) =>
      steps.flatMap((step) => (step.kind === "append" && step.key === key ? [step.element] : [])),
    );
    const kind = Math.floor(choice / 64) % 4;
    if (kind === 0) return elements.slice(0, -1);
    if (kind === 1) return [...elements].reverse();
    if (kind === 2) return elements.slice(1);
    return [...elements, ...all.filter((element) => !elements.includes(element)).slice(0, 1)];
  };
  return transactions.map((one, i) =>
    i !== target[0]
      ? one
      : {
          ...one,
          steps: one.steps.map((step, j) =>
            j === target[1] && step.kind === "read"
              ? { ...step, elements: change(step.elements ?? [], step.key) }
              : step,
          ),
        },
  );
}

/** Every list is read at the end: then the order of all appends is known. */
function withLastReads(transactions: readonly Transaction[], keys: number): Transaction[] {
  const lists = new Map<string, readonly string[]>();
  for (const one of transactions) {
    for (const step of one.steps) {
      if (
        step.kind === "read" &&
        (step.elements?.length ?? 0) >= (lists.get(step.key)?.length ?? 0)
      )
        lists.set(step.key, step.elements ?? []);
    }
  }
  const names = Array.from({ length: keys }, (_, i) => `k${i}`);
  const steps = names.map((key): Step => ({ kind: "read", key, elements: lists.get(key) ?? [] }));
  const last = { id: transactions.length, process: 9, invoked: 9_000, completed: 9_001 };
  return [...transactions, { ...last, outcome: "ok", steps }];
}

describe("transactions drawn at random", () => {
  test("whatever was executed one after the other is allowed", () => {
    fc.assert(
      fc.property(serial(30, 3), (draw) => {
        expect(findAnomalies(execute(draw))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("what is found is not serializable; on tiny histories all that is not is found", () => {
    let rejected = 0;
    fc.assert(
      fc.property(serial(5, 2), fc.nat(1023), (draw, choice) => {
        const transactions = withLastReads(corrupted(execute(draw), choice), 2);
        const isFine = isStrictlySerializable(transactions);
        if (!isFine) rejected += 1;
        expect(findAnomalies(transactions).length === 0).toBe(isFine);
      }),
      { numRuns: 1_500 },
    );
    expect(rejected).toBeGreaterThan(100);
  });
});

describe("the recorder", () => {
  test("what never ends stays unknown, and nothing ends twice", () => {
    const recorded = new TransactionHistory();
    const steps = [stepOf("x+1"), stepOf("x=")];
    const open = recorded.invoke(1, steps, 5);
    const done = recorded.invoke(1, steps, 6);
    recorded.complete(done, "ok", [stepOf("x+1"), stepOf("x=1")], 9);
    expect(recorded.transactions[open]).toMatchObject({ outcome: "info", completed: NEVER });
    expect(recorded.transactions[done]).toMatchObject({ outcome: "ok", completed: 9 });
    expect(() => recorded.complete(done, "ok", steps, 10)).toThrow("once");
  });
});
