import { Command } from "commander";
import type { Reply } from "../core/contract/reply.ts";
import { EXIT } from "../host/exit-codes.ts";
import { type ClientOptions, type JsonOption, refused, say, withClient } from "./client.ts";
import { parseWholeNumber, withPassword, withTarget } from "./options.ts";
import { replyToJson, table } from "./output.ts";

interface KeyspaceOptions extends ClientOptions, JsonOption {
  readonly model?: string;
  readonly schema?: number;
  readonly leader?: string;
  readonly callTimeout?: number;
  readonly ifNotExists?: true;
  readonly ifExists?: true;
}

/** A definition as TREFOIL.KEYSPACE answers it. */
interface Definition {
  readonly name: string;
  readonly number: number;
  readonly model: string;
  readonly version: number;
  readonly schema: number;
  readonly preferred: string | null;
  readonly timeout: number | null;
  readonly leader?: string | null;
  readonly created?: boolean;
}

/** Longer than the node's own deadline: the node knows more about the outcome than we do. */
const TIMEOUT_MS = 10_000;

const EXIT_CODES =
  "\nExit codes: 0 done, 1 refused or not known to be done, 2 the command line is wrong,\n3 no node could be reached.";

/** `trefoil keyspace`: what keyspaces there are, and changing that. */
export function keyspaceCommand(): Command {
  const command = new Command("keyspace").description("create, alter, drop and show keyspaces");
  const create = subcommand("create", "create a keyspace", "<name>")
    .option("--model <model>", "how it replicates (default: singleLeader)")
    .option("--if-not-exists", "leave one of this name as it is");
  const alter = subcommand("alter", "change a keyspace's options", "<name>");
  for (const each of [create, alter]) {
    each
      .option("--schema <version>", "version of the clients' schema", parseWholeNumber)
      .option("--leader <node>", "the node that leads it if it can; * spreads leaders by number")
      .option("--call-timeout <ms>", "deadline of calls that name none", parseWholeNumber);
  }
  const drop = subcommand("drop", "remove a keyspace and all that is in it", "<name>").option(
    "--if-exists",
    "it may be gone already",
  );
  command.addCommand(run(create, (name, options) => ["CREATE", name, ...optionWords(options)]));
  command.addCommand(run(alter, (name, options) => ["ALTER", name, ...optionWords(options)]));
  command.addCommand(
    run(drop, (name, { ifExists }) => ["DROP", name, ...(ifExists ? ["IF", "EXISTS"] : [])]),
  );
  command.addCommand(run(subcommand("list", "show every keyspace", ""), () => ["LIST"]));
  const info = subcommand("info", "show one keyspace, by name or number", "<name>");
  command.addCommand(run(info, (name) => ["INFO", name]));
  return command.addHelpText("after", EXIT_CODES);
}

function subcommand(name: string, description: string, argument: string): Command {
  const command = new Command(name).description(description);
  if (argument !== "") command.argument(argument);
  return withPassword(withTarget(command, "the node's port for Redis clients"))
    .option("--json", "print one JSON document: { keyspace }, { keyspaces } or { error }")
    .addHelpText("after", EXIT_CODES);
}

function optionWords(options: KeyspaceOptions): string[] {
  const { model, schema, leader, callTimeout, ifNotExists } = options;
  const words: string[] = [];
  if (model !== undefined) words.push("MODEL", model);
  if (schema !== undefined) words.push("SCHEMA", String(schema));
  if (leader !== undefined) words.push("LEADER", leader);
  if (callTimeout !== undefined) words.push("TIMEOUT", String(callTimeout));
  if (ifNotExists) words.push("IF", "NOT", "EXISTS");
  return words;
}

function run(
  command: Command,
  words: (name: string, options: KeyspaceOptions) => string[],
): Command {
  return command.action(async (...args: unknown[]) => {
    // Commander hands over the arguments, then the options, then the command.
    const options = args.at(-2) as KeyspaceOptions;
    const name = typeof args[0] === "string" ? args[0] : "";
    process.exitCode = await ask(words(name, options), options);
  });
}

function ask(words: readonly string[], options: KeyspaceOptions): Promise<number> {
  return withClient(options, TIMEOUT_MS, async (client) => {
    const reply = await client.call("TREFOIL.KEYSPACE", ...words);
    if (reply.kind === "error") return refused(reply, options);
    say(options.json ? JSON.stringify(document(reply)) : describe(words[0] ?? "", reply));
    return EXIT.ok;
  });
}

function document(reply: Reply): unknown {
  const content = definitions(reply);
  return isList(reply) ? { keyspaces: content } : { keyspace: content[0] };
}

/** RESP2 sees a map as a flat array; this client speaks RESP3, so an array is a list. */
function isList(reply: Reply): boolean {
  return reply.kind === "array";
}

function definitions(reply: Reply): readonly Definition[] {
  const content = replyToJson(reply);
  return (Array.isArray(content) ? content : [content]) as Definition[];
}

function describe(verb: string, reply: Reply): string {
  const found = definitions(reply);
  const [first] = found;
  if (first === undefined) return "There are no keyspaces.";
  switch (verb) {
    case "CREATE": {
      const state = first.created ? "is created" : "was there already";
      return `Keyspace ${first.name} ${state}; its number is ${first.number}.`;
    }
    case "ALTER":
      return `Keyspace ${first.name} is altered; its definition has version ${first.version}.`;
    case "DROP":
      return first.number === null
        ? `There is no keyspace ${first.name}.`
        : `Keyspace ${first.name}, number ${first.number}, is dropped.`;
    default:
      return definitionTable(found);
  }
}

function definitionTable(keyspaces: readonly Definition[]): string {
  const head = ["number", "name", "model", "leader", "preferred", "timeout", "schema", "version"];
  const rows = keyspaces.map((keyspace) => {
    const { number, name, model, leader, preferred, timeout, schema, version } = keyspace;
    return [
      String(number),
      name,
      model,
      leader ?? "none",
      preferred ?? "by number",
      timeout === null ? "the node's" : `${timeout} ms`,
      schema === 0 ? "" : String(schema),
      String(version),
    ];
  });
  return table([head, ...rows]);
}
