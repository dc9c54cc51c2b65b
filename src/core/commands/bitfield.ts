import { assert } from "../base/assert.ts";
import { toByteString } from "../base/bytes.ts";
import { array, integer, NULL, type Reply } from "../contract/reply.ts";
import type { StateReader } from "../contract/state-machine.ts";
import { VALUE_AT } from "../values/row.ts";
import { type Args, integer64, isWord, narrow, parseI64 } from "./arguments.ts";
import { bitOffset } from "./bits.ts";
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
import { grownRow, registerAt, valueLength } from "./value.ts";

type Overflow = "wrap" | "saturate" | "fail";

interface FieldOp {
  readonly kind: "get" | "set" | "increment";
  readonly isSigned: boolean;
  /** 1 to 64, and 63 at most where unsigned. */
  readonly bits: number;
  /** Of its first bit. */
  readonly offset: number;
  readonly operand: bigint;
  readonly overflow: Overflow;
}

function parseOps(args: Args): FieldOp[] {
  const ops: FieldOp[] = [];
  let overflow: Overflow = "wrap";
  let at = 2;
  while (at < args.length) {
    const word = args[at]!;
    const left = args.length - at - 1;
    if (isWord(word, "OVERFLOW") && left >= 1) {
      overflow = parseOverflow(args[at + 1]!);
      at += 2;
      continue;
    }
    const kind = opKind(word, left);
    const { isSigned, bits } = parseType(args[at + 1]!);
    const offset = bitOffset(args[at + 2]!, bits);
    const operand = kind === "get" ? 0n : BigInt(integer64(args[at + 3]!));
    ops.push({ kind, isSigned, bits, offset, operand, overflow });
    at += kind === "get" ? 3 : 4;
  }
  if (ops.length > LIMITS.bitfieldOpsMax) {
    refuse(`BITFIELD takes ${LIMITS.bitfieldOpsMax} operations at most`);
  }
  return ops;
}

function opKind(word: Uint8Array, left: number): FieldOp["kind"] {
  if (isWord(word, "GET") && left >= 2) return "get";
  if (isWord(word, "SET") && left >= 3) return "set";
  if (isWord(word, "INCRBY") && left >= 3) return "increment";
  return refuseSyntax();
}

function parseOverflow(arg: Uint8Array): Overflow {
  if (isWord(arg, "WRAP")) return "wrap";
  if (isWord(arg, "SAT")) return "saturate";
  if (isWord(arg, "FAIL")) return "fail";
  return refuse("Invalid OVERFLOW type specified");
}

