import type { WallClock } from "../contract/ids.ts";
import type { ReplicationModel } from "../contract/keyspace.ts";
import type { Reply } from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import { type Args, parseI64 } from "./arguments.ts";
import type { ScanCursors } from "./scan-cursors.ts";
import type { ServerView } from "./server-view.ts";
import type { ClientSession } from "./session.ts";

/** In which replication models a command has its meaning. */
export interface ModelSupport {
  readonly in: readonly ReplicationModel[];
  /**
   * For the other models: what to do instead, a sentence without its full stop. Empty if in all.
   */
  readonly instead: string;
}

/** For commands that mean the same in every model. */
export const EVERY_MODEL: ModelSupport = {
  in: ["singleLeader", "multiLeader", "leaderless"],
  instead: "",
};

/** For commands that need one order of all writes. */
export function singleLeaderOnly(instead: string): ModelSupport {
  return { in: ["singleLeader"], instead };
}

/** As COMMAND INFO names them. */
export type CommandFlag =
  | "write"
  | "readonly"
  | "denyoom"
  | "admin"
  | "noscript"
  | "loading"
  | "stale"
  | "fast"
  | "no_auth"
  | "blocking"
  | "movablekeys";

/** The chapter of the documentation that a command belongs to. */
export type CommandGroup =
  | "string"
  | "hash"
  | "set"
  | "bitmap"
  | "generic"
  | "transactions"
  | "connection"
  | "server"
  | "trefoil";

/** Positions of keys among the arguments; `last` negative counts from the end. */
export interface KeyPositions {
  readonly first: number;
  readonly last: number;
  readonly step: number;
  /** Where a call says how many keys there are, if they are not all arguments up to `last`. */
  readonly countAt?: number;
}

/** The first argument is the only key. */
export const FIRST_KEY: KeyPositions = { first: 1, last: 1, step: 1 };

/** The first two arguments are keys. */
export const TWO_KEYS: KeyPositions = { first: 1, last: 2, step: 1 };

/** Every argument is a key. */
export const ALL_KEYS: KeyPositions = { first: 1, last: -1, step: 1 };

/** Every argument behind the key is a field or member. */
export const FIELDS: KeyPositions = { first: 2, last: -1, step: 1 };

/** The argument behind the key is a field or member. */
export const ONE_FIELD: KeyPositions = { first: 2, last: 2, step: 1 };

/** The last of the positions that a call has; before the first where it has none. */
export function lastPosition(positions: KeyPositions, args: Args): number {
  const end = args.length - 1;
  const { first, last, step, countAt } = positions;
  if (countAt === undefined) return Math.min(last < 0 ? args.length + last : last, end);
  const count = countAt <= end ? Number(parseI64(args[countAt]!) ?? 0) : 0;
  return Math.min(first + (count - 1) * step, end);
}

/** One word of a container command, such as CLIENT ID. */
export interface Subcommand {
  /** Lower case, without the container's name. */
  readonly name: string;
  /** Counts container and subcommand. */
  readonly arity: number;
  readonly usage: string;
  readonly summary: string;
  readonly since: string;
  readonly keys?: KeyPositions;
}

/** What is the same for commands of every kind; all lists and documents are made from it. */
export interface CommandFacts {
  /**
   * Goes into log entries: never changed, never used again. 0 for commands that never leave the
   * accepting node.
   */
  readonly id: number;
  /** Lower case. */
  readonly name: string;
  /** Arguments with the name; negative: at least that many. */
  readonly arity: number;
  /** The arguments in the notation of `parseUsage`. */
  readonly usage: string;
  readonly group: CommandGroup;
  readonly flags: readonly CommandFlag[];
  /** ACL categories beyond those that follow from group and flags. */
  readonly categories?: readonly string[];
  readonly keys: KeyPositions | null;
  /** Arguments that name fields or members, and may be as long as keys. */
  readonly fields?: KeyPositions;
  readonly models: ModelSupport;
  /** Version of Redis that brought it, or of Trefoil for its own. */
  readonly since: string;
  readonly summary: string;
  readonly complexity: string;
  /** Where it differs from Redis: sentences for docs/commands.md. */
  readonly differences?: string;
  readonly subcommands?: readonly Subcommand[];
  /**
   * Refuses what is wrong whatever the state, on the accepting node before anything is proposed.
   * Throws `Refusal`. Arity, limits and subcommands are checked already.
   */
  check?(args: Args): void;
}

