import { assert } from "../../base/assert.ts";
import type { Instant, LogIndex, NodeId, Term } from "../../contract/ids.ts";
import { entryTerm } from "./entry.ts";
import type { EntryBytes, SingleLeaderMessage } from "./messages.ts";
import type { Out, Raft } from "./raft.ts";

type AppendEntries = Extract<SingleLeaderMessage, { kind: "appendEntries" }>;

/**
 * Takes note of a message that only the leader of its term sends. False when the message is from a
 * deposed leader: it gets our term and nothing else.
 */
export function hearLeader(raft: Raft, from: NodeId, told: Term, now: Instant): boolean {
  const term = raft.options.mutant === "L11" ? Math.max(told, raft.term) : told;
  if (term < raft.term) return false;
  assert(term > raft.term || !raft.isLeader, "two leaders in one term", term);
  if (term > raft.term || raft.role !== "follower" || raft.leader !== from) {
    raft.becomeFollower(term, from, now);
    raft.trace("follow", `leader=${from} term=${term}`);
  }
  raft.leaderHeardAt = now;
  raft.resetElectionTimer(now);
  return true;
}

/**
 * Raft §5.3. The answer leaves at the end of the turn, one for all that the turn took in, and only
 * when everything it acknowledges is on disk.
 */
export function onAppendEntries(
  raft: Raft,
  from: NodeId,
  message: AppendEntries,
  now: Instant,
  out: Out,
): void {
  if (!hearLeader(raft, from, message.term, now)) {
    return out.sendAfterWrite(from, refusal(raft, message, 0, 0, now));
  }
  raft.toldCommit = Math.max(raft.toldCommit, message.commitIndex);
  const { log } = raft;
  const prev = Math.min(message.prevLogIndex, log.lastIndex);
  const agrees =
    message.prevLogIndex < log.compactedIndex ||
    log.termAt(message.prevLogIndex) === message.prevLogTerm ||
    (raft.options.mutant === "L13" && message.prevLogIndex <= log.lastIndex);
  if (!agrees) {
    const hint = log.lastIndexUpToTerm(prev, message.prevLogTerm);
    raft.trace("append-refused", `prev=${message.prevLogIndex} hint=${hint}`);
    const hintTerm = log.termAt(hint) ?? 0;
    return out.sendAfterWrite(from, refusal(raft, message, hint, hintTerm, now));
  }
  const fresh = withoutKnown(raft, message, now, out);
  if (fresh.length > 0) raft.appendReceived(fresh, now, out);
  // Beyond the last entry of this message nothing has been compared with the leader's log: what
  // lies there may be an old term's, so neither commit nor acknowledgement may reach it (L16, L17).
  const verified = Math.max(message.prevLogIndex + message.entries.length, log.compactedIndex);
  const { mutant } = raft.options;
  raft.commitTo(Math.min(message.commitIndex, mutant === "L16" ? log.lastIndex : verified));
  noteFreshness(raft, message, now);
  promise(raft, from, mutant === "L17" ? log.lastIndex : verified, message.round);
}

/**
 * Behind a snapshot that is not yet on disk nothing may be appended (STO9). The leader still learns
 * that it is heard, by a refusal that says nothing about the log: it must not lose its quorum over
 * a checkpoint that takes long.
 */
export function onAppendWhileInstalling(
  raft: Raft,
  from: NodeId,
  message: AppendEntries,
  now: Instant,
  out: Out,
): void {
  hearLeader(raft, from, message.term, now);
  out.sendAfterWrite(from, { ...refusal(raft, message, 0, 0, now), refusedIndex: 0 });
}

/** The entries that are not in the log yet; those that conflict with it are removed first. */
function withoutKnown(
  raft: Raft,
  message: AppendEntries,
  now: Instant,
  out: Out,
): readonly EntryBytes[] {
  const { entries } = message;
  const { log } = raft;
  for (let i = 0; i < entries.length; i += 1) {
    const index = message.prevLogIndex + 1 + i;
    if (index <= log.compactedIndex) continue;
    if (index > log.lastIndex) return i === 0 ? entries : entries.slice(i);
    const { mutant } = raft.options;
    const isTaken = mutant === "L15" && index > raft.commitIndex;
    if (log.termAt(index) === entryTerm(entries[i]!) && !isTaken) continue;
    if (mutant === "L14") continue;
    raft.truncate(index, now, out);
    return entries.slice(i);
  }
  return [];
}

/** LEAD6: the leader gives one of our stamps back, with an index that a round has confirmed. */
function noteFreshness(raft: Raft, message: AppendEntries, now: Instant): void {
  const { freshBoot, freshStamp, freshIndex } = message;
  const { mutant } = raft.options;
  if (freshIndex === 0) return;
  if (mutant === "L54") return raft.freshness.note(now, freshIndex);
  // A stamp of an earlier start is by a clock that began elsewhere: it says nothing about ours.
  if (freshStamp > now || (freshBoot !== raft.boot && mutant !== "L55")) return;
  raft.freshness.note(freshStamp, freshIndex);
}

function promise(raft: Raft, to: NodeId, matchIndex: LogIndex, round: number): void {
  const { ack } = raft;
  if (ack === null || ack.to !== to || ack.term !== raft.term) {
    raft.ack = { to, term: raft.term, matchIndex, round };
    return;
  }
  ack.matchIndex = Math.max(ack.matchIndex, matchIndex);
  ack.round = Math.max(ack.round, round);
}

/** Sends what the turn promised, behind the writes it rests on (LEAD1, L3). */
export function sendAck(raft: Raft, appliedIndex: LogIndex, now: Instant, out: Out): void {
  const { ack } = raft;
  raft.ack = null;
  if (ack === null || ack.term !== raft.term || raft.role !== "follower") return;
  // A later message of the same turn may have truncated what an earlier one promised.
  const matchIndex = Math.min(ack.matchIndex, raft.log.lastIndex);
  const reply: SingleLeaderMessage = {
    kind: "appendReply",
    term: raft.term,
    success: true,
    matchIndex,
    hintIndex: 0,
    hintTerm: 0,
    refusedIndex: 0,
    round: ack.round,
    boot: raft.boot,
    stamp: now,
    wallMs: raft.wallMs,
    appliedIndex,
  };
  if (raft.options.mutant === "L3") out.send(ack.to, reply);
  else out.sendAfterWrite(ack.to, reply);
}

function refusal(
  raft: Raft,
  message: AppendEntries,
  hintIndex: LogIndex,
  hintTerm: number,
  now: Instant,
): Extract<SingleLeaderMessage, { kind: "appendReply" }> {
  return {
    kind: "appendReply",
    term: raft.term,
    success: false,
    matchIndex: 0,
    hintIndex,
    hintTerm,
    refusedIndex: message.prevLogIndex,
    round: message.term === raft.term ? message.round : 0,
    boot: raft.boot,
    stamp: now,
    wallMs: raft.wallMs,
    appliedIndex: 0,
  };
}
