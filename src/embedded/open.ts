import { randomBytes } from "node:crypto";
import { type Database, openDatabase } from "../client/database.ts";
import { TrefoilError } from "../client/errors.ts";
import type { Keyspaces } from "../client/keyspaces.ts";
import { TIMEOUT_MS_DEFAULT } from "../client/trefoil-engine.ts";
import { type Address, parseAddress } from "../host/address.ts";
import { type LogLevel, mergeConfig, type NodeConfig } from "../host/config.ts";
import {
  DataDirectoryError,
  formatDirectory,
  type Identity,
  readIdentity,
} from "../host/disk/data-directory.ts";
import { StartError } from "../host/exit-codes.ts";
import { createLogger } from "../host/logger.ts";
import { type RunningServer, type ServerOptions, startServer } from "../host/serve.ts";
import { LocalChannel } from "./local-channel.ts";

/** Where another member of the cluster is found. */
export interface OpenPeer {
  /** Its name, such as `n2`. */
  readonly id: string;
  /** `host:port` for the other nodes. */
  readonly peer: string;
}

/** How to open a database in this process. */
export interface OpenOptions<K extends Keyspaces> {
  readonly keyspaces: K;
  /**
   * The node's data directory: made where there is none. Left out, everything is in memory and gone
   * with the process.
   */
  readonly dir?: string;
  /**
   * The other members, where `dir` was initialised as one of a cluster (`trefoil init`). They have
   * to be named, because a directory says who they are and not where.
   */
  readonly peers?: readonly OpenPeer[];
  /** Addresses (`host:port`, on loopback) at which others are served; none unless told. */
  readonly listen?: {
    /** For Redis clients and `connect`. */
    readonly resp?: string;
    /** For /health, /ready, /status and /metrics. */
    readonly http?: string;
    /** For the other members; needed where there are some. */
    readonly peer?: string;
  };
  /** For calls that name no deadline, ms; 2,000 unless told otherwise. */
  readonly timeoutMs?: number;
  /** What the node logs to stderr; `error` unless told otherwise. */
  readonly logLevel?: LogLevel;
  /**
   * The node has stopped by itself: its disk failed, or it found a bug in itself. Calls under way
   * end as unknown, later ones with `CLOSED`. Without it, a warning is emitted.
   */
  readonly onStopped?: (error: TrefoilError) => void;
}

const MEMORY_DIR = "memory";

/**
 * Opens a database whose node runs in this process: the files of one directory, or memory. Throws
 * `TrefoilError` `CANNOT_OPEN` where it may not: a directory in use or damaged, a port in use.
 */
export async function open<const K extends Keyspaces>(
  options: OpenOptions<K>,
): Promise<Database<K>> {
  const { dir, peers = [], listen = {} } = options;
  if (peers.length > 0 && (dir === undefined || listen.peer === undefined)) {
    throw cannotOpen("A member of a cluster needs dir and listen.peer.");
  }
  const server = await start(options, dir ?? MEMORY_DIR, dir === undefined ? memory() : null);
  let isClosing = false;
  server.ended.then(
    (code) => {
      if (!isClosing) tellStopped(options, code);
    },
    () => {},
  );
  const end = async () => {
    isClosing = true;
    await server.stop();
  };
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS_DEFAULT;
  const channel = (keyspace: string | null) => new LocalChannel(server.connect(), keyspace);
  return openDatabase(options.keyspaces, { timeoutMs, create: true }, channel, end);
}

function memory(): Identity {
  const incarnation = randomBytes(8).toString("hex");
  const members = [{ node: "n1", incarnation }];
  return { cluster: randomBytes(8).toString("hex"), node: "n1", incarnation, members };
}

async function start<K extends Keyspaces>(
  options: OpenOptions<K>,
  dir: string,
  inMemory: Identity | null,
): Promise<RunningServer> {
  try {
    const identity = inMemory ?? identityOf(dir);
    const config = configOf(options, dir, identity);
    const { listen = {} } = options;
    const server: ServerOptions = {
      memory: inMemory,
      listen: {
        resp: listen.resp !== undefined,
        http: listen.http !== undefined,
        peer: listen.peer !== undefined,
      },
    };
    return await startServer(config, createLogger(config.logLevel, identity.node), server);
  } catch (failure) {
    if (failure instanceof StartError || failure instanceof DataDirectoryError) {
      throw cannotOpen(failure.message, failure);
    }
    throw failure;
  }
}

/** A directory that is empty, or not there, becomes that of a cluster of one. */
function identityOf(dir: string): Identity {
  try {
    return readIdentity(dir);
  } catch (failure) {
    if (!(failure instanceof DataDirectoryError) || failure.code !== "NOT_FORMATTED") throw failure;
    const identity = memory();
    formatDirectory(dir, identity);
    return identity;
  }
}

/** Where nothing listens; a port of 0 is one that nobody can connect to. */
const NOWHERE: Address = { host: "127.0.0.1", port: 0 };

function configOf<K extends Keyspaces>(
  options: OpenOptions<K>,
  dir: string,
  identity: Identity,
): NodeConfig {
  const { listen = {}, peers = [], timeoutMs, logLevel = "error" } = options;
  const resp = addressOf("listen.resp", listen.resp);
  const http = addressOf("listen.http", listen.http);
  const peer = addressOf("listen.peer", listen.peer);
  const others = peers.map(({ id, peer: at }) => {
    return { id, resp: NOWHERE, http: NOWHERE, peer: addressOf(`peers: ${id}`, at) };
  });
  const nodes = [{ id: identity.node, resp, http, peer }, ...others];
  return mergeConfig({ dir, resp, http, peer, nodes, timeoutMs, logLevel });
}

function addressOf(what: string, text: string | undefined): Address {
  if (text === undefined) return NOWHERE;
  return parseAddress(text) ?? refuseAddress(what, text);
}

function refuseAddress(what: string, text: string): never {
  throw cannotOpen(`${what} is to be host:port, and was ${JSON.stringify(text)}.`);
}

function cannotOpen(message: string, cause?: unknown): TrefoilError {
  return new TrefoilError("CANNOT_OPEN", message, { cause });
}

function tellStopped<K extends Keyspaces>(options: OpenOptions<K>, code: number): void {
  const error = new TrefoilError(
    "CLOSED",
    `The embedded node has stopped by itself (code ${code}); its log says why.`,
  );
  if (options.onStopped === undefined) process.emitWarning(error);
  else options.onStopped(error);
}
