import { describe, expect, test } from "vitest";
import { checkCounters, checkLists, checkRegisterReads } from "./exactly-once.ts";
import type { Action, Operation, OperationOutcome, OperationResult, Promised } from "./history.ts";
import { History, NOTHING_ASKED, NOTHING_LEARNED } from "./history.ts";
import { checkLinearizable, searchKey } from "./linearizability.ts";
import { COUNTER, LIST, type Model, REGISTER, tokensOf } from "./models.ts";
import { checkProgramOrder } from "./program-order.ts";

type Spec = readonly [
  process: number,
  action: Action,
  result: OperationResult,
  from: number,
  to: number,
  outcome?: OperationOutcome,
  promised?: Promised,
];

const GET: Action = { kind: "get" };
const INCREMENT: Action = { kind: "increment" };
const DELETE: Action = { kind: "delete" };
const NEVER = Number.POSITIVE_INFINITY;

function set(value: string): Action {
  return { kind: "set", value };
}

function append(token: string): Action {
  return { kind: "append", token };
}

function swap(value: string): Action {
  return { kind: "swap", value };
}

function setIfAbsent(value: string): Action {
  return { kind: "setIfAbsent", value };
}

function history(specs: readonly Spec[], key = "k"): Operation[] {
  return specs.map(
    ([process, action, result, from, to, outcome = "ok", promised = "strong"], id) => {
      const completed = outcome === "info" ? NEVER : to;
      return {
        ...{ id, process, key, action, result, invoked: from, completed, outcome, promised },
        ...NOTHING_ASKED,
        ...NOTHING_LEARNED,
      };
    },
  );
}

const GOOD: readonly (readonly [string, Model, readonly Spec[]])[] = [
  [
    "one after the other",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [2, GET, "a", 3, 4],
    ],
  ],
  [
    "a read beside a write sees the old",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 9],
      [2, GET, null, 2, 3],
    ],
  ],
  [
    "a read beside a write sees the new",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 9],
      [2, GET, "a", 2, 3],
    ],
  ],
  [
    "an unknown write takes effect much later",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [2, set("b"), undefined, 3, NEVER, "info"],
      [3, GET, "a", 4, 5],
      [3, GET, "b", 50, 60],
    ],
  ],
  [
    "an unknown write never takes effect",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [2, set("b"), undefined, 3, NEVER, "info"],
      [3, GET, "a", 50, 60],
    ],
  ],
  [
    "an unread unknown write explains a deletion",
    REGISTER,
    [
      [1, set("a"), undefined, 1, NEVER, "info"],
      [2, DELETE, 1, 3, 4],
      [2, GET, null, 5, 6],
    ],
  ],
  [
    "a failed write leaves no trace",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2, "fail"],
      [2, GET, null, 3, 4],
    ],
  ],
  [
    "of two that set if absent one wins",
    REGISTER,
    [
      [1, setIfAbsent("a"), 0, 1, 9],
      [2, setIfAbsent("b"), 1, 2, 8],
      [3, GET, "b", 10, 11],
    ],
  ],
  [
    "a chain of swaps in the only possible order",
    REGISTER,
    [
      [1, swap("a"), "b", 1, 9],
      [2, swap("b"), "c", 1, 9],
      [3, swap("c"), null, 1, 9],
    ],
  ],
  [
    "increments of unknown outcome count some of the time",
    COUNTER,
    [
      [1, INCREMENT, undefined, 1, NEVER, "info"],
      [2, INCREMENT, undefined, 1, NEVER, "info"],
      [3, INCREMENT, 2, 3, 4],
      [3, GET, "2", 5, 6],
      [3, GET, "3", 7, 8],
    ],
  ],
  [
    "a stale local read is none of its business",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [2, GET, null, 3, 4, "ok", "local"],
    ],
  ],
  [
    "a write that may be lost was lost",
    LIST,
    [
      [1, append("x;"), 2, 1, 2, "ok", "lossy"],
      [2, GET, null, 3, 4],
    ],
  ],
  [
    "an applied write whose answer was not learned",
    COUNTER,
    [
      [1, INCREMENT, undefined, 1, 2],
      [2, GET, "1", 3, 4],
    ],
  ],
  [
    "a deletion whose answer was not learned, behind the write that it must have deleted",
    REGISTER,
    [
      [1, DELETE, undefined, 1, 9],
      [2, swap("a"), null, 1, 9],
      [3, GET, null, 10, 11],
    ],
  ],
  [
    "two unread writes of unknown outcome, each found by a deletion",
    REGISTER,
    [
      [1, set("a"), undefined, 1, NEVER, "info"],
      [2, swap("b"), undefined, 1, NEVER, "info"],
      [3, DELETE, 1, 3, 4],
      [3, DELETE, 1, 5, 6],
      [3, GET, null, 7, 8],
    ],
  ],
  [
    "pipelined appends of one connection",
    LIST,
    [
      [1, append("a;"), 2, 1, 9],
      [1, append("b;"), 4, 2, 9],
      [2, GET, "a;b;", 10, 11],
    ],
  ],
];

