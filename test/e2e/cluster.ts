import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { initCluster } from "../../src/cli/cluster-file.ts";
import { freeAddresses } from "../../src/cli/free-ports.ts";
import { LocalCluster } from "../../src/cli/local-cluster.ts";
import { RespClient } from "../../src/client/resp-client.ts";
import type { NodeId } from "../../src/core/contract/ids.ts";

/** The compiled program; `npm test` compiles before it runs. */
export const ENTRY: string = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface TestClusterOptions {
  readonly nodes?: number;
  /** Settings for every node, as environment variables: `TREFOIL_ELECTION_TIMEOUT_MS`. */
  readonly env?: Readonly<Record<string, string>>;
  /** What clients have to authenticate with. */
  readonly password?: string | null;
}

/**
 * Real nodes on free ports with data in a temporary folder. Everything waits for conditions, within
 * bounds; `close` leaves no process and no file behind.
 *
 *     const cluster = await TestCluster.start();
 *     const leader = await cluster.waitLeader();
 *     await cluster.kill(leader);                  // SIGKILL
 *     await cluster.restart(leader);               // and ready again
 *     await cluster.close();
 */
export class TestCluster extends LocalCluster {
  readonly folder: string;
  readonly #clients: RespClient[] = [];

  private constructor(
    folder: string,
    file: ReturnType<typeof initCluster>,
    { env = {}, password = null }: TestClusterOptions,
  ) {
    super(file, { entry: ENTRY, logLevel: "debug", env, password });
    this.folder = folder;
  }

  /** Formats a cluster's directories and starts nothing. */
  static async create(options: TestClusterOptions = {}): Promise<TestCluster> {
    if (!existsSync(ENTRY)) throw new Error(`${ENTRY} is missing: run \`npm run build\` first`);
    const folder = mkdtempSync(join(tmpdir(), "trefoil-test-"));
    const file = initCluster(join(folder, "data"), await freeAddresses(options.nodes ?? 3));
    return new TestCluster(folder, file, options);
  }

  /** Formats a cluster, starts every node and waits until all are ready. */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = await TestCluster.create(options);
    try {
      cluster.startAll();
      await cluster.waitReady();
      return cluster;
    } catch (failure) {
      await cluster.close();
      throw failure;
    }
  }

  /** A RESP3 client of one node; `close` ends it. */
  async client(id: NodeId, timeoutMs = 5_000): Promise<RespClient> {
    const client = await RespClient.connect({ ...this.clientOptions(id), timeoutMs });
    this.#clients.push(client);
    return client;
  }

  /** Starts a node that has ended, and waits until it serves. */
  async restart(id: NodeId): Promise<void> {
    this.start(id);
    await this.waitReady(20_000, [id]);
  }

  async killAll(): Promise<void> {
    await Promise.all(this.ids.filter((id) => this.isRunning(id)).map((id) => this.kill(id)));
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
