import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** One finished system call of a traced process. Times are seconds of the machine's clock. */
export interface SystemCall {
  readonly name: string;
  /** What the descriptor stands for: a path, or `socket:[…]` and the like. */
  readonly file: string;
  /** The other arguments as strace prints them; bytes are characters of the same number. */
  readonly args: string;
  readonly begun: number;
  readonly ended: number;
}

const TRACED = "fdatasync,fsync,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg";
const ATTACH_MS_MAX = 10_000;
const O_DSYNC = 0o10000;

/** Why system calls cannot be traced here; null where they can. */
export function tracingMissing(): string | null {
  if (process.platform !== "linux") return "system calls are traced on Linux only";
  const probe = spawnSync("strace", ["-e", "trace=none", "true"], { stdio: "ignore" });
  if (probe.error !== undefined) return "strace is not installed";
  return probe.status === 0 ? null : "strace may not trace here";
}

/** Traces one running process, all its threads, until `stop`. */
export class SystemCallTrace {
  readonly #prefix: string;
  readonly #strace: ChildProcess;

  private constructor(prefix: string, strace: ChildProcess) {
    this.#prefix = prefix;
    this.#strace = strace;
  }

  /** Attaches; resolves when calls are being recorded, into files that begin with `prefix`. */
  static async attach(pid: number, prefix: string): Promise<SystemCallTrace> {
    const options = ["-ff", "-ttt", "-T", "-y", "-xx", "-s", "8192", "-e", `trace=${TRACED}`];
    const strace = spawn("strace", [...options, "-o", prefix, "-p", String(pid)], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`strace: ${said}`)), ATTACH_MS_MAX);
      strace.stderr.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        if (!/attached/.test(said)) return;
        clearTimeout(timer);
        resolve();
      });
      strace.once("exit", () => reject(new Error(`strace ended: ${said}`)));
    });
    return new SystemCallTrace(prefix, strace);
  }

  /** Detaches and gives the calls that succeeded, in the order in which they ended. */
  async stop(): Promise<SystemCall[]> {
    const exited = once(this.#strace, "exit");
    this.#strace.kill("SIGINT");
    await exited;
    const directory = dirname(this.#prefix);
    const names = readdirSync(directory).filter((name) => name.startsWith(basename(this.#prefix)));
    return names
      .flatMap((name) => readFileSync(join(directory, name), "utf8").split("\n"))
      .flatMap(parseCall)
      .sort((a, b) => a.ended - b.ended);
  }
}

/** One line of `strace -ttt -T -y -xx`; nothing for what is not a successful call. */
export function parseCall(line: string): SystemCall[] {
  const match = /^(\d+\.\d+) (\w+)\(\d+<([^>]*)>(.*)\) += (\d+) <(\d+\.\d+)>$/.exec(line);
  if (match === null) return [];
  const [, begun = "", name = "", file = "", args = "", , took = ""] = match;
  const times = { begun: Number(begun), ended: Number(begun) + Number(took) };
  return [{ name, file: fromHex(file), args: fromHex(args), ...times }];
}

function fromHex(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/**
 * Whether a process had made `token` durable in its log before the instant `before`: a call wrote
 * it to a file whose path matches, and then a sync of that file began and ended, or the write
 * itself was synchronous (`syncedFiles` were opened with O_DSYNC).
 */
export function durableBefore(
  calls: readonly SystemCall[],
  token: string,
  logPath: RegExp,
  before: number,
  syncedFiles: ReadonlySet<string> = new Set(),
): boolean {
  const writes = calls.filter(
    (call) => /write/.test(call.name) && logPath.test(call.file) && call.args.includes(token),
  );
  return writes.some(
    (write) =>
      (syncedFiles.has(write.file) && write.ended <= before) ||
      calls.some(
        (call) =>
          (call.name === "fdatasync" || call.name === "fsync") &&
          call.file === write.file &&
          call.begun >= write.ended &&
          call.ended <= before,
      ),
  );
}

/** Files that a process has open with O_DSYNC. */
export function filesOpenedSynchronously(pid: number): Set<string> {
  const found = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const flags = /flags:\s+([0-7]+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"));
      if ((Number.parseInt(flags?.[1] ?? "0", 8) & O_DSYNC) === 0) continue;
      found.add(readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      // The descriptor was closed meanwhile.
    }
  }
  return found;
}
