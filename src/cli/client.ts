import { RespClient, RespClientError } from "../client/resp-client.ts";
import type { Reply } from "../core/contract/reply.ts";
import { formatAddress } from "../host/address.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import {
  type PasswordOptions,
  resolvePassword,
  resolveTargets,
  type TargetOptions,
} from "./options.ts";
import { errorText, errorToJson } from "./output.ts";

/** Which node to connect to, and what to authenticate with. */
export interface ClientOptions extends TargetOptions, PasswordOptions {}

/** Whether what is printed is one JSON document. */
export interface JsonOption {
  readonly json?: true;
}

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

/**
 * One connection for as long as `use` takes; the exit code. Where it breaks, what was sent and not
 * answered may have taken effect, and is not sent again (GEN6).
 */
export async function withClient(
  options: ClientOptions & JsonOption,
  timeoutMs: number,
  use: (client: RespClient) => Promise<number>,
): Promise<number> {
  const client = await connectTo(options, timeoutMs);
  try {
    return await use(client);
  } catch (failure) {
    if (!(failure instanceof RespClientError)) throw failure;
    const { code, message, outcome } = failure;
    if (options.json) say(JSON.stringify({ error: { code, message, outcome } }));
    else process.stderr.write(`trefoil: ${message} Outcome: ${outcome}.\n`);
    return EXIT.failed;
  } finally {
    client.close();
  }
}

/** Prints an error reply; the exit code. */
export function refused(reply: Extract<Reply, { kind: "error" }>, { json }: JsonOption): number {
  if (json) say(JSON.stringify({ error: errorToJson(reply) }));
  else process.stderr.write(`${errorText(reply)}\n`);
  return EXIT.failed;
}

/** One line, or several, for whoever reads the output. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
