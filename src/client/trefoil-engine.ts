import type { ReadSet } from "../core/commands/watched-keys.ts";
import { array, integer, type Reply } from "../core/contract/reply.ts";
import type { CommandChannel, Word } from "./channel.ts";
import type {
  Answer,
  AnswerMeta,
  ChangeBatch,
  EngineCapabilities,
  EngineOptions,
  KeyspaceEngine,
  ReadOperations,
  ReadResults,
  StoredValue,
  WriteOperation,
  WriteResult,
} from "./engine.ts";
import { errorOf, isTrefoilError, TrefoilError } from "./errors.ts";
import { decodeUtf8 } from "./utf8.ts";

/** What our own engine can do in a single-leader keyspace. */
const CAPABILITIES: EngineCapabilities = {
  model: "singleLeader",
  transactions: true,
  ranges: true,
  expiry: true,
  collections: true,
  changes: true,
};

/** Unless a call says otherwise, ms. */
export const TIMEOUT_MS_DEFAULT = 2_000;

/** Our own engine: operations as commands to a node. */
export class TrefoilEngine implements KeyspaceEngine {
  readonly capabilities = CAPABILITIES;
  readonly #channel: CommandChannel;
  readonly #openChannel: () => CommandChannel;
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();

  /** A feed waits for long, so each has a channel of its own. */
  constructor(openChannel: () => CommandChannel, timeoutMs: number = TIMEOUT_MS_DEFAULT) {
    this.#openChannel = openChannel;
    this.#channel = openChannel();
    this.#timeoutMs = timeoutMs;
  }

  async read<K extends keyof ReadOperations>(
    kind: K,
    operation: ReadOperations[K],
    options: EngineOptions,
  ): Promise<Answer<ReadResults[K]>> {
    const reader: Reader<K> = READERS[kind];
    const answer = await this.#call(reader.words(operation), options, true);
    return { ...answer, value: reader.result(answer.value) };
  }

  async write(operation: WriteOperation, options: EngineOptions): Promise<Answer<WriteResult>> {
    const answer = await this.#call(wordsOf(operation), options, false);
    return { ...answer, value: resultOf(answer.value) };
  }

  async commit(
    reads: ReadSet,
    writes: readonly WriteOperation[],
    options: EngineOptions,
  ): Promise<Answer<readonly WriteResult[] | null>> {
    const words: Word[] = ["TREFOIL.COMMIT", ...readSetWords(reads)];
    words.push("COMMANDS", String(writes.length));
    for (const write of writes) {
      const command = wordsOf(write);
      words.push(String(command.length), ...command);
    }
    const answer = await this.#call(words, options, false);
    const { value } = answer;
    return { ...answer, value: value.kind === "array" ? value.items.map(resultOf) : null };
  }

  async *follow(
    after: number | null,
    prefix: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ChangeBatch> {
    const channel = this.#openChannel();
    const ends = [this.#closing.signal, ...(signal === undefined ? [] : [signal])];
    const end = AbortSignal.any(ends);
    try {
      for (let from = after; !end.aborted; ) {
        const batch = await this.#nextBatch(channel, from, prefix, end);
        if (batch === null) continue;
        from = batch.next;
        if (batch.gap || batch.changes.length > 0) yield batch;
      }
    } finally {
      await channel.close();
    }
  }

  /** Null where there was no answer, and it is worth asking again. */
  async #nextBatch(
    channel: CommandChannel,
    after: number | null,
    prefix: string,
    signal: AbortSignal,
  ): Promise<ChangeBatch | null> {
    // From now on is said once: what is asked again must begin where this began.
    const blockMs = after === null ? 0 : FEED_BLOCK_MS;
    const words = ["TREFOIL.CHANGES", after === null ? "$" : String(after), "PREFIX", prefix];
    const options = { timeoutMs: FEED_BLOCK_MS + this.#timeoutMs, signal, isRead: true };
    try {
      const reply = await channel.call([...words, "BLOCK", String(blockMs)], options);
      if (reply.kind === "error") throw errorOf(reply);
      return batchOf(reply);
    } catch (failure) {
      if (signal.aborted) return null;
      const isPassing = isTrefoilError(failure) && PASSING.includes(failure.code);
      if (!isPassing) throw failure;
      await pause(FEED_RETRY_MS);
      return null;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#channel.close();
  }

  async #call(
    words: readonly Word[],
    options: EngineOptions,
    isRead: boolean,
  ): Promise<Answer<Reply>> {
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    const prefix = withWords(options);
    const reply = await this.#channel.call(prefix.length === 0 ? words : [...prefix, ...words], {
      timeoutMs,
      signal: options.signal,
      isRead,
    });
    if (reply.kind === "error") throw errorOf(reply);
    if (options.meta !== true) return { value: reply, meta: null };
    const [value, meta] = itemsOf(reply);
    if (value === undefined || meta === undefined) throw unexpected(reply);
    if (value.kind === "error") throw errorOf(value);
    return { value, meta: metaOf(meta) };
  }
}

