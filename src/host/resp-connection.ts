import type { Socket } from "node:net";
import { defined } from "../core/base/assert.ts";
import { Fifo } from "../core/base/fifo.ts";
import type { ConnectionId, RequestId } from "../core/contract/ids.ts";
import type { Reply } from "../core/contract/reply.ts";
import { RespEncoder } from "../core/wire/resp-encoder.ts";
import { ProtocolError, RespParser } from "../core/wire/resp-parser.ts";
import { readingIntoOneBuffer } from "./accepted-socket.ts";
import type { Metrics } from "./metrics.ts";

/** What one client may make the node hold. */
export interface RespConnectionLimits {
  /** Commands taken in and not yet answered; beyond, the socket is not read. */
  readonly outstandingMax: number;
  /** Bytes of replies that the client has not read; beyond, its commands are not read. */
  readonly outputSoftBytes: number;
  /** Beyond this the client is disconnected: it does not read what it asked for. */
  readonly outputHardBytes: number;
  /** A client that must authenticate and has not is disconnected after this long, ms. */
  readonly authenticateMsMax: number;
}

/** The limits of a node that serves. */
export const RESP_CONNECTION_LIMITS: RespConnectionLimits = {
  outstandingMax: 1024,
  outputSoftBytes: 1 << 20,
  outputHardBytes: 256 << 20,
  authenticateMsMax: 60_000,
};

/** What a connection asks of its server. */
export interface RespConnectionPorts {
  readonly metrics: Metrics;
  /** Hands one command to the node; the id comes back with its answer. */
  call(connection: ConnectionId, args: readonly Uint8Array[]): RequestId;
  cancel(request: RequestId): void;
  /** Something waits to be written at the end of this turn. */
  dirty(connection: RespConnection): void;
  /** The connection is over, whoever ended it. */
  closed(connection: RespConnection): void;
  /** It was ended for a reason that an operator may want to know. */
  refused(connection: RespConnection, reason: string): void;
}

/**
 * One client. Commands are answered in the order sent: the node sees to that, and what this end
 * adds (a protocol error) waits until every command before it is answered.
 */
export class RespConnection {
  readonly id: ConnectionId;
  readonly peer: string;
  readonly #socket: Socket;
  readonly #limits: RespConnectionLimits;
  readonly #ports: RespConnectionPorts;
  readonly #parser = new RespParser();
  readonly #encoder = new RespEncoder();
  /** Requests not yet answered, in order; the node answers them in this order. */
  readonly #requests = new Fifo<RequestId>();
  #paused = false;
  #clogged = false;
  #inputEnded = false;
  #protocolError: string | null = null;
  #ending = false;
  #closed = false;
  #isAuthenticated: boolean;
  #authenticateTimer: NodeJS.Timeout | null = null;
  /** Whether it waits for the end of the turn already. */
  isDirty = false;

  /**
   * `accepted` is not used any more by anyone else. `isAuthenticated`: from the beginning, because
   * there is no password.
   */
  constructor(
    id: ConnectionId,
    accepted: Socket,
    limits: RespConnectionLimits,
    ports: RespConnectionPorts,
    isAuthenticated: boolean,
  ) {
    this.id = id;
    this.#isAuthenticated = isAuthenticated;
    this.#parser.isAuthenticated = isAuthenticated;
    const socket = readingIntoOneBuffer(accepted, (bytes) => this.#onBytes(bytes));
    this.#socket = socket;
    this.#limits = limits;
    this.#ports = ports;
    this.peer = `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`;
    socket.on("end", () => this.#onEnd());
    socket.on("drain", () => this.#onDrain());
    // A reset is how many clients leave; "close" follows and does what there is to do.
    socket.on("error", () => {});
    socket.on("close", () => this.#onClose());
    if (!isAuthenticated) this.#expectAuthentication();
  }

  /** Nobody holds a connection open for ever without saying who he is. */
  #expectAuthentication(): void {
    const { authenticateMsMax } = this.#limits;
    this.#authenticateTimer = setTimeout(() => {
      this.#abort(`it did not authenticate within ${authenticateMsMax} ms`);
    }, authenticateMsMax);
    this.#authenticateTimer.unref();
  }

  /**
   * One command at a time until the client has authenticated: how large the next one may be depends
   * on the answer to the one before.
   */
  get #outstandingMax(): number {
    return this.#isAuthenticated ? this.#limits.outstandingMax : 1;
  }

