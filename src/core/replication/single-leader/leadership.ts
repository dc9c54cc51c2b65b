import { assert, defined } from "../../base/assert.ts";
import type { Instant, LogIndex, NodeId, Term } from "../../contract/ids.ts";
import { CommitHistory } from "./commit-history.ts";
import { GroupCommit } from "./group-commit.ts";
import { NO_STAMP, Progress, type Stamp } from "./progress.ts";
import { majorityOf, majorityValue } from "./quorum.ts";

/** Leadership on its way to another node; `isAsked`: because an operator wants it so. */
export interface Transfer {
  readonly to: NodeId;
  readonly until: Instant;
  readonly isAsked: boolean;
  sent: boolean;
}

/** A round whose confirmation will date the followers' states, and the leader's own (LEAD6). */
interface FreshnessRound {
  readonly round: number;
  readonly commitIndex: LogIndex;
  readonly startedAt: Instant;
  readonly stamps: readonly Stamp[];
}

/** What became of a node's request for a transfer, as long as this leader leads. */
export interface TransferAsk {
  readonly id: number;
  attempts: number;
  /** Why it was refused, which it stays; null if it was not. */
  refused: string | null;
}

/** What only a leader knows, for as long as it leads one term. */
export class Leadership {
  readonly term: Term;
  /** The first entry of this term. Until it is committed, no read may trust commitIndex (LEAD5). */
  readonly firstIndex: LogIndex;
  readonly followers: readonly Progress[];
  /** Confirmation rounds begun; a read begun before a confirmed round saw a leader that led. */
  round = 0;
  nextHeartbeatAt: Instant;
  /** When the entries of this term leave. */
  readonly groups: GroupCommit;
  /** A transfer under way: nothing new is proposed until it is over (thesis §3.10). */
  transfer: Transfer | null = null;
  /** Followers that did not take over when they were to, and when that was given up. */
  readonly transfersFailed = new Map<NodeId, Instant>();
  /** The latest request of each node's boot. */
  readonly transferAsks = new Map<string, TransferAsk>();
  #freshness: FreshnessRound | null = null;
  /** One value per voter while a majority is asked for: an array per turn would be garbage. */
  readonly #counted: number[];
  /** What dates the leader's own state: when a round began that is confirmed, and its index. */
  confirmed: { readonly at: Instant; readonly index: LogIndex } | null = null;
  readonly commits: CommitHistory = new CommitHistory();

  constructor(
    term: Term,
    firstIndex: LogIndex,
    commitIndex: LogIndex,
    peers: readonly NodeId[],
    now: Instant,
  ) {
    this.term = term;
    this.groups = new GroupCommit(commitIndex);
    this.firstIndex = firstIndex;
    this.followers = peers.map((peer) => new Progress(peer, firstIndex, now));
    this.nextHeartbeatAt = now;
    this.#counted = new Array<number>(peers.length + 1).fill(0);
  }

  progress(node: NodeId): Progress {
    const found = this.followers.find((progress) => progress.node === node);
    return defined(found, "no progress of this node", node);
  }

  /** Begins a round that every follower is asked to confirm by the next message to it. */
  startRound(commitIndex: LogIndex, now: Instant): number {
    this.round += 1;
    // Before an entry of its own term is committed, a leader may know less than is committed:
    // dating by that would call a state fresh that lacks confirmed writes (LEAD6).
    if (this.#freshness === null && commitIndex >= this.firstIndex) {
      const stamps = this.followers.map((progress) => progress.stamp);
      this.#freshness = { round: this.round, commitIndex, startedAt: now, stamps };
    }
    return this.round;
  }

  /** The latest round that a majority, this node included, has answered. */
  confirmedRound(): number {
    this.followers.forEach((progress, i) => {
      this.#counted[i + 1] = progress.ackedRound;
    });
    this.#counted[0] = this.round;
    const confirmed = majorityValue(this.#counted);
    if (this.#freshness !== null && confirmed >= this.#freshness.round) this.#dateFollowers();
    return confirmed;
  }

  /**
   * The highest index that a majority holds durably, of which this node holds `own`. The mistake L5
   * lends one of the others what it may not have.
   */
  majorityMatch(own: LogIndex, lent: LogIndex): LogIndex {
    this.followers.forEach((progress, i) => {
      this.#counted[i + 1] = progress.matchIndex;
    });
    this.#counted[0] = own;
    if (lent > 0) this.#counted[1] = lent;
    return majorityValue(this.#counted);
  }

  /** Whether a majority has been heard from since `since` (check-quorum, LEAD2). */
  hearsMajority(since: Instant): boolean {
    let heard = 1;
    for (const progress of this.followers) if (progress.lastHeardAt >= since) heard += 1;
    return heard >= majorityOf(this.followers.length + 1);
  }

  #dateFollowers(): void {
    const freshness = this.#freshness;
    assert(freshness !== null, "no round to date by");
    const { commitIndex, startedAt, stamps } = freshness;
    this.followers.forEach((progress, i) => {
      // Of a follower that had not answered there is no instant to speak of.
      if (stamps[i] === NO_STAMP) return;
      progress.freshStamp = stamps[i]!;
      progress.freshIndex = commitIndex;
    });
    this.confirmed = { at: startedAt, index: commitIndex };
    this.#freshness = null;
  }
}
