import type { GroupId, NodeId } from "./ids.ts";

/**
 * What a protocol says about itself while it runs: for the simulator's timeline and hash, for marks
 * in tests, for the host's debug log. Never read by the protocol itself.
 */
export type Trace = (event: TraceEvent) => void;

/** One thing that happened in a protocol, under a stable name. */
export interface TraceEvent {
  readonly node: NodeId;
  readonly group: GroupId | null;
  /** Kebab-case and stable: tests assert it. */
  readonly mark: string;
  readonly detail?: string;
}

/** For nodes that nobody watches. */
export const NO_TRACE: Trace = () => {};
