/**
 * A load generator for RESP, run as a program of its own so that it shares no event loop with what
 * it measures: `node resp-loader.js '<LoadOptions as JSON>'` prints a LoadResult as JSON.
 *
 * What a turn of the event loop can send on a socket goes out as one write.
 */
import { writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { LatencyHistogram } from "./latency-histogram.ts";
import { LoadConnection } from "./load-connection.ts";
import { OperationTrace } from "./operation-trace.ts";
import { type Pace, type Paced, type Pacer, pacerOf } from "./pacers.ts";
import { everyKey, type LoadKind, randomKeys } from "./request-ring.ts";

/** What to send where, and for how long. */
export interface LoadOptions {
  /** Loopback ports; connections are spread over them in turn. */
  readonly ports: readonly number[];
  readonly connections: number;
  /** Requests outstanding per connection, at most. */
  readonly depth: number;
  readonly kind: LoadKind;
  readonly valueBytes: number;
  /** Keys are drawn evenly from this many; `fill` writes each. */
  readonly keySpace: number;
  readonly seed: number;
  /** Commands that each connection sends before the load begins. */
  readonly setUp: readonly (readonly string[])[];
  readonly pace: Pace;
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

/** Puts the load on and measures it. Rejects when a connection fails or closes early. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const run = new LoadRun(options);
  try {
    return await run.result();
  } finally {
    run.close();
  }
}

class LoadRun implements Paced {
  readonly connections: LoadConnection[] = [];
  readonly #histogram = new LatencyHistogram();
  readonly #trace: OperationTrace | null;
  #errors = 0;
  #unanswered = 0;
  #firstError: string | null = null;
  #busySince = performance.eventLoopUtilization();
  readonly #pacer: Pacer;
  readonly #options: LoadOptions;
  readonly #failed: Promise<never>;

  constructor(options: LoadOptions) {
    const { pace, connections, depth, keySpace, seed } = options;
    this.#options = options;
    this.#trace = pace.kind === "open" && pace.tracePath !== null ? new OperationTrace() : null;
    this.#pacer = pacerOf(this, pace, depth, keySpace);
    const keys = pace.kind === "fill" ? everyKey(keySpace, seed) : randomKeys(keySpace);
    this.#failed = new Promise<never>((_, reject) => {
      for (let i = 0; i < connections; i += 1) {
        const connection = new LoadConnection({
          ...options,
          keys,
          seed: seed * 1000 + i + 1,
          port: options.ports[i % options.ports.length] ?? 0,
          onEnded: (...ended) => this.#onEnded(...ended),
          onFailure: reject,
        });
        this.connections.push(connection);
      }
    });
  }

  async result(): Promise<LoadResult> {
    const { pace } = this.#options;
    await this.orFailure(Promise.all(this.connections.map((connection) => connection.ready)));
    const seconds = await this.orFailure(this.#pacer.run());
    const loaderBusy = performance.eventLoopUtilization(this.#busySince).utilization;
    if (pace.kind === "open" && pace.tracePath !== null && this.#trace !== null) {
      writeFileSync(pace.tracePath, this.#trace.bytes());
    }
    const operations = this.#histogram.count - this.#errors;
    return {
      operations,
      seconds,
      perSecond: operations / seconds,
      p50Ms: this.#histogram.quantile(0.5) / 1000,
      p99Ms: this.#histogram.quantile(0.99) / 1000,
      maxMs: this.#histogram.max / 1000,
      errors: this.#errors + this.#unanswered,
      firstError: this.#firstError,
      loaderBusy,
    };
  }

  orFailure<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([this.#failed, promise]);
  }

  begin(): void {
    this.#busySince = performance.eventLoopUtilization();
  }

  giveUp(requests: number): void {
    if (requests === 0) return;
    this.#unanswered += requests;
    this.#firstError ??= `${requests} requests were not answered in time`;
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }

  #onEnded(connection: LoadConnection, count: number, errors: number): void {
    const now = performance.now();
    let counted = 0;
    for (let i = 0; i < count; i += 1) {
      const beganAt = connection.beganAt(i, count);
      if (!this.#pacer.counts(beganAt)) continue;
      counted += 1;
      this.#histogram.record((now - beganAt) * 1000);
      this.#trace?.add(performance.timeOrigin + beganAt, performance.timeOrigin + now);
    }
    const failed = Math.min(errors, counted);
    this.#errors += failed;
    if (failed > 0) this.#firstError ??= connection.firstError;
    this.#pacer.onEnded(connection, count);
  }
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
