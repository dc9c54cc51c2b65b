import { fromByteString } from "../../base/bytes.ts";
import { rowParts } from "../../commands/typed.ts";
import { type GroupCall, NO_META } from "../../contract/group.ts";
import type { Instant, RequestId } from "../../contract/ids.ts";
import { array, bulk, error, integer, type Reply } from "../../contract/reply.ts";
import type { Applier } from "./applier.ts";
import type { Change } from "./change-log.ts";
import type { Out } from "./raft.ts";

type ChangesCall = Extract<GroupCall, { kind: "changes" }>;

/** What it looks at of the replica's state. */
type Followed = Pick<Applier, "changes" | "appliedIndex" | "appliedTerm" | "halted">;

interface Waiting {
  readonly ticket: RequestId;
  readonly call: ChangesCall;
  /** Behind this there was nothing for it so far. */
  after: number;
}

/** Callers that wait for changes in one group of one node. */
export const FEEDS_MAX = 10_000;

/**
 * Answers those who follow a keyspace's changes, from what this replica has applied: the same
 * changes, in the same order, at every replica.
 */
export class Feeds {
  readonly #applier: Followed;
  #waiting: Waiting[] = [];
  /** How far the state had come when the waiting were last looked at. */
  #seen = 0;

  constructor(applier: Followed) {
    this.#applier = applier;
  }

  get open(): number {
    return this.#waiting.length;
  }

  request(ticket: RequestId, call: ChangesCall, now: Instant, out: Out): void {
    const { halted, appliedIndex } = this.#applier;
    if (halted !== null) return this.#reply(out, ticket, error("HALTED", `Halted: ${halted}`));
    const waiting = { ticket, call, after: call.after ?? appliedIndex };
    if (this.#answer(waiting, now, out)) return;
    if (this.#waiting.length < FEEDS_MAX) this.#waiting.push(waiting);
    else this.#reply(out, ticket, error("BUSY", `${FEEDS_MAX} callers wait for changes already.`));
  }

  cancel(ticket: RequestId): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting.ticket !== ticket);
  }

  /** Once per turn, after what is committed was applied. */
  settle(now: Instant, out: Out): void {
    if (this.#waiting.length === 0) return;
    const isNew = this.#applier.appliedIndex !== this.#seen;
    this.#seen = this.#applier.appliedIndex;
    this.#waiting = this.#waiting.filter((waiting) => {
      const isDue = isNew || now >= waiting.call.deadline;
      return !(isDue && this.#answer(waiting, now, out));
    });
  }

  /** The keyspace is no more. */
  endAll(reply: Reply, out: Out): void {
    for (const { ticket } of this.#waiting) this.#reply(out, ticket, reply);
    this.#waiting = [];
  }

  deadline(): Instant | null {
    let deadline = Number.POSITIVE_INFINITY;
    for (const { call } of this.#waiting) deadline = Math.min(deadline, call.deadline);
    return deadline === Number.POSITIVE_INFINITY ? null : deadline;
  }

  /** False where there is nothing yet, and time left to wait for it. */
  #answer(waiting: Waiting, now: Instant, out: Out): boolean {
    const { changes: log, appliedIndex } = this.#applier;
    const { call, ticket, after } = waiting;
    if (after < log.start) {
      this.#reply(out, ticket, array([integer(log.start), integer(1), array([])]));
      return true;
    }
    const { changes, next } = log.read(after, call.prefix, call.countMax, appliedIndex);
    if (changes.length === 0 && now < call.deadline) {
      // Not back to what is applied: a node may be asked to go on from where another one has been.
      waiting.after = Math.max(after, next);
      return false;
    }
    const items = changes.map(changeReply);
    this.#reply(out, ticket, array([integer(Math.max(next, after)), integer(0), array(items)]));
    return true;
  }

  #reply(out: Out, ticket: RequestId, reply: Reply): void {
    const { appliedTerm: term, appliedIndex: index } = this.#applier;
    out.reply(ticket, { reply, meta: { ...NO_META, term, index } });
  }
}

/** `[index, key]` of what is gone, and `[index, key, type, value]` of what is there. */
function changeReply({ index, key, row }: Change): Reply {
  const head = [integer(index), bulk(fromByteString(key))];
  return array(row === null ? head : [...head, ...rowParts(row)]);
}
