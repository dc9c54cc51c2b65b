import { assert } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import type { GroupId } from "../contract/ids.ts";
import type { Memtable } from "../log/memtable.ts";
import { fromBigEndian, groupEnd, groupPrefix } from "../replication/single-leader/rows.ts";

/** Rows removed in one turn: a keyspace of any size goes without holding the others up. */
export const DROPPED_ROWS_PER_TURN = 256;

/** Changes in memory beyond which no more are made until a checkpoint has taken them over. */
const MEMTABLE_BYTES_MAX = 16 << 20;

const PREFIX_BYTES = 6;

/** Every group that has rows. One look per group, however many rows it has. */
export function groupsWithRows(memtable: Memtable): GroupId[] {
  const found: GroupId[] = [];
  for (let from: ByteString = ""; ; ) {
    const id = firstGroup(memtable, from);
    if (id === null) return found;
    found.push(id);
    from = groupEnd(id);
  }
}

function firstGroup(memtable: Memtable, from: ByteString): GroupId | null {
  for (const [key] of memtable.rows(from, null)) return fromBigEndian(key.slice(0, PREFIX_BYTES));
  return null;
}

/**
 * Removes the rows of groups that were dropped, a slice per turn. A node that stops in the middle
 * finds what is left when it starts: rows of a group that its catalog knows to be dropped.
 */
export class DroppedRows {
  readonly #memtable: Memtable;
  readonly #requestCheckpoint: () => void;
  readonly #waiting: GroupId[] = [];
  /** Rows of the first group are gone up to here. */
  #cursor: ByteString = "";

  constructor(memtable: Memtable, requestCheckpoint: () => void) {
    this.#memtable = memtable;
    this.#requestCheckpoint = requestCheckpoint;
  }

  add(group: GroupId): void {
    assert(!this.#waiting.includes(group), "a group was dropped twice", group);
    this.#waiting.push(group);
  }

  /** Whether a turn now would remove something. */
  get isDue(): boolean {
    return this.#waiting.length > 0 && this.#memtable.bytes < MEMTABLE_BYTES_MAX;
  }

  /** Once per turn. */
  work(): void {
    const group = this.#waiting[0];
    if (group === undefined) return;
    if (!this.isDue) {
      if (!this.#memtable.isFrozen) this.#requestCheckpoint();
      return;
    }
    const from = this.#cursor === "" ? groupPrefix(group) : this.#cursor;
    const keys: ByteString[] = [];
    for (const [key] of this.#memtable.rows(from, groupEnd(group))) {
      keys.push(key);
      if (keys.length === DROPPED_ROWS_PER_TURN) break;
    }
    for (const key of keys) this.#memtable.delete(key);
    this.#cursor = keys.at(-1) ?? "";
    if (keys.length === DROPPED_ROWS_PER_TURN) return;
    this.#waiting.shift();
    this.#cursor = "";
  }
}
