import { assert, defined } from "../../base/assert.ts";
import type { BatchNumber, Instant, LogIndex, Term } from "../../contract/ids.ts";
import { entryIndex, entryTerm } from "./entry.ts";
import type { EntryBytes } from "./messages.ts";

/**
 * Where each term begins in the log: enough to know the term of any index, also of compacted ones.
 */
export interface TermStart {
  readonly term: Term;
  readonly first: LogIndex;
}

/** Older starts are forgotten: they are asked for only by a write's owner, soon after the write. */
const TERM_STARTS_MAX = 4096;

/**
 * Dropping a prefix costs a copy of the rest, so it waits until a prefix of this size, or one as
 * long as the rest, has gathered.
 */
const DROPPED_MIN = 1024;

interface UnsyncedWrite {
  readonly batch: BatchNumber;
  lastIndex: LogIndex;
  readonly at: Instant;
}

/**
 * A group's log in memory: the entries that followers may still ask for, and what of it is on disk.
 *
 * Entries up to `compactedIndex` are gone; the last checkpoint holds what they did. Invariant:
 * compactedIndex ≤ durableIndex ≤ lastIndex, except that a freshly installed snapshot sets all
 * three.
 */
export class RaftLog {
  #entries: EntryBytes[] = [];
  #compactedIndex: LogIndex = 0;
  #compactedTerm: Term = 0;
  #bytes = 0;
  #durableIndex: LogIndex = 0;
  #unsynced: UnsyncedWrite[] = [];
  #starts: TermStart[] = [];

  get compactedIndex(): LogIndex {
    return this.#compactedIndex;
  }

  get lastIndex(): LogIndex {
    return this.#compactedIndex + this.#entries.length;
  }

  get lastTerm(): Term {
    const last = this.#entries[this.#entries.length - 1];
    return last === undefined ? this.#compactedTerm : entryTerm(last);
  }

  /** Everything up to here is on this node's disk. */
  get durableIndex(): LogIndex {
    return this.#durableIndex;
  }

  /** Bytes of the entries held in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the oldest write that is not yet on disk was handed to it; null when all are (LEAD1). */
  get oldestUnsyncedAt(): Instant | null {
    return this.#unsynced[0]?.at ?? null;
  }

  get termStarts(): readonly TermStart[] {
    return this.#starts;
  }

  /** The term of an entry that is or was in this log; 0 for index 0; null where it is not known. */
  termAt(index: LogIndex): Term | null {
    if (index === 0) return 0;
    if (index > this.lastIndex || index < 0) return null;
    if (index > this.#compactedIndex) return entryTerm(this.entry(index));
    if (index === this.#compactedIndex) return this.#compactedTerm;
    for (let i = this.#starts.length - 1; i >= 0; i -= 1) {
      const start = this.#starts[i]!;
      if (start.first <= index) return start.term;
    }
    return null;
  }

  /** The last index ≤ `index` whose term is ≤ `term`; never below what is compacted. */
  lastIndexUpToTerm(index: LogIndex, term: Term): LogIndex {
    let candidate = Math.min(index, this.lastIndex);
    for (let i = this.#starts.length - 1; i >= 0; i -= 1) {
      const start = this.#starts[i]!;
      if (start.first > candidate) continue;
      if (start.term <= term) break;
      candidate = start.first - 1;
    }
    return Math.max(candidate, Math.min(index, this.#compactedIndex));
  }

  entry(index: LogIndex): EntryBytes {
    return defined(
      this.#entries[index - this.#compactedIndex - 1],
      "no such entry in memory",
      index,
    );
  }

  /** Entries from `from` to `to`, at least one, until `bytesMax` is passed. */
  slice(from: LogIndex, to: LogIndex, bytesMax: number): EntryBytes[] {
    assert(from > this.#compactedIndex && from <= to, "slice outside the log");
    assert(to <= this.lastIndex, "slice beyond the log");
    const entries: EntryBytes[] = [];
    let bytes = 0;
    for (let index = from; index <= to; index += 1) {
      const entry = this.entry(index);
      if (entries.length > 0 && bytes + entry.length > bytesMax) break;
      entries.push(entry);
      bytes += entry.length;
    }
    return entries;
  }

  append(entry: EntryBytes): void {
    const index = entryIndex(entry);
    const term = entryTerm(entry);
    assert(index === this.lastIndex + 1, "an entry out of its place", index);
    assert(term >= this.lastTerm, "terms in a log never decrease");
    this.#noteTerm(term, index);
    this.#entries.push(entry);
    this.#bytes += entry.length;
  }

  /** Removes everything from `from` on, which conflicts with the leader's log (Raft §5.3). */
  truncate(from: LogIndex): void {
    assert(from > this.#compactedIndex, "only uncommitted entries are truncated");
    const keep = from - this.#compactedIndex - 1;
    for (let i = keep; i < this.#entries.length; i += 1) this.#bytes -= this.#entries[i]!.length;
    this.#entries.length = Math.min(this.#entries.length, keep);
    while (this.#starts.length > 0 && this.#starts[this.#starts.length - 1]!.first >= from) {
      this.#starts.pop();
    }
    this.#durableIndex = Math.min(this.#durableIndex, from - 1);
    for (const write of this.#unsynced) write.lastIndex = Math.min(write.lastIndex, from - 1);
  }

  /** The entries up to lastIndex were handed to the disk in this batch. */
  handedToDisk(batch: BatchNumber, at: Instant): void {
    this.#unsynced.push({ batch, lastIndex: this.lastIndex, at });
  }

  /** Whether entries went to the disk in this batch, and are not known to be there yet. */
  isBeingWritten(batch: BatchNumber): boolean {
    return this.#unsynced[this.#unsynced.length - 1]?.batch === batch;
  }

  /** This batch and all before it are on disk. */
  written(batch: BatchNumber): void {
    let done = 0;
    while (done < this.#unsynced.length && this.#unsynced[done]!.batch <= batch) {
      this.#durableIndex = Math.max(this.#durableIndex, this.#unsynced[done]!.lastIndex);
      done += 1;
    }
    if (done > 0) this.#unsynced.splice(0, done);
    assert(this.#durableIndex <= this.lastIndex, "more is durable than there is");
  }

  /** Forgets entries up to `index`, whose effects are in a durable checkpoint. */
  compact(index: LogIndex): void {
    assert(index <= this.#durableIndex, "only durable entries are compacted");
    const drop = index - this.#compactedIndex;
    if (drop < DROPPED_MIN && drop * 2 < this.#entries.length) return;
    if (drop <= 0) return;
    this.#compactedTerm = defined(this.termAt(index), "compaction beyond the log");
    for (let i = 0; i < drop; i += 1) this.#bytes -= this.#entries[i]!.length;
    this.#entries = this.#entries.slice(drop);
    this.#compactedIndex = index;
  }

  /** Begins anew behind a snapshot or a checkpoint. */
  reset(index: LogIndex, term: Term, starts: readonly TermStart[]): void {
    this.#entries = [];
    this.#bytes = 0;
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    this.#durableIndex = index;
    this.#unsynced = [];
    this.#starts = starts.filter((start) => start.first <= index);
  }

  /** After recovery: everything in memory came from the disk. */
  allDurable(): void {
    assert(this.#unsynced.length === 0, "recovery after the first write");
    this.#durableIndex = this.lastIndex;
  }

  #noteTerm(term: Term, first: LogIndex): void {
    const last = this.#starts[this.#starts.length - 1];
    if (last !== undefined && last.term === term) return;
    this.#starts.push({ term, first });
    if (this.#starts.length > TERM_STARTS_MAX) this.#starts.shift();
  }
}
