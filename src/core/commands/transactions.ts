import { assert, defined } from "../base/assert.ts";
import { array, error, OK, type Reply, redisError } from "../contract/reply.ts";
import type { Args } from "./arguments.ts";
import { encodeCommand } from "./command-machine.ts";
import { LIMITS } from "./limits.ts";
import type { ServerView } from "./server-view.ts";
import type { ClientSession } from "./session.ts";
import type {
  CommandEdge,
  CommandSpec,
  ConnectionCommand,
  ReadCommand,
  TransactionCommand,
  WriteCommand,
} from "./spec.ts";
import { checkArguments, checkForm, lookupCommand } from "./table.ts";
import { parseWith } from "./trefoil.ts";
import { WatchedKeys } from "./watched-keys.ts";

const QUEUED: Reply = { kind: "simple", text: "QUEUED" };

/** A command was refused while it was queued; as Redis has it. */
const EXEC_ABORTED = {
  kind: "error",
  code: "EXECABORT",
  message: "Transaction discarded because of previous errors.",
  outcome: null,
} as const satisfies Reply;

/** Commands of the accepting node, small in what they keep and what they answer. */
const QUEUED_HERE: readonly string[] = ["ping", "echo", "time", "auth", "unwatch"];

/** One of them takes as long as there are keys; many in one entry would hold every replica up. */
const WHOLE_KEYSPACE: readonly string[] = [
  "keys",
  "scan",
  "randomkey",
  "dbsize",
  "flushdb",
  "trefoil.range",
];

const WHY_NOT_QUEUED: { readonly [K in CommandSpec["kind"]]?: string } = {
  member: "it is about the cluster",
  catalog: "it is about the cluster",
  commit: "it is a transaction itself",
  changes: "it waits for what others write",
};

type Queued =
  | { readonly kind: "refused"; readonly reply: Reply }
  | {
      readonly kind: "travels";
      readonly spec: ReadCommand | WriteCommand;
      readonly payload: Uint8Array;
      readonly bytes: number;
    }
  | {
      readonly kind: "here";
      readonly spec: ConnectionCommand;
      readonly args: Args;
      readonly bytes: number;
    };

/**
 * The commands of a connection between MULTI and EXEC. Those for the keyspace become one entry of
 * its log and are applied together, so that nobody sees or gets between half of them (LEAD9); those
 * about the connection are carried out by the accepting node when it takes EXEC in.
 */
export class Transaction {
  #queued: Queued[] = [];
  #bytes = 0;
  /** A command was refused: EXEC will carry out none. */
  hasFailed = false;

  /** Takes a command in; the answer is QUEUED or why not. */
  queue(spec: CommandSpec | undefined, args: Args, edge: CommandEdge): Reply {
    // As in Redis, it ends nothing.
    if (spec?.name === "watch") return redisError("WATCH inside MULTI is not allowed");
    const refused = checkForm(spec, args) ?? this.#take(spec, args, edge);
    if (refused !== null) this.fail();
    return refused ?? QUEUED;
  }

  /** None will be executed: nothing need be kept. */
  fail(): void {
    this.hasFailed = true;
    this.#queued = [];
    this.#bytes = 0;
  }

  #take(spec: CommandSpec | undefined, args: Args, edge: CommandEdge): Reply | null {
    assert(spec !== undefined, "an unknown command is refused before");
    if (spec.kind === "connection" && spec.refused !== undefined) {
      return redisError(`${spec.name.toUpperCase()} is not available: ${spec.refused}`);
    }
    const travels = spec.kind === "read" || spec.kind === "write";
    const isAllowed = travels
      ? !WHOLE_KEYSPACE.includes(spec.name)
      : QUEUED_HERE.includes(spec.name);
    if (!isAllowed) {
      const why = travels
        ? "it looks at the whole keyspace"
        : (WHY_NOT_QUEUED[spec.kind] ?? "it is about the connection");
      return redisError(`${spec.name.toUpperCase()} inside MULTI is not allowed: ${why}`);
    }
    if (this.hasFailed) return null;
    if (this.#queued.length >= LIMITS.transactionCommandsMax) {
      const text = `A transaction may have ${LIMITS.transactionCommandsMax} commands at most.`;
      return error("LIMIT", text);
    }
    const queued = travels ? travelling(spec, args, edge) : here(spec, args);
    this.#bytes += queued.kind === "refused" ? 0 : queued.bytes;
    if (this.#bytes > LIMITS.commandBytesMax) {
      return error("LIMIT", `A transaction may have ${LIMITS.commandBytesMax} bytes at most.`);
    }
    this.#queued.push(queued);
    return null;
  }

  /** Why one of the queued commands will not be executed, whatever the state; null if all will. */
  get refusal(): Reply | null {
    for (const each of this.#queued) if (each.kind === "refused") return each.reply;
    return null;
  }

  /** What EXEC carries: the commands for the keyspace, encoded, in order. */
  get payloads(): readonly Uint8Array[] {
    return this.#queued.flatMap((each) => (each.kind === "travels" ? [each.payload] : []));
  }

  /**
   * EXEC is taken in: the commands about the connection are carried out now, in the connection's
   * order. What comes of the entry's reply is given to the function that is returned.
   */
  begin(session: ClientSession, server: ServerView, edge: CommandEdge): (reply: Reply) => Reply {
    const ours = this.#queued.map((each) => {
      return each.kind === "here" ? each.spec.run(each.args, session, server) : null;
    });
    return (reply) => (reply.kind === "array" ? this.#merge(reply.items, ours, edge) : reply);
  }

  #merge(travelled: readonly Reply[], ours: readonly (Reply | null)[], edge: CommandEdge): Reply {
    let next = 0;
    const replies = this.#queued.map((each, i) => {
      if (each.kind === "refused") return each.reply;
      if (each.kind === "here") return defined(ours[i], "a command of ours without its reply");
      const reply = defined(travelled[next], "a command of a transaction without its reply");
      next += 1;
      return each.spec.fromWire?.(reply, edge) ?? reply;
    });
    assert(next === travelled.length, "a reply of a transaction without its command");
    return array(replies);
  }
}

