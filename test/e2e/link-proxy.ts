import { createServer, connect as dial, type Server, type Socket } from "node:net";
import type { Address } from "../../src/host/address.ts";

/**
 * Stands in front of a node's port for peers, on a free port of its own: what others say to the
 * node goes through it, and can be held up. Nothing is lost, it only comes late.
 */
export class LinkProxy {
  readonly address: Address;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #incoming = new Set<Socket>();
  #isHeld = false;

  private constructor(server: Server, address: Address, target: Address) {
    this.#server = server;
    this.address = address;
    server.on("connection", (incoming) => this.#join(incoming, target));
  }

  static to(target: Address): Promise<LinkProxy> {
    const server = createServer();
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => {
        const bound = server.address();
        const port = typeof bound === "object" && bound !== null ? bound.port : 0;
        resolve(new LinkProxy(server, { host: "127.0.0.1", port }, target));
      });
    });
  }

  #join(incoming: Socket, target: Address): void {
    const outgoing = dial(target.port, target.host);
    for (const socket of [incoming, outgoing]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        this.#incoming.delete(incoming);
        incoming.destroy();
        outgoing.destroy();
      });
    }
    this.#incoming.add(incoming);
    incoming.on("data", (chunk) => void outgoing.write(chunk));
    outgoing.on("data", (chunk) => void incoming.write(chunk));
    if (this.#isHeld) incoming.pause();
  }

  /** Takes nothing more in from those who speak to the node. */
  hold(): void {
    this.#isHeld = true;
    for (const socket of this.#incoming) socket.pause();
  }

  release(): void {
    this.#isHeld = false;
    for (const socket of this.#incoming) socket.resume();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
