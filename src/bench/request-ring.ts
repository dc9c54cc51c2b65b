import { respCommand } from "./resp-command.ts";

/**
 * What the loader sends. `set-wait` is for Redis: SETs, and one `WAIT 1 0` behind those that go out
 * together, so that a request ends when a replica has acknowledged it.
 */
export type LoadKind = "set" | "set-wait" | "get" | "incr";

/** The number of the key for the next request; `draw` is random, 32 bits. */
export type KeySource = (draw: number) => number;

const KEY_DIGITS = 10;
const KEY_PREFIX = "bench:";
const VALUE_DIGITS = 10;
const WAIT: Buffer = Buffer.from(respCommand(["WAIT", "1", "0"]));

/** Keys drawn evenly from `keySpace`. */
export function randomKeys(keySpace: number): KeySource {
  return (draw) => draw % keySpace;
}

/**
 * Every key of `keySpace` once, in random order: trees of keys are larger, and slower to fill, than
 * in the keys' own order. Four bytes of memory per key.
 */
export function everyKey(keySpace: number, seed: number): KeySource {
  const order = Uint32Array.from({ length: keySpace }, (_, number) => number);
  let random = firstRandom(seed);
  for (let left = keySpace; left > 1; left -= 1) {
    random = nextRandom(random);
    const other = random % left;
    const last = order[left - 1]!;
    order[left - 1] = order[other]!;
    order[other] = last;
  }
  let next = 0;
  return () => {
    const key = order[next]!;
    next += 1;
    return key;
  };
}

/** The key with this number. */
export function keyNumber(number: number): string {
  return KEY_PREFIX + String(number).padStart(KEY_DIGITS, "0");
}

/** What the requests of a connection consist of. */
export interface RingOptions {
  readonly kind: LoadKind;
  readonly depth: number;
  readonly valueBytes: number;
  readonly keys: KeySource;
  readonly seed: number;
}

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
  readonly #keys: KeySource;
  /** Sent behind each run of requests. */
  readonly #tail: readonly Buffer[];
  #next = 0;
  #random: number;

  constructor({ kind, depth, valueBytes, keys, seed }: RingOptions) {
    const key = keyNumber(0);
    const value = "v".repeat(valueBytes);
    const hasValue = kind === "set" || kind === "set-wait";
    const name = hasValue ? "SET" : kind.toUpperCase();
    const request = respCommand(hasValue ? [name, key, value] : [name, key]);
    this.depth = depth;
    this.#slotBytes = request.length;
    this.#keyAt = request.indexOf(key) + KEY_PREFIX.length;
    this.#valueAt = hasValue ? request.length - 2 - valueBytes : -1;
    this.#keys = keys;
    this.#tail = kind === "set-wait" ? [WAIT] : [];
    this.#random = firstRandom(seed);
    this.#bytes = Buffer.from(request.repeat(depth), "latin1");
    this.#scatterValues(valueBytes);
  }

  /**
   * The next `count` requests with fresh keys and values, as runs of bytes: one more when they wrap
   * around the end of the ring.
   */
  take(count: number): readonly Buffer[] {
    const from = this.#next;
    for (let i = 0; i < count; i += 1) this.#fill((from + i) % this.depth);
    this.#next = (from + count) % this.depth;
    const size = this.#slotBytes;
    if (from + count <= this.depth) {
      return [this.#bytes.subarray(from * size, (from + count) * size), ...this.#tail];
    }
    const wrapped = this.#bytes.subarray(0, this.#next * size);
    return [this.#bytes.subarray(from * size), wrapped, ...this.#tail];
  }

  #fill(slot: number): void {
    const at = slot * this.#slotBytes;
    this.#digits(at + this.#keyAt, this.#keys(this.#draw()), KEY_DIGITS);
    // Some digits of each value change with every request: some stores skip an equal value.
    if (this.#valueAt !== -1) this.#digits(at + this.#valueAt, this.#draw(), VALUE_DIGITS);
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

  #draw(): number {
    this.#random = nextRandom(this.#random);
    return this.#random;
  }
}

function firstRandom(seed: number): number {
  return (seed * 2654435761 + 1) >>> 0 || 1;
}

/** Xorshift: fast, and good enough to scatter keys. */
function nextRandom(random: number): number {
  let x = random;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x >>> 0;
}
