import { toByteString } from "../base/bytes.ts";
import { integer, ZERO } from "../contract/reply.ts";
import {
  type CommandSpec,
  EVERY_MODEL,
  FIRST_KEY,
  never,
  type ReadCommand,
  type WriteCommand,
} from "./spec.ts";

const NO_KEY = integer(-2);
const NEVER_EXPIRES = integer(-1);

/**
 * Keys do not expire yet: what asks for a key's deadline answers as Redis does where there is none.
 */
const TTL: ReadCommand = {
  kind: "read",
  id: 100,
  name: "ttl",
  arity: 2,
  usage: "key",
  group: "generic",
  flags: ["readonly", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "Seconds until the key expires; -1 if it never does, -2 if there is no key.",
  complexity: "O(1)",
  differences: "Keys do not expire in this version: -1 or -2.",
  read(args, state) {
    return state.get(toByteString(args[1]!)) === undefined ? NO_KEY : NEVER_EXPIRES;
  },
};

const PTTL: ReadCommand = {
  ...TTL,
  id: 101,
  name: "pttl",
  since: "2.6.0",
  summary: "Milliseconds until the key expires; -1 if it never does, -2 if there is no key.",
};

const EXPIRETIME: ReadCommand = {
  ...TTL,
  id: 102,
  name: "expiretime",
  since: "7.0.0",
  summary: "When the key expires, in seconds since 1970; -1 if never, -2 if there is no key.",
};

const PEXPIRETIME: ReadCommand = {
  ...TTL,
  id: 103,
  name: "pexpiretime",
  since: "7.0.0",
  summary: "When the key expires, in milliseconds since 1970; -1 if never, -2 if there is no key.",
};

const PERSIST: WriteCommand = {
  kind: "write",
  id: 104,
  name: "persist",
  arity: 2,
  usage: "key",
  group: "generic",
  flags: ["write", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "2.2.0",
  summary: "Takes a key's expiry away; answers 0 where it has none.",
  complexity: "O(1)",
  differences: "Keys do not expire in this version: always 0.",
  isBlind: never,
  apply: () => ZERO,
};

/** Commands about deadlines, which no key has in this version. */
export const EXPIRY_COMMANDS: readonly CommandSpec[] = [
  TTL,
  PTTL,
  EXPIRETIME,
  PEXPIRETIME,
  PERSIST,
];
