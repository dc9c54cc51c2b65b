import { equalBytes } from "../../core/base/bytes.ts";
import { RowHash } from "../../core/base/row-hash.ts";
import type { LogIndex, NodeId, Term } from "../../core/contract/ids.ts";
import type { TraceEvent } from "../../core/contract/trace.ts";
import type { Applier } from "../../core/replication/single-leader/applier.ts";
import { entryTerm } from "../../core/replication/single-leader/entry.ts";
import type { Leadership } from "../../core/replication/single-leader/leadership.ts";
import type {
  EntryBytes,
  SingleLeaderMessage,
} from "../../core/replication/single-leader/messages.ts";
import { majorityOf } from "../../core/replication/single-leader/quorum.ts";
import type { Raft } from "../../core/replication/single-leader/raft.ts";
import type { RaftLog } from "../../core/replication/single-leader/raft-log.ts";
import type { Replica } from "../../core/replication/single-leader/replica.ts";
import { DATA_PREFIX_BYTES } from "../../core/replication/single-leader/rows.ts";
import type { Place, Violation } from "../check/history.ts";

/** Ends a run: an oracle has found something. */
export class ViolationError extends Error {
  override readonly name = "ViolationError";
  readonly violation: Violation;

  constructor(oracle: string, message: string) {
    super(`${oracle}: ${message}`);
    this.violation = { oracle, message };
  }
}

/** What a node promised to others, which a crash must not undo (LEAD1). */
interface Promises {
  term: Term;
  /** The vote that left in `voteTerm`, or was cast for itself. */
  voteTerm: Term;
  vote: NodeId | null;
  /** The highest index up to which it said that it holds a snapshot. */
  installedIndex: LogIndex;
}

/** What the oracles remember of one node between turns. */
interface Watched {
  readonly node: NodeId;
  boot: number;
  replica: Replica | null;
  /** The log of the running process, or of the one that crashed. */
  log: RaftLog | null;
  /** The process goes on without its replica: nobody tells the log what has become durable. */
  isGivenUp: boolean;
  seen: (EntryBytes | undefined)[];
  lastIndex: LogIndex;
  lastEntry: EntryBytes | null;
  term: Term;
  commitIndex: LogIndex;
  appliedIndex: LogIndex;
  leadership: Leadership | null;
  matches: LogIndex[];
  generation: number;
  /** Where its state's hash was last compared. */
  hashedIndex: LogIndex;
  /** Where it stood when it found its state wrong. */
  damagedAt: LogIndex | null;
  readonly promises: Promises;
}

interface KnownEntry {
  readonly bytes: EntryBytes;
  /** Null where the log that it was first seen in had forgotten it. */
  previousTerm: Term | null;
}

interface Committed {
  readonly term: Term;
  /** When somebody was first seen to know it, in microseconds of the simulation. */
  readonly at: number;
  /** The term of the node that was first seen to know it committed. */
  readonly inTerm: Term;
}

/**
 * Raft's safety properties (Figure 3 of the paper), and what this implementation adds, checked over
 * all nodes of a group after every turn of any. Only what changed is looked at.
 */
export class Invariants {
  readonly #voters: readonly NodeId[];
  readonly #watched = new Map<NodeId, Watched>();
  readonly #leaderOf = new Map<Term, string>();
  /** By term × 2^32 + index. */
  readonly #entries = new Map<number, KnownEntry>();
  readonly #committed: (Committed | undefined)[] = [];
  #committedMax: LogIndex = 0;
  readonly #stateHashes = new Map<LogIndex, string>();
  /** Nodes with a row that was damaged on purpose and is not replaced yet (STO7). */
  readonly rotten = new Set<NodeId>();
  #installs = 0;
  #rebuilds = 0;

