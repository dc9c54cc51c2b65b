import type { ReadConcern, ReadPreference, ReplyMeta, WriteConcern } from "../contract/group.ts";
import type { ConnectionId, Instant } from "../contract/ids.ts";
import type { Reply } from "../contract/reply.ts";
import { SessionPlaces } from "../sessions/session-places.ts";
import type { Transaction } from "./transactions.ts";
import { WatchedKeys } from "./watched-keys.ts";

/** How one call is to be carried out: TREFOIL.WITH sets it, TREFOIL.DEFAULTS its defaults. */
export interface CallOptions {
  readonly w: WriteConcern;
  readonly r: ReadConcern;
  /** Who answers `session` and `bounded` reads. */
  readonly prefer: ReadPreference;
  /** Until the call's deadline, ms; null for the node's default. */
  readonly timeoutMs: number | null;
  /** Whether the answer comes as `[reply, meta]`. */
  readonly meta: boolean;
}

/** What a call asks for where nothing else is said. */
export const CALL_DEFAULTS: CallOptions = {
  w: "majority",
  r: "linearizable",
  prefer: "nearest",
  timeoutMs: null,
  meta: false,
};

/** What TREFOIL.LAST tells of the command before. */
export interface CallMeta {
  /** Lower case; empty if it was no known command. */
  readonly command: string;
  readonly meta: ReplyMeta;
  readonly reply: Reply;
}

/** What a node remembers of one client connection. Commands of kind "connection" change it. */
export class ClientSession {
  readonly id: ConnectionId;
  /** The client's address, as the host gives it. */
  readonly peer: string;
  readonly created: Instant;
  lastInteraction: Instant;
  /** The protocol in which it is answered; HELLO changes it. */
  resp: 2 | 3 = 2;
  /** Number of the selected keyspace. */
  keyspace = 0;
  defaults: CallOptions = CALL_DEFAULTS;
  /** What the connection has written and read, and tokens have told it (LEAD7). */
  places: SessionPlaces = new SessionPlaces();
  /** What TREFOIL.LAST shows; null before the first command. */
  last: CallMeta | null = null;
  name = "";
  libName = "";
  libVersion = "";
  /** Kept for CLIENT LIST; a node evicts no clients. */
  noEvict = false;
  noTouch = false;
  /** What was queued since MULTI; null outside of a transaction. */
  transaction: Transaction | null = null;
  /** What EXEC is to be conditional on. */
  watched = new WatchedKeys();
  /** Whether it may call more than the commands that are flagged `no_auth`. */
  isAuthenticated: boolean;
  /** Since it last authenticated. */
  authFailures = 0;
  /** QUIT: close once the reply is sent. */
  closing = false;

  /** `isAuthenticated`: from the beginning, because there is no password. */
  constructor(id: ConnectionId, peer: string, now: Instant, isAuthenticated: boolean) {
    this.id = id;
    this.peer = peer;
    this.isAuthenticated = isAuthenticated;
    this.created = now;
    this.lastInteraction = now;
  }

  /** RESET: as after connecting, but for what the library said of itself. */
  reset(): void {
    this.resp = 2;
    this.keyspace = 0;
    this.defaults = CALL_DEFAULTS;
    this.places = new SessionPlaces();
    this.name = "";
    this.noEvict = false;
    this.noTouch = false;
    this.transaction = null;
    this.watched = new WatchedKeys();
  }
}
