import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import type { Incarnation, NodeId } from "../../core/contract/ids.ts";

/** Who a data directory belongs to, for good (GEN3). */
export interface Identity {
  /** Random id of the cluster; only an explicit init draws one. */
  readonly cluster: string;
  readonly node: NodeId;
  /** Random id of this storage: 16 hex digits, drawn when it was formatted. */
  readonly incarnation: Incarnation;
  /** The members when the directory was formatted. */
  readonly members: readonly { readonly node: NodeId; readonly incarnation: Incarnation }[];
}

/**
 * - `NOT_FORMATTED`: there is no directory, or it is empty.
 * - `ALREADY_FORMATTED`: it has an identity; formatting it again would orphan its data.
 * - `FOREIGN`: it holds files and no identity.
 * - `DAMAGED`: its identity cannot be read.
 * - `LOCKED`: another process uses it.
 */
export type DataDirectoryErrorCode =
  | "NOT_FORMATTED"
  | "ALREADY_FORMATTED"
  | "FOREIGN"
  | "DAMAGED"
  | "LOCKED";

/** Says what is wrong with a data directory and what to do about it. */
export class DataDirectoryError extends Error {
  override readonly name = "DataDirectoryError";
  readonly code: DataDirectoryErrorCode;

  constructor(code: DataDirectoryErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Held until released, or until the process ends. */
export interface DirectoryLock {
  release(): Promise<void>;
}

const IDENTITY_FILE = "identity.json";
const LOCK_FILE = "lock";
const SOCKET_FILE = "lock.socket";
const FORMAT_VERSION = 1;
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
/** What a format that was interrupted may leave behind, and what locking does. */
const OWN_FILES: readonly string[] = [`${IDENTITY_FILE}.tmp`, LOCK_FILE, SOCKET_FILE];

/**
 * Makes the directory a member's storage, durably. It must not exist, or be empty: throws
 * `DataDirectoryError` `ALREADY_FORMATTED` or `FOREIGN` otherwise.
 */
export function formatDirectory(directory: string, identity: Identity): void {
  makeDirectory(directory);
  const names = fs.readdirSync(directory);
  if (names.includes(IDENTITY_FILE)) {
    throw new DataDirectoryError(
      "ALREADY_FORMATTED",
      `${directory} already belongs to a node. Start that node from it, or choose another directory.`,
    );
  }
  if (names.some((name) => !OWN_FILES.includes(name))) throw foreign(directory);
  const file = path.join(directory, IDENTITY_FILE);
  const fd = fs.openSync(`${file}.tmp`, "w", FILE_MODE);
  try {
    fs.writeFileSync(fd, `${JSON.stringify({ version: FORMAT_VERSION, ...identity }, null, 2)}\n`);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(`${file}.tmp`, file);
  syncDirectory(directory);
}

/**
 * Whose storage the directory is. Throws `DataDirectoryError`: an empty directory never stands in
 * for the one that a member has lost, because the member's promises went with it (GEN3).
 */
export function readIdentity(directory: string): Identity {
  const names = list(directory);
  if (!names.includes(IDENTITY_FILE)) {
    if (names.some((name) => !OWN_FILES.includes(name))) throw foreign(directory);
    throw new DataDirectoryError(
      "NOT_FORMATTED",
      `${directory} holds no node's data. A new cluster formats it when it is initialised; a node that lost its data joins as a new member, under a new incarnation.`,
    );
  }
  const file = path.join(directory, IDENTITY_FILE);
  let parsed: unknown;
  try {
    parsed = JSON.parse(fs.readFileSync(file, "utf8"));
  } catch {
    throw damaged(file);
  }
  if (!isIdentityFile(parsed)) throw damaged(file);
  const { cluster, node, incarnation, members } = parsed;
  return { cluster, node, incarnation, members };
}

/**
 * Keeps every other process on this machine off the directory until `release` or the end of this
 * process, however it ends (S8). Throws `DataDirectoryError` `LOCKED`, with the holder's pid.
 *
 * A lock file alone cannot tell a live holder from one that was killed without racing against
 * others that find out at the same time, and Node has no `flock`. What the kernel takes back by
 * itself, at once and without a race, is the address of a listening socket. On Linux that is an
 * abstract one, which has no file that could be left behind, named after the directory's device and
 * inode, so that two paths to one directory are one lock. The file `lock` only tells whom to blame.
 * The lock does not reach across network namespaces: two containers must not be given the same
 * directory.
 *
 * Elsewhere the socket is a file; one that nobody answers on is taken over.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const server = net.createServer((socket) => socket.destroy());
  const address = lockAddress(directory);
  try {
    await listen(server, address);
  } catch (error) {
    if (!isCode(error, "EADDRINUSE")) throw error;
    if (isAbstract(address) || (await answers(address))) throw locked(directory);
    fs.rmSync(address, { force: true });
    await listen(server, address).catch(() => {
      throw locked(directory);
    });
  }
  server.unref();
  fs.writeFileSync(path.join(directory, LOCK_FILE), `${process.pid}\n`, { mode: FILE_MODE });
  return {
    release: () =>
      new Promise((resolve) => {
        fs.rmSync(path.join(directory, LOCK_FILE), { force: true });
        server.close(() => resolve());
      }),
  };
}

function lockAddress(directory: string): string {
  if (process.platform !== "linux") return path.join(directory, SOCKET_FILE);
  const { dev, ino } = fs.statSync(directory, { bigint: true });
  return `\0trefoil-${dev}-${ino}`;
}

function isAbstract(address: string): boolean {
  return address.startsWith("\0");
}

function listen(server: net.Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path: address, exclusive: true }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(address);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => resolve(!isCode(error, "ECONNREFUSED")));
  });
}

function locked(directory: string): DataDirectoryError {
  let holder = "another process";
  try {
    const pid = fs.readFileSync(path.join(directory, LOCK_FILE), "utf8").trim();
    if (/^\d+$/.test(pid)) holder = `process ${pid}`;
  } catch {
    // The holder has not written its pid yet: the lock holds without it.
  }
  return new DataDirectoryError(
    "LOCKED",
    `${directory} is in use by ${holder}. Stop it, or choose another directory.`,
  );
}

function foreign(directory: string): DataDirectoryError {
  return new DataDirectoryError(
    "FOREIGN",
    `${directory} holds files that are no node's data. Choose a directory that is empty or does not exist.`,
  );
}

function damaged(file: string): DataDirectoryError {
  return new DataDirectoryError(
    "DAMAGED",
    `${file} cannot be read as a node's identity. Restore it from a backup of the directory; do not write it by hand.`,
  );
}

function list(directory: string): readonly string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (isCode(error, "ENOENT")) return [];
    throw error;
  }
}

/** Creates it with its parents; each new name is durable in the directory above. */
function makeDirectory(directory: string): void {
  const first = fs.mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  if (first === undefined) return;
  const top = path.dirname(path.resolve(first));
  for (let above = path.dirname(path.resolve(directory)); ; above = path.dirname(above)) {
    syncDirectory(above);
    if (above === top || above === path.dirname(above)) return;
  }
}

function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function isIdentityFile(value: unknown): value is Identity & { readonly version: number } {
  if (typeof value !== "object" || value === null) return false;
  const file = value as Record<string, unknown>;
  if (file["version"] !== FORMAT_VERSION || !Array.isArray(file["members"])) return false;
  return isText(file["cluster"]) && isMember(file) && file["members"].every(isMember);
}

function isMember(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const member = value as Record<string, unknown>;
  return isText(member["node"]) && /^[0-9a-f]{16}$/.test(String(member["incarnation"]));
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value.length > 0;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
