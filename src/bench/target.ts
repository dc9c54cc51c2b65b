import { fileURLToPath } from "node:url";
import { BenchError, runToEnd } from "./programs.ts";
import type { LoadOptions, LoadResult } from "./resp-loader.ts";

/** How a store is loaded: connections, and requests outstanding on each. */
export interface Shape {
  readonly connections: number;
  readonly depth: number;
}

/** One measured window of one store. */
export interface Window {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly firstError: string | null;
  /** Share of the window in which the loader was busy; null where it is not known. */
  readonly loaderBusy: number | null;
}

/** How long a window is measured, and how long the load is on before. */
export interface WindowTimes {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** A store that is up and can be loaded with durable writes. */
export interface Target {
  readonly name: string;
  measure(shape: Shape, times: WindowTimes): Promise<Window>;
}

/** Values of the benches, in bytes. */
export const VALUE_BYTES = 128;

const SLACK_MS = 30_000;
/** A server that takes in fewer keys per second than this is given up. */
const FILL_PER_SECOND_MIN = 500;

/** Loads a RESP server from a process of its own. */
export async function runRespLoader(options: LoadOptions): Promise<LoadResult> {
  const program = fileURLToPath(new URL("./resp-loader.js", import.meta.url));
  const { pace, keySpace } = options;
  const loadMs =
    pace.kind === "fill" ? (keySpace / FILL_PER_SECOND_MIN) * 1000 : pace.warmUpMs + pace.measureMs;
  const args = [program, JSON.stringify(options)];
  const output = await runToEnd(process.execPath, args, loadMs + SLACK_MS);
  return JSON.parse(output) as LoadResult;
}

/** Writes every key once. Throws `BenchError` where one was not taken. */
export async function fill(port: number, keySpace: number): Promise<LoadResult> {
  const result = await runRespLoader({
    ...{ ports: [port], connections: 16, depth: 64, kind: "set", valueBytes: VALUE_BYTES },
    ...{ keySpace, seed: 1, setUp: [], pace: { kind: "fill" } },
  });
  if (result.errors === 0) return result;
  throw new BenchError(`${result.errors} keys were not taken: ${result.firstError}`);
}

/** A RESP server under commands with random keys and values of 128 bytes. */
export function respTarget(
  name: string,
  ports: () => readonly number[],
  load: Pick<LoadOptions, "kind" | "keySpace" | "setUp">,
): Target {
  let seed = 1;
  return {
    name,
    measure(shape, times) {
      seed += 1;
      const pace = { kind: "closed", ...times } as const;
      return runRespLoader({
        ...load,
        ...shape,
        ...{ ports: ports(), valueBytes: VALUE_BYTES, seed, pace },
      });
    },
  };
}
