import type { Reply } from "../core/contract/reply.ts";
import type { ChannelOptions, CommandChannel, Word } from "./channel.ts";
import { isTrefoilError, TrefoilError } from "./errors.ts";
import { RespClient, RespClientError } from "./resp-client.ts";

/** A node's address for Redis clients. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What a channel needs to know. */
export interface RespChannelOptions {
  /** Tried in turn, beginning with the first; any node takes any command. */
  readonly endpoints: readonly Endpoint[];
  /** What the nodes want to be authenticated with; null: nothing. */
  readonly password: string | null;
  /** Sent on every new connection before anything else. An error ends the attempt. */
  readonly setUp: readonly (readonly Word[])[];
}

/** The node answers by the call's deadline; only a node that does not is waited for longer, ms. */
const GRACE_MS = 1_000;

const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 500;

/**
 * Commands over one connection at a time, to whichever of the nodes can be reached. A read whose
 * connection is lost is sent again, to another node, until its deadline; a write that was sent is
 * not (GEN6).
 */
export class RespChannel implements CommandChannel {
  readonly #options: RespChannelOptions;
  #client: RespClient | null = null;
  #connecting: Promise<RespClient> | null = null;
  #next = 0;
  #isClosed = false;

  constructor(options: RespChannelOptions) {
    this.#options = options;
  }

  async call(words: readonly Word[], options: ChannelOptions): Promise<Reply> {
    const deadline = performance.now() + options.timeoutMs;
    const answer = this.#callUntil(words, options, deadline);
    return options.signal === undefined
      ? answer
      : abortable(answer, options.signal, options.isRead);
  }

  async #callUntil(
    words: readonly Word[],
    options: ChannelOptions,
    deadline: number,
  ): Promise<Reply> {
    for (;;) {
      const client = await this.#connected(deadline);
      const leftMs = Math.max(1, deadline - performance.now());
      try {
        return await client.callWithin(leftMs + GRACE_MS, words);
      } catch (failure) {
        if (!(failure instanceof RespClientError)) throw failure;
        const isOver = performance.now() >= deadline || options.signal?.aborted === true;
        if (!options.isRead || isOver || this.#isClosed) throw lost(failure, options.isRead);
      }
    }
  }

  /** The connection, or a new one by the deadline. */
  async #connected(deadline: number): Promise<RespClient> {
    for (let delayMs = RETRY_MS_MIN; ; delayMs = Math.min(2 * delayMs, RETRY_MS_MAX)) {
      if (this.#isClosed) throw new TrefoilError("CLOSED", "The database is closed.");
      if (this.#client !== null && !this.#client.closed) return this.#client;
      try {
        this.#connecting ??= this.#connect(deadline);
        return await this.#connecting;
      } catch (failure) {
        if (!(failure instanceof RespClientError)) throw failure;
        const leftMs = deadline - performance.now();
        if (leftMs <= delayMs) throw unreachable(this.#options.endpoints, failure);
        await sleep(delayMs);
      }
    }
  }

  async #connect(deadline: number): Promise<RespClient> {
    try {
      return await this.#connectToAny(deadline);
    } finally {
      this.#connecting = null;
    }
  }

  async #connectToAny(deadline: number): Promise<RespClient> {
    const { endpoints, password } = this.#options;
    let last: RespClientError | null = null;
    for (let tried = 0; tried < endpoints.length; tried += 1) {
      const endpoint = endpoints[this.#next % endpoints.length]!;
      try {
        const timeoutMs = Math.max(1, Math.min(GRACE_MS, deadline - performance.now()));
        const client = await RespClient.connect({ ...endpoint, timeoutMs, password });
        await this.#setUp(client, timeoutMs);
        if (this.#isClosed) client.close();
        this.#client = client;
        return client;
      } catch (failure) {
        if (!(failure instanceof RespClientError)) throw failure;
        // Neither time nor another node makes a password right.
        if (failure.kind === "auth") throw notAuthenticated(failure);
        this.#next += 1;
        last = failure;
      }
    }
    throw last ?? new RespClientError("connect", "no node is named");
  }

  async #setUp(client: RespClient, timeoutMs: number): Promise<void> {
    const replies = await Promise.all(
      this.#options.setUp.map((words) => client.callWithin(timeoutMs, words)),
    );
    for (const reply of replies) {
      if (reply.kind !== "error") continue;
      client.close();
      throw new TrefoilError(reply.code, reply.message, { outcome: "not-applied" });
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#client?.close();
    this.#client = null;
  }
}

function lost(failure: RespClientError, isRead: boolean): TrefoilError {
  const code = failure.kind === "timeout" ? "TIMEOUT" : "CONNECTION";
  return new TrefoilError(code, failure.message, {
    cause: failure,
    outcome: isRead ? "not-applied" : "unknown",
  });
}

function notAuthenticated(cause: RespClientError): TrefoilError {
  const isWrong = cause.message.startsWith("WRONGPASS");
  const message = isWrong
    ? "The cluster has another password than the one given."
    : "The cluster wants a password: give it as the option password.";
  return new TrefoilError(isWrong ? "WRONGPASS" : "NOAUTH", message, { cause });
}

function unreachable(endpoints: readonly Endpoint[], cause: RespClientError): TrefoilError {
  const tried = endpoints.map(({ host, port }) => `${host}:${port}`).join(", ");
  const message = `No node could be reached in time (${tried}): ${cause.message}`;
  return new TrefoilError("UNREACHABLE", message, { cause });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** The answer, or the end of waiting for it. */
export function abortable<T>(answer: Promise<T>, signal: AbortSignal, isRead: boolean): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(aborted(signal, isRead));
    signal.addEventListener("abort", onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) onAbort();
  });
}

function aborted(signal: AbortSignal, isRead: boolean): TrefoilError {
  const reason: unknown = signal.reason;
  if (isTrefoilError(reason)) return reason;
  return new TrefoilError("ABORTED", "The call was given up by its caller.", {
    cause: reason,
    outcome: isRead ? "not-applied" : "unknown",
  });
}
