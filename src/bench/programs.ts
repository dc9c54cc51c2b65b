import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TMPFS_MAGIC = 0x01021994;
const OUTPUT_BYTES_MAX = 64 * 1024;

/** What must not outlive the bench, also when it is interrupted. */
const running = new Set<Program>();
const directories = new Set<string>();

/** What the bench was asked for cannot be measured here; the message says what to do. */
export class BenchError extends Error {
  override readonly name = "BenchError";
}

/** Whether a program can be started by its name. */
export function isInstalled(program: string): boolean {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
}

/** Ports of 127.0.0.1 that nobody listens on now, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new BenchError("no port");
    return address.port;
  });
  await Promise.all(
    servers.map(async (server) => {
      server.close();
      await once(server, "close");
    }),
  );
  return ports;
}

/**
 * A new directory for data that must really reach a disk: under the system's temporary directory,
 * or under the current one where that is memory.
 */
export function dataDirectory(name: string): string {
  const isMemory = statfsSync(tmpdir()).type === TMPFS_MAGIC;
  const parent = isMemory ? process.cwd() : tmpdir();
  const path = mkdtempSync(join(parent, `trefoil-bench-${name}-`));
  directories.add(path);
  return path;
}

/** Removes what `dataDirectory` made. */
export function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
  directories.delete(path);
}

/** Stops every program and removes every directory that is still there. */
export async function cleanUp(): Promise<void> {
  await Promise.all([...running].map((program) => program.stop()));
  for (const path of [...directories]) removeDirectory(path);
}

/** A child process that ends with the bench, and whose last output explains a failure. */
export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #output = "";
  #hasExited = false;

  constructor(name: string, command: string, args: readonly string[], env?: NodeJS.ProcessEnv) {
    this.name = name;
    this.#child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_BYTES_MAX);
    };
    this.#child.stdout?.on("data", keep);
    this.#child.stderr?.on("data", keep);
    running.add(this);
    this.#exited = new Promise((resolve) => {
      const done = (): void => {
        this.#hasExited = true;
        running.delete(this);
        resolve();
      };
      this.#child.once("exit", done);
      this.#child.once("error", done);
    });
  }

  /** Resolves when it has ended, however. */
  get ended(): Promise<void> {
    return this.#exited;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  get output(): string {
    return this.#output;
  }

  /** Polls until `ready` holds. Throws with the program's output when it ends or time is up. */
  async until(ready: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!(await ready().catch(() => false))) {
      if (this.#hasExited) throw new BenchError(`${this.name} ended:\n${this.#output}`);
      if (Date.now() > end) throw new BenchError(`${this.name} is not ready:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** 0 where it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** SIGTERM or another signal, and SIGKILL where that takes more than five seconds. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.#hasExited) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5_000);
    await this.#exited;
    clearTimeout(timer);
  }
}

/**
 * Runs a program to its end and gives its standard output. Throws when it fails or takes too long.
 */
export async function runToEnd(
  command: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-OUTPUT_BYTES_MAX);
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const [code] = (await once(child, "close")) as [number | null];
  clearTimeout(timer);
  if (code !== 0) throw new BenchError(`${command} ended with ${code}: ${errors}`);
  return output;
}