function parseType(arg: Uint8Array): { readonly isSigned: boolean; readonly bits: number } {
  const isSigned = arg[0] === 0x69;
  const bits = isSigned || arg[0] === 0x75 ? Number(parseI64(arg, 1) ?? 0) : 0;
  if (bits < 1 || bits > (isSigned ? 64 : 63)) {
    refuse(
      "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    );
  }
  return { isSigned, bits };
}

function readField(row: Uint8Array | undefined, op: FieldOp): bigint {
  let value = 0n;
  for (let i = 0; i < op.bits; i += 1) {
    const at = op.offset + i;
    const byte = row?.[VALUE_AT + Math.floor(at / 8)] ?? 0;
    value = (value << 1n) | BigInt((byte >> (7 - (at % 8))) & 1);
  }
  return op.isSigned ? BigInt.asIntN(op.bits, value) : value;
}

function writeField(row: Uint8Array, op: FieldOp, value: bigint): void {
  let rest = BigInt.asUintN(op.bits, value);
  for (let i = op.bits - 1; i >= 0; i -= 1) {
    const at = op.offset + i;
    const byteAt = VALUE_AT + Math.floor(at / 8);
    assert(byteAt < row.length, "the row was not grown enough");
    const mask = 0x80 >> (at % 8);
    row[byteAt] = (rest & 1n) === 1n ? row[byteAt]! | mask : row[byteAt]! & ~mask;
    rest >>= 1n;
  }
}

const SIGNED_64_MAX = (1n << 63n) - 1n;

/**
 * Whether Redis takes a SET's operand for one that is too large although it is too small: the
 * distance from the field's greatest value does not fit 64 bits.
 */
function wrapsAround(op: FieldOp, operand: bigint): boolean {
  if (op.kind !== "set" || !op.isSigned || op.bits === 64 || op.overflow !== "saturate")
    return false;
  const max = (1n << BigInt(op.bits - 1)) - 1n;
  return max - operand > SIGNED_64_MAX;
}

/** The value as it fits the field; null where it does not and OVERFLOW FAIL says to leave it. */
function fitField(op: FieldOp, value: bigint): bigint | null {
  const bits = BigInt(op.bits);
  const max = op.isSigned ? (1n << (bits - 1n)) - 1n : (1n << bits) - 1n;
  const min = op.isSigned ? -(1n << (bits - 1n)) : 0n;
  if (value >= min && value <= max) return value;
  switch (op.overflow) {
    case "fail":
      return null;
    case "saturate":
      return value > max ? max : min;
    case "wrap":
      return op.isSigned ? BigInt.asIntN(op.bits, value) : BigInt.asUintN(op.bits, value);
  }
}

function fieldReply(value: bigint): Reply {
  const narrowed = narrow(value);
  assert(narrowed !== null, "a field has 64 bits at most");
  return integer(narrowed);
}

function readAll(ops: readonly FieldOp[], row: Uint8Array | undefined): Reply {
  return array(ops.map((op) => fieldReply(readField(row, op))));
}

/** Carries out the operations on a row that is grown already. */
function writeAll(ops: readonly FieldOp[], row: Uint8Array): Reply {
  const items: Reply[] = [];
  for (const op of ops) {
    const before = readField(row, op);
    if (op.kind === "get") {
      items.push(fieldReply(before));
      continue;
    }
    // Redis takes the operand of an unsigned SET as unsigned: a negative one is too large, not
    // small.
    const given = op.isSigned ? op.operand : BigInt.asUintN(64, op.operand);
    const wanted = op.kind === "set" ? given : before + op.operand;
    const value = fitField(op, wrapsAround(op, given) ? SIGNED_64_MAX : wanted);
    if (value !== null) writeField(row, op, value);
    if (value === null) items.push(NULL);
    else items.push(fieldReply(op.kind === "set" ? before : value));
  }
  return array(items);
}

/** Bytes that the value must have for all that the operations write; 0 if they only read. */
function bytesNeeded(ops: readonly FieldOp[]): number {
  let bytes = 0;
  for (const op of ops) {
    if (op.kind === "get") continue;
    bytes = Math.max(bytes, Math.floor((op.offset + op.bits - 1) / 8) + 1);
  }
  return bytes;
}

const BITFIELD: WriteCommand = {
  kind: "write",
  id: 55,
  name: "bitfield",
  arity: -2,
  usage:
    "key [(GET encoding offset | [OVERFLOW (WRAP | SAT | FAIL)] (SET encoding offset value | INCRBY encoding offset increment)) ...]",
  group: "bitmap",
  flags: ["write", "denyoom"],
  keys: FIRST_KEY,
  models: singleLeaderOnly("It needs one order of all writes: use a single-leader keyspace"),
  since: "3.2.0",
  summary: "Reads, sets and adds to integers of any width within a value.",
  complexity: "O(1) per operation, and O(N) in the new length",
  check: (args) => void parseOps(args),
  isBlind: never,
  apply(args, state) {
    const ops = parseOps(args);
    const key = toByteString(args[1]!);
    const row = registerAt(state, key);
    const bytes = bytesNeeded(ops);
    if (bytes === 0) return readAll(ops, row);
    const changed = grownRow(state, row, bytes);
    const reply = writeAll(ops, changed);
    assert(valueLength(changed) >= bytes, "the row was not grown enough");
    state.set(key, changed);
    return reply;
  },
};

function readOnlyOps(args: Args): FieldOp[] {
  const ops = parseOps(args);
  if (bytesNeeded(ops) > 0) refuse("BITFIELD_RO only supports the GET subcommand");
  return ops;
}

const BITFIELD_RO: ReadCommand = {
  kind: "read",
  id: 56,
  name: "bitfield_ro",
  arity: -2,
  usage: "key [GET encoding offset ...]",
  group: "bitmap",
  flags: ["readonly", "fast"],
  keys: FIRST_KEY,
  models: EVERY_MODEL,
  since: "6.0.0",
  summary: "Reads integers of any width within a value.",
  complexity: "O(1) per operation",
  check: (args) => void readOnlyOps(args),
  read(args, state: StateReader) {
    const ops = readOnlyOps(args);
    return readAll(ops, registerAt(state, toByteString(args[1]!)));
  },
};

/** BITFIELD and its read-only form. */
export const BITFIELD_COMMANDS: readonly CommandSpec[] = [BITFIELD, BITFIELD_RO];
