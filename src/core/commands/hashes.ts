import { toByteString } from "../base/bytes.ts";
import { array, bulk, integer, NULL, OK, ONE, type Reply, ZERO } from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import { collectionOf, countOf, MAP } from "../values/row.ts";
import { type Args, ascii, integer64, isWord, parseI64 } from "./arguments.ts";
import {
  checkVisits,
  collectionAt,
  countIn,
  drawDistinct,
  drawField,
  drawRepeated,
  GatheredItems,
  idFor,
  putCollection,
  putField,
  removeFields,
  valueCopy,
} from "./collections.ts";
import { addDecimals, type Decimal, formatDecimal, parseDecimal } from "./decimal.ts";
import { drawCount, drawPairsCount, drawSeed, prngOf } from "./draws.ts";
import { addI64, DECIMAL_ZERO } from "./numbers.ts";
import { refuse, refuseArity, refuseSyntax } from "./refusal.ts";
import { fieldScan } from "./scan.ts";
import {
  type CommandSpec,
  EVERY_MODEL,
  FIELDS,
  FIRST_KEY,
  never,
  ONE_FIELD,
  type ReadCommand,
  singleLeaderOnly,
  type WriteCommand,
} from "./spec.ts";

const READ = {
  kind: "read",
  group: "hash",
  flags: ["readonly", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "2.0.0",
  complexity: "O(1)",
} as const;

const WRITE = {
  kind: "write",
  group: "hash",
  flags: ["write", "denyoom", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "2.0.0",
  complexity: "O(1)",
  isBlind: never,
} as const;

/** Fields and values alternate behind the key. */
const PAIRS = { first: 2, last: -1, step: 2 } as const;

function checkPairs(args: Args, name: string): void {
  if (args.length % 2 === 1) refuseArity(name);
}

/** Sets fields, and says how many of them are new. */
function setPairs(args: Args, state: StateWriter): number {
  const key = toByteString(args[1]!);
  const row = collectionAt(state, key, MAP);
  const id = idFor(state, row);
  const before = countIn(row);
  let count = before;
  for (let i = 2; i + 1 < args.length; i += 2) {
    const value = valueCopy(state, args[i + 1]!);
    if (state.setField(id, toByteString(args[i]!), value)) count += 1;
  }
  putCollection(state, key, MAP, row, id, count);
  return count - before;
}

const HSET: WriteCommand = {
  ...WRITE,
  id: 130,
  name: "hset",
  arity: -4,
  usage: "key field value [field value ...]",
  fields: PAIRS,
  summary: "Sets fields of a hash, and answers how many of them are new.",
  complexity: "O(N) in the number of fields",
  check: (args) => checkPairs(args, "hset"),
  apply(args, state) {
    checkPairs(args, "hset");
    return integer(setPairs(args, state));
  },
};

const HSETNX: WriteCommand = {
  ...WRITE,
  id: 131,
  name: "hsetnx",
  arity: 4,
  usage: "key field value",
  fields: ONE_FIELD,
  models: singleLeaderOnly(
    "A condition on the state needs one order of all writes: use a single-leader keyspace",
  ),
  summary: "Sets a field of a hash that does not exist.",
  apply(args, state) {
    const key = toByteString(args[1]!);
    const name = toByteString(args[2]!);
    const row = collectionAt(state, key, MAP);
    if (row !== undefined && state.field(collectionOf(row), name) !== undefined) return ZERO;
    putField(state, key, MAP, row, name, valueCopy(state, args[3]!));
    return ONE;
  },
};

const HMSET: WriteCommand = {
  ...HSET,
  id: 132,
  name: "hmset",
  summary: "The same as HSET, but for its answer, which is OK.",
  check: (args) => checkPairs(args, "hmset"),
  apply(args, state) {
    checkPairs(args, "hmset");
    setPairs(args, state);
    return OK;
  },
};

/** The value of the field that a call names behind its key. */
function fieldOf(args: Args, state: StateReader): Uint8Array | undefined {
  const row = collectionAt(state, toByteString(args[1]!), MAP);
  if (row === undefined) return undefined;
  return state.field(collectionOf(row), toByteString(args[2]!));
}

const HGET: ReadCommand = {
  ...READ,
  id: 133,
  name: "hget",
  arity: 3,
  usage: "key field",
  fields: ONE_FIELD,
  summary: "The value of a field of a hash.",
  read(args, state) {
    const value = fieldOf(args, state);
    return value === undefined ? NULL : bulk(value);
  },
};

const HMGET: ReadCommand = {
  ...READ,
  id: 134,
  name: "hmget",
  arity: -3,
  usage: "key field [field ...]",
  fields: FIELDS,
  summary: "The values of several fields of a hash; null where there is none.",
  complexity: "O(N) in the number of fields",
  read(args, state) {
    const row = collectionAt(state, toByteString(args[1]!), MAP);
    const gathered = new GatheredItems();
    for (let i = 2; i < args.length; i += 1) {
      const name = toByteString(args[i]!);
      const value = row === undefined ? undefined : state.field(collectionOf(row), name);
      if (value === undefined) gathered.items.push(NULL);
      else gathered.value(value);
    }
    return array(gathered.items);
  },
};

/** Fields, values, or both, alternating. */
function gather(args: Args, state: StateReader, names: boolean, values: boolean): readonly Reply[] {
  const row = collectionAt(state, toByteString(args[1]!), MAP);
  const gathered = new GatheredItems();
  if (row === undefined) return gathered.items;
  checkVisits(countOf(row));
  for (const [name, value] of state.fields(collectionOf(row), "", null)) {
    if (names) gathered.name(name);
    if (values) gathered.value(value);
  }
  return gathered.items;
}

const HGETALL: ReadCommand = {
  ...READ,
  id: 135,
  name: "hgetall",
  arity: 2,
  usage: "key",
  flags: ["readonly"],
  summary: "All fields of a hash and their values, in the order of the fields' bytes.",
  complexity: "O(N) in the fields of the hash",
  read: (args, state) => ({ kind: "map", items: gather(args, state, true, true) }),
};

const HDEL: WriteCommand = {
  ...WRITE,
  id: 136,
  name: "hdel",
  arity: -3,
  usage: "key field [field ...]",
  flags: ["write", "fast"],
  fields: FIELDS,
  summary: "Deletes fields of a hash and answers how many there were; without any, it is gone.",
  complexity: "O(N) in the number of fields",
  apply: (args, state) => removeFields(args, state, MAP),
};

const HEXISTS: ReadCommand = {
  ...READ,
  id: 137,
  name: "hexists",
  arity: 3,
  usage: "key field",
  fields: ONE_FIELD,
  summary: "Whether a hash has a field.",
  read: (args, state) => (fieldOf(args, state) === undefined ? ZERO : ONE),
};

const HLEN: ReadCommand = {
  ...READ,
  id: 138,
  name: "hlen",
  arity: 2,
  usage: "key",
  summary: "How many fields a hash has.",
  read: (args, state) => integer(countIn(collectionAt(state, toByteString(args[1]!), MAP))),
};

const HSTRLEN: ReadCommand = {
  ...READ,
  id: 139,
  name: "hstrlen",
  arity: 3,
  usage: "key field",
  fields: ONE_FIELD,
  since: "3.2.0",
  summary: "Bytes of the value of a field.",
  read: (args, state) => integer(fieldOf(args, state)?.length ?? 0),
};

const HKEYS: ReadCommand = {
  ...HGETALL,
  id: 140,
  name: "hkeys",
  summary: "All fields of a hash, in the order of their bytes.",
  read: (args, state) => array(gather(args, state, true, false)),
};

const HVALS: ReadCommand = {
  ...HGETALL,
  id: 141,
  name: "hvals",
  summary: "All values of a hash, in the order of their fields' bytes.",
  read: (args, state) => array(gather(args, state, false, true)),
};

const HINCRBY: WriteCommand = {
  ...WRITE,
  id: 142,
  name: "hincrby",
  arity: 4,
  usage: "key field increment",
  fields: ONE_FIELD,
  summary: "Adds to the integer value of a field; a missing one counts as 0.",
  check: (args) => void integer64(args[3]!),
  apply(args, state) {
    const increment = integer64(args[3]!);
    const key = toByteString(args[1]!);
    const name = toByteString(args[2]!);
    const row = collectionAt(state, key, MAP);
    const value = row === undefined ? undefined : state.field(collectionOf(row), name);
    const before =
      value === undefined ? 0 : (parseI64(value) ?? refuse("hash value is not an integer"));
    const sum = addI64(before, increment) ?? refuse("increment or decrement would overflow");
    putField(state, key, MAP, row, name, valueCopy(state, ascii(String(sum))));
    return integer(sum);
  },
};

function floatIncrement(arg: Uint8Array): Decimal {
  const increment = parseDecimal(arg) ?? refuse("value is not a valid float");
  return increment === "infinite" ? refuse("value is NaN or Infinity") : increment;
}

/** The decimal value of a field, which may have been set to anything. */
function floatValue(value: Uint8Array | undefined): Decimal {
  if (value === undefined) return DECIMAL_ZERO;
  const before = parseDecimal(value) ?? refuse("hash value is not a float");
  return before === "infinite" ? refuse("increment would produce NaN or Infinity") : before;
}

const HINCRBYFLOAT: WriteCommand = {
  ...WRITE,
  id: 143,
  name: "hincrbyfloat",
  arity: 4,
  usage: "key field increment",
  fields: ONE_FIELD,
  models: singleLeaderOnly("Use HINCRBY, in the smallest unit you need"),
  since: "2.6.0",
  summary: "Adds to the decimal value of a field; a missing one counts as 0.",
  differences:
    "The sum is exact to 17 digits after the point, where Redis rounds to a long double. Hexadecimal numbers are refused.",
  check: (args) => void floatIncrement(args[3]!),
  apply(args, state) {
    const increment = floatIncrement(args[3]!);
    const key = toByteString(args[1]!);
    const name = toByteString(args[2]!);
    const row = collectionAt(state, key, MAP);
    const value = row === undefined ? undefined : state.field(collectionOf(row), name);
    const sum = ascii(formatDecimal(addDecimals(floatValue(value), increment)));
    putField(state, key, MAP, row, name, valueCopy(state, sum));
    return bulk(sum);
  },
};

interface RandomFields {
  readonly count: number;
  readonly withValues: boolean;
}

/** The options from this argument on; null where one field is asked for. */
function randomFields(args: Args, from: number): RandomFields | null {
  const arg = args[from];
  if (arg === undefined) return null;
  // The bounds of the number before those of the call, as in Redis.
  const count = drawCount(arg);
  const word = args[from + 1];
  if (word === undefined) return { count, withValues: false };
  if (args.length > from + 2 || !isWord(word, "WITHVALUES")) refuseSyntax();
  return { count: drawPairsCount(arg), withValues: true };
}

function randomFieldsReply(args: Args, state: StateReader): Reply {
  const options = randomFields(args, 3);
  const row = collectionAt(state, toByteString(args[1]!), MAP);
  const prng = prngOf(args[2]);
  const gathered = new GatheredItems();
  if (options === null) {
    if (row === undefined) return NULL;
    gathered.name(drawField(state, row, prng)[0]);
    return gathered.items[0]!;
  }
  const { count, withValues } = options;
  if (row === undefined) return array([]);
  const take = ([name, value]: readonly [string, Uint8Array]): void => {
    gathered.name(name);
    if (withValues) gathered.value(value);
  };
  if (count >= 0) drawDistinct(state, row, count, prng, take);
  else drawRepeated(state, row, -count, prng).forEach(take);
  return withValues ? { kind: "pairs", items: gathered.items } : array(gathered.items);
}

const HRANDFIELD: ReadCommand = {
  ...READ,
  id: 144,
  name: "hrandfield",
  arity: -2,
  usage: "key [count [WITHVALUES]]",
  flags: ["readonly"],
  since: "6.2.0",
  summary:
    "One field drawn at random; or count different ones; or, if it is negative, as many that may repeat.",
  complexity: "O(N) in the fields of the hash",
  check: (args) => void randomFields(args, 2),
  toWire: (args, edge) => [args[0]!, args[1]!, drawSeed(edge), ...args.slice(2)],
  read: randomFieldsReply,
};

const HSCAN: ReadCommand = {
  ...READ,
  ...fieldScan(MAP),
  id: 145,
  name: "hscan",
  flags: ["readonly"],
  since: "2.8.0",
  summary: "Goes through the fields of a hash and their values page by page, in order of bytes.",
};

/** Commands on hashes, which are maps from fields to values. */
export const HASH_COMMANDS: readonly CommandSpec[] = [
  HSET,
  HSETNX,
  HMSET,
  HGET,
  HMGET,
  HGETALL,
  HDEL,
  HEXISTS,
  HLEN,
  HSTRLEN,
  HKEYS,
  HVALS,
  HINCRBY,
  HINCRBYFLOAT,
  HRANDFIELD,
  HSCAN,
];
