import { Command } from "commander";
import { RespClient, RespClientError } from "../client/resp-client.ts";
import type { Reply } from "../core/contract/reply.ts";
import { formatAddress } from "../host/address.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import {
  type PasswordOptions,
  parseWholeNumber,
  resolvePassword,
  resolveTargets,
  type TargetOptions,
  withPassword,
  withTarget,
} from "./options.ts";
import { errorText, errorToJson, formatRaw, formatReply, replyToJson } from "./output.ts";

interface ExecOptions extends ClientOptions {
  readonly keyspace?: string;
  readonly json?: true;
  readonly timeout: number;
}

/** `trefoil exec`: one command, its reply, an exit code. */
export function execCommand(): Command {
  const command = new Command("exec")
    .description("send one command to the cluster, as redis-cli would")
    .argument("<command...>", "the command and its arguments")
    .passThroughOptions();
  return withPassword(withTarget(command, "the node's port for Redis clients"))
    .option("-k, --keyspace <keyspace>", "number or name of the keyspace")
    .option("--timeout <ms>", "how long to wait for the reply", parseWholeNumber, 5_000)
    .option("--json", "print one JSON document: { reply } or { error }")
    .addHelpText("after", "\nExample:\n  trefoil exec --node 1 SET greeting hello")
    .action(async (args: string[], options: ExecOptions) => {
      process.exitCode = await exec(args, options);
    });
}

async function exec(args: readonly string[], options: ExecOptions): Promise<number> {
  const client = await connectTo(options, options.timeout);
  try {
    const reply = await ask(client, args, options.keyspace);
    print(reply, options.json === true);
    return reply.kind === "error" ? EXIT.failed : EXIT.ok;
  } catch (failure) {
    if (!(failure instanceof RespClientError)) throw failure;
    // Sent and not answered: whether it took effect is not known, and it is not sent again (GEN6).
    const { kind, message, outcome } = failure;
    const code = kind.toUpperCase();
    if (options.json) say(JSON.stringify({ error: { code, message, outcome } }));
    else process.stderr.write(`trefoil: ${message} Outcome: ${outcome}.\n`);
    return EXIT.failed;
  } finally {
    client.close();
  }
}

async function ask(
  client: RespClient,
  args: readonly string[],
  keyspace: string | undefined,
): Promise<Reply> {
  if (keyspace === undefined) return client.call(...args);
  const selected = await client.call("SELECT", keyspace);
  return selected.kind === "error" ? selected : client.call(...args);
}

/** Which node to connect to, and what to authenticate with. */
export interface ClientOptions extends TargetOptions, PasswordOptions {}

/** Connects to the first node that takes the connection. Throws `StartError` when none does. */
export async function connectTo(options: ClientOptions, timeoutMs: number): Promise<RespClient> {
  const targets = resolveTargets(options, "resp");
  const password = resolvePassword(options);
  const failures: string[] = [];
  for (const { address, id } of targets) {
    try {
      return await RespClient.connect({ ...address, timeoutMs, password });
    } catch (failure) {
      if (!(failure instanceof RespClientError)) throw failure;
      // All nodes of a cluster have one password: the next one would say the same.
      if (failure.kind === "auth") throw new StartError(EXIT.usage, passwordHint(password));
      failures.push(`${id ?? formatAddress(address)} (${failure.message})`);
    }
  }
  throw new StartError(EXIT.unreachable, `No connection: ${failures.join(", ")}.`);
}

function passwordHint(password: string | null): string {
  return password === null
    ? "The cluster wants a password: set TREFOIL_PASSWORD, or give --password-file."
    : "The cluster has another password than TREFOIL_PASSWORD or --password-file says.";
}

function print(reply: Reply, json: boolean): void {
  if (json) {
    const document =
      reply.kind === "error" ? { error: errorToJson(reply) } : { reply: replyToJson(reply) };
    return say(JSON.stringify(document));
  }
  if (process.stdout.isTTY) return say(formatReply(reply));
  if (reply.kind === "error") process.stderr.write(`${errorText(reply)}\n`);
  // Bytes go out as they came: what a program reads is the value, not a picture of it.
  else process.stdout.write(Buffer.from(`${formatRaw(reply)}\n`, "latin1"));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
