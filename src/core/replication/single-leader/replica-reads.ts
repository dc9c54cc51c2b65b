import { assert } from "../../base/assert.ts";
import { type GroupCall, NO_META } from "../../contract/group.ts";
import type { Instant, RequestId } from "../../contract/ids.ts";
import { error, type Reply } from "../../contract/reply.ts";
import type { Applier } from "./applier.ts";
import { answerHere, type Forwarding, STALE_AT_DEADLINE, TOO_MANY } from "./forwarding.ts";
import { PLACE_LOST, type Standing, standingOf } from "./place.ts";
import type { Out, Raft } from "./raft.ts";

type ReplicaRead = Extract<GroupCall, { kind: "replicaRead" }>;

interface Waiting {
  readonly ticket: RequestId;
  readonly read: ReplicaRead;
  readonly arrivedAt: Instant;
  /** From then on the leader is asked, as soon as there is one. */
  readonly forwardAt: Instant;
}

/**
 * Reads under a condition, at this node's replica (LEAD6, LEAD7).
 *
 * One that the state meets is answered at once. A session's read waits for its entry as long as a
 * heartbeat takes, by which a follower that keeps up has it, and then goes to the leader: one that
 * lags may be far behind, and the deadline is for the leader to be found. A bounded one goes at
 * once: with a heartbeat every so often a state does not get younger by waiting. Without a leader
 * both wait here, for one or for the state. What is in time for neither ends as STALE.
 */
export class ReplicaReads {
  readonly #raft: Raft;
  readonly #applier: Applier;
  readonly #forwarding: Forwarding;
  #waiting: Waiting[] = [];

  constructor(raft: Raft, applier: Applier, forwarding: Forwarding) {
    this.#raft = raft;
    this.#applier = applier;
    this.#forwarding = forwarding;
  }

  /** Reads that wait here. */
  get waiting(): number {
    return this.#waiting.length;
  }

  request(ticket: RequestId, read: ReplicaRead, now: Instant, out: Out): void {
    assert(ticket !== 0, "a call needs a ticket");
    const waiting = { ticket, read, arrivedAt: now, forwardAt: this.#forwardAt(read, now) };
    if (this.#settleOne(waiting, now, out)) return;
    if (this.#forwarding.reserve(read.payload.length)) this.#waiting.push(waiting);
    else this.#reply(out, ticket, error("BUSY", TOO_MANY));
  }

  #forwardAt({ condition, prefer, deadline }: ReplicaRead, now: Instant): Instant {
    if (prefer === "leader" || condition.kind === "bounded") return now;
    const patienceMs = Math.min(this.#raft.options.timing.heartbeatMs, (deadline - now) / 2);
    return now + Math.max(0, patienceMs);
  }

  cancel(ticket: RequestId): void {
    this.#leave((waiting) => waiting.ticket === ticket);
  }

  /** Once per turn, when the state and the leader are those of this turn. */
  settle(now: Instant, out: Out): void {
    if (this.#waiting.length === 0) return;
    this.#leave((waiting) => this.#settleOne(waiting, now, out));
  }

  #leave(isOver: (waiting: Waiting) => boolean): void {
    this.#waiting = this.#waiting.filter((waiting) => {
      if (!isOver(waiting)) return true;
      this.#forwarding.release(waiting.read.payload.length);
      return false;
    });
  }

  /** Answers the read or hands it on; false if it has to wait. */
  #settleOne(waiting: Waiting, now: Instant, out: Out): boolean {
    const { ticket, read, arrivedAt, forwardAt } = waiting;
    if (read.prefer === "nearest" || this.#applier.halted !== null) {
      const standing = this.#standing(read, now);
      if (standing === "lost") this.#reply(out, ticket, error("SESSION_LOST", PLACE_LOST));
      else if (standing === "applied") {
        out.reply(ticket, answerHere(this.#raft, this.#applier, read.payload, now));
      }
      if (standing !== "awaited") return true;
    }
    if (now >= read.deadline) {
      this.#reply(out, ticket, error("STALE", STALE_AT_DEADLINE));
      return true;
    }
    if (now < forwardAt || this.#raft.leader === null) return false;
    this.#forwarding.forwardRead(ticket, read, arrivedAt);
    return true;
  }

  /** Whether the state meets the read's condition, may come to, or never will. */
  #standing({ condition, connection }: ReplicaRead, now: Instant): Standing {
    // A halted keyspace's answer is that it is halted.
    if (this.#applier.halted !== null) return "applied";
    if (condition.kind === "session") {
      return standingOf(condition.places, this.#raft, this.#applier);
    }
    const staleMs = this.#raft.staleMs(this.#applier.appliedIndex, now);
    const isFresh = staleMs !== null && staleMs <= condition.staleMsMax;
    return isFresh && this.#forwarding.showsWritesOf(connection) ? "applied" : "awaited";
  }

  /** The keyspace is no more. */
  endAll(reply: Reply, out: Out): void {
    this.#leave(({ ticket }) => {
      this.#reply(out, ticket, reply);
      return true;
    });
  }

  #reply(out: Out, ticket: RequestId, reply: Reply): void {
    out.reply(ticket, { reply, meta: NO_META });
  }

  /** When a read runs out of time, or is to be handed on. */
  deadline(): Instant | null {
    let deadline = Number.POSITIVE_INFINITY;
    for (const { read, forwardAt } of this.#waiting) {
      const mayForward = this.#raft.leader !== null;
      deadline = Math.min(
        deadline,
        mayForward ? Math.min(read.deadline, forwardAt) : read.deadline,
      );
    }
    return deadline === Number.POSITIVE_INFINITY ? null : deadline;
  }
}
