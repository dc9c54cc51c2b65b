import { MUTANTS, type MutantId } from "../../core/base/mutants.ts";

/** A mistake that a named test plants, by replacing a part, and finds. */
export interface TestedMistake {
  readonly id: string;
  readonly what: string;
  readonly test: string;
}

/** A mistake that cannot be made here, and why. */
export interface ForeignMistake {
  readonly id: string;
  readonly what: string;
  readonly why: string;
}

/** Mistakes that lie outside of what the simulator runs, or inside what has no options. */
export const TESTED_MISTAKES: readonly TestedMistake[] = [
  {
    id: "L43",
    what: "half of a transaction stays when it is broken off",
    test: "test/planted-mistakes.test.ts",
  },
  {
    id: "S8",
    what: "nothing keeps a second process off a data directory",
    test: "test/planted-mistakes.test.ts",
  },
  {
    id: "S9",
    what: "a 64-bit integer goes through a number",
    test: "test/planted-mistakes.test.ts",
  },
];

const NO_LEASES = "There are no leases: every linearizable read waits for a round (LEAD5).";
const FIXED_MEMBERS = "The members are fixed when the cluster is made (LEAD10).";

/** What does not apply to the design. */
export const FOREIGN_MISTAKES: readonly ForeignMistake[] = [
  { id: "L23", what: "a lease is counted from when the answer came", why: NO_LEASES },
  { id: "L24", what: "a lease by the wall clock, or without a bound on drift", why: NO_LEASES },
  { id: "L25", what: "a lease outlives a transfer of leadership", why: NO_LEASES },
  { id: "L26", what: "membership changes before an own entry is committed", why: FIXED_MEMBERS },
  { id: "L27", what: "two changes of membership at once", why: FIXED_MEMBERS },
  { id: "L28", what: "a leader that was removed counts itself", why: FIXED_MEMBERS },
  { id: "L29", what: "a learner counts towards the majority", why: FIXED_MEMBERS },
  { id: "L30", what: "a joint configuration asks the new majority only", why: FIXED_MEMBERS },
  { id: "L32", what: "a snapshot carries the configuration of now", why: FIXED_MEMBERS },
  {
    id: "L44",
    what: "the coordinator of a two-phase commit forgets what was prepared",
    why: "A transaction has one keyspace and is one entry of its log: nobody coordinates (LEAD9).",
  },
];

/** Those that the simulator does not tell from what may happen; a scenario does. */
const SCENARIO_ONLY: readonly MutantId[] = ["L46"];

/** Scenarios in `test/scenarios/` that bring a mistake to light, step by step. */
export const MUTANT_SCENARIOS: Readonly<Partial<Record<MutantId, string>>> = {
  L1: "vote-survives-restart",
  L2: "vote-survives-restart",
  L3: "torn-disk",
  L4: "figure-8",
  L5: "session-lost",
  L6: "vote-survives-restart",
  L7: "late-timeout-now",
  L13: "log-conflict",
  L14: "log-conflict",
  L16: "session-lost",
  L18: "late-acknowledgement",
  L19: "lone-reader",
  L20: "new-leader-reads-late",
  L21: "forward-repeated-once",
  L31: "slow-follower-by-snapshot",
  L36: "session-read-on-follower",
  L37: "write-concern",
  L38: "late-acknowledgement",
  L39: "stalled-leader",
  L40: "forward-repeated-once",
  L45: "election",
  L46: "pre-vote-of-isolated-node",
  L51: "late-timeout-now",
  L52: "transfer-to-named",
  L53: "session-lost",
  L54: "late-stamp",
  L55: "stamp-of-earlier-start",
  L56: "bounded-read-of-deposed-leader",
  L57: "read-between-two-writes",
};

/** Every planted mistake, in the order of the table. */
export const MUTANT_IDS = Object.keys(MUTANTS) as readonly MutantId[];

/** Those that the simulator finds under their profiles. */
export const SIMULATED_IDS: readonly MutantId[] = MUTANT_IDS.filter(
  (id) => !SCENARIO_ONLY.includes(id),
);
