import { assert } from "../../base/assert.ts";
import { ByteReader, ByteWriter, decodeUtf8 } from "../../base/bytes.ts";
import { crc32 } from "../../base/hash.ts";
import { NO_ROWS, type RowHashText } from "../../base/row-hash.ts";
import type { LogIndex, Term, WallClock } from "../../contract/ids.ts";
import { error, type Reply } from "../../contract/reply.ts";
import type { StateMachine, StateReader } from "../../contract/state-machine.ts";
import type { Row } from "../../contract/state-store.ts";
import { CheckpointError } from "../../log/checkpoint-reader.ts";
import type { Memtable } from "../../log/memtable.ts";
import { type AppliedAnswer, SessionTable } from "../../sessions/session-table.ts";
import { ChangeLog } from "./change-log.ts";
import {
  entryFloor,
  entryKind,
  entryPayload,
  entrySequence,
  entrySession,
  entryTerm,
  entryTime,
  entryVersion,
  SEMANTICS_VERSION,
} from "./entry.ts";
import { HashTrail } from "./hash-trail.ts";
import { KeyspaceState } from "./keyspace-state.ts";
import type { EntryBytes } from "./messages.ts";
import type { Raft } from "./raft.ts";
import {
  afterTable,
  bigEndian,
  DATA,
  ENTRIES,
  encodeMeta,
  type GroupMeta,
  groupEnd,
  groupPrefix,
  type KeyCounts,
  META,
  NO_KEYS,
  SESSIONS,
} from "./rows.ts";
import { StateRows } from "./state-rows.ts";

/** A session that is older than this has ended, for the mistake L41. */
const L41_MS = 500;

const REBUILDING = "This node's copy of the keyspace was found to be wrong and is being rebuilt.";

/** Dead rows that an entry removes at most: one of a client, so that it costs hardly more. */
const SWEPT_MAX = 4;
/** And one that was made for it, within a millisecond. */
const SWEPT_BY_TIME_MAX = 256;

/** Hears of every entry that took its turn; null answers were given before and are forgotten. */
export interface AppliedListener {
  onApplied(session: number, sequence: number, answer: AppliedAnswer | null): void;
  /** The next thing to happen is that this command changes the state. */
  onApplying(session: number, sequence: number): void;
  onRegistered(node: string, boot: string, session: number): void;
  /** The session is unknown here: the command was not executed, and never will be (LEAD8). */
  onExpired(session: number, sequence: number): void;
  /** `appliedIndex` has moved by one entry, and the next one is not applied yet. */
  onAdvanced(): void;
}

/** Turns committed entries into state, in order, each exactly once (Raft §5.3; LEAD8). */
export class Applier {
  readonly #raft: Raft;
  readonly #memtable: Memtable;
  readonly #machine: StateMachine;
  readonly sessions: SessionTable = new SessionTable();
  /** For those who follow the keyspace. */
  readonly changes: ChangeLog = new ChangeLog();
  /** The state's hashes at some of the indexes that were passed (STO7). */
  readonly trail: HashTrail = new HashTrail();
  #rows: StateRows;
  #state: KeyspaceState;
  #generation = 0;
  #appliedIndex: LogIndex = 0;
  #appliedTerm: Term = 0;
  #logTime: WallClock = 0;
  #halted: string | null = null;
  #damage: string | null = null;
  /** Entry rows of the last checkpoint, which the next one replaces. */
  #entryRows: string[] = [];

