import type { OperationOutcome, Violation } from "./history.ts";

/** What a client asked of the bank. */
export type BankAction =
  | { readonly kind: "read" }
  | {
      readonly kind: "transfer";
      readonly from: string;
      readonly to: string;
      readonly amount: number;
    };

/** One transaction on the accounts: a transfer, or a read of all of them. */
export interface BankOperation {
  readonly id: number;
  readonly process: number;
  readonly action: BankAction;
  readonly invoked: number;
  /** Infinity while it is not known to have ended. */
  readonly completed: number;
  /** A transfer that was refused for want of money is a `fail`. */
  readonly outcome: OperationOutcome;
  /** What a read has found; an account that it did not find is not in it. */
  readonly balances: ReadonlyMap<string, number> | null;
}

/** What the accounts held at first, and whether they may fall below nothing. */
export interface Bank {
  readonly initial: ReadonlyMap<string, number>;
  readonly mayOverdraw: boolean;
}

/**
 * Transfers keep the sum of all accounts, so every read of all of them finds it, and no account
 * below nothing. Beyond what Jepsen's bank asks for, each balance is what the transfers account
 * for: all that were acknowledged before the read began, each once, and perhaps some of those that
 * were under way or are of unknown outcome; none that failed.
 */
export function checkBank(bank: Bank, operations: readonly BankOperation[]): Violation | null {
  for (const read of operations) {
    if (read.action.kind !== "read" || read.outcome !== "ok" || read.balances === null) continue;
    const found =
      checkSum(bank, read, read.balances) ?? checkBalances(bank, read, read.balances, operations);
    if (found !== null) return { oracle: "bank", message: found };
  }
  return null;
}

function checkSum(
  { initial, mayOverdraw }: Bank,
  read: BankOperation,
  balances: ReadonlyMap<string, number>,
): string | null {
  const missing = [...initial.keys()].filter((account) => !balances.has(account));
  if (missing.length > 0) return `${describe(read)} finds no ${missing.join(", ")}`;
  const strange = [...balances.keys()].filter((account) => !initial.has(account));
  if (strange.length > 0)
    return `${describe(read)} finds ${strange.join(", ")}, which is no account`;
  const expected = sum(initial.values());
  const found = sum(balances.values());
  if (found !== expected) return `${describe(read)} finds ${found} in all; there are ${expected}`;
  const negative = [...balances].find(([, balance]) => balance < 0);
  if (negative === undefined || mayOverdraw) return null;
  return `${describe(read)} finds ${negative[0]} below nothing`;
}

function checkBalances(
  { initial }: Bank,
  read: BankOperation,
  balances: ReadonlyMap<string, number>,
  operations: readonly BankOperation[],
): string | null {
  const least = new Map(initial);
  const most = new Map(initial);
  const add = (to: Map<string, number>, account: string, amount: number) =>
    to.set(account, (to.get(account) ?? 0) + amount);
  for (const { action, outcome, invoked, completed } of operations) {
    if (action.kind !== "transfer" || outcome === "fail" || invoked > read.completed) continue;
    const { from, to, amount } = action;
    const isCertain = outcome === "ok" && completed < read.invoked;
    add(least, from, -amount);
    add(most, to, amount);
    if (!isCertain) continue;
    add(least, to, amount);
    add(most, from, -amount);
  }
  for (const [account, balance] of balances) {
    const [low, high] = [least.get(account) ?? 0, most.get(account) ?? 0];
    if (balance >= low && balance <= high) continue;
    const range = low === high ? `${low}` : `between ${low} and ${high}`;
    return `${describe(read)} finds ${balance} in ${account}; by the transfers it holds ${range}`;
  }
  return null;
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

function describe({ id, process, action, balances, outcome, invoked, completed }: BankOperation) {
  const text =
    action.kind === "read"
      ? `read {${[...(balances ?? [])].map(([account, n]) => `${account}: ${n}`).join(", ")}}`
      : `transfer ${action.amount} from ${action.from} to ${action.to}`;
  return `#${id} p${process} ${text} ${outcome} [${invoked}, ${completed}]`;
}
