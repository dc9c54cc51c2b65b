import type { Prng } from "../../core/base/prng.ts";
import type { NetworkOptions } from "./network.ts";
import type { Micros } from "./scheduler.ts";
import type { SimDiskOptions } from "./sim-disk.ts";

/** Crashes that wait for the moment that hurts, rather than for a random one. */
export const DIRECTORS = [
  "voter-after-grant",
  "leader-after-one-send",
  "around-disk-op",
  "new-leader",
  "isolate-leader",
  "figure-8",
  "around-snapshot",
  "candidate-after-request",
] as const;

/** The name of a scripted course of events. */
export type DirectorName = (typeof DIRECTORS)[number];

/** Which faults a run has, and how often. */
export interface FaultOptions {
  /** Mean time between faults of a class over the whole cluster, in ms; 0: none of that class. */
  readonly crashMs: number;
  readonly partitionMs: number;
  readonly pauseMs: number;
  readonly clockJumpMs: number;
  /** An operator asks for another leader. */
  readonly transferMs: number;
  /** Bits flipped in stored rows. */
  readonly rotMs: number;
  /** Of 1000 writes to the files of snapshots, how many find the disk full. */
  readonly fullPermille: number;
  /** Of 1000 writes to the log and syncs of it, how many fail, which ends the process. */
  readonly failPermille: number;
  /** Of 100 restarts, how many find a wrong or damaged disk first. */
  readonly badStartPercent: number;
  /** How long a node stays down, a partition stands and a pause lasts, at most. */
  readonly downMsMax: number;
  readonly partitionMsMax: number;
  readonly pauseMsMax: number;
  /** Clocks run fast or slow by up to this. */
  readonly driftPpmMax: number;
  /** Of 100 changes of a link, how many nobody is told of, and how late the others are told. */
  readonly hintsMissingPercent: number;
  readonly hintsLateMsMax: number;
  readonly directors: readonly DirectorName[];
  /** Of 1000 opportunities, how many a targeted crash takes. */
  readonly directorPermille: number;
}

/** What the clients of a run do. */
export interface WorkloadOptions {
  readonly clients: number;
  /** Mean pause between the bursts of one client, in ms. */
  readonly thinkMs: number;
  /** Commands that a burst pipelines, at most. */
  readonly burstMax: number;
  readonly registers: number;
  readonly counters: number;
  readonly lists: number;
  readonly timeoutMs: number;
  readonly readPercent: number;
  /** Of 100 reads. */
  readonly localPercent: number;
  /** Of 100 reads; and of 100 clients, how many ask META of all they do. */
  readonly sessionPercent: number;
  /** Of 100 reads; together with the two before at most 100. */
  readonly boundedPercent: number;
  /** The greatest bound on staleness that is asked for, in ms. */
  readonly boundMsMax: number;
  /** Of 100 writes, how many ask for a concern other than `majority`. */
  readonly concernPercent: number;
  /** Mean pause between keyspaces that are created, used and dropped, in ms; 0: none are. */
  readonly churnMs: number;
  /** Clients that increment counters by transactions. */
  readonly transactors: number;
}

/** Everything that a seed draws before the run: swarm testing (Groce et al. 2012). */
export interface SwarmOptions {
  readonly nodes: 3 | 5;
  readonly electionTimeoutMs: number;
  readonly heartbeatMs: number;
  /** Inputs of one turn, at most. Each turn draws its own below that. */
  readonly stepsMax: number;
  /** What one turn costs. */
  readonly turnMicrosMax: Micros;
  readonly network: NetworkOptions;
  readonly disk: SimDiskOptions;
  readonly segmentBytes: number;
  readonly checkpointLogBytes: number;
  readonly appendBytesMax: number;
  readonly inFlightBytesMax: number;
  readonly retainedBytes: number;
  readonly snapshotChunkBytes: number;
  readonly snapshotWindowBytes: number;
  readonly snapshotMemtableBytesMax: number;
  readonly snapshotIdleMsMax: number;
  readonly wipeRowsMax: number;
  readonly stateHashMs: number;
  readonly scrubMs: number;
  readonly scrubRowsMax: number;
  readonly applyEntriesMax: number;
  readonly groupWaitMsMax: number;
  /** A process's monotonic clock begins at up to this. */
  readonly instantBaseMsMax: number;
  readonly faults: FaultOptions;
  readonly workload: WorkloadOptions;
  /** The default keyspace and those that every node's configuration names. */
  readonly keyspaces: 1 | 2 | 3;
  /** How long faults go on. */
  readonly safetyMs: number;
}

