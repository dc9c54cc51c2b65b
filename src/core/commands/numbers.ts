import { toByteString } from "../base/bytes.ts";
import { bulk, integer, type Reply } from "../contract/reply.ts";
import type { StateWriter } from "../contract/state-machine.ts";
import { VALUE_AT } from "../values/row.ts";
import { type Args, integer64, narrow, parseI64 } from "./arguments.ts";
import { addDecimals, type Decimal, formatDecimal, parseDecimal } from "./decimal.ts";
import { refuse, refuseNotInteger } from "./refusal.ts";
import {
  type CommandSpec,
  EVERY_MODEL,
  FIRST_KEY,
  never,
  singleLeaderOnly,
  type WriteCommand,
} from "./spec.ts";
import { registerAt, registerValue, textRow } from "./value.ts";

const I64_MIN = -0x8000_0000_0000_0000n;

function add(key: Uint8Array, increment: number | bigint, state: StateWriter): Reply {
  const name = toByteString(key);
  const row = registerAt(state, name);
  const before = row === undefined ? 0 : (parseI64(row, VALUE_AT) ?? refuseNotInteger());
  const sum = addI64(before, increment) ?? refuse("increment or decrement would overflow");
  state.set(name, textRow(state, String(sum), row));
  return integer(sum);
}

/** The sum within 64 bits, else null; bigints only where numbers would not be exact. */
export function addI64(a: number | bigint, b: number | bigint): number | bigint | null {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return narrow(BigInt(a) + BigInt(b));
}

/** The negative of DECRBY's argument; the smallest integer has none. */
function negated(arg: Uint8Array): number | bigint {
  const decrement = integer64(arg);
  if (decrement === 0) return 0;
  if (decrement === I64_MIN) refuse("decrement would overflow");
  return -decrement;
}

const COUNTER = {
  kind: "write",
  group: "string",
  flags: ["write", "denyoom", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "1.0.0",
  complexity: "O(1)",
  isBlind: never,
} as const;

const INCR: WriteCommand = {
  ...COUNTER,
  id: 20,
  name: "incr",
  arity: 2,
  usage: "key",
  summary: "Adds 1 to the integer value of a key; a missing key counts as 0.",
  apply: (args, state) => add(args[1]!, 1, state),
};

const DECR: WriteCommand = {
  ...COUNTER,
  id: 21,
  name: "decr",
  arity: 2,
  usage: "key",
  summary: "Subtracts 1 from the integer value of a key; a missing key counts as 0.",
  apply: (args, state) => add(args[1]!, -1, state),
};

const INCRBY: WriteCommand = {
  ...COUNTER,
  id: 22,
  name: "incrby",
  arity: 3,
  usage: "key increment",
  summary: "Adds to the integer value of a key; a missing key counts as 0.",
  check: (args) => void integer64(args[2]!),
  apply: (args, state) => add(args[1]!, integer64(args[2]!), state),
};

const DECRBY: WriteCommand = {
  ...COUNTER,
  id: 23,
  name: "decrby",
  arity: 3,
  usage: "key decrement",
  summary: "Subtracts from the integer value of a key; a missing key counts as 0.",
  check: (args) => void negated(args[2]!),
  apply: (args, state) => add(args[1]!, negated(args[2]!), state),
};

/** What a missing number counts as. */
export const DECIMAL_ZERO: Decimal = { units: 0n, scale: 0 };

function addFloat(args: Args, state: StateWriter): Reply {
  const key = toByteString(args[1]!);
  const row = registerAt(state, key);
  const before = row === undefined ? DECIMAL_ZERO : floatOf(registerValue(row));
  const increment = floatOf(args[2]!);
  if (before === "infinite" || increment === "infinite") {
    return refuse("increment would produce NaN or Infinity");
  }
  const sum = textRow(state, formatDecimal(addDecimals(before, increment)), row);
  state.set(key, sum);
  return bulk(registerValue(sum));
}

function floatOf(bytes: Uint8Array): Decimal | "infinite" {
  return parseDecimal(bytes) ?? refuse("value is not a valid float");
}

const INCRBYFLOAT: WriteCommand = {
  kind: "write",
  id: 24,
  name: "incrbyfloat",
  arity: 3,
  usage: "key increment",
  group: "string",
  flags: ["write", "denyoom", "fast"],
  keys: FIRST_KEY,
  models: singleLeaderOnly("Use INCRBY on a counter, in the smallest unit you need"),
  since: "2.6.0",
  summary: "Adds to the decimal value of a key; a missing key counts as 0.",
  complexity: "O(1)",
  differences:
    "The sum is exact to 17 digits after the point, where Redis rounds to a long double. Hexadecimal numbers are refused.",
  isBlind: never,
  apply: addFloat,
};

/** Commands that take a string for a number. */
export const NUMBER_COMMANDS: readonly CommandSpec[] = [INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT];
