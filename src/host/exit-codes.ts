/**
 * How every `trefoil` process ends, in one place; `trefoil --help` prints it. Stable within a major
 * version: supervisors and scripts act on them.
 */
export const EXIT = {
  /** What was asked for was done; a server was stopped by a signal and drained. */
  ok: 0,
  /** The answer was an error, or a check did not hold. */
  failed: 1,
  /** The command line or the configuration is wrong; nothing was started. */
  usage: 2,
  /** No node of the cluster could be reached, or it was not ready in time. */
  unreachable: 3,
  /** The data directory may not be used: in use, damaged, empty or another node's (GEN3). */
  directory: 4,
  /** A port is in use. */
  port: 5,
  /** A write or sync failed; the node stopped and nothing was acknowledged since (STO8). */
  disk: 6,
  /** A broken invariant or an uncaught exception: our own mistake. */
  bug: 70,
} as const;

/** One of the documented exit codes. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The process may not start or go on; says how it should end. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
