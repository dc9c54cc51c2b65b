import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import type { NodeId } from "../core/contract/ids.ts";
import { formatAddress } from "../host/address.ts";
import { askNode } from "../host/cluster-status.ts";
import { EXIT, type ExitCode, StartError } from "../host/exit-codes.ts";
import { problemOf } from "../host/password-file.ts";
import { VERSION } from "../host/version.ts";
import {
  addressesFrom,
  BASE_PORT,
  CLUSTER_DIR,
  type ClusterFile,
  initCluster,
  readClusterFile,
  writeClusterFile,
} from "./cluster-file.ts";
import { describeExit, LocalCluster, lastWords, portsInUse } from "./local-cluster.ts";
import {
  dirFlag,
  type PasswordOptions,
  parseWholeNumber,
  passwordFlag,
  resolvePassword,
  withPassword,
} from "./options.ts";
import { table } from "./output.ts";

interface StartOptions extends PasswordOptions {
  readonly nodes?: number;
  readonly basePort?: number;
  readonly dir: string;
}

const NODES = 3;
const READY_MS_MAX = 30_000;

const PASSWORD_HINT = "Clients need the password (redis-cli: REDISCLI_AUTH).\n";

/** The compiled program, which each node's process runs. */
export const ENTRY: string = fileURLToPath(new URL("./main.js", import.meta.url));

/** `trefoil start`: a whole cluster on this machine, a process per node, until Ctrl-C. */
export function startCommand(): Command {
  const command = new Command("start")
    .description("run a cluster on this machine, one process per node")
    .option("--nodes <n>", `number of nodes of a new cluster (default: ${NODES})`, parseWholeNumber)
    .option(
      "--base-port <p>",
      `RESP on p+1…, HTTP on p+1001…, peers on p+2001… (default: ${BASE_PORT})`,
      parseWholeNumber,
    )
    .option("--dir <path>", "where the data is, or goes", CLUSTER_DIR);
  return withPassword(command).action(async (options: StartOptions) => {
    const signals = new Signals();
    checkPassword(options);
    const file = await openCluster(options);
    process.exit(await runCluster(file, options, signals));
  });
}

/** Before anything is made: the nodes would all refuse a password that is none. */
function checkPassword(options: StartOptions): void {
  const password = resolvePassword(options);
  const problem = password === null ? null : problemOf(password);
  if (problem !== null) {
    throw new StartError(EXIT.usage, `TREFOIL_PASSWORD cannot be used: ${problem}`);
  }
}

/** The folder's cluster, made if there is none. Throws `StartError` where it may not be started. */
async function openCluster(options: StartOptions): Promise<ClusterFile> {
  const existing = readClusterFile(options.dir);
  if (existing !== null) await refuseRunning(existing);
  const file = existing === null ? null : moved(existing, options);
  const nodes = file?.nodes ?? addressesFrom(options.basePort ?? BASE_PORT, options.nodes ?? NODES);
  const used = await portsInUse(nodes);
  if (used.length > 0) {
    const verb = used.length === 1 ? "is" : "are";
    throw new StartError(
      EXIT.port,
      `${used.join(", ")} ${verb} in use. Stop what runs there, or choose other ports with --base-port.`,
    );
  }
  if (file === null) return initCluster(options.dir, nodes);
  writeClusterFile(file);
  return file;
}

/** Addresses are not membership: an existing cluster may move, but not grow, by a flag. */
function moved(file: ClusterFile, options: StartOptions): ClusterFile {
  const count = file.nodes.length;
  if (options.nodes !== undefined && options.nodes !== count) {
    throw new StartError(
      EXIT.usage,
      `The cluster in ${options.dir} has ${count} nodes, not ${options.nodes}. Another --dir makes a new one.`,
    );
  }
  if (options.basePort === undefined) return file;
  return { ...file, nodes: addressesFrom(options.basePort, count) };
}

async function refuseRunning(file: ClusterFile): Promise<void> {
  const answers = await Promise.all(file.nodes.map((node) => askNode(node.http)));
  const running = answers.filter((answer) => answer?.cluster === file.cluster);
  if (running.length === 0) return;
  const pids = running.map((answer) => `${answer?.node} pid ${answer?.pid}`).join(", ");
  throw new StartError(
    EXIT.directory,
    `The cluster in ${file.dir} runs already (${pids}). Stop it first, or choose another --dir and --base-port.`,
  );
}

async function runCluster(
  file: ClusterFile,
  options: StartOptions,
  signals: Signals,
): Promise<ExitCode> {
  const { dir } = options;
  const cluster = new LocalCluster(file, { entry: ENTRY, ...passwordOf(options) });
  const usable = file.nodes.map((node) => node.id).filter((id) => !refuseEmpty(file, id));
  if (usable.length === 0) {
    throw new StartError(
      EXIT.directory,
      `None of the cluster's directories in ${dir} can be used.`,
    );
  }
  signals.onForce(() => killAll(cluster));
  for (const id of usable) cluster.start(id);
  try {
    await Promise.race([untilReady(cluster, usable, options), signals.stopped]);
    await Promise.race([allEnded(cluster), signals.stopped]);
  } finally {
    if (signals.received) say("\nStopping …");
    await cluster.stop();
  }
  if (signals.received) {
    say("All nodes have stopped. The data stays; `trefoil start` goes on with it.");
    return EXIT.ok;
  }
  say("Every node has ended.");
  return EXIT.failed;
}

