import { decodeUtf8, isUtf8, toByteString } from "../base/bytes.ts";
import type { WallClock } from "../contract/ids.ts";
import { array, bulk, integer, NULL, OK, ONE, type Reply, ZERO } from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import {
  BYTES_REGISTER,
  deadlineOf,
  isRegister,
  JSON_REGISTER,
  putDeadline,
  REGISTER,
  VALUE_AT,
} from "../values/row.ts";
import { type Args, integerNear, isWord } from "./arguments.ts";
import { deadlineFrom, type Expiry, expiryOption, KEEP_EXPIRY, NO_EXPIRY } from "./deadlines.ts";
import { setDeadline } from "./expiry.ts";
import { refuse, refuseArity, refuseSyntax } from "./refusal.ts";
import {
  ALL_KEYS,
  always,
  type CommandSpec,
  EVERY_MODEL,
  FIRST_KEY,
  never,
  type ReadCommand,
  singleLeaderOnly,
  type WriteCommand,
} from "./spec.ts";
import {
  checkGathered,
  checkValueLength,
  grownRow,
  registerAt,
  registerReply,
  registerRow,
  registerValue,
  setRegister,
  valueLength,
} from "./value.ts";

const EMPTY_BULK: Reply = bulk(new Uint8Array(0));
const CONDITIONAL =
  "A condition on the state needs one order of all writes: use a single-leader keyspace";
const ONE_ORDER = "It needs one order of all writes: use a single-leader keyspace";
const SEVERAL_KEYS = "Several keys change at once only in a single-leader keyspace";

interface SetOptions {
  readonly condition: "always" | "ifAbsent" | "ifPresent";
  readonly get: boolean;
  readonly expiry: Expiry;
  readonly kind: number;
}

const SET_PLAIN: SetOptions = {
  condition: "always",
  get: false,
  expiry: NO_EXPIRY,
  kind: REGISTER,
};

const TYPES = [
  ["TEXT", REGISTER],
  ["BYTES", BYTES_REGISTER],
  ["JSON", JSON_REGISTER],
] as const;

/** The kind of row for the word after AS. */
function registerKind(word: Uint8Array | undefined): number {
  for (const [name, kind] of TYPES) if (word !== undefined && isWord(word, name)) return kind;
  return refuse("AS takes TEXT, BYTES or JSON");
}

function setOptions(args: Args): SetOptions {
  if (args.length === 3) return SET_PLAIN;
  let condition: SetOptions["condition"] = "always";
  let get = false;
  let option: ReturnType<typeof expiryOption> = null;
  let kind = REGISTER;
  for (let i = 3; i < args.length; i += 1) {
    const word = args[i]!;
    if (isWord(word, "NX") && condition !== "ifPresent") condition = "ifAbsent";
    else if (isWord(word, "XX") && condition !== "ifAbsent") condition = "ifPresent";
    else if (isWord(word, "GET")) get = true;
    else if (isWord(word, "AS")) {
      i += 1;
      kind = registerKind(args[i]);
    } else {
      option = expiryOption(args, i, option);
      if (option === null || option.word === "PERSIST") return refuseSyntax();
      i += option.arguments - 1;
    }
  }
  return { condition, get, expiry: option?.expiry ?? NO_EXPIRY, kind };
}

function checkSet(args: Args): void {
  const { expiry, kind } = setOptions(args);
  deadlineFrom(expiry, 0, 0, "set");
  if (kind === JSON_REGISTER && !isJson(args[2]!)) refuse("the value is not JSON");
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(decodeUtf8(bytes));
    return isUtf8(bytes);
  } catch {
    return false;
  }
}

function isBlindSet(args: Args): boolean {
  if (args.length === 3) return true;
  const { condition, get } = setOptions(args);
  return condition === "always" && !get;
}

/** SET with options. */
function setWith(args: Args, state: StateWriter, time: WallClock): Reply {
  const key = toByteString(args[1]!);
  const { condition, get, expiry, kind } = setOptions(args);
  const row = get ? registerAt(state, key) : state.get(key);
  const deadline = deadlineFrom(expiry, time, row === undefined ? 0 : deadlineOf(row), "set");
  const isRefused = row === undefined ? condition === "ifPresent" : condition === "ifAbsent";
  if (!isRefused) {
    const changed = registerRow(state, args[2]!);
    changed[0] = kind;
    putDeadline(changed, deadline);
    if (deadline !== 0 && deadline <= time) state.delete(key);
    else state.set(key, changed);
  }
  if (get) return registerReply(row);
  return isRefused ? NULL : OK;
}

