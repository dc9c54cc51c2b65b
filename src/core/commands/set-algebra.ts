import { type ByteString, fromByteString, toByteString } from "../base/bytes.ts";
import { bulk, integer, type Reply, ZERO } from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import { collectionOf, collectionRow, countOf, SET } from "../values/row.ts";
import { type Args, integerNear, isWord } from "./arguments.ts";
import { checkChanges, checkVisits, collectionAt, countIn, ITEM_BYTES } from "./collections.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
import {
  ALL_KEYS,
  type CommandSpec,
  EVERY_MODEL,
  never,
  type ReadCommand,
  singleLeaderOnly,
  type WriteCommand,
} from "./spec.ts";
import { checkGathered } from "./value.ts";

/** The row of a set, undefined for one that does not exist and therefore has no members. */
type SetRow = Uint8Array | undefined;

/** Makes one set of several; its members are in the order of their bytes. */
type Operation = (state: StateReader, sets: readonly SetRow[]) => readonly ByteString[];

/** The sets that a call names from one argument up to another. */
function setsAt(args: Args, from: number, to: number, state: StateReader): readonly SetRow[] {
  const sets: SetRow[] = [];
  for (let i = from; i < to; i += 1) sets.push(collectionAt(state, toByteString(args[i]!), SET));
  return sets;
}

/** Members that are gathered, as many as one command may hold at once. */
class Members {
  readonly names: ByteString[] = [];
  #bytes = 0;