/** An answer comes after this long at the latest, also where nothing happens, ms. */
const FEED_BLOCK_MS = 5_000;
const FEED_RETRY_MS = 200;

/** Errors that a feed outlives. */
const PASSING: readonly string[] = [
  ...["UNREACHABLE", "CONNECTION", "TIMEOUT", "NOLEADER", "BUSY", "SHUTTING_DOWN"],
];

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function batchOf(reply: Reply): ChangeBatch {
  const [next, gap, items] = itemsOf(reply);
  if (next === undefined || gap === undefined || items === undefined) throw unexpected(reply);
  const changes = itemsOf(items).map((item) => {
    const [index, key, type, value] = itemsOf(item);
    if (index === undefined || key === undefined) throw unexpected(item);
    const at = Number(resultOf(index));
    const head = { index: at, key: textOf(key) };
    if (type === undefined || value === undefined) return { ...head, stored: null };
    // Of a collection only that it changed is told.
    const content = isNull(value) ? array([]) : value;
    return { ...head, stored: storedOf([type, integer(at), content]) };
  });
  return { changes, next: Number(resultOf(next)), gap: resultOf(gap) === 1n };
}

/** The options as words in front of the command; none where nothing is asked for. */
function withWords({ timeoutMs, w, r, token, meta }: EngineOptions): readonly Word[] {
  const words: Word[] = [];
  if (w !== undefined) words.push("W", w);
  if (r !== undefined) words.push("R", ...r.split(" "));
  if (token !== undefined) words.push("TOKEN", token);
  if (timeoutMs !== undefined) words.push("TIMEOUT", String(timeoutMs));
  if (meta === true) words.push("META");
  return words.length === 0 ? [] : ["TREFOIL.WITH", ...words, "--"];
}

interface Reader<K extends keyof ReadOperations> {
  words(operation: ReadOperations[K]): readonly Word[];
  result(reply: Reply): ReadResults[K];
}

const READERS: { readonly [K in keyof ReadOperations]: Reader<K> } = {
  values: {
    words: ({ keys, ifHeld }) => [
      ...["TREFOIL.READ", String(keys.length), ...keys],
      ...readSetWords(ifHeld ?? []),
    ],
    result: (reply) => (isNull(reply) ? null : itemsOf(reply).map(storedOrNull)),
  },
  range: {
    words: ({ from, to, limit, ifHeld }) => [
      ...["TREFOIL.RANGE", from, to ?? "", String(limit)],
      ...readSetWords(ifHeld ?? []),
    ],
    result(reply) {
      if (isNull(reply)) return null;
      const [more, rows] = itemsOf(reply);
      if (more === undefined || rows === undefined) throw unexpected(reply);
      return { more: resultOf(more) === 1n, rows: itemsOf(rows).map(rowOf) };
    },
  },
  field: {
    words: ({ key, field }) => ["HGET", key, field],
    result: (reply) => (isNull(reply) ? null : bytesOf(reply)),
  },
  hasMember: {
    words: ({ key, member }) => ["SISMEMBER", key, member],
    result: (reply) => resultOf(reply) === 1n,
  },
  size: {
    words: ({ key, kind }) => [kind === "set" ? "SCARD" : "HLEN", key],
    result: (reply) => Number(resultOf(reply)),
  },
  ttl: {
    words: ({ key }) => ["PTTL", key],
    result(reply) {
      const ms = Number(resultOf(reply));
      return ms >= 0 ? ms : ms === -1 ? null : undefined;
    },
  },
};

function readSetWords(reads: ReadSet): readonly Word[] {
  const keys = reads.flatMap((read) => (read.kind === "key" ? [read] : []));
  const ranges = reads.flatMap((read) => (read.kind === "range" ? [read] : []));
  const words: Word[] = [];
  if (keys.length > 0) {
    words.push("READS", String(keys.length));
    for (const { key, version } of keys) words.push(Buffer.from(key, "latin1"), String(version));
  }
  if (ranges.length > 0) {
    words.push("RANGES", String(ranges.length));
    for (const { from, to, count, index } of ranges) {
      words.push(Buffer.from(from, "latin1"), Buffer.from(to ?? "", "latin1"));
      words.push(String(count), String(index));
    }
  }
  return words;
}

