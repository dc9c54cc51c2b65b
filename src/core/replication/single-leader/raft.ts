import { assert } from "../../base/assert.ts";
import type { MutantId } from "../../base/mutants.ts";
import type { Prng } from "../../base/prng.ts";
import type { GroupCall, GroupReply } from "../../contract/group.ts";
import type {
  BatchNumber,
  GroupId,
  Instant,
  LogIndex,
  NodeId,
  Term,
  WallClock,
} from "../../contract/ids.ts";
import type { Emitter } from "../../contract/outbox.ts";
import type { LogRecord } from "../../contract/record.ts";
import type { Trace } from "../../contract/trace.ts";
import { Freshness } from "./freshness.ts";
import type { GroupCommitLimits } from "./group-commit.ts";
import type { Leadership } from "./leadership.ts";
import type { EntryBytes, SingleLeaderMessage } from "./messages.ts";
import { RaftLog } from "./raft-log.ts";
import { encodeRecord } from "./records.ts";

/** The types that a single-leader replica speaks. */
export interface SingleLeaderVocabulary {
  readonly message: SingleLeaderMessage;
  readonly command: GroupCall;
  readonly reply: GroupReply;
  readonly record: LogRecord;
}

/** Where a replica's effects go. */
export type Out = Emitter<SingleLeaderVocabulary>;

/** How patient the members of a group are, in milliseconds. */
export interface RaftTiming {
  /** The leader is heard from at least this often. */
  readonly heartbeatMs: number;
  /** A follower that hears nothing for this long, to twice as long, asks for a pre-vote. */
  readonly electionTimeoutMs: number;
}

/** What a replica may hold and send at most (docs/limits.md). */
export interface RaftLimits extends GroupCommitLimits {
  /** Entries of one AppendEntries, in bytes; a single larger entry still goes. */
  readonly appendBytesMax: number;
  /** Entries under way to one follower, in bytes. */
  readonly inFlightBytesMax: number;
  /** Entries kept in memory for slow followers although a checkpoint covers them, in bytes. */
  readonly retainedBytes: number;
  /** One chunk of a snapshot, in bytes. */
  readonly snapshotChunkBytes: number;
  /** Chunks of a snapshot under way to one follower, in bytes. */
  readonly snapshotWindowBytes: number;
  /** An open snapshot pins storage: putting it into a file takes no longer than this (STO9). */
  readonly snapshotAgeMsMax: number;
  /** How long the file of a snapshot is kept that nobody asks for, ms. */
  readonly snapshotIdleMsMax: number;
  /** After a snapshot could not be put into a file, how long until it is tried again, ms. */
  readonly snapshotRetryMs: number;
  /** Bytes that are left to others of the disk: a snapshot's file never takes them. */
  readonly diskRoomBytesMin: number;
  /** While a checkpoint runs, changes in memory beyond this hold a snapshot's rows back. */
  readonly snapshotMemtableBytesMax: number;
  /** Rows of a generation that is not in use any more, removed in one settle. */
  readonly wipeRowsMax: number;
  /** The leader's state is compared with the followers' this often, ms (STO7). */
  readonly stateHashMs: number;
  /** All rows are read and compared with their hash this often, ms (STO7). */
  readonly scrubMs: number;
  /** Rows that are read for that at once, and how long until the next ones, ms. */
  readonly scrubRowsMax: number;
  readonly scrubPauseMs: number;
  /** Entries applied in one settle, so that a long backlog does not block the loop. */
  readonly applyEntriesMax: number;
  /** A follower further behind is not made leader: clients would wait while it catches up. */
  readonly transferLagEntriesMax: number;
  /** Calls of this node's clients that may wait in one group, and their bytes. */
  readonly windowCalls: number;
  readonly windowBytes: number;
}

/** The limits of a node that serves. */
export const RAFT_LIMITS: RaftLimits = {
  appendBytesMax: 1 << 20,
  groupWaitMsMax: 2,
  groupEntriesMax: 512,
  inFlightBytesMax: 8 << 20,
  retainedBytes: 32 << 20,
  snapshotChunkBytes: 256 << 10,
  snapshotWindowBytes: 1 << 20,
  snapshotAgeMsMax: 3_600_000,
  snapshotIdleMsMax: 60_000,
  snapshotRetryMs: 30_000,
  diskRoomBytesMin: 256 << 20,
  snapshotMemtableBytesMax: 16 << 20,
  wipeRowsMax: 1000,
  stateHashMs: 10_000,
  scrubMs: 6 * 3_600_000,
  scrubRowsMax: 100,
  scrubPauseMs: 10,
  applyEntriesMax: 512,
  transferLagEntriesMax: 65_536,
  windowCalls: 16_384,
  windowBytes: 64 << 20,
};

