import { assert } from "../../base/assert.ts";
import type { Instant, WallClock } from "../../contract/ids.ts";
import { majorityOf } from "./quorum.ts";
import type { Raft } from "./raft.ts";

/** How far the leader's clock may be from the voters' median for log time to follow it, ms. */
const SKEW_MS_MAX = 5_000;

/**
 * Log time (GEN7): the leader's wall clock, never backwards, and not advancing while it is more
 * than 5 s from the median of the voters' clocks, or while a majority of them is not known.
 */
export class LogClock {
  readonly #raft: Raft;
  #last: WallClock = 0;
  /** The clocks that are known, ascending; kept, because a leader looks at them every turn. */
  readonly #walls: WallClock[] = [];

  constructor(raft: Raft) {
    this.#raft = raft;
  }

  /** A term of leading begins: log time has come this far. */
  begin(logTime: WallClock): void {
    this.#last = Math.max(this.#last, logTime);
  }

  /** What the time of an entry would be now. Entries get it in the order in which it is asked. */
  read(now: Instant): WallClock {
    if (this.#isTrusted(now)) this.#last = Math.max(this.#last, this.#raft.wallMs);
    return this.#last;
  }

  #isTrusted(now: Instant): boolean {
    const { wallMs, leadership, options } = this.#raft;
    assert(leadership !== null, "log time is a leader's to give");
    const walls = this.#walls;
    walls.length = 0;
    insert(walls, wallMs);
    for (const { wallOffset } of leadership.followers) {
      if (wallOffset !== null) insert(walls, wallOffset + now);
    }
    if (walls.length < majorityOf(options.voters.length)) return false;
    return Math.abs(median(walls) - wallMs) <= SKEW_MS_MAX;
  }
}

function insert(ascending: number[], value: number): void {
  let at = ascending.length;
  for (; at > 0 && ascending[at - 1]! > value; at -= 1) ascending[at] = ascending[at - 1]!;
  ascending[at] = value;
}

/** Of an even number of values, the mean of the two in the middle. */
function median(sorted: readonly number[]): number {
  const high = sorted.length >> 1;
  const low = (sorted.length - 1) >> 1;
  return (sorted[low]! + sorted[high]!) / 2;
}
