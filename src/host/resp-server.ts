import { createServer, type Server, type Socket } from "node:net";
import type { ConnectionId, RequestId } from "../core/contract/ids.ts";
import type { NodeReply } from "../core/node/vocabulary.ts";
import type { Address } from "./address.ts";
import type { Driver } from "./driver.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import {
  RESP_CONNECTION_LIMITS,
  RespConnection,
  type RespConnectionLimits,
  type RespConnectionPorts,
} from "./resp-connection.ts";

/** What the server hands commands to, and reports to. */
export interface RespServerOptions {
  readonly driver: Pick<Driver, "push" | "tell" | "nextRequestId">;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly limits: RespServerLimits;
  /** Whether clients have to authenticate. */
  readonly wantsPassword: boolean;
}

/** What all clients together may make the node hold. */
export interface RespServerLimits extends RespConnectionLimits {
  readonly connectionsMax: number;
}

/** The limits of a node that serves. */
export const RESP_SERVER_LIMITS: RespServerLimits = {
  ...RESP_CONNECTION_LIMITS,
  connectionsMax: 10_000,
};

const TOO_MANY = "-ERR max number of clients reached\r\n";

/** Clients by the Redis protocol: accepts them, and writes what each turn says to them. */
export class RespServer implements RespConnectionPorts {
  readonly #options: RespServerOptions;
  readonly #server: Server;
  readonly #connections = new Map<ConnectionId, RespConnection>();
  #nextConnection: ConnectionId = 1;
  #dirty: RespConnection[] = [];
  #commands = 0;
  #replies = 0;
  #onEmpty: (() => void) | null = null;

  constructor(options: RespServerOptions) {
    this.#options = options;
    // A client that has sent its last command may still want the answers: half-open is allowed.
    this.#server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 300_000,
      highWaterMark: options.limits.outputSoftBytes,
    });
    this.#server.on("connection", (socket) => this.#onConnection(socket));
  }

  /** Resolves with the port once bound. Rejects with the system's error. */
  listen(address: Address): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: address.host, port: address.port, backlog: 1024 }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", (error) => this.#options.logger.error({ error }, "listener"));
        const bound = this.#server.address();
        resolve(typeof bound === "object" && bound !== null ? bound.port : address.port);
      });
    });
  }

  get metrics(): Metrics {
    return this.#options.metrics;
  }

  get connections(): number {
    return this.#connections.size;
  }

  #onConnection(socket: Socket): void {
    const { limits, metrics, driver, wantsPassword } = this.#options;
    if (this.#connections.size >= limits.connectionsMax) {
      metrics.count("connections_refused_total");
      socket.on("error", () => {});
      socket.end(TOO_MANY, () => socket.destroy());
      return;
    }
    const id = this.#nextConnection;
    this.#nextConnection += 1;
    metrics.count("connections_total");
    const connection = new RespConnection(id, socket, limits, this, !wantsPassword);
    this.#connections.set(id, connection);
    driver.tell({ kind: "open", connection: id, peer: connection.peer });
  }

  call(connection: ConnectionId, args: readonly Uint8Array[]): RequestId {
    const { driver } = this.#options;
    const id = driver.nextRequestId();
    this.#commands += 1;
    driver.push({ kind: "request", id, command: { kind: "call", connection, args } });
    return id;
  }

  cancel(id: RequestId): void {
    this.#options.driver.push({ kind: "cancel", id });
  }

  dirty(connection: RespConnection): void {
    this.#dirty.push(connection);
  }

  closed(connection: RespConnection): void {
    this.#connections.delete(connection.id);
    if (this.#connections.size === 0) this.#onEmpty?.();
    this.#options.driver.tell({ kind: "close", connection: connection.id });
  }

  refused(connection: RespConnection, reason: string): void {
    this.#options.logger.warn({ peer: connection.peer, reason }, "disconnected a client");
  }

  onReply(reply: Extract<NodeReply, { kind: "resp" }>): void {
    this.#replies += 1;
    const { connection, reply: answer, resp, close, isAuthenticated } = reply;
    // The connection may be gone: then nobody waits for this any more.
    this.#connections.get(connection)?.onReply(answer, resp, close, isAuthenticated);
  }

  /** Once per turn: one write per socket that has replies. */
  flush(): void {
    this.#options.metrics.count("commands_total", this.#commands);
    this.#options.metrics.count("replies_total", this.#replies);
    this.#commands = 0;
    this.#replies = 0;
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
  }

  /** Takes no new connection; those that there are go on. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Ends every connection once its replies are written; those that do not read them, at once. */
  async close(graceMs: number): Promise<void> {
    this.stopAccepting();
    for (const connection of [...this.#connections.values()]) connection.close("flush");
    await this.#allClosed(graceMs);
    for (const connection of [...this.#connections.values()]) connection.close("now");
  }

  /** What is unflushed is dropped: nothing may be acknowledged any more. */
  destroy(): void {
    this.#server.close();
    for (const connection of [...this.#connections.values()]) connection.close("now");
  }

  #allClosed(graceMs: number): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
