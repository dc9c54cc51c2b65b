import type { GroupStatus } from "../contract/group.ts";
import type { ConnectionId, GroupId, Incarnation, NodeId, WallClock } from "../contract/ids.ts";
import type { LogRecord } from "../contract/record.ts";
import type { Reply } from "../contract/reply.ts";
import type { SingleLeaderMessage } from "../replication/single-leader/messages.ts";

/** Between nodes: a group's message under its group id; one frame carries all of a turn (GEN4). */
export interface NodeMessage {
  readonly group: GroupId;
  readonly message: SingleLeaderMessage;
}

/** From the host (or the simulator) to its node. */
export type NodeCommand =
  /** A client connection was accepted. Request id 0. */
  | { readonly kind: "open"; readonly connection: ConnectionId; readonly peer: string }
  /** It is gone; requests still open on it end unheard. Request id 0. */
  | { readonly kind: "close"; readonly connection: ConnectionId }
  /**
   * One command: its name and arguments as the client sent them. Views are fine: the node copies
   * what it keeps. Calls of a connection are answered in the order made.
   */
  | {
      readonly kind: "call";
      readonly connection: ConnectionId;
      readonly args: readonly Uint8Array[];
    }
  /**
   * The wall clock, given before each turn that has other inputs: data for log time. Request id 0.
   */
  | { readonly kind: "clock"; readonly wallMs: WallClock }
  /**
   * The loop was late by this much: a leader that stalls hands over. Request id 0.
   */
  | { readonly kind: "stalled"; readonly lateMs: number }
  /** Stop taking client commands, hand leadership over, and answer `drained` when it is done. */
  | { readonly kind: "drain" }
  /** What this node knows of itself and its groups; answered at once. */
  | { readonly kind: "status" };

/** From the node to its host. */
export type NodeReply =
  | {
      readonly kind: "resp";
      readonly connection: ConnectionId;
      readonly reply: Reply;
      /** The protocol the connection spoke when the command was taken in (HELLO changes it). */
      readonly resp: 2 | 3;
      /** Send the reply, then close the connection (QUIT). */
      readonly close: boolean;
      /** Whether the connection has authenticated, or need not: the host trusts it with more. */
      readonly isAuthenticated: boolean;
    }
  | { readonly kind: "drained" }
  | { readonly kind: "status"; readonly status: NodeStatus };

/** What a node knows of itself and of its groups. */
export interface NodeStatus {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly cluster: string;
  readonly draining: boolean;
  readonly connections: number;
  readonly members: readonly NodeId[];
  readonly keyspaces: readonly (GroupStatus & {
    readonly name: string;
    readonly number: number;
    readonly model: string;
    /** Who leads it while nothing is wrong. */
    readonly preferredLeader: NodeId;
  })[];
  /** The group that holds the keyspaces' definitions. */
  readonly catalog: GroupStatus;
  /** What the configuration names and the catalog does not have, and why if that is known. */
  readonly missingKeyspaces: readonly { readonly name: string; readonly reason: string | null }[];
}

/** The types that a whole node speaks. */
export interface NodeVocabulary {
  readonly message: NodeMessage;
  readonly command: NodeCommand;
  readonly reply: NodeReply;
  readonly record: LogRecord;
}
