import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  BenchError,
  dataDirectory,
  freePorts,
  isInstalled,
  Program,
  removeDirectory,
  runToEnd,
} from "./programs.ts";
import { type Shape, type Target, VALUE_BYTES, type Window, type WindowTimes } from "./target.ts";

const MEMBERS = 3;
const KEY = "bench";
const VALUE: string = "v".repeat(VALUE_BYTES);

interface H2Load {
  readonly output: string;
  readonly window: Window;
  readonly times: WindowTimes;
}

/** What to say where etcd or its loader is missing; null where both are there. */
export function etcdMissing(): string | null {
  const missing = [];
  if (!isInstalled("etcd")) missing.push("etcd (Debian: etcd-server)");
  if (!isInstalled("h2load")) missing.push("h2load (Debian: nghttp2-client)");
  return missing.length === 0 ? null : `not installed: ${missing.join(", ")}`;
}

/** What etcd is asked for: a write, or a read with or without asking the other members. */
export type EtcdRequest = "put" | "linearizable range" | "serializable range";

/**
 * Three members of etcd on loopback, loaded by h2load with raw HTTP/2: a Node client would measure
 * itself. h2load sends one request again and again, so etcd writes and reads one key with one
 * value, which favours it: its tree does not grow.
 */
export class EtcdCluster {
  readonly #directory: string;
  readonly #members: readonly Program[];
  readonly #leaderPort: number;

  private constructor(directory: string, members: readonly Program[], leaderPort: number) {
    this.#directory = directory;
    this.#members = members;
    this.#leaderPort = leaderPort;
  }

  static async start(): Promise<EtcdCluster> {
    const missing = etcdMissing();
    if (missing !== null) throw new BenchError(missing);
    const directory = dataDirectory("etcd");
    const ports = await freePorts(MEMBERS * 2);
    const members = startMembers(directory, ports);
    try {
      const leaderPort = await leaderOf(members, ports.slice(0, MEMBERS));
      const cluster = new EtcdCluster(directory, members, leaderPort);
      await cluster.#putKey();
      return cluster;
    } catch (error) {
      await Promise.all(members.map((member) => member.stop()));
      removeDirectory(directory);
      throw error;
    }
  }

