import { Command, CommanderError } from "commander";
import { EXIT, StartError } from "../host/exit-codes.ts";
import { VERSION } from "../host/version.ts";
import { execCommand } from "./exec.ts";
import { explainCommand } from "./explain.ts";
import { initCommand } from "./init.ts";
import { keyspaceCommand } from "./keyspace.ts";
import { memberCommand } from "./member.ts";
import { serveCommand } from "./serve.ts";
import { shellCommand } from "./shell.ts";
import { startCommand } from "./start.ts";
import { statusCommand } from "./status.ts";
import { tourCommand } from "./tour.ts";

const EXIT_CODES = `
Exit codes:
  0   done; a server was stopped by a signal
  1   the answer was an error, or a check did not hold
  2   the command line or the configuration is wrong
  3   no node could be reached, or the cluster was not ready in time
  4   a data directory may not be used (in use, damaged, empty, another node's)
  5   a port is in use
  6   a disk write failed; the node stopped
  70  a bug; please report what was printed`;

/** The whole command line. Every subcommand ends by setting the process's exit code. */
export function createProgram(): Command {
  const program = new Command("trefoil")
    .description("A replicated store: durable, fault-tolerant, for Node and any Redis client.")
    .version(VERSION, "-v, --version", "print the version")
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .showHelpAfterError("Try `trefoil --help`.")
    .configureHelp({ showGlobalOptions: false })
    .addHelpText("after", EXIT_CODES);
  const commands = [
    startCommand(),
    initCommand(),
    serveCommand(),
    execCommand(),
    shellCommand(),
    statusCommand(),
    keyspaceCommand(),
    memberCommand(),
    tourCommand(),
    explainCommand(),
  ];
  for (const command of commands) {
    hintAfterErrors(command, `trefoil ${command.name()}`);
    program.addCommand(command);
  }
  exitByThrowing(program);
  return program;
}

function hintAfterErrors(command: Command, path: string): void {
  command.showSuggestionAfterError();
  command.showHelpAfterError(`Try \`${path} --help\`.`);
  for (const inner of command.commands) hintAfterErrors(inner, `${path} ${inner.name()}`);
}

function exitByThrowing(program: Command): void {
  program.exitOverride();
  for (const command of program.commands) exitByThrowing(command);
}

/** Runs one command line; returns the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...argv], { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : EXIT.ok;
  } catch (failure) {
    if (failure instanceof CommanderError) return failure.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (failure instanceof StartError) {
      process.stderr.write(`trefoil: ${failure.message}\n`);
      return failure.exitCode;
    }
    process.stderr.write(
      `trefoil: ${failure instanceof Error ? failure.stack : String(failure)}\n`,
    );
    return EXIT.bug;
  }
}
