import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeUtf8, toByteString } from "../../src/core/base/bytes.ts";
import { encodeCommand } from "../../src/core/commands/command-machine.ts";
import { noSuchKeyspace, parseKeyspaceRef } from "../../src/core/commands/keyspaces.ts";
import { runMember } from "../../src/core/commands/member.ts";
import { ScanCursors } from "../../src/core/commands/scan-cursors.ts";
import type { ServerView } from "../../src/core/commands/server-view.ts";
import { ClientSession } from "../../src/core/commands/session.ts";
import type { CommandEdge, CommitCommand, ExecCommand } from "../../src/core/commands/spec.ts";
import { checkCall, lookupCommand } from "../../src/core/commands/table.ts";
import {
  isForTransactions,
  refuseInTransaction,
  runTransactionCommand,
  type Transaction,
  takeTransaction,
  transactionOf,
} from "../../src/core/commands/transactions.ts";
import { parseCommit } from "../../src/core/commands/typed.ts";
import { encodeReadSet, type ReadSet } from "../../src/core/commands/watched-keys.ts";
import { OK, type Reply, redisError } from "../../src/core/contract/reply.ts";
import { RespEncoder } from "../../src/core/wire/resp-encoder.ts";
import { ProtocolError, RespParser } from "../../src/core/wire/resp-parser.ts";
import { TestKeyspace } from "../raft/test-keyspace.ts";

/** Something that speaks RESP. One connection; replies come back as raw bytes, one per request. */
export interface Target {
  /** Sends the requests in one go, and waits for as many replies. */
  run(requests: readonly (readonly Uint8Array[])[]): Promise<Uint8Array[]>;
  /** Sends bytes as they are, and gives all that comes back until the server is silent or gone. */
  raw(bytes: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

export function encodeRequest(args: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [encodeUtf8(`*${args.length}\r\n`)];
  for (const arg of args) parts.push(encodeUtf8(`$${arg.length}\r\n`), arg, encodeUtf8("\r\n"));
  return Buffer.concat(parts);
}

/**
 * Where the reply that begins at `at` ends; -1 when it is not all there. Written for the tests
 * alone, so that what judges raw bytes shares no code with what made them.
 */
export function replyEnd(bytes: Buffer, at: number): number {
  const line = bytes.indexOf("\r\n", at);
  if (line === -1) return -1;
  const lead = String.fromCharCode(bytes[at] ?? 0);
  const next = line + 2;
  if (!"$=*~%>".includes(lead)) return next;
  const length = Number(bytes.toString("latin1", at + 1, line));
  if (length < 0) return next;
  if (lead === "$" || lead === "=") {
    return next + length + 2 <= bytes.length ? next + length + 2 : -1;
  }
  let end = next;
  for (let left = lead === "%" ? length * 2 : length; left > 0; left -= 1) {
    end = replyEnd(bytes, end);
    if (end === -1) return -1;
  }
  return end;
}

/** A server on a loopback port. */
export class SocketTarget implements Target {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    const onEnd = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on("close", onEnd).on("end", onEnd).on("error", onEnd);
  }

  static async open(port: number): Promise<SocketTarget> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new SocketTarget(socket);
  }

