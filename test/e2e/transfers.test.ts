import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  connect,
  type Database,
  defineKeyspaces,
  isTrefoilError,
  json,
  singleLeader,
} from "../../src/client/index.ts";
import { TestCluster } from "./cluster.ts";

/** Longer by hand: `TRANSFER_SECONDS=300`. */
const SECONDS = Number(process.env.TRANSFER_SECONDS ?? 8);
const CLIENTS = 8;
const ACCOUNTS = 5;
const OPENING_BALANCE = 1_000;

const keyspaces = defineKeyspaces({
  default: singleLeader({ value: json<{ readonly balance: number }>() }),
});
type Ledger = Database<typeof keyspaces>;

let cluster: TestCluster;
const databases: Ledger[] = [];

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.waitLeader();
  const ports = cluster.ids.map((id) => cluster.addresses(id).resp.port);
  for (let i = 0; i < CLIENTS; i += 1) {
    // Each begins with another node, and goes to the next when that one is gone.
    const order = [...ports.slice(i % 3), ...ports.slice(0, i % 3)];
    const url = `trefoil://${order.map((port) => `127.0.0.1:${port}`).join(",")}`;
    databases.push(await connect(url, { keyspaces, timeoutMs: 5_000 }));
  }
}, 60_000);

afterAll(async () => {
  await Promise.all(databases.map((db) => db.close()));
  await cluster?.close();
}, 30_000);

const account = (i: number) => `account:${i % ACCOUNTS}`;

interface Tally {
  committed: number;
  unknown: number;
  refused: number;
  checks: number;
}

async function transfer(db: Ledger, from: string, to: string, amount: number): Promise<void> {
  await db.default.transaction(async (tx) => {
    const [source, target] = [await tx.get(from), await tx.get(to)];
    if (source === null || target === null) throw new Error("an account is gone");
    if (source.balance < amount) throw new RangeError("insufficient funds");
    tx.set(from, { balance: source.balance - amount });
    tx.set(to, { balance: target.balance + amount });
  });
}

/** The sum as one transaction sees it. */
function sum(db: Ledger): Promise<number> {
  return db.default.transaction(async (tx) => {
    const rows = await tx.range({ from: "account:", to: "account;" });
    expect(rows).toHaveLength(ACCOUNTS);
    return rows.reduce((total, [, { balance }]) => total + balance, 0);
  });
}

async function client(db: Ledger, number: number, until: () => boolean, tally: Tally) {
  for (let i = number; !until(); i += 1) {
    try {
      if (i % 10 === 0) {
        expect(await sum(db)).toBe(ACCOUNTS * OPENING_BALANCE);
        tally.checks += 1;
      } else
        await transfer(
          db,
          account(i),
          account(i + 1 + ((i * 3 + number) % (ACCOUNTS - 1))),
          1 + (i % 100),
        );
      tally.committed += 1;
    } catch (failure) {
      if (failure instanceof RangeError) continue;
      if (!isTrefoilError(failure)) throw failure;
      if (failure.outcome === "unknown") tally.unknown += 1;
      else tally.refused += 1;
    }
  }
}

test(
  "money moves between accounts while leaders die, and none is made or lost",
  async () => {
    const [first] = databases;
    for (let i = 0; i < ACCOUNTS; i += 1) {
      await first!.default.set(account(i), { balance: OPENING_BALANCE });
    }
    let isOver = false;
    const tally: Tally = { committed: 0, unknown: 0, refused: 0, checks: 0 };
    const clients = databases.map((db, i) => client(db, i, () => isOver, tally));
    const running = Promise.allSettled(clients);
    let kills = 0;
    for (let left = SECONDS; left > 0; left -= 4) {
      await sleep(2_000);
      const leader = await cluster.waitLeader();
      await cluster.kill(leader);
      kills += 1;
      await sleep(2_000);
      await cluster.restart(leader);
    }
    isOver = true;
    await running;
    await Promise.all(clients);
    console.info(`${kills} leaders killed: ${JSON.stringify(tally)}`);
    expect(tally.committed).toBeGreaterThan(SECONDS);
    expect(tally.checks).toBeGreaterThan(0);
    for (const db of databases) expect(await sum(db)).toBe(ACCOUNTS * OPENING_BALANCE);
  },
  SECONDS * 3_000 + 60_000,
);
