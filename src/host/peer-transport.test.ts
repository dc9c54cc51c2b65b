import { randomInt } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { crc32 } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import { concatBytes } from "../core/base/bytes.ts";
import type { NodeId } from "../core/contract/ids.ts";
import type { NodeMessage } from "../core/node/vocabulary.ts";
import {
  encodeHandshake,
  FRAME_HEADER_BYTES,
  type Handshake,
  PEER_PROTOCOL_VERSION,
  sealFrame,
} from "../core/wire/frame.ts";
import { encodeMessages } from "../core/wire/peer-codec.ts";
import { silentLogger } from "./logger.ts";
import { Metrics } from "./metrics.ts";
import { PEER_LIMITS, type PeerIdentity } from "./peer-link.ts";
import { PeerTransport } from "./peer-transport.ts";

const INCARNATIONS: Readonly<Record<NodeId, string>> = { n1: "00a1", n2: "00a2", n3: "00a3" };
const limits = {
  ...PEER_LIMITS,
  frameBytesMax: 1 << 20,
  queueBytesMax: 4 << 20,
  backoffMsMin: 1,
  backoffMsMax: 20,
  refusedBackoffMs: 20,
  handshakeTimeoutMs: 2_000,
};

const closers: (() => unknown)[] = [];
const metrics = new Metrics();

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface End {
  readonly transport: PeerTransport;
  readonly port: number;
  readonly received: { readonly from: NodeId; readonly message: NodeMessage }[];
  readonly links: string[];
}

/** One end that knows one peer, at a port; not dialling yet. */
async function end(
  node: NodeId,
  peer: NodeId,
  peerPort: number,
  change: { identity?: Partial<PeerIdentity>; port?: number; metrics?: Metrics } = {},
): Promise<End> {
  const received: End["received"] = [];
  const links: string[] = [];
  const transport = new PeerTransport({
    identity: { cluster: "c1", node, incarnation: INCARNATIONS[node]!, ...change.identity },
    peers: [
      {
        node: peer,
        incarnation: INCARNATIONS[peer]!,
        address: { host: "127.0.0.1", port: peerPort },
      },
    ],
    checksum: crc32,
    metrics: change.metrics ?? metrics,
    logger: silentLogger(),
    limits,
    onMessages: (from, messages) => {
      for (const message of messages) received.push({ from, message });
    },
    onLink: (id, up) => links.push(`${id} ${up ? "up" : "down"}`),
  });
  closers.push(() => transport.close());
  const port = await transport.listen({ host: "127.0.0.1", port: change.port ?? 0 });
  return { transport, port, received, links };
}

/**
 * A port that is free now. Below 32768, where Linux begins to pick ports for outgoing connections:
 * the tests dial while it is not bound yet.
 */
async function reserve(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    const server = createServer();
    const bound = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!bound) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

async function pair() {
  const port = await reserve();
  const a = await end("n1", "n2", port);
  const b = await end("n2", "n1", a.port, { port });
  a.transport.start();
  b.transport.start();
  await vi.waitFor(() => expect([a.links, b.links]).toEqual([["n2 up"], ["n1 up"]]));
  return { a, b };
}

function vote(term: number): NodeMessage {
  return { group: 0, message: { kind: "vote", term, granted: true, preVote: false } };
}

const hello: Handshake = {
  version: PEER_PROTOCOL_VERSION,
  cluster: "c1",
  node: "n2",
  incarnation: "00a2",
  target: "n1",
  refusal: null,
};