  async run(requests: readonly (readonly Uint8Array[])[]): Promise<Uint8Array[]> {
    this.#socket.write(Buffer.concat(requests.map(encodeRequest)));
    const replies: Uint8Array[] = [];
    while (replies.length < requests.length) {
      const end = replyEnd(this.#received, 0);
      if (end === -1) {
        if (this.#ended) throw new Error(`the server hung up after ${replies.length} replies`);
        await this.#more();
        continue;
      }
      replies.push(this.#received.subarray(0, end));
      this.#received = this.#received.subarray(end);
    }
    return replies;
  }

  /** Behind the bytes goes a marked ECHO: its answer, or the end, says that nothing more comes. */
  async raw(bytes: Uint8Array): Promise<Uint8Array> {
    this.#socket.write(bytes);
    this.#socket.write("*2\r\n$4\r\nECHO\r\n$6\r\n<done>\r\n");
    const mark = "$6\r\n<done>\r\n";
    while (!this.#ended && !this.#received.includes(mark)) await this.#more();
    const at = this.#received.indexOf(mark);
    return at === -1 ? this.#received : this.#received.subarray(0, at);
  }

  close(): void {
    this.#socket.destroy();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** The command table without replication: parser, table, state machine, encoder. */
export class InProcessTarget implements Target {
  readonly session = new ClientSession(1, "127.0.0.1:1", 0, true);
  readonly keyspace = new TestKeyspace();
  readonly #parser = new RespParser();
  readonly #encoder = new RespEncoder();
  readonly #cursors = new ScanCursors();
  readonly #server: ServerView;

  readonly #wallMs: () => number;

  constructor(wallMs: () => number = Date.now) {
    this.#wallMs = wallMs;
    this.#server = serverView(this.session, this.keyspace);
  }

  run(requests: readonly (readonly Uint8Array[])[]): Promise<Uint8Array[]> {
    const bytes = Buffer.from(this.#answer(Buffer.concat(requests.map(encodeRequest))));
    const replies: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = replyEnd(bytes, at);
      if (end === -1) throw new Error("a reply that is not whole");
      replies.push(bytes.subarray(at, end));
      at = end;
    }
    return Promise.resolve(replies);
  }

  raw(bytes: Uint8Array): Promise<Uint8Array> {
    return Promise.resolve(this.#answer(bytes));
  }

  close(): void {}

  /** `random` is the number that RANDOMKEY draws. */
  execute(args: readonly Uint8Array[], random = 0x8000_0000): Reply {
    const spec = lookupCommand(args[0]!);
    const wrong = checkCall(spec, args);
    const edge = { cursors: this.#cursors, random: () => random };
    this.keyspace.time = Math.max(this.keyspace.time, this.#wallMs());
    const { transaction } = this.session;
    if (transaction !== null && !isForTransactions(spec)) {
      return transaction.queue(spec, args, edge);
    }
    if (wrong !== null) return refuseInTransaction(spec, this.session, wrong);
    if (spec === undefined) throw new Error("an unknown command was not refused");
    if (spec.kind === "transaction") return runTransactionCommand(spec, this.session);
    if (spec.kind === "exec") return this.#exec(spec, edge);
    if (spec.kind === "commit") return this.#commit(spec, args, edge);
    if (spec.kind === "connection") return spec.run(args, this.session, this.#server);
    if (spec.kind === "select") return this.#select(args);
    if (spec.kind === "catalog") return redisError("not in this stand-in");
    if (spec.kind === "member") return this.#member(args);
    if (spec.kind === "changes" || spec.kind === "with" || spec.kind === "wait")
      return redisError("not in this stand-in");
    if (spec.kind === "watch") {
      const taken = this.session.watched.add(0, args);
      if (typeof taken !== "function") return taken;
      return taken(this.keyspace.read(encodeCommand(spec, args)));
    }
    const travelling = spec.toWire?.(args, edge) ?? args;
    if ("kind" in travelling) return travelling;
    const encoded = encodeCommand(spec, travelling);
    const reply =
      spec.kind === "write" ? this.keyspace.apply(encoded) : this.keyspace.read(encoded);
    return spec.fromWire?.(reply, edge) ?? reply;
  }

  #select(args: readonly Uint8Array[]): Reply {
    const ref = parseKeyspaceRef(args[1]!);
    const known = this.#server.keyspaces();
    const found =
      ref === null
        ? undefined
        : known.find((each) =>
            "name" in ref ? each.name === ref.name : each.number === ref.number,
          );
    if (found === undefined) return noSuchKeyspace(known);
    this.session.keyspace = found.number;
    return OK;
  }

  #member(args: readonly Uint8Array[]): Reply {
    const asked = runMember(args, this.session, this.#server);
    return "kind" in asked ? asked : redisError("not in this stand-in");
  }

  #exec(spec: ExecCommand, edge: CommandEdge): Reply {
    const taken = takeTransaction(this.session);
    if ("kind" in taken) return taken;
    return this.#carryOut(spec, taken.transaction, taken.watched.reads, edge);
  }

  #commit(spec: CommitCommand, args: readonly Uint8Array[], edge: CommandEdge): Reply {
    const { reads, commands } = parseCommit(args);
    const transaction = transactionOf(commands, edge);
    return "kind" in transaction ? transaction : this.#carryOut(spec, transaction, reads, edge);
  }

  #carryOut(
    spec: ExecCommand | CommitCommand,
    transaction: Transaction,
    reads: ReadSet,
    edge: CommandEdge,
  ): Reply {
    const present = transaction.begin(this.session, this.#server, edge);
    const args = [new Uint8Array(0), encodeReadSet(reads), ...transaction.payloads];
    return present(this.keyspace.apply(encodeCommand(spec, args)));
  }

  #answer(bytes: Uint8Array): Uint8Array {
    this.#parser.push(bytes);
    try {
      for (let args = this.#parser.next(); args !== null; args = this.#parser.next()) {
        const reply = this.execute(args);
        this.#encoder.reply(reply, this.session.resp);
      }
    } catch (failure) {
      if (!(failure instanceof ProtocolError)) throw failure;
      this.#encoder.reply(redisError(failure.message), this.session.resp);
    }
    return this.#encoder.take();
  }
}

/** A node of one keyspace, as far as commands ask for it. */
export function serverView(session: ClientSession, keyspace: TestKeyspace): ServerView {
  return {
    version: "0.1.0",
    node: "n1",
    cluster: "c1",
    runId: "0123456789abcdef",
    pid: 4711,
    respPort: 7001,
    httpPort: 8001,
    members: ["n1", "n2", "n3"],
    uptimeSeconds: 100_000,
    wallMs: 1_700_000_000_123.5,
    now: 5000,
    password: null,
    onAuthFailure: () => {},
    clients: () => [session],
    config: () => new Map([["dir", "/data"]]),
    keyspaces: () => [
      {
        name: "default",
        number: 0,
        model: "singleLeader",
        role: "leader",
        leader: "n1",
        term: 3,
        commitIndex: 12,
        appliedIndex: 12,
        lastIndex: 13,
        lagEntries: 0,
        lagMs: 0,
        ...keyspace.state.counts,
        halted: null,
        damaged: null,
        peers: [{ node: "n2", matchIndex: 11, state: "replicate", lagEntries: 2, lagMs: 40.5 }],
      },
    ],
    catalog: () => ({
      role: "follower",
      leader: "n2",
      term: 1,
      commitIndex: 5,
      appliedIndex: 5,
      lastIndex: 5,
      lagEntries: 0,
      lagMs: 20.4,
      keys: 0,
      expiring: 0,
      collections: 0,
      halted: null,
      damaged: null,
      peers: [],
    }),
  };
}

/** Why there is no redis-server to compare with; null where there is one. */
export function whyNoRedis(): string | null {
  const found = spawnSync("redis-server", ["--version"], { encoding: "utf8" });
  if (found.error !== undefined) return "redis-server is not installed";
  return /v=7\./.test(found.stdout) ? null : `redis-server is not of version 7: ${found.stdout}`;
}

export interface RedisServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** A redis-server of its own on a free loopback port, with our limit of values, and no files. */
export async function startRedis(options: readonly string[] = []): Promise<RedisServer> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), "trefoil-redis-"));
  const child = spawn(
    "redis-server",
    [
      ...["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
      ...["--proto-max-bulk-len", "8388608", "--dir", directory, "--databases", "16"],
      ...options,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    await untilReady(child);
  } catch (failure) {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
    throw failure;
  }
  return {
    port,
    async stop() {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function untilReady(child: ChildProcess): Promise<void> {
  let log = "";
  for await (const chunk of child.stdout!) {
    log += String(chunk);
    if (log.includes("Ready to accept connections")) {
      // What it goes on to say must not fill the pipe.
      child.stdout!.resume();
      return;
    }
  }
  throw new Error(`redis-server did not start:\n${log}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Text of raw bytes in which every byte can be told apart, for messages of failed tests. */
export function visible(bytes: Uint8Array): string {
  return JSON.stringify(toByteString(bytes));
}
