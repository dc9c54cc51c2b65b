import { fileURLToPath } from "node:url";
import { runToEnd } from "./programs.ts";
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

/** Loads a RESP server from a process of its own. */
export async function runRespLoader(options: LoadOptions): Promise<LoadResult> {
  const program = fileURLToPath(new URL("./resp-loader.js", import.meta.url));
  const timeoutMs = options.warmUpMs + options.measureMs + 30_000;
  const output = await runToEnd(process.execPath, [program, JSON.stringify(options)], timeoutMs);
  return JSON.parse(output) as LoadResult;
}

/** A RESP server under SETs of 128 bytes to random keys. */
export function respTarget(name: string, ports: () => readonly number[]): Target {
  let seed = 1;
  return {
    name,
    measure(shape, times) {
      seed += 1;
      return runRespLoader({
        ports: ports(),
        ...shape,
        ...times,
        kind: "set",
        valueBytes: 128,
        keySpace: 100_000,
        seed,
      });
    },
  };
}
