import { createServer, type Server, type Socket } from "node:net";
import type { NodeId } from "../core/contract/ids.ts";
import type { NodeMessage } from "../core/node/vocabulary.ts";
import { FrameReader } from "../core/wire/frame.ts";
import { decodeMessages } from "../core/wire/peer-codec.ts";
import type { Address } from "./address.ts";
import { acceptHandshake, type LinkOptions, OutgoingLink } from "./peer-link.ts";

/** Whom the transport tells what it hears. */
export interface PeerTransportOptions extends LinkOptions {
  readonly onMessages: (from: NodeId, messages: readonly NodeMessage[]) => void;
  /** Both directions stand, or no longer. */
  readonly onLink: (peer: NodeId, up: boolean) => void;
}

/** Connections that may be open at once for each peer: its own, its next, and strangers'. */
const INCOMING_PER_PEER_MAX = 8;

/**
 * The links to the other nodes: one simplex connection per ordered pair. This node dials every peer
 * for what it says and accepts what they say, so a connection's failure is noticed by its sender.
 *
 * Messages may be lost (a full queue, a broken connection) but a connection delivers them in order,
 * and none is delivered before both ends have agreed on who they are.
 */
export class PeerTransport {
  readonly #options: PeerTransportOptions;
  readonly #server: Server;
  readonly #outgoing = new Map<NodeId, OutgoingLink>();
  readonly #incoming = new Map<NodeId, Socket>();
  readonly #sockets = new Set<Socket>();
  readonly #linksUp = new Set<NodeId>();
  #closed = false;

  constructor(options: PeerTransportOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 });
    this.#server.maxConnections = INCOMING_PER_PEER_MAX * Math.max(1, options.peers.length);
    this.#server.on("connection", (socket) => this.#onConnection(socket));
    for (const peer of options.peers) {
      const link = new OutgoingLink(peer, options, () => this.#updateLink(peer.node));
      this.#outgoing.set(peer.node, link);
    }
  }

  /** Resolves with the port once bound. Rejects with the system's error. */
  listen(address: Address): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: address.host, port: address.port }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", (error) => this.#options.logger.error({ error }, "peer listener"));
        const bound = this.#server.address();
        resolve(typeof bound === "object" && bound !== null ? bound.port : address.port);
      });
    });
  }

  /** Begins to dial. */
  start(): void {
    for (const link of this.#outgoing.values()) link.dial();
  }

  /** All that a turn says to one peer. Dropped while there is no connection. */
  send(to: NodeId, messages: readonly NodeMessage[]): void {
    this.#outgoing.get(to)?.send(messages);
  }

  isUp(peer: NodeId): boolean {
    return this.#linksUp.has(peer);
  }

  queues(): readonly { readonly peer: NodeId; readonly bytes: number }[] {
    return [...this.#outgoing.values()].map((link) => ({ peer: link.peer, bytes: link.queued }));
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const link of this.#outgoing.values()) link.close();
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #onConnection(socket: Socket): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    const options = this.#options;
    const reader = new FrameReader(options.checksum);
    let from: NodeId | null = null;
    this.#sockets.add(socket);
    socket.setTimeout(options.limits.handshakeTimeoutMs, () => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (from !== null) this.#dropIncoming(from, socket);
    });
    socket.on("data", (chunk) => {
      try {
        reader.push(chunk);
        options.metrics.count("peer_bytes_in_total", chunk.length);
        from ??= this.#shakeHands(socket, reader);
        if (from !== null) this.#receive(from, reader);
      } catch (error) {
        // Bytes that are no frame: nothing behind them can be trusted, the peer begins anew.
        options.metrics.count("peer_protocol_errors_total");
        const reason = error instanceof Error ? error.message : String(error);
        options.logger.warn({ peer: from, reason }, "closed a peer's connection");
        socket.destroy();
      }
    });
  }

  /** The peer's name once both ends agree; null while its handshake is incomplete or refused. */
  #shakeHands(socket: Socket, reader: FrameReader): NodeId | null {
    const heard = reader.handshake();
    if (heard === null) return null;
    const { identity, metrics, logger } = this.#options;
    const refusal = acceptHandshake(socket, heard, this.#options);
    if (refusal !== null) {
      metrics.count("peer_connections_refused_total");
      logger.warn({ peer: heard.node, reason: refusal }, "refused a peer");
      return null;
    }
    logger.debug({ peer: heard.node, node: identity.node }, "a peer connected");
    socket.setTimeout(0);
    const earlier = this.#incoming.get(heard.node);
    this.#incoming.set(heard.node, socket);
    // Its older connection is dead and only we do not know yet, or its messages would overtake.
    earlier?.destroy();
    this.#outgoing.get(heard.node)?.peerIsAlive();
    this.#updateLink(heard.node);
    return heard.node;
  }

  #receive(from: NodeId, reader: FrameReader): void {
    for (let frame = reader.next(); frame !== null; frame = reader.next()) {
      this.#options.metrics.count("peer_frames_in_total");
      this.#options.onMessages(from, decodeMessages(frame));
    }
  }

  #dropIncoming(from: NodeId, socket: Socket): void {
    if (this.#incoming.get(from) !== socket) return;
    this.#incoming.delete(from);
    this.#updateLink(from);
  }

  /** Up means that both directions stand: either one's failure is worth a hint (LEAD2). */
  #updateLink(peer: NodeId): void {
    if (this.#closed) return;
    const up = this.#incoming.has(peer) && (this.#outgoing.get(peer)?.connected ?? false);
    if (up === this.#linksUp.has(peer)) return;
    if (up) this.#linksUp.add(peer);
    else this.#linksUp.delete(peer);
    this.#options.logger.info({ peer, up }, up ? "link up" : "link down");
    this.#options.onLink(peer, up);
  }
}