/** Dials one end by hand and collects what comes back. */
async function dial(port: number) {
  const socket = connect(port, "127.0.0.1");
  const chunks: Uint8Array[] = [];
  let closed = false;
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("error", () => {});
  socket.on("close", () => {
    closed = true;
  });
  closers.push(() => socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  return { socket, heard: () => Buffer.concat(chunks).toString("latin1"), closed: () => closed };
}

function frameOf(messages: readonly NodeMessage[]): Uint8Array {
  return framed(encodeMessages(messages));
}

describe("two nodes", () => {
  it("tell each other everything, in order", async () => {
    const { a, b } = await pair();
    const terms = Array.from({ length: 500 }, (_, i) => i + 1);
    for (const term of terms) a.transport.send("n2", [vote(term)]);
    b.transport.send("n1", [vote(7), vote(8)]);
    await vi.waitFor(() => expect(b.received.length).toBe(500));
    expect(b.received.map(({ message }) => message.message.term)).toEqual(terms);
    expect(b.received[0]).toEqual({ from: "n1", message: vote(1) });
    await vi.waitFor(() =>
      expect(a.received.map(({ message }) => message)).toEqual([vote(7), vote(8)]),
    );
  });

  it("notice that the other has gone, and find it when it is back", async () => {
    const { a, b } = await pair();
    await b.transport.close();
    await vi.waitFor(() => expect(a.links).toEqual(["n2 up", "n2 down"]));
    a.transport.send("n2", [vote(1)]);
    const again = await end("n2", "n1", a.port, { port: b.port });
    again.transport.start();
    await vi.waitFor(() => expect(a.links).toEqual(["n2 up", "n2 down", "n2 up"]));
    a.transport.send("n2", [vote(2)]);
    await vi.waitFor(() => expect(again.received).toEqual([{ from: "n1", message: vote(2) }]));
  });

  it("split what does not fit into one frame, and count what no frame can hold", async () => {
    const port = await reserve();
    const own = new Metrics();
    closers.push(() => own.close());
    const a = await end("n1", "n2", port, { metrics: own });
    const b = await end("n2", "n1", a.port, { port });
    a.transport.start();
    b.transport.start();
    await vi.waitFor(() => expect(a.links).toEqual(["n2 up"]));
    const rows = new Uint8Array((limits.frameBytesMax >> 1) + 1);
    a.transport.send("n2", [snapshot(rows), vote(2), snapshot(rows)]);
    await vi.waitFor(() => expect(b.received.length).toBe(3));
    expect(b.received.map(({ message }) => message.message.kind)).toEqual([
      "installSnapshot",
      "vote",
      "installSnapshot",
    ]);
    a.transport.send("n2", [snapshot(new Uint8Array(limits.frameBytesMax))]);
    expect(own.total("peer_frames_dropped_total")).toBe(1);
  });
});

function snapshot(rows: Uint8Array): NodeMessage {
  const id = { index: 1, term: 1, hash: "0".repeat(16) };
  const place = { id, offset: 0, crc: 0 };
  return { group: 0, message: { kind: "installSnapshot", term: 1, rows, done: true, ...place } };
}

describe("a node", () => {
  it.each<[string, Partial<Handshake>, string]>([
    ["another cluster", { cluster: "c2" }, "it belongs to cluster c2, this node to c1"],
    ["a wiped directory", { incarnation: "ffff" }, "n2 comes with storage ffff"],
    ["a stranger", { node: "n7" }, "n7 is not a member of the cluster"],
    ["a wrong address", { target: "n3" }, "it looks for n3, this is n1"],
    ["another version", { version: 2 }, "peer protocol 2 is spoken there, 1 here"],
  ])("refuses %s with a reason, and hears nothing it says", async (_, change, reason) => {
    const a = await end("n1", "n2", await reserve());
    const { socket, heard, closed } = await dial(a.port);
    socket.write(
      concatBytes([encodeHandshake({ ...hello, ...change }, crc32), frameOf([vote(1)])]),
    );
    await vi.waitFor(() => expect(closed()).toBe(true));
    expect(heard()).toContain(reason);
    expect(a.received).toEqual([]);
    expect(a.links).toEqual([]);
  });

  it.each<[string, (valid: Uint8Array) => Uint8Array]>([
    ["garbage", () => Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    ["a flipped byte in a frame", (valid) => flip(valid, valid.length - 1)],
    ["a flipped byte in the handshake", (valid) => flip(valid, 20)],
    ["a frame that is none of messages", () => withHello(framed(Uint8Array.of(9, 9, 9, 9, 9)))],
    [
      "a frame longer than the limit",
      () => withHello(new Uint8Array(FRAME_HEADER_BYTES).fill(255, 0, 4)),
    ],
  ])("closes a connection that brings %s", async (_, make) => {
    const a = await end("n1", "n2", await reserve());
    const { socket, closed } = await dial(a.port);
    socket.write(make(withHello(frameOf([vote(1)]))));
    await vi.waitFor(() => expect(closed()).toBe(true));
    expect(a.received).toEqual([]);
  });

  it("delivers nothing of half a frame", async () => {
    const a = await end("n1", "n2", await reserve());
    const { socket, closed } = await dial(a.port);
    const bytes = withHello(concatBytes([frameOf([vote(1)]), frameOf([vote(2)])]));
    socket.end(bytes.subarray(0, bytes.length - 1));
    await vi.waitFor(() => expect(closed()).toBe(true));
    expect(a.received).toEqual([{ from: "n2", message: vote(1) }]);
  });

  it("hears only the newer of two connections of one peer", async () => {
    const a = await end("n1", "n2", await reserve());
    const older = await dial(a.port);
    older.socket.write(withHello(frameOf([vote(1)])));
    await vi.waitFor(() => expect(a.received.length).toBe(1));
    const newer = await dial(a.port);
    newer.socket.write(withHello(frameOf([vote(2)])));
    await vi.waitFor(() => expect(older.closed()).toBe(true));
    await vi.waitFor(() => expect(a.received.length).toBe(2));
    expect(newer.closed()).toBe(false);
  });

  it("does not hurry back to a peer that refused it", async () => {
    const { server, port, hellos } = await refuser();
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    const own = new Metrics();
    closers.push(() => own.close());
    const a = await end("n1", "n2", port, { metrics: own });
    a.transport.start();
    await vi.waitFor(() => expect(hellos()).toBeGreaterThanOrEqual(2));
    expect(own.total("peer_connections_refused_total")).toBeGreaterThanOrEqual(1);
    expect(a.links).toEqual([]);
  });

  it("drops whole frames for a peer that does not read, and counts them", async () => {
    const { server, port } = await deafPeer();
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    const own = new Metrics();
    closers.push(() => own.close());
    const a = await end("n1", "n2", port, { metrics: own });
    a.transport.start();
    const rows = new Uint8Array(900_000);
    await vi.waitFor(() => {
      a.transport.send("n2", [snapshot(rows)]);
      expect(own.total("peer_frames_dropped_total")).toBeGreaterThan(0);
    });
    const queued = a.transport.queues()[0]!.bytes;
    expect(queued).toBeLessThanOrEqual(limits.queueBytesMax);
  });
});

function framed(payload: Uint8Array): Uint8Array {
  const frame = concatBytes([new Uint8Array(FRAME_HEADER_BYTES), payload]);
  sealFrame(frame, crc32);
  return frame;
}

function withHello(rest: Uint8Array): Uint8Array {
  return concatBytes([encodeHandshake(hello, crc32), rest]);
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const flipped = bytes.slice();
  flipped[at]! ^= 0x10;
  return flipped;
}

/** Answers every handshake with a refusal. */
function refuser(): Promise<{ server: Server; port: number; hellos: () => number }> {
  let count = 0;
  return listening((socket) => {
    socket.once("data", () => {
      count += 1;
      const answer = { ...hello, target: "n1", refusal: "not today" };
      socket.end(encodeHandshake(answer, crc32));
    });
  }).then((bound) => ({ ...bound, hellos: () => count }));
}

/** Shakes hands and then never reads. */
function deafPeer(): Promise<{ server: Server; port: number }> {
  return listening((socket) => {
    socket.once("data", () => {
      socket.pause();
      socket.write(encodeHandshake(hello, crc32));
    });
  });
}

function listening(onSocket: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    closers.push(() => socket.destroy());
    onSocket(socket);
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const bound = server.address();
      resolve({ server, port: typeof bound === "object" && bound !== null ? bound.port : 0 });
    });
  });
}
