import { type Command, InvalidArgumentError } from "commander";
import type { NodeId } from "../core/contract/ids.ts";
import { type Address, parseAddress } from "../host/address.ts";
import type { NodeAddresses } from "../host/cluster-status.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import { readPasswordFile } from "../host/password-file.ts";
import { CLUSTER_DIR, type ClusterFile, readClusterFile } from "./cluster-file.ts";

/** For an option that takes a whole number. */
export function parseWholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

/** Adds the options that say which node a command talks to. */
export function withTarget(command: Command, port: string): Command {
  return command
    .option("-n, --node <node>", "the node: 2 or n2")
    .option("-p, --port <port>", port, parseWholeNumber)
    .option("--url <url>", "the same as redis://host:port or host:port (TREFOIL_URL)")
    .option("--dir <path>", "the cluster's folder", CLUSTER_DIR);
}

/** Adds the option that names the password's file; never the password itself: `ps` shows it. */
export function withPassword(command: Command): Command {
  return command.option(
    "--password-file <file>",
    "file with the cluster's password (TREFOIL_PASSWORD_FILE; or TREFOIL_PASSWORD itself)",
  );
}

/**
 * The password that a command line or the environment names, the command line first; null where
 * none does. Throws `StartError`.
 */
export function resolvePassword(options: PasswordOptions): string | null {
  const { TREFOIL_PASSWORD: variable, TREFOIL_PASSWORD_FILE: variableFile } = process.env;
  if (options.passwordFile !== undefined) return readPasswordFile(options.passwordFile);
  if (variable !== undefined) return variable;
  return variableFile === undefined ? null : readPasswordFile(variableFile);
}

/** What a command authenticates with. */
export interface PasswordOptions {
  readonly passwordFile?: string;
}

/** Which node a command talks to. */
export interface TargetOptions {
  readonly node?: string;
  readonly url?: string;
  readonly port?: number;
  readonly dir: string;
}

/** The node that a command line names. */
export interface Target {
  readonly address: Address;
  /** Null when only an address was given. */
  readonly id: NodeId | null;
}

/**
 * The nodes to try, in order: the one that was named, or all of the cluster's. Throws `StartError`
 * when it is not said where the cluster is.
 */
export function resolveTargets(options: TargetOptions, kind: "resp" | "http"): readonly Target[] {
  const url = options.url ?? (options.port === undefined ? process.env["TREFOIL_URL"] : undefined);
  if (url !== undefined) return [{ address: parseUrl(url), id: null }];
  if (options.port !== undefined) {
    return [{ address: { host: "127.0.0.1", port: options.port }, id: null }];
  }
  const file = requireClusterFile(options.dir);
  const nodes = options.node === undefined ? file.nodes : [findNode(file, options.node)];
  return nodes.map((node) => ({ address: node[kind], id: node.id }));
}

/** `2` and `n2` both name n2. */
export function nodeId(name: string): NodeId {
  return /^\d+$/.test(name) ? `n${name}` : name;
}

/** The node of a cluster that a command line names. */
export function findNode(file: ClusterFile, name: string): NodeAddresses {
  const id = nodeId(name);
  const node = file.nodes.find((candidate) => candidate.id === id);
  if (node !== undefined) return node;
  const ids = file.nodes.map((candidate) => candidate.id).join(", ");
  throw new StartError(EXIT.usage, `There is no node ${name}; the cluster has ${ids}.`);
}

function requireClusterFile(dir: string): ClusterFile {
  const file = readClusterFile(dir);
  if (file !== null) return file;
  throw new StartError(
    EXIT.usage,
    `There is no cluster in ${dir}. Start one with \`trefoil start\`, or say where it is: --dir, --port or --url.`,
  );
}

function parseUrl(url: string): Address {
  if (url.includes("@")) {
    // It is not repeated: whatever is before the @ may be the password.
    const text = "An address has no password in it: set TREFOIL_PASSWORD, or give --password-file.";
    throw new StartError(EXIT.usage, text);
  }
  const text = url.replace(/^(redis|http):\/\//, "").replace(/\/$/, "");
  const address = parseAddress(text);
  if (address !== null) return address;
  throw new StartError(
    EXIT.usage,
    `${url} is no address: 127.0.0.1:7001 or redis://127.0.0.1:7001.`,
  );
}

/** ` --dir x` for the commands that are printed, unless it is the default. */
export function dirFlag(dir: string): string {
  return dir === CLUSTER_DIR || dir === `./${CLUSTER_DIR}` ? "" : ` --dir ${dir}`;
}

/** ` --password-file x` for the same. */
export function passwordFlag(file: string | undefined): string {
  return file === undefined ? "" : ` --password-file ${file}`;
}
