import { RespClient, RespClientError } from "../../client/resp-client.ts";
import { decodeUtf8 } from "../../core/base/bytes.ts";
import type { Reply } from "../../core/contract/reply.ts";
import { type LocalCluster, pause } from "../local-cluster.ts";

const ACCOUNTS_PER_TELLER = 5;
const OPENING_BALANCE = 1_000;
const TIMEOUT_MS = 3_000;
const RETRY_MS = 50;
const AUDIT_TRIES_MAX = 100;

/** What the bank's clients were told, added up. */
export interface Counts {
  /** Transfers that the store said were done. */
  readonly acknowledged: number;
  /** Transfers that may or may not have been done (GEN1). */
  readonly unknown: number;
  /** Those of the acknowledged that were also begun after `mark()` was called last. */
  readonly sinceMark: number;
}

/** What the audit found; all is well if nothing is missing. */
export interface Audit {
  /** Acknowledged transfers that the journal does not have. */
  readonly missing: readonly string[];
  /** Lines in the journal, counted by the store: what nobody sent would show. */
  readonly journal: number;
  readonly total: number;
  /** Accounts whose balance is not their opening balance and their journal lines. */
  readonly wrong: readonly string[];
}

interface Transfer {
  readonly key: string;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  /** When it was sent; monotonic. */
  readonly begunAt: number;
}

/**
 * Accounts in one keyspace, and tellers that move money between them. An account belongs to one
 * teller, who knows its balance, so a transfer is one MSET: two balances and a line of the journal,
 * atomically.
 *
 * After an unknown outcome the teller leaves both accounts alone, for the transfer may still
 * happen; whatever it was, the books must balance.
 */
export class Bank {
  readonly accounts: readonly string[];
  readonly tellers: readonly Teller[];
  readonly #cluster: LocalCluster;
  #mark = Number.POSITIVE_INFINITY;

  private constructor(cluster: LocalCluster, tellers: readonly Teller[]) {
    this.#cluster = cluster;
    this.tellers = tellers;
    this.accounts = tellers.flatMap((teller) => teller.accounts);
  }

  /** Opens the accounts. */
  static async open(cluster: LocalCluster, tellers: number): Promise<Bank> {
    const bank = new Bank(
      cluster,
      Array.from({ length: tellers }, (_, i) => new Teller(cluster, i)),
    );
    const client = await connectAnywhere(cluster, 0);
    const opening = bank.accounts.flatMap((account) => [account, String(OPENING_BALANCE)]);
    const reply = await client.call("MSET", ...opening);
    client.close();
    if (reply.kind === "error")
      throw new Error(`the accounts could not be opened: ${reply.message}`);
    return bank;
  }

  get total(): number {
    return this.accounts.length * OPENING_BALANCE;
  }

  counts(): Counts {
    let acknowledged = 0;
    let unknown = 0;
    let sinceMark = 0;
    for (const teller of this.tellers) {
      acknowledged += teller.acknowledged.length;
      unknown += teller.unknown.length;
      sinceMark += teller.acknowledged.length - teller.acknowledgedBefore(this.#mark);
    }
    return { acknowledged, unknown, sinceMark };
  }

  mark(): void {
    this.#mark = performance.now();
  }

  /** Waits for a condition; gives up quietly after `timeoutMs`, for the report to tell. */
  async until(condition: (counts: Counts) => boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition(this.counts()) && performance.now() < deadline) await pause(5);
  }

  /** Reads balances and journal at one moment, and compares them with what was acknowledged. */
  async audit(): Promise<Audit> {
    const transfers = this.tellers.flatMap((teller) => [...teller.acknowledged, ...teller.unknown]);
    const keys = [...this.accounts, ...transfers.map((transfer) => transfer.key)];
    const journal = (await this.#dbsize()) - this.accounts.length;
    const values = await this.#readAll(keys);
    const done = transfers.filter((_, i) => values[this.accounts.length + i] !== null);
    const there = new Set(done.map((transfer) => transfer.key));
    const acknowledged = this.tellers.flatMap((teller) => teller.acknowledged);
    const missing = acknowledged.filter(({ key }) => !there.has(key)).map(({ key }) => key);
    const expected = new Map(this.accounts.map((account) => [account, OPENING_BALANCE]));
    for (const { from, to, amount } of done) {
      expected.set(from, (expected.get(from) ?? 0) - amount);
      expected.set(to, (expected.get(to) ?? 0) + amount);
    }
    let total = 0;
    const wrong: string[] = [];
    this.accounts.forEach((account, i) => {
      const balance = Number(values[i]);
      total += balance;
      if (balance !== expected.get(account)) wrong.push(account);
    });
    return { missing, journal, total, wrong };
  }

  async #dbsize(): Promise<number> {
    const reply = await this.#read(["DBSIZE"]);
    return reply.kind === "integer" ? Number(reply.value) : Number.NaN;
  }

