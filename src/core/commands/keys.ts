import { type ByteString, fromByteString, toByteString } from "../base/bytes.ts";
import {
  array,
  bulk,
  bulkText,
  integer,
  NULL,
  OK,
  ONE,
  type Reply,
  ZERO,
} from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import { deadlineOf, isCollection, isRegister, kindOf, MAP, SET, VALUE_AT } from "../values/row.ts";
import { type Args, integer64, isWord, lowerText, parseI64 } from "./arguments.ts";
import { collectionEncoding, copyValue } from "./collections.ts";
import { drawSeed, prngOf } from "./draws.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
import {
  ALL_KEYS,
  always,
  type CommandSpec,
  EVERY_MODEL,
  FIRST_KEY,
  never,
  type ReadCommand,
  singleLeaderOnly,
  TWO_KEYS,
  type WriteCommand,
} from "./spec.ts";
import { copyRow, valueLength } from "./value.ts";

const SEVERAL_KEYS = singleLeaderOnly(
  "Several keys change at once only in a single-leader keyspace",
);

function deleteAll(args: Args, state: StateWriter): Reply {
  let deleted = 0;
  for (let i = 1; i < args.length; i += 1) {
    if (state.delete(toByteString(args[i]!))) deleted += 1;
  }
  return integer(deleted);
}

const DEL: WriteCommand = {
  kind: "write",
  id: 70,
  name: "del",
  arity: -2,
  usage: "key [key ...]",
  group: "generic",
  flags: ["write"],
  keys: ALL_KEYS,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "Deletes keys and answers how many there were.",
  complexity: "O(N) in the number of keys",
  isBlind: never,
  apply: deleteAll,
};

const UNLINK: WriteCommand = {
  ...DEL,
  id: 71,
  name: "unlink",
  flags: ["write", "fast"],
  since: "4.0.0",
  summary: "The same as DEL: nothing is freed in the background.",
};

function countExisting(args: Args, state: StateReader): Reply {
  let count = 0;
  for (let i = 1; i < args.length; i += 1) {
    if (state.get(toByteString(args[i]!)) !== undefined) count += 1;
  }
  return integer(count);
}

const EXISTS: ReadCommand = {
  kind: "read",
  id: 72,
  name: "exists",
  arity: -2,
  usage: "key [key ...]",
  group: "generic",
  flags: ["readonly", "fast"],
  keys: ALL_KEYS,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "How many of the keys exist; one that is named twice counts twice.",
  complexity: "O(N) in the number of keys",
  read: countExisting,
};

const TOUCH: ReadCommand = {
  ...EXISTS,
  id: 73,
  name: "touch",
  since: "3.2.1",
  summary: "The same as EXISTS: times of access are not kept.",
};

/** The name of a row's kind, as TYPE and SCAN TYPE give it. */
export function kindName(row: Uint8Array | undefined): string {
  if (row === undefined) return "none";
  if (isRegister(row)) return "string";
  switch (kindOf(row)) {
    case SET:
      return "set";
    case MAP:
      return "hash";
    default:
      return "unknown";
  }
}