/** A part of the options to fix, whatever the seed draws. */
export interface SwarmProfile {
  readonly options?: Partial<Omit<SwarmOptions, "faults" | "workload" | "network" | "disk">>;
  readonly faults?: Partial<FaultOptions>;
  readonly workload?: Partial<WorkloadOptions>;
  readonly network?: Partial<NetworkOptions>;
  readonly disk?: Partial<SimDiskOptions>;
}

/** Draws the options of one run; what the profile fixes stays. */
export function drawSwarm(prng: Prng, profile: SwarmProfile = {}): SwarmOptions {
  const electionTimeoutMs = prng.pick([60, 100, 150, 250]);
  const basic: BasicOptions = {
    nodes: prng.chance(1, 2) ? 3 : 5,
    electionTimeoutMs,
    heartbeatMs: Math.floor(electionTimeoutMs / prng.between(3, 6)),
    stepsMax: prng.pick([1, 2, 4, 16, 256]),
    turnMicrosMax: prng.pick([20, 100, 1000]),
    network: drawNetwork(prng),
    disk: drawDisk(prng, electionTimeoutMs),
    segmentBytes: prng.pick([8, 16, 64, 256]) * 1024,
    checkpointLogBytes: prng.pick([8, 32, 128, 1024]) * 1024,
    appendBytesMax: prng.pick([1, 200, 1000, 1 << 20]),
    inFlightBytesMax: prng.pick([300, 4000, 1 << 20]),
    retainedBytes: prng.pick([0, 0, 2000, 1 << 20]),
    snapshotChunkBytes: prng.pick([64, 500, 1 << 16]),
    applyEntriesMax: prng.pick([1, 10, 8192]),
    faults: drawFaults(prng, electionTimeoutMs),
    workload: drawWorkload(prng, electionTimeoutMs),
    safetyMs: 15_000,
    groupWaitMsMax: prng.pick([0, 0, 2, 20]),
    keyspaces: prng.pick([1, 1, 2, 3]),
    // A real process's clock begins near 0, so that stamps of two of its starts look alike.
    instantBaseMsMax: prng.pick([20, 2_000, 1_000_000]),
  };
  // Drawn last: what a seed drew before there were operators it draws still.
  const transferMs = feature(prng, [200, 1000, 4000]);
  const drawn = withStateFaults(prng, basic, transferMs);
  const options = { ...drawn, ...profile.options };
  const workload = { ...drawn.workload, ...profile.workload };
  return {
    ...options,
    // Sessions are judged by the log of one keyspace.
    keyspaces: workload.sessionPercent > 0 ? 1 : options.keyspaces,
    // Each group has heartbeats of its own: a node that takes in one message per turn must not take
    // long over it, or it does nothing else.
    turnMicrosMax: Math.min(options.turnMicrosMax, options.stepsMax < 4 ? 200 : 1000),
    // One AppendEntries is one record of the log, and a record has to fit a segment.
    appendBytesMax: Math.min(options.appendBytesMax, options.segmentBytes >> 1),
    network: { ...drawn.network, ...profile.network },
    disk: { ...drawn.disk, ...profile.disk },
    faults: { ...drawn.faults, ...profile.faults },
    workload,
  };
}

type StateOptions =
  | "snapshotWindowBytes"
  | "snapshotMemtableBytesMax"
  | "snapshotIdleMsMax"
  | "wipeRowsMax"
  | "stateHashMs"
  | "scrubMs"
  | "scrubRowsMax";

type BasicOptions = Omit<SwarmOptions, StateOptions | "faults" | "workload"> & {
  readonly faults: BasicFaults;
  readonly workload: Omit<WorkloadOptions, "transactors">;
};

/** Drawn after all others, so that theirs are what they were before there were these. */
function withStateFaults(prng: Prng, basic: BasicOptions, transferMs: number): SwarmOptions {
  const directors = prng.chance(1, 3) ? (["around-snapshot"] as const) : [];
  // Where little is kept, most followers that were away need a snapshot.
  const isShort = prng.chance(2, 3);
  const kept = {
    checkpointLogBytes: prng.pick([2, 4, 8]) * 1024,
    retainedBytes: prng.pick([0, 0, 1000]),
  };
  return {
    ...basic,
    ...(isShort ? kept : {}),
    snapshotWindowBytes: prng.pick([1, 300, 1 << 16]),
    snapshotMemtableBytesMax: prng.pick([0, 2000, 1 << 20]),
    snapshotIdleMsMax: prng.pick([30, 60_000]),
    wipeRowsMax: prng.pick([1, 3, 1000]),
    stateHashMs: prng.pick([20, 200, 1000]),
    scrubMs: prng.pick([100, 500, 2000]),
    scrubRowsMax: prng.pick([1, 5, 100]),
    faults: {
      ...basic.faults,
      transferMs,
      rotMs: feature(prng, [400, 1500]),
      fullPermille: feature(prng, [20, 200]),
      ...drawDiskFaults(prng),
      directors: [...basic.faults.directors, ...directors, ...drawLateDirectors(prng)],
    },
    workload: { ...basic.workload, transactors: prng.pick([0, 0, 1, 2]) },
  };
}

