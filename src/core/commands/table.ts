import { assert } from "../base/assert.ts";
import { decodeUtf8 } from "../base/bytes.ts";
import type { ReplicationModel } from "../contract/keyspace.ts";
import { error, type Reply, redisError } from "../contract/reply.ts";
import { type Args, ascii, lowerText } from "./arguments.ts";
import { AUTH_COMMANDS, NOAUTH } from "./auth.ts";
import { BITFIELD_COMMANDS } from "./bitfield.ts";
import { BIT_COMMANDS } from "./bits.ts";
import { CLIENT_COMMANDS } from "./client.ts";
import { CONNECTION_COMMANDS } from "./connection.ts";
import { EXPIRY_COMMANDS } from "./expiry.ts";
import { HASH_COMMANDS } from "./hashes.ts";
import { introspectionCommands } from "./introspection.ts";
import { KEY_COMMANDS } from "./keys.ts";
import { KEYSPACE_COMMANDS } from "./keyspaces.ts";
import { LCS_COMMANDS } from "./lcs.ts";
import { LIMITS } from "./limits.ts";
import { MEMBER_COMMANDS } from "./member.ts";
import { NUMBER_COMMANDS } from "./numbers.ts";
import { refusalReply } from "./refusal.ts";
import { REFUSED_COMMANDS } from "./refused.ts";
import { SCAN_COMMANDS } from "./scan.ts";
import { SERVER_COMMANDS } from "./server.ts";
import type { ClientSession } from "./session.ts";
import { SET_ALGEBRA_COMMANDS } from "./set-algebra.ts";
import { SET_COMMANDS } from "./sets.ts";
import {
  type CommandEdge,
  type CommandSpec,
  type CommitCommand,
  type ConnectionCommand,
  type ExecCommand,
  type KeyPositions,
  lastPosition,
  type ReadCommand,
  type Subcommand,
  type WatchCommand,
  type WriteCommand,
} from "./spec.ts";
import { STRING_COMMANDS } from "./strings.ts";
import { TRANSACTION_COMMANDS } from "./transaction-commands.ts";
import { TREFOIL_COMMANDS } from "./trefoil.ts";
import { TYPED_COMMANDS } from "./typed.ts";

/** A command that is carried by the log or by a read. */
export type TravellingCommand =
  | ReadCommand
  | WriteCommand
  | WatchCommand
  | ExecCommand
  | CommitCommand;

export type { CommandEdge, CommandSpec };

/** Every command, by name. Those that are only refused are among them. */
export const COMMANDS: readonly CommandSpec[] = collect();

/** The commands that do something: what COMMAND and docs/commands.md list. */
export const SERVED_COMMANDS: readonly CommandSpec[] = COMMANDS.filter(isServed);

const BY_ID: readonly (TravellingCommand | undefined)[] = indexById(COMMANDS);

function collect(): readonly CommandSpec[] {
  const specs: CommandSpec[] = [
    ...STRING_COMMANDS,
    ...NUMBER_COMMANDS,
    ...LCS_COMMANDS,
    ...BIT_COMMANDS,
    ...BITFIELD_COMMANDS,
    ...HASH_COMMANDS,
    ...SET_COMMANDS,
    ...SET_ALGEBRA_COMMANDS,
    ...KEY_COMMANDS,
    ...SCAN_COMMANDS,
    ...EXPIRY_COMMANDS,
    ...CONNECTION_COMMANDS,
    ...AUTH_COMMANDS,
    ...CLIENT_COMMANDS,
    ...SERVER_COMMANDS,
    ...introspectionCommands(servedCommands, lookupCommand),
    ...TRANSACTION_COMMANDS,
    ...TREFOIL_COMMANDS,
    ...KEYSPACE_COMMANDS,
    ...TYPED_COMMANDS,
    ...MEMBER_COMMANDS,
    ...REFUSED_COMMANDS,
  ];
  return specs.map(guarded).sort(byName);
}

function servedCommands(): readonly CommandSpec[] {
  return SERVED_COMMANDS;
}

/** The router calls `run` and `toWire` itself, so a refusal must come out of them as a reply. */
function guarded(spec: CommandSpec): CommandSpec {
  if (spec.kind === "connection") return guardedRun(spec);
  if ((spec.kind === "read" || spec.kind === "write") && spec.toWire !== undefined) {
    const toWire = spec.toWire.bind(spec);
    const safely = (args: Args, edge: CommandEdge): Args | Reply => {
      try {
        return toWire(args, edge);
      } catch (failure) {
        return refusalReply(failure);
      }
    };
    return { ...spec, toWire: safely };
  }
  return spec;
}

