import { Command } from "commander";
import { formatAddress } from "../host/address.ts";
import type { ClusterStatus, GroupEntry, ReplicaEntry } from "../host/cluster-status.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import { resolveTargets, type TargetOptions, withTarget } from "./options.ts";
import { table } from "./output.ts";

interface StatusOptions extends TargetOptions {
  readonly json?: true;
}

const TIMEOUT_MS = 3_000;

/** `trefoil status`: nodes, leaders, lag. */
export function statusCommand(): Command {
  const command = new Command("status").description("show nodes, leaders and replication lag");
  return withTarget(command, "a node's HTTP port")
    .option("--json", "print the JSON document of GET /status")
    .addHelpText(
      "after",
      "\nExit codes: 0 all nodes are up and every keyspace has a leader, 1 something is missing,\n3 no node could be reached.",
    )
    .action(async (options: StatusOptions) => {
      const status = await fetchStatus(options);
      const text = options.json ? JSON.stringify(status) : describeStatus(status);
      process.stdout.write(`${text}\n`);
      process.exitCode = isWhole(status) ? EXIT.ok : EXIT.failed;
    });
}

/** The status as the first node that answers sees it. Throws `StartError` when none does. */
export async function fetchStatus(options: TargetOptions): Promise<ClusterStatus> {
  const failures: string[] = [];
  for (const { address, id } of resolveTargets(options, "http")) {
    const where = formatAddress(address);
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await fetch(`http://${where}/status`, { signal });
      if (response.ok) return (await response.json()) as ClusterStatus;
      failures.push(`${id ?? where} (HTTP ${response.status})`);
    } catch (failure) {
      const cause = failure instanceof Error ? (failure.cause ?? failure) : failure;
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : "no answer";
      failures.push(`${id ?? where} (${code})`);
    }
  }
  throw new StartError(EXIT.unreachable, `No node answers: ${failures.join(", ")}.`);
}

function isWhole(status: ClusterStatus): boolean {
  const alive = status.nodes.every((node) => node.alive);
  const groups = [...status.keyspaces, status.catalog];
  return alive && groups.every(({ leader }) => leader !== null);
}

/** Of a replica that does not answer, what its leader knows. */
function lagOf(replica: ReplicaEntry, known: boolean): [behind: string, stale: string] {
  const lag = known ? replica : replica.seenByLeader;
  if (lag === null) return ["", ""];
  return [String(lag.lagEntries), lag.lagMs === null ? "unknown" : `${lag.lagMs} ms`];
}

/** The status for people. */
export function describeStatus(status: ClusterStatus): string {
  const nodes = [["node", "state", "pid", "Redis clients", "HTTP", "peers"]];
  for (const { id, alive, pid, resp, http, peer } of status.nodes) {
    nodes.push([
      id,
      alive ? "alive" : "not reachable",
      pid === null ? "" : String(pid),
      resp,
      http,
      peer,
    ]);
  }
  const parts = [`Cluster ${status.cluster}`, table(nodes)];
  for (const keyspace of status.keyspaces) {
    const { name, number, model, leader, preferredLeader } = keyspace;
    const wanted = leader === preferredLeader ? "" : `, preferred ${preferredLeader}`;
    parts.push(...describeGroup(`Keyspace ${number} (${name}), ${model}`, keyspace, wanted));
  }
  parts.push(...describeGroup("Catalog of the keyspaces", status.catalog, ""));
  return parts.join("\n\n");
}

function describeGroup(what: string, group: GroupEntry, wanted: string): readonly string[] {
  const led = group.leader === null ? "no leader" : `leader ${group.leader}`;
  const rows = [["replica", "role", "commit", "applied", "behind", "at most stale by"]];
  for (const replica of group.replicas) {
    const known = replica.role !== "unreachable";
    rows.push([
      replica.node,
      replica.role,
      known ? String(replica.commitIndex) : "",
      known ? String(replica.appliedIndex) : "",
      ...lagOf(replica, known),
    ]);
  }
  return [`${what}, ${led}${wanted}, term ${group.term}`, table(rows)];
}
