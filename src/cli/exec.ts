import { Command } from "commander";
import type { RespClient } from "../client/resp-client.ts";
import type { Reply } from "../core/contract/reply.ts";
import { EXIT } from "../host/exit-codes.ts";
import { type ClientOptions, type JsonOption, say, withClient } from "./client.ts";
import { parseWholeNumber, withPassword, withTarget } from "./options.ts";
import { errorText, errorToJson, formatRaw, formatReply, replyToJson } from "./output.ts";

interface ExecOptions extends ClientOptions, JsonOption {
  readonly keyspace?: string;
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

function exec(args: readonly string[], options: ExecOptions): Promise<number> {
  return withClient(options, options.timeout, async (client) => {
    const reply = await ask(client, args, options.keyspace);
    print(reply, options.json === true);
    return reply.kind === "error" ? EXIT.failed : EXIT.ok;
  });
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
