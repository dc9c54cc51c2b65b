import { assert } from "../base/assert.ts";
import {
  ByteReader,
  type ByteString,
  ByteWriter,
  fromByteString,
  toByteString,
} from "../base/bytes.ts";
import { array, error, integer, OK, type Reply, redisError } from "../contract/reply.ts";
import type { StateReader } from "../contract/state-machine.ts";
import { versionOf } from "../values/row.ts";
import type { Args } from "./arguments.ts";
import { LIMITS } from "./limits.ts";

/** What a transaction has read and rests on: it is carried out only if all of it still holds. */
export type ReadSet = readonly (
  | {
      readonly kind: "key";
      readonly key: ByteString;
      /** The index of the entry that last changed it; 0 if there was no such key. */
      readonly version: number;
    }
  /** Keys with from ≤ key < to; `to` null means to the end. */
  | {
      readonly kind: "range";
      readonly from: ByteString;
      readonly to: ByteString | null;
      readonly count: number;
      /** The state that was read had come this far. */
      readonly index: number;
    }
)[];

const KEY = 0;
const RANGE = 1;
const RANGE_TO_END = 2;

/** As it travels in front of a transaction's commands; empty for nothing. */
export function encodeReadSet(reads: ReadSet): Uint8Array {
  const writer = new ByteWriter(64);
  for (const read of reads) {
    if (read.kind === "key") {
      writer.u8(KEY);
      writer.bytes(fromByteString(read.key));
      writer.u48(read.version);
      continue;
    }
    writer.u8(read.to === null ? RANGE_TO_END : RANGE);
    writer.bytes(fromByteString(read.from));
    if (read.to !== null) writer.bytes(fromByteString(read.to));
    writer.u32(read.count);
    writer.u48(read.index);
  }
  return writer.take();
}

/** The inverse of `encodeReadSet`. Throws `FormatError`. */
export function decodeReadSet(bytes: Uint8Array): ReadSet {
  const reader = new ByteReader(bytes);
  const reads: ReadSet[number][] = [];
  const text = () => toByteString(reader.bytes());
  while (reader.remaining > 0) {
    const kind = reader.u8();
    if (kind === KEY) reads.push({ kind: "key", key: text(), version: reader.u48() });
    else {
      const from = text();
      const to = kind === RANGE ? text() : null;
      reads.push({ kind: "range", from, to, count: reader.u32(), index: reader.u48() });
    }
  }
  return reads;
}

/** The index of the entry that last changed a key; 0 where there is none. */
export function versionAt(state: StateReader, key: ByteString): number {
  const row = state.get(key);
  return row === undefined ? 0 : versionOf(row);
}

/**
 * LEAD9. A key is as it was if the same entry changed it last, or if it is absent again. In a
 * range, what was set since has a higher index, and what was deleted or died is missing from the
 * count.
 */
export function holds(reads: ReadSet, state: StateReader): boolean {
  return reads.every((read) => {
    if (read.kind === "key") return versionAt(state, read.key) === read.version;
    let count = 0;
    for (const [, row] of state.rows(read.from, read.to)) {
      count += 1;
      if (versionOf(row) > read.index || count > read.count) return false;
    }
    return count === read.count;
  });
}

/** WATCH's answer as it travels: the versions of its keys, in their order. */
export function watch(args: Args, state: StateReader): Reply {
  const versions: Reply[] = [];
  for (let i = 1; i < args.length; i += 1) {
    versions.push(integer(versionAt(state, toByteString(args[i]!))));
  }
  return array(versions);
}

/** The keys that a connection watches since its last EXEC, and what their versions were. */
export class WatchedKeys {
  /** The keyspace that they are in; null while there is none. */
  keyspace: number | null = null;
  readonly #versions = new Map<ByteString, number>();
  #unanswered = 0;
  /** Why a version is missing: EXEC must not be carried out without it. */
  failure: Reply | null = null;

  get isEmpty(): boolean {
    return this.keyspace === null;
  }

  /** A WATCH is under way. */
  get isPending(): boolean {
    return this.#unanswered > 0;
  }

  /** A WATCH is taken in: why it is refused, or what its answer is to be given to. */
  add(keyspace: number, args: Args): Reply | ((reply: Reply) => Reply) {
    if (this.keyspace !== null && this.keyspace !== keyspace) {
      return redisError("keys are watched in another keyspace: UNWATCH them first");
    }
    if (this.#versions.size + args.length - 1 > LIMITS.watchedKeysMax) {
      return error("LIMIT", `A connection may watch ${LIMITS.watchedKeysMax} keys at most.`);
    }
    this.keyspace = keyspace;
    this.#unanswered += 1;
    const keys = args.slice(1).map((arg) => toByteString(arg));
    return (reply) => this.#answered(keys, reply);
  }

  #answered(keys: readonly ByteString[], reply: Reply): Reply {
    this.#unanswered -= 1;
    assert(this.#unanswered >= 0, "an answer to no WATCH");
    if (reply.kind !== "array") {
      this.failure = reply;
      return reply;
    }
    assert(reply.items.length === keys.length, "a watched key without its version");
    keys.forEach((key, i) => {
      const item = reply.items[i]!;
      assert(item.kind === "integer", "a version is a number");
      // Watched before, it must not have changed since then.
      if (!this.#versions.has(key)) this.#versions.set(key, Number(item.value));
    });
    return OK;
  }

  get reads(): ReadSet {
    assert(this.#unanswered === 0 && this.failure === null, "a version is missing");
    return [...this.#versions].map(([key, version]) => ({ kind: "key", key, version }) as const);
  }
}
