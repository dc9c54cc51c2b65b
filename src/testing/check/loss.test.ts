import { describe, expect, test } from "vitest";
import { NOTHING_ASKED, NOTHING_LEARNED, type Operation, type Promised } from "./history.ts";
import { checkLoss, checkPlaces, type Faults, noFaults, type WriteConcern } from "./loss.ts";

function appended(token: string, change: Partial<Operation> = {}): Operation {
  return {
    ...{ id: 0, process: 1, key: "l", action: { kind: "append", token } },
    ...{ promised: "strong" as Promised, outcome: "ok", invoked: 1, completed: 2 },
    ...{ result: undefined, ...NOTHING_ASKED, ...NOTHING_LEARNED },
    ...change,
  };
}

const NONE = noFaults(3);

/** One write of this concern that is missing after these faults. */
function judge(concern: WriteConcern, faults: Partial<Faults>, value = "b;"): string | undefined {
  const finals = new Map([["l", value]]);
  const all = [appended("a;")];
  return checkLoss(
    all,
    finals,
    () => true,
    () => concern,
    { ...NONE, ...faults },
  )?.oracle;
}

describe("loss by write concern", () => {
  const pairs: readonly (readonly [string, () => string | undefined, () => string | undefined])[] =
    [
      [
        "a write by majority, after all processes were killed",
        () => judge("majority", { wereAllKilled: true }),
        () => judge("majority", { wereAllKilled: true }, "a;b;"),
      ],
      [
        "a write by majority, after a minority of disks was lost",
        () => judge("majority", { disksLost: 1 }),
        () => judge("majority", { disksLost: 2 }),
      ],
      [
        "a write by all, after a leader failed",
        () => judge("all", { hasLeaderFailed: true }),
        () => judge("leader", { hasLeaderFailed: true }),
      ],
      [
        "a write by two of three, after a leader failed",
        () => judge(2, { hasLeaderFailed: true }),
        () => judge(1, { hasLeaderFailed: true }),
      ],
      [
        "a write by two of five, though no leader failed",
        () => judge(2, { nodes: 5 }),
        () => judge(2, { nodes: 5, hasLeaderFailed: true }),
      ],
      [
        "a write by the leader, though nothing went wrong",
        () => judge("leader", {}),
        () => judge("leader", { wereAllKilled: true }),
      ],
      [
        "a write by all five, after two disks were lost",
        () => judge("all", { nodes: 5, disksLost: 2 }),
        () => judge("all", { nodes: 5, disksLost: 3 }),
      ],
    ];

  test.each(pairs)("finds the loss of %s", (_, bad) => {
    expect(bad()).toBe("lost-write");
  });

  test.each(pairs)("excuses the twin of: %s", (_title, _bad, good) => {
    expect(good()).toBeUndefined();
  });

  test("what was not acknowledged may be missing", () => {
    const open = [appended("a;", { outcome: "info" }), appended("b;", { outcome: "fail" })];
    const found = checkLoss(
      open,
      new Map(),
      () => true,
      () => "majority",
      NONE,
    );
    expect(found).toBeNull();
  });
});

describe("the place of a write", () => {
  const committed = (index: number) => [0, 1, 1, 2][index];
  const standing = (term: number, index: number, promised: Promised = "strong") =>
    checkPlaces([appended("a;", { promised, place: { term, index } })], committed)?.oracle;

  test.each<readonly [string, () => string | undefined, () => string | undefined]>([
    ["an entry that another one replaced", () => standing(1, 3), () => standing(2, 3)],
    ["an entry that is not committed", () => standing(2, 4), () => standing(2, 3)],
    [
      "an entry that another one replaced, by majority",
      () => standing(1, 3),
      () => standing(1, 3, "lossy"),
    ],
  ])("finds %s", (_, bad, good) => {
    expect(bad()).toBe("lost-write");
    expect(good()).toBeUndefined();
  });
});
