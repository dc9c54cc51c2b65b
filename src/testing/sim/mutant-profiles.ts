import type { MutantId } from "../../core/base/mutants.ts";
import type { SwarmProfile } from "./swarm.ts";

/** Followers often fall behind, and what happens then is often disturbed. */
const SNAPSHOTS = {
  options: {
    checkpointLogBytes: 8 * 1024,
    segmentBytes: 8 * 1024,
    retainedBytes: 0,
    snapshotChunkBytes: 64,
    snapshotWindowBytes: 1,
  },
  faults: {
    crashMs: 700,
    rotMs: 0,
    directors: ["around-snapshot", "isolate-leader"],
    directorPermille: 50,
  },
} satisfies SwarmProfile;

/** Rows are damaged, and checkpoints carry the damage on. */
const ROT = {
  options: { checkpointLogBytes: 8 * 1024, scrubMs: 500, stateHashMs: 200 },
  faults: { rotMs: 400 },
} satisfies SwarmProfile;

/** Leaders that die, or are cut off, with entries of their own leave logs behind that disagree. */
const CHANGES = {
  faults: {
    directors: ["leader-after-one-send", "new-leader", "isolate-leader"],
    directorPermille: 50,
    partitionMs: 1000,
  },
} satisfies SwarmProfile;

/** Messages of all ages: late, twice, in any order. */
const LATE = {
  fifo: false,
  delayMicrosMax: 9000,
  tailPermille: 60,
  tailMsMax: 1000,
  duplicatePermille: 100,
  duplicateMsMax: 1000,
} satisfies SwarmProfile["network"];

/** Leaders are cut off while the others learn of it at once, and candidates meet. */
const DUELS = {
  options: { electionTimeoutMs: 60, heartbeatMs: 15 },
  faults: { directors: ["isolate-leader"], hintsMissingPercent: 0, hintsLateMsMax: 2 },
} satisfies SwarmProfile;

/** Processes die often, and some find another disk than their own when they start. */
const BAD_STARTS = {
  faults: { crashMs: 400, downMsMax: 20, badStartPercent: 100, rotMs: 0 },
} satisfies SwarmProfile;

/** The disk of the log refuses writes and syncs. */
const BAD_DISKS = { faults: { failPermille: 5, crashMs: 2000 } } satisfies SwarmProfile;

/** Files come and go all the time, and the power with them. */
const POWER_CUTS = {
  options: { checkpointLogBytes: 2 * 1024, segmentBytes: 8 * 1024 },
  disk: { opMicrosMin: 200, opMicrosMax: 7000 },
  faults: { crashMs: 400, downMsMax: 20, directors: ["around-disk-op"], rotMs: 0 },
} satisfies SwarmProfile;

/**
 * How the simulator goes about killing each mutant: options that make the execution likely in which
 * the mistake shows. The rest stays as the seed draws it, and unmutated seeds run under these
 * options too.
 */
