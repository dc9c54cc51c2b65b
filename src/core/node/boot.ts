import { FormatError } from "../base/bytes.ts";
import type { Checksum } from "../base/hash.ts";
import type { MutantId } from "../base/mutants.ts";
import type { Password } from "../base/password.ts";
import type { Disk, DiskOp } from "../contract/disk.ts";
import type { Incarnation, Instant, NodeId } from "../contract/ids.ts";
import type { KeyspaceRequest } from "../contract/keyspace.ts";
import type { Trace } from "../contract/trace.ts";
import { openCheckpointFileStore } from "../log/checkpoint-file-store.ts";
import { CheckpointError } from "../log/checkpoint-reader.ts";
import {
  CHECKPOINT_LOG_BYTES_DEFAULT,
  CHECKPOINT_MEMTABLE_BYTES_DEFAULT,
  Checkpointer,
  type CheckpointerOptions,
} from "../log/checkpointer.ts";
import { LogWriter, type LogWriterOptions } from "../log/log-writer.ts";
import { Memtable } from "../log/memtable.ts";
import { recoverLog } from "../log/recovery.ts";
import { SnapshotFiles } from "../log/snapshot-file.ts";
import type { RaftLimits, RaftTiming } from "../replication/single-leader/raft.ts";
import { Node } from "./node.ts";
import { type LoopParts, type LoopPorts, OrderingLoop } from "./ordering-loop.ts";

/** A member is its name and its storage (GEN3). */
export interface Member {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
}

/** What the host knows of itself and the core only repeats: INFO, CONFIG GET, HELLO. */
export interface ServerInfo {
  readonly version: string;
  readonly pid: number;
  readonly respPort: number;
  readonly httpPort: number;
  readonly config: ReadonlyMap<string, string>;
}

/** All that a node has to know before it starts. */
export interface NodeOptions {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** The cluster's id; only an explicit init makes one (GEN3). */
  readonly cluster: string;
  readonly members: readonly Member[];
  /** Created if they are not there; the default keyspace always is. */
  readonly keyspaces: readonly KeyspaceRequest[];
  readonly timing: RaftTiming;
  readonly raftLimits: RaftLimits;
  readonly log: Pick<LogWriterOptions, "segmentBytes" | "markMs">;
  readonly checkpoints: Pick<
    CheckpointerOptions,
    "logBytesMax" | "memtableBytesMax" | "sliceRowsMax"
  >;
  /** For calls that name none, ms. */
  readonly defaultTimeoutMs: number;
  readonly info: ServerInfo;
  /** What clients have to authenticate with; none where it is left out. */
  readonly password?: Password | null;
  readonly seed: number;
  /** Random per start of the process: names the boot's sessions (LEAD8). */
  readonly bootId: string;
  readonly trace: Trace;
  /** Whether `trace` wants the events that every entry causes. */
  readonly traced: boolean;
  /** Only the simulator sets it. */
  readonly mutant?: MutantId | null;
}

/** Why a node may not start. */
export type BootErrorCode = "LOG_CORRUPT" | "CHECKPOINT_CORRUPT" | "NOT_A_MEMBER";

/**
 * The node may not start from this directory. Nothing was changed in it, except that leftovers of
 * an unfinished checkpoint and checkpoints older than the newest whole one may be gone.
 */
export class BootError extends Error {
  override readonly name = "BootError";
  readonly code: BootErrorCode;

  constructor(code: BootErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What the host, or the simulator, lends a node. */
export interface BootParts {
  readonly disk: Disk;
  readonly checksum: Checksum;
  readonly ports: LoopPorts;
  readonly now: Instant;
  /**
   * Opens the store of applied state, given numbers for its completions, which arrive as the disk's
   * do. Left out, the state lies in memory and in checkpoint files on the disk.
   */
  readonly openStore?: (nextOp: () => DiskOp) => LoopParts["store"];
}

/**
 * Makes a node of what its directory holds: the last checkpoint, then the records behind it. Reads
 * synchronously; what has to be written (a torn tail cut off) goes through the loop's first turns.
 * Throws `BootError`.
 */
export function boot(options: NodeOptions, parts: BootParts): OrderingLoop {
  const self = options.members.find((member) => member.node === options.node);
  if (
    self === undefined ||
    (self.incarnation !== options.incarnation && options.mutant !== "L59")
  ) {
    throw new BootError(
      "NOT_A_MEMBER",
      `${options.node} with storage ${options.incarnation} is not a member of cluster ${options.cluster}. A directory that was wiped or copied never takes a voter's place (GEN3).`,
    );
  }
  const { disk, checksum, ports, now } = parts;
  let lastOp = 0;
  const nextOp = () => {
    lastOp += 1;
    return lastOp;
  };
  const store = openStore(() =>
    parts.openStore === undefined
      ? openCheckpointFileStore({ disk, checksum, nextOp })
      : parts.openStore(nextOp),
  );
  const { mutant = null } = options;
  const recovery = recoverLog(disk, checksum, store.position, mutant);
  if (recovery.kind === "corrupt") {
    const { position, reason } = recovery;
    throw new BootError("LOG_CORRUPT", `The log is damaged at ${position}: ${reason}`);
  }
  const memtable = new Memtable(store);
  const log = new LogWriter({ disk, checksum, nextOp, end: recovery.end, ...options.log, mutant });
  let checkpointer: Checkpointer | null = null;
  const requestCheckpoint = () => {
    checkpointer?.request();
  };
  const files = new SnapshotFiles({ disk, checksum, nextOp });
  const node = new Node(options, { memtable, store, files, requestCheckpoint }, now);
  replay(node, recovery.records, now);
  const beforeFreeze = () => node.beforeFreeze();
  const volumes = staggered(options);
  checkpointer = new Checkpointer({ memtable, store, log, beforeFreeze, ...volumes });
  return new OrderingLoop({ node, log, store, files, checkpointer, ports });
}

/**
 * The nodes apply the same entries at about the same time: with equal volumes all would checkpoint
 * at once, and no majority would be left that is not slowed down. So each node's differ.
 */
function staggered({ members, node, checkpoints }: NodeOptions): NodeOptions["checkpoints"] {
  const rank = members.findIndex((member) => member.node === node);
  const share = 1 - rank / (2 * members.length);
  const logBytesMax = checkpoints.logBytesMax ?? CHECKPOINT_LOG_BYTES_DEFAULT;
  const memtableBytesMax = checkpoints.memtableBytesMax ?? CHECKPOINT_MEMTABLE_BYTES_DEFAULT;
  return {
    ...checkpoints,
    logBytesMax: Math.floor(logBytesMax * share),
    memtableBytesMax: Math.floor(memtableBytesMax * share),
  };
}

function openStore(open: () => LoopParts["store"]): LoopParts["store"] {
  try {
    return open();
  } catch (failure) {
    if (failure instanceof CheckpointError)
      throw new BootError("CHECKPOINT_CORRUPT", failure.message);
    throw failure;
  }
}

function replay(node: Node, records: Parameters<Node["replay"]>[0], now: Instant): void {
  try {
    node.replay(records, now);
  } catch (failure) {
    if (failure instanceof FormatError) throw new BootError("LOG_CORRUPT", failure.message);
    throw failure;
  }
}
