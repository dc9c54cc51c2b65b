import { assert } from "../../base/assert.ts";
import { encodeUtf8 } from "../../base/bytes.ts";
import { crc32, fnv1a } from "../../base/hash.ts";
import type { GroupCall, GroupStatus, PeerStatus } from "../../contract/group.ts";
import type { Instant, LogIndex, NodeId, RequestId, Term, WallClock } from "../../contract/ids.ts";
import type { Input, Protocol } from "../../contract/protocol.ts";
import type { RecoveredRecord } from "../../contract/record.ts";
import { error } from "../../contract/reply.ts";
import type { StateMachine, StateReader } from "../../contract/state-machine.ts";
import type { StateStore } from "../../contract/state-store.ts";
import type { Memtable } from "../../log/memtable.ts";
import type { SnapshotFiles } from "../../log/snapshot-file.ts";
import type { AppliedAnswer } from "../../sessions/session-table.ts";
import { type AppliedListener, Applier } from "./applier.ts";
import { ConsistencyCheck } from "./consistency-check.ts";
import {
  onOwnVoteWritten,
  onRequestVote,
  onVote,
  startElection,
  startPreVote,
} from "./election.ts";
import { entryAt } from "./entry.ts";
import { Feeds } from "./feeds.ts";
import { onAppendEntries, onAppendWhileInstalling, sendAck } from "./follower.ts";
import { Forwarding } from "./forwarding.ts";
import {
  advanceCommit,
  checkQuorum,
  leaderDeadline,
  onAppendReply,
  releaseGroup,
  replicate,
} from "./leader.ts";
import { LeaderPreference } from "./leader-preference.ts";
import type { Leadership } from "./leadership.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import { Proposals } from "./proposals.ts";
import { type Out, Raft, type RaftOptions, type SingleLeaderVocabulary } from "./raft.ts";
import { decodeRecord } from "./records.ts";
import { ReplicaReads } from "./replica-reads.ts";
import {
  afterTable,
  DATA,
  decodeIncoming,
  decodeMeta,
  ENTRIES,
  INCOMING,
  META,
  SESSIONS,
} from "./rows.ts";
import { Snapshots } from "./snapshot.ts";
import { driveTransfer, onTransferRequest, startTransfer } from "./transfer.ts";
import { TransferCalls } from "./transfer-calls.ts";

/** What a replica is built on; the node gives every group the same memtable and store. */
export interface ReplicaParts {
  readonly memtable: Memtable;
  readonly store: StateStore;
  /** Where the node keeps the snapshots that it sends. */
  readonly files: SnapshotFiles;
  readonly machine: StateMachine;
  /** Asks the node for a checkpoint that begins after now. */
  readonly requestCheckpoint: () => void;
  /** Random per start of the process: names this boot's session (LEAD8). */
  readonly boot: string;
}

/** What the simulator looks at: read only. */
export interface ReplicaInside {
  readonly raft: Raft;
  readonly applier: Applier;
  readonly snapshots: Snapshots;
}

/**
 * One node's replica of a single-leader group: Raft, the state it replicates, and both ends of the
 * path on which clients' commands reach the leader.
 *
 * A write goes down once and up once: `Forwarding` (accepting node) → `Proposals` (leader) → log
 * and peers → commit → `Applier` → `Proposals` → `Forwarding` → reply.
 */
export class Replica implements Protocol<SingleLeaderVocabulary> {
  readonly #raft: Raft;
  readonly #applier: Applier;
  readonly #snapshots: Snapshots;
  readonly #consistency: ConsistencyCheck;
  readonly #proposals: Proposals;
  readonly #forwarding: Forwarding;
  readonly #preference: LeaderPreference;
  readonly #feeds: Feeds;
  readonly #transfers: TransferCalls;
  readonly #reads: ReplicaReads;
  readonly #inside: ReplicaInside;
  /** The leadership that `#proposals` works for, to notice when it began or ended. */
  #served: Leadership | null = null;
  #lastStepAt: Instant;
  #backlog = false;
  /** Something has happened that no `settle` has looked at yet. */
  #isTouched = true;
  /** While nothing happens: when the next `settle` has something to do. */
  #dueAt: Instant | null = null;
  /** The last turn left its committed entries to this one. */
  #appliesLate = false;

