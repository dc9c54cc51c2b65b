/**
 * Mistakes that real systems have shipped, planted on purpose so that the simulator can prove it
 * would notice them (docs/mutants.md). Only the simulator passes one: the host has no way to, and a
 * tidy test sees to it.
 */
export const MUTANTS = {
  L1: "votedFor is not persisted",
  L2: "the term is not persisted",
  L3: "an append is acknowledged before it is synced",
  L4: "an entry of an earlier term is committed by counting",
  L13: "AppendEntries does not check prevLogIndex and prevLogTerm",
  L14: "conflicting entries are not truncated",
  L18: "matchIndex may go backwards",
  L19: "the leader answers reads without confirming that it leads",
  L20: "ReadIndex is used before an entry of the own term is committed",
  L21: "sessions do not detect duplicates",
  L36: "a session read does not wait for the session's place",
  L51: "a vote for the target of a leadership transfer does not look at its log",
  L52: "the target of a leadership transfer is told to campaign before it holds everything",
  L53: "a session read does not compare the term at the session's place",
  L54: "a state is dated by when the leader's message came, not by the stamp in it",
  L55: "a stamp of an earlier boot of the node counts",
  L56: "a leader takes its own state for current without a confirmed round",
  S21: "a snapshot is acknowledged before its switch is durable",
  S22: "a snapshot goes on from a wrong place, and its rows are not compared with its hash",
  S23: "hashes of states are compared at unequal indexes",
  S24: "a snapshot is filled in on top of what another one left",
  S25: "states are neither compared nor read through",
  S26: "the leader's state is taken for right without asking a majority",
  S27: "a replica goes on applying to a state that it knows to be wrong",
} as const;

/** The number of a planted mistake. */
export type MutantId = keyof typeof MUTANTS;
