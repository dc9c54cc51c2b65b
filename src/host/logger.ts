import { destination, type Logger, pino } from "pino";

export type { Logger };

/** How much is logged, from nothing to everything. */
export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug", "trace"] as const;

/** One of `LOG_LEVELS`. */
export type LogLevel = (typeof LOG_LEVELS)[number];

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