  #setAuthenticated(isAuthenticated: boolean): void {
    if (isAuthenticated === this.#isAuthenticated) return;
    this.#isAuthenticated = isAuthenticated;
    this.#parser.isAuthenticated = isAuthenticated;
    if (this.#authenticateTimer !== null) clearTimeout(this.#authenticateTimer);
    this.#authenticateTimer = null;
    if (!isAuthenticated) this.#expectAuthentication();
  }

  get outstanding(): number {
    return this.#requests.length;
  }

  #onBytes(bytes: Uint8Array): void {
    this.#ports.metrics.count("resp_bytes_in_total", bytes.length);
    if (this.#ending || this.#protocolError !== null) return;
    this.#parser.push(bytes);
    this.#readCommands();
  }

  /** Takes in what has arrived, as far as the limits allow. */
  #readCommands(): void {
    try {
      while (!this.#ending && this.outstanding < this.#outstandingMax && !this.#clogged) {
        const args = this.#parser.next();
        if (args === null) break;
        if (args.length === 0) continue;
        if (isHttp(args[0]!)) return this.#abort("a HTTP request was sent to the Redis port");
        this.#requests.push(this.#ports.call(this.id, args));
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#protocolError = error.message;
      this.#finishIfDone();
    }
    this.#pace();
  }

  /** Back-pressure is TCP's: a socket that is not read stops its sender. */
  #pace(): void {
    if (this.#closed) return;
    const full = this.outstanding >= this.#outstandingMax || this.#clogged;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  /** The node's answer to the oldest open command. */
  onReply(reply: Reply, resp: 2 | 3, close: boolean, isAuthenticated: boolean): void {
    if (this.#closed || this.#ending) return;
    this.#setAuthenticated(isAuthenticated);
    this.#requests.shift();
    this.#encoder.reply(reply, resp);
    if (close) this.#ending = true;
    this.#markDirty();
  }

  #markDirty(): void {
    if (this.isDirty) return;
    this.isDirty = true;
    this.#ports.dirty(this);
  }

  /** Writes this turn's replies at once, and takes in what waited for room. */
  flush(): void {
    this.isDirty = false;
    if (this.#closed) return;
    this.#maybeFinish();
    const bytes = this.#encoder.take();
    if (bytes.length > 0) {
      this.#ports.metrics.count("resp_bytes_out_total", bytes.length);
      this.#socket.write(bytes);
    }
    const unread = this.#socket.writableLength;
    if (unread > this.#limits.outputHardBytes) {
      this.#ports.metrics.count("slow_clients_total");
      return this.#abort(`${unread} bytes of replies were not read`);
    }
    this.#clogged = unread > this.#limits.outputSoftBytes;
    if (this.#ending) this.#socket.destroySoon();
    else if (this.outstanding <= this.#limits.outstandingMax / 2) this.#readCommands();
  }

  /** No turn may be coming that would flush: with nothing open, the end does not wait for one. */
  #finishIfDone(): void {
    if (!this.#ending && this.outstanding === 0) this.flush();
  }

  /** When all is answered: the protocol error's turn, or the end that the client announced. */
  #maybeFinish(): void {
    if (this.#ending || this.outstanding > 0) return;
    if (this.#protocolError !== null) {
      const message = this.#protocolError;
      this.#encoder.reply({ kind: "error", code: "ERR", message, outcome: null }, 2);
      this.#ending = true;
    } else if (this.#inputEnded) this.#ending = true;
  }

  #onDrain(): void {
    this.#clogged = false;
    this.#readCommands();
  }

  /** The client says nothing more, but may wait for answers (`printf … | nc`). */
  #onEnd(): void {
    this.#inputEnded = true;
    this.#finishIfDone();
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#authenticateTimer !== null) clearTimeout(this.#authenticateTimer);
    for (let left = this.#requests.length; left > 0; left -= 1) {
      this.#ports.cancel(defined(this.#requests.shift(), "one is left"));
    }
    this.#ports.closed(this);
  }

  #abort(reason: string): void {
    this.#ending = true;
    this.#ports.refused(this, reason);
    this.#socket.destroy();
  }

  /** Ends it after what is written has left, or at once. */
  close(how: "flush" | "now"): void {
    if (how === "now") this.#socket.destroy();
    else {
      this.flush();
      this.#ending = true;
      this.#socket.destroySoon();
    }
  }
}

/**
 * A browser can be made to send HTTP to any local port. Redis ends such a connection at the first
 * line that cannot be a command's (its `securityWarningCommand`), and so do we.
 */
function isHttp(name: Uint8Array): boolean {
  const upper = (at: number) => name[at]! & 0xdf;
  if (name.length === 4) {
    return upper(0) === 0x50 && upper(1) === 0x4f && upper(2) === 0x53 && upper(3) === 0x54;
  }
  if (name.length !== 5 || name[4] !== 0x3a) return false;
  return upper(0) === 0x48 && upper(1) === 0x4f && upper(2) === 0x53 && upper(3) === 0x54;
}
