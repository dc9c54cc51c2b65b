import { connect, type Socket } from "node:net";
import type { Checksum } from "../core/base/hash.ts";
import type { Incarnation, NodeId } from "../core/contract/ids.ts";
import type { NodeMessage } from "../core/node/vocabulary.ts";
import {
  encodeHandshake,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FrameReader,
  type Handshake,
  handshakeRefusal,
  PEER_PROTOCOL_VERSION,
  sealFrame,
} from "../core/wire/frame.ts";
import { encodeMessages } from "../core/wire/peer-codec.ts";
import type { Address } from "./address.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

/** Who this node is to its peers (GEN3). */
export interface PeerIdentity {
  readonly cluster: string;
  readonly node: NodeId;
  readonly incarnation: Incarnation;
}

/** Another member, and where it is found. */
export interface Peer {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly address: Address;
}

/** What both ends of a connection need. */
export interface LinkOptions {
  readonly identity: PeerIdentity;
  readonly peers: readonly Peer[];
  readonly checksum: Checksum;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly limits: PeerLimits;
}

/** What a link holds and how long it waits. */
export interface PeerLimits {
  /** Frames waiting for one peer, in bytes; what would go beyond is dropped whole. */
  readonly queueBytesMax: number;
  /** What one frame carries, in bytes; the other end takes up to `FRAME_BYTES_MAX`. */
  readonly frameBytesMax: number;
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** After a refusal in the handshake, which no quick retry can change. */
  readonly refusedBackoffMs: number;
  readonly handshakeTimeoutMs: number;
}

/** The limits of a node that serves. */
export const PEER_LIMITS: PeerLimits = {
  queueBytesMax: 48 << 20,
  frameBytesMax: FRAME_BYTES_MAX,
  backoffMsMin: 25,
  backoffMsMax: 1_000,
  refusedBackoffMs: 5_000,
  handshakeTimeoutMs: 5_000,
};

/** What this node says of itself to a peer. */
function introduction(
  identity: PeerIdentity,
  target: NodeId,
  refusal: string | null = null,
): Handshake {
  const { cluster, node, incarnation } = identity;
  return { version: PEER_PROTOCOL_VERSION, cluster, node, incarnation, target, refusal };
}

/**
 * Answers a dialling peer: agreement, or a refusal with its reason and the end of the connection.
 * Returns the reason, null if the peer is welcome.
 */
export function acceptHandshake(
  socket: Socket,
  heard: Handshake,
  options: LinkOptions,
): string | null {
  const { identity, peers, checksum } = options;
  const refusal = handshakeRefusal(heard, identity, incarnationIn(peers));
  const answer = introduction(identity, heard.node, refusal);
  socket.write(encodeHandshake(answer, checksum));
  if (refusal !== null) {
    // Nothing more is read from it: what it sends meanwhile is not for us.
    socket.removeAllListeners("data");
    socket.resume();
    socket.destroySoon();
  }
  return refusal;
}

function incarnationIn(peers: readonly Peer[]) {
  return (node: NodeId) => peers.find((peer) => peer.node === node)?.incarnation;
}

type State =
  | { readonly kind: "waiting"; readonly timer: NodeJS.Timeout; readonly refused: boolean }
  | { readonly kind: "dialling" | "shaking" | "connected"; readonly socket: Socket }
  | { readonly kind: "idle" }
  | { readonly kind: "closed" };

/**
 * This node's connection for what it says to one peer: dials, introduces itself, sends frames, and
 * dials again with exponential back-off when the connection ends.
 */
export class OutgoingLink {
  readonly #peer: Peer;
  readonly #options: LinkOptions;
  readonly #onChange: () => void;
  #state: State = { kind: "idle" };
  #failures = 0;
  /** The last refusal that was logged: the same one again is not news. */
  #refusal: string | null = null;

  constructor(peer: Peer, options: LinkOptions, onChange: () => void) {
    this.#peer = peer;
    this.#options = options;
    this.#onChange = onChange;
  }

  get peer(): NodeId {
    return this.#peer.node;
  }

  get connected(): boolean {
    return this.#state.kind === "connected";
  }

  /** Bytes that the socket has not taken yet. */
  get queued(): number {
    return this.#state.kind === "connected" ? this.#state.socket.writableLength : 0;
  }

