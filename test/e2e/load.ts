import { RespClient, RespClientError } from "../../src/client/resp-client.ts";
import type { TestCluster } from "./cluster.ts";

/** What one client did, and what it was told. */
interface ClientRecord {
  /** Keys whose SET was acknowledged, with the value. Each key is written once. */
  readonly acknowledged: Map<string, string>;
  increments: number;
  unknownIncrements: number;
  notApplied: number;
}

const COUNTER = "load:counter";
const PAUSE_MS = 5;

/**
 * A steady load of SETs and INCRs on every node: one connection each, one command at a time,
 * nothing ever sent twice. A connection that breaks is replaced when its node answers again.
 */
export class SteadyLoad {
  readonly #cluster: TestCluster;
  readonly #records: ClientRecord[] = [];
  readonly #workers: Promise<void>[] = [];
  #stopping = false;
  #acknowledgements = 0;

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
    for (const [index, id] of cluster.ids.entries()) {
      const record = {
        acknowledged: new Map<string, string>(),
        increments: 0,
        unknownIncrements: 0,
        notApplied: 0,
      };
      this.#records.push(record);
      this.#workers.push(this.#work(index, id, record));
    }
  }

  /** Writes acknowledged so far. */
  get acknowledgements(): number {
    return this.#acknowledgements;
  }

  /** Waits until this many more writes are acknowledged. */
  async progress(writes: number, timeoutMs = 20_000): Promise<void> {
    const wanted = this.#acknowledgements + writes;
    const deadline = performance.now() + timeoutMs;
    while (this.#acknowledgements < wanted) {
      if (performance.now() > deadline) {
        throw new Error(`${this.#acknowledgements} of ${wanted} writes after ${timeoutMs} ms`);
      }
      await pause(PAUSE_MS);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers);
  }

  /**
   * What the store lost or did twice, in words; empty if it kept every promise: acknowledged SETs
   * are there, and acknowledged ≤ counter ≤ acknowledged + unknown.
   */
  async violations(client: RespClient): Promise<string[]> {
    const found: string[] = [];
    const check = async ([key, value]: readonly [string, string]): Promise<void> => {
      const seen = await readText(client, key);
      if (seen !== value) found.push(`${key} is ${seen}, was acknowledged as ${value}`);
    };
    const acknowledged = this.#records.flatMap((record) => [...record.acknowledged]);
    await Promise.all(acknowledged.map(check));
    const sum = (of: (record: ClientRecord) => number): number =>
      this.#records.reduce((total, record) => total + of(record), 0);
    const least = sum((record) => record.increments);
    const most = least + sum((record) => record.unknownIncrements);
    const counter = Number((await readText(client, COUNTER)) ?? 0);
    if (counter < least || counter > most) {
      found.push(`the counter is ${counter}, must be from ${least} to ${most}`);
    }
    return found;
  }

  async #work(index: number, id: string, record: ClientRecord): Promise<void> {
    let client: RespClient | null = null;
    for (let i = 0; !this.#stopping; i += 1) {
      if (client === null || client.closed) {
        client = await RespClient.connect(this.#cluster.clientOptions(id)).catch(() => null);
        if (client === null) {
          await pause(PAUSE_MS);
          continue;
        }
      }
      await this.#writeBoth(client, `load:${index}:${i}`, record);
      await pause(PAUSE_MS);
    }
    client?.close();
  }

  async #writeBoth(client: RespClient, key: string, record: ClientRecord): Promise<void> {
    const value = `value of ${key}`;
    const set = await outcomeOf(client, ["SET", key, value]);
    if (set === "applied") record.acknowledged.set(key, value);
    this.#count(set, record);
    const incremented = await outcomeOf(client, ["INCR", COUNTER]);
    if (incremented === "applied") record.increments += 1;
    if (incremented === "unknown") record.unknownIncrements += 1;
    this.#count(incremented, record);
  }

  #count(outcome: string, record: ClientRecord): void {
    if (outcome === "not-applied") record.notApplied += 1;
    if (outcome !== "applied") return;
    this.#acknowledgements += 1;
  }
}

async function outcomeOf(
  client: RespClient,
  command: readonly string[],
): Promise<"applied" | "not-applied" | "unknown"> {
  try {
    const reply = await client.call(...command);
    if (reply.kind !== "error") return "applied";
    return reply.outcome ?? "not-applied";
  } catch (error) {
    if (!(error instanceof RespClientError)) throw error;
    client.close();
    return "unknown";
  }
}

/** A value as text; null where there is none. Throws on an error reply. */
export async function readText(client: RespClient, key: string): Promise<string | null> {
  const reply = await client.callWithin(10_000, ["GET", key]);
  if (reply.kind === "bulk") return Buffer.from(reply.bytes).toString();
  if (reply.kind === "null") return null;
  throw new Error(`GET ${key}: ${JSON.stringify(reply)}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
