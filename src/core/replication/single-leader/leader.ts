import { assert, defined } from "../../base/assert.ts";
import type { Instant, LogIndex, NodeId } from "../../contract/ids.ts";
import { makeEntry, stampEntry } from "./entry.ts";
import { Leadership } from "./leadership.ts";
import type { EntryBytes, SingleLeaderMessage } from "./messages.ts";
import type { Progress } from "./progress.ts";
import type { Out, Raft } from "./raft.ts";

type AppendReply = Extract<SingleLeaderMessage, { kind: "appendReply" }>;

/** A commitIndex with no entry to travel with is told to followers after this long. */
const TELL_COMMIT_MS = 4;

/**
 * Raft §5.2, §8: a leader begins with an entry of its own term, because only by committing that may
 * it know what earlier terms have committed.
 */
export function becomeLeader(raft: Raft, now: Instant, out: Out): void {
  assert(raft.role === "candidate" && raft.ownVoteBatch === null, "an election precedes leading");
  assert(out.batch > 0, "an outbox in use");
  raft.role = "leader";
  raft.leader = raft.options.node;
  raft.leadership = new Leadership(
    raft.term,
    raft.log.lastIndex + 1,
    raft.commitIndex,
    raft.peers,
    now,
  );
  raft.trace("become-leader", `term=${raft.term} last=${raft.log.lastIndex}`);
  const noop = makeEntry("noop");
  const index = raft.log.lastIndex + 1;
  stampEntry(noop, { index, term: raft.term, time: 0, session: 0, sequence: 0, floor: 0 });
  raft.appendOwn(noop);
}

/**
 * Whether the leader may trust its commitIndex for reads: an entry of its own term is committed.
 */
export function ownTermCommitted(raft: Raft): boolean {
  const leadership = raft.leadership;
  if (leadership === null) return false;
  return raft.options.mutant === "L20" || raft.commitIndex >= leadership.firstIndex;
}

/** A follower accepted or refused entries (Raft §5.3). */
export function onAppendReply(raft: Raft, from: NodeId, reply: AppendReply, now: Instant): void {
  const { mutant } = raft.options;
  if (reply.term > raft.term && mutant === "L10") return;
  if (reply.term > raft.term) return raft.becomeFollower(reply.term, null, now);
  const leadership = raft.leadership;
  if (leadership === null || (reply.term < raft.term && mutant !== "L12")) return;
  const progress = leadership.progress(from);
  progress.lastHeardAt = now;
  progress.ackedRound = Math.max(progress.ackedRound, reply.round);
  const boot = mutant === "L55" ? 0 : reply.boot;
  // One that was overtaken on the way would make its clock look slow.
  if (progress.stamped(boot, reply.stamp)) progress.wallOffset = reply.wallMs - now;
  if (!reply.success) return onRefusal(raft, progress, reply);
  progress.appliedIndex = Math.max(progress.appliedIndex, reply.appliedIndex);
  assert(reply.matchIndex <= raft.log.lastIndex, "a follower acknowledges what was never sent");
  progress.matched(reply.matchIndex, mutant === "L18");
  if (progress.state === "probe") progress.becomeReplicate();
}

/** Steps back to where the follower's hint says that the logs may agree (thesis §5.3). */
function onRefusal(raft: Raft, progress: Progress, reply: AppendReply): void {
  const stale =
    progress.state === "snapshot" ||
    reply.refusedIndex <= progress.matchIndex ||
    (progress.state === "probe" && reply.refusedIndex !== progress.nextIndex - 1);
  if (stale) return;
  const agreed = raft.log.lastIndexUpToTerm(reply.hintIndex, reply.hintTerm);
  progress.becomeProbe();
  progress.nextIndex = Math.max(Math.min(agreed, reply.refusedIndex - 1), progress.matchIndex) + 1;
  raft.trace("step-back", `peer=${progress.node} next=${progress.nextIndex}`);
}

/** Raft §5.3, §5.4.2: a majority holds it durably, and it is of the leader's own term (LEAD3). */
export function advanceCommit(raft: Raft): void {
  const leadership = raft.leadership;
  if (leadership === null) return;
  // Nothing that could be counted; most turns end here.
  if (raft.commitIndex === raft.log.lastIndex) return;
  const { mutant } = raft.options;
  const own = mutant === "L3" || mutant === "L38" ? raft.log.lastIndex : raft.log.durableIndex;
  const index = leadership.majorityMatch(own, mutant === "L5" ? own : 0);
  if (index <= raft.commitIndex) return;
  if (raft.log.termAt(index) === raft.term || mutant === "L4") raft.commitTo(index);
}

/** How many voters hold the entry durably, the leader among them. */
export function durableCount(raft: Raft, index: LogIndex): number {
  const leadership = defined(raft.leadership, "only a leader counts");
  let count = raft.log.durableIndex >= index ? 1 : 0;
  for (const progress of leadership.followers) if (progress.matchIndex >= index) count += 1;
  return count;
}

