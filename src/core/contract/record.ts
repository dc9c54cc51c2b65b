import type { GroupId } from "./ids.ts";

/**
 * One record of the node's log: opaque to the log, which stores the parts one after the other (they
 * are the bytes that also went to the peers, STO2). `type` is the model's own numbering.
 */
export interface LogRecord {
  readonly group: GroupId;
  /** 1–255, chosen and decoded by the group's replica. 0 is the log's own mark. */
  readonly type: number;
  readonly parts: readonly Uint8Array[];
}

/** A record as the recovery scan hands it back, in the order written. */
export interface RecoveredRecord {
  readonly group: GroupId;
  readonly type: number;
  /** A copy: it stays valid after the segment is gone. */
  readonly body: Uint8Array;
}
