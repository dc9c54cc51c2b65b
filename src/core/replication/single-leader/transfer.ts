import { assert, defined } from "../../base/assert.ts";
import type { Instant, NodeId } from "../../contract/ids.ts";
import type { Leadership, TransferAsk } from "./leadership.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Progress } from "./progress.ts";
import type { Out, Raft } from "./raft.ts";

type TransferRequest = Extract<SingleLeaderMessage, { kind: "transferRequest" }>;
type TransferReply = Extract<SingleLeaderMessage, { kind: "transferReply" }>;

/** What becomes of the wish that another node lead. */
export type TransferStart =
  /** Under way; nothing new is proposed until it is over. */
  | { readonly kind: "started"; readonly to: NodeId }
  | { readonly kind: "refused"; readonly reason: string }
  /** It cannot be said yet: another transfer is under way, or a new leader knows too little. */
  | { readonly kind: "later" };

/**
 * A follower that did not take over is passed over for so many election timeouts, when it is left
 * to the leader to choose: what hangs there would hang again, and clients wait meanwhile.
 */
const COOL_DOWN_TIMEOUTS = 8;

/** Boots of nodes that have asked one leader; the oldest is forgotten first. */
const ASKS_MAX = 64;

const LATER = { kind: "later" } as const;

/**
 * Begins to hand leadership to the named follower, or to the most complete one (thesis §3.10). It
 * is given up after an election timeout, and then this node goes on leading.
 */
export function startTransfer(
  raft: Raft,
  now: Instant,
  to: NodeId | null = null,
  isAsked = false,
): TransferStart {
  const leadership = defined(raft.leadership, "only a leader hands over");
  const { transfer } = leadership;
  if (transfer !== null) {
    return to === null || to === transfer.to ? { kind: "started", to: transfer.to } : LATER;
  }
  const target = to === null ? chooseTarget(raft, leadership, now) : checkTarget(raft, to, now);
  if ("kind" in target) return target;
  const until = now + raft.options.timing.electionTimeoutMs;
  leadership.transfer = { to: target.node, until, isAsked, sent: false };
  raft.trace("transfer", `to=${target.node} term=${raft.term}`);
  return { kind: "started", to: target.node };
}

function chooseTarget(
  raft: Raft,
  leadership: Leadership,
  now: Instant,
): Progress | Exclude<TransferStart, { kind: "started" }> {
  const coolDownMs = COOL_DOWN_TIMEOUTS * raft.options.timing.electionTimeoutMs;
  const { transfersFailed, followers } = leadership;
  const rested = followers.filter(({ node }) => {
    const failedAt = transfersFailed.get(node);
    return failedAt === undefined || now - failedAt >= coolDownMs;
  });
  let best: Progress | null = null;
  let isUnknown = false;
  for (const progress of rested) {
    const standing = standingOf(raft, progress, now);
    if (standing === "unknown") isUnknown = true;
    if (standing !== "ready") continue;
    if (best === null || progress.matchIndex > best.matchIndex) best = progress;
  }
  if (best !== null) return best;
  if (isUnknown) return LATER;
  const reason =
    followers.length === 0
      ? "there is no other voter"
      : "no other voter can take over: none is up, close behind and has not just failed to";
  return { kind: "refused", reason };
}

function checkTarget(
  raft: Raft,
  to: NodeId,
  now: Instant,
): Progress | Exclude<TransferStart, { kind: "started" }> {
  const progress = raft.leadership?.followers.find(({ node }) => node === to);
  if (progress === undefined) return { kind: "refused", reason: `${to} is no other voter` };
  const standing = standingOf(raft, progress, now);
  if (standing === "ready") return progress;
  return standing === "unknown" ? LATER : { kind: "refused", reason: standing };
}

