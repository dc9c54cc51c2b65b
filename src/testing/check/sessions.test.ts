import { describe, expect, test } from "vitest";
import { checkBounded } from "./bounded-staleness.ts";
import {
  type Action,
  NOTHING_ASKED,
  NOTHING_LEARNED,
  type Operation,
  type OperationResult,
} from "./history.ts";
import { checkSessions, type Growth } from "./session-guarantees.ts";

const GET: Action = { kind: "get" };
const INCREMENT: Action = { kind: "increment" };

function append(token: string): Action {
  return { kind: "append", token };
}

/** An acknowledged operation, one tick after the other; `change` says what is otherwise. */
function done(
  process: number,
  action: Action,
  result: OperationResult,
  change: Partial<Operation> = {},
) {
  return (id: number): Operation => ({
    ...{ id, process, key: "l", action, result, promised: "strong", outcome: "ok" },
    ...{ invoked: 10 * id, completed: 10 * id + 5 },
    ...NOTHING_ASKED,
    ...NOTHING_LEARNED,
    ...change,
  });
}

type Step = ReturnType<typeof done>;

function sessionRead(process: number, result: OperationResult, change: Partial<Operation> = {}) {
  return done(process, GET, result, { promised: "session", ...change });
}

function growthOf(key: string): Growth {
  if (key.startsWith("l")) return "list";
  return key.startsWith("c") ? "counter" : "other";
}

function judge(steps: readonly Step[], committed: readonly number[] = []): string | undefined {
  const operations = steps.map((step, id) => step(id));
  return checkSessions(operations, growthOf, (index) => committed[index])?.oracle;
}

const LOST = { outcome: "fail", error: "SESSION_LOST" } as const;

describe("sessions", () => {
  const good: readonly (readonly [string, readonly Step[]])[] = [
    ["its own write", [done(1, append("a;"), 2), sessionRead(1, "a;")]],
    ["more than it has written", [done(1, append("a;"), 2), sessionRead(1, "a;b;")]],
    ["another session may see less", [done(1, append("a;"), 2), sessionRead(2, null)]],
    [
      "a local read may go back, the session's may not go behind what was read before it",
      [sessionRead(1, "a;b;"), done(1, GET, "a;", { promised: "local" }), sessionRead(1, "a;b;")],
    ],
    [
      "a write of unknown outcome need not be seen",
      [done(1, append("a;"), undefined, { outcome: "info" }), sessionRead(1, null)],
    ],
    ["a read that is refused sees nothing", [done(1, append("a;"), 2), sessionRead(1, null, LOST)]],
    [
      "what the other session saw after the token was taken need not be seen",
      [
        done(1, append("a;"), 2),
        done(1, append("b;"), 4),
        sessionRead(2, "a;", { inherits: 0 }),
        sessionRead(1, "a;b;"),
      ],
    ],
    [
      "what came by a token that was not answered need not be seen later",
      [
        done(1, append("a;"), 2),
        sessionRead(2, null, { inherits: 0, outcome: "fail", error: "STALE" }),
        sessionRead(2, null),
      ],
    ],
    [
      "a counter",
      [
        done(1, INCREMENT, 3, { key: "c" }),
        sessionRead(1, "3", { key: "c" }),
        sessionRead(1, "5", { key: "c" }),
      ],
    ],
  ];
  test.each(good)("good: %s", (_, steps) => expect(judge(steps)).toBeUndefined());

  const bad: readonly (readonly [string, string, readonly Step[]])[] = [
    ["read-your-writes", "misses its write", [done(1, append("a;"), 2), sessionRead(1, null)]],
    [
      "read-your-writes",
      "misses the write behind a token",
      [done(1, append("a;"), 2), sessionRead(2, null, { inherits: 0 })],
    ],
    [
      "read-your-writes",
      "misses a write that came by two tokens",
      [
        done(1, append("a;"), 2),
        done(2, GET, null, { inherits: 0, promised: "local" }),
        sessionRead(3, "x;", { inherits: 1 }),
      ],
    ],
    [
      "read-your-writes",
      "misses what came by an earlier token",
      [
        done(1, append("a;"), 2),
        done(2, INCREMENT, 1, { key: "c", inherits: 0 }),
        sessionRead(2, "x;"),
      ],
    ],
    ["monotonic-reads", "goes back", [sessionRead(1, "a;b;"), sessionRead(1, "a;")]],
    [
      "monotonic-reads",
      "goes behind a linearizable read, a local one, or another session's",
      [done(1, GET, "a;b;", { promised: "local" }), sessionRead(2, "a;", { inherits: 0 })],
    ],
    [
      "monotonic-reads",
      "a counter below an answer",
      [done(1, INCREMENT, 3, { key: "c" }), sessionRead(1, "2", { key: "c" })],
    ],
    [
      "monotonic-reads",
      "a counter that is not there any more",
      [sessionRead(1, "1", { key: "c" }), sessionRead(1, null, { key: "c" })],
    ],
  ];
  test.each(bad)("%s: %s", (oracle, _, steps) => expect(judge(steps)).toBe(oracle));
});