const BAD: readonly (readonly [string, Model, readonly Spec[]])[] = [
  [
    "stale read",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [1, set("b"), undefined, 3, 4],
      [2, GET, "a", 5, 6],
    ],
  ],
  [
    "lost update",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [2, GET, null, 3, 4],
    ],
  ],
  [
    "lost update of a counter",
    COUNTER,
    [
      [1, INCREMENT, 1, 1, 2],
      [2, INCREMENT, 1, 3, 4],
    ],
  ],
  [
    "increment applied twice",
    COUNTER,
    [
      [1, INCREMENT, 1, 1, 2],
      [2, GET, "2", 3, 4],
    ],
  ],
  [
    "a value that was never written",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [2, GET, "z", 3, 4],
    ],
  ],
  [
    "a read from the future",
    REGISTER,
    [
      [2, GET, "a", 1, 2],
      [1, set("a"), undefined, 3, 4],
    ],
  ],
  [
    "a value resurrected after deletion",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [1, DELETE, 1, 3, 4],
      [2, GET, null, 5, 6],
      [2, GET, "a", 7, 8],
    ],
  ],
  [
    "an unknown increment that took effect twice",
    COUNTER,
    [
      [1, INCREMENT, undefined, 1, NEVER, "info"],
      [2, GET, "1", 3, 4],
      [2, GET, "2", 5, 6],
    ],
  ],
  [
    "an unknown write that took effect twice",
    REGISTER,
    [
      [1, set("a"), undefined, 1, NEVER, "info"],
      [2, GET, "a", 3, 4],
      [2, set("b"), undefined, 5, 6],
      [2, GET, "b", 7, 8],
      [2, GET, "a", 9, 10],
    ],
  ],
  [
    "new value, then old value",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [1, set("b"), undefined, 3, 20],
      [2, GET, "b", 4, 5],
      [3, GET, "a", 6, 7],
    ],
  ],
  [
    "both set if absent succeed",
    REGISTER,
    [
      [1, setIfAbsent("a"), 1, 1, 9],
      [2, setIfAbsent("b"), 1, 1, 9],
    ],
  ],
  [
    "two swaps take the same value",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2],
      [2, swap("b"), "a", 3, 9],
      [3, swap("c"), "a", 3, 9],
    ],
  ],
  [
    "an append in the middle",
    LIST,
    [
      [1, append("a;"), 2, 1, 2],
      [1, append("b;"), 4, 3, 4],
      [2, append("c;"), 6, 5, 6],
      [3, GET, "a;c;b;", 7, 8],
    ],
  ],
  [
    "an append twice",
    LIST,
    [
      [1, append("a;"), 2, 1, 2],
      [2, GET, "a;a;", 3, 4],
    ],
  ],
  [
    "reads disagree about the order",
    LIST,
    [
      [1, append("a;"), undefined, 1, NEVER, "info"],
      [2, append("b;"), undefined, 1, NEVER, "info"],
      [3, GET, "a;b;", 3, 9],
      [4, GET, "b;a;", 3, 9],
    ],
  ],
  [
    "a failed write is read",
    REGISTER,
    [
      [1, set("a"), undefined, 1, 2, "fail"],
      [2, GET, "a", 3, 4],
    ],
  ],
  [
    "pipelined appends of one connection, swapped",
    LIST,
    [
      [1, append("a;"), 4, 1, 9],
      [1, append("b;"), 2, 2, 9],
      [2, GET, "b;a;", 10, 11],
    ],
  ],
  [
    "an unknown write overtaken by a later one of its connection",
    LIST,
    [
      [1, append("a;"), undefined, 1, NEVER, "info"],
      [1, append("b;"), 2, 2, 9],
      [2, GET, "b;a;", 10, 11],
    ],
  ],
  [
    "one unread write of unknown outcome, found by two deletions",
    REGISTER,
    [
      [1, set("a"), undefined, 1, NEVER, "info"],
      [3, DELETE, 1, 3, 4],
      [3, DELETE, 1, 5, 6],
    ],
  ],
  ["a deletion of nothing that says one", REGISTER, [[1, DELETE, 1, 1, 2]]],
];

