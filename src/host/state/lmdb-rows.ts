import { crc32 } from "node:zlib";
import type { RootDatabase, Transaction } from "lmdb";
import { type ByteString, getU32, putU32 } from "../../core/base/bytes.ts";
import type { Row } from "../../core/contract/state-store.ts";
import { CheckpointError } from "../../core/log/checkpoint-reader.ts";

/** The environment that a node's state lies in. */
export type Env = RootDatabase<Buffer, Buffer>;

/** The directory of LMDB's two files, inside the node's data directory. */
export const STATE_DIRECTORY = "state";

/** Behind every group's rows: where replay starts. Rows of groups begin with a group id. */
export const POSITION_KEY: Buffer = Buffer.alloc(8, 0xff);

/** One finished commit, as long as somebody looks at it: LMDB keeps its pages until then. */
export class View {
  readonly transaction: Transaction;
  #users = 1;

  /** For its first user. */
  constructor(env: Env) {
    // Without this, the library would hand out the transaction that it has.
    env.resetReadTxn();
    this.transaction = env.useReadTransaction();
  }

  use(): View {
    this.#users += 1;
    return this;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) this.transaction.done();
  }
}

/** In front of every value: its checksum and its key's (STO7). */
const CHECKSUM_BYTES = 4;

/** Rows with from ≤ key < to as the transaction shows them; null: to the end. */
export function* rowsIn(
  env: Env,
  transaction: Transaction,
  from: ByteString,
  to: ByteString | null,
): Generator<Row> {
  const end = to === null ? POSITION_KEY : keyOf(to);
  // LMDB has no empty key; leaving it out means the beginning.
  const start = from.length === 0 ? {} : { start: keyOf(from) };
  for (const { key, value } of env.getRange({ ...start, end, transaction })) {
    const stored = key as Buffer;
    yield [stored.toString("latin1"), valueIn(stored, value)];
  }
}

/** The keys of `rowsIn`. */
export function* keysIn(
  env: Env,
  transaction: Transaction,
  from: ByteString,
  to: ByteString | null,
): Generator<ByteString> {
  const end = to === null ? POSITION_KEY : keyOf(to);
  const start = from.length === 0 ? {} : { start: keyOf(from) };
  for (const key of env.getKeys({ ...start, end, transaction })) yield key.toString("latin1");
}

/** A key as LMDB has it. */
export function keyOf(key: ByteString): Buffer {
  return Buffer.from(key, "latin1");
}

/** A value behind its checksum. */
export function rowOf(stored: Buffer, value: Uint8Array): Buffer {
  const row = Buffer.allocUnsafe(CHECKSUM_BYTES + value.length);
  row.set(value, CHECKSUM_BYTES);
  putU32(row, 0, checksumOf(stored, row));
  return row;
}

/** The key is part of it: a row that was written to another one's place is damage too. */
function checksumOf(stored: Buffer, row: Buffer): number {
  return crc32(row.subarray(CHECKSUM_BYTES), crc32(stored));
}

/** The value of a row, damaged or not. */
export function uncheckedIn(row: Buffer): Uint8Array {
  return row.subarray(CHECKSUM_BYTES);
}

/** The value of a row; throws `CheckpointError` where it is damaged. */
export function valueIn(stored: Buffer, row: Buffer): Uint8Array {
  const isWhole = row.length >= CHECKSUM_BYTES && getU32(row, 0) === checksumOf(stored, row);
  if (!isWhole) throw new CheckpointError(STATE_DIRECTORY, "the checksum of a row is wrong");
  return row.subarray(CHECKSUM_BYTES);
}
