import { type ByteString, EMPTY, toByteString } from "../base/bytes.ts";
import { array, integer, NULL, ONE, type Reply, ZERO } from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import { collectionOf, countOf, SET } from "../values/row.ts";
import { type Args, integerNear } from "./arguments.ts";
import {
  checkChanges,
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
} from "./collections.ts";
import { drawCount, drawSeed, prngOf } from "./draws.ts";
import { LIMITS } from "./limits.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
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
  TWO_KEYS,
  type WriteCommand,
} from "./spec.ts";

const READ = {
  kind: "read",
  group: "set",
  flags: ["readonly", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "1.0.0",
  complexity: "O(1)",
} as const;

const WRITE = {
  kind: "write",
  group: "set",
  flags: ["write", "denyoom", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "1.0.0",
  complexity: "O(1)",
  isBlind: never,
} as const;

const SADD: WriteCommand = {
  ...WRITE,
  id: 150,
  name: "sadd",
  arity: -3,
  usage: "key member [member ...]",
  fields: FIELDS,
  summary: "Adds members to a set, and answers how many of them are new.",
  complexity: "O(N) in the number of members",
  apply(args, state) {
    const key = toByteString(args[1]!);
    const row = collectionAt(state, key, SET);
    const id = idFor(state, row);
    const before = countIn(row);
    let count = before;
    for (let i = 2; i < args.length; i += 1) {
      if (state.addField(id, toByteString(args[i]!))) count += 1;
    }
    if (count !== before) putCollection(state, key, SET, row, id, count);
    return integer(count - before);
  },
};

const SREM: WriteCommand = {
  ...WRITE,
  id: 151,
  name: "srem",
  arity: -3,
  usage: "key member [member ...]",
  flags: ["write", "fast"],
  fields: FIELDS,
  summary: "Removes members of a set and answers how many there were; without any, it is gone.",
  complexity: "O(N) in the number of members",
  apply: (args, state) => removeFields(args, state, SET),
};

function isMember(
  state: StateReader,
  row: Uint8Array | undefined,
  member: Uint8Array,
): row is Uint8Array {
  if (row === undefined) return false;
  return state.field(collectionOf(row), toByteString(member)) !== undefined;
}

const SISMEMBER: ReadCommand = {
  ...READ,
  id: 152,
  name: "sismember",
  arity: 3,
  usage: "key member",
  fields: ONE_FIELD,
  summary: "Whether a set has a member.",
  read(args, state) {
    const row = collectionAt(state, toByteString(args[1]!), SET);
    return isMember(state, row, args[2]!) ? ONE : ZERO;
  },
};

const SMISMEMBER: ReadCommand = {
  ...READ,
  id: 153,
  name: "smismember",
  arity: -3,
  usage: "key member [member ...]",
  fields: FIELDS,
  since: "6.2.0",
  summary: "Whether a set has each of several members.",
  complexity: "O(N) in the number of members",
  read(args, state) {
    const row = collectionAt(state, toByteString(args[1]!), SET);
    return array(args.slice(2).map((member) => (isMember(state, row, member) ? ONE : ZERO)));
  },
};

const SMEMBERS: ReadCommand = {
  ...READ,
  id: 154,
  name: "smembers",
  arity: 2,
  usage: "key",
  flags: ["readonly"],
  summary: "All members of a set, in the order of their bytes.",
  complexity: "O(N) in the members of the set",
  read(args, state) {
    const row = collectionAt(state, toByteString(args[1]!), SET);
    return { kind: "set", items: members(state, row, new GatheredItems()) };
  },
};

function members(
  state: StateReader,
  row: Uint8Array | undefined,
  gathered: GatheredItems,
): readonly Reply[] {
  if (row === undefined) return gathered.items;
  checkVisits(countOf(row));
  for (const [member] of state.fields(collectionOf(row), "", null)) gathered.name(member);
  return gathered.items;
}

const SCARD: ReadCommand = {
  ...READ,
  id: 155,
  name: "scard",
  arity: 2,
  usage: "key",
  summary: "How many members a set has.",
  read: (args, state) => integer(countIn(collectionAt(state, toByteString(args[1]!), SET))),
};

/** The number of members from this argument on; null where there is none. */
function popCount(args: Args, from: number): number | null {
  const arg = args[from];
  if (arg === undefined) return null;
  if (args.length > from + 1) refuseSyntax();
  const outOfRange = "value is out of range, must be positive";
  const count = integerNear(arg, outOfRange);
  return count < 0 ? refuse(outOfRange) : count;
}

function pop(args: Args, state: StateWriter): Reply {
  const count = popCount(args, 3);
  const key = toByteString(args[1]!);
  const row = collectionAt(state, key, SET);
  if (count !== null) return { kind: "set", items: popSeveral(args, state, key, row, count) };
  if (row === undefined) return NULL;
  const id = collectionOf(row);
  const [member] = drawField(state, row, prngOf(args[2]));
  const answer = new GatheredItems();
  answer.name(member);
  state.deleteField(id, member);
  putCollection(state, key, SET, row, id, countOf(row) - 1);
  return answer.items[0]!;
}

function popSeveral(
  args: Args,
  state: StateWriter,
  key: ByteString,
  row: Uint8Array | undefined,
  wanted: number,
): readonly Reply[] {
  // The answer of a write is kept for retries, on every replica.
  const answer = new GatheredItems(LIMITS.commandBytesMax);
  if (row === undefined || wanted === 0) return answer.items;
  const count = countOf(row);
  if (wanted >= count) {
    members(state, row, answer);
    state.delete(key);
    return answer.items;
  }
  checkChanges(wanted);
  const drawn: ByteString[] = [];
  drawDistinct(state, row, wanted, prngOf(args[2]), ([member]) => {
    answer.name(member);
    drawn.push(member);
  });
  const id = collectionOf(row);
  for (const member of drawn) state.deleteField(id, member);
  putCollection(state, key, SET, row, id, count - drawn.length);
  return answer.items;
}

const SPOP: WriteCommand = {
  ...WRITE,
  id: 156,
  name: "spop",
  arity: -2,
  usage: "key [count]",
  flags: ["write", "fast"],
  models: singleLeaderOnly(
    "Who takes what needs one order of all writes: use a single-leader keyspace",
  ),
  summary: "Removes a member drawn at random, or count different ones, and answers them.",
  complexity: "O(N) in the members of the set",
  check: (args) => void popCount(args, 2),
  toWire: (args, edge) => [args[0]!, args[1]!, drawSeed(edge), ...args.slice(2)],
  apply: pop,
};

/** The number of members from this argument on; null where there is none. */
function randomMembers(args: Args, from: number): number | null {
  const arg = args[from];
  if (arg === undefined) return null;
  return args.length > from + 1 ? refuseSyntax() : drawCount(arg);
}

const SRANDMEMBER: ReadCommand = {
  ...READ,
  id: 157,
  name: "srandmember",
  arity: -2,
  usage: "key [count]",
  flags: ["readonly"],
  summary:
    "One member drawn at random; or count different ones; or, if it is negative, as many that may repeat.",
  complexity: "O(N) in the members of the set",
  check: (args) => void randomMembers(args, 2),
  toWire: (args, edge) => [args[0]!, args[1]!, drawSeed(edge), ...args.slice(2)],
  read(args, state) {
    const count = randomMembers(args, 3);
    const row = collectionAt(state, toByteString(args[1]!), SET);
    const prng = prngOf(args[2]);
    const gathered = new GatheredItems();
    if (row === undefined) return count === null ? NULL : array([]);
    if (count === null) gathered.name(drawField(state, row, prng)[0]);
    else if (count >= 0) {
      drawDistinct(state, row, count, prng, ([member]) => gathered.name(member));
    } else for (const [member] of drawRepeated(state, row, -count, prng)) gathered.name(member);
    return count === null ? gathered.items[0]! : array(gathered.items);
  },
};

const SMOVE: WriteCommand = {
  ...WRITE,
  id: 158,
  name: "smove",
  arity: 4,
  usage: "source destination member",
  flags: ["write", "fast"],
  keys: TWO_KEYS,
  fields: { first: 3, last: 3, step: 1 },
  models: singleLeaderOnly("Several keys change at once only in a single-leader keyspace"),
  summary: "Moves a member from one set to another, and answers whether it was there.",
  apply(args, state) {
    const from = toByteString(args[1]!);
    const to = toByteString(args[2]!);
    const source = state.get(from);
    if (source === undefined) return ZERO;
    const row = collectionAt(state, from, SET);
    const target = collectionAt(state, to, SET);
    if (!isMember(state, row, args[3]!)) return ZERO;
    if (from === to) return ONE;
    const member = toByteString(args[3]!);
    const id = collectionOf(row);
    state.deleteField(id, member);
    putCollection(state, from, SET, row, id, countOf(row) - 1);
    // As in Redis, one that has the member already is left as it is.
    if (!isMember(state, target, args[3]!)) putField(state, to, SET, target, member, EMPTY);
    return ONE;
  },
};

const SSCAN: ReadCommand = {
  ...READ,
  ...fieldScan(SET),
  id: 166,
  name: "sscan",
  flags: ["readonly"],
  since: "2.8.0",
  summary: "Goes through the members of a set page by page, in the order of their bytes.",
};

/** Commands on sets, each on one or two of them. */
export const SET_COMMANDS: readonly CommandSpec[] = [
  SADD,
  SREM,
  SISMEMBER,
  SMISMEMBER,
  SMEMBERS,
  SCARD,
  SPOP,
  SRANDMEMBER,
  SMOVE,
  SSCAN,
];
