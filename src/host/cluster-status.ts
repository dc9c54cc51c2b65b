import type { GroupStatus } from "../core/contract/group.ts";
import type { NodeId } from "../core/contract/ids.ts";
import type { NodeStatus } from "../core/node/vocabulary.ts";
import { type Address, formatAddress } from "./address.ts";

/** Where one node of the cluster is found. */
export interface NodeAddresses {
  readonly id: NodeId;
  readonly resp: Address;
  readonly http: Address;
  readonly peer: Address;
}

/** One node in `/status`. */
export interface NodeEntry {
  readonly id: NodeId;
  /** Null while the node does not answer. */
  readonly pid: number | null;
  readonly resp: string;
  readonly http: string;
  readonly peer: string;
  readonly alive: boolean;
}

/** One replica of a keyspace in `/status`. */
export interface ReplicaEntry {
  readonly node: NodeId;
  /** A Raft role, or `unreachable`. */
  readonly role: string;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lagEntries: number;
  /** Bound of the replica's staleness (LEAD6); null while none is known. */
  readonly lagMs: number | null;
  /**
   * What the leader knows of this follower, also while it does not answer itself. Null for the
   * leader, and while no leader answers.
   */
  readonly seenByLeader: LagSeen | null;
}

/** How far a follower is behind by its last answer to the leader, and by the leader's clock. */
export interface LagSeen {
  readonly lagEntries: number;
  readonly lagMs: number | null;
}

/** One replicated group in `/status`. */
export interface GroupEntry {
  readonly leader: NodeId | null;
  readonly term: number;
  readonly replicas: readonly ReplicaEntry[];
}

/** One keyspace in `/status`. */
export interface KeyspaceEntry extends GroupEntry {
  readonly name: string;
  readonly number: number;
  readonly model: string;
  /** Who leads it while nothing is wrong. */
  readonly preferredLeader: NodeId;
}

/** `GET /status` and `trefoil status --json`. Later versions add fields and rename none. */
export interface ClusterStatus {
  readonly cluster: string;
  readonly nodes: readonly NodeEntry[];
  readonly keyspaces: readonly KeyspaceEntry[];
  /** The group that holds the keyspaces' definitions. */
  readonly catalog: GroupEntry;
}

/** `GET /status?scope=node`: what one node says of itself. */
export interface LocalStatus extends NodeStatus {
  readonly pid: number;
  readonly resp: string;
  readonly http: string;
  readonly peer: string;
  readonly ready: boolean;
}

/** A node that takes longer than this to answer over loopback counts as not alive, ms. */
export const STATUS_TIMEOUT_MS = 700;

/** No honest answer is longer. */
const STATUS_BYTES_MAX = 1 << 20;

/**
 * What the cluster looks like from one node: its own state, and what each other node answers now. A
 * node that does not answer, or answers for another cluster, is not alive.
 */
export async function assembleStatus(
  local: LocalStatus,
  nodes: readonly NodeAddresses[],
  ask: (node: NodeAddresses) => Promise<LocalStatus | null>,
): Promise<ClusterStatus> {
  const asked = nodes.map((node) => (node.id === local.node ? Promise.resolve(local) : ask(node)));
  const answers = await Promise.all(asked);
  const known = new Map<NodeId, LocalStatus>();
  for (const answer of answers) {
    if (answer !== null && answer.cluster === local.cluster) known.set(answer.node, answer);
  }
  return {
    cluster: local.cluster,
    nodes: nodes.map((node) => nodeEntry(node, known.get(node.id))),
    keyspaces: local.keyspaces.map((own) => keyspaceEntry(own, local.node, nodes, known)),
    catalog: groupEntry(local.catalog, nodes, (id) => known.get(id)?.catalog),
  };
}

function nodeEntry(node: NodeAddresses, status: LocalStatus | undefined): NodeEntry {
  return {
    id: node.id,
    pid: status?.pid ?? null,
    resp: status?.resp ?? formatAddress(node.resp),
    http: status?.http ?? formatAddress(node.http),
    peer: status?.peer ?? formatAddress(node.peer),
    alive: status !== undefined,
  };
}

function keyspaceEntry(
  own: LocalStatus["keyspaces"][number],
  self: NodeId,
  nodes: readonly NodeAddresses[],
  known: ReadonlyMap<NodeId, LocalStatus>,
): KeyspaceEntry {
  const { name, number, model, preferredLeader } = own;
  const entry = groupEntry(own, nodes, (id) => {
    if (id === self) return own;
    return known.get(id)?.keyspaces.find((keyspace) => keyspace.number === number);
  });
  return { name, number, model, preferredLeader, ...entry };
}

/** What the nodes say of one group; the highest term knows best. */
function groupEntry(
  own: GroupStatus,
  nodes: readonly NodeAddresses[],
  statusOf: (node: NodeId) => GroupStatus | undefined,
): GroupEntry {
  // A node that was cut off may still name an old leader.
  let newest = own;
  for (const { id } of nodes) {
    const group = statusOf(id);
    if (group === undefined) continue;
    const better =
      group.term > newest.term || (group.term === newest.term && newest.leader === null);
    if (better) newest = group;
  }
  const leader = newest.leader === null ? undefined : statusOf(newest.leader);
  const replicas = nodes.map(({ id }) => replicaEntry(id, statusOf(id), leader));
  return { leader: newest.leader, term: newest.term, replicas };
}

function replicaEntry(
  node: NodeId,
  group: GroupStatus | undefined,
  leader: GroupStatus | undefined,
): ReplicaEntry {
  const peer = leader?.peers.find((one) => one.node === node);
  const seenByLeader =
    peer === undefined ? null : { lagEntries: peer.lagEntries, lagMs: rounded(peer.lagMs) };
  if (group === undefined) {
    const none = { commitIndex: 0, appliedIndex: 0, lagEntries: 0, lagMs: null };
    return { node, role: "unreachable", ...none, seenByLeader };
  }
  const { role, commitIndex, appliedIndex, lagEntries, lagMs } = group;
  return { node, role, commitIndex, appliedIndex, lagEntries, lagMs: rounded(lagMs), seenByLeader };
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}

/** Asks one node for its own status over HTTP; null if it does not give one in time. */
export async function askNode(
  address: Address,
  timeoutMs: number = STATUS_TIMEOUT_MS,
): Promise<LocalStatus | null> {
  try {
    const response = await fetch(`http://${formatAddress(address)}/status?scope=node`, {
      signal: AbortSignal.timeout(Math.ceil(timeoutMs)),
      redirect: "error",
    });
    if (!response.ok) return null;
    const text = await response.text();
    if (text.length > STATUS_BYTES_MAX) return null;
    return JSON.parse(text) as LocalStatus;
  } catch {
    // Refused, silent, or not one of ours: for the caller it is the same.
    return null;
  }
}
