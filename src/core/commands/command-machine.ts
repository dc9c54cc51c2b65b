import { assert } from "../base/assert.ts";
import { FormatError, getU16, getU32, putU16, putU32 } from "../base/bytes.ts";
import { Slab } from "../base/slab.ts";
import type { WallClock } from "../contract/ids.ts";
import { array, error, NULL_ARRAY, type Reply } from "../contract/reply.ts";
import type { StateMachine, StateReader, StateWriter } from "../contract/state-machine.ts";
import type { Args } from "./arguments.ts";
import { LIMITS } from "./limits.ts";
import { refusalReply } from "./refusal.ts";
import type { CommandSpec, ReadCommand, WatchCommand, WriteCommand } from "./spec.ts";
import { commandById, type TravellingCommand } from "./table.ts";
import { decodeReadSet, holds } from "./watched-keys.ts";

/*
 * A command as it goes to the log, to peers and to the state machine (STO2):
 *
 *   u16 command id | u32 number of arguments without the name | per argument: u32 length, bytes
 */
const HEADER_BYTES = 6;
const LENGTH_BYTES = 4;
const NAME_LEFT_OUT: Uint8Array = new Uint8Array(0);

/** The command as one byte string of its own. The arguments are copied. */
export function encodeCommand(spec: CommandSpec, args: Args): Uint8Array {
  const encoded = new Uint8Array(encodedLength(spec, args));
  encodeInto(encoded, spec, args);
  return encoded;
}

/**
 * Encodes commands into slabs that they share: what is proposed is kept about as long as its like.
 */
export class CommandEncoder {
  readonly #slab = new Slab();

  /** As `encodeCommand`; the bytes are never written again. */
  encode(spec: CommandSpec, args: Args): Uint8Array {
    const encoded = this.#slab.take(encodedLength(spec, args));
    encodeInto(encoded, spec, args);
    return encoded;
  }
}

function encodedLength(spec: CommandSpec, args: Args): number {
  assert(spec.id !== 0, "a command that never travels", spec.name);
  assert(args.length >= 1, "a command without its name");
  let length = HEADER_BYTES;
  for (let i = 1; i < args.length; i += 1) length += LENGTH_BYTES + args[i]!.length;
  return length;
}

function encodeInto(target: Uint8Array, spec: CommandSpec, args: Args): void {
  putU16(target, 0, spec.id);
  putU32(target, 2, args.length - 1);
  let at = HEADER_BYTES;
  for (let i = 1; i < args.length; i += 1) {
    const arg = args[i]!;
    putU32(target, at, arg.length);
    target.set(arg, at + LENGTH_BYTES);
    at += LENGTH_BYTES + arg.length;
  }
  assert(at === target.length, "a command of another length than was counted");
}

/** A command as it came out of the log. */
export interface DecodedCommand {
  readonly spec: TravellingCommand;
  /** Views into the encoded bytes; the name in front is empty. */
  readonly args: Args;
}

/** The inverse of `encodeCommand`. Throws `FormatError`. */
export function decodeCommand(bytes: Uint8Array): DecodedCommand {
  if (bytes.length < HEADER_BYTES) throw new FormatError("a command shorter than its header");
  const spec = commandById(getU16(bytes, 0));
  if (spec === undefined) throw new FormatError(`no command has the id ${getU16(bytes, 0)}`);
  const count = getU32(bytes, 2);
  if (count > LIMITS.argsMax) throw new FormatError(`a command of ${count} arguments`);
  const args: Uint8Array[] = [NAME_LEFT_OUT];
  let at = HEADER_BYTES;
  for (let i = 0; i < count; i += 1) {
    if (at + LENGTH_BYTES > bytes.length) throw new FormatError("an argument is missing");
    const from = at + LENGTH_BYTES;
    const to = from + getU32(bytes, at);
    if (to > bytes.length) throw new FormatError("an argument is cut off");
    args.push(bytes.subarray(from, to));
    at = to;
  }
  if (at !== bytes.length) throw new FormatError("bytes after the last argument");
  if (!hasArity(spec, args)) throw new FormatError(`a wrong number of arguments for ${spec.name}`);
  return { spec, args };
}