function guardedRun(spec: ConnectionCommand): ConnectionCommand {
  return {
    ...spec,
    run(args, session, server) {
      try {
        return spec.run(args, session, server);
      } catch (failure) {
        return refusalReply(failure);
      }
    },
  };
}

function byName(a: CommandSpec, b: CommandSpec): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function isServed(spec: CommandSpec): boolean {
  return !(spec.kind === "connection" && spec.refused !== undefined);
}

function travels(spec: CommandSpec): spec is TravellingCommand {
  return ["read", "write", "watch", "exec", "commit"].includes(spec.kind);
}

function indexById(specs: readonly CommandSpec[]): (TravellingCommand | undefined)[] {
  const byId: (TravellingCommand | undefined)[] = [];
  for (const spec of specs) {
    if (!travels(spec)) {
      assert(spec.id === 0, "a command that never travels has an id", spec.name);
      continue;
    }
    assert(spec.id > 0 && spec.id <= 0xffff, "a command's id is no u16", spec.name);
    assert(byId[spec.id] === undefined, "two commands of one id", spec.name);
    byId[spec.id] = spec;
  }
  return byId;
}

/** The command with this id in log entries. */
export function commandById(id: number): TravellingCommand | undefined {
  return BY_ID[id];
}

const SLOTS = 1024;

interface NamedCommand {
  readonly name: Uint8Array;
  readonly spec: CommandSpec;
}

/** A hash table from names to commands that is asked with bytes, so that no string is made. */
const NAMES: readonly (NamedCommand | undefined)[] = hashNames(COMMANDS);

function hashNames(specs: readonly CommandSpec[]): (NamedCommand | undefined)[] {
  assert(specs.length * 2 < SLOTS, "the table of names is too full");
  const slots = new Array<NamedCommand | undefined>(SLOTS).fill(undefined);
  for (const spec of specs) {
    const name = ascii(spec.name);
    let slot = hashName(name);
    while (slots[slot] !== undefined) slot = (slot + 1) % SLOTS;
    slots[slot] = { name, spec };
  }
  return slots;
}

/** FNV-1a of the name; bit 5 is set in every byte, so that case does not matter. */
function hashName(name: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ (name[i]! | 0x20), 0x01000193);
  return (hash ^ (hash >>> 15)) & (SLOTS - 1);
}

function equalIgnoringCase(lower: Uint8Array, given: Uint8Array): boolean {
  if (lower.length !== given.length) return false;
  for (let i = 0; i < lower.length; i += 1) {
    let byte = given[i]!;
    if (byte >= 0x41 && byte <= 0x5a) byte += 0x20;
    if (byte !== lower[i]) return false;
  }
  return true;
}

/** The command of this name, in any case. */
export function lookupCommand(name: Uint8Array): CommandSpec | undefined {
  // The longest name has 16 bytes; a hostile one of megabytes is not worth hashing.
  if (name.length > 32) return undefined;
  for (let slot = hashName(name); ; slot = (slot + 1) % SLOTS) {
    const entry = NAMES[slot];
    if (entry === undefined) return undefined;
    if (equalIgnoringCase(entry.name, name)) return entry.spec;
  }
}

/**
 * What is wrong with a call whatever the state, or null: unknown command, arity, limits (GEN5) and
 * what the command itself checks. `spec` is what `lookupCommand` said of `args[0]`.
 */
export function checkCall(spec: CommandSpec | undefined, args: Args): Reply | null {
  const wrong = checkForm(spec, args);
  return wrong !== null || spec === undefined ? wrong : checkArguments(spec, args);
}

/**
 * Why a connection that has not authenticated gets no further, or null: as in Redis it may learn
 * that there is no such command, and how many arguments another takes.
 */
export function checkAuthenticated(
  spec: CommandSpec | undefined,
  args: Args,
  session: ClientSession,
): Reply | null {
  if (session.isAuthenticated) return null;
  const isOpen = spec?.flags.includes("no_auth") ?? false;
  return checkForm(spec, args) ?? (isOpen ? null : NOAUTH);
}

/** Unknown command, arity and limits: a transaction that meets them is not executed. */
export function checkForm(spec: CommandSpec | undefined, args: Args): Reply | null {
  if (spec === undefined) return unknownCommand(args);
  if (spec.kind === "connection" && spec.refused !== undefined) return null;
  const wrong = checkArity(spec, args);
  if (wrong !== null) return wrong;
  // Of a commit, each of its commands is checked as it would be alone.
  if (travels(spec) && spec.kind !== "commit") {
    const tooLarge = checkLimits(spec, args);
    if (tooLarge !== null) return tooLarge;
  }
  return null;
}

