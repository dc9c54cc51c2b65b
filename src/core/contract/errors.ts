/**
 * Every error a client can see: its stable code, and what is certain about the operation. Codes
 * never change within a major version; the sentences may.
 *
 * - `not-applied`: it has not taken effect and will not.
 * - `unknown`: it may have taken effect, or may yet.
 * - `applied`: it has taken effect; something else was not reached.
 */
export type Outcome = "not-applied" | "unknown" | "applied";

/** What a code means, and what is certain when it is answered. */
export interface ErrorSpec {
  readonly outcome: Outcome;
  /** Whether the same request may succeed if sent again. */
  readonly retryable: boolean;
  /** What it means and what to do. */
  readonly meaning: string;
}

/** Every code, with its meaning. `docs/errors.md` shows the same. */
export const ERRORS = {
  NOLEADER: {
    outcome: "not-applied",
    retryable: true,
    meaning:
      "No leader of this keyspace could be reached within the deadline, and the request was handed to none. A majority of its nodes must be up and connected; see `trefoil status`.",
  },
  TIMEOUT: {
    outcome: "unknown",
    retryable: false,
    meaning:
      "The request was handed to a leader and not confirmed within the deadline. A write may have been applied or may yet be; a read has no effect and may be sent again.",
  },
  CONCERN_UNMET: {
    outcome: "applied",
    retryable: false,
    meaning:
      "The write is committed and will not be lost, but fewer nodes than its write concern asks for hold it durably so far.",
  },
  CONCERN: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "This write or read concern cannot be given here: it names more nodes than there are, or asks for less than a majority where the reply depends on the state.",
  },
  BUSY: {
    outcome: "not-applied",
    retryable: true,
    meaning: "Too many requests are waiting on this node. Send fewer at a time, or wait.",
  },
  STALE: {
    outcome: "not-applied",
    retryable: true,
    meaning:
      "No replica that could be reached within the deadline was as fresh as the session or the bound on staleness asks. Read again, allow more time, or read with R local.",
  },
  SESSION_LOST: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "The write that the session's token names was lost: it was answered below a majority, and another leader's entry took its place. Begin a new session with TREFOIL.TOKEN RESET, and write again what must be there.",
  },
  TOKEN: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "This is no session token of this cluster: it is damaged, cut short, of another version, or of another cluster. Take one from TREFOIL.TOKEN or META.",
  },
  MODEL: {
    outcome: "not-applied",
    retryable: false,
    meaning: "This keyspace's replication model cannot give the command its meaning.",
  },
  NOKEYSPACE: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "There is no keyspace of this name or number, or it was dropped. `TREFOIL.KEYSPACE LIST` shows those there are. Told with outcome unknown, a write may have been applied before the keyspace was dropped.",
  },
  KEYSPACE_EXISTS: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "There is a keyspace of this name already. `IF NOT EXISTS` leaves it as it is; `TREFOIL.KEYSPACE ALTER` changes it.",
  },
  HALTED: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "This keyspace is halted on this node because applying an entry failed (GEN5). The node's log has the reason; other keyspaces go on.",
  },
  REBUILDING: {
    outcome: "not-applied",
    retryable: true,
    meaning:
      "This node found its copy of the keyspace to be wrong and is having it replaced by another node's (STO7). Ask another node, or this one for a linearizable read, which the leader answers.",
  },
  SESSION_EXPIRED: {
    outcome: "not-applied",
    retryable: true,
    meaning:
      "The node's session with this keyspace was replaced, so the request was not executed. Send it again.",
  },
  TRANSFER_REFUSED: {
    outcome: "not-applied",
    retryable: true,
    meaning:
      "Leadership cannot be handed over as asked: the node is no voter of the keyspace, is down or cut off, or is too far behind; the text says which. `trefoil status` shows where each replica stands.",
  },
  SHUTTING_DOWN: {
    outcome: "not-applied",
    retryable: true,
    meaning: "This node is being stopped. Send the request to another one.",
  },
  UNREACHABLE: {
    outcome: "not-applied",
    retryable: true,
    meaning: "No node could be connected to within the deadline, so the request was sent to none.",
  },
  CONNECTION: {
    outcome: "unknown",
    retryable: false,
    meaning:
      "The connection was lost while the request was under way. A write may have been applied or may yet be; a read has no effect and may be sent again.",
  },
  PROTOCOL: {
    outcome: "unknown",
    retryable: false,
    meaning: "The other end does not speak as this version does. Use the same version everywhere.",
  },
  ABORTED: {
    outcome: "unknown",
    retryable: false,
    meaning:
      "The caller gave the request up after it was sent. A write may have been applied or may yet be.",
  },
  CANNOT_OPEN: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "The database could not be opened: its directory is in use, damaged or another's, or a port is taken; the message says which.",
  },
  CLOSED: {
    outcome: "not-applied",
    retryable: false,
    meaning: "The database, or the transaction, was closed before the request was made.",
  },
  CONFLICT: {
    outcome: "not-applied",
    retryable: true,
    meaning:
      "What the transaction had read was changed by others, as often as it was tried, so it was not carried out.",
  },
  KEYSPACE_MISMATCH: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "The application declares a keyspace with another model or version than the cluster has. Change one of them.",
  },
  SCHEMA: {
    outcome: "not-applied",
    retryable: false,
    meaning: "A value does not fit the schema that the keyspace declares.",
  },
  BAD_VALUE: {
    outcome: "not-applied",
    retryable: false,
    meaning: "A key, value or option is none that can be stored or used; the message says why.",
  },
  NUMBER_OVERFLOW: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "A whole number is beyond what a JavaScript number holds exactly. Use getBigInt(); a sum was applied.",
  },
  LIMIT: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "A key, value, argument or array is larger, or there would be more of something, than the limit allows (docs/limits.md).",
  },
  NOAUTH: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "The node wants a password, and this connection has not authenticated: AUTH, HELLO 3 AUTH default, or the password option of the client. `trefoil` takes it from TREFOIL_PASSWORD or --password-file.",
  },
  WRONGPASS: {
    outcome: "not-applied",
    retryable: false,
    meaning:
      "The user or the password is not the right one. The only user is `default`. After several failures in a row the connection is closed.",
  },
} as const satisfies Record<string, ErrorSpec>;

/** One of the stable codes. */
export type ErrorCode = keyof typeof ERRORS;
