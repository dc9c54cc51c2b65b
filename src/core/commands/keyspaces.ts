import { decodeUtf8 } from "../base/bytes.ts";
import type { NodeId } from "../contract/ids.ts";
import {
  CATALOG_KEYSPACE,
  isKeyspaceName,
  KEYSPACE_NAME_RULE,
  KEYSPACE_OPTIONS,
  type KeyspaceOptions,
  type KeyspaceRequest,
  REPLICATION_MODELS,
  type ReplicationModel,
} from "../contract/keyspace.ts";
import { array, error, type Reply } from "../contract/reply.ts";
import { type Args, isWord, lowerText, parseI64 } from "./arguments.ts";
import { LIMITS } from "./limits.ts";
import { Refusal, refusalReply, refuse, refuseSyntax } from "./refusal.ts";
import { type CatalogCommand, type CommandSpec, EVERY_MODEL } from "./spec.ts";

/** A keyspace as a client names it. */
export type KeyspaceRef = { readonly name: string } | { readonly number: number };

/** What ALTER changes; what is left out stays. */
export interface KeyspaceChange extends Partial<KeyspaceOptions> {
  readonly schemaVersion?: number;
}

/** What the catalog is asked: the catalog's state machine carries it out. */
export type CatalogCall =
  | {
      readonly kind: "create";
      readonly request: KeyspaceRequest;
      readonly ifNotExists: boolean;
    }
  | { readonly kind: "alter"; readonly name: string; readonly change: KeyspaceChange }
  | { readonly kind: "drop"; readonly name: string; readonly ifExists: boolean }
  | { readonly kind: "list" }
  | { readonly kind: "info"; readonly keyspace: KeyspaceRef };

/** Whether a call of the catalog changes it. */
export function isCatalogWrite({ kind }: CatalogCall): boolean {
  return kind === "create" || kind === "alter" || kind === "drop";
}

/** A number or a name; null for what can be neither, and so names no keyspace. */
export function parseKeyspaceRef(arg: Uint8Array): KeyspaceRef | null {
  const number = parseI64(arg);
  if (number !== null) {
    const isNumber = number >= 0 && number < CATALOG_KEYSPACE;
    return isNumber ? { number: Number(number) } : null;
  }
  const name = decodeUtf8(arg.subarray(0, 128));
  return isKeyspaceName(name) ? { name } : null;
}

/** So many keyspaces are named to one who asks for another. */
const NAMED_MAX = 16;

/** NOKEYSPACE, and what there is instead. */
export function noSuchKeyspace(
  known: readonly { readonly name: string; readonly number: number }[],
): Reply {
  const named = known.slice(0, NAMED_MAX).map(({ name, number }) => `${number} (${name})`);
  if (known.length > NAMED_MAX) named.push(`${known.length - NAMED_MAX} more`);
  return error("NOKEYSPACE", `There is no such keyspace; there are ${named.join(", ")}.`);
}

const HELP = [
  "TREFOIL.KEYSPACE <subcommand> [<arg> ...]. Subcommands are:",
  "CREATE <name> [MODEL <model>] [SCHEMA <version>] [LEADER <node>|*] [TIMEOUT <milliseconds>] [IF NOT EXISTS]",
  "    Makes a keyspace; its number is never used again.",
  "ALTER <name> [SCHEMA <version>] [LEADER <node>|*] [TIMEOUT <milliseconds>]",
  "    Changes its options. LEADER * spreads leaders by number; TIMEOUT 0 is the node's.",
  "DROP <name> [IF EXISTS]",
  "    Removes a keyspace and all that is in it.",
  "LIST",
  "    Every keyspace.",
  "INFO <name>|<number>",
  "    One keyspace.",
  "HELP",
  "    Prints this help.",
];

/**
 * What `TREFOIL.KEYSPACE …` asks of the catalog, or the answer where it asks nothing: help, or what
 * is wrong with it. `members` are the nodes that LEADER may name.
 */
export function parseKeyspaceCommand(
  args: Args,
  members: readonly NodeId[],
): { readonly call: CatalogCall } | { readonly reply: Reply } {
  if (isWord(args[1]!, "HELP")) {
    return { reply: array(HELP.map((text) => ({ kind: "simple", text }) as const)) };
  }
  try {
    return { call: parseCall(args, members) };
  } catch (failure) {
    return { reply: refusalReply(failure) };
  }
}

function parseCall(args: Args, members: readonly NodeId[]): CatalogCall {
  switch (lowerText(args[1]!)) {
    case "create":
      return parseCreate(args, members);
    case "alter":
      return parseAlter(args, members);
    case "drop":
      return { kind: "drop", name: nameOf(args[2]!), ifExists: hasWords(args, 3, IF_EXISTS) };
    case "list":
      return { kind: "list" };
    case "info": {
      const keyspace = parseKeyspaceRef(args[2]!);
      return keyspace === null ? refuse(KEYSPACE_NAME_RULE) : { kind: "info", keyspace };
    }
    default:
      return refuseSyntax();
  }
}

function nameOf(arg: Uint8Array): string {
  const name = decodeUtf8(arg.subarray(0, 128));
  return isKeyspaceName(name) ? name : refuse(KEYSPACE_NAME_RULE);
}

const IF_EXISTS: readonly string[] = ["IF", "EXISTS"];
const IF_NOT_EXISTS: readonly string[] = ["IF", "NOT", "EXISTS"];

/** Whether these words, and no others, are left. */
function hasWords(args: Args, from: number, words: readonly string[]): boolean {
  if (args.length === from) return false;
  const isSame =
    args.length - from === words.length && words.every((word, i) => isWord(args[from + i]!, word));
  return isSame || refuseSyntax();
}

