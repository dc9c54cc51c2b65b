import { connect, type Socket } from "node:net";
import { type Expectation, ReplyCounter } from "./reply-counter.ts";
import { type LoadKind, RequestRing, type RingOptions } from "./request-ring.ts";
import { respCommand } from "./resp-command.ts";

/** Where a connection goes, what it sends there, and who is told. */
export interface LoadConnectionOptions extends RingOptions {
  readonly port: number;
  /** Commands that must be answered without an error before the load begins. */
  readonly setUp: readonly (readonly string[])[];
  /** The oldest `count` requests have ended, `errors` of them badly. */
  readonly onEnded: (connection: LoadConnection, count: number, errors: number) => void;
  readonly onFailure: (error: Error) => void;
}

const EXPECTATIONS: Readonly<Record<LoadKind, Expectation>> = {
  set: "any",
  "set-wait": "copies",
  get: "value",
  incr: "any",
};

/** One connection of the load generator: sends what it is told to, knows what is under way. */
export class LoadConnection {
  /** Connected and set up. */
  readonly ready: Promise<void>;
  readonly #options: LoadConnectionOptions;
  readonly #ring: RequestRing;
  readonly #socket: Socket;
  #replies = new ReplyCounter("any");
  #setUpLeft: number;
  #becomeReady: () => void = () => {};
  /** When each request under way began, by slot: the oldest `#outstanding` before `#next`. */
  readonly #beganAt: Float64Array;
  #next = 0;
  #outstanding = 0;
  #closing = false;

  constructor(options: LoadConnectionOptions) {
    const { port, depth, setUp, onFailure } = options;
    this.#options = options;
    this.#ring = new RequestRing(options);
    this.#beganAt = new Float64Array(depth);
    this.#setUpLeft = setUp.length;
    this.#socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
    this.#socket.on("connect", () => this.#onConnect());
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on("error", onFailure);
    this.#socket.on("close", () => {
      if (!this.#closing) onFailure(new Error(`the server on port ${port} closed a connection`));
    });
  }

  /** Requests that may still be sent. */
  get free(): number {
    return this.#beganAt.length - this.#outstanding;
  }

  get firstError(): string | null {
    return this.#replies.firstError;
  }

  /** When the `number`th oldest request under way, or of those that have just ended, began. */
  beganAt(number: number, ended: number): number {
    const depth = this.#beganAt.length;
    const oldest = this.#next - this.#outstanding - ended + 2 * depth;
    return this.#beganAt[(oldest + number) % depth]!;
  }

  /** Sends requests as one write; their latency counts from `beganAt`. */
  send(count: number, beganAt: number): void {
    const parts = this.#ring.take(count);
    for (let i = 0; i < count; i += 1) {
      this.#beganAt[this.#next] = beganAt;
      this.#next = (this.#next + 1) % this.#beganAt.length;
    }
    this.#outstanding += count;
    if (parts.length === 1) {
      this.#socket.write(parts[0]!);
      return;
    }
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  close(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  #onConnect(): void {
    const { setUp } = this.#options;
    if (setUp.length === 0) this.#begin();
    else this.#socket.write(setUp.map(respCommand).join(""));
  }

  #begin(): void {
    this.#replies = new ReplyCounter(EXPECTATIONS[this.#options.kind]);
    this.#becomeReady();
  }

  #onData(chunk: Buffer): void {
    const errorsBefore = this.#replies.errors;
    const count = this.#replies.push(chunk);
    if (this.#setUpLeft > 0) {
      this.#onSetUp(count);
      return;
    }
    if (count === 0) return;
    this.#outstanding -= count;
    this.#options.onEnded(this, count, this.#replies.errors - errorsBefore);
  }

  #onSetUp(count: number): void {
    this.#setUpLeft -= count;
    const { firstError } = this.#replies;
    if (firstError !== null) this.#options.onFailure(new Error(firstError));
    else if (this.#setUpLeft === 0) this.#begin();
  }
}
