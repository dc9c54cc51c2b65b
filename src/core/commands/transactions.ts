import { assert } from "../base/assert.ts";
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
import { checkArguments, checkForm } from "./table.ts";

const QUEUED: Reply = { kind: "simple", text: "QUEUED" };

/** A command was refused while it was queued; as Redis has it. */
const EXEC_ABORTED = {
  kind: "error",
  code: "EXECABORT",
  message: "Transaction discarded because of previous errors.",
  outcome: null,
} as const satisfies Reply;

/** They would change the connection between one command of a transaction and the next. */
const NOT_QUEUED: readonly string[] = ["select", "hello", "auth", "trefoil.defaults"];

type Queued =
  | { readonly kind: "refused"; readonly reply: Reply }
  | {
      readonly kind: "travels";
      readonly spec: ReadCommand | WriteCommand;
      readonly payload: Args[0];
    }
  | { readonly kind: "here"; readonly spec: ConnectionCommand; readonly args: Args };

/**
 * The commands of a connection between MULTI and EXEC. Those for the keyspace become one entry of
 * its log and are applied together, so that nobody sees or gets between half of them (LEAD9); those
 * about the connection are carried out by the accepting node when EXEC is answered.
 */
export class Transaction {
  readonly #queued: Queued[] = [];
  #bytes = 0;
  /** A command was refused: EXEC will carry out none. */
  hasFailed = false;

  /** Takes a command in; the answer is QUEUED or why not. */
  queue(spec: CommandSpec | undefined, args: Args, edge: CommandEdge): Reply {
    const refused = checkForm(spec, args) ?? this.#take(spec, args, edge);
    if (refused !== null) this.hasFailed = true;
    return refused ?? QUEUED;
  }

  #take(spec: CommandSpec | undefined, args: Args, edge: CommandEdge): Reply | null {
    assert(spec !== undefined, "an unknown command is refused before");
    if (this.#queued.length >= LIMITS.transactionCommandsMax) {
      const text = `A transaction may have ${LIMITS.transactionCommandsMax} commands at most.`;
      return error("LIMIT", text);
    }
    if (spec.kind === "read" || spec.kind === "write")
      return this.#takeTravelling(spec, args, edge);
    if (spec.kind !== "connection" || spec.afterPrevious || NOT_QUEUED.includes(spec.name)) {
      const name = spec.name.toUpperCase();
      return redisError(
        `${name} inside MULTI is not allowed: a transaction is one entry of one log`,
      );
    }
    if (spec.refused !== undefined) {
      return redisError(`${spec.name.toUpperCase()} is not available: ${spec.refused}`);
    }
    // The arguments lie in what was read from the socket, which is not kept.
    this.#queued.push({ kind: "here", spec, args: args.map((arg) => arg.slice()) });
    return null;
  }

  #takeTravelling(spec: ReadCommand | WriteCommand, given: Args, edge: CommandEdge): Reply | null {
    const args = checkArguments(spec, given) ?? spec.toWire?.(given, edge) ?? given;
    if ("kind" in args) {
      // As in Redis, its place in the array says so, and the others are executed.
      this.#queued.push({ kind: "refused", reply: args });
      return null;
    }
    const payload = encodeCommand(spec, args);
    this.#bytes += payload.length;
    if (this.#bytes > LIMITS.commandBytesMax) {
      return error("LIMIT", `A transaction may have ${LIMITS.commandBytesMax} bytes at most.`);
    }
    this.#queued.push({ kind: "travels", spec, payload });
    return null;
  }

  /** What EXEC carries: the commands for the keyspace, encoded, in order. */
  get payloads(): readonly Uint8Array[] {
    return this.#queued.flatMap((each) => (each.kind === "travels" ? [each.payload] : []));
  }

  /** The client's reply, made of the entry's: an error, or an array of `payloads`' replies. */
  present(reply: Reply, session: ClientSession, server: ServerView, edge: CommandEdge): Reply {
    if (reply.kind !== "array") return reply;
    let next = 0;
    const replies = this.#queued.map((each) => {
      if (each.kind === "refused") return each.reply;
      if (each.kind === "here") return each.spec.run(each.args, session, server);
      const travelled = reply.items[next];
      next += 1;
      assert(travelled !== undefined, "a command of a transaction without its reply");
      return each.spec.fromWire?.(travelled, edge) ?? travelled;
    });
    assert(next === reply.items.length, "a reply of a transaction without its command");
    return array(replies);
  }
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
    if (session.transaction !== null) session.transaction.hasFailed = true;
    return wrong;
  }
  session.transaction = null;
  assert(wrong.kind === "error", "a refusal is an error");
  return { ...EXEC_ABORTED, message: `Transaction discarded because of: ${wrong.message}` };
}

/** MULTI and DISCARD. */
export function runTransactionCommand(spec: TransactionCommand, session: ClientSession): Reply {
  const isOpen = session.transaction !== null;
  if (spec.name === "multi") {
    if (isOpen) return redisError("MULTI calls can not be nested");
    session.transaction = new Transaction();
    return OK;
  }
  session.transaction = null;
  return isOpen ? OK : redisError("DISCARD without MULTI");
}

/** EXEC: what was queued, which is over for the connection; or why there is nothing to execute. */
export function takeTransaction(session: ClientSession): Transaction | Reply {
  const { transaction } = session;
  session.transaction = null;
  if (transaction === null) return redisError("EXEC without MULTI");
  return transaction.hasFailed ? EXEC_ABORTED : transaction;
}
