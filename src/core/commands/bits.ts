import { toByteString } from "../base/bytes.ts";
import { integer, ONE, type Reply, ZERO } from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import { VALUE_AT } from "../values/row.ts";
import { type Args, integerNear, isWord, parseI64 } from "./arguments.ts";
import { LIMITS } from "./limits.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
import {
  type CommandSpec,
  EVERY_MODEL,
  FIRST_KEY,
  never,
  type ReadCommand,
  singleLeaderOnly,
  type WriteCommand,
} from "./spec.ts";
import { checkGathered, grownRow, registerAt, valueLength } from "./value.ts";

const ONE_ORDER = singleLeaderOnly(
  "It needs one order of all writes: use a single-leader keyspace",
);

/** A bit's position from the first byte's most significant bit. `#` counts in fields of `width`. */
export function bitOffset(arg: Uint8Array, width: number): number {
  const isField = width > 0 && arg[0] === 0x23;
  const value = parseI64(arg, isField ? 1 : 0);
  const offset = value === null ? -1 : Number(value) * (isField ? width : 1);
  if (offset < 0 || Math.floor(offset / 8) >= LIMITS.valueBytesMax) {
    refuse("bit offset is not an integer or out of range");
  }
  return offset;
}

function bitValue(arg: Uint8Array): 0 | 1 {
  const value = parseI64(arg);
  if (value !== 0 && value !== 1) refuse("bit is not an integer or out of range");
  return value;
}

const SETBIT: WriteCommand = {
  kind: "write",
  id: 50,
  name: "setbit",
  arity: 4,
  usage: "key offset value",
  group: "bitmap",
  flags: ["write", "denyoom"],
  keys: FIRST_KEY,
  models: ONE_ORDER,
  since: "2.2.0",
  summary: "Sets or clears the bit at an offset, and answers what it was.",
  complexity: "O(N) in the new length",
  check(args) {
    bitOffset(args[2]!, 0);
    bitValue(args[3]!);
  },
  isBlind: never,
  apply(args, state) {
    const offset = bitOffset(args[2]!, 0);
    const on = bitValue(args[3]!);
    const key = toByteString(args[1]!);
    const row = grownRow(state, registerAt(state, key), Math.floor(offset / 8) + 1);
    const at = VALUE_AT + Math.floor(offset / 8);
    const mask = 0x80 >> (offset % 8);
    const before = (row[at]! & mask) !== 0;
    row[at] = on === 1 ? row[at]! | mask : row[at]! & ~mask;
    state.set(key, row);
    return before ? ONE : ZERO;
  },
};

