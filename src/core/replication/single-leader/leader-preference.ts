import { assert } from "../../base/assert.ts";
import type { Instant, LogIndex, NodeId } from "../../contract/ids.ts";
import type { Leadership } from "./leadership.ts";
import type { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import { startTransfer } from "./transfer.ts";

/** So many election timeouts a node must have kept up before leadership is given back to it. */
const STEADY_TIMEOUTS = 20;

/** A node that keeps losing leadership waits up to this many times as long for it. */
const HOLD_FACTOR_MAX = 64;

/** Leading for this many times the last wait shows that what was wrong is over. */
const FORGIVEN_FACTOR = 4;

/** For so many election timeouts after its start the preferred leader asks again and again. */
const EAGER_TIMEOUTS = 2;

/**
 * Brings a group's leadership to the node that is preferred for it, so that the leaders of several
 * groups are spread over the nodes.
 *
 * When a node starts, or the group does, the preferred one campaigns at once, by pre-votes, which
 * disturb nobody. Later another leader hands over to it by a transfer, when it has kept up for long
 * without a gap. Each time that it loses leadership soon again, to a stall, a slow disk or a crash,
 * the next wait is twice as long: a node that is not well does not take its clients along. Whoever
 * leads because an operator wants it to, keeps leadership until it loses it.
 */
export class LeaderPreference {
  readonly #raft: Raft;
  #preferred: NodeId | null = null;
  #eagerUntil: Instant = Number.NEGATIVE_INFINITY;
  /** The last leader known, and since when the preferred one led when it last did. */
  #leader: NodeId | null = null;
  #ledSince: Instant = 0;
  #holdMs: number;
  #mayReturnAt: Instant = Number.NEGATIVE_INFINITY;
  /** How long it must have kept up: less after somebody asked for the change. */
  #steadyMs: number;
  /** As a leader that is not preferred: since when the preferred node keeps up. */
  #leadership: Leadership | null = null;
  #steadySince: Instant | null = null;
  #checkedAt: Instant = Number.NEGATIVE_INFINITY;
  #checkedCommit: LogIndex = 0;
  #isReturning = false;

  constructor(raft: Raft) {
    this.#raft = raft;
    this.#steadyMs = this.#baseMs;
    this.#holdMs = this.#baseMs / 2;
  }

  get #baseMs(): number {
    return STEADY_TIMEOUTS * this.#raft.options.timing.electionTimeoutMs;
  }

  /** Null, or a node that is no voter: nobody is preferred. */
  get preferred(): NodeId | null {
    return this.#preferred;
  }

  set preferred(node: NodeId | null) {
    if (node === this.#preferred) return;
    this.#preferred = node;
    this.#raft.isAskedToLead = false;
    this.#steadySince = null;
    this.#holdMs = this.#baseMs / 2;
    this.#mayReturnAt = Number.NEGATIVE_INFINITY;
    this.#steadyMs = this.#raft.options.timing.electionTimeoutMs;
  }

  /** The node has started, or the group has been made: who is preferred asks first. */
  begin(now: Instant): void {
    const { options, term, log } = this.#raft;
    const { electionTimeoutMs } = options.timing;
    this.#steadyMs = this.#baseMs;
    if (this.#preferred === null || options.voters.length === 1) return;
    if (this.#preferred === options.node) {
      this.#eagerUntil = now + EAGER_TIMEOUTS * electionTimeoutMs;
      this.#raft.electionDeadline = now;
    } else if (term === 0 && log.lastIndex === 0) {
      // A new group has no leader that could be disturbed: if the preferred node is down, others
      // need not wait for long.
      const wait = options.prng.between(Math.ceil(electionTimeoutMs / 2), electionTimeoutMs);
      this.#raft.electionDeadline = now + wait;
    }
  }

  /** After a pre-vote was asked for: who is preferred does not wait long for the answers. */
  hasten(now: Instant): void {
    if (now >= this.#eagerUntil || this.#raft.role !== "preCandidate") return;
    const again = now + Math.max(1, this.#raft.options.timing.heartbeatMs / 4);
    this.#raft.electionDeadline = Math.min(this.#raft.electionDeadline, again);
  }

  /** Once per turn: notes who leads and, as a leader, whether it is time to hand over. */
  drive(now: Instant): void {
    this.#follow(now);
    const { leadership, options } = this.#raft;
    if (leadership !== this.#leadership) {
      this.#leadership = leadership;
      this.#steadySince = null;
      this.#isReturning = false;
    }
    if (leadership === null || this.#preferred === null || this.#preferred === options.node) return;
    if (this.#raft.isAskedToLead) return;
    const progress = leadership.followers.find(({ node }) => node === this.#preferred);
    if (progress === undefined || leadership.transfer !== null) return;
    if (this.#isReturning) {
      // It was told to lead and did not come to it: that cost a pause, and is not tried again soon.
      this.#isReturning = false;
      this.#lose(now, 0);
    }
    if (now - this.#checkedAt >= options.timing.heartbeatMs) this.#check(progress, now);
    this.#maybeReturn(progress, now);
  }

  #follow(now: Instant): void {
    const { leader } = this.#raft;
    if (leader === null || leader === this.#leader) return;
    const lost = this.#preferred !== null && this.#leader === this.#preferred;
    this.#leader = leader;
    if (lost) this.#lose(now, now - this.#ledSince);
    if (leader === this.#preferred) this.#ledSince = now;
  }

  #lose(now: Instant, ledMs: number): void {
    const forgiven = ledMs >= FORGIVEN_FACTOR * this.#holdMs;
    const longer = Math.min(2 * this.#holdMs, HOLD_FACTOR_MAX * this.#baseMs);
    this.#holdMs = forgiven ? this.#baseMs : longer;
    assert(this.#holdMs > 0, "leadership would bounce");
    this.#mayReturnAt = now + this.#holdMs;
    this.#steadySince = null;
    this.#steadyMs = this.#baseMs;
  }

  /** Once per heartbeat: it answers in time and holds all that was committed a heartbeat ago. */
  #check(progress: Progress, now: Instant): void {
    const { heartbeatMs } = this.#raft.options.timing;
    const keepsUp =
      progress.state === "replicate" &&
      progress.matchIndex >= this.#checkedCommit &&
      now - progress.lastHeardAt <= 2 * heartbeatMs &&
      !this.#raft.linksDown.has(progress.node);
    this.#checkedAt = now;
    this.#checkedCommit = this.#raft.commitIndex;
    this.#steadySince = keepsUp ? (this.#steadySince ?? now) : null;
  }

  #maybeReturn(progress: Progress, now: Instant): void {
    if (this.#steadySince === null || now - this.#steadySince < this.#steadyMs) return;
    if (now < this.#mayReturnAt) return;
    this.#steadySince = null;
    this.#isReturning = startTransfer(this.#raft, now, progress.node).kind === "started";
  }
}
