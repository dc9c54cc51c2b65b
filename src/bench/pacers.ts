import { performance } from "node:perf_hooks";
import { unreachable } from "../core/base/assert.ts";
import type { LoadConnection } from "./load-connection.ts";

/**
 * When requests are sent. `closed`: each connection keeps `depth` under way, and a latency counts
 * from the write that carried the request. `open`: so many per second, whatever the answers; a
 * latency counts from when the request was due, waiting for a free connection included.
 * `fill`: as `closed`, until every key was written once.
 */
export type Pace =
  | { readonly kind: "closed"; readonly warmUpMs: number; readonly measureMs: number }
  | {
      readonly kind: "open";
      readonly perSecond: number;
      readonly warmUpMs: number;
      readonly measureMs: number;
      /** A file for when each measured operation was due and ended; null: none. */
      readonly tracePath: string | null;
    }
  | { readonly kind: "fill" };

/** Requests that were due in the window may end this much later; those that do not are errors. */
const DRAIN_MS_MAX = 10_000;
/** A timer's resolution: an open load comes in small groups this far apart. */
const TICK_MS = 1;

/** The load that a pacer drives. */
export interface Paced {
  readonly connections: readonly LoadConnection[];
  /** The window begins. */
  begin(): void;
  /** So many requests were not answered. */
  giveUp(requests: number): void;
}

/** Sends requests at a pace, and knows which of them are measured. */
export interface Pacer {
  /** Whether a request that began then, and has ended now, is measured. */
  counts(beganAt: number): boolean;
  onEnded(connection: LoadConnection, count: number): void;
  /** Puts the load on until it is over; gives the measured seconds. */
  run(): Promise<number>;
}

/** The pacer for a pace. */
export function pacerOf(run: Paced, pace: Pace, depth: number, keySpace: number): Pacer {
  switch (pace.kind) {
    case "closed":
      return closedPacer(run, depth, pace);
    case "open":
      return openPacer(run, pace);
    case "fill":
      return fillPacer(run, depth, keySpace);
    default:
      return unreachable(pace);
  }
}

function closedPacer(
  run: Paced,
  depth: number,
  { warmUpMs, measureMs }: Pace & { readonly kind: "closed" },
): Pacer {
  let phase: "warm-up" | "measure" | "drain" = "warm-up";
  return {
    counts: () => phase === "measure",
    onEnded(connection, count) {
      if (phase !== "drain") connection.send(count, performance.now());
    },
    async run() {
      for (const connection of run.connections) connection.send(depth, performance.now());
      await after(warmUpMs);
      phase = "measure";
      run.begin();
      const begun = performance.now();
      await after(measureMs);
      phase = "drain";
      return (performance.now() - begun) / 1000;
    },
  };
}

function openPacer(run: Paced, pace: Pace & { readonly kind: "open" }): Pacer {
  const intervalMs = 1000 / pace.perSecond;
  const total = Math.floor((pace.warmUpMs + pace.measureMs) / intervalMs);
  const { connections } = run;
  let firstDueAt = Number.POSITIVE_INFINITY;
  let measureFrom = Number.POSITIVE_INFINITY;
  let sent = 0;
  let ended = 0;
  let turn = 0;
  const nextFree = (): LoadConnection | null => {
    for (let tries = 0; tries < connections.length; tries += 1) {
      const connection = connections[turn]!;
      turn = (turn + 1) % connections.length;
      if (connection.free > 0) return connection;
    }
    return null;
  };
  const sendDue = (): void => {
    const due = Math.min(total, Math.floor((performance.now() - firstDueAt) / intervalMs) + 1);
    while (sent < due) {
      const connection = nextFree();
      if (connection === null) return;
      connection.send(1, firstDueAt + sent * intervalMs);
      sent += 1;
    }
  };
  return {
    counts: (beganAt) => beganAt >= measureFrom,
    onEnded(_, count) {
      ended += count;
    },
    async run() {
      firstDueAt = performance.now();
      measureFrom = firstDueAt + pace.warmUpMs;
      run.begin();
      const end = measureFrom + pace.measureMs + DRAIN_MS_MAX;
      while (ended < total && performance.now() < end) {
        sendDue();
        await after(TICK_MS);
      }
      run.giveUp(total - ended);
      return pace.measureMs / 1000;
    },
  };
}

function fillPacer(run: Paced, depth: number, keySpace: number): Pacer {
  let unsent = keySpace;
  let ended = 0;
  let finish: () => void = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const send = (connection: LoadConnection, count: number): void => {
    const next = Math.min(count, unsent);
    unsent -= next;
    if (next > 0) connection.send(next, performance.now());
  };
  return {
    counts: () => true,
    onEnded(connection, count) {
      ended += count;
      if (ended === keySpace) finish();
      else send(connection, count);
    },
    async run() {
      run.begin();
      const begun = performance.now();
      for (const connection of run.connections) send(connection, depth);
      await finished;
      return (performance.now() - begun) / 1000;
    },
  };
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