export const MUTANT_PROFILES: Readonly<Record<MutantId, SwarmProfile>> = {
  // A voter that forgets its vote is harmless unless it crashes between two candidates of one term.
  L1: { faults: { directors: ["voter-after-grant"], directorPermille: 300, crashMs: 700 } },
  L2: { faults: { directors: ["voter-after-grant"], directorPermille: 300, crashMs: 700 } },
  // Slow disks keep acknowledged entries unsynced for long.
  L3: {
    disk: { opMicrosMin: 1000, opMicrosMax: 7000, slowPermille: 20 },
    faults: { crashMs: 700, directors: ["around-disk-op"], directorPermille: 50 },
  },
  // One entry per message, or the old entries and the leader's own arrive together and the counting
  // is right by accident.
  L4: {
    options: { nodes: 5, appendBytesMax: 1, checkpointLogBytes: 1 << 20, retainedBytes: 1 << 20 },
    network: { lossPermille: 0, tailPermille: 0, duplicatePermille: 0 },
    disk: { slowPermille: 0 },
    faults: { directors: ["figure-8"], pauseMs: 0, driftPpmMax: 0 },
  },
  L5: CHANGES,
  L6: DUELS,
  L7: CHANGES,
  // The old leader goes on writing while it is cut off, and its successor dies early.
  L8: {
    options: { nodes: 3, electionTimeoutMs: 100, heartbeatMs: 20, groupWaitMsMax: 0 },
    faults: {
      ...DUELS.faults,
      crashMs: 200,
      downMsMax: 500,
      partitionMs: 300,
      partitionMsMax: 100,
    },
    workload: { readPercent: 0, clients: 8, burstMax: 16, thinkMs: 300, churnMs: 0 },
  },
  L9: { ...DUELS, network: LATE },
  L10: CHANGES,
  L11: { ...DUELS, network: LATE },
  // Who led leads again before all answers of its earlier term have come.
  L12: { ...DUELS, network: LATE, faults: { ...DUELS.faults, transferMs: 100 } },
  L13: CHANGES,
  L14: CHANGES,
  L15: { network: LATE, faults: CHANGES.faults },
  L16: CHANGES,
  L17: CHANGES,
  // Acknowledgements that overtake one another, or come twice.
  L18: {
    network: {
      fifo: false,
      delayMicrosMax: 9000,
      tailPermille: 60,
      tailMsMax: 300,
      duplicatePermille: 100,
      duplicateMsMax: 300,
    },
  },
  // The old leader is cut off, the others elect at once, and clients read from both.
  L19: {
    options: { stepsMax: 16, turnMicrosMax: 100 },
    faults: { directors: ["isolate-leader"], hintsMissingPercent: 0, hintsLateMsMax: 2 },
    workload: { readPercent: 60, localPercent: 0, thinkMs: 100, clients: 8, burstMax: 2 },
  },
  // A new leader is asked before it knows what its predecessor committed.
  L20: {
    options: { stepsMax: 16, turnMicrosMax: 100 },
    faults: { directors: ["leader-after-one-send", "isolate-leader"], directorPermille: 20 },
    workload: { readPercent: 60, localPercent: 0, thinkMs: 100, clients: 8, burstMax: 2 },
  },
  // Leaders change while commands are under way to them, so that commands are handed over again.
  L21: { faults: { directors: ["isolate-leader"], crashMs: 700 } },
  // What the old leader alone has is lost with it.
  L22: {
    faults: { directors: ["isolate-leader"], hintsMissingPercent: 0, hintsLateMsMax: 2 },
    workload: { readPercent: 30, localPercent: 0, concernPercent: 0, registers: 3, thinkMs: 60 },
  },
  L31: SNAPSHOTS,
  L33: { ...SNAPSHOTS, network: LATE },
  // Followers that have much to apply when they checkpoint.
  L34: {
    options: { applyEntriesMax: 1, checkpointLogBytes: 2 * 1024 },
    faults: { crashMs: 400, downMsMax: 20 },
  },
  L35: {
    options: { ...SNAPSHOTS.options, snapshotWindowBytes: 1 << 16 },
    network: LATE,
    faults: SNAPSHOTS.faults,
  },
  L37: {
    workload: { concernPercent: 100, sessionPercent: 100, readPercent: 20 },
    faults: { partitionMs: 1000, crashMs: 700 },
  },
  L38: { disk: { opMicrosMin: 1000, opMicrosMax: 7000, slowPermille: 20 } },
  L39: { faults: { directors: ["isolate-leader"] }, workload: { timeoutMs: 60, readPercent: 20 } },
  L40: { faults: { directors: ["isolate-leader"], crashMs: 700 } },
  L41: { faults: { clockJumpMs: 500 } },
  L42: { workload: { transactors: 4, counters: 1, readPercent: 20 } },
  L45: CHANGES,
  L46: {},
  L47: { faults: { directors: ["isolate-leader"], hintsMissingPercent: 100 } },
  L48: BAD_DISKS,
  L49: BAD_STARTS,
  L50: {},
  L57: { workload: { burstMax: 8, readPercent: 50, localPercent: 0 } },
  L58: {
    faults: { directors: ["candidate-after-request", "isolate-leader"], directorPermille: 300 },
  },
  L59: BAD_STARTS,
  S1: POWER_CUTS,
  S2: POWER_CUTS,
  S3: BAD_STARTS,
  S4: BAD_STARTS,
  S5: BAD_DISKS,
  S6: BAD_DISKS,
  S7: POWER_CUTS,
  // Segments hold a few batches only, so that many turns end in the next one.
  S10: { ...POWER_CUTS, options: { ...POWER_CUTS.options, segmentBytes: 2048 } },
  S11: BAD_DISKS,
  S12: { ...POWER_CUTS, options: { ...POWER_CUTS.options, segmentBytes: 1024 } },
  // The target takes the message in late, when the leader has given up and gone on without it.
  L51: {
    options: { nodes: 3, electionTimeoutMs: 60, heartbeatMs: 15 },
    network: { lossPermille: 0, tailPermille: 60, tailMsMax: 1000, fifo: false },
    faults: { transferMs: 200, pauseMs: 1000, pauseMsMax: 300, crashMs: 0, directors: [] },
    workload: { readPercent: 20, thinkMs: 100 },
  },
  // Entries are always under way, one per message.
  L52: {
    options: { appendBytesMax: 1 },
    faults: { transferMs: 200 },
    workload: { readPercent: 20, thinkMs: 100 },
  },
  // Clients that hand their tokens to one another, at followers that learn late what is committed.
  L36: {
    network: { delayMicrosMax: 9000 },
    workload: { sessionPercent: 70, localPercent: 0, boundedPercent: 0, readPercent: 60 },
  },
  // Writes that the leader alone holds when it is cut off, and sessions that go on behind them.
  L53: {
    faults: { directors: ["isolate-leader"], hintsMissingPercent: 0, hintsLateMsMax: 2 },
    workload: {
      ...{ sessionPercent: 100, localPercent: 0, boundedPercent: 0, concernPercent: 100 },
      ...{ readPercent: 85, registers: 8, counters: 1, lists: 1, timeoutMs: 2000 },
      ...{ clients: 8, burstMax: 3, thinkMs: 60 },
    },
  },
  // Messages that come late say that a state is young which was so when they left.
  L54: {
    workload: { boundedPercent: 60, localPercent: 0, sessionPercent: 0, readPercent: 60 },
    network: { tailPermille: 60, tailMsMax: 300 },
    faults: { pauseMs: 1000 },
  },
  // Processes that start anew, with clocks that begin where the one before them began.
  L55: {
    options: { instantBaseMsMax: 20, keyspaces: 1 },
    workload: { churnMs: 0 },
    network: { tailPermille: 60, tailMsMax: 300 },
    faults: { crashMs: 400, downMsMax: 20, hintsMissingPercent: 100 },
  },
  // The old leader is cut off, and asked what it knows.
  L56: {
    faults: { directors: ["isolate-leader"], hintsMissingPercent: 0, hintsLateMsMax: 2 },
    workload: { boundedPercent: 60, localPercent: 0, sessionPercent: 0, readPercent: 60 },
  },
  S21: { ...SNAPSHOTS, disk: { opMicrosMin: 1000, opMicrosMax: 7000 } },
  // Chunks that overtake one another or are lost, while several are under way.
  S22: {
    options: { ...SNAPSHOTS.options, snapshotWindowBytes: 1 << 16 },
    network: { fifo: false, lossPermille: 100, delayMicrosMax: 9000 },
    faults: { crashMs: 400, downMsMax: 500, rotMs: 0, fullPermille: 0, directors: [] },
  },
  S23: { options: { stateHashMs: 20 }, faults: { rotMs: 0 } },
  // Leaders that change while a snapshot is half filled in.
  S24: SNAPSHOTS,
  S25: ROT,
  // The leader's hash must go wrong before the leader finds out by reading its rows.
  S26: { ...ROT, options: { ...ROT.options, scrubMs: 10_000, stateHashMs: 20 } },
  S27: { ...ROT, faults: { ...ROT.faults, directors: ["isolate-leader"] } },
};

