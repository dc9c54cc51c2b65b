import { Command } from "commander";
import type { RespClient } from "../client/resp-client.ts";
import type { Reply } from "../core/contract/reply.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import { type ClientOptions, type JsonOption, refused, say, withClient } from "./client.ts";
import { nodeId, parseWholeNumber, withPassword, withTarget } from "./options.ts";
import { replyToJson, table } from "./output.ts";

interface MemberOptions extends ClientOptions, JsonOption {
  readonly timeout: number;
}

interface TransferOptions extends MemberOptions {
  readonly keyspace?: string;
  readonly to?: string;
}

/** The client waits longer than the node by this, ms: the node knows more of what became of it. */
const GRACE_MS = 2_000;

const TIMEOUT_MS = 5_000;

/** A voter of a keyspace, as TREFOIL.MEMBER LIST describes it. */
interface Voter {
  readonly keyspace: string;
  readonly number: number;
  readonly node: string;
  readonly role: string;
  readonly term: number;
  readonly log_index: number | null;
}

/** `trefoil member`: who votes in each keyspace, and who leads it. */
export function memberCommand(): Command {
  const command = new Command("member").description("list the voters, and move leadership");
  command.addCommand(listCommand());
  command.addCommand(transferCommand());
  return command;
}

function patienceMs({ timeout }: MemberOptions): number {
  return timeout + GRACE_MS;
}

function withOptions(command: Command): Command {
  return withPassword(withTarget(command, "the node's port for Redis clients"))
    .option("--timeout <ms>", "how long to wait until it is done", parseWholeNumber, TIMEOUT_MS)
    .option("--json", "print one JSON document");
}

function listCommand(): Command {
  const command = new Command("list").description("show the voters of each keyspace");
  return withOptions(command).action(async (options: MemberOptions) => {
    process.exitCode = await withClient(options, patienceMs(options), (client) =>
      list(client, options),
    );
  });
}

function transferCommand(): Command {
  const command = new Command("transfer")
    .description("hand a keyspace's leadership to another node; done when that one leads")
    .option("-k, --keyspace <keyspace>", "number or name of the keyspace", "0")
    .option("--to <node>", "who is to lead: 2 or n2 (default: the most complete follower)");
  return withOptions(command)
    .addHelpText(
      "after",
      "\nWrites wait while it lasts, and none is lost. Exit code 0: the node leads. 1: it was refused,\nor is not known to lead within --timeout.",
    )
    .action(async (options: TransferOptions) => {
      process.exitCode = await withClient(options, patienceMs(options), (client) =>
        transfer(client, options),
      );
    });
}

async function list(client: RespClient, options: MemberOptions): Promise<number> {
  const reply = await client.call("TREFOIL.MEMBER", "LIST");
  if (reply.kind === "error") return refused(reply, options);
  const voters = votersOf(reply);
  say(options.json ? JSON.stringify({ voters }) : describe(voters));
  return EXIT.ok;
}

async function transfer(client: RespClient, options: TransferOptions): Promise<number> {
  const { keyspace = "0", to, timeout } = options;
  const target = to === undefined ? [] : ["TO", nodeId(to)];
  const within = ["TREFOIL.WITH", "TIMEOUT", String(timeout), "--"];
  const command = ["TREFOIL.MEMBER", "TRANSFER", "KEYSPACE", keyspace, ...target];
  const reply = await client.call(...within, ...command);
  if (reply.kind === "error") return refused(reply, options);
  const leader = await leaderOf(client, keyspace);
  if (options.json) say(JSON.stringify({ keyspace: leader.keyspace, leader: leader.node }));
  else say(`${leader.node ?? "Nobody"} leads keyspace ${leader.keyspace}.`);
  return EXIT.ok;
}

/** Who leads now: after a transfer to nobody in particular somebody wants to know. */
async function leaderOf(client: RespClient, keyspace: string) {
  const voters = votersOf(await client.call("TREFOIL.MEMBER", "LIST"));
  const own = voters.filter(({ keyspace: name, number }) => {
    return /^\d+$/.test(keyspace) ? String(number) === keyspace : name === keyspace;
  });
  const leader = own.find(({ role }) => role === "leader");
  return { keyspace: own[0]?.keyspace ?? keyspace, node: leader?.node ?? null };
}

function votersOf(reply: Reply): readonly Voter[] {
  if (reply.kind !== "array") throw new StartError(EXIT.failed, "The node's answer is no list.");
  return reply.items.map((item) => replyToJson(item) as Voter);
}

function describe(voters: readonly Voter[]): string {
  const rows = [["keyspace", "node", "role", "term", "log up to"]];
  for (const { keyspace, node, role, term, log_index } of voters) {
    rows.push([keyspace, node, role, String(term), log_index === null ? "" : String(log_index)]);
  }
  return table(rows);
}