  constructor(raft: Raft, memtable: Memtable, machine: StateMachine) {
    this.#raft = raft;
    this.#memtable = memtable;
    this.#machine = machine;
    this.#rows = this.rowsOf(0, NO_ROWS);
    this.#state = this.#stateOf(0, NO_KEYS);
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get appliedTerm(): Term {
    return this.#appliedTerm;
  }

  get logTime(): WallClock {
    return this.#logTime;
  }

  get counts(): KeyCounts {
    return this.#state.counts;
  }

  /** Whether an entry of this time would find keys to remove. */
  isDue(time: WallClock): boolean {
    return this.#state.isDue(time);
  }

  get generation(): number {
    return this.#generation;
  }

  get state(): StateReader {
    return this.#state;
  }

  /** Why nothing more is applied here (GEN5); null while all is well. */
  get halted(): string | null {
    return this.#halted;
  }

  /**
   * Why this state is known to be wrong (STO7); null while nothing is. Nothing is applied to it or
   * read from it any more, until a snapshot takes its place.
   */
  get damage(): string | null {
    return this.#damage;
  }

  /** The rows in use. */
  get stateRows(): StateRows {
    return this.#rows;
  }

  /** The state is known to be wrong. Alone, there is nobody to have a better one from: it halts. */
  declareDamaged(reason: string): void {
    if (this.#damage !== null || this.#halted !== null) return;
    if (this.#raft.options.voters.length === 1) {
      return this.#halt(
        this.#appliedIndex,
        `the state is damaged, and no replica has it: ${reason}`,
      );
    }
    this.#damage = reason;
    this.trail.clear();
    this.#raft.trace("damaged", `index=${this.#appliedIndex} ${reason}`);
  }

  /** Applies what is committed, up to the limit of one turn. True when more is waiting. */
  applyCommitted(listener: AppliedListener): boolean {
    const { commitIndex, log, options } = this.#raft;
    const until = Math.min(commitIndex, this.#appliedIndex + options.limits.applyEntriesMax);
    while (this.#appliedIndex < until && this.#isSound) {
      const index = this.#appliedIndex + 1;
      const entry = log.entry(index);
      if (!this.#apply(entry, index, listener)) break;
      assert(this.#appliedIndex === index, "an entry took its turn and was not counted");
      listener.onAdvanced();
      if (options.traced) {
        this.#raft.trace("apply", `index=${index} term=${entryTerm(entry)} hash=${crc32(entry)}`);
      }
    }
    return this.#isSound && this.#appliedIndex < commitIndex;
  }

  get #isSound(): boolean {
    if (this.#raft.options.mutant === "S27") return this.#halted === null;
    return this.#halted === null && this.#damage === null;
  }

  /** `clock` is what log time would be now, by which the reply says how long keys have to live. */
  read(payload: Uint8Array, clock: WallClock): Reply {
    if (this.#halted !== null) return error("HALTED", `This keyspace is halted: ${this.#halted}`);
    if (this.#damage !== null) return error("REBUILDING", REBUILDING);
    try {
      return this.#machine.read(payload, this.#state, Math.max(clock, this.#logTime));
    } catch (failure) {
      if (!(failure instanceof CheckpointError)) throw failure;
      // A read changes nothing, so nothing is half done.
      this.declareDamaged(failure.message);
      return error("REBUILDING", REBUILDING);
    }
  }

  /** As `read`; null where it saw a key whose deadline the clock has passed, not yet log time. */
  readUnlessDue(payload: Uint8Array, clock: WallClock): Reply | null {
    this.#state.soonest = Number.POSITIVE_INFINITY;
    const reply = this.read(payload, clock);
    return this.#state.soonest <= clock ? null : reply;
  }

  /** False when applying failed: the entry's changes are undone and the keyspace halts (GEN5). */
  #apply(entry: EntryBytes, index: LogIndex, listener: AppliedListener): boolean {
    this.#logTime = Math.max(this.#logTime, entryTime(entry));
    const { mutant } = this.#raft.options;
    this.#state.begin(mutant === "L50" ? this.#raft.wallMs : index, this.#logTime);
    if (entryVersion(entry) > SEMANTICS_VERSION) {
      this.#halt(index, `semantics version ${entryVersion(entry)} is newer than this software`);
      return false;
    }
    if (entryKind(entry) === "register") {
      this.#register(entry, index, listener);
      return true;
    }
    const session = entrySession(entry);
    if (session !== 0) return this.#applyOnce(entry, index, session, listener);
    this.#passed(entry, index);
    return true;
  }

  /**
   * Before anybody hears of the entry: who then reads the state must be told how far it has come.
   */
  #passed(entry: EntryBytes, index: LogIndex): void {
    this.#sweep(entryKind(entry) === "time" ? SWEPT_BY_TIME_MAX : SWEPT_MAX);
    this.#appliedIndex = index;
    this.#appliedTerm = entryTerm(entry);
    this.trail.note(index, this.#rows);
  }

  #sweep(rowsMax: number): void {
    if (!this.#state.isDue(this.#logTime)) return;
    try {
      this.#state.sweep(rowsMax);
    } catch (failure) {
      if (!(failure instanceof CheckpointError)) throw failure;
      this.declareDamaged(failure.message);
    }
  }

  #applyOnce(entry: EntryBytes, index: LogIndex, id: number, listener: AppliedListener): boolean {
    const sequence = entrySequence(entry);
    const session = this.sessions.get(id);
    if (session === undefined || this.#isLate(entry)) {
      this.#passed(entry, index);
      listener.onExpired(id, sequence);
      return true;
    }
    const duplicate = this.sessions.isDuplicate(session, sequence);
    if (duplicate && this.#raft.options.mutant !== "L21") {
      this.#passed(entry, index);
      listener.onApplied(id, sequence, this.sessions.answerTo(session, sequence));
      return true;
    }
    listener.onApplying(id, sequence);
    const reply = this.#execute(entry, index);
    if (reply === null) return false;
    const answer = { reply, term: entryTerm(entry), index };
    this.#passed(entry, index);
    if (!duplicate) this.sessions.record(session, sequence, entryFloor(entry), answer);
    listener.onApplied(id, sequence, answer);
    return true;
  }

  /** The mistake L41: whether a session has ended is asked of this node's own clock. */
  #isLate(entry: EntryBytes): boolean {
    const { options, wallMs } = this.#raft;
    return options.mutant === "L41" && wallMs - entryTime(entry) > L41_MS;
  }

  /**
   * Looks at the state as it will be if all that the log holds is applied; nothing stays changed.
   * What lies behind an entry that cannot be applied is not foreseen.
   */
  foresee<T>(look: (state: StateReader) => T): T {
    const { log } = this.#raft;
    try {
      for (let index = this.#appliedIndex + 1; index <= log.lastIndex; index += 1) {
        const entry = log.entry(index);
        if (entryKind(entry) !== "command" || entryVersion(entry) > SEMANTICS_VERSION) continue;
        this.#machine.apply(entryPayload(entry), this.#state, this.#logTime);
      }
      return look(this.#state);
    } catch {
      this.#state.rollBack();
      return look(this.#state);
    } finally {
      this.#state.rollBack();
    }
  }

  #execute(entry: EntryBytes, index: LogIndex): Reply | null {
    if (entryKind(entry) === "noop") {
      return error("TIMEOUT", "The caller gave up before the write was proposed.", "not-applied");
    }
    try {
      const reply = this.#machine.apply(entryPayload(entry), this.#state, this.#logTime);
      this.#state.commit();
      return reply;
    } catch (failure) {
      this.#state.rollBack();
      if (failure instanceof CheckpointError) this.declareDamaged(failure.message);
      else this.#halt(index, failure instanceof Error ? failure.message : "unknown failure");
      return null;
    }
  }

  #register(entry: EntryBytes, index: LogIndex, listener: AppliedListener): void {
    const [node = "", boot = ""] = decodeUtf8(entryPayload(entry)).split("\0");
    this.#passed(entry, index);
    listener.onRegistered(node, boot, this.sessions.register(node, boot, index));
  }

  #halt(index: LogIndex, reason: string): void {
    this.#halted = `entry ${index}: ${reason}`;
    this.#raft.trace("halted", this.#halted);
  }

  /** Puts what the memtable does not hold yet there: the checkpoint that follows takes it along. */
  writeRows(): void {
    const { log, options } = this.#raft;
    const prefix = groupPrefix(options.group);
    this.#memtable.put(prefix + META, encodeMeta(this.#meta()));
    this.#writeSessions(prefix);
    for (const key of this.#entryRows) this.#memtable.delete(key);
    this.#entryRows = [];
    const restart = this.#restart;
    // Entries that are not applied yet may lie in log segments that this checkpoint frees. Those
    // that wait for their group come behind it: they would be replayed on top of themselves.
    for (let index = restart.index + 1; index <= this.#raft.writtenIndex; index += 1) {
      const key = prefix + ENTRIES + bigEndian(index);
      this.#memtable.put(key, log.entry(index));
      this.#entryRows.push(key);
    }
  }

  /** Where applying goes on after a restart from the checkpoint that begins. */
  get #restart(): { readonly index: LogIndex; readonly term: Term } {
    const { options, commitIndex, log } = this.#raft;
    const applied = { index: this.#appliedIndex, term: this.#appliedTerm };
    if (options.mutant !== "L34") return applied;
    return { index: commitIndex, term: log.termAt(commitIndex) ?? applied.term };
  }

  #writeSessions(prefix: string): void {
    const from = prefix + SESSIONS;
    const old = [...this.#memtable.rows(from, prefix + afterTable(SESSIONS))];
    for (const [key] of old) this.#memtable.delete(key);
    const writer = new ByteWriter();
    for (const session of this.sessions.all()) {
      this.sessions.encode(session, writer);
      this.#memtable.put(from + bigEndian(session.id), writer.take());
    }
  }

  #meta(): GroupMeta {
    const { log, options, term, vote } = this.#raft;
    const restart = this.#restart;
    return {
      term,
      vote,
      appliedIndex: restart.index,
      appliedTerm: restart.term,
      logTime: this.#logTime,
      generation: this.#generation,
      counts: this.#state.counts,
      hash: this.#rows.hash,
      isDamaged: this.#damage !== null,
      voters: options.voters,
      termStarts: log.termStarts,
    };
  }

  /** Takes over a checkpoint's or a snapshot's state: its values lie in the memtable already. */
  restore(meta: GroupMeta, generation: number, sessions: readonly Uint8Array[]): void {
    assert(meta.appliedIndex >= this.#appliedIndex, "state never goes back");
    this.#appliedIndex = meta.appliedIndex;
    this.#appliedTerm = meta.appliedTerm;
    this.#logTime = meta.logTime;
    this.#generation = generation;
    this.changes.reset(meta.appliedIndex);
    this.#rows = this.rowsOf(generation, meta.hash);
    this.#state = this.#stateOf(generation, meta.counts);
    this.#state.begin(meta.appliedIndex, meta.logTime);
    this.#damage = meta.isDamaged ? "it was when the node was stopped" : null;
    this.trail.clear();
    this.sessions.clear();
    for (const row of sessions) this.sessions.restore(new ByteReader(row));
  }

  /** The rows of one generation: [from, to). */
  generationRange(generation: number): readonly [from: string, to: string] {
    const prefix = groupPrefix(this.#raft.options.group) + DATA;
    return [prefix + String(generation), prefix + String(generation + 1)];
  }

  /** What a snapshot carries: the values of one generation, the group's row, its sessions. */
  snapshotRanges(generation: number): readonly (readonly [from: string, to: string])[] {
    const prefix = groupPrefix(this.#raft.options.group);
    const table = (name: string) => [prefix + name, prefix + afterTable(name)] as const;
    return [this.generationRange(generation), table(META), table(SESSIONS)];
  }

  /** Everything of the group: [from, to). */
  groupRange(): readonly [from: string, to: string] {
    return [groupPrefix(this.#raft.options.group), groupEnd(this.#raft.options.group)];
  }

  /** The rows of a generation, of which this is the hash. */
  rowsOf(generation: number, hash: RowHashText): StateRows {
    const [from, to] = this.generationRange(generation);
    return new StateRows(this.#memtable, from, to, hash);
  }

  #stateOf(generation: number, counts: KeyCounts): KeyspaceState {
    const [prefix] = this.generationRange(generation);
    return new KeyspaceState(this.#rows, prefix, counts, this.changes);
  }

  /** All rows of the keyspace, which replicas that have applied the same entries have in common. */
  *rows(): Generator<Row> {
    const [from, to] = this.generationRange(this.#generation);
    for (const [key, value] of this.#memtable.rows(from, to)) {
      yield [key.slice(from.length), value];
    }
  }

  noteRestoredEntryRow(key: string): void {
    this.#entryRows.push(key);
  }
}
