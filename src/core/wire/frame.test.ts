import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concatBytes, encodeUtf8, FormatError } from "../base/bytes.ts";
import { crc32 } from "../base/hash.ts";
import {
  encodeHandshake,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FrameReader,
  HANDSHAKE_BYTES_MAX,
  type Handshake,
  handshakeRefusal,
  PEER_PROTOCOL_VERSION,
  sealFrame,
} from "./frame.ts";

const hello: Handshake = {
  version: PEER_PROTOCOL_VERSION,
  cluster: "c1",
  node: "n1",
  incarnation: "00aa",
  target: "n2",
  refusal: null,
};

function framed(payload: Uint8Array): Uint8Array {
  const frame = concatBytes([new Uint8Array(FRAME_HEADER_BYTES), payload]);
  sealFrame(frame, crc32);
  return frame;
}

function stream(payloads: readonly Uint8Array[]): Uint8Array {
  return concatBytes([encodeHandshake(hello, crc32), ...payloads.map(framed)]);
}

/** Reads a stream given in chunks as the transport does. */
function readAll(chunks: readonly Uint8Array[]) {
  const reader = new FrameReader(crc32);
  let handshake: Handshake | null = null;
  const payloads: Uint8Array[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    handshake ??= reader.handshake();
    if (handshake === null) continue;
    for (let next = reader.next(); next !== null; next = reader.next()) payloads.push(next);
  }
  return { handshake, payloads, buffered: reader.buffered };
}

describe("frames", () => {
  const payloads = [encodeUtf8("first"), new Uint8Array(0), new Uint8Array(300).fill(7)];
  const bytes = stream(payloads);

  it("come out the same from every split point", () => {
    for (let at = 0; at <= bytes.length; at += 1) {
      const read = readAll([bytes.subarray(0, at), bytes.subarray(at)]);
      expect(read).toEqual({ handshake: hello, payloads, buffered: 0 });
    }
  });

  it("come out the same byte by byte", () => {
    const chunks = Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(readAll(chunks)).toEqual({ handshake: hello, payloads, buffered: 0 });
  });

  it("are arrays of their own, not views of the chunk", () => {
    const chunk = bytes.slice();
    const read = readAll([chunk]);
    chunk.fill(0);
    expect(read.payloads).toEqual(payloads);
  });

  it("are refused with any bit flipped, or never complete", () => {
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const bad = bytes.slice();
        bad[at]! ^= 1 << bit;
        let read: ReturnType<typeof readAll> | null = null;
        try {
          read = readAll([bad]);
        } catch (failure) {
          expect(failure).toBeInstanceOf(FormatError);
          continue;
        }
        const whole = read.payloads.length === payloads.length;
        const version = read.handshake !== null && read.handshake.version !== hello.version;
        expect(whole && !version, `byte ${at} bit ${bit} went unnoticed`).toBe(false);
      }
    }
  });

  it("whose header has a wrong bit in its length are refused at once, not waited for", () => {
    for (let bit = 0; bit < 64; bit += 1) {
      const reader = new FrameReader(crc32);
      reader.push(encodeHandshake(hello, crc32));
      reader.handshake();
      const bad = framed(new Uint8Array(0));
      bad[bit >> 3]! ^= 1 << (bit & 7);
      reader.push(bad);
      expect(() => reader.next(), `bit ${bit}`).toThrow(/length is damaged|at most/);
    }
  });

  it("longer than the limit are refused by their header alone", () => {
    const reader = new FrameReader(crc32);
    reader.push(encodeHandshake(hello, crc32));
    reader.handshake();
    const header = framed(new Uint8Array(0));
    new DataView(header.buffer).setUint32(0, FRAME_BYTES_MAX + 1, true);
    reader.push(header);
    expect(() => reader.next()).toThrow(`at most ${FRAME_BYTES_MAX}`);
  });

  it("refuse a long handshake by its header alone", () => {
    const bad = encodeHandshake(hello, crc32).slice(0, 18);
    new DataView(bad.buffer).setUint32(6, HANDSHAKE_BYTES_MAX + 1, true);
    const reader = new FrameReader(crc32);
    reader.push(bad);
    expect(() => reader.handshake()).toThrow(`at most ${HANDSHAKE_BYTES_MAX}`);
  });

  it("know a stranger by the first byte", () => {
    const reader = new FrameReader(crc32);
    reader.push(encodeUtf8("G"));
    expect(() => reader.handshake()).toThrow("not a peer's handshake");
  });

  it("hostile bytes give FormatError and nothing else", () => {
    const start = encodeHandshake(hello, crc32);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(start.length), (junk, cut) => {
        try {
          readAll([concatBytes([start.subarray(0, cut), junk])]);
        } catch (failure) {
          expect(failure).toBeInstanceOf(FormatError);
        }
      }),
    );
  });
});

describe("a handshake", () => {
  const self = { cluster: "c1", node: "n2" };
  const incarnationOf = (node: string) => new Map([["n1", "00aa"]]).get(node);

  it("is accepted from the member it should come from", () => {
    expect(handshakeRefusal(hello, self, incarnationOf)).toBe(null);
  });

  it("carries a refusal", () => {
    const reader = new FrameReader(crc32);
    reader.push(encodeHandshake({ ...hello, refusal: "no room" }, crc32));
    expect(reader.handshake()).toEqual({ ...hello, refusal: "no room" });
  });

  it.each<[Partial<Handshake>, string]>([
    [{ version: 9 }, "peer protocol 9 is spoken there, 1 here"],
    [{ cluster: "c2" }, "it belongs to cluster c2, this node to c1"],
    [{ target: "n3" }, "it looks for n3, this is n2"],
    [{ node: "n2" }, "it calls itself n2, as this node does"],
    [{ node: "n9" }, "n9 is not a member of the cluster"],
    [{ incarnation: "00bb" }, "n1 comes with storage 00bb, the member's is 00aa"],
  ])("is refused with %j", (change, reason) => {
    expect(handshakeRefusal({ ...hello, ...change }, self, incarnationOf)).toBe(reason);
  });

  it("with control characters in a name is none of ours", () => {
    const reader = new FrameReader(crc32);
    reader.push(encodeHandshake({ ...hello, node: "n1\u001b[2J" }, crc32));
    expect(() => reader.handshake()).toThrow(FormatError);
  });
});
