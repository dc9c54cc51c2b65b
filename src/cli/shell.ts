import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { Command } from "commander";
import { type RespClient, RespClientError } from "../client/resp-client.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import { type ClientOptions, connectTo } from "./client.ts";
import { withPassword, withTarget } from "./options.ts";
import { errorText, formatReply } from "./output.ts";
import { splitWords, WordsError } from "./words.ts";

const HISTORY_LINES_MAX = 500;
const TIMEOUT_MS = 10_000;

const HELP = `Type a command, as in redis-cli: SET greeting hello
  \\node 2       talk to another node
  \\keyspace k   another keyspace (the same as SELECT k)
  \\help         this
  \\quit         leave (or Ctrl-D)
COMMAND LIST shows what there is; COMMAND DOCS SET explains one.`;

/** `trefoil shell`: commands typed, or piped in, one a line; replies as redis-cli shows them. */
export function shellCommand(): Command {
  const command = new Command("shell").description("talk to the cluster command by command");
  return withPassword(withTarget(command, "the node's port for Redis clients")).action(
    async (options: ClientOptions) => {
      process.exitCode = await new Shell(options).run();
    },
  );
}

class Shell {
  #target: ClientOptions;
  #client: RespClient | null = null;
  #keyspace: string | null = null;
  readonly #interactive = process.stdin.isTTY && process.stdout.isTTY;
  readonly #historyFile = join(homedir(), ".trefoil_history");

  constructor(target: ClientOptions) {
    this.#target = target;
  }

  async run(): Promise<number> {
    this.#client = await connectTo(this.#target, TIMEOUT_MS);
    const lines = createInterface({
      input: process.stdin,
      ...(this.#interactive ? { output: process.stdout } : {}),
      history: this.#readHistory(),
      historySize: HISTORY_LINES_MAX,
      prompt: this.#prompt(),
    });
    if (this.#interactive) {
      process.stdout.write("\\help shows what the shell can do.\n");
      lines.prompt();
    }
    let failed = false;
    for await (const line of lines) {
      const verdict = await this.#onLine(line);
      if (verdict === "quit") break;
      failed ||= verdict === "failed";
      if (this.#interactive) this.#promptAgain(lines);
    }
    lines.close();
    this.#client?.close();
    // A person saw the errors; a script has to be told.
    return failed && !this.#interactive ? EXIT.failed : EXIT.ok;
  }

  #promptAgain(lines: Interface): void {
    lines.setPrompt(this.#prompt());
    lines.prompt();
  }

  #prompt(): string {
    const { node, port, url } = this.#target;
    const where =
      node?.replace(/^(?=\d)/, "n") ?? url ?? (port === undefined ? "trefoil" : String(port));
    return this.#keyspace === null ? `${where}> ` : `${where}[${this.#keyspace}]> `;
  }

  async #onLine(line: string): Promise<"ok" | "failed" | "quit"> {
    try {
      const words = splitWords(line);
      const [first] = words;
      if (first === undefined || first.startsWith("#")) return "ok";
      // A password stays out of the history.
      if (!/\bauth\b/i.test(line)) this.#remember(line);
      if (first.startsWith("\\")) return await this.#onShellCommand(words);
      if (/^(quit|exit)$/i.test(first)) return "quit";
      const reply = await (await this.#connected()).call(...words);
      process.stdout.write(`${formatReply(reply)}\n`);
      if (/^select$/i.test(first) && reply.kind !== "error") this.#keyspace = words[1] ?? null;
      return reply.kind === "error" ? "failed" : "ok";
    } catch (failure) {
      const known =
        failure instanceof WordsError ||
        failure instanceof RespClientError ||
        failure instanceof StartError;
      if (!known) throw failure;
      const outcome = failure instanceof RespClientError ? ` Outcome: ${failure.outcome}.` : "";
      process.stderr.write(`${failure.message}${outcome}\n`);
      return "failed";
    }
  }

  /**
   * A connection that broke is replaced for the next command; the one that broke it is not resent.
   */
  async #connected(): Promise<RespClient> {
    if (this.#client !== null && !this.#client.closed) return this.#client;
    const client = await connectTo(this.#target, TIMEOUT_MS);
    this.#client = client;
    if (this.#keyspace !== null) await this.#select(client, this.#keyspace);
    return client;
  }

  /** The command that is to come must not be carried out in another keyspace. */
  async #select(client: RespClient, keyspace: string): Promise<void> {
    const reply = await client.call("SELECT", keyspace);
    if (reply.kind !== "error") return;
    this.#keyspace = null;
    const text = `${keyspace} cannot be selected again, so nothing was sent: ${errorText(reply)}. Commands go to keyspace 0 from now on.`;
    throw new StartError(EXIT.failed, text);
  }

  async #onShellCommand(words: readonly string[]): Promise<"ok" | "failed" | "quit"> {
    const [name, argument] = words;
    switch (name) {
      case "\\q":
      case "\\quit":
        return "quit";
      case "\\node": {
        if (argument === undefined) break;
        this.#client?.close();
        this.#client = null;
        const { dir, passwordFile } = this.#target;
        const same = passwordFile === undefined ? { dir } : { dir, passwordFile };
        this.#target = { ...same, node: argument };
        await this.#connected();
        return "ok";
      }
      case "\\keyspace":
        if (argument === undefined) break;
        return this.#onLine(`SELECT ${argument}`);
      default:
    }
    process.stdout.write(`${HELP}\n`);
    return name === "\\help" ? "ok" : "failed";
  }

  #readHistory(): string[] {
    if (!this.#interactive || !existsSync(this.#historyFile)) return [];
    try {
      const lines = readFileSync(this.#historyFile, "utf8").trimEnd().split("\n");
      return lines.slice(-HISTORY_LINES_MAX).reverse();
    } catch {
      // A history that cannot be read is no reason not to open a shell.
      return [];
    }
  }

  #remember(line: string): void {
    // Passwords are typed into AUTH and HELLO … AUTH: they do not go to a file.
    if (!this.#interactive || /\bauth\b/i.test(line)) return;
    try {
      appendFileSync(this.#historyFile, `${line}\n`, { mode: 0o600 });
    } catch {
      // Without a writable home there is no history, and nothing else is missing.
    }
  }
}
