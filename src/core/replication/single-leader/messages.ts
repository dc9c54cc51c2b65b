import type { RowHashText } from "../../base/row-hash.ts";
import type { LogPlace } from "../../contract/group.ts";
import type { Instant, LogIndex, NodeId, Term, WallClock } from "../../contract/ids.ts";
import type { Reply } from "../../contract/reply.ts";
import type { SnapshotId } from "./rows.ts";

/**
 * An entry as it lies in the log, in AppendEntries and on disk: one array, encoded once at the edge
 * (STO2). `entry.ts` has the layout.
 */
export type EntryBytes = Uint8Array;

/** Raft's messages, and those by which a node hands its clients' commands to the leader (LEAD8). */
export type SingleLeaderMessage =
  | {
      readonly kind: "requestVote";
      readonly term: Term;
      readonly lastLogIndex: LogIndex;
      readonly lastLogTerm: Term;
      /**
       * A pre-vote asks whether an election could be won, and changes nobody's state (thesis §9.6).
       */
      readonly preVote: boolean;
      /**
       * Set when the leader asked for this election: it overrides the check that a leader is alive.
       */
      readonly transfer: boolean;
    }
  | {
      readonly kind: "vote";
      readonly term: Term;
      readonly granted: boolean;
      readonly preVote: boolean;
    }
  | {
      readonly kind: "appendEntries";
      readonly term: Term;
      readonly prevLogIndex: LogIndex;
      readonly prevLogTerm: Term;
      readonly commitIndex: LogIndex;
      /** Entries that follow prevLogIndex, in order; empty in a heartbeat. */
      readonly entries: readonly EntryBytes[];
      /** The confirmation round it belongs to; the reply says the highest one seen (LEAD5). */
      readonly round: number;
      /**
       * LEAD6: with `freshIndex` applied, the follower's state is no older than `freshStamp`, which
       * its start `freshBoot` gave. Index 0: nothing is known yet.
       */
      readonly freshBoot: number;
      readonly freshStamp: Instant;
      readonly freshIndex: LogIndex;
    }
  | {
      readonly kind: "appendReply";
      readonly term: Term;
      readonly success: boolean;
      /** On success: durable and equal to the leader's log up to here. */
      readonly matchIndex: LogIndex;
      /** On failure: where the two logs may still agree, and the term there (thesis §5.3). */
      readonly hintIndex: LogIndex;
      readonly hintTerm: Term;
      /** The index that was refused, by which the leader tells a stale refusal. */
      readonly refusedIndex: LogIndex;
      readonly round: number;
      /** The start of the follower's process, and its own clock when it replied (LEAD6). */
      readonly boot: number;
      readonly stamp: Instant;
      /** Its wall clock then (GEN7). */
      readonly wallMs: WallClock;
      readonly appliedIndex: LogIndex;
    }
  /**
   * The leader has a snapshot and asks how much of it the follower has already (STO9); with `fresh`
   * the follower is to begin anew.
   */
  | {
      readonly kind: "offerSnapshot";
      readonly term: Term;
      readonly id: SnapshotId;
      readonly fresh: boolean;
    }
  | {
      readonly kind: "installSnapshot";
      readonly term: Term;
      readonly id: SnapshotId;
      /** Where the chunk begins in the snapshot's file. */
      readonly offset: number;
      /** The checksum of everything up to the chunk's end. */
      readonly crc: number;
      readonly rows: Uint8Array;
      readonly done: boolean;
    }
  | {
      readonly kind: "snapshotReply";
      readonly term: Term;
      readonly id: SnapshotId;
      /** Where the chunk begins that the follower wants next. */
      readonly offset: number;
      /** Installed and durable. */
      readonly installed: boolean;
    }
  /** A replica that knows its state to be wrong asks for one that is no older (STO7). */
  | { readonly kind: "requestSnapshot"; readonly term: Term; readonly fromIndex: LogIndex }
  /**
   * The hash of the leader's state at an index, to be compared with the follower's there (STO7).
   * `agreed`: a majority has this one, so that a replica which has another is wrong.
   */
  | {
      readonly kind: "stateHash";
      readonly term: Term;
      readonly index: LogIndex;
      readonly hash: RowHashText;
      readonly agreed: boolean;
    }
  | {
      readonly kind: "stateHashReply";
      readonly term: Term;
      readonly index: LogIndex;
      /** The follower's own. */
      readonly hash: RowHashText;
    }
  /** Leadership transfer (thesis §3.10): start an election now. */
  | {
      readonly kind: "timeoutNow";
      readonly term: Term;
      /** An operator asked for it: the preferred leader does not get it back by itself. */
      readonly isAsked: boolean;
    }
  /** An operator asks through this node, and again until it is done or too late. */
  | {
      readonly kind: "transferRequest";
      /** The leader's term: any other leader, and the same one later, ignores it. */
      readonly term: Term;
      /** The sender's boot, within which ids go up. */
      readonly boot: string;
      readonly id: number;
      /** Who is to lead; empty: anybody but who leads now. */
      readonly to: NodeId;
      /** The leader that was asked first, and its term; empty and 0 in the first request. */
      readonly from: NodeId;
      readonly fromTerm: Term;
    }
  | {
      readonly kind: "transferReply";
      readonly term: Term;
      readonly boot: string;
      readonly id: number;
      /** `leads`: the sender is who was asked for, and leads. */
      readonly verdict: "leads" | "refused";
      /** Why it was refused; else empty. */
      readonly reason: string;
    }
  | {
      readonly kind: "forward";
      /** The leader's term: any other leader, and the same one later, refuses it. */
      readonly term: Term;
      /** Goes up whenever the sender starts over; within a stream, messages count from 1. */
      readonly stream: number;
      readonly count: number;
      /** 0 while the sender has no session yet: then `items` is one registration. */
      readonly session: number;
      /** The sender needs no answer below this sequence any more. */
      readonly floor: number;
      /** In order; empty to ask only how far the leader has come. */
      readonly items: readonly ForwardItem[];
    }
  | {
      readonly kind: "forwardReply";
      readonly term: Term;
      readonly stream: number;
      /** The last `count` taken in: nothing before it needs to be sent again in this stream. */
      readonly count: number;
      /** Whose stream it is, or the session that a registration opened. */
      readonly session: number;
      /** The boot that was registered: another boot of the same node must not take its session. */
      readonly boot: string;
      /** Counts the replies to this stream from 1: a gap shows that answers were lost. */
      readonly number: number;
      readonly answers: readonly ForwardAnswer[];
    };