  /** One MGET: one point in the order of writes. */
  async #readAll(keys: readonly string[]): Promise<readonly (string | null)[]> {
    const reply = await this.#read(["MGET", ...keys]);
    if (reply.kind !== "array") throw new Error(`MGET was answered by ${reply.kind}`);
    return reply.items.map(text);
  }

  /** Reads may be sent again: they change nothing. */
  async #read(args: readonly string[]): Promise<Reply> {
    for (let tries = 1; ; tries += 1) {
      const reply = await this.#tryRead(args, tries);
      if (reply !== null && reply.kind !== "error") return reply;
      if (tries >= AUDIT_TRIES_MAX) throw new Error("the accounts could not be read");
      await pause(RETRY_MS);
    }
  }

  async #tryRead(args: readonly string[], attempt: number): Promise<Reply | null> {
    try {
      const client = await connectAnywhere(this.#cluster, attempt);
      const reply = await client.call(...args);
      client.close();
      return reply;
    } catch (failure) {
      if (failure instanceof RespClientError) return null;
      throw failure;
    }
  }

  close(): void {
    for (const teller of this.tellers) teller.stop();
  }
}

/** One client, working through a connection to one node, and to another when that is gone. */
export class Teller {
  readonly accounts: readonly string[];
  readonly acknowledged: Transfer[] = [];
  readonly unknown: Transfer[] = [];
  readonly #cluster: LocalCluster;
  readonly #number: number;
  readonly #balances = new Map<string, number>();
  #usable: string[];
  #client: RespClient | null = null;
  #attempt: number;
  #sequence = 0;
  #stopped = false;

  constructor(cluster: LocalCluster, number: number) {
    this.#cluster = cluster;
    this.#number = number;
    this.#attempt = number;
    this.accounts = Array.from({ length: ACCOUNTS_PER_TELLER }, (_, i) => {
      return `account:${number * ACCOUNTS_PER_TELLER + i}`;
    });
    for (const account of this.accounts) this.#balances.set(account, OPENING_BALANCE);
    this.#usable = [...this.accounts];
  }

  stop(): void {
    this.#stopped = true;
  }

  /** How many of the acknowledged transfers were begun before an instant. */
  acknowledgedBefore(instant: number): number {
    // They are in the order in which they were begun.
    let count = this.acknowledged.length;
    while (count > 0 && this.acknowledged[count - 1]!.begunAt >= instant) count -= 1;
    return count;
  }

  /** Transfers until told to stop, or until no two accounts are left that it may touch. */
  async work(): Promise<void> {
    while (!this.#stopped && this.#usable.length >= 2) {
      const client = await this.#connected();
      if (client === null) await pause(RETRY_MS);
      else await this.#transfer(client);
    }
    this.#client?.close();
  }

  async #connected(): Promise<RespClient | null> {
    if (this.#client !== null && !this.#client.closed) return this.#client;
    try {
      this.#client = await connectAnywhere(this.#cluster, this.#attempt);
    } catch (failure) {
      if (!(failure instanceof RespClientError)) throw failure;
      this.#attempt += 1;
      return null;
    }
    return this.#client;
  }

  async #transfer(client: RespClient): Promise<void> {
    this.#sequence += 1;
    const turn = this.#sequence;
    const from = this.#usable[turn % this.#usable.length]!;
    const to = this.#usable[(turn + 1) % this.#usable.length]!;
    const amount = 1 + (turn % 9);
    const key = `journal:${this.#number}:${turn}`;
    const balances = {
      from: (this.#balances.get(from) ?? 0) - amount,
      to: (this.#balances.get(to) ?? 0) + amount,
    };
    const transfer: Transfer = { key, from, to, amount, begunAt: performance.now() };
    const outcome = await this.#send(client, transfer, balances);
    if (outcome === "acknowledged") {
      this.acknowledged.push(transfer);
      this.#balances.set(from, balances.from);
      this.#balances.set(to, balances.to);
    } else if (outcome === "unknown") {
      this.unknown.push(transfer);
      this.#usable = this.#usable.filter((account) => account !== from && account !== to);
    } else await pause(RETRY_MS);
  }

  async #send(
    client: RespClient,
    { key, from, to, amount }: Transfer,
    balances: { readonly from: number; readonly to: number },
  ): Promise<"acknowledged" | "not-applied" | "unknown"> {
    const line = `${from} ${to} ${amount}`;
    try {
      const values = [from, String(balances.from), to, String(balances.to), key, line];
      const reply = await client.call("MSET", ...values);
      if (reply.kind !== "error") return "acknowledged";
      return reply.outcome === "not-applied" || reply.message.endsWith("not-applied")
        ? "not-applied"
        : "unknown";
    } catch (failure) {
      if (!(failure instanceof RespClientError)) throw failure;
      this.#attempt += 1;
      return failure.outcome;
    }
  }
}

/** A connection to one of the nodes, `attempt` choosing which. Rejects with `RespClientError`. */
function connectAnywhere(cluster: LocalCluster, attempt: number): Promise<RespClient> {
  const ids = cluster.ids;
  const id = ids[attempt % ids.length]!;
  return RespClient.connect({ ...cluster.clientOptions(id), timeoutMs: TIMEOUT_MS });
}

function text(reply: Reply): string | null {
  return reply.kind === "bulk" ? decodeUtf8(reply.bytes) : null;
}
