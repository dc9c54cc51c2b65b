import { assert } from "../base/assert.ts";
import type { CallMeta, ClientSession } from "../commands/session.ts";
import type { GroupCall, ReplyMeta } from "../contract/group.ts";
import type { ConnectionId, GroupId, RequestId } from "../contract/ids.ts";
import type { Reply } from "../contract/reply.ts";

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
  /**
   * Evaluated when it is this command's turn to be answered: what it shows is of the one before.
   */
  lazy: (() => Reply) | null;
  close: boolean;
  /** Whether the connection had authenticated when the command was taken in, or by it. */
  isAuthenticated: boolean;
}

/**
 * A call that waits because its connection still has open calls in another keyspace (GEN2), or for
 * the answer to a WATCH that it depends on.
 */
export interface HeldCall {
  readonly slot: Slot;
  readonly group: GroupId;
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
  #slots: Slot[] = [];
  #head = 0;
  held: HeldCall[] = [];
  /** The group that has open calls of this connection, and how many. */
  openGroup: GroupId | null = null;
  openCalls = 0;
  closed = false;

  constructor(id: ConnectionId, session: ClientSession) {
    this.id = id;
    this.session = session;
  }

  get unanswered(): number {
    return this.#slots.length - this.#head;
  }

  add(slot: Slot): void {
    this.#slots.push(slot);
  }

  /** The front command if it can be answered now; the caller answers and calls again. */
  takeAnswerable(): Slot | null {
    const slot = this.#slots[this.#head];
    if (slot === undefined) return null;
    if (slot.lazy !== null) {
      slot.reply = slot.lazy();
      slot.lazy = null;
    }
    if (slot.reply === null) return null;
    this.#head += 1;
    if (this.#head === this.#slots.length) {
      this.#slots = [];
      this.#head = 0;
    }
    return slot;
  }

  /** May a call for this group go now, or would it overtake an earlier one in another keyspace? */
  mayDispatch(group: GroupId): boolean {
    if (this.held.length > 0) return false;
    return this.openCalls === 0 || this.openGroup === group;
  }

  dispatched(group: GroupId): void {
    assert(this.openCalls === 0 || this.openGroup === group, "calls in two keyspaces at once");
    this.openGroup = group;
    this.openCalls += 1;
  }

  settled(): void {
    assert(this.openCalls > 0, "an answer to no call");
    this.openCalls -= 1;
  }

  remember(meta: CallMeta): void {
    this.session.last = meta;
  }
}