/** What makes a good history of each bad one: one operation, by its place, that is otherwise. */
const TWINS: Readonly<Record<string, readonly [place: number, otherwise: Spec]>> = {
  "stale read": [2, [2, GET, "b", 5, 6]],
  "lost update": [1, [2, GET, "a", 3, 4]],
  "lost update of a counter": [1, [2, INCREMENT, 2, 3, 4]],
  "increment applied twice": [1, [2, GET, "1", 3, 4]],
  "a value that was never written": [1, [2, GET, "a", 3, 4]],
  "a read from the future": [0, [2, GET, "a", 1, 3]],
  "a value resurrected after deletion": [3, [2, GET, null, 7, 8]],
  "an unknown increment that took effect twice": [2, [2, GET, "1", 5, 6]],
  "an unknown write that took effect twice": [4, [2, GET, "b", 9, 10]],
  "new value, then old value": [3, [3, GET, "a", 4, 7]],
  "both set if absent succeed": [1, [2, setIfAbsent("b"), 0, 1, 9]],
  "two swaps take the same value": [2, [3, swap("c"), "b", 3, 9]],
  "an append in the middle": [3, [3, GET, "a;b;c;", 7, 8]],
  "an append twice": [1, [2, GET, "a;", 3, 4]],
  "reads disagree about the order": [3, [4, GET, "a;b;", 3, 9]],
  "a failed write is read": [0, [1, set("a"), undefined, 1, 2, "info"]],
  "pipelined appends of one connection, swapped": [1, [2, append("b;"), 2, 2, 9]],
  "an unknown write overtaken by a later one of its connection": [1, [3, append("b;"), 2, 2, 9]],
  "one unread write of unknown outcome, found by two deletions": [2, [3, DELETE, 0, 5, 6]],
  "a deletion of nothing that says one": [0, [1, DELETE, 0, 1, 2]],
};

