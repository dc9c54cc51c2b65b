import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { RespClient } from "../client/resp-client.ts";
import type { Reply } from "../core/contract/reply.ts";
import {
  BenchError,
  dataDirectory,
  freePorts,
  isInstalled,
  Program,
  removeDirectory,
} from "./programs.ts";

const READY_MS_MAX = 20_000;
const LOADED_MS_MAX = 600_000;

/** What to say where Redis is missing; null where it is there. */
export function redisMissing(): string | null {
  return isInstalled("redis-server") ? null : "not installed: redis-server (Debian: redis-server)";
}

/**
 * A primary of Redis and its replicas on loopback. Each syncs every write to its append-only file
 * before it answers (`appendfsync always`).
 */
export class RedisCluster {
  readonly #directory: string;
  readonly #ports: readonly number[];
  readonly #servers: Program[];

  private constructor(directory: string, ports: readonly number[]) {
    this.#directory = directory;
    this.#ports = ports;
    this.#servers = ports.map((_, number) => this.#startServer(number));
  }

  static async start(replicas: number): Promise<RedisCluster> {
    const missing = redisMissing();
    if (missing !== null) throw new BenchError(missing);
    const directory = dataDirectory("redis");
    const cluster = new RedisCluster(directory, await freePorts(1 + replicas));
    try {
      const wanted = new RegExp(`connected_slaves:${replicas}\\r?\\n`);
      await cluster.#servers[0]!.until(async () => {
        const replication = await cluster.info("replication");
        return wanted.test(replication) && !/state=(?!online)/.test(replication);
      }, READY_MS_MAX);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Where the primary answers. */
  get port(): number {
    return this.#ports[0]!;
  }

  get pid(): number {
    return this.#servers[0]!.pid;
  }

  /** A section of what the primary says of itself. */
  async info(section: string): Promise<string> {
    const reply = await this.#call("INFO", section);
    return "bytes" in reply ? Buffer.from(reply.bytes).toString() : "";
  }

  /** Kills the primary, starts it again, and gives the ms until it answers with its data. */
  async restartKilled(): Promise<number> {
    await this.#servers[0]!.stop("SIGKILL");
    const begun = performance.now();
    this.#servers[0] = this.#startServer(0);
    await this.#servers[0].until(async () => {
      const reply = await this.#call("DBSIZE");
      return reply.kind !== "error";
    }, LOADED_MS_MAX);
    return performance.now() - begun;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
    removeDirectory(this.#directory);
  }

  #startServer(number: number): Program {
    const directory = join(this.#directory, `r${number + 1}`);
    mkdirSync(directory, { recursive: true });
    const replicaOf = number === 0 ? [] : ["--replicaof", `127.0.0.1 ${this.port}`];
    return new Program(`redis-server ${number + 1}`, "redis-server", [
      ...["--port", String(this.#ports[number]), "--bind", "127.0.0.1", "--dir", directory],
      ...["--appendonly", "yes", "--appendfsync", "always", "--save", ""],
      ...["--repl-diskless-sync-delay", "0", ...replicaOf],
    ]);
  }

  async #call(...command: readonly string[]): Promise<Reply> {
    const client = await RespClient.connect({ host: "127.0.0.1", port: this.port });
    try {
      return await client.call(...command);
    } finally {
      client.close();
    }
  }
}
