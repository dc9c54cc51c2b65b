import { assert } from "../../base/assert.ts";
import type { RowHashText } from "../../base/row-hash.ts";
import type { Instant, LogIndex, NodeId, Term } from "../../contract/ids.ts";
import { CheckpointError } from "../../log/checkpoint-reader.ts";
import type { Applier } from "./applier.ts";
import type { Leadership } from "./leadership.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import { majorityOf } from "./quorum.ts";
import type { Out, Raft } from "./raft.ts";

type StateHash = Extract<SingleLeaderMessage, { kind: "stateHash" }>;
type StateHashReply = Extract<SingleLeaderMessage, { kind: "stateHashReply" }>;

/** One comparison, at the leader. */
interface Comparison {
  readonly term: Term;
  readonly index: LogIndex;
  readonly hash: RowHashText;
  /** What others have at this index. */
  readonly answers: Map<NodeId, RowHashText>;
  /** What a majority has there. */
  agreed: RowHashText | null;
}

/**
 * Finds replicas whose state is wrong (STO7), by two means that need each other.
 *
 * The replicas of a group compare the hashes of their states at one index. What a majority has is
 * right: if it were the leader's, a damaged leader would make all others like itself. The hash
 * follows every change, so it shows what was computed differently, but not what has happened to a
 * row that nobody touched since. Therefore each replica, slowly, reads all of its own rows and
 * compares them with its own hash; there it needs no majority to know that it is wrong.
 */
export class ConsistencyCheck {
  readonly #raft: Raft;
  readonly #applier: Applier;
  #comparison: Comparison | null = null;
  #compareAt: Instant;
  /** As a follower: asked about an index that is not applied here yet. */
  #pending: StateHash | null = null;
  #scrubAt: Instant;

  constructor(raft: Raft, applier: Applier, now: Instant) {
    const { stateHashMs, scrubMs } = raft.options.limits;
    this.#raft = raft;
    this.#applier = applier;
    this.#compareAt = now + stateHashMs;
    this.#scrubAt = now + scrubMs;
  }

  /** When the next rows are to be read; comparisons go along with what wakes a leader anyway. */
  deadline(): Instant | null {
    return this.#isIdle ? null : this.#scrubAt;
  }

  /** Nothing is compared or read through: what would be due is never done, and must not wake. */
  get #isIdle(): boolean {
    return !this.#isSound || this.#raft.options.mutant === "S25";
  }

  get #isSound(): boolean {
    return this.#applier.damage === null && this.#applier.halted === null;
  }

  settle(now: Instant, out: Out): void {
    if (this.#isIdle) return;
    const pending = this.#pending;
    if (pending !== null && this.#applier.appliedIndex >= pending.index) {
      this.#pending = null;
      this.#compare(pending, now, out);
    }
    const { leadership } = this.#raft;
    if (leadership !== null && now >= this.#compareAt) this.#begin(leadership, now, out);
    if (now >= this.#scrubAt) this.#scrub(now);
  }

  // The leader.

  #begin(leadership: Leadership, now: Instant, out: Out): void {
    const { limits } = this.#raft.options;
    this.#compareAt = now + limits.stateHashMs;
    const { appliedIndex, stateRows, trail } = this.#applier;
    // Where nothing is going on, all will soon have come just as far; else an index gone by.
    const isQuiet = appliedIndex === this.#raft.log.lastIndex;
    const index = isQuiet ? appliedIndex : trail.latest;
    if (index === null || this.#isDone(leadership, index)) return;
    const hash = isQuiet ? stateRows.hash : trail.at(index);
    assert(hash !== null, "the newest index of the trail is remembered");
    this.#comparison = { term: leadership.term, index, hash, answers: new Map(), agreed: null };
    for (const { node } of leadership.followers) this.#tell(node, index, hash, false, out);
  }

  /** Whether this very comparison was made, and everybody has answered. */
  #isDone({ term, followers }: Leadership, index: LogIndex): boolean {
    const last = this.#comparison;
    if (last === null || last.term !== term || last.index !== index) return false;
    return last.answers.size === followers.length;
  }

  #tell(to: NodeId, index: LogIndex, hash: RowHashText, agreed: boolean, out: Out): void {
    out.send(to, { kind: "stateHash", term: this.#raft.term, index, hash, agreed });
  }

  onReply(from: NodeId, reply: StateHashReply, now: Instant, out: Out): void {
    const comparison = this.#comparison;
    const { leadership, term, options } = this.#raft;
    if (leadership === null || comparison === null || !this.#isSound) return;
    if (reply.term !== term || comparison.term !== term || reply.index !== comparison.index) return;
    comparison.answers.set(from, reply.hash);
    if (reply.hash !== comparison.hash) {
      this.#raft.trace("state-differs", `peer=${from} index=${reply.index}`);
      this.#scrubAt = now;
    }
    comparison.agreed ??= this.#majorityHash(comparison);
    const agreed = options.mutant === "S26" ? comparison.hash : comparison.agreed;
    if (agreed === null) return;
    if (agreed !== comparison.hash) {
      return this.#applier.declareDamaged(`a majority has another state at ${comparison.index}`);
    }
    if (reply.hash !== agreed) this.#tell(from, comparison.index, agreed, true, out);
  }

  #majorityHash({ hash, answers }: Comparison): RowHashText | null {
    const all = [hash, ...answers.values()];
    const majority = majorityOf(this.#raft.options.voters.length);
    return all.find((one) => all.filter((other) => other === one).length >= majority) ?? null;
  }

  // A follower.

  onStateHash(from: NodeId, told: StateHash, now: Instant, out: Out): void {
    const { term, leader, options } = this.#raft;
    if (told.term !== term || leader !== from || !this.#isSound) return;
    if (options.mutant === "S25") return;
    if (told.index > this.#applier.appliedIndex && options.mutant !== "S23") {
      this.#pending = told;
      return this.#applier.trail.watch(told.index);
    }
    this.#compare(told, now, out);
  }

  #compare({ term, index, hash, agreed }: StateHash, now: Instant, out: Out): void {
    const { leader } = this.#raft;
    if (term !== this.#raft.term || leader === null) return;
    const own = this.#hashAt(index);
    if (own === null) return;
    out.send(leader, { kind: "stateHashReply", term, index, hash: own });
    if (own === hash) return;
    this.#raft.trace("state-differs", `leader=${leader} index=${index}`);
    this.#scrubAt = now;
    if (agreed) this.#applier.declareDamaged(`a majority has another state at ${index}`);
  }

  /** Null where the index was passed and is not remembered. */
  #hashAt(index: LogIndex): RowHashText | null {
    const { appliedIndex, stateRows, trail } = this.#applier;
    const isHere = index === appliedIndex || this.#raft.options.mutant === "S23";
    return isHere ? stateRows.hash : trail.at(index);
  }

  // Each for itself.

  #scrub(now: Instant): void {
    const { scrubMs, scrubPauseMs, scrubRowsMax } = this.#raft.options.limits;
    try {
      const progress = this.#applier.stateRows.scrub(scrubRowsMax);
      this.#scrubAt = now + (progress === "going" ? scrubPauseMs : scrubMs);
      if (progress === "whole") this.#raft.trace("scrubbed", `index=${this.#applier.appliedIndex}`);
      if (progress === "damaged") {
        this.#applier.declareDamaged("its rows are not what was written");
      }
    } catch (failure) {
      // Nothing is changed by reading, so nothing is half done.
      if (!(failure instanceof CheckpointError)) throw failure;
      this.#applier.declareDamaged(failure.message);
    }
  }
}
