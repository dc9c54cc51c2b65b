import { randomBytes, randomInt } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Disk, DiskCompletion, DiskOp } from "../core/contract/disk.ts";
import { DiskError } from "../core/contract/disk.ts";
import type { TraceEvent } from "../core/contract/trace.ts";
import { MemoryStore } from "../core/log/memory-store.ts";
import { BootError, boot, type NodeOptions } from "../core/node/boot.ts";
import type { LoopPorts, OrderingLoop } from "../core/node/ordering-loop.ts";
import { RAFT_LIMITS } from "../core/replication/single-leader/raft.ts";
import { type Address, formatAddress, requireLoopback } from "./address.ts";
import type { NodeAddresses } from "./cluster-status.ts";
import { describeConfig, type NodeConfig } from "./config.ts";
import {
  DataDirectoryError,
  type DirectoryLock,
  type Identity,
  lockDirectory,
  readIdentity,
} from "./disk/data-directory.ts";
import { NodeDisk } from "./disk/node-disk.ts";
import { VolatileDisk } from "./disk/volatile-disk.ts";
import { Driver, monotonicNow } from "./driver.ts";
import { EXIT, type ExitCode, StartError } from "./exit-codes.ts";
import { createHttpApi, HttpServer } from "./http-api.ts";
import { type LocalConnection, LocalConnections } from "./local-connections.ts";
import type { Logger } from "./logger.ts";
import { MeteredDisk } from "./metered-disk.ts";
import { Metrics } from "./metrics.ts";
import { PEER_LIMITS, type Peer } from "./peer-link.ts";
import { PeerTransport } from "./peer-transport.ts";
import { RESP_SERVER_LIMITS, RespServer } from "./resp-server.ts";
import { type LmdbStore, openLmdbStore } from "./state/lmdb-store.ts";
import { VERSION } from "./version.ts";

/** A node that serves, until it is stopped. */
export interface RunningServer {
  readonly identity: Identity;
  /** As bound: a port of 0 in the configuration is a real one here. */
  readonly addresses: NodeAddresses;
  /** Settles when the server is over: 0 after `stop`, else why it stopped by itself. */
  readonly ended: Promise<ExitCode>;
  /**
   * Hands leadership over, finishes open calls, closes everything and releases the directory.
   * Bounded: `drain` false skips the handing over, for when the whole cluster stops.
   */
  stop(options?: { readonly drain: boolean }): Promise<void>;
  /** A connection without a socket. */
  connect(): LocalConnection;
}

/** How a server may differ from one that is a process of its own. */
export interface ServerOptions {
  /** Which of its addresses it listens on. */
  readonly listen: { readonly resp: boolean; readonly http: boolean; readonly peer: boolean };
  /** Who it is, where it has no directory: all that it holds is gone with the process. */
  readonly memory: Identity | null;
}

const A_PROCESS: ServerOptions = {
  listen: { resp: true, http: true, peer: true },
  memory: null,
};

/** A core that neither finishes its drain nor answers is not waited for any longer, ms. */
const DRAIN_MS_MAX = 3_500;

/** Clients get this long to take their last replies, ms. */
const CLOSE_GRACE_MS = 500;

const STATUS_WITHIN_MS = 1_000;

/** What happens in the core that an operator should read, and how loud it is. */
const OPERATORS_MARKS: Readonly<Record<string, "info" | "warn" | "error">> = {
  "auth-failed": "warn",
  damaged: "error",
  halted: "error",
  "keyspace-created": "info",
  "keyspace-differs": "warn",
  "keyspace-dropped": "info",
  "keyspace-refused": "error",
  "snapshot-file-failed": "warn",
  "state-differs": "warn",
};

/** What of it is counted as well. */
const TOTALS: Readonly<Record<string, string>> = {
  "auth-failed": "auth_failures_total",
  damaged: "states_damaged_total",
  "snapshot-file-failed": "snapshot_files_failed_total",
  "state-differs": "state_differences_total",
};

/**
 * Opens the data directory, binds the ports, recovers the node and starts to serve. Throws
 * `StartError` where it may not; then nothing is left open.
 */
export async function startServer(
  config: NodeConfig,
  logger: Logger,
  options: ServerOptions = A_PROCESS,
): Promise<RunningServer> {
  requireLoopback("resp", config.resp);
  requireLoopback("http", config.http);
  requireLoopback("peer", config.peer);
  const { memory } = options;
  const { identity, lock } =
    memory === null ? await openDirectory(config.dir) : { identity: memory, lock: NO_LOCK };
  let server: NodeServer;
  try {
    server = new NodeServer(config, options, identity, lock, logger);
  } catch (failure) {
    await lock.release();
    throw failure;
  }
  try {
    await server.start();
  } catch (failure) {
    await server.abandon();
    throw startError(failure);
  }
  return server;
}

async function openDirectory(dir: string) {
  try {
    // The identity first: a directory that is not a node's is told so, and gets no lock file.
    const identity = readIdentity(dir);
    return { identity, lock: await lockDirectory(dir) };
  } catch (failure) {
    throw startError(failure);
  }
}