function travelling(spec: ReadCommand | WriteCommand, given: Args, edge: CommandEdge): Queued {
  const args = checkArguments(spec, given) ?? spec.toWire?.(given, edge) ?? given;
  // As in Redis, its place in the array says so, and the others are executed.
  if ("kind" in args) return { kind: "refused", reply: args };
  const payload = encodeCommand(spec, args);
  return { kind: "travels", spec, payload, bytes: payload.length };
}

/** The arguments lie in what was read from the socket, which is not kept. */
function here(spec: CommandSpec, given: Args): Queued {
  assert(spec.kind === "connection", "only commands about the connection are carried out here");
  const args = given.map((arg) => arg.slice());
  return { kind: "here", spec, args, bytes: args.reduce((sum, arg) => sum + arg.length, 0) };
}

/** The transaction that TREFOIL.COMMIT brings in one piece, or why there is none. */
export function transactionOf(commands: readonly Args[], edge: CommandEdge): Transaction | Reply {
  const transaction = new Transaction();
  for (const args of commands) {
    const answer = transaction.queue(lookupCommand(args[0]!), args, edge);
    if (answer !== QUEUED) return answer;
  }
  return transaction.refusal ?? transaction;
}

/** Whether a command is carried out within a transaction rather than queued: it ends it, or not. */
export function isForTransactions(spec: CommandSpec | undefined): boolean {
  if (spec === undefined) return false;
  if (spec.kind === "transaction" || spec.kind === "exec") return true;
  return spec.name === "reset" || spec.name === "quit";
}

/** EXEC with arguments ends the transaction, as in Redis; the others leave it to be aborted. */
export function refuseInTransaction(
  spec: CommandSpec | undefined,
  session: ClientSession,
  wrong: Reply,
): Reply {
  if (spec?.kind !== "exec") {
    session.transaction?.fail();
    return wrong;
  }
  session.transaction = null;
  session.watched = new WatchedKeys();
  assert(wrong.kind === "error", "a refusal is an error");
  const why = wrong.code === "ERR" ? wrong.message : `${wrong.code} ${wrong.message}`;
  return { ...EXEC_ABORTED, message: `Transaction discarded because of: ${why}` };
}

/** MULTI and DISCARD. */
export function runTransactionCommand(spec: TransactionCommand, session: ClientSession): Reply {
  const isOpen = session.transaction !== null;
  if (spec.name === "multi") {
    if (isOpen) return redisError("MULTI calls can not be nested");
    session.transaction = new Transaction();
    return OK;
  }
  if (!isOpen) return redisError("DISCARD without MULTI");
  session.transaction = null;
  session.watched = new WatchedKeys();
  return OK;
}

/** EXEC: what was queued, which is over for the connection; or why there is nothing to execute. */
export function takeTransaction(
  session: ClientSession,
): { readonly transaction: Transaction; readonly watched: WatchedKeys } | Reply {
  const { transaction, watched, keyspace } = session;
  if (transaction === null) return redisError("EXEC without MULTI");
  session.transaction = null;
  session.watched = new WatchedKeys();
  if (transaction.hasFailed) return EXEC_ABORTED;
  if (watched.isEmpty || watched.keyspace === keyspace) return { transaction, watched };
  const message = "Transaction discarded because its watched keys are in another keyspace.";
  return { ...EXEC_ABORTED, message };
}

/** A WATCH failed: without what it was to read, the transaction must not be carried out. */
export function abortedByWatch(failure: Reply): Reply {
  assert(failure.kind === "error", "only an error leaves a key unwatched");
  const message = `Transaction discarded because WATCH failed: ${failure.code}`;
  return { ...EXEC_ABORTED, message };
}

/** `TREFOIL.WITH … -- EXEC` ends a transaction; its options are EXEC's. */
export function isWithExec(spec: CommandSpec | undefined, args: Args): boolean {
  if (spec?.kind !== "with") return false;
  const parsed = parseWith(args);
  return !("kind" in parsed) && lookupCommand(parsed.rest[0]!)?.kind === "exec";
}