/** Steps down when it hears no majority: a deaf leader would keep its clients waiting for ever. */
export function checkQuorum(raft: Raft, now: Instant): void {
  const leadership = raft.leadership;
  if (leadership === null || raft.options.mutant === "L47") return;
  if (leadership.hearsMajority(now - raft.options.timing.electionTimeoutMs)) return;
  raft.trace("quorum-lost", `term=${raft.term}`);
  raft.becomeFollower(raft.term, null, now);
}

/** Decides, before anything leaves, whether this turn's new entries do (group commit). */
export function releaseGroup(raft: Raft, now: Instant): void {
  const { leadership, log, commitIndex, options } = raft;
  leadership?.groups.release(log.lastIndex, commitIndex, options.limits, now);
}

/** The latest round that is confirmed. It also dates our own state, by when it began (LEAD6). */
export function confirmedRound(raft: Raft): number {
  const leadership = defined(raft.leadership, "only a leader begins rounds");
  const round = leadership.confirmedRound();
  const { confirmed } = leadership;
  if (confirmed !== null) raft.freshness.note(confirmed.at, confirmed.index);
  return round;
}

/** Decides what each follower is sent this turn: at most one frame of entries, or a heartbeat. */
export function replicate(raft: Raft, now: Instant, out: Out): void {
  const leadership = raft.leadership;
  if (leadership === null) return;
  if (now >= leadership.nextHeartbeatAt) {
    leadership.nextHeartbeatAt = nextBeat(now, raft.options.timing.heartbeatMs);
    leadership.startRound(raft.commitIndex, now);
    leadership.commits.note(raft.commitIndex, now);
  }
  for (const progress of leadership.followers) {
    if (progress.state !== "snapshot") appendTo(raft, leadership, progress, now, out);
  }
}

/**
 * All groups of a node beat at the same instants of its clock, so that what they say to one peer
 * shares a frame, and idle groups do not wake the node one by one (GEN4).
 */
function nextBeat(now: Instant, heartbeatMs: number): Instant {
  const beat = (Math.floor(now / heartbeatMs) + 1) * heartbeatMs;
  return beat > now ? beat : beat + heartbeatMs;
}

function appendTo(
  raft: Raft,
  leadership: Leadership,
  progress: Progress,
  now: Instant,
  out: Out,
): void {
  const { log } = raft;
  if (progress.nextIndex <= log.compactedIndex) {
    progress.state = "snapshot";
    return;
  }
  const { appendBytesMax, inFlightBytesMax } = raft.options.limits;
  const { releasedIndex } = leadership.groups;
  let sent = false;
  while (
    progress.nextIndex <= releasedIndex &&
    progress.inFlightBytes < inFlightBytesMax &&
    !progress.probing
  ) {
    const entries = log.slice(progress.nextIndex, releasedIndex, appendBytesMax);
    sendAppend(raft, leadership, progress, entries, now, out);
    sent = true;
    if (progress.state === "probe") progress.probing = true;
  }
  if (!sent && mustTell(raft, leadership, progress, now)) {
    sendAppend(raft, leadership, progress, [], now, out);
    // A heartbeat's refusal or answer says where the follower stands: probing may go on.
    progress.probing = false;
  }
}

function mustTell(raft: Raft, leadership: Leadership, progress: Progress, now: Instant): boolean {
  if (progress.toldRound < leadership.round) return true;
  const untold = progress.toldCommit < raft.commitIndex && progress.state === "replicate";
  return untold && now - progress.lastSentAt >= TELL_COMMIT_MS;
}

function sendAppend(
  raft: Raft,
  leadership: Leadership,
  progress: Progress,
  entries: readonly EntryBytes[],
  now: Instant,
  out: Out,
): void {
  const prevLogIndex = progress.nextIndex - 1;
  const prevLogTerm = defined(
    raft.log.termAt(prevLogIndex),
    "an index of unknown term",
    prevLogIndex,
  );
  out.send(progress.node, {
    kind: "appendEntries",
    term: raft.term,
    prevLogIndex,
    prevLogTerm,
    commitIndex: raft.commitIndex,
    entries,
    round: leadership.round,
    freshBoot: progress.freshStamp.boot,
    freshStamp: progress.freshStamp.at,
    freshIndex: progress.freshIndex,
  });
  progress.lastSentAt = now;
  progress.toldCommit = raft.commitIndex;
  progress.toldRound = leadership.round;
  // While probing, nextIndex stays: whether the follower took the entries is what the answer says.
  if (entries.length === 0 || progress.state === "probe") return;
  let bytes = 0;
  for (const entry of entries) bytes += entry.length;
  progress.sent(prevLogIndex + entries.length, bytes);
}

/**
 * When a leader wants to be woken: for a heartbeat, to tell a commit that nothing carried, or to
 * let a group go that waited for more.
 */
export function leaderDeadline(raft: Raft): Instant {
  const leadership = defined(raft.leadership, "only a leader has its deadlines");
  const group = leadership.groups.deadline(raft.options.limits);
  let deadline = Math.min(leadership.nextHeartbeatAt, group ?? Number.POSITIVE_INFINITY);
  for (const progress of leadership.followers) {
    if (progress.state !== "replicate" || progress.toldCommit >= raft.commitIndex) continue;
    deadline = Math.min(deadline, progress.lastSentAt + TELL_COMMIT_MS);
  }
  return deadline;
}
