import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { RespClient } from "../client/resp-client.ts";
import { BenchError, dataDirectory, Program, removeDirectory } from "./programs.ts";

const NODES = 3;
const PORT_GROUPS = [1, 1001, 2001];
const BASE_PORT_MIN = 20_000;
const BASE_PORT_MAX = 30_000;

const READY_MS_MAX = 30_000;
const RESTART_MS_MAX = 120_000;
/** What `trefoil start` says when all nodes serve. */
const READY = /nodes? (?:is|are) ready/;

/** How long a cluster that was killed took to come back, in ms since it was started again. */
export interface RestartTimes {
  /** Until `trefoil start` said that all nodes are ready. */
  readonly readyMs: number;
  /** Until a linearizable read was answered. */
  readonly answerMs: number;
}

/** One node as `/status` tells it. */
export interface NodeAddress {
  readonly id: string;
  readonly pid: number;
  readonly respPort: number;
  readonly httpPort: number;
}

interface StatusDocument {
  readonly nodes: readonly {
    readonly id: string;
    readonly pid: number;
    readonly resp: string;
    readonly http: string;
    readonly alive: boolean;
  }[];
  readonly keyspaces: readonly { readonly number: number; readonly leader: string | null }[];
}

/**
 * Three nodes started as a user starts them: `trefoil start`, on free ports, in a new directory.
 */
export class TrefoilCluster {
  readonly #directory: string;
  readonly #basePort: number;
  readonly #env: NodeJS.ProcessEnv;
  #program: Program;
  /** The leader of keyspace 0 first. */
  #nodes: readonly NodeAddress[] = [];

  private constructor(directory: string, basePort: number, env: NodeJS.ProcessEnv) {
    this.#directory = directory;
    this.#basePort = basePort;
    this.#env = env;
    this.#program = this.#run();
  }

  static async start(env: NodeJS.ProcessEnv = {}): Promise<TrefoilCluster> {
    const cluster = new TrefoilCluster(dataDirectory("trefoil"), await freeBasePort(), env);
    try {
      await cluster.#program.until(() => cluster.refresh(), READY_MS_MAX);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Kills all nodes as they are, and starts the cluster again in the same directory. */
  async restartKilled(): Promise<RestartTimes> {
    for (const { pid } of this.#nodes) process.kill(pid, "SIGKILL");
    // Its nodes were all it ran: it ends by itself.
    await this.#program.ended;
    const begun = performance.now();
    this.#program = this.#run();
    const answered = this.#firstAnswer(begun);
    answered.catch(() => {});
    await this.#program.until(async () => READY.test(this.#program.output), RESTART_MS_MAX);
    const readyMs = performance.now() - begun;
    const answerMs = await answered;
    await this.#program.until(() => this.refresh(), READY_MS_MAX);
    return { readyMs, answerMs };
  }

  /** Ms until some node, all of which are asked, answers a linearizable read. */
  async #firstAnswer(begun: number): Promise<number> {
    const program = this.#program;
    const asked = this.#nodes.map(({ respPort }) =>
      program.until(() => answersRead(respPort), RESTART_MS_MAX),
    );
    await Promise.any(asked);
    return performance.now() - begun;
  }

  #run(): Program {
    const main = fileURLToPath(new URL("../cli/main.js", import.meta.url));
    return new Program(
      "trefoil start",
      process.execPath,
      [main, "start", "--base-port", String(this.#basePort), "--dir", this.#directory],
      this.#env,
    );
  }

  /** All of them, the leader first. */
  get nodes(): readonly NodeAddress[] {
    return this.#nodes;
  }

  get leader(): NodeAddress {
    return this.#nodes[0]!;
  }

  get followers(): readonly NodeAddress[] {
    return this.#nodes.slice(1);
  }

  /** Asks who leads now; false while not all nodes are up or nobody leads. */
  async refresh(): Promise<boolean> {
    const url = `http://127.0.0.1:${this.#basePort + 1001}/status`;
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    const status = (await response.json()) as StatusDocument;
    const leader = status.keyspaces.find((keyspace) => keyspace.number === 0)?.leader;
    const alive = status.nodes.filter((node) => node.alive);
    if (alive.length < NODES || !alive.some((node) => node.id === leader)) return false;
    this.#nodes = alive
      .map(({ id, pid, resp, http }) => {
        return { id, pid, respPort: portOf(resp), httpPort: portOf(http) };
      })
      .sort((a, b) => Number(b.id === leader) - Number(a.id === leader));
    return true;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
    removeDirectory(this.#directory);
  }
}

async function answersRead(port: number): Promise<boolean> {
  const client = await RespClient.connect({ host: "127.0.0.1", port });
  try {
    return (await client.call("GET", "bench:no-such-key")).kind !== "error";
  } finally {
    client.close();
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** A base port whose nine ports are free now. */
async function freeBasePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const range = (BASE_PORT_MAX - BASE_PORT_MIN) / 10;
    const base = BASE_PORT_MIN + Math.floor(Math.random() * range) * 10;
    const ports = PORT_GROUPS.flatMap((group) => [0, 1, 2].map((i) => base + group + i));
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return base;
  }
  throw new BenchError("found no free range of ports");
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
