import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { BenchError, dataDirectory, Program, removeDirectory } from "./programs.ts";

const NODES = 3;
const PORT_GROUPS = [1, 1001, 2001];
const BASE_PORT_MIN = 20_000;
const BASE_PORT_MAX = 30_000;

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
  readonly #program: Program;
  readonly #httpPort: number;
  /** The leader of keyspace 0 first. */
  #nodes: readonly NodeAddress[] = [];

  private constructor(directory: string, program: Program, httpPort: number) {
    this.#directory = directory;
    this.#program = program;
    this.#httpPort = httpPort;
  }

  static async start(env?: NodeJS.ProcessEnv): Promise<TrefoilCluster> {
    const directory = dataDirectory("trefoil");
    const basePort = await freeBasePort();
    const main = fileURLToPath(new URL("../cli/main.js", import.meta.url));
    const program = new Program(
      "trefoil start",
      process.execPath,
      [main, "start", "--base-port", String(basePort), "--dir", directory],
      env,
    );
    const cluster = new TrefoilCluster(directory, program, basePort + 1001);
    try {
      await program.until(() => cluster.refresh(), 30_000);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
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
    const url = `http://127.0.0.1:${this.#httpPort}/status`;
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
