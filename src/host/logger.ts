import { destination, type Logger, pino } from "pino";
import type { LogLevel } from "./config.ts";

export type { Logger };

/**
 * JSON lines on stderr, written synchronously: the last line before a crash is the one that counts.
 * Nothing in this project logs a key, a value or a secret; a test of the server's log sees to it.
 */
export function createLogger(level: LogLevel, node: string): Logger {
  return pino({ level, base: { node } }, destination({ dest: 2, sync: true }));
}

/** For parts that are tried on their own. */
export function silentLogger(): Logger {
  return pino({ level: "silent" });
}