/** What one replica has to know before it starts. */
export interface RaftOptions {
  readonly group: GroupId;
  readonly node: NodeId;
  /** All voters, this node among them, in ascending order. */
  readonly voters: readonly NodeId[];
  readonly timing: RaftTiming;
  readonly limits: RaftLimits;
  readonly prng: Prng;
  readonly trace: Trace;
  readonly traced: boolean;
  readonly mutant: MutantId | null;
}

/** What a replica is to its group (Raft §5.1; thesis §9.6). */
export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** What a follower promises its leader at the end of a turn, once what it rests on is on disk. */
export interface PendingAck {
  readonly to: NodeId;
  readonly term: Term;
  matchIndex: LogIndex;
  round: number;
}

/**
 * Raft's state on one node (Figure 2), and the little that every role does with it. What a role
 * does is in `election.ts`, `follower.ts` and `leader.ts`; they receive this object.
 */
export class Raft {
  readonly options: RaftOptions;
  readonly log: RaftLog = new RaftLog();
  role: Role = "follower";
  term: Term = 0;
  vote: NodeId | null = null;
  leader: NodeId | null = null;
  commitIndex: LogIndex = 0;

  /** Elections: when to ask, who granted, and the batch that makes our own vote count (LEAD1). */
  electionDeadline: Instant;
  leaderHeardAt: Instant = Number.NEGATIVE_INFINITY;
  readonly granted = new Set<NodeId>();
  readonly refused = new Set<NodeId>();
  ownVoteBatch: BatchNumber | null = null;
  readonly linksDown = new Set<NodeId>();
  /** It leads, or campaigns, because an operator wants it to. */
  isAskedToLead = false;

  /** Set while this node leads, and only then. */
  leadership: Leadership | null = null;

  /** What this turn must still write or promise. */
  hardStateChanged = false;
  unwritten: EntryBytes[] = [];
  ack: PendingAck | null = null;

  /** How old our state may be (LEAD6). */
  readonly freshness: Freshness = new Freshness();
  /** Names this start of the process to the leader that keeps our stamps: they mean our clock. */
  readonly boot: number;
  /** This node's wall clock at the beginning of the turn, whole ms (GEN7). */
  wallMs: WallClock = 0;
  /** The highest commitIndex a leader has told, which may be beyond what we hold. */
  toldCommit: LogIndex = 0;

  constructor(options: RaftOptions, now: Instant, boot = 0) {
    assert(options.voters.includes(options.node), "this node is no voter of the group");
    this.options = options;
    this.boot = boot;
    this.electionDeadline = now;
    this.resetElectionTimer(now);
  }

  get isLeader(): boolean {
    return this.role === "leader";
  }

  get peers(): NodeId[] {
    return this.options.voters.filter((voter) => voter !== this.options.node);
  }

  trace(mark: string, detail?: string): void {
    const { node, group } = this.options;
    this.options.trace(
      detail === undefined ? { node, group, mark } : { node, group, mark, detail },
    );
  }

  /** Draws the next election timeout (Raft §5.2: random, so that votes rarely split). */
  resetElectionTimer(now: Instant): void {
    const { electionTimeoutMs } = this.options.timing;
    const timeout = this.options.prng.between(electionTimeoutMs, 2 * electionTimeoutMs);
    this.electionDeadline = now + timeout;
  }

  /** Follows in this term, which may be a new one; forgets what only another role needs. */
  becomeFollower(term: Term, leader: NodeId | null, now: Instant): void {
    assert(term >= this.term, "terms never decrease");
    if (term > this.term) {
      this.term = term;
      this.vote = null;
      this.hardStateChanged = true;
    }
    if (this.role !== "follower") {
      this.trace("become-follower", `term=${term}`);
      this.resetElectionTimer(now);
    }
    this.endLeadership();
    this.isAskedToLead = false;
    this.role = "follower";
    this.leader = leader;
    this.ownVoteBatch = null;
  }

  endLeadership(): void {
    if (this.leadership === null) return;
    for (const progress of this.leadership.followers) progress.dropSnapshot();
    this.leadership = null;
  }