describe("a session's entry that was overwritten", () => {
  const lossy = done(1, { kind: "set", value: "v" }, undefined, {
    ...{ key: "r", promised: "lossy", place: { term: 1, index: 2 } },
  });
  const read = (change: Partial<Operation> = {}) => {
    return sessionRead(1, null, { key: "r", place: { term: 2, index: 3 }, ...change });
  };

  test.each<[string, Step[], number[], string | undefined]>([
    ["is there, and the read is answered", [lossy, read()], [0, 1, 1], undefined],
    ["is lost, and the read is told so", [lossy, read(LOST)], [0, 1, 2], undefined],
    ["is lost, and the read is answered", [lossy, read()], [0, 1, 2], "session-lost"],
    ["is nowhere, and the read is answered", [lossy, read()], [0, 1], "session-lost"],
    [
      "is there, and the read is told that it is lost",
      [lossy, read(LOST)],
      [0, 1, 1],
      "session-lost",
    ],
    [
      "is lost, and the session has gone on: nobody can tell",
      [lossy, done(1, GET, null, { key: "r", place: { term: 2, index: 3 } }), read()],
      [0, 1, 2, 2],
      undefined,
    ],
    [
      "is lost, and not all that the session was told is known",
      [lossy, done(1, GET, null, { key: "r" }), read()],
      [0, 1, 2],
      undefined,
    ],
  ])("%s", (_, steps, committed, oracle) => expect(judge(steps, committed)).toBe(oracle));
});

describe("bounded staleness", () => {
  function bounded(invoked: number, result: OperationResult, staleMax: number, key = "l"): Step {
    return done(2, GET, result, { promised: "bounded", invoked, staleMax, key, completed: 999 });
  }

  function judgeBounded(steps: readonly Step[]): string | undefined {
    return checkBounded(
      steps.map((step, id) => step(id)),
      growthOf,
    )?.oracle;
  }

  const write = done(1, append("a;"), 2, { invoked: 0, completed: 100 });
  const count = done(1, INCREMENT, 4, { invoked: 0, completed: 100, key: "c" });

  test.each<[string, Step[], string | undefined]>([
    ["sees it", [write, bounded(500, "a;", 50)], undefined],
    ["misses what is younger than the bound", [write, bounded(150, null, 60)], undefined],
    ["misses what is as old as the bound", [write, bounded(150, null, 50)], undefined],
    ["misses what is older", [write, bounded(150, null, 49)], "bounded-staleness"],
    [
      "misses what was acknowledged and is older",
      [write, bounded(500, "b;", 50)],
      "bounded-staleness",
    ],
    ["a counter that is high enough", [count, bounded(500, "4", 50, "c")], undefined],
    ["a counter that is too low", [count, bounded(500, "3", 50, "c")], "bounded-staleness"],
    ["a counter that is not there", [count, bounded(500, null, 50, "c")], "bounded-staleness"],
    [
      "a write of unknown outcome need not be seen",
      [done(1, append("a;"), undefined, { outcome: "info", completed: 1 }), bounded(500, null, 50)],
      undefined,
    ],
  ])("%s", (_, steps, oracle) => expect(judgeBounded(steps)).toBe(oracle));
});
