import { describe, expect, test } from "vitest";
import { type Bank, type BankOperation, checkBank } from "./bank.ts";
import type { OperationOutcome } from "./history.ts";

const BANK: Bank = { initial: new Map(Object.entries({ a: 10, b: 5, c: 0 })), mayOverdraw: false };

type Spec = readonly [
  process: number,
  /** `a>b 3` for a transfer, `7 8 0` for what a read found in a, b and c. */
  text: string,
  from: number,
  to: number,
  outcome?: OperationOutcome,
];

function history(specs: readonly Spec[]): BankOperation[] {
  return specs.map(([process, text, invoked, to, outcome = "ok"], id) => {
    const completed = outcome === "info" ? Number.POSITIVE_INFINITY : to;
    const rest = { id, process, invoked, completed, outcome };
    const transfer = /^(\w)>(\w) (\d+)$/.exec(text);
    if (transfer !== null) {
      const [, from = "", target = "", amount = ""] = transfer;
      const action = { kind: "transfer", from, to: target, amount: Number(amount) } as const;
      return { ...rest, action, balances: null };
    }
    const found = text.split(" ").map((balance, i) => ["abcd"[i]!, Number(balance)] as const);
    const balances = new Map(found.filter(([, balance]) => !Number.isNaN(balance)));
    return { ...rest, action: { kind: "read" }, balances };
  });
}

const PAIRS: readonly (readonly [string, string, readonly Spec[], readonly Spec[]])[] = [
  [
    "a read of half of a transfer",
    "12 in all",
    [
      [1, "a>b 3", 1, 9],
      [2, "7 5 0", 2, 3],
    ],
    [
      [1, "a>b 3", 1, 9],
      [2, "7 8 0", 2, 3],
    ],
  ],
  ["money from nowhere", "16 in all", [[2, "10 5 1", 2, 3]], [[2, "10 5 0", 2, 3]]],
  [
    "an account below nothing",
    "b below nothing",
    [
      [1, "b>a 7", 1, 9],
      [2, "17 -2 0", 10, 11],
    ],
    [
      [1, "b>a 5", 1, 9],
      [2, "15 0 0", 10, 11],
    ],
  ],
  ["an account that is not found", "finds no c", [[2, "10 5 -", 2, 3]], [[2, "10 5 0", 2, 3]]],
  [
    "an acknowledged transfer that is not there",
    "10 in a; by the transfers it holds 7",
    [
      [1, "a>b 3", 1, 2],
      [2, "10 5 0", 3, 4],
    ],
    [
      [1, "a>b 3", 1, 3],
      [2, "10 5 0", 3, 4],
    ],
  ],
  [
    "a transfer that was carried out twice",
    "4 in a",
    [
      [1, "a>b 3", 1, 2],
      [2, "4 11 0", 3, 4],
    ],
    [
      [1, "a>b 3", 1, 2],
      [1, "a>b 3", 2, 5],
      [2, "4 11 0", 3, 4],
    ],
  ],
  [
    "a transfer of unknown outcome that was carried out twice",
    "between 7 and 10",
    [
      [1, "a>b 3", 1, 2, "info"],
      [2, "4 11 0", 3, 4],
    ],
    [
      [1, "a>b 3", 1, 2, "info"],
      [2, "7 8 0", 3, 4],
    ],
  ],
  [
    "a transfer that was refused",
    "7 in a",
    [
      [1, "a>b 3", 1, 2, "fail"],
      [2, "7 8 0", 3, 4],
    ],
    [
      [1, "a>b 3", 1, 2, "fail"],
      [2, "10 5 0", 3, 4],
    ],
  ],
  [
    "a transfer before it was asked for",
    "7 in a",
    [
      [2, "7 8 0", 1, 2],
      [1, "a>b 3", 3, 4],
    ],
    [
      [2, "7 8 0", 1, 3],
      [1, "a>b 3", 3, 4],
    ],
  ],
];

describe("the bank", () => {
  test.each(PAIRS)("finds %s", (_, text, bad) => {
    const found = checkBank(BANK, history(bad));
    expect(found?.oracle).toBe("bank");
    expect(found?.message).toContain(text);
  });

  test.each(PAIRS)("allows the twin of: %s", (_title, _text, _bad, good) => {
    expect(checkBank(BANK, history(good))).toBeNull();
  });

  test("accounts may fall below nothing where that is agreed", () => {
    const operations = history(PAIRS[2]![2]);
    expect(checkBank({ ...BANK, mayOverdraw: true }, operations)).toBeNull();
  });
});
