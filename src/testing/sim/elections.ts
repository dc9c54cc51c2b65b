import type { Instant, NodeId, Term } from "../../core/contract/ids.ts";
import type { TraceEvent } from "../../core/contract/trace.ts";
import type { Leadership } from "../../core/replication/single-leader/leadership.ts";
import type { SingleLeaderMessage } from "../../core/replication/single-leader/messages.ts";
import { majorityOf } from "../../core/replication/single-leader/quorum.ts";
import type { Raft } from "../../core/replication/single-leader/raft.ts";
import { ViolationError } from "./invariants.ts";

/** What is remembered of one node's process. */
interface Seen {
  readonly raft: Raft;
  term: Term;
  leadership: Leadership | null;
  /** The highest term that an answer told it of which it has yet to take in. */
  told: Term;
}

/**
 * How terms and leaders of a group come about (Raft §5.1, §5.2): a term begins with a candidate,
 * never without one; whoever leads it was elected in it; who learns of it from an answer takes it
 * over.
 */
export class Elections {
  readonly #voters: readonly NodeId[];
  readonly #campaigns = new Set<Term>();
  /** Whom each voter voted for, by term. */
  readonly #votes = new Map<Term, Map<NodeId, NodeId>>();
  readonly #seen = new Map<NodeId, Seen>();

  constructor(voters: readonly NodeId[]) {
    this.#voters = voters;
  }

  onTrace({ mark, detail = "" }: TraceEvent): void {
    if (mark === "become-candidate") this.#campaigns.add(Number(detail.replace("term=", "")));
  }

  /** A granted vote has left a voter. */
  onVoteSent(voter: NodeId, candidate: NodeId, term: Term): void {
    let votes = this.#votes.get(term);
    if (votes === undefined) {
      votes = new Map();
      this.#votes.set(term, votes);
    }
    votes.set(voter, candidate);
  }

  /** A message has reached a node, which will take it in with its next turns. */
  onDelivered(to: NodeId, message: SingleLeaderMessage): void {
    const isAnswer =
      message.kind === "appendReply" || (message.kind === "vote" && !message.granted);
    const seen = this.#seen.get(to);
    if (isAnswer && seen !== undefined) seen.told = Math.max(seen.told, message.term);
  }

  /** `isIdle`: the node has taken in everything that has reached it. */
  afterTurn(node: NodeId, raft: Raft, isIdle: boolean, now: Instant): void {
    let seen = this.#seen.get(node);
    if (seen?.raft !== raft) {
      seen = { raft, term: raft.term, leadership: null, told: 0 };
      this.#seen.set(node, seen);
    }
    if (raft.term !== seen.term) this.#checkOrigin(node, raft.term);
    seen.term = raft.term;
    if (raft.leadership !== seen.leadership) {
      seen.leadership = raft.leadership;
      if (raft.leadership !== null) this.#checkElected(node, raft.term);
    }
    if (raft.leadership !== null) this.#checkHeard(node, raft, raft.leadership, now);
    if (!isIdle) return;
    if (seen.told > raft.term) {
      const text = `${node} was answered in term ${seen.told} and is still in ${raft.term}`;
      throw new ViolationError("term-learned", text);
    }
    seen.told = 0;
  }

  #checkOrigin(node: NodeId, term: Term): void {
    if (this.#campaigns.has(term)) return;
    throw new ViolationError("term-origin", `${node} is in term ${term}, which nobody began`);
  }

  /** LEAD2: a leader that nobody answers does not lead on. Both limits of time are its own. */
  #checkHeard(
    node: NodeId,
    { options, term }: Raft,
    { followers }: Leadership,
    now: Instant,
  ): void {
    const since = now - 2 * options.timing.electionTimeoutMs;
    const heard = followers.filter(({ lastHeardAt }) => lastHeardAt >= since);
    if (heard.length + 1 >= majorityOf(this.#voters.length)) return;
    const text = `${node} leads term ${term} and has heard of ${heard.length} others since ${since}`;
    throw new ViolationError("deaf-leader", text);
  }

  /** Its own vote is on its disk, though its request for others may have reached nobody. */
  #checkElected(node: NodeId, term: Term): void {
    const voters = new Set([node]);
    for (const [voter, candidate] of this.#votes.get(term) ?? []) {
      if (candidate === node) voters.add(voter);
    }
    if (voters.size >= majorityOf(this.#voters.length)) return;
    const text = `${node} leads term ${term} with the votes of ${[...voters].join(", ")} only`;
    throw new ViolationError("elected-by-majority", text);
  }
}
