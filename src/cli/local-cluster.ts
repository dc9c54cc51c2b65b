import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { RespClientOptions } from "../client/resp-client.ts";
import type { NodeId } from "../core/contract/ids.ts";
import { type Address, formatAddress } from "../host/address.ts";
import { askNode, type LocalStatus, type NodeAddresses } from "../host/cluster-status.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import type { ClusterFile } from "./cluster-file.ts";
import { ProgressDeadline } from "./progress-deadline.ts";

/** What the processes of a local cluster have in common. */
export interface LocalClusterOptions {
  /** The compiled `cli/main.js` that each node runs. */
  readonly entry: string;
  readonly logLevel?: string;
  /** More settings for every node, as environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * What its clients have to authenticate with; null: nothing, whatever the environment says. Where
   * it is left out, the nodes take it from the environment.
   */
  readonly password?: string | null;
}

/** How a process ended: by a code or by a signal. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One node's process, running or ended. */
export interface NodeProcess {
  readonly id: NodeId;
  readonly addresses: NodeAddresses;
  readonly logFile: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Null while it runs. */
  exit: Exit | null;
  readonly child: ChildProcess;
}

/** A node that has not ended this long after it was asked to is killed, ms. */
const STOP_MS_MAX = 6_000;

/** How often a condition that is waited for is looked at, ms. */
const POLL_MS = 25;
/** Who waits long hears so often what for. */
const PROGRESS_MS = 5_000;

/** A log beyond this is put aside when its node starts. */
const LOG_BYTES_MAX = 16 << 20;

/** A command's garbage dies young, so a larger nursery copies less: 40 % less time in GC. */
const NODE_FLAGS = ["--max-semi-space-size=64"];

/** Settings of one node, which a cluster's nodes cannot share. */
const PER_NODE_VARIABLES = ["TREFOIL_DIR", "TREFOIL_RESP", "TREFOIL_HTTP", "TREFOIL_PEER"];

const PASSWORD_VARIABLES = ["TREFOIL_PASSWORD", "TREFOIL_PASSWORD_FILE"];

/**
 * A cluster of real processes on this machine: `trefoil start`, the tour and the end-to-end tests
 * all run their nodes by it. Nodes are children that stop when their standard input ends, so none
 * is left behind, however this process ends.
 */
export class LocalCluster {
  readonly file: ClusterFile;
  readonly #options: LocalClusterOptions;
  readonly #nodes = new Map<NodeId, NodeProcess>();

  constructor(file: ClusterFile, options: LocalClusterOptions) {
    this.file = file;
    this.#options = options;
  }

  get ids(): readonly NodeId[] {
    return this.file.nodes.map((node) => node.id);
  }

  /** Nodes started so far, whether or not they still run. */
  get nodes(): readonly NodeProcess[] {
    return [...this.#nodes.values()];
  }

  addresses(id: NodeId): NodeAddresses {
    const found = this.file.nodes.find((node) => node.id === id);
    if (found === undefined) throw new TypeError(`there is no node ${id}`);
    return found;
  }

  /** How a client of ours connects to a node. */
  clientOptions(id: NodeId): RespClientOptions {
    return { ...this.addresses(id).resp, password: this.#options.password ?? null };
  }

  node(id: NodeId): NodeProcess {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new TypeError(`node ${id} was not started`);
    return node;
  }

  isRunning(id: NodeId): boolean {
    return this.#nodes.get(id)?.exit === null;
  }

  startAll(): void {
    for (const id of this.ids) this.start(id);
  }

  /** Starts one node's process; `waitReady` tells when it serves. */
  start(id: NodeId): NodeProcess {
    if (this.isRunning(id)) throw new TypeError(`node ${id} runs already`);
    const addresses = this.addresses(id);
    const logFile = join(this.file.dir, `${id}.log`);
    if (existsSync(logFile) && statSync(logFile).size > LOG_BYTES_MAX) {
      renameSync(logFile, `${logFile}.1`);
    }
    const log = openSync(logFile, "a", 0o600);
    const args = [this.#options.entry, "serve", "--dir", join(this.file.dir, id), "--supervised"];
    const child = spawn(process.execPath, [...NODE_FLAGS, ...args], {
      // A process group of its own: the terminal's Ctrl-C reaches us alone, and we stop the nodes.
      detached: true,
      stdio: ["pipe", "ignore", log],
      env: this.#environment(),
    });
    closeSync(log);
    child.stdin?.on("error", () => {});
    const exited = new Promise<Exit>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
      child.once("error", () => resolve({ code: EXIT.failed, signal: null }));
    });
    const node: NodeProcess = {
      id,
      addresses,
      logFile,
      pid: child.pid ?? 0,
      exited,
      exit: null,
      child,
    };
    void exited.then((exit) => {
      node.exit = exit;
    });
    this.#nodes.set(id, node);
    return node;
  }

  #environment(): NodeJS.ProcessEnv {
    const env: NodeJS.ProcessEnv = { ...process.env, ...this.#options.env };
    for (const variable of PER_NODE_VARIABLES) delete env[variable];
    const { password } = this.#options;
    if (password !== undefined) {
      for (const variable of PASSWORD_VARIABLES) delete env[variable];
      if (password !== null) env["TREFOIL_PASSWORD"] = password;
    }
    if (this.#options.logLevel !== undefined) env["TREFOIL_LOG_LEVEL"] = this.#options.logLevel;
    return env;
  }

  /** Sends a signal and, if it is one that ends the process, waits until it has ended. */
  async kill(id: NodeId, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const node = this.node(id);
    if (node.exit !== null) return;
    node.child.kill(signal);
    if (signal !== "SIGSTOP" && signal !== "SIGCONT") await node.exited;
  }

  /** Stops one node as an operator would: it hands leadership over and drains. */
  async stopNode(id: NodeId): Promise<Exit> {
    const node = this.node(id);
    node.child.kill("SIGTERM");
    return endOf(node);
  }

  /** Stops every node at once; whoever does not end in time is killed. */
  async stop(): Promise<void> {
    const running = this.nodes.filter((node) => node.exit === null);
    // The end of its input tells a node that the whole cluster stops: nobody is left to lead.
    for (const node of running) {
      node.child.kill("SIGCONT");
      node.child.stdin?.end();
    }
    await Promise.all(running.map(endOf));
  }

  status(id: NodeId, timeoutMs?: number): Promise<LocalStatus | null> {
    return askNode(this.addresses(id).http, timeoutMs);
  }

  /**
   * Waits until these nodes (all, if not said) serve. Throws `StartError` when one ends, or gets
   * nowhere for `timeoutMs`: after a crash there may be much to apply, and that takes its time.
   */
  async waitReady(
    timeoutMs = 30_000,
    ids: readonly NodeId[] = this.ids,
    onProgress: (line: string) => void = () => {},
  ): Promise<void> {
    for (const id of ids) {
      const deadline = new ProgressDeadline(timeoutMs, performance.now());
      let sayAt = performance.now() + PROGRESS_MS;
      for (;;) {
        const status = await this.status(id);
        if (status?.ready === true && status.cluster === this.file.cluster) break;
        this.#checkAlive(id);
        const now = performance.now();
        const applied = status === null ? -1 : appliedEntries(status);
        if (deadline.isOver(applied, now)) throw this.#notReady(id, timeoutMs);
        if (now >= sayAt && status !== null) {
          onProgress(`${id} is not ready yet; it has applied ${applied} entries of its log.`);
          sayAt = now + PROGRESS_MS;
        }
        await pause(POLL_MS);
      }
    }
  }

  #notReady(id: NodeId, timeoutMs: number): StartError {
    const seconds = Math.round(timeoutMs / 1000);
    return new StartError(
      EXIT.unreachable,
      `${id} is not ready, and gets nowhere (${seconds} s). ${lastWords(this.node(id).logFile)}`,
    );
  }

  #checkAlive(id: NodeId): void {
    const node = this.node(id);
    if (node.exit === null) return;
    const code = node.exit.code;
    const known = Object.values(EXIT).find((value) => value === code) ?? EXIT.failed;
    throw new StartError(known, `${describeExit(node)} ${lastWords(node.logFile)}`);
  }

