import type { Reply } from "../core/contract/reply.ts";
import { isTrefoilError, TrefoilError } from "./errors.ts";

/** One word of a command. */
export type Word = string | Uint8Array;

/** How one command is to be carried out. */
export interface ChannelOptions {
  /** Until the answer must be there, ms. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** It changes nothing, and may be sent again. */
  readonly isRead: boolean;
}

/**
 * Carries commands to a node and answers back, in order: over a socket, or within the process.
 * Error replies are replies. Rejects with `TrefoilError` where there is no answer.
 */
export interface CommandChannel {
  call(words: readonly Word[], options: ChannelOptions): Promise<Reply>;
  close(): Promise<void>;
}

/** The answer, or the end of waiting for it; `isCertain` says whether nothing can come of it. */
export function abortable<T>(
  answer: Promise<T>,
  signal: AbortSignal,
  isCertain: () => boolean,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(aborted(signal, isCertain()));
    signal.addEventListener("abort", onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) onAbort();
  });
}

function aborted(signal: AbortSignal, isCertain: boolean): TrefoilError {
  const cause: unknown = signal.reason;
  if (isTrefoilError(cause)) return cause;
  const outcome = isCertain ? "not-applied" : "unknown";
  return new TrefoilError("ABORTED", "The call was given up by its caller.", { cause, outcome });
}
