import type { Reply } from "../core/contract/reply.ts";
import { abortable, type ChannelOptions, type CommandChannel, type Word } from "./channel.ts";
import { TrefoilError } from "./errors.ts";
import { RespClient, RespClientError, TIMER_MS_MAX } from "./resp-client.ts";

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

/** Calls that wait for a connection; beyond, a call is refused. */
export const WAITING_MAX = 16_384;

interface Call {
  readonly words: readonly Word[];
  readonly options: ChannelOptions;
  readonly deadline: number;
  wasSent: boolean;
}

/** A call for which there is no connection yet. */
interface Waiting {
  readonly call: Call;
  readonly resolve: (reply: Promise<Reply>) => void;
  readonly reject: (failure: unknown) => void;
  timer: NodeJS.Timeout | null;
}

/**
 * Commands over one connection at a time, to whichever of the nodes can be reached. A read whose
 * connection is lost is sent again, to another node, until its deadline; a write that was sent is
 * not (GEN6). Calls that wait for a connection are sent in their order once there is one.
 */
export class RespChannel implements CommandChannel {
  readonly #options: RespChannelOptions;
  #client: RespClient | null = null;
  #waiting: Waiting[] = [];
  #isConnecting = false;
  #lastFailure: RespClientError | null = null;
  #next = 0;
  #isClosed = false;

  constructor(options: RespChannelOptions) {
    this.#options = options;
  }

  async call(words: readonly Word[], options: ChannelOptions): Promise<Reply> {
    const deadline = performance.now() + options.timeoutMs;
    const call: Call = { words, options, deadline, wasSent: false };
    const answer = this.#answer(call);
    const { signal, isRead } = options;
    return signal === undefined ? answer : abortable(answer, signal, () => isRead || !call.wasSent);
  }

  async #answer(call: Call): Promise<Reply> {
    const { isRead, signal } = call.options;
    for (;;) {
      try {
        return await this.#send(call);
      } catch (failure) {
        if (!(failure instanceof RespClientError)) throw failure;
        const isOver = performance.now() >= call.deadline || signal?.aborted === true;
        const isFinal = !isRead || failure.kind === "busy" || isOver || this.#isClosed;
        if (isFinal) throw lost(failure, isRead);
      }
    }
  }

  /** At once, or behind those that wait for a connection already. */
  #send(call: Call): Promise<Reply> {
    if (this.#isClosed) throw closed();
    if (this.#client !== null && !this.#client.closed) return sendOn(this.#client, call);
    if (this.#waiting.length >= WAITING_MAX) {
      throw new TrefoilError("BUSY", `${WAITING_MAX} calls wait for a connection already.`);
    }
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { call, resolve, reject, timer: null };
      const leftMs = Math.min(Math.max(0, call.deadline - performance.now()), TIMER_MS_MAX);
      waiting.timer = setTimeout(() => this.#giveUp(waiting), leftMs);
      this.#waiting.push(waiting);
      void this.#connect();
    });
  }

  #giveUp(waiting: Waiting): void {
    this.#waiting = this.#waiting.filter((each) => each !== waiting);
    waiting.reject(unreachable(this.#options.endpoints, this.#lastFailure));
  }

  #takeWaiting(): readonly Waiting[] {
    const taken = this.#waiting;
    this.#waiting = [];
    for (const { timer } of taken) if (timer !== null) clearTimeout(timer);
    return taken;
  }

  /** Tries for as long as a call waits. */
  async #connect(): Promise<void> {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    this.#lastFailure = null;
    for (let delayMs = RETRY_MS_MIN; this.#waiting.length > 0; ) {
      try {
        const client = await this.#connectToAny();
        if (this.#isClosed) client.close();
        else this.#connected(client);
      } catch (failure) {
        if (failure instanceof RespClientError) {
          this.#lastFailure = failure;
          await sleep(delayMs);
          delayMs = Math.min(2 * delayMs, RETRY_MS_MAX);
        } else for (const { reject } of this.#takeWaiting()) reject(failure);
      }
    }
    this.#isConnecting = false;
  }

  /** In this very moment, so that no later call comes between. */
  #connected(client: RespClient): void {
    this.#client = client;
    for (const { call, resolve, reject } of this.#takeWaiting()) {
      // Its caller has been told that it was not sent.
      if (call.options.signal?.aborted === true) reject(closed());
      else resolve(sendOn(client, call));
    }
  }

  async #connectToAny(): Promise<RespClient> {
    const { endpoints, password } = this.#options;
    let last: RespClientError | null = null;
    for (let tried = 0; tried < endpoints.length; tried += 1) {
      const endpoint = endpoints[this.#next % endpoints.length]!;
      try {
        const client = await RespClient.connect({ ...endpoint, timeoutMs: GRACE_MS, password });
        await this.#setUp(client);
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

  async #setUp(client: RespClient): Promise<void> {
    const replies = await Promise.all(this.#options.setUp.map((words) => client.call(...words)));
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
    for (const { reject } of this.#takeWaiting()) reject(closed());
  }
}

function sendOn(client: RespClient, call: Call): Promise<Reply> {
  call.wasSent = true;
  const leftMs = Math.max(1, call.deadline - performance.now());
  return client.callWithin(leftMs + GRACE_MS, call.words);
}

function closed(): TrefoilError {
  return new TrefoilError("CLOSED", "The database is closed.");
}

function lost(cause: RespClientError, isRead: boolean): TrefoilError {
  const outcome = isRead ? "not-applied" : cause.outcome;
  return new TrefoilError(cause.code, cause.message, { cause, outcome });
}

function notAuthenticated(cause: RespClientError): TrefoilError {
  const isWrong = cause.message.startsWith("WRONGPASS");
  const message = isWrong
    ? "The cluster has another password than the one given."
    : "The cluster wants a password: give it as the option password.";
  return new TrefoilError(isWrong ? "WRONGPASS" : "NOAUTH", message, { cause });
}

function unreachable(endpoints: readonly Endpoint[], cause: RespClientError | null): TrefoilError {
  const tried = endpoints.map(({ host, port }) => `${host}:${port}`).join(", ");
  const why = cause === null ? "no answer" : cause.message;
  const message = `No node could be reached in time (${tried}): ${why}`;
  return new TrefoilError("UNREACHABLE", message, { cause });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
