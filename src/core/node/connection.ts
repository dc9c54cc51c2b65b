import { assert } from "../base/assert.ts";
import { Fifo } from "../base/fifo.ts";
import type { KeyspaceRef } from "../commands/keyspaces.ts";
import type { CallMeta, ClientSession } from "../commands/session.ts";
import type { GroupCall, ReplyMeta } from "../contract/group.ts";
import type { ConnectionId, GroupId, Instant, RequestId } from "../contract/ids.ts";
import type { Reply } from "../contract/reply.ts";
import type { SessionPlaces } from "../sessions/session-places.ts";
import type { SessionEntry } from "../sessions/session-token.ts";

/** What follows on an answer of the catalog before it is the client's. */
export type CatalogStep =
  /** SELECT of a keyspace that this node did not know. */
  | { readonly kind: "select"; readonly keyspace: KeyspaceRef; readonly deadline: Instant }
  /** A change: it is answered once this node has heard of it, too. */
  | { readonly kind: "change"; readonly deadline: Instant };

/** One command of a connection, from its arrival to its answer. */
export interface Slot {
  readonly request: RequestId;
  resp: 2 | 3;
  command: string;
  /** Whether the answer is to come as `[reply, meta]` (TREFOIL.WITH … META). */
  wantsMeta: boolean;
  /** Turns the travelled reply into the client's: SCAN's cursor. */
  present: ((reply: Reply) => Reply) | null;
  reply: Reply | null;
  meta: ReplyMeta;
  /** The session that the command is part of: RESET begins another one. */
  places: SessionPlaces;
  /** What another session has seen, as its token says: of this one once it is answered. */
  token: readonly SessionEntry[];
  /**
   * Evaluated when it is this command's turn to be answered: what it shows is of the one before.
   */
  lazy: (() => Reply) | null;
  /** Null for all but calls of the catalog. */
  catalogStep: CatalogStep | null;
  close: boolean;
  /** Whether the connection had authenticated when the command was taken in, or by it. */
  isAuthenticated: boolean;
}

/** A command that came behind a call of the catalog: it is not known yet where it goes. */
export interface DeferredCommand {
  readonly slot: Slot;
  readonly args: readonly Uint8Array[];
  readonly bytes: number;
}

/**
 * A call that waits for the open calls of its connection, because they are in another keyspace or
 * because it or one of them has to be alone (GEN2), or for the answer to a WATCH that it rests on.
 */
export interface HeldCall {
  readonly slot: Slot;
  readonly group: GroupId;
  readonly isAlone: boolean;
  /** The call once it may go; a reply if it is not to be made; null while it waits. */
  readonly take: () => GroupCall | Reply | null;
}

/**
 * One client connection: its commands are answered in the order in which they came (GEN2), whatever
 * the order in which their answers are found.
 */
export class Connection {
  readonly id: ConnectionId;
  readonly session: ClientSession;
  /** Commands not yet answered, in order. */
  readonly #slots = new Fifo<Slot>();
  held: HeldCall[] = [];
  /**
   * A SELECT of an unknown keyspace, or a change of the catalog, is under way. What comes behind it
   * waits: which keyspaces there are for it is not decided (GEN2).
   */
  awaitsCatalog = false;
  readonly deferred = new Fifo<DeferredCommand>();
  /** The group that has open calls of this connection, and how many. */
  openGroup: GroupId | null = null;
  openCalls = 0;
  /** The open call is one that has to be alone. */
  #isOpenAlone = false;
  closed = false;

  constructor(id: ConnectionId, session: ClientSession) {
    this.id = id;
    this.session = session;
  }

  add(slot: Slot): void {
    this.#slots.push(slot);
  }

  /** The front command if it can be answered now; the caller answers and calls again. */
  takeAnswerable(): Slot | null {
    const slot = this.#slots.front;
    if (slot === undefined) return null;
    if (slot.lazy !== null) {
      slot.reply = slot.lazy();
      slot.lazy = null;
    }
    if (slot.reply === null) return null;
    this.#slots.shift();
    return slot;
  }

  /** May a call for this group go now, or would its place among the others be lost? */
  mayDispatch(group: GroupId, isAlone: boolean): boolean {
    if (this.held.length > 0) return false;
    if (this.openCalls === 0) return true;
    return this.openGroup === group && !this.#isOpenAlone && !isAlone;
  }

  dispatched(group: GroupId, call: GroupCall): void {
    assert(this.openCalls === 0 || this.openGroup === group, "calls in two keyspaces at once");
    assert(this.openCalls === 0 || !isAlone(call), "a call beside one that has to be alone");
    this.openGroup = group;
    this.openCalls += 1;
    this.#isOpenAlone = isAlone(call);
  }

  settled(): void {
    assert(this.openCalls > 0, "an answer to no call");
    this.openCalls -= 1;
  }

  remember(meta: CallMeta): void {
    this.session.last = meta;
  }
}

/**
 * A read that several replicas might answer has no place in the order in which one of them takes
 * calls: the place is made by sending nothing else meanwhile. What it has to see is then known too.
 */
export function isAlone(call: GroupCall): boolean {
  return call.kind === "replicaRead";
}

/** QUIT and AUTH, also as part of a transaction, change what the host does with the connection. */
export function noteSession(slot: Slot, session: ClientSession): void {
  slot.close = session.closing;
  slot.isAuthenticated = session.isAuthenticated;
}

/** The call has its answer, also where it was never made: what depends on it must hear of that. */
export function settle(slot: Slot, reply: Reply): void {
  slot.reply = slot.present === null ? reply : slot.present(reply);
}