const TYPE: ReadCommand = {
  kind: "read",
  id: 74,
  name: "type",
  arity: 2,
  usage: "key",
  group: "generic",
  flags: ["readonly", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "The kind of a key's value, or none.",
  complexity: "O(1)",
  read: (args, state) => ({ kind: "simple", text: kindName(state.get(toByteString(args[1]!))) }),
};

/** Moves a row to another key. */
function rename(args: Args, state: StateWriter, mayReplace: boolean): Reply {
  const from = toByteString(args[1]!);
  const to = toByteString(args[2]!);
  const row = state.get(from) ?? refuse("no such key");
  if (from === to) return mayReplace ? OK : ZERO;
  if (!mayReplace && state.get(to) !== undefined) return ZERO;
  state.set(to, copyRow(state, row));
  state.delete(from);
  return mayReplace ? OK : ONE;
}

const RENAME: WriteCommand = {
  kind: "write",
  id: 75,
  name: "rename",
  arity: 3,
  usage: "key newkey",
  group: "generic",
  flags: ["write"],
  keys: TWO_KEYS,
  models: SEVERAL_KEYS,
  since: "1.0.0",
  summary: "Gives a key another name, replacing what was there.",
  complexity: "O(1)",
  isBlind: never,
  apply: (args, state) => rename(args, state, true),
};

const RENAMENX: WriteCommand = {
  ...RENAME,
  id: 76,
  name: "renamenx",
  flags: ["write", "fast"],
  summary: "Gives a key another name, if that one is free.",
  apply: (args, state) => rename(args, state, false),
};

function copyReplaces(args: Args): boolean {
  let replaces = false;
  for (let i = 3; i < args.length; i += 1) {
    if (isWord(args[i]!, "REPLACE")) replaces = true;
    else if (isWord(args[i]!, "DB") && i + 1 < args.length) {
      integer64(args[i + 1]!);
      refuse("COPY with DB is not available: no operation spans two keyspaces");
    } else refuseSyntax();
  }
  return replaces;
}

function checkCopy(args: Args): boolean {
  const replaces = copyReplaces(args);
  if (toByteString(args[1]!) === toByteString(args[2]!)) {
    refuse("source and destination objects are the same");
  }
  return replaces;
}

const COPY: WriteCommand = {
  kind: "write",
  id: 77,
  name: "copy",
  arity: -3,
  usage: "source destination [REPLACE]",
  group: "generic",
  flags: ["write", "denyoom"],
  keys: TWO_KEYS,
  models: SEVERAL_KEYS,
  since: "6.2.0",
  summary: "Copies a key to another name.",
  complexity: "O(N) in the fields or members",
  differences: "The DB option is refused: no operation spans two keyspaces.",
  check: (args) => void checkCopy(args),
  isBlind: never,
  apply(args, state) {
    const replaces = checkCopy(args);
    const row = state.get(toByteString(args[1]!));
    const to = toByteString(args[2]!);
    if (row === undefined || (!replaces && state.get(to) !== undefined)) return ZERO;
    const copy = isCollection(row) ? copyValue(state, row, deadlineOf(row)) : copyRow(state, row);
    state.set(to, copy);
    return ONE;
  },
};

const DBSIZE: ReadCommand = {
  kind: "read",
  id: 78,
  name: "dbsize",
  arity: 1,
  usage: "",
  group: "server",
  flags: ["readonly", "fast"],
  categories: ["keyspace"],
  keys: null,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "How many keys there are in the selected keyspace.",
  complexity: "O(1)",
  read: (_args, state) => integer(state.size),
};

function checkFlush(args: Args): void {
  if (args.length === 1) return;
  if (args.length > 2 || !(isWord(args[1]!, "SYNC") || isWord(args[1]!, "ASYNC"))) refuseSyntax();
}

const FLUSHDB: WriteCommand = {
  kind: "write",
  id: 79,
  name: "flushdb",
  arity: -1,
  usage: "[ASYNC | SYNC]",
  group: "server",
  flags: ["write"],
  categories: ["keyspace", "dangerous"],
  keys: null,
  models: singleLeaderOnly("Delete the keys one by one, or drop the keyspace"),
  since: "1.0.0",
  summary: "Deletes every key of the selected keyspace.",
  complexity: "O(N) in the number of keys",
  differences: "ASYNC and SYNC mean the same.",
  check: checkFlush,
  isBlind: always,
  apply(args, state) {
    checkFlush(args);
    state.clear();
    return OK;
  },
};

/** Longest value that Redis keeps beside its header. */
const EMBEDDED_BYTES_MAX = 44;

function encodingName(row: Uint8Array, state: StateReader): string {
  if (isCollection(row)) return collectionEncoding(state, row);
  if (parseI64(row, VALUE_AT) !== null) return "int";
  return valueLength(row) <= EMBEDDED_BYTES_MAX ? "embstr" : "raw";
}

const OBJECT_HELP = [
  "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
  "ENCODING <key>",
  "    The encoding that Redis would choose for the value.",
  "FREQ <key>",
  "    Refused: frequencies of access are not kept.",
  "HELP",
  "    Prints this help.",
  "IDLETIME <key>",
  "    Refused: times of access are not kept.",
  "REFCOUNT <key>",
  "    1, for a key that exists.",
];

function object(args: Args, state: StateReader): Reply {
  const word = lowerText(args[1]!);
  if (word === "help") {
    return array(OBJECT_HELP.map((text) => ({ kind: "simple", text }) as const));
  }
  const row = state.get(toByteString(args[2] ?? refuseSyntax()));
  if (row === undefined) return NULL;
  switch (word) {
    case "encoding":
      return bulkText(encodingName(row, state));
    case "refcount":
      return ONE;
    case "idletime":
      return refuse("times of access are not kept, so there is no idle time");
    case "freq":
      return refuse(
        "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
      );
    default:
      return refuseSyntax();
  }
}

const OBJECT: ReadCommand = {
  kind: "read",
  id: 80,
  name: "object",
  arity: -2,
  usage: "subcommand [key]",
  group: "generic",
  flags: ["readonly"],
  keys: null,
  models: EVERY_MODEL,
  since: "2.2.3",
  summary: "Internals of a value, as far as they mean something here.",
  complexity: "O(1)",
  differences:
    "ENCODING is what Redis would choose for a value set in one piece; REFCOUNT is always 1; IDLETIME is refused.",
  subcommands: [
    objectWord("encoding", "The encoding that Redis would choose for the value."),
    objectWord("freq", "Refused: frequencies of access are not kept."),
    {
      name: "help",
      arity: 2,
      usage: "",
      summary: "Explains the subcommands.",
      since: "6.2.0",
    },
    objectWord("idletime", "Refused: times of access are not kept."),
    objectWord("refcount", "1, for a key that exists."),
  ],
  read: object,
};

function objectWord(name: string, summary: string) {
  const keys = { first: 2, last: 2, step: 1 };
  return { name, arity: 3, usage: "key", summary, since: "2.2.3", keys };
}

const RANDOMKEY: ReadCommand = {
  kind: "read",
  id: 81,
  name: "randomkey",
  arity: 1,
  usage: "",
  group: "generic",
  flags: ["readonly"],
  keys: null,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "A key drawn at random, every one as likely.",
  complexity: "O(N) in the number of keys",
  toWire: (args, edge) => [args[0]!, drawSeed(edge)],
  read(args, state) {
    if (state.size === 0) return NULL;
    let left = prngOf(args[1]).below(state.size);
    // Some of the keys that are counted may have died.
    let last: ByteString | null = null;
    for (const [key] of state.rows("", null)) {
      last = key;
      if (left === 0) break;
      left -= 1;
    }
    return last === null ? NULL : bulk(fromByteString(last));
  },
};

/** Commands on keys, whatever their values. */
export const KEY_COMMANDS: readonly CommandSpec[] = [
  DEL,
  UNLINK,
  EXISTS,
  TOUCH,
  TYPE,
  RENAME,
  RENAMENX,
  COPY,
  DBSIZE,
  FLUSHDB,
  OBJECT,
  RANDOMKEY,
];