  /** The peer has just dialled us: whatever the back-off, it is there now. */
  peerIsAlive(): void {
    if (this.#state.kind !== "waiting" || this.#state.refused) return;
    clearTimeout(this.#state.timer);
    this.#failures = 0;
    this.dial();
  }

  dial(): void {
    if (this.#state.kind === "closed") return;
    const { address } = this.#peer;
    const socket = connect({
      host: address.host,
      port: address.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 10_000,
    });
    this.#state = { kind: "dialling", socket };
    let ended = "the connection ended";
    let refused = false;
    const reader = new FrameReader(this.#options.checksum);
    socket.setTimeout(this.#options.limits.handshakeTimeoutMs, () => {
      if (this.connected) return;
      ended = "no answer to the handshake";
      socket.destroy();
    });
    socket.on("connect", () => {
      this.#state = { kind: "shaking", socket };
      const hello = introduction(this.#options.identity, this.#peer.node);
      socket.write(encodeHandshake(hello, this.#options.checksum));
    });
    socket.on("data", (chunk) => {
      try {
        refused = this.#onData(socket, reader, chunk);
      } catch (error) {
        ended = error instanceof Error ? error.message : String(error);
        socket.destroy();
      }
    });
    socket.on("error", (error) => {
      ended = error.message;
    });
    socket.on("close", () => this.#onClose(socket, ended, refused));
  }

  /** True if the two ends do not agree; nothing but the handshake ever comes back this way. */
  #onData(socket: Socket, reader: FrameReader, chunk: Uint8Array): boolean {
    if (this.connected) throw new Error("the peer spoke on a one-way connection");
    reader.push(chunk);
    const heard = reader.handshake();
    if (heard === null) return false;
    const { identity, peers } = this.#options;
    const ours = handshakeRefusal(heard, identity, incarnationIn(peers));
    const wrong = heard.node === this.#peer.node ? null : `${heard.node} answers at its address`;
    const refusal = heard.refusal ?? ours ?? wrong;
    if (refusal !== null) {
      this.#logRefusal(refusal);
      socket.destroy();
      return true;
    }
    socket.setTimeout(0);
    this.#state = { kind: "connected", socket };
    this.#failures = 0;
    this.#refusal = null;
    this.#onChange();
    return false;
  }

  #logRefusal(reason: string): void {
    this.#options.metrics.count("peer_connections_refused_total");
    if (this.#refusal === reason) return;
    this.#refusal = reason;
    this.#options.logger.warn({ peer: this.#peer.node, reason }, "a peer does not take this node");
  }

  #onClose(socket: Socket, reason: string, refused: boolean): void {
    if (this.#state.kind === "closed") return;
    if (!("socket" in this.#state) || this.#state.socket !== socket) return;
    const wasConnected = this.connected;
    this.#failures = wasConnected ? 0 : this.#failures + 1;
    this.#options.logger.debug({ peer: this.#peer.node, reason }, "not connected to a peer");
    const timer = setTimeout(() => this.dial(), this.#backoffMs(refused));
    this.#state = { kind: "waiting", timer, refused };
    if (wasConnected) this.#onChange();
  }

  /** Doubles up to its limit, and jitters: a restarted node is not dialled by all at one moment. */
  #backoffMs(refused: boolean): number {
    const { backoffMsMin, backoffMsMax, refusedBackoffMs } = this.#options.limits;
    const doubled = backoffMsMin * 2 ** Math.min(16, this.#failures);
    const base = refused ? refusedBackoffMs : Math.min(backoffMsMax, doubled);
    return base * (0.5 + Math.random() / 2);
  }

  send(messages: readonly NodeMessage[]): void {
    if (this.#state.kind !== "connected" || messages.length === 0) return;
    const { metrics, limits, checksum } = this.#options;
    const frame = encodeMessages(messages, FRAME_HEADER_BYTES);
    const bytes = frame.length;
    if (bytes - FRAME_HEADER_BYTES > limits.frameBytesMax) return this.#sendHalves(messages);
    const { socket } = this.#state;
    // Raft sends again what is lost. A peer that does not read must not fill our memory.
    if (socket.writableLength > 0 && socket.writableLength + bytes > limits.queueBytesMax) {
      metrics.count("peer_frames_dropped_total");
      return;
    }
    sealFrame(frame, checksum);
    socket.write(frame);
    metrics.count("peer_frames_out_total");
    metrics.count("peer_bytes_out_total", bytes);
  }

  /**
   * A turn may say more than one frame holds. A single message that does is dropped, and reported.
   */
  #sendHalves(messages: readonly NodeMessage[]): void {
    if (messages.length === 1) {
      this.#options.metrics.count("peer_frames_dropped_total");
      this.#options.logger.error({ peer: this.#peer.node }, "a message larger than a frame");
      return;
    }
    const half = messages.length >> 1;
    this.send(messages.slice(0, half));
    this.send(messages.slice(half));
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: "closed" };
    if (state.kind === "waiting") clearTimeout(state.timer);
    if ("socket" in state) state.socket.destroy();
  }
}
