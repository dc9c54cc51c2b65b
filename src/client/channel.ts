import type { Reply } from "../core/contract/reply.ts";

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