  /** The leader under one kind of request. */
  target(name: string, request: EtcdRequest): Target {
    const isPut = request === "put";
    const body = isPut ? putRequest(KEY, VALUE) : rangeRequest(KEY, request);
    const path = join(this.#directory, `${request.replace(" ", "-")}.bin`);
    writeFileSync(path, body);
    const measure: Target["measure"] = (shape, times) =>
      isPut
        ? this.#checkingPuts(() => this.#load(path, "Put", shape, times))
        : checkingRanges(() => this.#load(path, "Range", shape, times));
    return { name, measure };
  }

  async #load(body: string, method: string, shape: Shape, times: WindowTimes): Promise<H2Load> {
    const log = join(this.#directory, "requests.tsv");
    rmSync(log, { force: true });
    const output = await runToEnd(
      "h2load",
      [
        "-t1",
        ...["-c", String(shape.connections), "-m", String(shape.depth)],
        ...["-D", `${times.measureMs}ms`],
        `--warm-up-time=${times.warmUpMs}ms`,
        ...["-d", body, `--log-file=${log}`],
        ...["-H", "content-type: application/grpc", "-H", "te: trailers"],
        `http://127.0.0.1:${this.#leaderPort}/etcdserverpb.KV/${method}`,
      ],
      times.warmUpMs + times.measureMs + 30_000,
    );
    return { output, window: readWindow(output, readFileSync(log, "utf8"), times), times };
  }

  /**
   * A put that fails still answers HTTP 200, its status is in the trailers, which h2load does not
   * read. The revision counts the puts that took effect.
   */
  async #checkingPuts(load: () => Promise<H2Load>): Promise<Window> {
    const revision = await this.#revision();
    const { window, times } = await load();
    const applied = (await this.#revision()) - revision;
    if (applied >= window.perSecond * (times.measureMs / 1000)) return window;
    return withError(window, `only ${applied} puts took effect`);
  }

  async #putKey(): Promise<void> {
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    await fetch(`http://127.0.0.1:${this.#leaderPort}/v3/kv/put`, {
      method: "POST",
      body: JSON.stringify({ key: base64(KEY), value: base64(VALUE) }),
      signal: AbortSignal.timeout(5000),
    });
  }

  async #revision(): Promise<number> {
    return Number((await statusOf(this.#leaderPort)).header?.revision ?? 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()));
    removeDirectory(this.#directory);
  }
}

function startMembers(directory: string, ports: readonly number[]): Program[] {
  const url = (i: number): string => `http://127.0.0.1:${ports[i]}`;
  const names = ["e1", "e2", "e3"];
  const cluster = names.map((name, i) => `${name}=${url(MEMBERS + i)}`).join(",");
  return names.map(
    (name, i) =>
      new Program(`etcd ${name}`, "etcd", [
        ...["--name", name, "--data-dir", join(directory, name)],
        ...["--listen-client-urls", url(i), "--advertise-client-urls", url(i)],
        ...["--listen-peer-urls", url(MEMBERS + i)],
        ...["--initial-advertise-peer-urls", url(MEMBERS + i)],
        ...["--initial-cluster", cluster, "--initial-cluster-state", "new"],
        ...["--heartbeat-interval", "200", "--election-timeout", "2000"],
        ...["--quota-backend-bytes", "8589934592", "--log-level", "error"],
      ]),
  );
}

interface MemberStatus {
  readonly leader?: string;
  readonly header?: { readonly member_id?: string; readonly revision?: string };
}

async function statusOf(port: number): Promise<MemberStatus> {
  const response = await fetch(`http://127.0.0.1:${port}/v3/maintenance/status`, {
    method: "POST",
    body: "{}",
    signal: AbortSignal.timeout(2000),
  });
  return (await response.json()) as MemberStatus;
}

/** Client port of the member that leads, once one does. */
async function leaderOf(members: readonly Program[], ports: readonly number[]): Promise<number> {
  let leader = 0;
  await members[0]!.until(async () => {
    for (const port of ports) {
      const status = await statusOf(port);
      const isLeader = status.leader !== undefined && status.leader === status.header?.member_id;
      if (isLeader && status.leader !== "0") leader = port;
    }
    return leader !== 0;
  }, 20_000);
  return leader;
}

/** As for puts; answers that hold the value are longer than it. */
async function checkingRanges(load: () => Promise<H2Load>): Promise<Window> {
  const { output, window } = await load();
  const bytes = answerBytes(output);
  if (bytes > VALUE_BYTES) return window;
  return withError(window, `answers have ${Math.round(bytes)} bytes: they hold no value`);
}

function withError(window: Window, firstError: string): Window {
  return { ...window, errors: window.errors + 1, firstError };
}

/** The mean length of an answer's body, by what h2load says at its end. */
export function answerBytes(output: string): number {
  const done = /(\d+) done/.exec(output);
  const data = /\((\d+)\) data/.exec(output);
  return done === null || data === null ? 0 : Number(data[1]) / Math.max(1, Number(done[1]));
}

/** One gRPC frame with a PutRequest { key = 1, value = 2 }. */
export function putRequest(key: string, value: string): Buffer {
  return frame(Buffer.concat([textField(1, key), textField(2, value)]));
}

/** One gRPC frame with a RangeRequest { key = 1, serializable = 7 }. */
export function rangeRequest(key: string, request: EtcdRequest): Buffer {
  const isSerializable = request === "serializable range";
  return frame(Buffer.concat([textField(1, key), Buffer.from(isSerializable ? [7 << 3, 1] : [])]));
}

function textField(number: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...varint(bytes.length)]), bytes]);
}

function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

/**
 * Rate and percentiles of a run of h2load. Its log has a line per request: start in µs, status,
 * duration in µs. Requests of the warm-up are in the log as well; the latest `measureMs` count.
 */
export function readWindow(output: string, log: string, times: WindowTimes): Window {
  const rate = /finished in [\d.]+\w+, ([\d.]+) req\/s/.exec(output);
  const failed = /(\d+) failed, (\d+) errored, (\d+) timeout/.exec(output);
  const codes = /status codes: (\d+) 2xx/.exec(output);
  if (rate === null || failed === null || codes === null) {
    throw new BenchError(`h2load says something unknown:\n${output}`);
  }
  const rows = log
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t").map(Number));
  const end = rows.reduce((latest, [start = 0, , took = 0]) => Math.max(latest, start + took), 0);
  const begin = end - times.measureMs * 1000;
  const latencies = rows
    .filter(([start = 0, , took = 0]) => start + took >= begin)
    .map(([, , took = 0]) => took)
    .sort((a, b) => a - b);
  const quantile = (fraction: number): number =>
    (latencies[Math.max(0, Math.ceil(latencies.length * fraction) - 1)] ?? 0) / 1000;
  const errors = rows.filter(([, status]) => status !== 200).length;
  return {
    perSecond: Number(rate[1]),
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    errors,
    firstError: errors === 0 ? null : `${errors} requests did not answer 200`,
    loaderBusy: null,
  };
}
