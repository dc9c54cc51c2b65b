import { assert } from "../base/assert.ts";
import type { LogPlace } from "../contract/group.ts";
import type { GroupId, LogIndex, Term } from "../contract/ids.ts";
import { SESSION_GROUPS_MAX, type SessionEntry } from "./session-token.ts";

/**
 * The order in which a session moves on: a later term first, then a higher index. Of two entries of
 * one log the later one is greater; of two that cannot be in one log it is the later leader's.
 */
export function comparePlaces(a: LogPlace, b: LogPlace): number {
  return a.term - b.term || a.index - b.index;
}

/**
 * How far a session has come in each group's log (LEAD7): the latest entry that it has written, and
 * the state that it has read. It only moves forward.
 */
export class SessionPlaces {
  /** Moved in place: every answer moves one, and an object for each would be garbage. */
  readonly #places = new Map<GroupId, { term: Term; index: LogIndex }>();
  /** A place found no room: what the session has seen is more than it can tell. */
  #isIncomplete = false;

  /** What a replica of the group must have applied; null where the session has seen nothing. */
  in(group: GroupId): LogPlace | null {
    const place = this.#places.get(group);
    return place === undefined ? null : { ...place };
  }

  /** Whether the session may have seen more of the group than `in` says. */
  hasForgotten(group: GroupId): boolean {
    return this.#isIncomplete && !this.#places.has(group);
  }

  get isIncomplete(): boolean {
    return this.#isIncomplete;
  }

  move(group: GroupId, place: LogPlace): void {
    assert(place.index > 0, "a place is an entry's");
    const before = this.#places.get(group);
    if (before === undefined && this.#places.size >= SESSION_GROUPS_MAX) {
      this.#isIncomplete = true;
    } else if (before === undefined) {
      this.#places.set(group, { term: place.term, index: place.index });
    } else if (comparePlaces(place, before) > 0) {
      before.term = place.term;
      before.index = place.index;
    }
  }

  /** Sees what another session has seen: the join of both. */
  merge(entries: readonly SessionEntry[]): void {
    for (const [group, place] of entries) if (place.index > 0) this.move(group, place);
  }

  /** By ascending group, for a token. */
  entries(): readonly SessionEntry[] {
    const entries = [...this.#places].map(([group, place]) => [group, { ...place }] as const);
    return entries.sort(([a], [b]) => a - b);
  }
}