/**
 * GEN3: a directory that is gone or empty does not take its old voter's place, for what that voter
 * promised is forgotten. The others start without it.
 */
function refuseEmpty(file: ClusterFile, id: NodeId): boolean {
  const path = join(file.dir, id);
  if (existsSync(path) && readdirSync(path).length > 0) return false;
  say(
    `${id} is not started: ${path} is ${existsSync(path) ? "empty" : "missing"}. It held what ${id} promised to the cluster (its votes, its log); an empty directory must not take its place. Restore it from a copy of the stopped node, or go on without it.`,
  );
  return true;
}

/** A file's password goes to the nodes in their environment, which only their owner can read. */
function passwordOf(options: StartOptions): { readonly password?: string | null } {
  return options.passwordFile === undefined ? {} : { password: resolvePassword(options) };
}

async function untilReady(cluster: LocalCluster, ids: readonly NodeId[], options: StartOptions) {
  const majority = Math.floor(cluster.ids.length / 2) + 1;
  if (ids.length >= majority) {
    await cluster.waitReady(READY_MS_MAX, ids, say);
    say(await welcome(cluster, ids, options));
  } else say("Without a majority of its nodes the cluster answers `local` reads only.");
  watchExits(cluster);
}

/** A node that ends is reported and not started again: that is for an operator to decide. */
function watchExits(cluster: LocalCluster): void {
  for (const node of cluster.nodes) {
    void node.exited.then((exit) => {
      if (exit.code === EXIT.ok) say(`${node.id} (pid ${node.pid}) has stopped.`);
      else if (exit.signal !== null) say(describeExit(node));
      else say(`${describeExit(node)} ${lastWords(node.logFile)}`);
    });
  }
}

async function allEnded(cluster: LocalCluster): Promise<void> {
  await Promise.all(cluster.nodes.map((node) => node.exited));
}

function killAll(cluster: LocalCluster): void {
  for (const node of cluster.nodes) if (node.exit === null) node.child.kill("SIGKILL");
}

async function welcome(
  cluster: LocalCluster,
  ids: readonly NodeId[],
  options: StartOptions,
): Promise<string> {
  const { dir, passwordFile } = options;
  const flags = `${dirFlag(dir)}${passwordFlag(passwordFile)}`;
  const leader = await cluster.waitLeader();
  const rows = [["node", "Redis clients", "status, metrics", "peers", "pid", ""]];
  for (const id of ids) {
    const { resp, http, peer } = cluster.addresses(id);
    const addresses = [formatAddress(resp), `http://${formatAddress(http)}`, formatAddress(peer)];
    const role = id === leader ? "leader" : "";
    rows.push([id, ...addresses, String(cluster.node(id).pid), role]);
  }
  const hint = resolvePassword(options) === null ? "" : PASSWORD_HINT;
  const count = ids.length === 1 ? "1 node is" : `${ids.length} nodes are`;
  return `Trefoil ${VERSION}: ${count} ready. Cluster ${cluster.file.cluster}, data in ${dir}.

${table(rows)}

In another terminal:

${examples(cluster, ids, leader, flags)}

${hint}Ctrl-C stops all nodes.`;
}

/** A write on one node, the leader's end, a read on a node that is still there. */
function examples(
  cluster: LocalCluster,
  ids: readonly NodeId[],
  leader: NodeId,
  flag: string,
): string {
  const first = ids[0] ?? leader;
  const write = `npx trefoil exec${flag} --node ${number(first)} SET greeting hello`;
  const reader = ids.find((id) => id !== leader && id !== first) ?? first;
  const read = `npx trefoil exec${flag} --node ${number(reader)} GET greeting`;
  const { resp } = cluster.addresses(first);
  const rows = [[write, `# or: redis-cli -p ${resp.port} SET greeting hello`]];
  if (ids.length >= 3) {
    const { pid } = cluster.node(leader);
    rows.push([`kill -9 ${pid}`, `# ${leader} leads; the others elect a new leader`]);
  }
  rows.push([read, "# what was acknowledged is still there"]);
  return table(rows);
}

function number(id: NodeId): string {
  return id.replace(/^n(?=\d+$)/, "");
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** The first Ctrl-C (or SIGTERM) stops the cluster, the second kills it. */
class Signals {
  readonly stopped: Promise<void>;
  received = false;
  #force: () => void = () => process.exit(EXIT.failed);

  constructor() {
    this.stopped = new Promise((resolve) => {
      const onSignal = () => {
        if (this.received) this.#force();
        this.received = true;
        resolve();
      };
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
    });
  }

  onForce(force: () => void): void {
    this.#force = force;
  }
}
