import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter, FormatError, getU32, putU32 } from "../base/bytes.ts";
import type { Checksum } from "../base/hash.ts";
import type { Incarnation, NodeId } from "../contract/ids.ts";

/**
 * The bytes between two nodes. A connection begins with a preamble (magic, protocol version) and
 * one handshake frame in each direction; everything after is frames of messages:
 *
 *     u32 length of the payload | u32 the same, inverted | u32 CRC-32 of the payload | payload
 *
 * The preamble and the handshake's layout stay the same in every version, so that nodes of
 * different versions can tell each other why they do not talk.
 */
export const PEER_PROTOCOL_VERSION = 1;

/** The largest payload of one frame, in bytes; checked before anything is allocated for it. */
export const FRAME_BYTES_MAX = 64 << 20;

/** A handshake is far smaller; until it is over, a peer may not make us hold more than this. */
export const HANDSHAKE_BYTES_MAX = 4096;

/** Bytes in front of a frame's payload: its length, that again, and its checksum. */
export const FRAME_HEADER_BYTES = 12;
const PREAMBLE_BYTES = 6;
/** "TFLP" in the order of the bytes. */
const MAGIC = 0x504c4654;
const NAME_LENGTH_MAX = 256;
const REASON_LENGTH_MAX = 1024;

/**
 * What a node says of itself first. Who dials says whom it means, so that a reused address shows.
 */
export interface Handshake {
  readonly version: number;
  readonly cluster: string;
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** The node it believes to be at the other end. */
  readonly target: NodeId;
  /** Null when all is well; else a sentence for the other side's log, and the connection ends. */
  readonly refusal: string | null;
}

/** Fills in the header of a frame whose first `FRAME_HEADER_BYTES` were left free for it. */
export function sealFrame(frame: Uint8Array, checksum: Checksum): void {
  const bytes = frame.length - FRAME_HEADER_BYTES;
  assert(bytes >= 0 && bytes <= FRAME_BYTES_MAX, "a frame outside its limits");
  putU32(frame, 0, bytes);
  putU32(frame, 4, inverted(bytes));
  putU32(frame, 8, checksum(frame.subarray(FRAME_HEADER_BYTES)));
}

/**
 * A length has to be believed before the payload is there that its checksum is of: with one bit
 * wrong, it would have the reader wait for bytes that are the frames behind, and hear none of them.
 */
function inverted(length: number): number {
  return ~length >>> 0;
}

/** A handshake with its preamble and frame, ready to be sent. */
export function encodeHandshake(handshake: Handshake, checksum: Checksum): Uint8Array {
  const body = new ByteWriter();
  body.text(handshake.cluster);
  body.text(handshake.node);
  body.text(handshake.incarnation);
  body.text(handshake.target);
  body.u8(handshake.refusal === null ? 0 : 1);
  body.text((handshake.refusal ?? "").slice(0, REASON_LENGTH_MAX));
  const payload = body.take();
  assert(payload.length <= HANDSHAKE_BYTES_MAX, "a handshake larger than its limit");
  const writer = new ByteWriter();
  writer.u32(MAGIC);
  writer.u16(handshake.version);
  writer.skip(FRAME_HEADER_BYTES);
  writer.raw(payload);
  const preambled = writer.take();
  sealFrame(preambled.subarray(PREAMBLE_BYTES), checksum);
  return preambled;
}

/**
 * Why a node does not talk to one that introduces itself so; null if it does. `incarnationOf` gives
 * a member's storage incarnation: a directory that was wiped or copied is another member (GEN3).
 */
export function handshakeRefusal(
  heard: Handshake,
  self: { readonly cluster: string; readonly node: NodeId },
  incarnationOf: (node: NodeId) => Incarnation | undefined,
): string | null {
  if (heard.version !== PEER_PROTOCOL_VERSION) {
    return `peer protocol ${heard.version} is spoken there, ${PEER_PROTOCOL_VERSION} here`;
  }
  if (heard.cluster !== self.cluster) {
    return `it belongs to cluster ${heard.cluster}, this node to ${self.cluster}`;
  }
  if (heard.target !== self.node) return `it looks for ${heard.target}, this is ${self.node}`;
  if (heard.node === self.node) return `it calls itself ${self.node}, as this node does`;
  const expected = incarnationOf(heard.node);
  if (expected === undefined) return `${heard.node} is not a member of the cluster`;
  if (heard.incarnation !== expected) {
    return `${heard.node} comes with storage ${heard.incarnation}, the member's is ${expected}`;
  }
  return null;
}

