import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const READY_MS_MAX = 10_000;

/** Whether a program of this name can be started. */
export function isInstalled(program: string): boolean {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}

/** A real redis-server without persistence, on a free loopback port. */
export class RedisServer {
  readonly port: number;
  readonly #stop: () => Promise<void>;

  private constructor(port: number, stop: () => Promise<void>) {
    this.port = port;
    this.#stop = stop;
  }

  /** Null where redis-server is not installed. */
  static async start(): Promise<RedisServer | null> {
    if (!isInstalled("redis-server")) return null;
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "trefoil-redis-"));
    const options = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
    const child = spawn("redis-server", [...options, "--save", "", "--appendonly", "no"], {
      stdio: "ignore",
    });
    const exited = once(child, "exit");
    const stop = async (): Promise<void> => {
      child.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    };
    try {
      await accepting(port);
    } catch (error) {
      await stop();
      throw error;
    }
    return new RedisServer(port, stop);
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

async function accepting(port: number): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (!(await accepts(port))) {
    if (performance.now() > deadline) throw new Error("redis-server did not start");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