/** Executed by the accepting node, in the connection's order. */
export interface ConnectionCommand extends CommandFacts {
  readonly kind: "connection";
  /** Whether it shows something of the commands before, and so waits until they are answered. */
  isAfterPrevious?(args: Args): boolean;
  /** A command of Redis that we know and do not have; the reason, as in its reply. */
  readonly refused?: string;
  run(args: Args, session: ClientSession, server: ServerView): Reply;
}

/** What SCAN, RANDOMKEY and their like take from the accepting node, and leave with it. */
export interface CommandEdge {
  readonly cursors: ScanCursors;
  /** A random number of 32 bits. */
  random(): number;
}

interface TravellingFacts extends CommandFacts {
  /** The arguments that travel in place of the client's, or a refusal. */
  toWire?(args: Args, edge: CommandEdge): Args | Reply;
  /** The client's reply, made from the one that travelled back. */
  fromWire?(reply: Reply, edge: CommandEdge): Reply;
}

/** A command that looks at the state and never changes it. */
export interface ReadCommand extends TravellingFacts {
  readonly kind: "read";
  /** May throw `Refusal`. */
  read(args: Args, state: StateReader, time: WallClock): Reply;
}

/** A command that becomes an entry of the log and is applied on every replica. */
export interface WriteCommand extends TravellingFacts {
  readonly kind: "write";
  /**
   * Whether the reply is the same whatever the state: only then may the write be answered below
   * `majority` (LEAD4).
   */
  isBlind(args: Args): boolean;
  /**
   * Deterministic and total: the arguments come from a log and may be anything that passed `check`.
   * May throw `Refusal`, but only before its first change.
   */
  apply(args: Args, state: StateWriter, time: WallClock): Reply;
}

/**
 * TREFOIL.COMMIT: MULTI and EXEC in one. It travels as EXEC does; a command that is refused takes
 * the others with it.
 */
export interface CommitCommand extends CommandFacts {
  readonly kind: "commit";
}

/** TREFOIL.CHANGES: answered by the accepting node's replica, which may take its time. */
export interface ChangesCommand extends CommandFacts {
  readonly kind: "changes";
}

/** WATCH: it travels as a read, and the connection keeps what it has read. */
export interface WatchCommand extends TravellingFacts {
  readonly kind: "watch";
  read(args: Args, state: StateReader, time: WallClock): Reply;
}

/** The router carries it out: see `parseWith`. */
export interface WithCommand extends CommandFacts {
  readonly kind: "with";
}

/** The router carries it out: see `parseWait`. */
export interface WaitCommand extends CommandFacts {
  readonly kind: "wait";
}

/** SELECT: the router carries it out, since it may have to ask the catalog. */
export interface SelectCommand extends CommandFacts {
  readonly kind: "select";
}

/** TREFOIL.KEYSPACE: the router hands it to the catalog's group; see `parseKeyspaceCommand`. */
export interface CatalogCommand extends CommandFacts {
  readonly kind: "catalog";
}

/** The router carries it out: see `runMember`. */
export interface MemberCommand extends CommandFacts {
  readonly kind: "member";
}

/** MULTI and DISCARD: the router carries them out. */
export interface TransactionCommand extends CommandFacts {
  readonly kind: "transaction";
}

/**
 * EXEC: the router makes one entry of what was queued, and the command machine applies its commands
 * one after the other. What travels has what was watched as its first argument, and then those.
 */
export interface ExecCommand extends CommandFacts {
  readonly kind: "exec";
}

/** One row of the command table. */
export type CommandSpec =
  | ConnectionCommand
  | ReadCommand
  | WriteCommand
  | WatchCommand
  | CommitCommand
  | ChangesCommand
  | WithCommand
  | WaitCommand
  | SelectCommand
  | CatalogCommand
  | MemberCommand
  | TransactionCommand
  | ExecCommand;

/** For properties that hold for no call. */
export function never(): boolean {
  return false;
}

/** For properties that hold for every call. */
export function always(): boolean {
  return true;
}
