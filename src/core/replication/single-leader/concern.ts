import type { WriteConcern } from "../../contract/group.ts";
import { majorityOf } from "./quorum.ts";

/**
 * Write concerns as they travel (LEAD4): 0 leader, -1 majority, -2 all, otherwise how many nodes
 * must hold the write durably, the leader among them.
 */
export function encodeConcern(concern: WriteConcern): number {
  if (concern === "leader") return 0;
  if (concern === "majority") return -1;
  if (concern === "all") return -2;
  return concern;
}

/** What must hold before a write is answered (LEAD4). */
export interface ConcernNeed {
  /** The entry must be committed and applied. */
  readonly committed: boolean;
  /** That many nodes must hold it durably, the leader among them. */
  readonly durable: number;
}

/** What an encoded write concern asks for among so many voters. */
export function needOf(encoded: number, voters: number): ConcernNeed {
  const majority = majorityOf(voters);
  if (encoded === -1) return { committed: true, durable: 0 };
  if (encoded === -2) return { committed: true, durable: voters };
  if (encoded === 0) return { committed: false, durable: 1 };
  return { committed: encoded >= majority, durable: encoded };
}

/** Whether the write may be answered before it is committed, and so may be lost on failover. */
export function isBelowMajority(concern: WriteConcern, voters: number): boolean {
  return !needOf(encodeConcern(concern), voters).committed;
}
