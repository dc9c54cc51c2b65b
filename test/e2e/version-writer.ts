import type { RespClient } from "../../src/client/resp-client.ts";
import type { Prng } from "../../src/core/base/prng.ts";
import { readText } from "./load.ts";

const KEYS = 300;
const PIPELINED = 64;

/** Writes ascending versions to its keys, many at a time, until the connection breaks. */
export class VersionWriter {
  readonly #prng: Prng;
  /** Per key: the last version that was sent, and the last that was acknowledged. */
  readonly sent: number[] = new Array<number>(KEYS).fill(0);
  readonly acknowledged: number[] = new Array<number>(KEYS).fill(0);
  increments = 0;
  incrementsSent = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** SETs sent so far. */
  get writes(): number {
    return this.sent.reduce((sum, version) => sum + version, 0);
  }

  /** Resolves when the connection is gone; never sends anything twice (GEN6). */
  async run(client: RespClient): Promise<void> {
    const lanes = Array.from({ length: PIPELINED }, () => this.#lane(client));
    await Promise.allSettled(lanes);
  }

  async #lane(client: RespClient): Promise<never> {
    for (;;) {
      if (this.#prng.chance(1, 4)) {
        this.incrementsSent += 1;
        const reply = await client.call("INCR", "counter");
        if (reply.kind === "integer") this.increments += 1;
        continue;
      }
      const key = this.#prng.between(0, KEYS - 1);
      const version = this.sent[key]! + 1;
      this.sent[key] = version;
      const reply = await client.call("SET", nameOf(key), textFor(key, version));
      if (reply.kind !== "simple") continue;
      this.acknowledged[key] = Math.max(this.acknowledged[key]!, version);
    }
  }

  /** What was lost or invented, in words. What is there counts as written from now on. */
  async violations(client: RespClient, read = readText): Promise<string[]> {
    const found: string[] = [];
    const check = async (key: number): Promise<void> => {
      const text = await read(client, nameOf(key));
      const version = Number(text?.split(":")[0] ?? 0);
      const [least, most] = [this.acknowledged[key]!, this.sent[key]!];
      const isWhole = text === null || text === textFor(key, version);
      if (version < least || version > most || !isWhole) {
        found.push(`${nameOf(key)} is ${text?.slice(0, 20)}, must be from ${least} to ${most}`);
      }
      this.acknowledged[key] = version;
    };
    await Promise.all(Array.from({ length: KEYS }, (_, key) => check(key)));
    const counter = Number((await read(client, "counter")) ?? 0);
    if (counter < this.increments || counter > this.incrementsSent) {
      found.push(`counter is ${counter}: from ${this.increments} to ${this.incrementsSent}`);
    }
    this.increments = counter;
    return found;
  }
}

const nameOf = (key: number) => `key:${key}`;
const textFor = (key: number, version: number) => `${version}:${key}:`.padEnd(200, "x");