function parseCreate(args: Args, members: readonly NodeId[]): CatalogCall {
  const name = nameOf(args[2]!);
  const given = parseOptions(args, 3, members);
  const { model = "singleLeader", schemaVersion = 0, ifNotExists = false } = given;
  if (model !== "singleLeader") throw new Refusal(modelIsLater(model));
  const { preferredLeader, timeoutMs } = { ...KEYSPACE_OPTIONS, ...given };
  const request = { name, model, schemaVersion, options: { preferredLeader, timeoutMs } };
  return { kind: "create", request, ifNotExists };
}

/** For a model that definitions may name and this version cannot replicate by. */
export function modelIsLater(model: ReplicationModel): Reply {
  const text = `Keyspaces of the model ${model} come in a later version of Trefoil: use singleLeader.`;
  return error("MODEL", text);
}

function parseAlter(args: Args, members: readonly NodeId[]): CatalogCall {
  const name = nameOf(args[2]!);
  const { model, ifNotExists, ...change } = parseOptions(args, 3, members);
  if (model !== undefined) refuse("the MODEL of a keyspace cannot be changed: create another one");
  if (ifNotExists !== undefined) refuseSyntax();
  return { kind: "alter", name, change };
}

interface Given {
  model?: ReplicationModel;
  schemaVersion?: number;
  preferredLeader?: NodeId | null;
  timeoutMs?: number | null;
  ifNotExists?: boolean;
}

function parseOptions(args: Args, from: number, members: readonly NodeId[]): Given {
  const given: Given = {};
  for (let at = from; at < args.length; at += 2) {
    const word = args[at]!;
    if (isWord(word, "IF")) {
      given.ifNotExists = hasWords(args, at, IF_NOT_EXISTS);
      return given;
    }
    const value = args[at + 1] ?? refuseSyntax();
    if (isWord(word, "MODEL")) given.model = parseModel(value);
    else if (isWord(word, "SCHEMA")) given.schemaVersion = parseSchema(value);
    else if (isWord(word, "LEADER")) given.preferredLeader = parseLeader(value, members);
    else if (isWord(word, "TIMEOUT")) given.timeoutMs = parseTimeout(value);
    else {
      const shown = decodeUtf8(word.subarray(0, 64));
      refuse(`unknown option '${shown}': it may be MODEL, SCHEMA, LEADER, TIMEOUT or IF`);
    }
  }
  return given;
}

function parseModel(value: Uint8Array): ReplicationModel {
  const found = REPLICATION_MODELS.find((model) => isWord(value, model.toUpperCase()));
  return found ?? refuse(`MODEL takes one of ${REPLICATION_MODELS.join(", ")}`);
}

function parseSchema(value: Uint8Array): number {
  const version = Number(parseI64(value) ?? -1);
  if (version >= 0 && version <= 0xffff_ffff) return version;
  return refuse("SCHEMA takes a version from 0 to 4294967295");
}

function parseLeader(value: Uint8Array, members: readonly NodeId[]): NodeId | null {
  const node = decodeUtf8(value.subarray(0, 128));
  if (node === "*") return null;
  if (members.includes(node)) return node;
  return refuse(`LEADER takes one of ${members.join(", ")}, or * to spread leaders by number`);
}

function parseTimeout(value: Uint8Array): number | null {
  const ms = Number(parseI64(value) ?? -1);
  if (ms >= 0 && ms <= LIMITS.timeoutMsMax) return ms === 0 ? null : ms;
  return refuse(`TIMEOUT takes milliseconds from 0 to ${LIMITS.timeoutMsMax}; 0 is the node's`);
}

const SINCE = "trefoil 0.1.0";
const CREATE_USAGE =
  "name [MODEL model] [SCHEMA version] [LEADER node] [TIMEOUT milliseconds] [IF NOT EXISTS]";

const KEYSPACE: CatalogCommand = {
  kind: "catalog",
  id: 0,
  name: "trefoil.keyspace",
  arity: -2,
  usage:
    "CREATE name [option value ...] | ALTER name [option value ...] | DROP name | LIST | INFO name",
  group: "trefoil",
  flags: ["admin", "noscript", "loading", "stale"],
  keys: null,
  models: EVERY_MODEL,
  since: SINCE,
  summary: "Creates, alters, drops and lists keyspaces.",
  complexity: "O(N) in the keyspaces",
  subcommands: [
    {
      name: "alter",
      arity: -5,
      usage: "name [SCHEMA version] [LEADER node] [TIMEOUT milliseconds]",
      summary: "Changes a keyspace's options; answers its definition.",
      since: SINCE,
    },
    {
      name: "create",
      arity: -3,
      usage: CREATE_USAGE,
      summary: "Creates a keyspace; answers its definition, its number in it.",
      since: SINCE,
    },
    {
      name: "drop",
      arity: -3,
      usage: "name [IF EXISTS]",
      summary: "Removes a keyspace and everything in it. Its number is not used again.",
      since: SINCE,
    },
    { name: "help", arity: 2, usage: "", summary: "Explains the subcommands.", since: SINCE },
    {
      name: "info",
      arity: 3,
      usage: "name",
      summary: "A keyspace's definition by name or number, and who leads it.",
      since: SINCE,
    },
    {
      name: "list",
      arity: 2,
      usage: "",
      summary: "Every keyspace's definition by number, and who leads it.",
      since: SINCE,
    },
  ],
};

/** The commands about keyspaces as a whole. */
export const KEYSPACE_COMMANDS: readonly CommandSpec[] = [KEYSPACE];