  add(name: ByteString): void {
    this.#bytes += ITEM_BYTES + name.length;
    checkGathered(this.#bytes);
    this.names.push(name);
  }
}

/** The members that all have, `most` of them at most: those of the smallest are looked up. */
function intersection(
  state: StateReader,
  sets: readonly SetRow[],
  most: number = Number.POSITIVE_INFINITY,
): readonly ByteString[] {
  const rows = sets.filter((row) => row !== undefined);
  if (rows.length < sets.length) return [];
  const [smallest, ...others] = [...rows].sort((a, b) => countOf(a) - countOf(b));
  if (smallest === undefined) return [];
  const ids = others.map(collectionOf);
  checkVisits(countOf(smallest) * rows.length);
  const members = new Members();
  for (const [name] of state.fields(collectionOf(smallest), "", null)) {
    if (!ids.every((id) => state.field(id, name) !== undefined)) continue;
    members.add(name);
    if (members.names.length >= most) break;
  }
  return members.names;
}

/** The members of any of them. */
function union(state: StateReader, sets: readonly SetRow[]): readonly ByteString[] {
  checkVisits(sets.reduce((sum, row) => sum + countIn(row), 0));
  const members = new Members();
  let lists: (readonly ByteString[])[] = [];
  for (const row of sets) {
    if (row === undefined) continue;
    const from = members.names.length;
    for (const [name] of state.fields(collectionOf(row), "", null)) members.add(name);
    lists.push(members.names.slice(from));
  }
  while (lists.length > 1) {
    const merged: (readonly ByteString[])[] = [];
    for (let i = 0; i < lists.length; i += 2) merged.push(merge(lists[i]!, lists[i + 1] ?? []));
    lists = merged;
  }
  return lists[0] ?? [];
}

/** The names of two sorted lists in order, each once. */
function merge(a: readonly ByteString[], b: readonly ByteString[]): readonly ByteString[] {
  const merged: ByteString[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const left = a[i];
    const right = b[j];
    if (right === undefined || (left !== undefined && left < right)) {
      merged.push(left!);
      i += 1;
    } else {
      merged.push(right);
      j += 1;
      if (left === right) i += 1;
    }
  }
  return merged;
}

/** The members of the first that none of the others has. */
function difference(state: StateReader, sets: readonly SetRow[]): readonly ByteString[] {
  const [first, ...others] = sets;
  if (first === undefined) return [];
  const ids = others.flatMap((row) => (row === undefined ? [] : [collectionOf(row)]));
  checkVisits(countOf(first) * (1 + ids.length));
  const members = new Members();
  for (const [name] of state.fields(collectionOf(first), "", null)) {
    if (ids.every((id) => state.field(id, name) === undefined)) members.add(name);
  }
  return members.names;
}

/** Makes the key a set of these members, whatever it was before; without any, it is no more. */
function store(state: StateWriter, key: ByteString, names: readonly ByteString[]): Reply {
  checkChanges(names.length);
  if (names.length === 0) {
    state.delete(key);
    return ZERO;
  }
  const id = state.newCollection();
  for (const name of names) state.addField(id, name);
  state.set(key, collectionRow(state, SET, id, names.length));
  return integer(names.length);
}

type Facts = Pick<ReadCommand, "id" | "name" | "summary" | "complexity">;

function readCommand(facts: Facts, operation: Operation): ReadCommand {
  return {
    ...facts,
    kind: "read",
    arity: -2,
    usage: "key [key ...]",
    group: "set",
    flags: ["readonly"],
    keys: ALL_KEYS,
    models: EVERY_MODEL,
    since: "1.0.0",
    read(args, state) {
      const names = operation(state, setsAt(args, 1, args.length, state));
      return { kind: "set", items: names.map((name) => bulk(fromByteString(name))) };
    },
  };
}

function storeCommand(facts: Facts, operation: Operation): WriteCommand {
  return {
    ...facts,
    kind: "write",
    arity: -3,
    usage: "destination key [key ...]",
    group: "set",
    flags: ["write", "denyoom"],
    keys: ALL_KEYS,
    models: singleLeaderOnly(
      "Several keys are read and changed as one only in a single-leader keyspace",
    ),
    since: "1.0.0",
    isBlind: never,
    apply(args, state) {
      const names = operation(state, setsAt(args, 2, args.length, state));
      return store(state, toByteString(args[1]!), names);
    },
  };
}

const BY_SMALLEST = "O(N*M) in the members of the smallest set and the number of sets";
const BY_FIRST = "O(N*M) in the members of the first set and the number of sets";
const BY_ALL = "O(N) in the members of all sets";
const INTO = "in a key and answers how many they are";

const SINTER = readCommand(
  { id: 159, name: "sinter", summary: "The members that all sets have.", complexity: BY_SMALLEST },
  intersection,
);

interface CardOptions {
  readonly keys: number;
  readonly most: number;
}

function cardOptions(args: Args): CardOptions {
  const few = "numkeys should be greater than 0";
  const keys = integerNear(args[1]!, few);
  if (keys < 1) refuse(few);
  if (keys > args.length - 2) refuse("Number of keys can't be greater than number of args");
  let limit = 0;
  for (let i = 2 + keys; i < args.length; i += 2) {
    const value = args[i + 1];
    if (!isWord(args[i]!, "LIMIT") || value === undefined) return refuseSyntax();
    limit = integerNear(value, "LIMIT can't be negative");
    if (limit < 0) refuse("LIMIT can't be negative");
  }
  return { keys, most: limit === 0 ? Number.POSITIVE_INFINITY : limit };
}

const SINTERCARD: ReadCommand = {
  kind: "read",
  id: 160,
  name: "sintercard",
  arity: -3,
  usage: "numkeys key [key ...] [LIMIT limit]",
  group: "set",
  flags: ["readonly", "movablekeys"],
  keys: { first: 2, last: -1, step: 1, countAt: 1 },
  models: EVERY_MODEL,
  since: "7.0.0",
  summary: "How many members all sets have; it stops counting at the limit, 0 for none.",
  complexity: BY_SMALLEST,
  check: (args) => void cardOptions(args),
  read(args, state) {
    const { keys, most } = cardOptions(args);
    return integer(intersection(state, setsAt(args, 2, 2 + keys, state), most).length);
  },
};

const SINTERSTORE = storeCommand(
  {
    id: 161,
    name: "sinterstore",
    summary: `Stores the members that all sets have ${INTO}.`,
    complexity: BY_SMALLEST,
  },
  intersection,
);

const SUNION = readCommand(
  { id: 162, name: "sunion", summary: "The members of any of the sets.", complexity: BY_ALL },
  union,
);

const SUNIONSTORE = storeCommand(
  {
    id: 163,
    name: "sunionstore",
    summary: `Stores the members of any of the sets ${INTO}.`,
    complexity: BY_ALL,
  },
  union,
);

const SDIFF = readCommand(
  {
    id: 164,
    name: "sdiff",
    summary: "The members of the first set that none of the others has.",
    complexity: BY_FIRST,
  },
  difference,
);

const SDIFFSTORE = storeCommand(
  {
    id: 165,
    name: "sdiffstore",
    summary: `Stores the members of the first set that none of the others has ${INTO}.`,
    complexity: BY_FIRST,
  },
  difference,
);

/** Commands that make one set of several. */
export const SET_ALGEBRA_COMMANDS: readonly CommandSpec[] = [
  SINTER,
  SINTERCARD,
  SINTERSTORE,
  SUNION,
  SUNIONSTORE,
  SDIFF,
  SDIFFSTORE,
];
