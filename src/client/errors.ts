import { ERRORS, type ErrorCode, type Outcome } from "../core/contract/errors.ts";
import type { Reply } from "../core/contract/reply.ts";

/** One of ours, or the first word of an error as Redis has it: `ERR`, `WRONGTYPE`, `NOAUTH`. */
export type TrefoilErrorCode = ErrorCode | "ERR" | "WRONGTYPE" | "NOAUTH" | (string & {});

/** What may be said about an error besides its code and its message. */
export interface TrefoilErrorOptions extends ErrorOptions {
  /** Where it is not the one that the code stands for. */
  readonly outcome?: Outcome;
}

/** The one class of error: every call of a keyspace that fails rejects with it. */
export class TrefoilError extends Error {
  override readonly name = "TrefoilError";
  readonly code: TrefoilErrorCode;
  /**
   * Whether the operation has taken effect: `not-applied` and `applied` are certain, `unknown` may
   * yet become either.
   */
  readonly outcome: Outcome;
  /** Whether the same call may succeed if it is made again; only where it was not applied. */
  readonly retryable: boolean;

  constructor(code: TrefoilErrorCode, message: string, options: TrefoilErrorOptions = {}) {
    super(message, options);
    const known = Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode] : null;
    this.code = code;
    // What Redis words was refused before anything was done.
    this.outcome = options.outcome ?? known?.outcome ?? "not-applied";
    this.retryable = this.outcome === "not-applied" && (known?.retryable ?? false);
  }
}

/** Whether it is a `TrefoilError`, of this code if one is given. */
export function isTrefoilError<C extends TrefoilErrorCode>(
  error: unknown,
  code?: C,
): error is TrefoilError & { readonly code: C } {
  return error instanceof TrefoilError && (code === undefined || error.code === code);
}

/** An error reply as what a call rejects with. */
export function errorOf(reply: Extract<Reply, { kind: "error" }>): TrefoilError {
  const { code, message, outcome } = reply;
  return new TrefoilError(code, message, outcome === null ? {} : { outcome });
}
