import { connect, type Socket } from "node:net";
import { Fifo } from "../core/base/fifo.ts";
import type { ErrorCode } from "../core/contract/errors.ts";
import type { Reply } from "../core/contract/reply.ts";
import { ReplyDecoder } from "../core/wire/resp-decoder.ts";

/** Where to connect, and how long to wait. */
export interface RespClientOptions {
  readonly host: string;
  readonly port: number;
  /** For connecting, and for each command. 2,000 ms by default. */
  readonly timeoutMs?: number;
  /** What the server wants to be authenticated with, if anything. */
  readonly password?: string | null;
}

/**
 * The connection failed or was too slow. Whether the commands that were under way took effect is
 * not known (GEN1), and none is sent again (GEN6).
 */
export class RespClientError extends Error {
  override readonly name = "RespClientError";
  /** `auth`: the server wants a password, or another one. `busy`: too much waits for replies. */
  readonly kind: "connect" | "auth" | "busy" | "timeout" | "closed" | "protocol";
  /** As docs/errors.md has it. */
  readonly code: ErrorCode | "NOAUTH";
  readonly outcome: "not-applied" | "unknown";

  constructor(kind: RespClientError["kind"], message: string) {
    super(message);
    this.kind = kind;
    this.code = CODES[kind];
    const wasSent = kind !== "connect" && kind !== "auth" && kind !== "busy";
    this.outcome = wasSent ? "unknown" : "not-applied";
  }
}

const CODES = {
  connect: "UNREACHABLE",
  auth: "NOAUTH",
  busy: "BUSY",
  timeout: "TIMEOUT",
  closed: "CONNECTION",
  protocol: "PROTOCOL",
} as const;

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
  readonly expiresAt: number;
}

const TIMEOUT_MS = 2_000;

/** What a timer can wait for: with more, it would be over at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** Replies asked for and not yet there; beyond, the caller has to wait for some first. */
const WAITING_MAX = 100_000;

/**
 * One RESP3 connection, pipelined: commands are sent as they are given and answered in order. It
 * neither reconnects nor sends anything twice: see `RespChannel`.
 */
export class RespClient {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #decoder = new ReplyDecoder();
  readonly #waiting = new Fifo<Waiting>();
  #timer: NodeJS.Timeout | null = null;
  #timerAt = 0;
  #unsent: Uint8Array[] = [];
  #failure: RespClientError | null = null;

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.on("data", (chunk) => this.#onData(chunk));
    socket.on("error", (error) => this.#fail(new RespClientError("closed", error.message)));
    socket.on("close", () => {
      this.#fail(new RespClientError("closed", "The server closed the connection."));
    });
  }

  /** Connects, authenticates and switches to RESP3. Rejects with `RespClientError`. */
  static async connect(options: RespClientOptions): Promise<RespClient> {
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    const socket = await openSocket(options, timeoutMs);
    const client = new RespClient(socket, timeoutMs);
    const { password = null } = options;
    const credentials = password === null ? [] : ["AUTH", "default", password];
    const hello = await client.call("HELLO", "3", ...credentials);
    if (hello.kind === "error") {
      client.close();
      const isAuth = hello.code === "NOAUTH" || hello.code === "WRONGPASS";
      throw new RespClientError(isAuth ? "auth" : "connect", `${hello.code} ${hello.message}`);
    }
    return client;
  }

  get closed(): boolean {
    return this.#failure !== null;
  }

  /**
   * Sends one command. An error reply of the server is a reply like any other; the promise rejects,
   * with `RespClientError`, only when there is none.
   */
  call(...args: readonly (string | Uint8Array)[]): Promise<Reply> {
    return this.callWithin(this.#timeoutMs, args);
  }

  /** The same with a deadline of its own, ms. */
  callWithin(timeoutMs: number, args: readonly (string | Uint8Array)[]): Promise<Reply> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#waiting.length >= WAITING_MAX) {
      const text = `${WAITING_MAX} commands wait for replies already.`;
      return Promise.reject(new RespClientError("busy", text));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject, expiresAt: performance.now() + timeoutMs });
      this.#send(encodeCall(args));
      this.#watch();
    });
  }

  /** Ends the connection; what is still open is rejected. */
  close(): void {
    this.#fail(new RespClientError("closed", "The connection was closed."));
  }

  /** Commands given in one go leave in one write. */
  #send(bytes: Uint8Array): void {
    this.#unsent.push(bytes);
    if (this.#unsent.length > 1) return;
    queueMicrotask(() => {
      const unsent = this.#unsent;
      this.#unsent = [];
      if (this.#failure === null) this.#socket.write(Buffer.concat(unsent));
    });
  }

  #onData(chunk: Uint8Array): void {
    try {
      this.#decoder.push(chunk);
      for (let reply = this.#decoder.next(); reply !== undefined; reply = this.#decoder.next()) {
        this.#onReply(reply);
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#fail(new RespClientError("protocol", message));
    }
  }

  #onReply(reply: Reply): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      this.#fail(new RespClientError("protocol", "a reply to no command"));
      return;
    }
    waiting.resolve(reply);
  }

  /**
   * One timer for the oldest command: replies come in order, so no later one can be answered
   * before.
   */
  #watch(): void {
    const oldest = this.#waiting.front;
    if (oldest === undefined || (this.#timer !== null && this.#timerAt <= oldest.expiresAt)) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = oldest.expiresAt;
    const leftMs = Math.ceil(oldest.expiresAt - performance.now());
    const delayMs = Math.min(Math.max(1, leftMs), TIMER_MS_MAX);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const first = this.#waiting.front;
      if (first !== undefined && first.expiresAt <= performance.now()) {
        this.#fail(new RespClientError("timeout", "The server did not answer in time."));
      } else this.#watch();
    }, delayMs);
  }

  #fail(error: RespClientError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#socket.destroy();
    for (let left = this.#waiting.length; left > 0; left -= 1) this.#waiting.shift()?.reject(error);
  }
}

function openSocket(options: RespClientOptions, timeoutMs: number): Promise<Socket> {
  const { host, port } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const fail = (message: string) => {
      socket.destroy();
      reject(new RespClientError("connect", `${host}:${port}: ${message}`));
    };
    const timer = setTimeout(() => fail("no answer"), timeoutMs);
    const onError = (error: Error) => {
      clearTimeout(timer);
      fail("code" in error ? String(error.code) : error.message);
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", onError);
      resolve(socket);
    });
  });
}

/** A command as an array of bulk strings. */
export function encodeCall(args: readonly (string | Uint8Array)[]): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === "string" ? Buffer.from(arg, "utf8") : arg;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}
