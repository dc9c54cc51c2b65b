import { decodeUtf8, toByteString } from "../base/bytes.ts";
import type { WallClock } from "../contract/ids.ts";
import { integer, OK, ONE, type Reply, ZERO } from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import { DEADLINE_MAX, deadlineOf, putDeadline } from "../values/row.ts";
import { type Args, integer64, isWord } from "./arguments.ts";
import { deadlineFrom, refuseExpireTime } from "./deadlines.ts";
import { refuse } from "./refusal.ts";
import {
  always,
  type CommandSpec,
  EVERY_MODEL,
  FIRST_KEY,
  never,
  type ReadCommand,
  type WriteCommand,
} from "./spec.ts";
import { copyRow, registerRow } from "./value.ts";

const NO_KEY = integer(-2);
const NEVER_EXPIRES = integer(-1);

/** What `of` makes of a key's deadline, or what Redis says where there is none. */
function askDeadline(args: Args, state: StateReader, of: (deadline: WallClock) => number): Reply {
  const row = state.get(toByteString(args[1]!));
  if (row === undefined) return NO_KEY;
  const deadline = deadlineOf(row);
  return deadline === 0 ? NEVER_EXPIRES : integer(of(deadline));
}

function remaining(deadline: WallClock, time: WallClock): number {
  return Math.max(0, Math.floor(deadline - time));
}

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
  read: (args, state, time) =>
    askDeadline(args, state, (deadline) => toSeconds(remaining(deadline, time))),
};

function toSeconds(ms: number): number {
  return Math.floor((ms + 500) / 1000);
}

const PTTL: ReadCommand = {
  ...TTL,
  id: 101,
  name: "pttl",
  since: "2.6.0",
  summary: "Milliseconds until the key expires; -1 if it never does, -2 if there is no key.",
  read: (args, state, time) => askDeadline(args, state, (deadline) => remaining(deadline, time)),
};

const EXPIRETIME: ReadCommand = {
  ...TTL,
  id: 102,
  name: "expiretime",
  since: "7.0.0",
  summary: "When the key expires, in seconds since 1970; -1 if never, -2 if there is no key.",
  read: (args, state) => askDeadline(args, state, toSeconds),
};

const PEXPIRETIME: ReadCommand = {
  ...TTL,
  id: 103,
  name: "pexpiretime",
  since: "7.0.0",
  summary: "When the key expires, in milliseconds since 1970; -1 if never, -2 if there is no key.",
  read: (args, state) => askDeadline(args, state, (deadline) => deadline),
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
  isBlind: never,
  apply(args, state) {
    const key = toByteString(args[1]!);
    const row = state.get(key);
    if (row === undefined || deadlineOf(row) === 0) return ZERO;
    setDeadline(state, key, row, 0);
    return ONE;
  },
};

/** The same row with another deadline; 0 for none. */
export function setDeadline(
  state: StateWriter,
  key: string,
  row: Uint8Array,
  deadline: WallClock,
): void {
  const changed = copyRow(state, row);
  putDeadline(changed, deadline);
  state.set(key, changed);
}

interface ExpireConditions {
  /** No deadline yet. */
  readonly nx: boolean;
  /** Some deadline. */
  readonly xx: boolean;
  /** A later one than there is. */
  readonly gt: boolean;
  /** An earlier one than there is. */
  readonly lt: boolean;
}

function expireConditions(args: Args): ExpireConditions {
  const given = { nx: false, xx: false, gt: false, lt: false };
  for (let i = 3; i < args.length; i += 1) {
    const word = args[i]!;
    if (isWord(word, "NX")) given.nx = true;
    else if (isWord(word, "XX")) given.xx = true;
    else if (isWord(word, "GT")) given.gt = true;
    else if (isWord(word, "LT")) given.lt = true;
    else refuse(`Unsupported option ${decodeUtf8(word.subarray(0, 64))}`);
  }
  if (given.nx && (given.xx || given.gt || given.lt)) {
    refuse("NX and XX, GT or LT options at the same time are not compatible");
  }
  if (given.gt && given.lt) refuse("GT and LT options at the same time are not compatible");
  return given;
}

/** How one command of the family reads its argument. */
interface ExpireForm {
  readonly name: string;
  readonly unitMs: number;
  readonly isAbsolute: boolean;
}

/** May lie in the past: then the key is deleted. */
function expireTime(args: Args, form: ExpireForm, time: WallClock): WallClock {
  const ms = Number(integer64(args[2]!)) * form.unitMs;
  const deadline = form.isAbsolute ? ms : time + ms;
  if (deadline > DEADLINE_MAX || deadline < Number.MIN_SAFE_INTEGER * 1024) {
    refuseExpireTime(form.name);
  }
  return deadline;
}