function startError(failure: unknown): unknown {
  if (failure instanceof StartError) return failure;
  const known =
    failure instanceof DataDirectoryError ||
    failure instanceof BootError ||
    failure instanceof DiskError;
  return known ? new StartError(EXIT.directory, `${failure.code}: ${failure.message}`) : failure;
}

/** Of what is in memory nobody else knows. */
const NO_LOCK: DirectoryLock = { release: async () => {} };

class NodeServer implements RunningServer {
  readonly identity: Identity;
  readonly ended: Promise<ExitCode>;
  readonly #config: NodeConfig;
  readonly #options: ServerOptions;
  readonly #lock: DirectoryLock;
  readonly #logger: Logger;
  readonly #metrics = new Metrics();
  readonly #driver: Driver;
  readonly #resp: RespServer;
  readonly #local: LocalConnections;
  readonly #peers: PeerTransport;
  readonly #http: HttpServer;
  #disk: NodeDisk | null = null;
  #store: LmdbStore | null = null;
  #addresses: NodeAddresses;
  #end: (code: ExitCode) => void = () => {};
  #stopping: Promise<void> | null = null;

  constructor(
    config: NodeConfig,
    options: ServerOptions,
    identity: Identity,
    lock: DirectoryLock,
    logger: Logger,
  ) {
    this.#config = config;
    this.#options = options;
    this.#lock = lock;
    this.#logger = logger;
    this.identity = identity;
    const { resp, http, peer } = config;
    this.#addresses = { id: this.identity.node, resp, http, peer };
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#driver = new Driver({
      metrics: this.#metrics,
      flush: () => this.#resp.flush(),
      onFatal: (failure) => this.#onFatal(failure),
      stallMs: config.electionTimeoutMs / 4,
    });
    this.#local = new LocalConnections(this.#driver);
    this.#resp = this.#createRespServer();
    this.#peers = this.#createTransport();
    this.#http = this.#createHttpServer();
  }

  get addresses(): NodeAddresses {
    return this.#addresses;
  }

  #createRespServer(): RespServer {
    const limits = { ...RESP_SERVER_LIMITS, connectionsMax: this.#config.maxClients };
    const driver = this.#driver;
    const wantsPassword = this.#config.password !== null;
    const metrics = this.#metrics;
    return new RespServer({ driver, metrics, logger: this.#logger, limits, wantsPassword });
  }

  #createTransport(): PeerTransport {
    const { cluster, node, incarnation, members } = this.identity;
    const peers: Peer[] = [];
    for (const member of members) {
      if (member.node === node) continue;
      const found = this.#config.nodes.find((candidate) => candidate.id === member.node);
      if (found === undefined) {
        throw new StartError(
          EXIT.usage,
          `${member.node} is a member of the cluster, and "nodes" does not say where it is found.`,
        );
      }
      peers.push({ ...member, address: found.peer });
    }
    return new PeerTransport({
      identity: { cluster, node, incarnation },
      peers,
      checksum: crc32,
      metrics: this.#metrics,
      logger: this.#logger,
      limits: PEER_LIMITS,
      onMessages: (from, messages) => {
        for (const message of messages) this.#driver.push({ kind: "message", from, message });
      },
      onLink: (peer, up) => this.#driver.push({ kind: "link", peer, up }),
    });
  }

  #createHttpServer(): HttpServer {
    const api = createHttpApi({
      metrics: this.#metrics,
      pid: process.pid,
      self: () => this.#addresses,
      nodes: this.#config.nodes,
      status: () => this.#driver.status(STATUS_WITHIN_MS),
    });
    return new HttpServer(api);
  }

  async start(): Promise<void> {
    await this.#bind();
    const loop = this.#boot();
    this.#metrics.observe({
      connections: () => this.#resp.connections,
      queuedInputs: () => this.#driver.queued,
      unsyncedBytes: () => loop.unsyncedBytes,
      checkpoints: () => loop.checkpoints,
      stateBytes: () => this.#store?.fileBytes ?? 0,
      peerQueues: () => this.#peers.queues(),
      status: () => this.#driver.status(STATUS_WITHIN_MS),
    });
    this.#driver.start(loop);
    this.#peers.start();
    const { resp, http, peer } = this.#addresses;
    const { cluster, incarnation } = this.identity;
    const at = { resp: formatAddress(resp), http: formatAddress(http), peer: formatAddress(peer) };
    const password = this.#config.password !== null;
    this.#logger.info({ cluster, incarnation, ...at, password, version: VERSION }, "serving");
  }

  /** All ports before the node recovers: a port in use is found before anything is written. */
  async #bind(): Promise<void> {
    const { listen } = this.#options;
    const bound = { ...this.#addresses };
    if (listen.resp) bound.resp = await bindTo("resp", bound.resp, (at) => this.#resp.listen(at));
    if (listen.http) bound.http = await bindTo("http", bound.http, (at) => this.#http.listen(at));
    if (listen.peer) bound.peer = await bindTo("peer", bound.peer, (at) => this.#peers.listen(at));
    this.#addresses = bound;
  }

  #boot(): OrderingLoop {
    const ports: LoopPorts = {
      send: (to, messages) => this.#peers.send(to, messages),
      reply: (to, reply) => {
        if (reply.kind !== "resp") this.#driver.onReply(to, reply);
        else if (!this.#local.onReply(to, reply)) this.#resp.onReply(reply);
      },
    };
    if (this.#options.memory === null) return this.#bootFrom(this.#openDisk(), ports);
    const disk = new VolatileDisk((completion) => this.#driver.onDisk(completion));
    return this.#bootFrom(disk, ports);
  }

  #openDisk(): Disk {
    const disk = new NodeDisk({
      directory: this.#config.dir,
      logWriter: this.#config.logWriter,
      onCompletion: (completion) => {
        metered.onDisk(completion);
        this.#driver.onDisk(completion);
      },
    });
    this.#disk = disk;
    const metered = new MeteredDisk(disk, this.#metrics);
    return metered;
  }

  #bootFrom(disk: Disk, ports: LoopPorts): OrderingLoop {
    const { cluster, node, incarnation, members } = this.identity;
    const config = this.#config;
    const { heartbeatMs, electionTimeoutMs } = config;
    const options: NodeOptions = {
      node,
      incarnation,
      cluster,
      members,
      keyspaces: config.keyspaces,
      timing: { heartbeatMs, electionTimeoutMs },
      raftLimits: {
        ...RAFT_LIMITS,
        retainedBytes: config.retainedBytes,
        scrubMs: config.scrubMs,
      },
      log: { segmentBytes: config.segmentBytes },
      checkpoints: {
        logBytesMax: config.checkpointBytes,
        memtableBytesMax: config.checkpointBytes,
      },
      defaultTimeoutMs: config.timeoutMs,
      info: {
        version: VERSION,
        pid: process.pid,
        respPort: this.#addresses.resp.port,
        httpPort: this.#addresses.http.port,
        config: describeConfig({ ...config, ...this.#addresses }),
      },
      password: config.password,
      seed: randomInt(2 ** 47),
      bootId: randomBytes(8).toString("hex"),
      trace: (event) => this.#trace(event),
      traced: this.#logger.isLevelEnabled("trace"),
    };
    const openStore = (nextOp: () => DiskOp) => {
      if (this.#options.memory !== null) return new MemoryStore();
      const onCompletion = (completion: DiskCompletion) => this.#driver.onDisk(completion);
      this.#store = openLmdbStore({ directory: config.dir, nextOp, onCompletion });
      return this.#store;
    };
    return boot(options, { disk, checksum: crc32, ports, now: monotonicNow(), openStore });
  }

  #trace({ group, detail, mark }: TraceEvent): void {
    const total = TOTALS[mark];
    if (total !== undefined) this.#metrics.count(total);
    this.#logger[OPERATORS_MARKS[mark] ?? "debug"]({ group, detail }, mark);
  }

  stop(options: { readonly drain: boolean } = { drain: true }): Promise<void> {
    this.#stopping ??= this.#stop(options.drain);
    return this.#stopping;
  }

  async #stop(drain: boolean): Promise<void> {
    this.#logger.info({ drain }, "stopping");
    this.#resp.stopAccepting();
    if (drain && !this.#driver.stopped) await within(DRAIN_MS_MAX, this.#driver.drain());
    await this.#resp.close(CLOSE_GRACE_MS);
    this.#driver.stop();
    await this.#release();
    this.#logger.info("stopped");
    this.#end(EXIT.ok);
  }

  connect(): LocalConnection {
    return this.#local.open();
  }

  async #release(): Promise<void> {
    this.#local.end();
    await Promise.all([this.#peers.close(), this.#http.close()]);
    await this.#store?.close();
    await this.#disk?.close();
    await this.#lock.release();
    this.#metrics.close();
  }

  /** Undoes a start that failed. */
  async abandon(): Promise<void> {
    this.#driver.stop();
    this.#resp.destroy();
    await this.#release();
  }

  /** Nothing may be acknowledged any more: replies not yet written are dropped (STO8, S11). */
  #onFatal(failure: Error): void {
    const code = failure instanceof DiskError ? EXIT.disk : EXIT.bug;
    this.#resp.destroy();
    this.#local.end();
    this.#logger.fatal({ err: failure }, `the node stops: ${failure.message}`);
    this.#end(code);
  }
}

async function bindTo(
  what: "resp" | "http" | "peer",
  address: Address,
  listen: (address: Address) => Promise<number>,
): Promise<Address> {
  try {
    return { host: address.host, port: await listen(address) };
  } catch (failure) {
    const code = failure instanceof Error && "code" in failure ? failure.code : null;
    if (code !== "EADDRINUSE" && code !== "EACCES" && code !== "EADDRNOTAVAIL") throw failure;
    const why =
      code === "EADDRINUSE" ? "is in use by another process" : `cannot be bound (${code})`;
    throw new StartError(EXIT.port, `Port ${formatAddress(address)} (${what}) ${why}.`);
  }
}

/** Whichever comes first. */
async function within(timeoutMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
