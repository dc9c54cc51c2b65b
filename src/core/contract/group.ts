import type { ByteString } from "../base/bytes.ts";
import type { ConnectionId, Instant, LogIndex, NodeId, Term } from "./ids.ts";
import type { Reply } from "./reply.ts";

/** LEAD4. A number counts nodes that hold the write durably, the leader among them. */
export type WriteConcern = "leader" | "majority" | "all" | number;

/**
 * LEAD5. `session`: nothing older than the connection's session has written and read (LEAD7). A
 * number is `bounded`: nothing older than so many ms, as far as can be measured (LEAD6).
 */
export type ReadConcern = "linearizable" | "session" | "local" | number;

/** Which replica is to answer `session` and `bounded` reads: this node's, or the leader's. */
export type ReadPreference = "nearest" | "leader";

/** An entry of a group's log: its term tells whether the log still holds that one at the index. */
export interface LogPlace {
  readonly term: Term;
  readonly index: LogIndex;
}

/** What a replica's state must be for it to answer a read. */
export type ReadCondition =
  /** The state has applied these entries, not others in their places; none: any state (LEAD7). */
  | { readonly kind: "session"; readonly places: readonly LogPlace[] }
  /** The state holds all that was committed up to so many ms ago (LEAD6). */
  | { readonly kind: "bounded"; readonly staleMsMax: number };

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
      readonly concern: "linearizable" | "local";
      readonly deadline: Instant;
    }
  /**
   * A read that any replica may answer whose state meets the condition. The caller sends nothing
   * else of the connection to the group from before this call until it is answered: where it will
   * be answered is open, and so is its place among other calls.
   */
  | {
      readonly kind: "replicaRead";
      readonly connection: ConnectionId;
      readonly payload: Uint8Array;
      readonly condition: ReadCondition;
      readonly prefer: ReadPreference;
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
  /** The node whose replica answered; null when none did. */
  readonly node: NodeId | null;
  /**
   * Measured bound, in ms, on the age of the state that a read saw: all that was committed earlier
   * is in it (LEAD6). Null while unknown, and for writes.
   */
  readonly staleMs: number | null;
}

/** For answers that no replica gave. */
export const NO_META: ReplyMeta = { term: 0, index: 0, durable: 0, node: null, staleMs: null };

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
  /** Why this replica's state is known to be wrong, until another's takes its place (STO7). */
  readonly damaged: string | null;
  /** On the leader: what it knows of each other voter. */
  readonly peers: readonly PeerStatus[];
}

/** A follower as its leader knows it. */
export interface PeerStatus {
  readonly node: NodeId;
  readonly matchIndex: LogIndex;
  readonly state: string;
  /** Entries that are committed, and not applied there by its latest answer. */
  readonly lagEntries: number;
  /**
   * Bound on the age of its state by the leader's clock: all that was committed earlier is applied
   * there. Null while it has not answered, or is further behind than the leader remembers.
   */
  readonly lagMs: number | null;
}
