import { error, type Reply, redisError } from "../contract/reply.ts";

/**
 * How a command says no: thrown before the command has changed anything, and turned into its reply
 * by `checkCall` and the command machine. It never leaves this folder.
 */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly reply: Reply;

  constructor(reply: Reply) {
    super("refused");
    this.reply = reply;
  }
}

/** Refuses with a text as Redis words it; `code` is the first word. */
export function refuse(message: string, code = "ERR"): never {
  throw new Refusal(redisError(message, code));
}

/** Refuses what would go beyond a limit (docs/limits.md): not applied. */
export function refuseLimit(message: string): never {
  throw new Refusal(error("LIMIT", message));
}

/** Refuses a command whose options make no sense, in Redis's words. */
export function refuseSyntax(): never {
  return refuse("syntax error");
}

/** Refuses an argument or value that is no 64-bit integer. */
export function refuseNotInteger(): never {
  return refuse("value is not an integer or out of range");
}

/** Refuses a command with too few or too many arguments. */
export function refuseArity(name: string): never {
  return refuse(`wrong number of arguments for '${name}' command`);
}

/** The reply that a `Refusal` carries; rethrows everything else, which is a bug (GEN5). */
export function refusalReply(failure: unknown): Reply {
  if (failure instanceof Refusal) return failure.reply;
  throw failure;
}
