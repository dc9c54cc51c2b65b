/**
 * A closed-loop load generator for RESP, run as a program of its own so that it shares no event
 * loop with what it measures: `node resp-loader.js '<LoadOptions as JSON>'` prints a LoadResult as
 * JSON.
 *
 * Each connection keeps `depth` requests outstanding. What a turn of the event loop can send on a
 * socket goes out as one write. A request's latency counts from the write that carried it.
 */
import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { LatencyHistogram } from "./latency-histogram.ts";
import { ReplyCounter } from "./reply-counter.ts";
import { type LoadKind, RequestRing } from "./request-ring.ts";

/** What to send where, and for how long. */
export interface LoadOptions {
  /** Loopback ports; connections are spread over them in turn. */
  readonly ports: readonly number[];
  readonly connections: number;
  /** Requests outstanding per connection. */
  readonly depth: number;
  readonly kind: LoadKind;
  readonly valueBytes: number;
  /** Keys are drawn evenly from this many. */
  readonly keySpace: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly seed: number;
}

/** What was measured between the end of the warm-up and the end of the window. */
export interface LoadResult {
  /** Acknowledged without an error. */
  readonly operations: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly errors: number;
  readonly firstError: string | null;
  /** Share of the window in which the loader itself was busy; near 1, it measured itself. */
  readonly loaderBusy: number;
}

type Phase = "warm-up" | "measure" | "drain";

interface Run {
  phase: Phase;
  readonly histogram: LatencyHistogram;
  errors: number;
  firstError: string | null;
}

/** Puts the load on and measures it. Rejects when a connection fails or closes early. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const run: Run = {
    phase: "warm-up",
    histogram: new LatencyHistogram(),
    errors: 0,
    firstError: null,
  };
  const clients: LoadConnection[] = [];
  const failed = new Promise<never>((_, reject) => {
    for (let i = 0; i < options.connections; i += 1) {
      clients.push(new LoadConnection(run, options, i, reject));
    }
  });
  try {
    await Promise.race([failed, Promise.all(clients.map((client) => client.connected))]);
    for (const client of clients) client.begin();
    await Promise.race([failed, after(options.warmUpMs)]);
    run.phase = "measure";
    const begun = performance.now();
    const busy = performance.eventLoopUtilization();
    await Promise.race([failed, after(options.measureMs)]);
    run.phase = "drain";
    const seconds = (performance.now() - begun) / 1000;
    return resultOf(run, seconds, performance.eventLoopUtilization(busy).utilization);
  } finally {
    for (const client of clients) client.close();
  }
}

function resultOf(run: Run, seconds: number, loaderBusy: number): LoadResult {
  const operations = run.histogram.count - run.errors;
  return {
    operations,
    seconds,
    perSecond: operations / seconds,
    p50Ms: run.histogram.quantile(0.5) / 1000,
    p99Ms: run.histogram.quantile(0.99) / 1000,
    maxMs: run.histogram.max / 1000,
    errors: run.errors,
    firstError: run.firstError,
    loaderBusy,
  };
}

class LoadConnection {
  readonly connected: Promise<void>;
  readonly #run: Run;
  readonly #ring: RequestRing;
  readonly #socket: Socket;
  readonly #replies = new ReplyCounter();
  /** When each outstanding request was sent, by slot; the oldest is at `#oldest`. */
  readonly #sentAt: Float64Array;
  #oldest = 0;
  #closing = false;

  constructor(run: Run, options: LoadOptions, number: number, fail: (error: Error) => void) {
    this.#run = run;
    const { kind, depth, valueBytes, keySpace, seed } = options;
    this.#ring = new RequestRing(kind, depth, valueBytes, keySpace, seed * 1000 + number + 1);
    this.#sentAt = new Float64Array(depth);
    const port = options.ports[number % options.ports.length] ?? 0;
    this.#socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.connected = new Promise((resolve) => this.#socket.once("connect", resolve));
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on("error", fail);
    this.#socket.on("close", () => {
      if (!this.#closing) fail(new Error(`the server on port ${port} closed a connection`));
    });
  }

  begin(): void {
    this.#send(this.#ring.depth);
  }

  close(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    const errorsBefore = this.#replies.errors;
    const count = this.#replies.push(chunk);
    if (this.#run.phase === "measure") {
      const now = performance.now();
      for (let i = 0; i < count; i += 1) {
        const slot = (this.#oldest + i) % this.#sentAt.length;
        this.#run.histogram.record((now - this.#sentAt[slot]!) * 1000);
      }
      this.#run.errors += this.#replies.errors - errorsBefore;
      this.#run.firstError ??= this.#replies.firstError;
    }
    if (count > 0 && this.#run.phase !== "drain") this.#send(count);
  }

  #send(count: number): void {
    const now = performance.now();
    const parts = this.#ring.take(count);
    for (let i = 0; i < count; i += 1) {
      this.#sentAt[this.#oldest] = now;
      this.#oldest = (this.#oldest + 1) % this.#sentAt.length;
    }
    if (parts.length === 1) {
      this.#socket.write(parts[0]!);
      return;
    }
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  load(JSON.parse(process.argv[2] ?? "{}") as LoadOptions).then(
    (result) => console.log(JSON.stringify(result)),
    (error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    },
  );
}