function hasArity(spec: TravellingCommand, args: Args): boolean {
  // What travels in place of the client's arguments has a form of its own.
  if (spec.kind === "exec" || spec.kind === "commit" || spec.toWire !== undefined) return true;
  return spec.arity >= 0 ? args.length === spec.arity : args.length >= -spec.arity;
}

/** The commands of this table, executed on a keyspace's state. */
export const commandMachine: StateMachine = {
  apply(command: Uint8Array, state: StateWriter, time: WallClock): Reply {
    const { spec, args } = decodeCommand(command);
    if (spec.kind === "exec" || spec.kind === "commit") {
      return applyAll(args, state, time, spec.kind === "commit");
    }
    assert(spec.kind === "write", "not a write", spec.name);
    return applyOne(spec, args, state, time);
  },

  read(command: Uint8Array, state: StateReader, time: WallClock): Reply {
    const { spec, args } = decodeCommand(command);
    assert(spec.kind === "read" || spec.kind === "watch", "not a read", spec.name);
    return readOne(spec, args, state, time);
  },
};

function applyOne(spec: WriteCommand, args: Args, state: StateWriter, time: WallClock): Reply {
  try {
    return spec.apply(args, state, time);
  } catch (failure) {
    return refusalReply(failure);
  }
}

function readOne(
  spec: ReadCommand | WatchCommand,
  args: Args,
  state: StateReader,
  time: WallClock,
): Reply {
  try {
    return spec.read(args, state, time);
  } catch (failure) {
    return refusalReply(failure);
  }
}

/**
 * Nothing, where what was read before has changed since (LEAD9); else the commands in order, each
 * seeing what those before it have changed. One that is refused has changed nothing and keeps the
 * others from nothing, as in Redis; of a whole, it is the answer, and none of them has changed
 * anything. A throw that is no refusal discards them all together (GEN5).
 */
function applyAll(args: Args, state: StateWriter, time: WallClock, isWhole: boolean): Reply {
  const [, reads, ...commands] = args;
  if (!holds(decodeReadSet(reads ?? NAME_LEFT_OUT), state)) return NULL_ARRAY;
  const replies: Reply[] = [];
  let answered = 0;
  for (const command of commands) {
    const decoded = decodeCommand(command);
    const { spec } = decoded;
    assert(spec.kind === "read" || spec.kind === "write", "not for transactions", spec.name);
    const reply =
      spec.kind === "read"
        ? readOne(spec, decoded.args, state, time)
        : applyOne(spec, decoded.args, state, time);
    if (isWhole && reply.kind === "error") {
      state.rollBack();
      return reply;
    }
    replies.push(reply);
    answered += replyBytes(reply);
    const tooMuch = checkWork(answered, state);
    if (tooMuch === null) continue;
    state.rollBack();
    return error("LIMIT", tooMuch);
  }
  return array(replies);
}

/** Why a transaction goes no further, or null. */
function checkWork(answered: number, state: StateWriter): string | null {
  // The answer is kept for retries on every replica, and all changes are in memory at once.
  if (answered > LIMITS.commandBytesMax || state.changedBytes > LIMITS.commandBytesMax) {
    return `A transaction may change, and answer, ${LIMITS.commandBytesMax} bytes at most.`;
  }
  // Each of its commands may look at so many; all of them together hold every replica up.
  if (state.visited <= LIMITS.visitedFieldsMax) return null;
  return `A transaction may look at ${LIMITS.visitedFieldsMax} fields at most.`;
}

/** About the bytes that a reply takes; only its order of magnitude matters. */
function replyBytes(reply: Reply): number {
  if (reply.kind === "bulk" || reply.kind === "verbatim") return 16 + reply.bytes.length;
  if (!("items" in reply)) return 16;
  return reply.items.reduce((sum, item) => sum + replyBytes(item), 16);
}
