import { type ByteString, fromByteString, isUtf8, toByteString } from "../base/bytes.ts";
import { array, bulk, bulkText, integer, NULL, NULL_ARRAY, type Reply } from "../contract/reply.ts";
import type { StateReader } from "../contract/state-machine.ts";
import {
  BYTES_REGISTER,
  collectionOf,
  countOf,
  isCollection,
  isRegister,
  JSON_REGISTER,
  kindOf,
  MAP,
  REGISTER,
  SET,
  VALUE_AT,
  versionOf,
} from "../values/row.ts";
import { type Args, isWord, parseI64 } from "./arguments.ts";
import { checkVisits, ITEM_BYTES } from "./collections.ts";
import { LIMITS } from "./limits.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
import {
  type ChangesCommand,
  type CommandSpec,
  type CommitCommand,
  type ReadCommand,
  singleLeaderOnly,
} from "./spec.ts";
import { checkGathered } from "./value.ts";
import { holds, type ReadSet } from "./watched-keys.ts";

/*
 * Commands for typed clients: values with their types and versions, and transactions that carry
 * what they have read with them, so that no connection has to remember it.
 */

const ONE_ORDER = singleLeaderOnly(
  "Versions and transactions need one order of all writes: use a single-leader keyspace",
);

/** The type of a value, as typed clients know it. */
function typeName(row: Uint8Array): string {
  switch (kindOf(row)) {
    case REGISTER:
      return isUtf8(row.subarray(VALUE_AT)) ? "text" : "bytes";
    case BYTES_REGISTER:
      return "bytes";
    case JSON_REGISTER:
      return "json";
    case SET:
      return "set";
    case MAP:
      return "map";
    default:
      return "unknown";
  }
}

/** A row's type and value, as TREFOIL.CHANGES tells them; a collection's fields are not told. */
export function rowParts(row: Uint8Array): readonly Reply[] {
  return [bulkText(typeName(row)), isRegister(row) ? bulk(row.subarray(VALUE_AT)) : NULL];
}

/** Counts what one command gathers. */
class Gathered {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    checkGathered(this.#bytes);
  }
}

/** `[type, version, value]`; a map's value is its fields and values in turn, a set's members. */
function valueReply(state: StateReader, row: Uint8Array, gathered: Gathered): Reply {
  const type = typeName(row);
  const head = [bulkText(type), integer(versionOf(row))];
  if (type !== "map" && type !== "set") {
    gathered.add(row.length);
    return array([...head, bulk(row.subarray(VALUE_AT))]);
  }
  const items: Reply[] = [];
  checkVisits(countOf(row));
  for (const [name, value] of state.fields(collectionOf(row), "", null)) {
    gathered.add(2 * ITEM_BYTES + name.length + value.length);
    items.push(bulk(fromByteString(name)));
    if (type === "map") items.push(bulk(value));
  }
  return array([...head, array(items)]);
}

/** Goes through arguments from left to right. */
class ArgumentReader {
  readonly #args: Args;
  #at: number;

  constructor(args: Args, from: number) {
    this.#args = args;
    this.#at = from;
  }

  get isDone(): boolean {
    return this.#at >= this.#args.length;
  }

  next(): Uint8Array {
    const arg = this.#args[this.#at] ?? refuseSyntax();
    this.#at += 1;
    return arg;
  }

