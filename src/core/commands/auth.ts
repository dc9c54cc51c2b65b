import { encodeUtf8, equalBytes } from "../base/bytes.ts";
import { OK, type Reply, redisError } from "../contract/reply.ts";
import type { Args } from "./arguments.ts";
import { LIMITS } from "./limits.ts";
import { refuse } from "./refusal.ts";
import type { ServerView } from "./server-view.ts";
import type { ClientSession } from "./session.ts";
import { type CommandSpec, type ConnectionCommand, EVERY_MODEL } from "./spec.ts";

/** The one user there is. Names of users tell upper case from lower, as in Redis. */
const DEFAULT_USER = encodeUtf8("default");

/** The answer to all but `no_auth` commands before a connection has authenticated. */
export const NOAUTH: Reply = redisError("Authentication required.", "NOAUTH");

const WRONG = "invalid username-password pair or user is disabled.";

/**
 * Authenticates the connection, or refuses. Where no password is configured any is right for the
 * user, as in Redis. After a number of failures the connection is ended: guessing has to begin with
 * connecting.
 */
export function authenticate(
  user: Uint8Array,
  password: Uint8Array,
  session: ClientSession,
  server: ServerView,
): void {
  const isDefault = equalBytes(user, DEFAULT_USER);
  // The digest is taken also of what is given for another user, so that the time tells no names.
  const isRight = server.password?.matches(password) ?? true;
  if (isDefault && isRight && !session.closing) {
    session.isAuthenticated = true;
    session.authFailures = 0;
    return;
  }
  session.authFailures += 1;
  if (session.authFailures >= LIMITS.authFailuresMax) session.closing = true;
  server.onAuthFailure(session);
  refuse(WRONG, "WRONGPASS");
}

/** RESET: the connection has to authenticate anew, if there is anything to authenticate with. */
export function deauthenticate(session: ClientSession, server: ServerView): void {
  session.isAuthenticated = server.password === null;
}

/**
 * HELLO without AUTH on a connection that must authenticate first: refused, as it tells of the
 * server.
 */
export function requireAuthenticated(session: ClientSession): void {
  if (session.isAuthenticated) return;
  refuse(
    "HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
    "NOAUTH",
  );
}

function run(args: Args, session: ClientSession, server: ServerView): Reply {
  if (args.length > 3) refuse("syntax error");
  if (args.length === 3) authenticate(args[1]!, args[2]!, session, server);
  else if (server.password !== null) authenticate(DEFAULT_USER, args[1]!, session, server);
  else {
    refuse(
      "AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
    );
  }
  return OK;
}

const AUTH: ConnectionCommand = {
  kind: "connection",
  id: 0,
  name: "auth",
  arity: -2,
  usage: "[username] password",
  group: "connection",
  flags: ["noscript", "loading", "stale", "fast", "no_auth"],
  keys: null,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "Authenticates the connection by the node's password.",
  complexity: "O(1)",
  differences:
    "There is one user, `default`. A connection that fails several times in a row is closed.",
  run,
};

/** Authentication by the one password. */
export const AUTH_COMMANDS: readonly CommandSpec[] = [AUTH];