/** The oracles that may find each: a mistake found as something else is not understood. */
export const MUTANT_ORACLES: Readonly<Record<MutantId, readonly string[]>> = {
  L1: ["vote-durability", "one-vote-per-term", "election-safety"],
  L2: ["term-durability", "vote-durability", "one-vote-per-term", "election-safety", "assertion"],
  L3: ["match-truth", "commit-durability", "log-durability"],
  L4: ["leader-completeness", "state-machine-safety"],
  L5: ["commit-durability"],
  L6: ["one-vote-per-term"],
  L7: ["leader-completeness", "state-machine-safety", "assertion"],
  L8: ["leader-completeness", "state-machine-safety", "assertion"],
  L9: ["elected-by-majority"],
  L10: ["term-learned"],
  L11: ["assertion", "match-truth", "log-matching", "state-machine-safety", "commit-durability"],
  L12: [
    "round-truth",
    "match-truth",
    "commit-durability",
    "freshness",
    "linearizability",
    "assertion",
  ],
  L13: ["log-matching", "match-truth", "state-machine-safety", "assertion"],
  L14: ["match-truth", "commit-durability", "log-matching", "state-machine-safety", "assertion"],
  L15: ["match-truth", "commit-durability", "log-durability"],
  L16: ["state-machine-safety", "commit-durability", "assertion"],
  L17: ["match-truth", "commit-durability", "assertion"],
  L18: ["match-monotonic"],
  L19: ["linearizability", "program-order", "lost-write", "bounded-staleness"],
  L20: ["linearizability", "program-order", "lost-write", "bounded-staleness"],
  L21: ["exactly-once", "linearizability"],
  L22: ["linearizability", "lost-write", "program-order"],
  L31: ["state-divergence", "exactly-once", "convergence"],
  L33: ["liveness", "assertion", "applied-monotonic"],
  L34: ["state-divergence", "convergence"],
  L35: ["snapshot-truth", "state-divergence"],
  L36: ["program-order", "read-your-writes", "monotonic-reads", "session-lost"],
  L37: ["write-concern"],
  L38: ["commit-durability"],
  L39: ["exactly-once", "linearizability"],
  L40: ["exactly-once", "linearizability"],
  L41: ["state-divergence"],
  L42: ["exactly-once", "lost-write", "linearizability"],
  L45: ["term-origin"],
  L46: ["none: a scenario tells it"],
  L47: ["deaf-leader"],
  L48: ["log-durability", "term-durability", "refused-start"],
  L49: ["log-durability", "term-durability", "vote-durability", "snapshot-durability"],
  L50: ["state-divergence"],
  L51: ["leader-completeness", "state-machine-safety", "assertion"],
  L52: ["transfer-target"],
  L53: ["session-lost"],
  L54: ["freshness"],
  L55: ["freshness"],
  L56: ["freshness"],
  L57: ["program-order", "linearizability"],
  L58: ["vote-durability", "term-durability"],
  L59: ["term-durability", "vote-durability", "log-durability", "group-durability"],
  S1: ["term-durability", "vote-durability", "log-durability", "refused-start"],
  S2: ["refused-start", "log-durability", "term-durability"],
  S3: ["log-matching", "log-durability", "term-durability", "vote-durability", "assertion"],
  S4: ["assertion", "log-durability", "term-durability", "vote-durability"],
  S5: ["log-durability", "term-durability", "refused-start"],
  S6: ["log-durability", "term-durability", "refused-start"],
  S7: ["log-durability", "term-durability", "state-divergence", "assertion"],
  S10: ["match-truth", "commit-durability", "log-durability", "term-durability", "refused-start"],
  S11: ["log-durability", "term-durability", "vote-durability", "refused-start"],
  S12: ["log-durability", "term-durability", "match-truth"],
  S21: ["snapshot-durability"],
  S22: ["snapshot-truth", "state-divergence"],
  S23: ["needless-rebuild"],
  S24: ["snapshot-truth", "convergence", "liveness"],
  S25: ["convergence"],
  S26: ["needless-rebuild"],
  S27: ["damaged-state"],
};
