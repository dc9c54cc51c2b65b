import { basename } from "node:path";
import { Command, Option } from "commander";
import {
  CONFIG_DEFAULTS,
  envName,
  flagName,
  isFlag,
  mergeConfig,
  type NodeConfig,
  readConfigFile,
  readEnvironment,
  readFlags,
  SETTINGS,
} from "../host/config.ts";
import { EXIT, type ExitCode } from "../host/exit-codes.ts";
import type { Logger } from "../host/logger.ts";
import { clusterSource } from "./cluster-file.ts";

/** `trefoil serve`: one node in this process, until a signal stops it. */
export function serveCommand(): Command {
  const command = new Command("serve").description("run one node in the foreground");
  for (const key of Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]) {
    if (!isFlag(key)) continue;
    const fallback = (CONFIG_DEFAULTS as Readonly<Record<string, string | number | object | null>>)[
      key
    ];
    const shown = typeof fallback === "object" ? "" : `, default ${fallback ?? "none"}`;
    const help = `${SETTINGS[key].help} (${envName(key)}${shown})`;
    command.option(`${flagName(key)} <value>`, help);
  }
  command.option("--config <file>", 'JSON file with the same settings, and "nodes", "keyspaces"');
  command.addOption(new Option("--supervised", "stop when standard input ends").hideHelp());
  return command.action(async (options: Record<string, unknown>) => {
    const { config: file, supervised, ...flags } = options;
    const config = readConfig(flags, typeof file === "string" ? file : null);
    process.exit(await serve(config, supervised === true));
  });
}

/**
 * Flags go before the environment, the environment before the file, the file before the cluster's.
 */
function readConfig(flags: Readonly<Record<string, unknown>>, file: string | null): NodeConfig {
  const sources = [readFlags(flags), readEnvironment(process.env)];
  if (file !== null) sources.push(readConfigFile(file));
  const dir = sources.find((source) => source.dir !== undefined)?.dir;
  if (dir !== undefined) sources.push(clusterSource(dir));
  return mergeConfig(...sources);
}

async function serve(config: NodeConfig, supervised: boolean): Promise<ExitCode> {
  // Its libraries take several times as long to load as any other command takes to run.
  const { createLogger } = await import("../host/logger.ts");
  const { startServer } = await import("../host/serve.ts");
  const logger = createLogger(config.logLevel, basename(config.dir));
  endOnUncaught(logger);
  const server = await startServer(config, logger).catch((failure: unknown) => {
    logger.fatal(failure instanceof Error ? failure.message : String(failure));
    throw failure;
  });
  const stop = (drain: boolean) => void server.stop({ drain });
  process.on("SIGTERM", () => stop(true));
  process.on("SIGINT", () => stop(true));
  // Whoever started us is gone, or stops the whole cluster: nobody is left to hand leadership to.
  if (supervised)
    process.stdin
      .once("end", () => stop(false))
      .once("error", () => stop(false))
      .resume();
  return server.ended;
}

/**
 * LMDB's library throws some failures of the disk where none can catch them. Nothing was committed
 * then, and the log has it all.
 */
function isOfStateStore(failure: unknown): boolean {
  return failure instanceof Error && /[\\/]node_modules[\\/]lmdb[\\/]/.test(failure.stack ?? "");
}

/**
 * Half a change may be in memory: nothing is acknowledged any more, and nothing can be saved that
 * is not on disk already.
 */
function endOnUncaught(logger: Logger): void {
  const end = (failure: unknown) => {
    logger.fatal({ err: failure }, `uncaught: ${String(failure)}`);
    process.exit(isOfStateStore(failure) ? EXIT.disk : EXIT.bug);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}
