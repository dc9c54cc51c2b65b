/** What the loader sends. */
export type LoadKind = "set" | "get" | "incr";

const KEY_DIGITS = 10;
const KEY_PREFIX = "bench:";

/**
 * The requests of one connection as bytes ready to be sent: `depth` slots of equal length, used in
 * turn. A slot is filled anew only when its reply has arrived, so the socket no longer needs it.
 */
export class RequestRing {
  readonly depth: number;
  readonly #bytes: Buffer;
  readonly #slotBytes: number;
  readonly #keyAt: number;
  readonly #valueAt: number;
  readonly #keySpace: number;
  #next = 0;
  #random: number;

  constructor(kind: LoadKind, depth: number, valueBytes: number, keySpace: number, seed: number) {
    const key = KEY_PREFIX + "0".repeat(KEY_DIGITS);
    const name = kind.toUpperCase();
    const head = `*${kind === "set" ? 3 : 2}\r\n$${name.length}\r\n${name}\r\n$${key.length}\r\n`;
    const valueHead = `\r\n$${valueBytes}\r\n`;
    const value = "v".repeat(valueBytes);
    const request = kind === "set" ? `${head}${key}${valueHead}${value}\r\n` : `${head}${key}\r\n`;
    this.depth = depth;
    this.#slotBytes = request.length;
    this.#keyAt = head.length + KEY_PREFIX.length;
    this.#valueAt = kind === "set" ? head.length + key.length + valueHead.length : -1;
    this.#keySpace = keySpace;
    this.#random = (seed * 2654435761 + 1) >>> 0 || 1;
    this.#bytes = Buffer.from(request.repeat(depth), "latin1");
    this.#scatterValues(valueBytes);
  }

  /**
   * The next `count` requests with fresh keys and values, as one or two runs of bytes. Two when
   * they wrap around the end of the ring.
   */
  take(count: number): readonly Buffer[] {
    const from = this.#next;
    for (let i = 0; i < count; i += 1) this.#fill((from + i) % this.depth);
    this.#next = (from + count) % this.depth;
    const size = this.#slotBytes;
    if (from + count <= this.depth) {
      return [this.#bytes.subarray(from * size, (from + count) * size)];
    }
    return [this.#bytes.subarray(from * size), this.#bytes.subarray(0, this.#next * size)];
  }

  #fill(slot: number): void {
    const at = slot * this.#slotBytes;
    this.#digits(at + this.#keyAt, this.#draw() % this.#keySpace, KEY_DIGITS);
    // Ten digits of each value change with every request: some stores skip an equal value.
    if (this.#valueAt !== -1) this.#digits(at + this.#valueAt, this.#draw(), 10);
  }

  #digits(at: number, value: number, count: number): void {
    let rest = value;
    for (let i = count - 1; i >= 0; i -= 1) {
      this.#bytes[at + i] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }

  #scatterValues(valueBytes: number): void {
    if (this.#valueAt === -1) return;
    for (let slot = 0; slot < this.depth; slot += 1) {
      const at = slot * this.#slotBytes + this.#valueAt;
      for (let i = 0; i < valueBytes; i += 1) this.#bytes[at + i] = 97 + (this.#draw() % 26);
    }
  }

  /** Xorshift: fast, and good enough to scatter keys. */
  #draw(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return this.#random;
  }
}