  /** Whether a leader was heard of so lately that an election would only disturb it (LEAD2). */
  hearsLeader(now: Instant): boolean {
    if (this.leader === null) return false;
    if (this.isLeader) return true;
    if (this.linksDown.has(this.leader)) return false;
    return now - this.leaderHeardAt < this.options.timing.electionTimeoutMs;
  }

  /** Raft §5.4.1: the log with the later last term, or the longer one of equal terms, is newer. */
  isUpToDate(lastLogIndex: LogIndex, lastLogTerm: Term): boolean {
    const { mutant } = this.options;
    if (mutant === "L7") return true;
    if (lastLogTerm !== this.log.lastTerm && mutant !== "L8")
      return lastLogTerm > this.log.lastTerm;
    return lastLogIndex >= this.log.lastIndex;
  }

  /** How old the state that has applied `appliedIndex` is at most; null while unknown (LEAD6). */
  staleMs(appliedIndex: LogIndex, now: Instant): number | null {
    if (this.isLeader && this.options.mutant === "L56") return 0;
    return this.freshness.staleMs(appliedIndex, now);
  }

  commitTo(index: LogIndex): void {
    assert(index <= this.log.lastIndex, "commit beyond the log");
    if (index <= this.commitIndex) return;
    this.commitIndex = index;
    if (this.options.traced) this.trace("commit", `index=${index} term=${this.term}`);
  }

  /** The leader's own entry; it goes to the disk and to the peers at the end of the turn. */
  appendOwn(entry: EntryBytes): void {
    assert(this.isLeader, "only a leader appends");
    this.log.append(entry);
    this.unwritten.push(entry);
  }

  /** A follower's entries, as the leader sent them. */
  appendReceived(entries: readonly EntryBytes[], now: Instant, out: Out): void {
    assert(entries.length > 0, "nothing to append");
    this.#writeOwn(now, out);
    for (const entry of entries) this.log.append(entry);
    out.write(encodeRecord(this.options.group, { kind: "entries", entries }));
    this.log.handedToDisk(out.batch, now);
  }

  truncate(from: LogIndex, now: Instant, out: Out): void {
    assert(from > this.commitIndex, "truncation of a committed entry", from);
    this.#writeOwn(now, out);
    this.trace("truncate", `from=${from}`);
    this.log.truncate(from);
    out.write(encodeRecord(this.options.group, { kind: "truncate", from }));
  }

  /** Entries up to here were handed to the disk; a leader's last ones may wait for their group. */
  get writtenIndex(): LogIndex {
    return this.log.lastIndex - this.unwritten.length;
  }

  /** Hands the group that leaves in this turn, term and vote to the disk. */
  writeTurn(now: Instant, out: Out): void {
    const { group, mutant } = this.options;
    // Groups are released whole, so either all that is unwritten leaves or nothing.
    const released = this.leadership?.groups.releasedIndex ?? this.log.lastIndex;
    if (released > this.writtenIndex || this.hardStateChanged) this.#writeOwn(now, out);
    if (!this.hardStateChanged) return;
    this.hardStateChanged = false;
    if (mutant === "L2") return;
    const vote = mutant === "L1" ? null : this.vote;
    out.write(encodeRecord(group, { kind: "hardState", term: this.term, vote }));
  }

  /**
   * The disk's log has the order of ours. A leader that is deposed in the middle of a turn has
   * entries that nobody wrote yet; they come before the truncation that may remove them.
   */
  #writeOwn(now: Instant, out: Out): void {
    if (this.unwritten.length === 0) return;
    const { group, limits } = this.options;
    // A record has to fit a segment of the node's log, so a large turn makes several.
    for (const entries of runsOf(this.unwritten, limits.appendBytesMax)) {
      out.write(encodeRecord(group, { kind: "entries", entries }));
    }
    this.log.handedToDisk(out.batch, now);
    this.unwritten = [];
  }
}

/** Cuts into runs of at most `bytesMax`; a larger entry is a run of its own. */
function runsOf(entries: readonly EntryBytes[], bytesMax: number): EntryBytes[][] {
  const runs: EntryBytes[][] = [];
  let run: EntryBytes[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (run.length > 0 && bytes + entry.length > bytesMax) {
      runs.push(run);
      run = [];
      bytes = 0;
    }
    run.push(entry);
    bytes += entry.length;
  }
  runs.push(run);
  return runs;
}
