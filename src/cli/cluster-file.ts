import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import * as v from "valibot";
import type { Member } from "../core/node/boot.ts";
import { formatAddress, parseAddress } from "../host/address.ts";
import type { NodeAddresses } from "../host/cluster-status.ts";
import type { PartialConfig } from "../host/config.ts";
import { formatDirectory } from "../host/disk/data-directory.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import { writeFileDurably } from "./durable-file.ts";

/**
 * A cluster's `cluster.json`: where its nodes are found. No secrets; addresses are not membership.
 */
export interface ClusterFile {
  /** The folder that holds `cluster.json` and a data directory per node. */
  readonly dir: string;
  readonly cluster: string;
  readonly nodes: readonly NodeAddresses[];
}

/** The file in a cluster's folder that says where its nodes are found. */
export const CLUSTER_FILE = "cluster.json";

/** The default folder, relative to where the command is run. */
export const CLUSTER_DIR = "trefoil-data";

/** The base port that `trefoil start` takes if none is given. */
export const BASE_PORT = 7000;
const HTTP_OFFSET = 1000;
const PEER_OFFSET = 2000;
const NODES_MAX = 9;

const addressText = v.pipe(
  v.string(),
  v.check((text) => parseAddress(text) !== null, "must be host:port"),
);
const schema = v.object({
  version: v.literal(1),
  cluster: v.string(),
  nodes: v.array(
    v.object({ id: v.string(), resp: addressText, http: addressText, peer: addressText }),
  ),
});

/** Addresses by the rule: RESP on p+1 …, HTTP on p+1001 …, peers on p+2001 …, all on loopback. */
export function addressesFrom(basePort: number, count: number): readonly NodeAddresses[] {
  if (!(count >= 1 && count <= NODES_MAX)) {
    throw new StartError(EXIT.usage, `A local cluster has 1 to ${NODES_MAX} nodes, not ${count}.`);
  }
  if (!(basePort >= 0 && basePort + PEER_OFFSET + count <= 65_535)) {
    throw new StartError(EXIT.usage, `--base-port ${basePort} leaves no room for the ports above.`);
  }
  const host = "127.0.0.1";
  return Array.from({ length: count }, (_, i) => ({
    id: `n${i + 1}`,
    resp: { host, port: basePort + i + 1 },
    http: { host, port: basePort + HTTP_OFFSET + i + 1 },
    peer: { host, port: basePort + PEER_OFFSET + i + 1 },
  }));
}

/**
 * The cluster of a folder; null where there is none. Throws `StartError` if the file is damaged.
 */
export function readClusterFile(dir: string): ClusterFile | null {
  const path = join(dir, CLUSTER_FILE);
  if (!existsSync(path)) return null;
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (failure) {
    throw new StartError(EXIT.directory, `${path} cannot be read: ${String(failure)}`);
  }
  const result = v.safeParse(schema, content);
  if (!result.success) {
    throw new StartError(EXIT.directory, `${path} is not a cluster's file of this version.`);
  }
  const at = (text: string) => parseAddress(text) ?? { host: "127.0.0.1", port: 0 };
  const nodes = result.output.nodes.map(({ id, resp, http, peer }) => {
    return { id, resp: at(resp), http: at(http), peer: at(peer) };
  });
  return { dir, cluster: result.output.cluster, nodes };
}

/** Replaces the file as a whole. */
export function writeClusterFile(file: ClusterFile): void {
  const nodes = file.nodes.map(({ id, resp, http, peer }) => ({
    id,
    resp: formatAddress(resp),
    http: formatAddress(http),
    peer: formatAddress(peer),
  }));
  const content = { version: 1, cluster: file.cluster, nodes };
  writeFileDurably(join(file.dir, CLUSTER_FILE), `${JSON.stringify(content, null, 2)}\n`);
}

/**
 * Makes a new cluster: its id, an incarnation per node, formatted directories and the file. The one
 * place where a cluster comes into being (GEN3). All of it appears under its name at once: an init
 * that is killed half-way leaves no half a cluster.
 */
export function initCluster(dir: string, nodes: readonly NodeAddresses[]): ClusterFile {
  if (existsSync(dir) && readdirSync(dir).length > 0) {
    throw new StartError(
      EXIT.directory,
      `${dir} exists, is not empty, and holds no ${CLUSTER_FILE}: it is not made into a cluster. Choose another --dir, or empty it if nothing in it is needed.`,
    );
  }
  const target = resolve(dir);
  mkdirSync(dirname(target), { recursive: true });
  const draft = `${target}.init-${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  const cluster = randomBytes(8).toString("hex");
  const members: Member[] = nodes.map(({ id }) => {
    return { node: id, incarnation: randomBytes(8).toString("hex") };
  });
  for (const { node, incarnation } of members) {
    formatDirectory(join(draft, node), { cluster, node, incarnation, members });
  }
  writeClusterFile({ dir: draft, cluster, nodes });
  renameSync(draft, target);
  return { dir, cluster, nodes };
}

/**
 * What `cluster.json` beside a node's directory says of that node: the weakest source of its
 * configuration, and the only one that a local cluster needs.
 */
export function clusterSource(nodeDir: string): PartialConfig {
  const path = resolve(nodeDir);
  const file = readClusterFile(dirname(path));
  const own = file?.nodes.find((node) => node.id === basename(path));
  if (file === null || own === undefined) return {};
  const { resp, http, peer } = own;
  return { resp, http, peer, nodes: file.nodes };
}