/** Drawn where others are not shifted by it. */
const DRAWN_LATER: readonly DirectorName[] = ["around-snapshot", "candidate-after-request"];

function drawDiskFaults(prng: Prng): Pick<FaultOptions, "failPermille" | "badStartPercent"> {
  return {
    failPermille: prng.chance(1, 4) ? prng.pick([1, 5]) : 0,
    badStartPercent: prng.chance(1, 4) ? 25 : 0,
  };
}

function drawLateDirectors(prng: Prng): readonly DirectorName[] {
  return prng.chance(1, 4) ? ["candidate-after-request"] : [];
}

type BasicFaults = Omit<
  FaultOptions,
  "transferMs" | "rotMs" | "fullPermille" | "failPermille" | "badStartPercent"
>;

/**
 * Each feature is absent in about half of the seeds: what always happens can hide what else does.
 */
function feature(prng: Prng, values: readonly number[]): number {
  return prng.chance(1, 2) ? prng.pick(values) : 0;
}

function drawNetwork(prng: Prng): NetworkOptions {
  const delayMicrosMin = prng.pick([50, 200, 1000]);
  return {
    delayMicrosMin,
    delayMicrosMax: delayMicrosMin + prng.pick([100, 1000, 8000]),
    tailPermille: feature(prng, [2, 20, 60]),
    tailMsMax: prng.pick([30, 300, 3000]),
    lossPermille: feature(prng, [2, 20, 100]),
    duplicatePermille: feature(prng, [2, 20, 100]),
    duplicateMsMax: prng.pick([5, 300, 4000]),
    fifo: prng.chance(1, 2),
  };
}

function drawDisk(prng: Prng, electionTimeoutMs: number): SimDiskOptions {
  const opMicrosMin = prng.pick([20, 200, 1000]);
  return {
    opMicrosMin,
    opMicrosMax: opMicrosMin + prng.pick([50, 1000, 6000]),
    slowPermille: feature(prng, [1, 5, 20]),
    slowMsMax: prng.pick([20, electionTimeoutMs, 3 * electionTimeoutMs]),
  };
}

function drawFaults(prng: Prng, electionTimeoutMs: number): BasicFaults {
  return {
    crashMs: feature(prng, [700, 2000, 5000]),
    partitionMs: feature(prng, [700, 2000, 5000]),
    pauseMs: feature(prng, [1000, 4000]),
    clockJumpMs: feature(prng, [500, 3000]),
    downMsMax: prng.pick([20, 500, 3000]),
    partitionMsMax: prng.pick([electionTimeoutMs, 500, 3000]),
    pauseMsMax: prng.pick([electionTimeoutMs, 3 * electionTimeoutMs, 1500]),
    driftPpmMax: feature(prng, [100, 5000, 50_000]),
    hintsMissingPercent: prng.pick([0, 20, 100]),
    hintsLateMsMax: prng.pick([2, 50, 1000]),
    directors: DIRECTORS.filter(
      (name) => !DRAWN_LATER.includes(name) && prng.chance(1, name === "figure-8" ? 12 : 4),
    ),
    directorPermille: prng.pick([5, 50, 300]),
  };
}

function drawWorkload(prng: Prng, electionTimeoutMs: number): BasicOptions["workload"] {
  const clients = prng.between(3, 8);
  const burstMax = prng.pick([1, 2, 4, 8]);
  const operationsPerSecond = prng.pick([30, 50, 90]);
  return {
    clients,
    thinkMs: Math.ceil((1000 * clients * (burstMax + 1)) / (2 * operationsPerSecond)),
    burstMax,
    registers: prng.between(1, 3),
    counters: prng.between(1, 2),
    lists: prng.between(1, 2),
    timeoutMs: electionTimeoutMs * prng.pick([2, 6, 15]),
    readPercent: prng.pick([20, 40, 60]),
    localPercent: prng.pick([0, 10, 30]),
    concernPercent: prng.pick([0, 10, 40]),
    churnMs: feature(prng, [500, 2000]),
    sessionPercent: prng.pick([0, 15, 40]),
    boundedPercent: prng.pick([0, 10, 30]),
    boundMsMax: electionTimeoutMs * prng.pick([1, 3, 8]),
  };
}
