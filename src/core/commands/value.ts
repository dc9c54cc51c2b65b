import type { ByteString } from "../base/bytes.ts";
import { bulk, NULL, type Reply } from "../contract/reply.ts";
import type { StateReader, StateWriter } from "../contract/state-machine.ts";
import { deadlineOf, isRegister, putDeadline, REGISTER, VALUE_AT } from "../values/row.ts";
import { LIMITS } from "./limits.ts";
import { refuse, refuseLimit } from "./refusal.ts";

/** A row that holds a copy of the bytes, so that it does not pin the frame they came in. */
export function registerRow(state: StateWriter, bytes: Uint8Array): Uint8Array {
  const row = emptyRow(state, bytes.length);
  row.set(bytes, VALUE_AT);
  return row;
}

/** A row of ASCII text, such as a number, with the deadline of the row that was there before. */
export function textRow(
  state: StateWriter,
  text: string,
  before: Uint8Array | undefined,
): Uint8Array {
  const row = emptyRow(state, text.length);
  for (let i = 0; i < text.length; i += 1) row[VALUE_AT + i] = text.charCodeAt(i);
  if (before !== undefined) putDeadline(row, deadlineOf(before));
  return row;
}

/** A register's row of `length` value bytes, all zero. */
export function emptyRow(state: StateWriter, length: number): Uint8Array {
  const row = state.take(VALUE_AT + length);
  row[0] = REGISTER;
  return row;
}

/** A register with the bytes and the deadline of another, grown to `length` value bytes. */
export function grownRow(
  state: StateWriter,
  before: Uint8Array | undefined,
  length: number,
): Uint8Array {
  const row = emptyRow(state, Math.max(valueLength(before), length));
  if (before === undefined) return row;
  row.set(before);
  // Changed byte by byte, it need not be JSON any more.
  row[0] = REGISTER;
  return row;
}

/** The row for another key, or to be changed: those that the state holds are stamped. */
export function copyRow(state: StateWriter, row: Uint8Array): Uint8Array {
  const copy = state.take(row.length);
  copy.set(row);
  return copy;
}

/** The register's row, undefined where there is no key. Refuses other kinds. */
export function registerAt(state: StateReader, key: ByteString): Uint8Array | undefined {
  const row = state.get(key);
  if (row !== undefined && !isRegister(row)) refuseWrongType();
  return row;
}

/** Refuses a command on a value of another kind. */
export function refuseWrongType(): never {
  return refuse("Operation against a key holding the wrong kind of value", "WRONGTYPE");
}

/** The row's value, a view: rows are never changed in place. */
export function registerValue(row: Uint8Array): Uint8Array {
  return row.subarray(VALUE_AT);
}

/** Bytes of the value in a row. */
export function valueLength(row: Uint8Array | undefined): number {
  return row === undefined ? 0 : row.length - VALUE_AT;
}

/** A register as a reply: a bulk string, or null where there is no key. */
export function registerReply(row: Uint8Array | undefined): Reply {
  return row === undefined ? NULL : bulk(registerValue(row));
}

/** Refuses a value that would grow beyond the limit. */
export function checkValueLength(bytes: number): void {
  if (bytes > LIMITS.valueBytesMax) {
    refuse("string exceeds maximum allowed size (proto-max-bulk-len)");
  }
}

/**
 * Refuses to hold more values at once: each is a copy from the store, and a read's answer has to
 * fit a frame between nodes.
 */
export function checkGathered(bytes: number, bytesMax: number = LIMITS.gatheredBytesMax): void {
  if (bytes <= bytesMax) return;
  refuseLimit(`One command may gather values of ${bytesMax} bytes at most.`);
}

/** Makes the key a register with these bytes. */
export function setRegister(state: StateWriter, key: ByteString, bytes: Uint8Array): void {
  state.set(key, registerRow(state, bytes));
}