/** Whether a follower could take over soon; why not, in words, if it could not. */
function standingOf(raft: Raft, progress: Progress, now: Instant): string {
  const { node, lastHeardAt, state, matchIndex } = progress;
  const { timing, limits } = raft.options;
  const silentMs = now - lastHeardAt;
  if (silentMs > timing.electionTimeoutMs) {
    return `${node} is down or cut off: the leader has not heard it for ${Math.floor(silentMs)} ms`;
  }
  if (state === "snapshot") return `${node} is far behind: it is being sent the whole state`;
  if (progress.rebuildFrom !== null) return `${node} is having its state replaced`;
  // Nothing was acknowledged in this term, so where its log stands is not known.
  if (matchIndex === 0) return "unknown";
  const lag = raft.log.lastIndex - matchIndex;
  if (lag > limits.transferLagEntriesMax) return `${node} is ${lag} entries behind`;
  return "ready";
}

/**
 * Tells the target to campaign as soon as it holds everything; gives up at the deadline, and
 * remembers who did not take over.
 */
export function driveTransfer(raft: Raft, now: Instant, out: Out): void {
  const leadership = raft.leadership;
  const transfer = leadership?.transfer;
  if (leadership === null || transfer === null || transfer === undefined) return;
  if (now >= transfer.until) {
    raft.trace("transfer-gave-up", `to=${transfer.to}`);
    leadership.transfersFailed.set(transfer.to, now);
    leadership.transfer = null;
    return;
  }
  if (transfer.sent) return;
  const { matchIndex } = leadership.progress(transfer.to);
  if (matchIndex < raft.log.lastIndex && raft.options.mutant !== "L52") return;
  transfer.sent = true;
  const { isAsked } = transfer;
  out.send(transfer.to, { kind: "timeoutNow", term: raft.term, isAsked });
}

/**
 * An operator asks, through the node `from`, that another node lead. It is answered where there is
 * something certain to say: that this node is who was asked for, or why it cannot be. A request
 * that was refused stays so, and one that names its target gets one attempt of a leader, however
 * often it comes: "not applied" must not be followed by a transfer, and a target that hangs would
 * keep everybody's writes waiting again and again.
 */
export function onTransferRequest(
  raft: Raft,
  from: NodeId,
  message: TransferRequest,
  now: Instant,
): TransferReply | null {
  const { leadership, term } = raft;
  // Meant for an earlier or later leader. Its sender asks whoever leads by now.
  if (leadership === null || message.term !== term) return null;
  const { boot, id } = message;
  const reply = { kind: "transferReply", term, boot, id } as const;
  if (isDone(raft, message)) return { ...reply, verdict: "leads", reason: "" };
  const ask = askOf(leadership, `${from}\0${boot}`, id);
  if (ask === null) return null;
  if (ask.refused !== null) return { ...reply, verdict: "refused", reason: ask.refused };
  const to = message.to === "" ? null : message.to;
  // Its attempt is under way or over.
  if (to !== null && ask.attempts > 0) return null;
  const start = startTransfer(raft, now, to, true);
  if (start.kind === "started") ask.attempts += 1;
  // After an attempt nobody can be certain that nothing came of it: its sender waits.
  if (start.kind !== "refused" || ask.attempts > 0) return null;
  ask.refused = start.reason;
  return { ...reply, verdict: "refused", reason: start.reason };
}

/** Whether this leader is who was asked for, or has taken over from the one first asked. */
function isDone({ options, term }: Raft, { to, from, fromTerm }: TransferRequest): boolean {
  if (to !== "") return to === options.node;
  return from !== "" && from !== options.node && term > fromTerm;
}

/** What this leader knows of a request; null for one that is over. */
function askOf(leadership: Leadership, sender: string, id: number): TransferAsk | null {
  const { transferAsks } = leadership;
  const known = transferAsks.get(sender);
  if (known !== undefined && known.id >= id) return known.id === id ? known : null;
  const ask: TransferAsk = { id, attempts: 0, refused: null };
  transferAsks.delete(sender);
  transferAsks.set(sender, ask);
  for (const oldest of transferAsks.keys()) {
    if (transferAsks.size <= ASKS_MAX) break;
    transferAsks.delete(oldest);
  }
  assert(transferAsks.size <= ASKS_MAX, "more requests than are remembered");
  return ask;
}
