/**
 * Loaded into a node's process by `NODE_OPTIONS=--import`, never by Trefoil itself: SIGUSR2 begins
 * a CPU profile of the main thread, the next one ends it and leaves `<pid>.json` in
 * BENCH_PROFILE_DIR. So that only the measured window is profiled, not the start.
 */
import { renameSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import type { CpuProfile } from "./cpu-profile.ts";

/** One process's window, as left in the file. */
export interface ProcessProfile {
  readonly profile: CpuProfile;
  readonly seconds: number;
  /** All threads of the process, in microseconds. */
  readonly userMicros: number;
  readonly systemMicros: number;
}

const SAMPLING_MICROS = 500;
const directory = process.env["BENCH_PROFILE_DIR"];

if (isMainThread && directory !== undefined) listen(directory);

function listen(into: string): void {
  const session = new Session();
  let begun: { readonly at: number; readonly cpu: NodeJS.CpuUsage } | null = null;
  process.on("SIGUSR2", () => {
    if (begun === null) {
      session.connect();
      session.post("Profiler.enable");
      session.post("Profiler.setSamplingInterval", { interval: SAMPLING_MICROS });
      session.post("Profiler.start");
      begun = { at: performance.now(), cpu: process.cpuUsage() };
      return;
    }
    const cpu = process.cpuUsage(begun.cpu);
    const seconds = (performance.now() - begun.at) / 1000;
    begun = null;
    session.post("Profiler.stop", (error, result) => {
      if (error === null) save(into, result.profile, seconds, cpu);
      session.disconnect();
    });
  });
}

function save(into: string, profile: CpuProfile, seconds: number, cpu: NodeJS.CpuUsage): void {
  const path = join(into, `${process.pid}.json`);
  const found = { profile, seconds, userMicros: cpu.user, systemMicros: cpu.system };
  writeFileSync(`${path}.tmp`, JSON.stringify(found satisfies ProcessProfile));
  renameSync(`${path}.tmp`, path);
}
