/** The names of things, shared by every part. Plain aliases: the names carry the meaning. */

/**
 * A member's name, as operators write it: `n1`. Its storage is told apart by `Incarnation` (GEN3).
 */
export type NodeId = string;

/**
 * Drawn at random when a data directory is formatted, 16 hex digits: a wiped disk is another
 * member.
 */
export type Incarnation = string;

/** Monotonic milliseconds since some point of the process; never wall-clock time. */
export type Instant = number;

/** Milliseconds since 1970 by somebody's clock. Data on a command, never read inside the core. */
export type WallClock = number;

/** One client connection of this process's lifetime. */
export type ConnectionId = number;

/**
 * Names a request until it is answered; unique within a process's lifetime. 0 asks for no answer.
 */
export type RequestId = number;

/** Counts the batches of the node's log since start; the Outbox assigns it. */
export type BatchNumber = number;

/** Position of an entry in a group's log; the first entry has 1. */
export type LogIndex = number;

/** Raft's logical clock: at most one leader each. */
export type Term = number;

/** Byte position in the node's log, counted over all segments since the directory was formatted. */
export type LogPosition = number;

/**
 * A replication group = (keyspace, partition), in one number so that it keys maps cheaply (GEN4).
 * Log records, peer frames, tokens and metrics carry it.
 */
export type GroupId = number;

const PARTITIONS_MAX = 0x1_0000;
const KEYSPACES_MAX = 0x1_0000_0000;

/** The group of a keyspace's partition. Throws `RangeError` outside the ranges. */
export function groupId(keyspace: number, partition: number): GroupId {
  if (
    !(keyspace >= 0 && keyspace < KEYSPACES_MAX && partition >= 0 && partition < PARTITIONS_MAX)
  ) {
    throw new RangeError(`no such group: keyspace ${keyspace}, partition ${partition}`);
  }
  return keyspace * PARTITIONS_MAX + partition;
}

/** The number of the keyspace that a group is part of. */
export function keyspaceOf(group: GroupId): number {
  return Math.floor(group / PARTITIONS_MAX);
}

/** The number of the partition within its keyspace. */
export function partitionOf(group: GroupId): number {
  return group % PARTITIONS_MAX;
}
