import { array, bulk, bulkText, integer, NULL, type Reply } from "../contract/reply.ts";
import { type Args, isWord, lowerText } from "./arguments.ts";
import { Glob } from "./glob.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
import {
  type CommandSpec,
  type ConnectionCommand,
  EVERY_MODEL,
  type KeyPositions,
  lastPosition,
  type Subcommand,
} from "./spec.ts";
import { parseUsage, type UsageArgument } from "./usage.ts";

function simple(text: string): Reply {
  return { kind: "simple", text };
}

/** ACL categories: those that follow from group and flags, and those that the command names. */
export function categoriesOf(spec: CommandSpec): readonly string[] {
  const categories = new Set<string>(spec.categories ?? []);
  if (spec.flags.includes("write")) categories.add("write");
  if (spec.flags.includes("readonly")) categories.add("read");
  if (spec.flags.includes("admin")) categories.add("admin").add("dangerous");
  if (spec.flags.includes("blocking")) categories.add("blocking");
  categories.add(spec.flags.includes("fast") ? "fast" : "slow");
  if (spec.group === "generic" && spec.kind !== "wait") categories.add("keyspace");
  // Redis names the category in the singular, and the command names it itself.
  const isCategory = !["generic", "server", "transactions"].includes(spec.group);
  if (isCategory) categories.add(spec.group);
  return [...categories].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** The ten fields that COMMAND INFO gives of a command. */
function infoReply(spec: CommandSpec): Reply {
  const categories = categoriesOf(spec).map((name) => simple(`@${name}`));
  return infoFields(spec.name, spec.arity, spec.flags, spec.keys, categories, [
    ...(spec.subcommands ?? []).map((sub) => {
      const name = `${spec.name}|${sub.name}`;
      return infoFields(name, sub.arity, spec.flags, sub.keys ?? null, categories, []);
    }),
  ]);
}

function infoFields(
  name: string,
  arity: number,
  flags: readonly string[],
  keys: KeyPositions | null,
  categories: readonly Reply[],
  subcommands: readonly Reply[],
): Reply {
  // Where a call itself says how many keys it has, only the later form can tell.
  const range = keys?.countAt === undefined ? keys : null;
  return array([
    bulkText(name),
    integer(arity),
    { kind: "set", items: flags.map(simple) },
    integer(range?.first ?? 0),
    integer(range?.last ?? 0),
    integer(range?.step ?? 0),
    { kind: "set", items: categories },
    array([]),
    array(keys === null ? [] : [keySpec(keys, flags.includes("write"))]),
    array(subcommands),
  ]);
}

/** Where the keys are, in the form that later versions of Redis use. */
function keySpec(keys: KeyPositions, isWrite: boolean): Reply {
  const begin = map([
    ["type", bulkText("index")],
    ["spec", map([["index", integer(keys.countAt ?? keys.first)]])],
  ]);
  return map([
    ["flags", { kind: "set", items: [simple(isWrite ? "RW" : "RO"), simple("access")] }],
    ["begin_search", begin],
    ["find_keys", keys.countAt === undefined ? findInRange(keys) : findByCount(keys, keys.countAt)],
  ]);
}

function findInRange(keys: KeyPositions): Reply {
  const lastFromFirst = keys.last < 0 ? keys.last : keys.last - keys.first;
  const spec = map([
    ["lastkey", integer(lastFromFirst)],
    ["keystep", integer(keys.step)],
    ["limit", integer(0)],
  ]);
  return map([
    ["type", bulkText("range")],
    ["spec", spec],
  ]);
}

function findByCount(keys: KeyPositions, countAt: number): Reply {
  const spec = map([
    ["keynumidx", integer(0)],
    ["firstkey", integer(keys.first - countAt)],
    ["keystep", integer(keys.step)],
  ]);
  return map([
    ["type", bulkText("keynum")],
    ["spec", spec],
  ]);
}

function map(entries: readonly (readonly [string, Reply])[]): Reply {
  return { kind: "map", items: entries.flatMap(([name, value]) => [bulkText(name), value]) };
}

function docsReply(spec: CommandSpec): Reply {
  const entries: [string, Reply][] = [
    ["summary", bulkText(spec.summary)],
    ["since", bulkText(spec.since)],
    ["group", bulkText(spec.group)],
    ["complexity", bulkText(spec.complexity)],
  ];
  const usage = parseUsage(spec.usage);
  if (usage.length > 0) entries.push(["arguments", array(usage.map(argumentReply))]);
  const subcommands = spec.subcommands ?? [];
  if (subcommands.length > 0) {
    const items = subcommands.flatMap((sub) => [
      bulkText(`${spec.name}|${sub.name}`),
      subcommandDocs(sub, spec),
    ]);
    entries.push(["subcommands", { kind: "map", items }]);
  }
  return map(entries);
}

function subcommandDocs(sub: Subcommand, spec: CommandSpec): Reply {
  const entries: [string, Reply][] = [
    ["summary", bulkText(sub.summary)],
    ["since", bulkText(sub.since)],
    ["group", bulkText(spec.group)],
    ["complexity", bulkText(spec.complexity)],
  ];
  const usage = parseUsage(sub.usage);
  if (usage.length > 0) entries.push(["arguments", array(usage.map(argumentReply))]);
  return map(entries);
}

function argumentReply(argument: UsageArgument): Reply {
  const entries: [string, Reply][] = [
    ["name", bulkText(argument.name)],
    ["type", bulkText(argument.type)],
  ];
  if (argument.type === "key") entries.push(["key_spec_index", integer(0)]);
  if (argument.token !== null) entries.push(["token", bulkText(argument.token)]);
  const flags: Reply[] = [];
  if (argument.isOptional) flags.push(simple("optional"));
  if (argument.isMultiple) flags.push(simple("multiple"));
  if (flags.length > 0) entries.push(["flags", array(flags)]);
  if (argument.parts.length > 0) {
    entries.push(["arguments", array(argument.parts.map(argumentReply))]);
  }
  return map(entries);
}

function listReply(args: Args, commands: readonly CommandSpec[]): Reply {
  let accepts: (spec: CommandSpec) => boolean = () => true;
  if (args.length > 2) {
    if (args.length !== 5 || !isWord(args[2]!, "FILTERBY")) refuseSyntax();
    accepts = filterOf(args[3]!, args[4]!);
  }
  return array(commands.filter(accepts).map((spec) => bulkText(spec.name)));
}

function filterOf(by: Uint8Array, value: Uint8Array): (spec: CommandSpec) => boolean {
  // No modules are ever loaded.
  if (isWord(by, "MODULE")) return () => false;
  if (isWord(by, "ACLCAT")) {
    const category = lowerText(value);
    return (spec) => categoriesOf(spec).includes(category);
  }
  if (isWord(by, "PATTERN")) {
    const glob = new Glob(value);
    return (spec) => glob.matches(spec.name);
  }
  return refuseSyntax();
}

const HELP = [
  "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
  "(no subcommand)",
  "    Details about all commands.",
  "COUNT",
  "    How many commands there are.",
  "DOCS [<command-name> ...]",
  "    What commands do and take.",
  "GETKEYS <full-command>",
  "    The keys in a full command.",
  "HELP",
  "    Prints this help.",
  "INFO [<command-name> ...]",
  "    Details about commands.",
  "LIST [FILTERBY MODULE <name>|ACLCAT <category>|PATTERN <pattern>]",
  "    Names of commands.",
];

/** Looks a command up by its name in any case. */
type Lookup = (name: Uint8Array) => CommandSpec | undefined;

function getKeys(args: Args, lookup: Lookup): Reply {
  const inner = args.slice(2);
  const spec = lookup(inner[0]!);
  if (spec === undefined) return refuse("Invalid command specified");
  const sub = spec.subcommands?.find((one) => inner[1] && one.name === lowerText(inner[1]));
  const keys = spec.keys ?? sub?.keys;
  if (keys === undefined) return refuse("The command has no key arguments");
  const count = inner.length;
  if (spec.arity >= 0 ? count !== spec.arity : count < -spec.arity) {
    return refuse("Invalid number of arguments specified for command");
  }
  const last = lastPosition(keys, inner);
  if (last < keys.first) return refuse("Invalid arguments specified for command");
  const found: Reply[] = [];
  for (let i = keys.first; i <= last; i += keys.step) found.push(bulk(inner[i]!.slice()));
  return array(found);
}

/**
 * COMMAND, over the table of which it is a part: that is why it is given ways to ask for the
 * commands instead of the commands.
 */
export function introspectionCommands(
  served: () => readonly CommandSpec[],
  lookup: Lookup,
): readonly CommandSpec[] {
  /** The named commands, or all; undefined in place of one that is not served. */
  const named = (args: Args): readonly (CommandSpec | undefined)[] => {
    if (args.length <= 2) return served();
    return args.slice(2).map((name) => {
      const spec = lookup(name);
      return spec !== undefined && served().includes(spec) ? spec : undefined;
    });
  };
  const run = (args: Args): Reply => {
    if (args.length === 1) return array(served().map(infoReply));
    switch (lowerText(args[1]!)) {
      case "count":
        return integer(served().length);
      case "info":
        return array(named(args).map((spec) => (spec === undefined ? NULL : infoReply(spec))));
      case "docs":
        return {
          kind: "map",
          items: named(args).flatMap((spec) =>
            spec === undefined ? [] : [bulkText(spec.name), docsReply(spec)],
          ),
        };
      case "list":
        return listReply(args, served());
      case "getkeys":
        return getKeys(args, lookup);
      case "help":
        return array(HELP.map(simple));
      default:
        return refuseSyntax();
    }
  };
  return [commandSpec(run)];
}

function commandSpec(run: ConnectionCommand["run"]): ConnectionCommand {
  const word = (name: string, arity: number, usage: string, since: string, summary: string) => {
    return { name, arity, usage, since, summary };
  };
  return {
    kind: "connection",
    id: 0,
    name: "command",
    arity: -1,
    usage: "",
    group: "server",
    flags: ["loading", "stale"],
    categories: ["connection"],
    keys: null,
    models: EVERY_MODEL,
    since: "2.8.13",
    summary: "About the commands that there are.",
    complexity: "O(N) in the commands described",
    subcommands: [
      word("count", 2, "", "2.8.13", "How many commands there are."),
      word("docs", -2, "[command-name ...]", "7.0.0", "What commands do and take."),
      word("getkeys", -4, "command arg [arg ...]", "2.8.13", "The keys in a full command."),
      word("help", 2, "", "5.0.0", "Explains the subcommands."),
      word("info", -2, "[command-name ...]", "2.8.13", "Details about commands."),
      word(
        "list",
        -2,
        "[FILTERBY (MODULE module-name | ACLCAT category | PATTERN pattern)]",
        "7.0.0",
        "Names of commands.",
      ),
    ],
    run,
  };
}