/** What the command itself checks. */
export function checkArguments(spec: CommandSpec, args: Args): Reply | null {
  if (spec.check === undefined) return null;
  try {
    spec.check(args);
    return null;
  } catch (failure) {
    return refusalReply(failure);
  }
}

/**
 * The `-MODEL` answer where the keyspace's model cannot give the command its meaning, else null.
 */
export function checkModel(spec: CommandSpec, model: ReplicationModel): Reply | null {
  if (spec.models.in.includes(model)) return null;
  const name = spec.name.toUpperCase();
  return error("MODEL", `${name} has no meaning in a ${model} keyspace. ${spec.models.instead}.`);
}

function checkArity(spec: CommandSpec, args: Args): Reply | null {
  const count = args.length;
  if (spec.arity >= 0 ? count !== spec.arity : count < -spec.arity) return wrongArity(spec.name);
  if (spec.subcommands === undefined || count < 2) return null;
  const sub = findSubcommand(spec, args[1]!);
  if (sub === undefined) {
    const shown = printable(args[1]!, 128);
    const name = spec.name.toUpperCase();
    return redisError(`unknown subcommand '${shown}'. Try ${name} HELP.`);
  }
  const isWrong = sub.arity >= 0 ? count !== sub.arity : count < -sub.arity;
  return isWrong ? wrongArity(`${spec.name}|${sub.name}`) : null;
}

/** The subcommand of a container command that an argument names. */
export function findSubcommand(spec: CommandSpec, arg: Uint8Array): Subcommand | undefined {
  const name = lowerText(arg.subarray(0, 64));
  return spec.subcommands?.find((sub) => sub.name === name && arg.length === name.length);
}

function wrongArity(name: string): Reply {
  return redisError(`wrong number of arguments for '${name}' command`);
}

/** How much of a command's name and arguments the answer to an unknown one repeats. */
const PREVIEW_BYTES_MAX = 128;

function unknownCommand(args: Args): Reply {
  const name = printable(args[0] ?? new Uint8Array(0), PREVIEW_BYTES_MAX);
  let preview = "";
  for (let i = 1; i < args.length && preview.length < PREVIEW_BYTES_MAX; i += 1) {
    preview += `'${printable(args[i]!, PREVIEW_BYTES_MAX - preview.length)}' `;
  }
  return redisError(`unknown command '${name}', with args beginning with: ${preview}`);
}

/**
 * Up to `bytesMax` bytes as text, ended by a zero byte, without line breaks: it goes into one line.
 */
function printable(bytes: Uint8Array, bytesMax: number): string {
  const zero = bytes.indexOf(0);
  const end = Math.min(zero === -1 ? bytes.length : zero, bytesMax);
  return decodeUtf8(bytes.subarray(0, end)).replace(/[\r\n]/g, " ");
}

function checkLimits(spec: CommandSpec, args: Args): Reply | null {
  if (args.length > LIMITS.argsMax) {
    return error("LIMIT", `A command may have ${LIMITS.argsMax} arguments at most.`);
  }
  let bytes = 0;
  for (let i = 1; i < args.length; i += 1) {
    const length = args[i]!.length;
    bytes += length;
    // Most arguments are short, which settles both limits without asking what is a key.
    if (length > LIMITS.keyBytesMax) {
      const what = isAt(spec.keys, i, args)
        ? "key"
        : isAt(spec.fields, i, args)
          ? "field or member"
          : null;
      if (what !== null) {
        return error("LIMIT", `A ${what} may have ${LIMITS.keyBytesMax} bytes at most.`);
      }
    }
    if (length > LIMITS.valueBytesMax) {
      return error("LIMIT", `A value may have ${LIMITS.valueBytesMax} bytes at most.`);
    }
  }
  if (bytes <= LIMITS.commandBytesMax) return null;
  return error("LIMIT", `A command may have ${LIMITS.commandBytesMax} bytes at most.`);
}

function isAt(positions: KeyPositions | null | undefined, at: number, args: Args): boolean {
  if (positions === null || positions === undefined) return false;
  if (at < positions.first || (at - positions.first) % positions.step !== 0) return false;
  return at <= lastPosition(positions, args);
}

/** Positions of the keys among the arguments of a call. */
export function keyPositions(spec: CommandSpec, args: Args): readonly number[] {
  const keys = spec.keys ?? (args.length > 1 ? findSubcommand(spec, args[1]!)?.keys : undefined);
  if (keys === undefined) return [];
  const last = lastPosition(keys, args);
  const positions: number[] = [];
  for (let i = keys.first; i <= last; i += keys.step) positions.push(i);
  return positions;
}