function holds(conditions: ExpireConditions, current: WallClock, wanted: WallClock): boolean {
  if (conditions.nx && current !== 0) return false;
  if (conditions.xx && current === 0) return false;
  if (conditions.gt && (current === 0 || wanted <= current)) return false;
  return !(conditions.lt && current !== 0 && wanted >= current);
}

function expire(args: Args, state: StateWriter, time: WallClock, form: ExpireForm): Reply {
  const conditions = expireConditions(args);
  const deadline = expireTime(args, form, time);
  const key = toByteString(args[1]!);
  const row = state.get(key);
  if (row === undefined || !holds(conditions, deadlineOf(row), deadline)) return ZERO;
  if (deadline <= time) state.delete(key);
  else setDeadline(state, key, row, deadline);
  return ONE;
}

function expireCommand(
  form: ExpireForm,
  facts: Pick<WriteCommand, "id" | "usage" | "since" | "summary">,
): WriteCommand {
  return {
    ...facts,
    kind: "write",
    name: form.name,
    arity: -3,
    group: "generic",
    flags: ["write", "fast"],
    keys: FIRST_KEY,
    models: EVERY_MODEL,
    complexity: "O(1)",
    differences: "A time beyond the year 10889 is refused.",
    check(args) {
      expireConditions(args);
      expireTime(args, form, 0);
    },
    isBlind: never,
    apply: (args, state, time) => expire(args, state, time, form),
  };
}

const CONDITIONS = "[NX | XX | GT | LT]";

const EXPIRE = expireCommand(
  { name: "expire", unitMs: 1000, isAbsolute: false },
  {
    id: 105,
    usage: `key seconds ${CONDITIONS}`,
    since: "1.0.0",
    summary: "Lets a key expire after so many seconds; answers 0 where there is no key.",
  },
);

const PEXPIRE = expireCommand(
  { name: "pexpire", unitMs: 1, isAbsolute: false },
  {
    id: 106,
    usage: `key milliseconds ${CONDITIONS}`,
    since: "2.6.0",
    summary: "Lets a key expire after so many milliseconds; answers 0 where there is no key.",
  },
);

const EXPIREAT = expireCommand(
  { name: "expireat", unitMs: 1000, isAbsolute: true },
  {
    id: 107,
    usage: `key unix-time-seconds ${CONDITIONS}`,
    since: "1.2.0",
    summary: "Lets a key expire at a time in seconds since 1970; one that is over deletes it.",
  },
);

const PEXPIREAT = expireCommand(
  { name: "pexpireat", unitMs: 1, isAbsolute: true },
  {
    id: 108,
    usage: `key unix-time-milliseconds ${CONDITIONS}`,
    since: "2.6.0",
    summary: "Lets a key expire at a time in milliseconds since 1970; one that is over deletes it.",
  },
);

function setexCommand(
  name: string,
  unit: "s" | "ms",
  facts: Pick<WriteCommand, "id" | "usage" | "since" | "summary">,
): WriteCommand {
  const deadline = (args: Args, time: WallClock) =>
    deadlineFrom({ kind: "in", unit, arg: args[2]! }, time, 0, name);
  return {
    ...facts,
    kind: "write",
    name,
    arity: 4,
    group: "string",
    flags: ["write", "denyoom"],
    keys: FIRST_KEY,
    models: EVERY_MODEL,
    complexity: "O(1)",
    check: (args) => void deadline(args, 0),
    isBlind: always,
    apply(args, state, time) {
      const row = registerRow(state, args[3]!);
      putDeadline(row, deadline(args, time));
      state.set(toByteString(args[1]!), row);
      return OK;
    },
  };
}

const SETEX = setexCommand("setex", "s", {
  id: 15,
  usage: "key seconds value",
  since: "2.0.0",
  summary: "Sets the value of a key, and lets it expire after so many seconds.",
});

const PSETEX = setexCommand("psetex", "ms", {
  id: 16,
  usage: "key milliseconds value",
  since: "2.6.0",
  summary: "Sets the value of a key, and lets it expire after so many milliseconds.",
});

/** Commands about deadlines (GEN7). */
export const EXPIRY_COMMANDS: readonly CommandSpec[] = [
  TTL,
  PTTL,
  EXPIRETIME,
  PEXPIRETIME,
  PERSIST,
  EXPIRE,
  PEXPIRE,
  EXPIREAT,
  PEXPIREAT,
  SETEX,
  PSETEX,
];