describe("linearizability", () => {
  test.each(GOOD)("allows %s", (_, model, specs) => {
    expect(searchKey(history(specs), model).kind).toBe("linearizable");
  });

  test.each(BAD)("finds %s", (_, model, specs) => {
    expect(searchKey(history(specs), model).kind).toBe("violation");
  });

  test.each(BAD)("allows the twin of: %s", (title, model, specs) => {
    const [place, otherwise] = TWINS[title]!;
    const twin = specs.map((spec, i) => (i === place ? otherwise : spec));
    expect(searchKey(history(twin), model).kind).toBe("linearizable");
  });

  test("program order can be left out of it", () => {
    const swapped = history([
      [1, append("a;"), 4, 1, 9],
      [1, append("b;"), 2, 2, 9],
      [2, GET, "b;a;", 10, 11],
    ]);
    expect(searchKey(swapped, LIST, { programOrder: false }).kind).toBe("linearizable");
  });

  test("the order it finds is a linearization", () => {
    const verdict = searchKey(history(GOOD[8]![2]), REGISTER);
    expect(verdict.kind === "linearizable" && verdict.order.map(({ id }) => id)).toEqual([2, 1, 0]);
  });

  test("a search that is cut off decides nothing, and the caller hears of it", () => {
    const operations = history(BAD[0]![2]);
    expect(searchKey(operations, REGISTER, { stepsMax: 1 }).kind).toBe("undecided");
    const found = checkLinearizable(operations, () => REGISTER, { stepsMax: 1 });
    expect(found?.message).toContain("undecided");
  });

  test("keys are checked on their own", () => {
    const fine = history(GOOD[0]![2], "a");
    const bad = history(BAD[0]![2], "b");
    expect(checkLinearizable(fine, () => REGISTER)).toBeNull();
    expect(checkLinearizable([...fine, ...bad], () => REGISTER)?.message).toContain("key b");
  });

  test("forty concurrent increments of unknown outcome do not blow the search up", () => {
    const specs: Spec[] = [];
    for (let i = 0; i < 40; i += 1) specs.push([i, INCREMENT, undefined, 1, NEVER, "info"]);
    specs.push([50, GET, "17", 2, 3], [50, GET, "31", 4, 5], [50, GET, "30", 6, 7]);
    expect(searchKey(history(specs), COUNTER, { stepsMax: 200_000 }).kind).toBe("violation");
    expect(searchKey(history(specs.slice(0, -1)), COUNTER).kind).toBe("linearizable");
  });

  test("agrees with trying every order, on all small histories of a register", () => {
    const actions: readonly (readonly [Action, OperationResult])[] = [
      [set("a"), undefined],
      [GET, "a"],
      [GET, null],
      [DELETE, 1],
    ];
    let violations = 0;
    for (let code = 0; code < 4 ** 3 * 6; code += 1) {
      const kinds = [code & 3, (code >> 2) & 3, (code >> 4) & 3].map((k) => actions[k]!);
      const overlap = code >> 6;
      const specs = kinds.map(([action, result], i): Spec => {
        const length = ((overlap >> i) & 1) === 1 ? 25 : 5;
        return [i, action, result, i * 10, i * 10 + length];
      });
      const operations = history(specs);
      const expected = bruteForce(operations);
      if (!expected) violations += 1;
      expect(searchKey(operations, REGISTER).kind).toBe(expected ? "linearizable" : "violation");
    }
    expect(violations).toBeGreaterThan(50);
  });
});

function bruteForce(operations: readonly Operation[]): boolean {
  const permute = (left: readonly Operation[], state: string | number | null): boolean => {
    if (left.length === 0) return true;
    return left.some((operation) => {
      if (left.some((other) => other !== operation && other.completed < operation.invoked))
        return false;
      const next = REGISTER.step(state, operation.action, operation.result);
      if (typeof next === "symbol") return false;
      return permute(
        left.filter((other) => other !== operation),
        next,
      );
    });
  };
  return permute(operations, null);
}

const isAny = (): boolean => true;

describe("program order", () => {
  test("a read sees all earlier writes of its connection and none of the later", () => {
    const fine = history([
      [1, append("a;"), 2, 1, 2],
      [1, GET, "z;a;", 3, 4],
      [1, append("b;"), 6, 5, 6],
    ]);
    expect(checkProgramOrder(fine, isAny)).toBeNull();
  });

  test.each<readonly [string, readonly Spec[], string]>([
    [
      "a missed write",
      [
        [1, append("a;"), 2, 1, 2],
        [1, GET, null, 3, 4],
      ],
      "misses",
    ],
    [
      "a missed write, by a local read",
      [
        [1, append("a;"), 2, 1, 2],
        [1, GET, null, 3, 4, "ok", "local"],
      ],
      "misses",
    ],
    [
      "a write from its own future",
      [
        [1, GET, "a;", 1, 9],
        [1, append("a;"), 2, 2, 9],
      ],
      "later",
    ],
    [
      "writes out of order",
      [
        [1, append("a;"), 4, 1, 9],
        [1, append("b;"), 2, 2, 9],
        [1, GET, "b;a;", 3, 9],
      ],
      "out of order",
    ],
  ])("finds %s", (_, specs, word) => {
    expect(checkProgramOrder(history(specs), isAny)?.message).toContain(word);
  });

  test("a write that may be lost need not be seen", () => {
    const lossy = history([
      [1, append("a;"), 2, 1, 2, "ok", "lossy"],
      [1, GET, null, 3, 4],
    ]);
    expect(checkProgramOrder(lossy, isAny)).toBeNull();
  });
});