/**
 * Cuts a stream of bytes into a handshake and frames, whatever the chunks it comes in. What it
 * holds is never more than what arrived; a length beyond the limit is refused when it is read.
 */
export class FrameReader {
  readonly #checksum: Checksum;
  #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that were taken already. */
  #skip = 0;
  #buffered = 0;

  constructor(checksum: Checksum) {
    this.#checksum = checksum;
  }

  /** Bytes that wait for the rest of their frame. */
  get buffered(): number {
    return this.#buffered;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
  }

  /** The other side's handshake, or null until it is complete. Throws `FormatError`. */
  handshake(): Handshake | null {
    if (this.#buffered < PREAMBLE_BYTES) {
      this.#checkMagic(this.#peek(this.#buffered));
      return null;
    }
    const preamble = this.#peek(PREAMBLE_BYTES);
    this.#checkMagic(preamble);
    const payload = this.#frame(PREAMBLE_BYTES, HANDSHAKE_BYTES_MAX);
    if (payload === null) return null;
    const version = preamble[4]! | (preamble[5]! << 8);
    return readHandshake(payload, version);
  }

  /** The next frame's payload, in an array of its own, or null. Throws `FormatError`. */
  next(): Uint8Array | null {
    return this.#frame(0, FRAME_BYTES_MAX);
  }

  /** A stranger's first bytes tell: it need not send a whole handshake to be refused. */
  #checkMagic(start: Uint8Array): void {
    for (let i = 0; i < Math.min(4, start.length); i += 1) {
      if (start[i] !== ((MAGIC >>> (8 * i)) & 0xff))
        throw new FormatError("not a peer's handshake");
    }
  }

  #frame(prefix: number, bytesMax: number): Uint8Array | null {
    const headed = prefix + FRAME_HEADER_BYTES;
    if (this.#buffered < headed) return null;
    const header = this.#peek(headed);
    const length = getU32(header, prefix);
    if (length > bytesMax) throw new FormatError(`a frame of ${length} bytes, at most ${bytesMax}`);
    if (getU32(header, prefix + 4) !== inverted(length)) {
      throw new FormatError("a frame whose length is damaged");
    }
    if (this.#buffered < headed + length) return null;
    this.#take(headed);
    const payload = this.#take(length);
    if (this.#checksum(payload) !== getU32(header, prefix + 8)) {
      throw new FormatError("a frame whose checksum does not match");
    }
    return payload;
  }

  #peek(length: number): Uint8Array {
    const first = this.#chunks[0];
    if (first !== undefined && first.length - this.#skip >= length) {
      return first.subarray(this.#skip, this.#skip + length);
    }
    return this.#gather(length);
  }

  /** A copy: entries live long and must not pin the socket's buffers. */
  #take(length: number): Uint8Array {
    const taken = this.#gather(length);
    this.#buffered -= length;
    let left = length;
    let whole = 0;
    while (left > 0) {
      const chunk = this.#chunks[whole]!;
      const here = Math.min(left, chunk.length - this.#skip);
      left -= here;
      this.#skip += here;
      if (this.#skip < chunk.length) break;
      this.#skip = 0;
      whole += 1;
    }
    if (whole > 0) this.#chunks.splice(0, whole);
    return taken;
  }

  #gather(length: number): Uint8Array {
    assert(length <= this.#buffered, "more bytes taken than there are");
    const bytes = new Uint8Array(length);
    let at = 0;
    let skip = this.#skip;
    for (const chunk of this.#chunks) {
      if (at === length) break;
      const part = chunk.subarray(skip, Math.min(chunk.length, skip + length - at));
      bytes.set(part, at);
      at += part.length;
      skip = 0;
    }
    return bytes;
  }
}

function readHandshake(payload: Uint8Array, version: number): Handshake {
  const reader = new ByteReader(payload);
  const cluster = readName(reader);
  const node = readName(reader);
  const incarnation = readName(reader);
  const target = readName(reader);
  const refused = reader.u8() !== 0;
  const reason = reader.text();
  return { version, cluster, node, incarnation, target, refusal: refused ? reason : null };
}

/** Names end up in logs: they are short and printable, or the handshake is none of ours. */
function readName(reader: ByteReader): string {
  const name = reader.text();
  if (name.length > NAME_LENGTH_MAX || !/^[\x20-\x7e]*$/.test(name)) {
    throw new FormatError("a handshake with an impossible name");
  }
  return name;
}