function wordsOf(operation: WriteOperation): readonly Word[] {
  const { kind } = operation;
  switch (kind) {
    case "set":
      return setWords(operation);
    case "delete":
      return ["DEL", ...operation.keys];
    case "add":
      return ["INCRBY", operation.key, String(operation.by)];
    case "expire":
      return operation.ttlMs === null
        ? ["PERSIST", operation.key]
        : ["PEXPIRE", operation.key, String(operation.ttlMs)];
    case "addMembers":
      return ["SADD", operation.key, ...operation.members];
    case "removeMembers":
      return ["SREM", operation.key, ...operation.members];
    case "setFields":
      return ["HSET", operation.key, ...operation.fields.flat()];
    case "removeFields":
      return ["HDEL", operation.key, ...operation.fields];
    case "addToField":
      return ["HINCRBY", operation.key, operation.field, String(operation.by)];
  }
}

function setWords(operation: Extract<WriteOperation, { kind: "set" }>): readonly Word[] {
  const { key, type, bytes, onlyIf, ttlMs } = operation;
  const words: Word[] = ["SET", key, bytes, "AS", type];
  if (onlyIf !== undefined) words.push(onlyIf === "absent" ? "NX" : "XX");
  if (ttlMs === "keep") words.push("KEEPTTL");
  else if (ttlMs !== undefined) words.push("PX", String(ttlMs));
  return words;
}

/** SET says OK, or nothing where its condition did not hold. */
function resultOf(reply: Reply): WriteResult {
  switch (reply.kind) {
    case "integer":
      return BigInt(reply.value);
    case "simple":
      return 1n;
    case "null":
    case "nullArray":
      return 0n;
    case "boolean":
      return reply.value ? 1n : 0n;
    case "error":
      throw errorOf(reply);
    default:
      throw unexpected(reply);
  }
}

function storedOrNull(reply: Reply): StoredValue | null {
  return isNull(reply) ? null : storedOf(itemsOf(reply));
}

function rowOf(reply: Reply): readonly [string, StoredValue] {
  const [key, ...value] = itemsOf(reply);
  if (key === undefined) throw unexpected(reply);
  return [textOf(key), storedOf(value)];
}

function storedOf([type, version, value]: readonly Reply[]): StoredValue {
  if (type === undefined || version === undefined || value === undefined) {
    throw new TrefoilError("PROTOCOL", "The node's answer is not a value.");
  }
  const head = { version: Number(resultOf(version)) };
  const name = textOf(type);
  switch (name) {
    case "text":
    case "bytes":
    case "json":
      return { ...head, type: name, bytes: bytesOf(value) };
    case "set":
      return { ...head, type: name, members: itemsOf(value).map(textOf) };
    case "map": {
      const fields = new Map<string, Uint8Array>();
      const items = itemsOf(value);
      for (let i = 0; i + 1 < items.length; i += 2)
        fields.set(textOf(items[i]!), bytesOf(items[i + 1]!));
      return { ...head, type: name, fields };
    }
    default:
      throw new TrefoilError(
        "PROTOCOL",
        `The node has a value of a type that is not known here: ${name}.`,
      );
  }
}

function metaOf(reply: Reply): AnswerMeta {
  if (reply.kind !== "map") throw unexpected(reply);
  const found = new Map<string, Reply>();
  for (let i = 0; i + 1 < reply.items.length; i += 2) {
    found.set(textOf(reply.items[i]!), reply.items[i + 1]!);
  }
  const number = (name: string) => {
    const item = found.get(name);
    return item === undefined || isNull(item) ? null : Number(resultOf(item));
  };
  const text = (name: string) => {
    const item = found.get(name);
    return item === undefined || isNull(item) ? null : textOf(item);
  };
  return {
    term: number("term") ?? 0,
    index: number("index") ?? 0,
    durable: number("durable") ?? 0,
    node: text("node"),
    token: text("token"),
    stalenessMs: number("stale_ms"),
  };
}

function isNull(reply: Reply): boolean {
  return reply.kind === "null" || reply.kind === "nullArray";
}

function itemsOf(reply: Reply): readonly Reply[] {
  if (reply.kind === "array" || reply.kind === "set" || reply.kind === "map") return reply.items;
  throw unexpected(reply);
}

function bytesOf(reply: Reply): Uint8Array {
  if (reply.kind === "bulk" || reply.kind === "verbatim") return reply.bytes;
  throw unexpected(reply);
}

function textOf(reply: Reply): string {
  return reply.kind === "simple" ? reply.text : decodeUtf8(bytesOf(reply));
}

function unexpected(reply: Reply): TrefoilError {
  if (reply.kind === "error") return errorOf(reply);
  return new TrefoilError(
    "PROTOCOL",
    `The node answered with ${reply.kind}, which was not expected.`,
  );
}