/** One call, handed to the leader in the order of its connection (LEAD8). */
export type ForwardItem =
  | { readonly kind: "register"; readonly boot: string }
  /** `concern` as in LEAD4: 0 leader only, -1 majority, -2 all, else the number. */
  | {
      readonly kind: "write";
      readonly sequence: number;
      readonly concern: number;
      readonly deadlineMs: number;
      readonly entry: EntryBytes;
    }
  | {
      readonly kind: "read";
      readonly ticket: number;
      /**
       * Evaluated right after this sequence, so that it sees every earlier write of its connection.
       */
      readonly afterSequence: number;
      /** The entries that the state must hold, as a session's read asks (LEAD7). */
      readonly places: readonly LogPlace[];
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: "wait";
      readonly ticket: number;
      readonly afterSequence: number;
      /** Of the connection's last write, as its answer said; the entry that must still be there. */
      readonly term: Term;
      readonly index: LogIndex;
      readonly replicas: number;
      readonly deadlineMs: number;
    };

/** The leader's answer to one call that was handed over. */
export interface ForwardAnswer {
  /** The write's sequence, or 0. */
  readonly sequence: number;
  /** The read's or wait's ticket, or 0. */
  readonly ticket: number;
  readonly reply: Reply;
  readonly term: Term;
  readonly index: LogIndex;
  readonly durable: number;
}