  /** The leader of a keyspace that a majority of nodes agree on, waiting for one if need be. */
  async waitLeader(timeoutMs = 10_000, keyspace = 0): Promise<NodeId> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const leader = await this.#agreedLeader(keyspace);
      if (leader !== null) return leader;
      if (performance.now() > deadline) {
        throw new StartError(EXIT.unreachable, `No leader within ${timeoutMs} ms.`);
      }
      await pause(POLL_MS);
    }
  }

  async #agreedLeader(keyspace: number): Promise<NodeId | null> {
    const votes = new Map<NodeId, number>();
    const statuses = await Promise.all(this.ids.map((id) => this.status(id)));
    for (const status of statuses) {
      const leader = status?.keyspaces.find(({ number }) => number === keyspace)?.leader;
      if (leader === undefined || leader === null || !this.isRunning(leader)) continue;
      votes.set(leader, (votes.get(leader) ?? 0) + 1);
    }
    for (const [leader, count] of votes) if (count > this.ids.length / 2) return leader;
    return null;
  }
}

async function endOf(node: NodeProcess): Promise<Exit> {
  const timer = setTimeout(() => node.child.kill("SIGKILL"), STOP_MS_MAX);
  const exit = await node.exited;
  clearTimeout(timer);
  return exit;
}

/** How a node's process ended, as a sentence. */
export function describeExit(node: NodeProcess): string {
  if (node.exit === null) return `${node.id} (pid ${node.pid}) runs.`;
  const { code, signal } = node.exit;
  const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
  return `${node.id} (pid ${node.pid}) ${how}.`;
}

/** What a node logged last: the reason, if it ended by itself. */
export function lastWords(logFile: string): string {
  try {
    const lines = readFileSync(logFile, "utf8").trimEnd().split("\n").reverse();
    const line = lines.find((text) => /"level":(50|60)/.test(text)) ?? lines[0];
    if (line === undefined || line === "") return `Its log is ${logFile}.`;
    const entry: unknown = line.startsWith("{") ? JSON.parse(line) : line;
    const isEntry = typeof entry === "object" && entry !== null && "msg" in entry;
    return `${isEntry ? String(entry.msg) : line} (log: ${logFile})`;
  } catch {
    return `Its log is ${logFile}.`;
  }
}

/** Whether a port can be bound now. */
export function isFree(address: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: address.host, port: address.port }, () => {
      server.close(() => resolve(true));
    });
  });
}

/** The addresses of a cluster's nodes that somebody uses now. */
export async function portsInUse(nodes: readonly NodeAddresses[]): Promise<readonly string[]> {
  const used: string[] = [];
  for (const { resp, http, peer } of nodes) {
    for (const address of [resp, http, peer]) {
      if (!(await isFree(address))) used.push(formatAddress(address));
    }
  }
  return used;
}

/** Over all its keyspaces. */
function appliedEntries({ keyspaces, catalog }: LocalStatus): number {
  return keyspaces.reduce((sum, { appliedIndex }) => sum + appliedIndex, catalog.appliedIndex);
}

/** Waits; for polling a condition, never as a stand-in for one. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