  isNext(word: string): boolean {
    if (this.isDone || !isWord(this.#args[this.#at]!, word)) return false;
    this.#at += 1;
    return true;
  }

  /** A whole number from 0 to `max`. */
  count(what: string, max: number): number {
    const value = Number(parseI64(this.next()) ?? -1);
    return value >= 0 && value <= max
      ? value
      : refuse(`${what} takes a whole number from 0 to ${max}`);
  }

  key(): ByteString {
    const key = this.next();
    if (key.length > LIMITS.keyBytesMax) {
      refuse(`a key may have ${LIMITS.keyBytesMax} bytes at most`, "LIMIT");
    }
    return toByteString(key);
  }
}

const NUMBER_MAX = Number.MAX_SAFE_INTEGER;

/** `[READS n key version …] [RANGES n from to count index …]`; an empty `to` means to the end. */
function readSet(reader: ArgumentReader): ReadSet {
  const reads: ReadSet[number][] = [];
  if (reader.isNext("READS")) {
    for (let left = reader.count("READS", LIMITS.readSetMax); left > 0; left -= 1) {
      reads.push({ kind: "key", key: reader.key(), version: reader.count("version", NUMBER_MAX) });
    }
  }
  if (reader.isNext("RANGES")) {
    for (let left = reader.count("RANGES", LIMITS.readSetMax); left > 0; left -= 1) {
      const from = reader.key();
      const to = reader.key();
      const count = reader.count("count", LIMITS.scanCountMax);
      const index = reader.count("index", NUMBER_MAX);
      reads.push({ kind: "range", from, to: to === "" ? null : to, count, index });
    }
  }
  return reads;
}

function readCall(args: Args): { readonly keys: readonly ByteString[]; readonly reads: ReadSet } {
  const reader = new ArgumentReader(args, 1);
  const keys: ByteString[] = [];
  for (let left = reader.count("numkeys", LIMITS.readSetMax); left > 0; left -= 1) {
    keys.push(reader.key());
  }
  const reads = readSet(reader);
  if (!reader.isDone) refuseSyntax();
  return { keys, reads };
}

const IF_HELD = "[READS numreads (key version) ...] [RANGES numranges (from to count index) ...]";

const READ: ReadCommand = {
  kind: "read",
  id: 200,
  name: "trefoil.read",
  arity: -2,
  usage: `numkeys [key ...] ${IF_HELD}`,
  group: "trefoil",
  flags: ["readonly"],
  keys: null,
  models: ONE_ORDER,
  since: "trefoil 0.1.0",
  summary:
    "Each key's [type, version, value], or null where there is none; null for all if what was read before has changed.",
  complexity: "O(N) in the keys, their fields, and what was read before",
  check: (args) => void readCall(args),
  read(args, state) {
    const { keys, reads } = readCall(args);
    if (!holds(reads, state)) return NULL_ARRAY;
    const gathered = new Gathered();
    let fields = 0;
    return array(
      keys.map((key) => {
        const row = state.get(key);
        if (row === undefined) return NULL;
        if (isCollection(row)) fields += countOf(row);
        checkVisits(fields);
        return valueReply(state, row, gathered);
      }),
    );
  },
};

interface RangeCall {
  readonly from: ByteString;
  readonly to: ByteString | null;
  readonly limit: number;
  readonly reads: ReadSet;
}

function rangeCall(args: Args): RangeCall {
  const reader = new ArgumentReader(args, 1);
  const from = reader.key();
  const to = reader.key();
  const limit = reader.count("limit", LIMITS.scanCountMax);
  const reads = readSet(reader);
  if (!reader.isDone || limit === 0) refuseSyntax();
  return { from, to: to === "" ? null : to, limit, reads };
}

/** A page ends here at the latest, whatever its limit: one value more fits any frame. */
const PAGE_BYTES_MAX = 1 << 20;

const RANGE: ReadCommand = {
  kind: "read",
  id: 201,
  name: "trefoil.range",
  arity: -4,
  usage: `from to limit ${IF_HELD}`,
  group: "trefoil",
  flags: ["readonly"],
  keys: null,
  models: ONE_ORDER,
  since: "trefoil 0.1.0",
  summary:
    "Up to limit keys with from ≤ key < to, each as [key, type, version, value], and in front 1 if there are more; an empty to means to the end.",
  complexity: "O(N) in the keys answered",
  check: (args) => void rangeCall(args),
  read(args, state) {
    const { from, to, limit, reads } = rangeCall(args);
    if (!holds(reads, state)) return NULL_ARRAY;
    const gathered = new Gathered();
    const items: Reply[] = [];
    for (const [key, row] of state.rows(from, to)) {
      if (items.length === limit || gathered.bytes > PAGE_BYTES_MAX) {
        return array([integer(1), array(items)]);
      }
      const value = valueReply(state, row, gathered);
      const parts = value.kind === "array" ? value.items : [];
      items.push(array([bulk(fromByteString(key)), ...parts]));
    }
    return array([integer(0), array(items)]);
  },
};

/** Changes that one answer tells about, unless an entry has more. */
const CHANGES_MAX = 1_000;

/** The arguments of TREFOIL.CHANGES. `after` null: from now on. Throws `Refusal`. */
export function parseChanges(args: Args): {
  readonly after: number | null;
  readonly prefix: ByteString;
  readonly countMax: number;
  readonly blockMs: number;
} {
  const reader = new ArgumentReader(args, 1);
  const after = reader.isNext("$") ? null : reader.count("index", NUMBER_MAX);
  let prefix: ByteString = "";
  let countMax = CHANGES_MAX;
  let blockMs = 0;
  while (!reader.isDone) {
    if (reader.isNext("PREFIX")) prefix = reader.key();
    else if (reader.isNext("COUNT")) countMax = Math.max(1, reader.count("COUNT", CHANGES_MAX));
    else if (reader.isNext("BLOCK")) blockMs = reader.count("BLOCK", LIMITS.timeoutMsMax);
    else refuseSyntax();
  }
  return { after, prefix, countMax, blockMs };
}

const CHANGES: ChangesCommand = {
  kind: "changes",
  id: 0,
  name: "trefoil.changes",
  arity: -2,
  usage: "($ | index) [PREFIX prefix] [COUNT count] [BLOCK milliseconds]",
  group: "trefoil",
  flags: ["readonly", "blocking"],
  keys: null,
  models: ONE_ORDER,
  since: "trefoil 0.1.0",
  summary:
    "What entries behind an index changed, as this node has applied them: the index to go on from, 1 if changes in between are forgotten, and each change as [index, key, type, value], or [index, key] where the key is gone.",
  complexity: "O(N) in the changes looked at",
  check: (args) => void parseChanges(args),
};

/** What TREFOIL.COMMIT brings: the commands as their clients would have sent them. */
export interface Commit {
  readonly reads: ReadSet;
  readonly commands: readonly Args[];
}

/** The parts of TREFOIL.COMMIT. Throws `Refusal`. */
export function parseCommit(args: Args): Commit {
  const reader = new ArgumentReader(args, 1);
  const reads = readSet(reader);
  const commands: Args[] = [];
  if (!reader.isNext("COMMANDS")) return refuseSyntax();
  for (let left = reader.count("COMMANDS", LIMITS.transactionCommandsMax); left > 0; left -= 1) {
    const command: Uint8Array[] = [];
    for (let words = reader.count("numargs", LIMITS.argsMax); words > 0; words -= 1) {
      command.push(reader.next());
    }
    if (command.length === 0) refuseSyntax();
    commands.push(command);
  }
  if (!reader.isDone) refuseSyntax();
  return { reads, commands };
}

const COMMIT: CommitCommand = {
  kind: "commit",
  id: 122,
  name: "trefoil.commit",
  arity: -3,
  usage: `${IF_HELD} COMMANDS numcommands (numargs command [arg ...]) ...`,
  group: "trefoil",
  flags: ["write", "movablekeys"],
  keys: null,
  models: ONE_ORDER,
  since: "trefoil 0.1.0",
  summary:
    "Carries out all commands together if what was read before still holds and none of them is refused; else none of them, and answers null or the refusal.",
  complexity: "As the commands, and O(N) in what was read",
  check: (args) => void parseCommit(args),
};

/** Commands for typed clients. */
export const TYPED_COMMANDS: readonly CommandSpec[] = [READ, RANGE, COMMIT, CHANGES];