describe("exactly once", () => {
  const counted = history([
    [1, INCREMENT, 1, 1, 2],
    [1, INCREMENT, undefined, 3, NEVER, "info"],
    [1, INCREMENT, undefined, 3, 4, "fail"],
  ]);

  test.each([
    ["0", "lost-write"],
    ["1", undefined],
    ["2", undefined],
    ["3", "exactly-once"],
  ])("a counter of %s after one acknowledged and one unknown: %s", (value, oracle) => {
    expect(checkCounters(counted, new Map([["k", value]]), isAny)?.oracle).toBe(oracle);
  });

  test("one value handed out twice", () => {
    const twice = history([
      [1, INCREMENT, 1, 1, 2],
      [2, INCREMENT, 1, 1, 2],
    ]);
    expect(checkCounters(twice, new Map([["k", "2"]]), isAny)?.oracle).toBe("exactly-once");
  });

  const appended = history([
    [1, append("a;"), 2, 1, 2],
    [1, append("b;"), undefined, 3, NEVER, "info"],
    [1, append("c;"), undefined, 5, 6, "fail"],
    [1, append("d;"), 4, 5, 6, "ok", "lossy"],
    [2, GET, "a;", 7, 8, "ok", "local"],
  ]);

  test.each([
    ["a;", undefined],
    ["a;b;", undefined],
    ["a;d;b;", undefined],
    ["b;", "lost-write"],
    ["b;a;", "lost-write"],
    ["a;b;b;", "exactly-once"],
    ["a;c;", "outcome-honesty"],
    ["a;x;", "outcome-honesty"],
    ["a;b", "outcome-honesty"],
  ])("a list that ends as %s: %s", (value, oracle) => {
    expect(checkLists(appended, new Map([["k", value]]), isAny)?.oracle).toBe(oracle);
  });

  test("a register that reads what was not applied, or what another key holds", () => {
    const failed = history([
      [1, set("a"), undefined, 1, 2, "fail"],
      [2, GET, "a", 3, 4, "ok", "local"],
    ]);
    expect(checkRegisterReads(failed, isAny)?.oracle).toBe("outcome-honesty");
    const elsewhere = [
      ...history([[1, set("a"), undefined, 1, 2]], "x"),
      ...history([[1, GET, "a", 3, 4]]),
    ];
    expect(checkRegisterReads(elsewhere, isAny)?.oracle).toBe("outcome-honesty");
    expect(
      checkRegisterReads(
        history([
          [1, set("a"), undefined, 1, 2],
          [1, GET, "a", 3, 4],
        ]),
        isAny,
      ),
    ).toBeNull();
  });

  test("tokens keep a broken end visible", () => {
    expect(tokensOf("a;b;")).toEqual(["a;", "b;"]);
    expect(tokensOf("a;b")).toEqual(["a;", "b"]);
    expect(tokensOf(null)).toEqual([]);
  });
});

describe("history", () => {
  test("what never ends stays unknown, and an unknown outcome has no end", () => {
    const recorded = new History();
    const open = recorded.invoke(1, "k", GET, "strong", 5);
    const unknown = recorded.invoke(1, "k", INCREMENT, "strong", 6);
    recorded.complete(unknown, "info", undefined, 9);
    expect(recorded.operations[open]).toMatchObject({ outcome: "info", completed: NEVER });
    expect(recorded.operations[unknown]).toMatchObject({ outcome: "info", completed: NEVER });
  });

  test("an operation ends once", () => {
    const recorded = new History();
    const id = recorded.invoke(1, "k", GET, "strong", 5);
    recorded.complete(id, "ok", null, 6);
    expect(() => recorded.complete(id, "ok", null, 7)).toThrow("once");
  });
});