const GETBIT: ReadCommand = {
  kind: "read",
  id: 51,
  name: "getbit",
  arity: 3,
  usage: "key offset",
  group: "bitmap",
  flags: ["readonly", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "2.2.0",
  summary: "The bit at an offset; 0 beyond the value's end.",
  complexity: "O(1)",
  check: (args) => void bitOffset(args[2]!, 0),
  read(args, state) {
    const offset = bitOffset(args[2]!, 0);
    const row = registerAt(state, toByteString(args[1]!));
    const byte = row?.[VALUE_AT + Math.floor(offset / 8)] ?? 0;
    return (byte & (0x80 >> (offset % 8))) === 0 ? ZERO : ONE;
  },
};

function isBitUnit(arg: Uint8Array): boolean {
  if (isWord(arg, "BIT")) return true;
  return isWord(arg, "BYTE") ? false : refuseSyntax();
}

/**
 * The range in bits, [start, end], of arguments that count in bytes or bits, negative from the end.
 */
function bitRange(
  start: number,
  end: number,
  isBit: boolean,
  bytes: number,
): readonly [start: number, end: number] {
  const total = isBit ? bytes * 8 : bytes;
  const from = Math.max(0, start < 0 ? total + start : start);
  const to = Math.min(total - 1, Math.max(0, end < 0 ? total + end : end));
  return isBit ? [from, to] : [from * 8, to * 8 + 7];
}

/** Bits set in a byte. */
function population(byte: number): number {
  let bits = byte - ((byte >> 1) & 0x55);
  bits = (bits & 0x33) + ((bits >> 2) & 0x33);
  return (bits + (bits >> 4)) & 0x0f;
}

function countBits(row: Uint8Array, start: number, end: number): number {
  let count = 0;
  const first = start >> 3;
  const last = end >> 3;
  for (let i = first; i <= last; i += 1) {
    let byte = row[VALUE_AT + i]!;
    if (i === first) byte &= 0xff >> (start & 7);
    if (i === last) byte &= 0xff << (7 - (end & 7));
    count += population(byte & 0xff);
  }
  return count;
}

function bitcount(args: Args, state: StateReader): Reply {
  const row = registerAt(state, toByteString(args[1]!));
  // Redis 7 looks at the rest of the arguments only when there is a value.
  if (row === undefined) return ZERO;
  if (args.length === 2) return integer(countAll(row));
  if (args.length > 5 || args.length === 3) return refuseSyntax();
  const start = integerNear(args[2]!);
  const end = integerNear(args[3]!);
  if (start < 0 && end < 0 && start > end) return ZERO;
  const isBit = args.length === 5 && isBitUnit(args[4]!);
  const [from, to] = bitRange(start, end, isBit, valueLength(row));
  return from > to ? ZERO : integer(countBits(row, from, to));
}

function countAll(row: Uint8Array): number {
  const bits = valueLength(row) * 8;
  return bits === 0 ? 0 : countBits(row, 0, bits - 1);
}

const BITCOUNT: ReadCommand = {
  kind: "read",
  id: 52,
  name: "bitcount",
  arity: -2,
  usage: "key [start end [BYTE | BIT]]",
  group: "bitmap",
  flags: ["readonly"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "2.6.0",
  summary: "How many bits are set in a value, or in a range of it.",
  complexity: "O(N) in the bytes counted",
  read: bitcount,
};

/** Position of the first bit of this value in [start, end]; -1 where there is none. */
function findBit(row: Uint8Array, bit: 0 | 1, start: number, end: number): number {
  const skip = bit === 1 ? 0 : 0xff;
  for (let at = start; at <= end; ) {
    const byte = row[VALUE_AT + (at >> 3)]!;
    if (byte === skip) {
      at = (at & ~7) + 8;
      continue;
    }
    if (((byte >> (7 - (at & 7))) & 1) === bit) return at;
    at += 1;
  }
  return -1;
}

function bitpos(args: Args, state: StateReader): Reply {
  const bit = parseI64(args[2]!) ?? integerNear(args[2]!);
  if (bit !== 0 && bit !== 1) return refuse("The bit argument must be 1 or 0.");
  const row = registerAt(state, toByteString(args[1]!));
  if (row === undefined) return integer(bit === 1 ? -1 : 0);
  if (args.length > 6) return refuseSyntax();
  const bytes = valueLength(row);
  const start = args.length > 3 ? integerNear(args[3]!) : 0;
  const isBit = args.length === 6 && isBitUnit(args[5]!);
  const hasEnd = args.length > 4;
  const end = hasEnd ? integerNear(args[4]!) : -1;
  if (bytes === 0) return integer(-1);
  const [from, to] = bitRange(start, end, isBit, bytes);
  if (from > to) return integer(-1);
  const found = findBit(row, bit, from, to);
  // Without an end, what follows the value counts as zeros.
  if (found === -1 && bit === 0 && !hasEnd) return integer(bytes * 8);
  return integer(found);
}

const BITPOS: ReadCommand = {
  kind: "read",
  id: 53,
  name: "bitpos",
  arity: -3,
  usage: "key bit [start [end [BYTE | BIT]]]",
  group: "bitmap",
  flags: ["readonly"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "2.8.7",
  summary: "Position of the first bit that is set, or clear, in a value.",
  complexity: "O(N) in the bytes looked at",
  read: bitpos,
};

type BitOperation = "AND" | "OR" | "XOR" | "NOT";
const BIT_OPERATIONS: readonly BitOperation[] = ["AND", "OR", "XOR", "NOT"];

function bitOperation(args: Args): BitOperation {
  const operation = BIT_OPERATIONS.find((name) => isWord(args[1]!, name)) ?? refuseSyntax();
  if (operation === "NOT" && args.length !== 4) {
    refuse("BITOP NOT must be called with a single source key.");
  }
  return operation;
}

/** Combines values of any lengths; the shorter ones count as padded with zeros. */
function combine(
  state: StateWriter,
  operation: BitOperation,
  rows: readonly (Uint8Array | undefined)[],
): Uint8Array {
  const bytes = rows.reduce((max, row) => Math.max(max, valueLength(row)), 0);
  const result = grownRow(state, rows[0], bytes);
  for (let at = VALUE_AT; at < result.length; at += 1) {
    if (operation === "NOT") result[at] = ~result[at]!;
    for (let i = 1; i < rows.length; i += 1) {
      const byte = rows[i]?.[at] ?? 0;
      if (operation === "AND") result[at] = result[at]! & byte;
      else if (operation === "OR") result[at] = result[at]! | byte;
      else result[at] = result[at]! ^ byte;
    }
  }
  return result;
}

const BITOP: WriteCommand = {
  kind: "write",
  id: 54,
  name: "bitop",
  arity: -4,
  usage: "(AND | OR | XOR | NOT) destkey key [key ...]",
  group: "bitmap",
  flags: ["write", "denyoom"],
  keys: { first: 2, last: -1, step: 1 },
  models: ONE_ORDER,
  since: "2.6.0",
  summary: "Combines values bit by bit and keeps the result under another key.",
  complexity: "O(N) in the length of the longest value, times the number of keys",
  check: (args) => void bitOperation(args),
  isBlind: never,
  apply(args, state) {
    const operation = bitOperation(args);
    const rows: (Uint8Array | undefined)[] = [];
    let bytes = 0;
    for (let i = 3; i < args.length; i += 1) {
      const row = registerAt(state, toByteString(args[i]!));
      bytes += valueLength(row);
      checkGathered(bytes);
      rows.push(row);
    }
    const result = combine(state, operation, rows);
    const destination = toByteString(args[2]!);
    if (valueLength(result) === 0) state.delete(destination);
    else state.set(destination, result);
    return integer(valueLength(result));
  },
};

/** Commands on single bits of a string. */
export const BIT_COMMANDS: readonly CommandSpec[] = [SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP];