  constructor(voters: readonly NodeId[]) {
    this.#voters = voters;
    for (const node of voters) {
      this.#watched.set(node, {
        node,
        boot: 0,
        replica: null,
        log: null,
        isGivenUp: false,
        seen: [],
        lastIndex: 0,
        lastEntry: null,
        term: 0,
        commitIndex: 0,
        appliedIndex: 0,
        leadership: null,
        matches: [],
        generation: 0,
        hashedIndex: -1,
        damagedAt: null,
        promises: { term: 0, voteTerm: 0, vote: null, installedIndex: 0 },
      });
    }
  }

  /** The highest index that any node was seen to know committed. */
  get committedIndex(): LogIndex {
    return this.#committedMax;
  }

  /** The term of the entry that is committed at an index; undefined where none is known to be. */
  committedTerm(index: LogIndex): Term | undefined {
    return this.#committed[index]?.term;
  }

  /** The hash of the state at an index, as a replica had it that nobody damaged. */
  stateHashAt(index: LogIndex): string | null {
    return this.#stateHashes.get(index) ?? null;
  }

  /** Snapshots that took the place of a state. */
  get installs(): number {
    return this.#installs;
  }

  /** Replicas that found their state wrong. */
  get rebuilds(): number {
    return this.#rebuilds;
  }

  /** Nobody takes its own state for wrong without a reason (STO7). */
  onTrace({ node, mark, detail = "" }: TraceEvent): void {
    if (mark === "snapshot-switch") this.#installs += 1;
    if (mark !== "damaged") return;
    this.#rebuilds += 1;
    if (this.rotten.has(node)) return;
    throw new ViolationError("needless-rebuild", `${node}: ${detail}`);
  }

  /** Terms in which somebody led. */
  get terms(): number {
    return this.#leaderOf.size;
  }

  /** A message left the node: what it promises must outlive the process. */
  onSent(from: NodeId, message: SingleLeaderMessage): void {
    const { promises } = this.#of(from);
    switch (message.kind) {
      case "vote":
        if (message.preVote) return;
        promises.term = Math.max(promises.term, message.term);
        return;
      case "requestVote":
        if (message.preVote) return;
        return this.#noteVote(promises, message.term, from);
      case "appendReply":
      case "appendEntries":
        promises.term = Math.max(promises.term, message.term);
        return;
      case "snapshotReply":
        if (!message.installed) return;
        promises.installedIndex = Math.max(promises.installedIndex, message.id.index);
        return;
      default:
        return;
    }
  }

  /** A granted vote left `from` for `candidate`. */
  onVoteSent(from: NodeId, candidate: NodeId, term: Term): void {
    this.#noteVote(this.#of(from).promises, term, candidate);
  }

  /**
   * A leader that hands over: the target has all that it has, and so does not merely disturb
   * (thesis §3.10). One of a later term may have been made to truncate it since.
   */
  onTimeoutNowSent(from: NodeId, to: NodeId): void {
    const raft = this.#of(from).replica?.inspect().raft;
    const target = this.#of(to);
    if (raft === undefined || target.log === null || target.term > raft.term) return;
    const { lastIndex, lastTerm } = raft.log;
    const { durableIndex } = target.log;
    const isThere = durableIndex >= lastIndex && target.log.lastIndex >= lastIndex;
    if (isThere && target.log.termAt(lastIndex) === lastTerm) return;
    const text = `${from} hands over to ${to}, which holds ${durableIndex} of ${lastIndex} entries durably`;
    throw new ViolationError("transfer-target", text);
  }

  #noteVote(promises: Promises, term: Term, candidate: NodeId): void {
    promises.term = Math.max(promises.term, term);
    if (term < promises.voteTerm) return;
    if (term === promises.voteTerm && promises.vote !== candidate) {
      const text = `votes for ${promises.vote} and ${candidate} in term ${term} have left one node`;
      throw new ViolationError("one-vote-per-term", text);
    }
    promises.voteTerm = term;
    promises.vote = candidate;
  }

  /** A node has started: what it had promised must be there again. */
  onBoot(node: NodeId, replica: Replica, now: number): void {
    const watched = this.#of(node);
    const { raft } = replica.inspect();
    this.#checkPromises(watched, raft);
    this.#checkInstalled(watched, raft);
    if (watched.log !== null) checkRecovered(node, watched.log, raft.log);
    watched.boot += 1;
    watched.replica = replica;
    watched.log = raft.log;
    watched.isGivenUp = false;
    watched.seen = [];
    watched.lastIndex = 0;
    watched.lastEntry = null;
    watched.term = raft.term;
    watched.commitIndex = 0;
    watched.appliedIndex = 0;
    watched.leadership = null;
    watched.hashedIndex = -1;
    watched.damagedAt = null;
    watched.generation = replica.inspect().applier.generation;
    this.afterTurn(node, now);
  }

  /** What a snapshot holds is committed: once it is acknowledged, no crash takes it away (STO9). */
  #checkInstalled({ node, promises }: Watched, raft: Raft): void {
    if (raft.log.lastIndex >= promises.installedIndex) return;
    const text = `${node} acknowledged a snapshot up to ${promises.installedIndex} and restarts with ${raft.log.lastIndex} entries`;
    throw new ViolationError("snapshot-durability", text);
  }

  onCrash(node: NodeId): void {
    this.#of(node).replica = null;
  }

  /** The keyspace was dropped on the node. What it acknowledged before, its disk gets to hold. */
  onGivenUp(node: NodeId): void {
    const watched = this.#of(node);
    watched.replica = null;
    watched.isGivenUp = true;
  }

  /** Whether the node promised or durably held anything in this group. */
  isBound(node: NodeId): boolean {
    const { promises, log } = this.#of(node);
    return promises.term > 0 || (log !== null && log.durableIndex > 0);
  }

  #checkPromises(watched: Watched, raft: Raft): void {
    const { term, voteTerm, vote } = watched.promises;
    if (raft.term < term) {
      const text = `${watched.node} promised something in term ${term} and restarts in term ${raft.term}`;
      throw new ViolationError("term-durability", text);
    }
    if (raft.term === voteTerm && raft.vote !== vote) {
      const text = `${watched.node} voted for ${vote} in term ${voteTerm} and restarts with ${raft.vote}`;
      throw new ViolationError("vote-durability", text);
    }
  }

  /** Looks at what the turn changed. */
  afterTurn(node: NodeId, now: number): void {
    const watched = this.#of(node);
    const { replica } = watched;
    if (replica === null) return;
    const { raft, applier } = replica.inspect();
    this.#checkTerm(watched, raft);
    this.#checkLeader(watched, raft);
    this.#checkEntries(watched, raft.log);
    this.#checkCommit(watched, raft, now);
    this.#checkApplied(watched, applier.appliedIndex, raft);
    if (raft.leadership !== null) this.#checkMatches(watched, raft, raft.leadership);
    if (applier.halted !== null) {
      throw new ViolationError("halted", `${node}: ${applier.halted}`);
    }
    this.#checkState(watched, applier);
  }

  /** Equal logs make equal states, and one that is known to be wrong is left alone (STO7). */
  #checkState(watched: Watched, applier: Applier): void {
    const { node } = watched;
    const { appliedIndex, generation, damage } = applier;
    if (damage !== null) {
      watched.damagedAt ??= appliedIndex;
      if (watched.damagedAt === appliedIndex) return;
      const text = `${node} has applied up to ${appliedIndex}, and knew at ${watched.damagedAt} that ${damage}`;
      throw new ViolationError("damaged-state", text);
    }
    watched.damagedAt = null;
    if (generation !== watched.generation) this.#checkSwitch(watched, applier);
    if (watched.hashedIndex === appliedIndex || this.rotten.has(node)) return;
    watched.hashedIndex = appliedIndex;
    const { hash } = applier.stateRows;
    const known = this.#stateHashes.get(appliedIndex) ?? hash;
    this.#stateHashes.set(appliedIndex, known);
    if (known === hash) return;
    const text = `at ${appliedIndex} the state of ${node} has the hash ${hash}, elsewhere ${known}`;
    throw new ViolationError("state-divergence", text);
  }

  /** The rows that a snapshot brought are those that its hash is of, no more and no less (STO9). */
  #checkSwitch(watched: Watched, applier: Applier): void {
    watched.generation = applier.generation;
    const found = rowsHash(applier);
    if (found === applier.stateRows.hash) return;
    const text = `${watched.node} switched to rows with the hash ${found}, and takes it for ${applier.stateRows.hash}`;
    throw new ViolationError("snapshot-truth", text);
  }

  #checkTerm(watched: Watched, raft: Raft): void {
    if (raft.term < watched.term) {
      const text = `${watched.node} went from term ${watched.term} back to ${raft.term}`;
      throw new ViolationError("term-monotonic", text);
    }
    watched.term = raft.term;
  }

  /**
   * Election safety: at most one leader in a term. Leader completeness: it has all that is
   * committed.
   */
  #checkLeader(watched: Watched, raft: Raft): void {
    if (raft.leadership === watched.leadership) return;
    watched.leadership = raft.leadership;
    watched.matches = [];
    if (raft.leadership === null) return;
    const name = `${watched.node} (start ${watched.boot})`;
    const other = this.#leaderOf.get(raft.term);
    if (other !== undefined && other !== name) {
      throw new ViolationError("election-safety", `${name} and ${other} lead term ${raft.term}`);
    }
    this.#leaderOf.set(raft.term, name);
    const { log } = raft;
    for (let index = log.compactedIndex + 1; index <= this.#committedMax; index += 1) {
      const committed = this.#committed[index];
      // It binds only leaders of later terms: one of an earlier term may not know of it.
      if (committed === undefined || committed.inTerm >= raft.term) continue;
      const has = index <= log.lastIndex ? log.termAt(index) : null;
      if (has === committed.term) continue;
      const text = `${name} leads term ${raft.term} without entry ${index} of term ${committed.term}, committed in term ${committed.inTerm}; it has ${has === null ? "none" : `one of term ${has}`}`;
      throw new ViolationError("leader-completeness", text);
    }
  }

  /** Log matching: one (index, term) is one entry, and has one entry before it. */
  #checkEntries(watched: Watched, log: RaftLog): void {
    const { lastIndex } = log;
    const last = lastIndex > log.compactedIndex ? log.entry(lastIndex) : null;
    if (lastIndex === watched.lastIndex && last === watched.lastEntry) return;
    for (let index = lastIndex; index > log.compactedIndex; index -= 1) {
      const entry = log.entry(index);
      if (watched.seen[index] === entry) break;
      watched.seen[index] = entry;
      this.#checkEntry(watched.node, log, index, entry);
    }
    watched.lastIndex = lastIndex;
    watched.lastEntry = last;
  }

  #checkEntry(node: NodeId, log: RaftLog, index: LogIndex, entry: EntryBytes): void {
    const term = entryTerm(entry);
    const key = term * 0x1_0000_0000 + index;
    const previousTerm = log.termAt(index - 1);
    const known = this.#entries.get(key);
    if (known === undefined) {
      this.#entries.set(key, { bytes: entry.slice(), previousTerm });
      return;
    }
    if (!equalBytes(known.bytes, entry)) {
      throw new ViolationError(
        "log-matching",
        `two entries ${index} of term ${term}, one in ${node}`,
      );
    }
    known.previousTerm ??= previousTerm;
    if (previousTerm === null || previousTerm === known.previousTerm) return;
    const text = `entry ${index} of term ${term} follows one of term ${known.previousTerm}, in ${node} one of term ${previousTerm}`;
    throw new ViolationError("log-matching", text);
  }

  /**
   * LEAD6: the node says that its state holds all that was committed by `since`. It is for the
   * first entry that is not applied there to prove it wrong.
   */
  checkAge(node: NodeId, since: number): void {
    const replica = this.#of(node).replica;
    if (replica === null) return;
    const next = replica.inspect().applier.appliedIndex + 1;
    const committed = this.#committed[next];
    // Clocks are read in whole microseconds.
    if (committed === undefined || committed.at >= since - CLOCK_MICROS) return;
    const text = `${node} dates its state ${since} and has not applied entry ${next}, committed at ${committed.at}`;
    throw new ViolationError("freshness", text);
  }

  #checkCommit(watched: Watched, raft: Raft, now: number): void {
    const { commitIndex, log } = raft;
    if (commitIndex < watched.commitIndex) {
      const text = `${watched.node} went from commitIndex ${watched.commitIndex} back to ${commitIndex}`;
      throw new ViolationError("commit-monotonic", text);
    }
    const from = Math.max(watched.commitIndex, log.compactedIndex) + 1;
    watched.commitIndex = commitIndex;
    for (let index = from; index <= commitIndex; index += 1)
      this.#noteCommitted(watched, raft, index, now);
  }

  #noteCommitted(watched: Watched, raft: Raft, index: LogIndex, now: number): void {
    const term = raft.log.termAt(index);
    if (term === null) throw new ViolationError("commit-beyond-log", `${watched.node} at ${index}`);
    const known = this.#committed[index];
    if (known !== undefined) {
      if (known.term === term) return;
      const text = `entry ${index} of term ${known.term} is committed, and in ${watched.node} one of term ${term}`;
      throw new ViolationError("state-machine-safety", text);
    }
    this.#committed[index] = { term, inTerm: raft.term, at: now };
    this.#committedMax = Math.max(this.#committedMax, index);
    this.#checkDurable(watched.node, index, term);
  }

  /** What somebody takes for committed is on the disks of a majority (LEAD3), whoever counted. */
  #checkDurable(node: NodeId, index: LogIndex, term: Term): void {
    const holders = this.#holdersOf(index, term);
    if (holders.length >= majorityOf(this.#voters.length)) return;
    const text = `${node} takes entry ${index} of term ${term} for committed; only ${holders.join(", ") || "nobody"} holds it durably`;
    throw new ViolationError("commit-durability", text);
  }

  /**
   * State machine safety: an index is applied as the same entry everywhere, and only once
   * committed.
   */
  #checkApplied(watched: Watched, appliedIndex: LogIndex, raft: Raft): void {
    if (appliedIndex < watched.appliedIndex) {
      const text = `${watched.node} went from appliedIndex ${watched.appliedIndex} back to ${appliedIndex}`;
      throw new ViolationError("applied-monotonic", text);
    }
    if (appliedIndex > raft.commitIndex) {
      const text = `${watched.node} applied ${appliedIndex} and knows only ${raft.commitIndex} committed`;
      throw new ViolationError("applied-uncommitted", text);
    }
    const from = Math.max(watched.appliedIndex, raft.log.compactedIndex) + 1;
    watched.appliedIndex = appliedIndex;
    for (let index = from; index <= appliedIndex; index += 1) {
      const committed = this.#committed[index];
      const term = raft.log.termAt(index);
      if (committed === undefined || committed.term === term) continue;
      const text = `${watched.node} applied entry ${index} of term ${term}, committed is term ${committed.term}`;
      throw new ViolationError("state-machine-safety", text);
    }
  }

  /** What a leader believes of a follower of its own term is true, and only grows. */
  #checkMatches(watched: Watched, raft: Raft, leadership: Leadership): void {
    leadership.followers.forEach((progress, i) => {
      const { node, matchIndex, ackedRound } = progress;
      if (ackedRound > leadership.round) {
        const text = `${node} has confirmed round ${ackedRound} of ${watched.node}, which began ${leadership.round}`;
        throw new ViolationError("round-truth", text);
      }
      const before = watched.matches[i] ?? 0;
      if (matchIndex === before) return;
      watched.matches[i] = matchIndex;
      if (matchIndex < before) {
        const text = `${watched.node}'s matchIndex of ${node} went from ${before} back to ${matchIndex}`;
        throw new ViolationError("match-monotonic", text);
      }
      this.#checkMatch(watched.node, raft, node, matchIndex);
    });
  }

  #checkMatch(leader: NodeId, raft: Raft, node: NodeId, matchIndex: LogIndex): void {
    const follower = this.#of(node);
    const { log } = follower;
    // A follower of a later term may have been made to truncate what this leader's term
    // acknowledged.
    if (log === null || follower.term > raft.term || matchIndex <= log.compactedIndex) return;
    const there = this.#durableOf(node) >= matchIndex ? log.termAt(matchIndex) : null;
    const here = raft.log.termAt(matchIndex);
    if (here === null || there === here) return;
    const text = `${leader} believes that ${node} holds its log up to ${matchIndex} (term ${here}) durably; it has ${there === null ? "not" : `term ${there}`}`;
    throw new ViolationError("match-truth", text);
  }

  /** LEAD4: a write is answered when as many nodes as it asked for hold it durably. */
  checkConcern({ term, index }: Place, needed: number): void {
    const holders = this.#holdersOf(index, term);
    if (holders.length >= needed) return;
    const text = `entry ${index} of term ${term} was to be held by ${needed} and is by ${holders.join(", ")}`;
    throw new ViolationError("write-concern", text);
  }

  #holdersOf(index: LogIndex, term: Term): NodeId[] {
    return this.#voters.filter((voter) => {
      const { log } = this.#of(voter);
      if (log === null || this.#durableOf(voter) < index) return false;
      return index <= log.compactedIndex || log.termAt(index) === term;
    });
  }

  #durableOf(node: NodeId): LogIndex {
    const { log, isGivenUp } = this.#of(node);
    if (log === null) return 0;
    return isGivenUp ? log.lastIndex : log.durableIndex;
  }

  #of(node: NodeId): Watched {
    const watched = this.#watched.get(node);
    if (watched === undefined) throw new Error(`no such node: ${node}`);
    return watched;
  }
}

const CLOCK_MICROS = 2;

/** What a node's process knew to be durable must be found again by the next one. */
function checkRecovered(node: NodeId, before: RaftLog, after: RaftLog): void {
  for (let index = before.durableIndex; index > before.compactedIndex; index -= 1) {
    if (index <= after.compactedIndex) return;
    const term = before.termAt(index);
    const found = index <= after.lastIndex ? after.termAt(index) : null;
    if (found === term) continue;
    const text = `${node} held entry ${index} of term ${term} durably and restarts with ${found === null ? "none" : `term ${found}`}`;
    throw new ViolationError("log-durability", text);
  }
}

/** What the rows of a replica's state hash to, counted anew. */
export function rowsHash(applier: Applier): string {
  const hash = new RowHash();
  const [from, to] = applier.generationRange(applier.generation);
  for (const [key, row] of applier.stateRows.rows(from, to)) hash.add(key, DATA_PREFIX_BYTES, row);
  return hash.text;
}