const SET: WriteCommand = {
  kind: "write",
  id: 1,
  name: "set",
  arity: -3,
  usage:
    "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] [AS (TEXT | BYTES | JSON)]",
  group: "string",
  flags: ["write", "denyoom"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "Sets the value of a key, whatever its kind was before.",
  complexity: "O(1)",
  differences:
    "A time beyond the year 10889 is refused. AS says what a client of TypeScript gets: without it, text where the value is UTF-8, else bytes.",
  check: checkSet,
  isBlind: isBlindSet,
  apply(args, state, time) {
    if (args.length > 3) return setWith(args, state, time);
    setRegister(state, toByteString(args[1]!), args[2]!);
    return OK;
  },
};

const GET: ReadCommand = {
  kind: "read",
  id: 2,
  name: "get",
  arity: 2,
  usage: "key",
  group: "string",
  flags: ["readonly", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "The value of a key.",
  complexity: "O(1)",
  read: (args, state) => registerReply(registerAt(state, toByteString(args[1]!))),
};

const SETNX: WriteCommand = {
  kind: "write",
  id: 3,
  name: "setnx",
  arity: 3,
  usage: "key value",
  group: "string",
  flags: ["write", "denyoom", "fast"],
  keys: FIRST_KEY,
  models: singleLeaderOnly(CONDITIONAL),
  since: "1.0.0",
  summary: "Sets the value of a key that does not exist.",
  complexity: "O(1)",
  isBlind: never,
  apply(args, state) {
    const key = toByteString(args[1]!);
    if (state.get(key) !== undefined) return ZERO;
    setRegister(state, key, args[2]!);
    return ONE;
  },
};

const GETSET: WriteCommand = {
  kind: "write",
  id: 4,
  name: "getset",
  arity: 3,
  usage: "key value",
  group: "string",
  flags: ["write", "denyoom", "fast"],
  keys: FIRST_KEY,
  models: singleLeaderOnly(ONE_ORDER),
  since: "1.0.0",
  summary: "Sets the value of a key and answers the one before.",
  complexity: "O(1)",
  isBlind: never,
  apply(args, state) {
    const key = toByteString(args[1]!);
    const before = registerReply(registerAt(state, key));
    setRegister(state, key, args[2]!);
    return before;
  },
};

const GETDEL: WriteCommand = {
  kind: "write",
  id: 5,
  name: "getdel",
  arity: 2,
  usage: "key",
  group: "string",
  flags: ["write", "fast"],
  keys: FIRST_KEY,
  models: singleLeaderOnly(ONE_ORDER),
  since: "6.2.0",
  summary: "Deletes a key and answers its value.",
  complexity: "O(1)",
  isBlind: never,
  apply(args, state) {
    const key = toByteString(args[1]!);
    const row = registerAt(state, key);
    if (row !== undefined) state.delete(key);
    return registerReply(row);
  },
};

/** Without an option, the deadline stays. */
function getexExpiry(args: Args): Expiry {
  let option: ReturnType<typeof expiryOption> = null;
  for (let i = 2; i < args.length; i += option.arguments) {
    option = expiryOption(args, i, option);
    if (option === null || option.word === "KEEPTTL") return refuseSyntax();
  }
  return option?.expiry ?? KEEP_EXPIRY;
}

const GETEX: WriteCommand = {
  kind: "write",
  id: 6,
  name: "getex",
  arity: -2,
  usage:
    "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
  group: "string",
  flags: ["write", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "6.2.0",
  summary: "The value of a key, whose expiry it can set or take away.",
  complexity: "O(1)",
  differences: "A time beyond the year 10889 is refused.",
  check: (args) => void getexExpiry(args),
  isBlind: never,
  apply(args, state, time) {
    const expiry = getexExpiry(args);
    const key = toByteString(args[1]!);
    const row = registerAt(state, key);
    if (row === undefined) return NULL;
    const current = deadlineOf(row);
    const deadline = deadlineFrom(expiry, time, current, "getex");
    if (deadline !== 0 && deadline <= time) state.delete(key);
    else if (deadline !== current) setDeadline(state, key, row, deadline);
    return registerReply(row);
  },
};

const MGET: ReadCommand = {
  kind: "read",
  id: 7,
  name: "mget",
  arity: -2,
  usage: "key [key ...]",
  group: "string",
  flags: ["readonly", "fast"],
  keys: ALL_KEYS,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "The values of several keys; null where there is none or it is of another kind.",
  complexity: "O(N) in the number of keys",
  read(args, state) {
    const items: Reply[] = [];
    let bytes = 0;
    for (let i = 1; i < args.length; i += 1) {
      const row = state.get(toByteString(args[i]!));
      bytes += valueLength(row);
      checkGathered(bytes);
      items.push(row === undefined || !isRegister(row) ? NULL : bulk(registerValue(row)));
    }
    return array(items);
  },
};

const PAIRS = { first: 1, last: -1, step: 2 } as const;

function checkPairs(args: Args, name: string): void {
  if (args.length % 2 === 0) refuseArity(name);
}

function setPairs(args: Args, state: StateWriter): void {
  for (let i = 1; i + 1 < args.length; i += 2) {
    setRegister(state, toByteString(args[i]!), args[i + 1]!);
  }
}

const MSET: WriteCommand = {
  kind: "write",
  id: 8,
  name: "mset",
  arity: -3,
  usage: "key value [key value ...]",
  group: "string",
  flags: ["write", "denyoom"],
  keys: PAIRS,
  models: singleLeaderOnly(SEVERAL_KEYS),
  since: "1.0.1",
  summary: "Sets several keys at once: all or none.",
  complexity: "O(N) in the number of keys",
  check: (args) => checkPairs(args, "mset"),
  isBlind: always,
  apply(args, state) {
    checkPairs(args, "mset");
    setPairs(args, state);
    return OK;
  },
};

const MSETNX: WriteCommand = {
  kind: "write",
  id: 9,
  name: "msetnx",
  arity: -3,
  usage: "key value [key value ...]",
  group: "string",
  flags: ["write", "denyoom"],
  keys: PAIRS,
  models: singleLeaderOnly(SEVERAL_KEYS),
  since: "1.0.1",
  summary: "Sets several keys at once, if none of them exists.",
  complexity: "O(N) in the number of keys",
  check: (args) => checkPairs(args, "msetnx"),
  isBlind: never,
  apply(args, state) {
    checkPairs(args, "msetnx");
    for (let i = 1; i < args.length; i += 2) {
      if (state.get(toByteString(args[i]!)) !== undefined) return ZERO;
    }
    setPairs(args, state);
    return ONE;
  },
};

const APPEND: WriteCommand = {
  kind: "write",
  id: 10,
  name: "append",
  arity: 3,
  usage: "key value",
  group: "string",
  flags: ["write", "denyoom", "fast"],
  keys: FIRST_KEY,
  models: singleLeaderOnly(ONE_ORDER),
  since: "2.0.0",
  summary: "Appends to the value of a key, and answers its new length.",
  complexity: "O(N) in the new length",
  isBlind: never,
  apply(args, state) {
    const key = toByteString(args[1]!);
    const row = registerAt(state, key);
    const before = valueLength(row);
    const appended = args[2]!;
    checkValueLength(before + appended.length);
    const grown = grownRow(state, row, before + appended.length);
    grown.set(appended, VALUE_AT + before);
    state.set(key, grown);
    return integer(before + appended.length);
  },
};

const STRLEN: ReadCommand = {
  kind: "read",
  id: 11,
  name: "strlen",
  arity: 2,
  usage: "key",
  group: "string",
  flags: ["readonly", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "2.2.0",
  summary: "Bytes of the value of a key.",
  complexity: "O(1)",
  read: (args, state) => integer(valueLength(registerAt(state, toByteString(args[1]!)))),
};

function getRange(args: Args, state: StateReader): Reply {
  let start = integerNear(args[2]!);
  let end = integerNear(args[3]!);
  const row = registerAt(state, toByteString(args[1]!));
  if (row === undefined) return EMPTY_BULK;
  const length = valueLength(row);
  if (start < 0 && end < 0 && start > end) return EMPTY_BULK;
  if (start < 0) start = Math.max(0, length + start);
  if (end < 0) end = Math.max(0, length + end);
  if (end >= length) end = length - 1;
  if (start > end || length === 0) return EMPTY_BULK;
  return bulk(row.subarray(VALUE_AT + start, VALUE_AT + end + 1));
}

function checkRange(args: Args): void {
  integerNear(args[2]!);
  integerNear(args[3]!);
}

const GETRANGE: ReadCommand = {
  kind: "read",
  id: 12,
  name: "getrange",
  arity: 4,
  usage: "key start end",
  group: "string",
  flags: ["readonly"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "2.4.0",
  summary: "The bytes of a value from start to end, both included; negative counts from the end.",
  complexity: "O(N) in the bytes answered",
  check: checkRange,
  read: getRange,
};

const SUBSTR: ReadCommand = {
  ...GETRANGE,
  id: 13,
  name: "substr",
  since: "1.0.0",
  summary: "The same as GETRANGE, by its old name.",
};

function rangeOffset(args: Args): number {
  const offset = integerNear(args[2]!);
  if (offset < 0) refuse("offset is out of range");
  return offset;
}

const SETRANGE: WriteCommand = {
  kind: "write",
  id: 14,
  name: "setrange",
  arity: 4,
  usage: "key offset value",
  group: "string",
  flags: ["write", "denyoom"],
  keys: FIRST_KEY,
  models: singleLeaderOnly(ONE_ORDER),
  since: "2.2.0",
  summary: "Overwrites part of a value from an offset on, padding it with zero bytes if need be.",
  complexity: "O(N) in the new length",
  check: (args) => void rangeOffset(args),
  isBlind: never,
  apply(args, state) {
    const offset = rangeOffset(args);
    const patch = args[3]!;
    const key = toByteString(args[1]!);
    const row = registerAt(state, key);
    const before = valueLength(row);
    if (patch.length === 0) return integer(before);
    checkValueLength(offset + patch.length);
    const changed = grownRow(state, row, offset + patch.length);
    changed.set(patch, VALUE_AT + offset);
    state.set(key, changed);
    return integer(valueLength(changed));
  },
};

/** Commands on strings. */
export const STRING_COMMANDS: readonly CommandSpec[] = [
  SET,
  GET,
  SETNX,
  GETSET,
  GETDEL,
  GETEX,
  MGET,
  MSET,
  MSETNX,
  APPEND,
  STRLEN,
  GETRANGE,
  SUBSTR,
  SETRANGE,
];
