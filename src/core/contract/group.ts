import type { ByteString } from "../base/bytes.ts";
import type { ConnectionId, Instant, LogIndex, NodeId, Term } from "./ids.ts";
import type { Reply } from "./reply.ts";

/** LEAD4. A number counts nodes that hold the write durably, the leader among them. */
export type WriteConcern = "leader" | "majority" | "all" | number;

/** LEAD5; `session` and `bounded` follow. */
export type ReadConcern = "linearizable" | "local";

/**
 * What the router asks of a group's replica, whatever its model: the `command` of every replication
 * model's vocabulary. Calls of one connection to one group take effect in the order given (GEN2).
 */
export type GroupCall =
  | {
      readonly kind: "write";
      readonly connection: ConnectionId;
      /** The encoded command; the array is handed over. */
      readonly payload: Uint8Array;
      readonly concern: WriteConcern;
      readonly deadline: Instant;
    }
  | {
      readonly kind: "read";
      readonly connection: ConnectionId;
      readonly payload: Uint8Array;
      readonly concern: ReadConcern;
      readonly deadline: Instant;
    }
  /**
   * WAIT: until `replicas` besides the leader hold the connection's last write, or the deadline.
   */
  | {
      readonly kind: "wait";
      readonly connection: ConnectionId;
      readonly replicas: number;
      readonly deadline: Instant;
    }
  /**
   * Hands leadership to `to`, or to the most complete follower; answered when it is known to lead.
   */
  | {
      readonly kind: "transfer";
      readonly connection: ConnectionId;
      readonly to: NodeId | null;
      readonly deadline: Instant;
    }
  /** What entries behind `after` changed; null: behind what is applied now. Waits for some. */
  | {
      readonly kind: "changes";
      readonly connection: ConnectionId;
      readonly after: LogIndex | null;
      readonly prefix: ByteString;
      readonly countMax: number;
      readonly deadline: Instant;
    }
  /** The connection is closed; what the replica remembers of it may go. */
  | { readonly kind: "forget"; readonly connection: ConnectionId };

/** The `reply` of every replication model's vocabulary. */
export interface GroupReply {
  readonly reply: Reply;
  /** What is known of how the answer came about; shown by META and TREFOIL.LAST. */
  readonly meta: ReplyMeta;
}

/** How an answer came about. */
export interface ReplyMeta {
  /** Where a write stands in the log, or how far the state that a read saw had come. */
  readonly term: Term;
  readonly index: LogIndex;
  /** Nodes known to hold the write durably when it was answered; 0 for a read. */
  readonly durable: number;
  /** The leader that answered; null when the local replica did, or nobody. */
  readonly leader: NodeId | null;
}

/** For answers that no replica gave. */
export const NO_META: ReplyMeta = { term: 0, index: 0, durable: 0, leader: null };

/** A group as one node sees it; `trefoil status` and INFO show it. */
export interface GroupStatus {
  readonly role: string;
  readonly leader: NodeId | null;
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly lastIndex: LogIndex;
  /** Entries that the leader is known to have committed and this replica has not applied. */
  readonly lagEntries: number;
  /** Measured bound of this replica's staleness (LEAD6); null while none is known. */
  readonly lagMs: number | null;
  readonly keys: number;
  /** Keys that have a deadline. */
  readonly expiring: number;
  /** Keys whose values have fields. */
  readonly collections: number;
  /** Why the keyspace is halted here, if it is (GEN5). */
  readonly halted: string | null;
  /** On the leader: what it knows of each other voter. */
  readonly peers: readonly {
    readonly node: NodeId;
    readonly matchIndex: LogIndex;
    readonly state: string;
  }[];
}