  constructor(options: RaftOptions, parts: ReplicaParts, now: Instant) {
    this.#raft = new Raft(options, now, bootNumber(parts.boot));
    this.#applier = new Applier(this.#raft, parts.memtable, parts.machine);
    this.#snapshots = new Snapshots(this.#raft, this.#applier, parts);
    this.#consistency = new ConsistencyCheck(this.#raft, this.#applier, now);
    this.#proposals = new Proposals(this.#raft, this.#applier);
    this.#forwarding = new Forwarding(this.#raft, this.#applier, parts.boot);
    this.#preference = new LeaderPreference(this.#raft);
    this.#transfers = new TransferCalls(this.#raft, parts.boot);
    this.#feeds = new Feeds(this.#applier);
    this.#reads = new ReplicaReads(this.#raft, this.#applier, this.#forwarding);
    this.#inside = { raft: this.#raft, applier: this.#applier, snapshots: this.#snapshots };
    this.#lastStepAt = now;
    this.#restoreRows(parts.memtable);
  }

  /** Takes over what the last checkpoint holds of this group. */
  #restoreRows(memtable: Memtable): void {
    const [from, to] = this.#applier.groupRange();
    const metaRow = memtable.get(from + META);
    if (metaRow === undefined) return;
    const meta = decodeMeta(metaRow);
    const sessions: Uint8Array[] = [];
    for (const [, row] of memtable.rows(from + SESSIONS, `${from}${afterTable(SESSIONS)}`)) {
      sessions.push(row);
    }
    this.#applier.restore(meta, meta.generation, sessions);
    const incoming = memtable.get(from + INCOMING);
    this.#snapshots.receiver.restored(incoming === undefined ? null : decodeIncoming(incoming));
    const raft = this.#raft;
    raft.term = meta.term;
    raft.vote = meta.vote;
    raft.commitIndex = meta.appliedIndex;
    raft.log.reset(meta.appliedIndex, meta.appliedTerm, meta.termStarts);
    for (const [key, entry] of memtable.rows(from + ENTRIES, `${from}${afterTable(ENTRIES)}`)) {
      raft.log.append(entryAt(entry, 0, entry.length));
      this.#applier.noteRestoredEntryRow(key);
    }
    assert(from < to && from + DATA < to, "a group's rows lie between its ends");
    this.#snapshots.restored();
  }

  /**
   * Replays one record of the node's log, in the order written; `restored` ends the replay. Entries
   * are not applied here: whether they are committed is for a leader to say (STO6). Throws
   * `FormatError` on bytes that are no record.
   */
  replay(recovered: RecoveredRecord): void {
    this.#isTouched = true;
    const record = decodeRecord(recovered);
    const { log } = this.#raft;
    if (record.kind === "hardState") {
      this.#raft.term = record.term;
      this.#raft.vote = record.vote;
    } else if (record.kind === "truncate") {
      if (record.from <= log.lastIndex) log.truncate(record.from);
    } else for (const entry of record.entries) log.append(entry);
  }

  restored(now: Instant): void {
    this.#isTouched = true;
    const raft = this.#raft;
    raft.log.allDurable();
    // A log may hold entries of a term whose hard state was in the batch that tore: never the
    // reverse.
    assert(
      raft.term >= raft.log.lastTerm || raft.options.mutant !== null,
      "a log ahead of its term",
    );
    raft.resetElectionTimer(now);
    if (raft.options.voters.length === 1) raft.electionDeadline = now;
    this.#preference.begin(now);
  }

  step(input: Input<SingleLeaderVocabulary>, now: Instant, out: Out): void {
    this.#forwarding.now = now;
    this.#notePause(now);
    // Every group of the node hears of these, and most have nothing to do with them.
    if (input.kind === "wake") return;
    if (input.kind === "written" && !this.#awaitsDisk) return;
    this.#isTouched = true;
    switch (input.kind) {
      case "message":
        this.#onMessage(input.from, input.message, now, out);
        break;
      case "request":
        this.#onRequest(input.id, input.command, now, out);
        break;
      case "cancel":
        this.#reads.cancel(input.id);
        this.#forwarding.cancel(input.id);
        this.#feeds.cancel(input.id);
        this.#transfers.cancel(input.id);
        break;
      case "written":
        this.#raft.log.written(input.batch);
        onOwnVoteWritten(this.#raft, input.batch, now, out);
        break;
      case "link":
        this.#onLink(input.peer, input.up);
        break;
    }
    this.#followLeadership();
  }

  /** Whether anything depends on what of the node's log is on disk. */
  get #awaitsDisk(): boolean {
    return this.#raft.log.oldestUnsyncedAt !== null || this.#raft.ownVoteBatch !== null;
  }

  #onRequest(id: RequestId, call: GroupCall, now: Instant, out: Out): void {
    switch (call.kind) {
      case "transfer":
        return this.#transfers.request(id, call, out);
      case "replicaRead":
        return this.#reads.request(id, call, now, out);
      case "changes":
        return this.#feeds.request(id, call, now, out);
      default:
        return this.#forwarding.request(id, call, out);
    }
  }

  /**
   * LEAD12: a node that did not run for an election timeout may have been deposed without noticing.
   * It must not act as leader on what piled up meanwhile.
   */
  #notePause(now: Instant): void {
    const pausedMs = now - this.#lastStepAt;
    this.#lastStepAt = now;
    const { timing, voters } = this.#raft.options;
    // Nobody can depose the only voter.
    if (!this.#raft.isLeader || voters.length === 1 || pausedMs < timing.electionTimeoutMs) return;
    this.#raft.trace("paused", `ms=${Math.round(pausedMs)}`);
    this.#raft.becomeFollower(this.#raft.term, null, now);
  }

  #onMessage(from: NodeId, message: SingleLeaderMessage, now: Instant, out: Out): void {
    const raft = this.#raft;
    if (!raft.options.voters.includes(from) || from === raft.options.node) return;
    switch (message.kind) {
      case "requestVote":
        return onRequestVote(raft, from, message, now, out);
      case "vote":
        return onVote(raft, from, message, now, out);
      case "appendEntries":
        if (this.#snapshots.receiver.isInstalling || this.#isOverfull) {
          return onAppendWhileInstalling(raft, from, message, now, out);
        }
        return onAppendEntries(raft, from, message, now, out);
      case "appendReply":
        return onAppendReply(raft, from, message, now);
      case "offerSnapshot":
        return this.#snapshots.receiver.onOffer(from, message, now, out);
      case "installSnapshot":
        return this.#snapshots.receiver.onInstall(from, message, now, out);
      case "snapshotReply":
        return this.#snapshots.sender.onReply(from, message, now);
      case "requestSnapshot":
        return this.#snapshots.sender.onRequest(from, message, now);
      case "stateHash":
        return this.#consistency.onStateHash(from, message, now, out);
      case "stateHashReply":
        return this.#consistency.onReply(from, message, now, out);
      case "timeoutNow":
        if (message.term !== raft.term || raft.isLeader || !this.#isFit) return;
        startElection(raft, true, now, out);
        raft.isAskedToLead = message.isAsked;
        return;
      case "forward":
        this.#followLeadership();
        return this.#proposals.onForward(from, message, now);
      case "forwardReply":
        return this.#forwarding.onReply(from, message, now, out);
      case "transferRequest": {
        const reply = onTransferRequest(raft, from, message, now);
        return reply === null ? undefined : out.send(from, reply);
      }
      case "transferReply":
        return this.#transfers.onReply(message, out);
    }
  }

  /**
   * A replica that has to be rebuilt takes entries in and applies none: beyond some, it waits for
   * the snapshot, like one that lags behind (STO7).
   */
  get #isOverfull(): boolean {
    const { log, options } = this.#raft;
    return this.#applier.damage !== null && log.bytes > 4 * options.limits.retainedBytes;
  }

  #onLink(peer: NodeId, up: boolean): void {
    const { linksDown, leadership } = this.#raft;
    if (up) linksDown.delete(peer);
    else linksDown.add(peer);
    const progress = leadership?.followers.find((follower) => follower.node === peer);
    if (progress === undefined) return;
    // What was in flight on the old connection may be lost: find the common prefix again (LEAD2).
    if (progress.state === "replicate") progress.becomeProbe();
    progress.probing = !up;
    this.#snapshots.sender.onLink(progress);
  }

  #followLeadership(): void {
    const { leadership } = this.#raft;
    if (leadership === this.#served) return;
    this.#served = leadership;
    if (leadership === null) this.#proposals.end();
    else this.#proposals.begin();
  }

  settle(now: Instant, out: Out): void {
    this.#lastStepAt = now;
    this.#forwarding.now = now;
    if (this.#isQuiet(now)) return;
    this.#isTouched = false;
    this.#settle(now, out);
    this.#dueAt = this.#nextDeadline();
  }

  /**
   * Nothing has happened in this group, and nothing is due. A node's turn is mostly about one of
   * its groups, and the others cost it next to nothing.
   */
  #isQuiet(now: Instant): boolean {
    if (this.#isTouched || this.#backlog || this.#appliesLate) return false;
    // What is under way here goes on with the disk and with checkpoints, of which no input tells.
    if (!this.#snapshots.isIdle) return false;
    return this.#dueAt === null || now < this.#dueAt;
  }

  #settle(now: Instant, out: Out): void {
    this.#checkState(now, out);
    this.#askForTransfer(now, out);
    this.#drive(now, out);
    this.#followLeadership();
    advanceCommit(this.#raft);
    if (this.#mayApply(out)) this.#apply(out);
    this.#feeds.settle(now, out);
    this.#reads.settle(now, out);
    this.#forwarding.expire(now, out);
    this.#forward(now, out);
    this.#forwarding.endUnrepeatable(out);
    this.#proposals.beforeReplicate(now);
    releaseGroup(this.#raft, now);
    replicate(this.#raft, now, out);
    if (this.#raft.leadership !== null) {
      this.#snapshots.sender.drive(this.#raft.leadership, now, out);
    }
    this.#snapshots.receiver.settle(now, out);
    this.#raft.writeTurn(now, out);
    sendAck(this.#raft, this.#applier.appliedIndex, now, out);
    this.#proposals.settle(now);
    this.#answer(now, out);
    this.#snapshots.compact(now);
  }

  /** An operator's wish goes to the leader, which may be this node. */
  #askForTransfer(now: Instant, out: Out): void {
    this.#transfers.expire(now, out);
    const request = this.#transfers.dispatch(now);
    if (request === null) return;
    const { node } = this.#raft.options;
    if (request.to !== node) return out.send(request.to, request.message);
    const reply = onTransferRequest(this.#raft, node, request.message, now);
    if (reply !== null) this.#transfers.onReply(reply, out);
  }

  /**
   * Whoever finds its own state wrong leads no longer than it takes to hand over (STO7). Its log is
   * whole, and may be the only one from which others can be brought up to date.
   */
  #checkState(now: Instant, out: Out): void {
    this.#snapshots.sender.settle(now);
    this.#consistency.settle(now, out);
    if (this.#applier.damage !== null && this.#raft.isLeader) startTransfer(this.#raft, now);
  }

  /** What this node would lead with is whole and on disk. */
  get #isFit(): boolean {
    return !this.#snapshots.receiver.isInstalling && this.#applier.damage === null;
  }

  /** What time alone brings about: elections, check-quorum, transfers. */
  #drive(now: Instant, out: Out): void {
    const raft = this.#raft;
    this.#preference.drive(now);
    if (raft.isLeader) {
      checkQuorum(raft, now);
      this.#checkDisk(now);
      driveTransfer(raft, now, out);
    } else if (this.#mayCampaign(now)) {
      startPreVote(raft, now, out);
      this.#preference.hasten(now);
    }
  }

  #mayCampaign(now: Instant): boolean {
    const raft = this.#raft;
    if (this.#snapshots.receiver.isInstalling) return false;
    if (now >= raft.electionDeadline + this.#courtesyMs) return true;
    if (!this.#isFit) return false;
    // The leader's link broke: likely it is gone. Ask early, but not all at the same instant.
    const { leader, linksDown, options } = raft;
    if (leader === null || !linksDown.has(leader) || raft.role !== "follower") return false;
    const early = raft.electionDeadline - options.timing.electionTimeoutMs;
    return now - raft.leaderHeardAt >= options.timing.heartbeatMs && now >= early;
  }

  /** Others go first where this replica could only hand over to them. */
  get #courtesyMs(): number {
    return this.#applier.damage === null ? 0 : this.#raft.options.timing.electionTimeoutMs;
  }

  /** A leader whose disk does not answer keeps everybody waiting: let another one lead (LEAD1). */
  #checkDisk(now: Instant): void {
    // It may have stepped down in this very turn.
    if (!this.#raft.isLeader) return;
    const oldest = this.#raft.log.oldestUnsyncedAt;
    if (oldest === null || now - oldest < this.#raft.options.timing.electionTimeoutMs) return;
    startTransfer(this.#raft, now);
  }

  /**
   * The leader waits for a follower's disk: what a turn has to write goes there first, and what is
   * committed is applied in the next turn, while the disk works, or at the latest when it is done.
   * Not twice in a row: a stream of entries must not keep the state behind.
   */
  #mayApply(out: Out): boolean {
    const isWriting = !this.#raft.isLeader && this.#raft.log.isBeingWritten(out.batch);
    this.#appliesLate = isWriting && !this.#appliesLate;
    return !this.#appliesLate;
  }

  #apply(out: Out): void {
    if (this.#applier.appliedIndex === this.#raft.commitIndex) {
      this.#backlog = false;
      return this.#forwarding.answerVisible(out);
    }
    const proposals = this.#proposals;
    const forwarding = this.#forwarding;
    const listener: AppliedListener = {
      onApplied(session: number, sequence: number, answer: AppliedAnswer | null): void {
        proposals.onApplied(session, sequence, answer);
        forwarding.onAppliedHere(session, out);
      },
      onApplying: (session, sequence) => forwarding.onApplyingHere(session, sequence, out),
      onRegistered: (node, boot, session) => proposals.onRegistered(node, boot, session),
      onExpired: (session, sequence) => proposals.onExpired(session, sequence),
      onAdvanced: () => proposals.onAdvanced(),
    };
    this.#backlog = this.#applier.applyCommitted(listener);
    forwarding.answerVisible(out);
  }

  #forward(now: Instant, out: Out): void {
    for (;;) {
      const forward = this.#forwarding.dispatch(now);
      if (forward === null) return;
      if (forward.to === this.#raft.options.node) {
        this.#proposals.onForward(forward.to, forward.message, now);
      } else out.send(forward.to, forward.message);
    }
  }

  #answer(now: Instant, out: Out): void {
    if (this.#raft.leadership === null) return;
    for (const { to, message } of this.#proposals.takeReplies()) {
      if (to !== this.#raft.options.node) out.send(to, message);
      else if (message.kind === "forwardReply") {
        // Calls that waited for it go on their way in the next turn.
        this.#isTouched = true;
        this.#forwarding.onReply(to, message, now, out);
      }
    }
  }

  deadline(): Instant | null {
    const { sender, receiver } = this.#snapshots;
    if (this.#backlog || sender.isDue || receiver.isDue) return this.#lastStepAt;
    return this.#isTouched ? this.#nextDeadline() : this.#dueAt;
  }

  #nextDeadline(): Instant | null {
    const raft = this.#raft;
    let deadline = this.#forwarding.deadline() ?? Number.POSITIVE_INFINITY;
    deadline = Math.min(deadline, this.#feeds.deadline() ?? deadline);
    deadline = Math.min(deadline, this.#transfers.deadline() ?? deadline);
    deadline = Math.min(deadline, this.#reads.deadline() ?? deadline);
    deadline = Math.min(deadline, this.#consistency.deadline() ?? deadline);
    if (raft.isLeader) {
      deadline = Math.min(deadline, leaderDeadline(raft));
      deadline = Math.min(deadline, this.#proposals.deadline() ?? deadline);
    } else deadline = Math.min(deadline, this.#campaignDeadline());
    return deadline === Number.POSITIVE_INFINITY ? null : deadline;
  }

  #campaignDeadline(): Instant {
    // Until the checkpoint is there it may not campaign, and a deadline that is over would spin.
    if (this.#snapshots.receiver.isInstalling) return Number.POSITIVE_INFINITY;
    const { electionDeadline, leader, linksDown, role, leaderHeardAt, options } = this.#raft;
    if (leader === null || !linksDown.has(leader) || role !== "follower" || !this.#isFit) {
      return electionDeadline + this.#courtesyMs;
    }
    const { electionTimeoutMs, heartbeatMs } = options.timing;
    return Math.max(electionDeadline - electionTimeoutMs, leaderHeardAt + heartbeatMs);
  }

  /** This node's wall clock, for log time (GEN7). */
  setWallClock(wallMs: WallClock): void {
    this.#raft.wallMs = Math.floor(wallMs);
  }

  /** Hands leadership over if this node has it; true while a transfer is under way. */
  transferLeadership(now: Instant): boolean {
    this.#isTouched = true;
    return this.#raft.isLeader && startTransfer(this.#raft, now).kind === "started";
  }

  /** The node that is to lead while nothing is wrong; null: whoever happens to. */
  set preferredLeader(node: NodeId | null) {
    this.#isTouched = true;
    this.#preference.preferred = node;
  }

  /** The applied state, for the node's own use: valid until the next step. */
  get state(): StateReader {
    return this.#applier.state;
  }

  get appliedIndex(): LogIndex {
    return this.#applier.appliedIndex;
  }

  /** The last entry of its log, applied or not. */
  get lastIndex(): LogIndex {
    return this.#raft.log.lastIndex;
  }

  get lastTerm(): Term {
    return this.#raft.log.lastTerm;
  }

  /** Looks at the state as it will be if all that the log holds is committed and applied. */
  foresee<T>(look: (state: StateReader) => T): T {
    return this.#applier.foresee(look);
  }

  /**
   * In place of `settle` while the replica must not take part in its group: it says nothing to its
   * peers, and calls whose time is up end all the same.
   */
  rest(now: Instant, out: Out): void {
    this.#isTouched = true;
    this.#forwarding.now = now;
    this.#transfers.expire(now, out);
    this.#feeds.settle(now, out);
    this.#reads.settle(now, out);
    this.#forwarding.expire(now, out);
  }

  /** In place of `deadline` meanwhile. */
  restDeadline(): Instant | null {
    let deadline = this.#forwarding.callsDeadline ?? Number.POSITIVE_INFINITY;
    deadline = Math.min(deadline, this.#feeds.deadline() ?? deadline);
    deadline = Math.min(deadline, this.#transfers.callDeadline ?? deadline);
    deadline = Math.min(deadline, this.#reads.deadline() ?? deadline);
    return deadline === Number.POSITIVE_INFINITY ? null : deadline;
  }

  /**
   * The group is no more: calls end with what is certain about them, and nothing stays open. The
   * replica must not be used again.
   */
  close(out: Out): void {
    this.#raft.endLeadership();
    this.#snapshots.sender.close();
    this.#proposals.end();
    const dropped = error("NOKEYSPACE", "The keyspace was dropped.");
    this.#reads.endAll(dropped, out);
    this.#feeds.endAll(dropped, out);
    this.#transfers.endAll(out);
    this.#forwarding.endAll(out);
  }

  get isLeader(): boolean {
    return this.#raft.isLeader;
  }

  get leader(): NodeId | null {
    return this.#raft.leader;
  }

  get openCalls(): number {
    return this.#forwarding.openCalls + this.#reads.waiting + this.#transfers.openCalls;
  }

  /** The node takes a checkpoint: puts the group's rows where it will find them. */
  beforeFreeze(): void {
    this.#isTouched = true;
    this.#applier.writeRows();
    this.#snapshots.onFreeze();
  }

  /** The checkpoint that began with the last `beforeFreeze` is durable. */
  afterCheckpoint(): void {
    this.#isTouched = true;
    this.#snapshots.onCheckpoint();
  }

  status(now: Instant): GroupStatus {
    const raft = this.#raft;
    const { appliedIndex } = this.#applier;
    const told = Math.max(raft.commitIndex, raft.toldCommit);
    return {
      role: raft.role,
      leader: raft.leader,
      term: raft.term,
      commitIndex: raft.commitIndex,
      appliedIndex,
      lastIndex: raft.log.lastIndex,
      lagEntries: told - appliedIndex,
      lagMs: raft.staleMs(appliedIndex, now),
      ...this.#applier.counts,
      halted: this.#applier.halted,
      damaged: this.#applier.damage,
      peers: this.#peers(now),
    };
  }

  #peers(now: Instant): PeerStatus[] {
    const { leadership, commitIndex } = this.#raft;
    if (leadership === null) return [];
    return leadership.followers.map(({ node, matchIndex, state, appliedIndex }) => {
      const lagEntries = Math.max(0, commitIndex - appliedIndex);
      const heldUntil = lagEntries === 0 ? now : leadership.commits.heldUntil(appliedIndex);
      const lagMs = heldUntil === null ? null : Math.max(0, now - heldUntil);
      return { node, matchIndex, state, lagEntries, lagMs };
    });
  }

  /** The simulator's view of what must hold after every turn. */
  inspect(): ReplicaInside {
    return this.#inside;
  }
}

/** A boot's name as a number that fits a message; not 0, which names no boot. */
function bootNumber(boot: string): number {
  const high = 1 + (crc32(encodeUtf8(boot)) % 0xffff);
  return high * 0x1_0000_0000 + fnv1a(boot);
}
