import { assert } from "../../base/assert.ts";
import type { BatchNumber, Instant, NodeId } from "../../contract/ids.ts";
import { becomeLeader } from "./leader.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import { majorityOf } from "./quorum.ts";
import type { Out, Raft } from "./raft.ts";

type RequestVote = Extract<SingleLeaderMessage, { kind: "requestVote" }>;
type Vote = Extract<SingleLeaderMessage, { kind: "vote" }>;

/**
 * Asks whether an election could be won (thesis §9.6). Nobody's term or vote changes, so a node
 * that was cut off does not force an election on its return. It forgets the leader: otherwise its
 * own "a leader is alive" would refuse the others' pre-votes while it asks for theirs.
 */
export function startPreVote(raft: Raft, now: Instant, out: Out): void {
  assert(raft.role !== "leader", "a leader does not campaign");
  if (raft.options.mutant === "L45") raft.becomeFollower(raft.term + 1, null, now);
  raft.role = "preCandidate";
  raft.isAskedToLead = false;
  raft.leader = null;
  raft.resetElectionTimer(now);
  raft.granted.clear();
  raft.refused.clear();
  raft.granted.add(raft.options.node);
  raft.trace("pre-vote", `term=${raft.term + 1}`);
  if (isWon(raft)) return startElection(raft, false, now, out);
  for (const peer of raft.peers) out.send(peer, requestVote(raft, raft.term + 1, true, false));
}

/**
 * Raft §5.2. The new term and the vote for ourselves are on disk before RequestVote leaves and
 * before our own vote counts (LEAD1): otherwise a crash could let us vote twice in this term.
 */
export function startElection(raft: Raft, transfer: boolean, now: Instant, out: Out): void {
  assert(raft.role !== "leader", "a leader does not campaign");
  raft.role = "candidate";
  raft.leader = null;
  raft.term += 1;
  raft.vote = raft.options.node;
  raft.hardStateChanged = true;
  raft.ownVoteBatch = out.batch;
  raft.granted.clear();
  raft.refused.clear();
  raft.resetElectionTimer(now);
  raft.trace("become-candidate", `term=${raft.term}`);
  for (const peer of raft.peers) {
    const request = requestVote(raft, raft.term, false, transfer);
    if (raft.options.mutant === "L58") out.send(peer, request);
    else out.sendAfterWrite(peer, request);
  }
}

/** Our own vote counts once the batch that holds it is on disk. */
export function onOwnVoteWritten(raft: Raft, batch: BatchNumber, now: Instant, out: Out): void {
  if (raft.role !== "candidate" || raft.ownVoteBatch === null || batch < raft.ownVoteBatch) return;
  raft.ownVoteBatch = null;
  raft.granted.add(raft.options.node);
  if (isWon(raft)) becomeLeader(raft, now, out);
}

/** Answers a candidate, or one who only asks (Raft §5.2, §5.4.1; thesis §9.6). */
export function onRequestVote(
  raft: Raft,
  from: NodeId,
  message: RequestVote,
  now: Instant,
  out: Out,
): void {
  const { mutant } = raft.options;
  const isHeld = raft.hearsLeader(now) && !(message.preVote && mutant === "L46");
  if (!message.transfer && isHeld) {
    raft.trace("vote-ignored", `candidate=${from} leader=${raft.leader ?? ""}`);
    // The candidate may be behind in terms and must learn it, or it would ask for ever.
    if (message.preVote || message.term < raft.term) refuse(raft, from, message.preVote, out);
    return;
  }
  if (message.preVote) return onPreVote(raft, from, message, out);
  if (message.term > raft.term) raft.becomeFollower(message.term, null, now);
  const mayVote =
    message.term === raft.term &&
    raft.leader === null &&
    (raft.vote === null || raft.vote === from || mutant === "L6");
  // The leader's wish overrides that it is alive, never that a candidate's log has to be complete:
  // the message may be late, and the leader have gone on (L51).
  const isComplete =
    raft.isUpToDate(message.lastLogIndex, message.lastLogTerm) ||
    (message.transfer && mutant === "L51");
  if (!mayVote || !isComplete) return refuse(raft, from, false, out);
  raft.becomeFollower(raft.term, null, now);
  raft.vote = from;
  raft.hardStateChanged = true;
  raft.resetElectionTimer(now);
  raft.trace("vote-granted", `candidate=${from} term=${raft.term}`);
  out.sendAfterWrite(from, { kind: "vote", term: raft.term, granted: true, preVote: false });
}

function onPreVote(raft: Raft, from: NodeId, message: RequestVote, out: Out): void {
  const granted =
    message.term > raft.term && raft.isUpToDate(message.lastLogIndex, message.lastLogTerm);
  if (!granted) return refuse(raft, from, true, out);
  // Nothing was promised: the answer rests on no write and leaves at once.
  out.send(from, { kind: "vote", term: message.term, granted: true, preVote: true });
}

/** A refusal carries our term, from which a candidate that is behind learns it. */
function refuse(raft: Raft, to: NodeId, preVote: boolean, out: Out): void {
  out.sendAfterWrite(to, { kind: "vote", term: raft.term, granted: false, preVote });
}

/** Counts a vote that was asked for in this term (Raft §5.2). */
export function onVote(raft: Raft, from: NodeId, vote: Vote, now: Instant, out: Out): void {
  const { mutant } = raft.options;
  if (!vote.granted && vote.term > raft.term && mutant === "L10") return;
  if (!vote.granted && vote.term > raft.term) return raft.becomeFollower(vote.term, null, now);
  const asked = vote.preVote ? raft.term + 1 : raft.term;
  const role = vote.preVote ? "preCandidate" : "candidate";
  if (raft.role !== role) return;
  // A grant of an earlier election says nothing about this one. A refusal may come from a lower
  // term.
  if (vote.granted && vote.term !== asked && mutant !== "L9") return;
  if (vote.granted) raft.granted.add(from);
  else raft.refused.add(from);
  if (isWon(raft)) {
    if (vote.preVote) startElection(raft, false, now, out);
    else becomeLeader(raft, now, out);
  } else if (raft.refused.size >= majorityOf(raft.options.voters.length)) {
    raft.becomeFollower(raft.term, null, now);
  }
}

/** Won by a majority; for a real election only after our own term and vote are on disk (LEAD1). */
function isWon(raft: Raft): boolean {
  if (raft.role === "candidate" && raft.ownVoteBatch !== null) return false;
  return raft.granted.size >= majorityOf(raft.options.voters.length);
}

function requestVote(raft: Raft, term: number, preVote: boolean, transfer: boolean): RequestVote {
  return {
    kind: "requestVote",
    term,
    lastLogIndex: raft.log.lastIndex,
    lastLogTerm: raft.log.lastTerm,
    preVote,
    transfer,
  };
}
