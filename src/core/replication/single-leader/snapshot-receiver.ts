import { assert } from "../../base/assert.ts";
import { ByteReader, FormatError } from "../../base/bytes.ts";
import { NO_ROWS } from "../../base/row-hash.ts";
import type { Instant, NodeId, Term } from "../../contract/ids.ts";
import type { Memtable } from "../../log/memtable.ts";
import {
  isNextChunk,
  SNAPSHOT_CHUNK_HEADER_BYTES,
  type SnapshotFiles,
} from "../../log/snapshot-file.ts";
import type { Applier } from "./applier.ts";
import { hearLeader } from "./follower.ts";
import { GenerationWiper } from "./generation-wiper.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Out, Raft } from "./raft.ts";
import {
  DATA,
  decodeMeta,
  encodeIncoming,
  type GroupMeta,
  groupPrefix,
  INCOMING,
  type IncomingRow,
  isSameSnapshot,
  META,
  SESSIONS,
  type SnapshotId,
} from "./rows.ts";
import { seedOf } from "./snapshot-spool.ts";
import type { StateRows } from "./state-rows.ts";

type OfferSnapshot = Extract<SingleLeaderMessage, { kind: "offerSnapshot" }>;
type InstallSnapshot = Extract<SingleLeaderMessage, { kind: "installSnapshot" }>;

/**
 * - `wiping`: what was in the generation has to go first.
 * - `filling`: rows are put there as they come.
 * - `installed`: in force in memory; acknowledged once a checkpoint that began later is durable.
 */
type Phase = "wiping" | "filling" | "installed";

/** A snapshot that is arriving, or has arrived and waits to be durable. */
interface Incoming {
  readonly id: SnapshotId;
  readonly generation: number;
  readonly rows: StateRows;
  phase: Phase;
  /** Who sends it now; null since a restart. */
  from: NodeId | null;
  term: Term;
  /** The leader waits to be told where to go on. */
  isOwed: boolean;
  /** Where the chunk begins that is wanted next, and the checksum of all before it. */
  offset: number;
  crc: number;
  /** The same as a checkpoint may keep it: behind values only, which are rows of the generation. */
  kept: Pick<IncomingRow, "offset" | "crc" | "filled">;
  meta: GroupMeta | null;
  sessions: Uint8Array[];
  /** The log goes on behind the snapshot, and was not begun anew. */
  keepsLog: boolean;
  frozen: boolean;
  durable: boolean;
}

/** What snapshots are put into, at the receiver. */
export interface ReceiverParts {
  readonly memtable: Memtable;
  readonly files: SnapshotFiles;
  readonly requestCheckpoint: () => void;
}

/**
 * Takes snapshots in (Raft §7, STO9): fills a generation of rows that nobody reads, switches to it
 * when all of it is there and has the hash that it should have, and acknowledges only when a
 * checkpoint has made the switch durable. Until then a crash leaves the replica with what it had
 * before, and the log after the switch rests on nothing.
 *
 * How far it has come is a row of the same checkpoints as what was filled in. So after a broken
 * link, a restart or a change of leaders it goes on from there, if the snapshot is of the same
 * state.
 */
export class SnapshotReceiver {
  readonly #raft: Raft;
  readonly #applier: Applier;
  readonly #parts: ReceiverParts;
  readonly #wiper: GenerationWiper;
  #incoming: Incoming | null = null;
  #requestedAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(raft: Raft, applier: Applier, parts: ReceiverParts) {
    this.#raft = raft;
    this.#applier = applier;
    this.#parts = parts;
    this.#wiper = new GenerationWiper(parts.memtable);
  }

  /**
   * A snapshot is in force in memory but not yet on disk, and the log begins behind it: nothing may
   * be appended there.
   */
  get isInstalling(): boolean {
    return this.#incoming?.phase === "installed" && !this.#incoming.keepsLog;
  }

  /** After recovery: what a checkpoint holds of a snapshot that was arriving, if anything. */
  restored(row: IncomingRow | null): void {
    const unused = 1 - this.#applier.generation;
    const isWanted = (id: SnapshotId) => id.index > this.#applier.appliedIndex || this.#isDamaged;
    if (row === null || row.generation !== unused || !isWanted(row.id)) {
      return this.#wiper.start(this.#applier.generationRange(unused));
    }
    this.#incoming = this.#begun(row.id, "filling", row);
    this.#raft.trace("snapshot-resumed", `index=${row.id.index} offset=${row.offset}`);
  }

  get #isDamaged(): boolean {
    return this.#applier.damage !== null;
  }

  #begun(id: SnapshotId, phase: Phase, kept: Incoming["kept"]): Incoming {
    const generation = 1 - this.#applier.generation;
    return {
      id,
      generation,
      rows: this.#applier.rowsOf(generation, kept.filled),
      phase,
      from: null,
      term: 0,
      isOwed: false,
      offset: kept.offset,
      crc: kept.crc,
      kept,
      meta: null,
      sessions: [],
      keepsLog: false,
      frozen: false,
      durable: false,
    };
  }

  /** The node begins a checkpoint, which takes along how far the snapshot has come. */
  onFreeze(): void {
    const incoming = this.#incoming;
    const { memtable } = this.#parts;
    const key = groupPrefix(this.#raft.options.group) + INCOMING;
    if (incoming !== null && incoming.phase === "filling" && incoming.kept.offset > 0) {
      const { id, generation, kept } = incoming;
      memtable.put(key, encodeIncoming({ id, generation, ...kept }));
    } else memtable.delete(key);
    if (incoming?.phase === "installed") incoming.frozen = true;
  }

  /** That checkpoint is durable. */
  onCheckpoint(): void {
    if (this.#incoming?.frozen) this.#incoming.durable = true;
  }

  onOffer(from: NodeId, offer: OfferSnapshot, now: Instant, out: Out): void {
    if (!this.#hears(from, offer.term, offer.id, now, out)) return;
    const current = this.#incoming;
    if (current?.phase === "installed") {
      if (isSameSnapshot(current.id, offer.id)) this.#isFrom(current, from, offer.term);
      return;
    }
    const isKnown = current !== null && isSameSnapshot(current.id, offer.id);
    // A late one of a snapshot that its leader has replaced since.
    if (!isKnown && current?.term === offer.term && offer.id.index < current.id.index) return;
    const incoming = isKnown && !offer.fresh ? current : this.#beginAnew(offer.id);
    this.#isFrom(incoming, from, offer.term);
    incoming.isOwed = true;
  }

  #isFrom(incoming: Incoming, from: NodeId, term: Term): void {
    incoming.from = from;
    incoming.term = term;
  }

  /** False where there is nothing to take in: a deposed leader, or a state that is here already. */
  #hears(from: NodeId, term: Term, id: SnapshotId, now: Instant, out: Out): boolean {
    if (!hearLeader(this.#raft, from, term, now)) {
      this.#reply(from, id, 0, false, out);
      return false;
    }
    if (this.isInstalling) return true;
    if (this.#isDamaged) return id.index >= this.#applier.appliedIndex;
    if (this.#incoming?.phase === "installed" || !this.#holds(id)) return true;
    this.#raft.commitTo(id.index);
    this.#reply(from, id, 0, true, out);
    return false;
  }

  /**
   * Whether the log reaches the snapshot's last entry and agrees with it there (Raft §7). The
   * entries behind it may have been acknowledged and counted: to reset the log would lose them.
   */
  #holds({ index, term }: SnapshotId): boolean {
    const { commitIndex, log, options } = this.#raft;
    if (options.mutant === "L33") return false;
    return index <= commitIndex || log.termAt(index) === term;
  }

  #beginAnew(id: SnapshotId): Incoming {
    const crc = seedOf({ files: this.#parts.files, group: this.#raft.options.group }, id);
    const { generation } = this.#applier;
    if (this.#raft.options.mutant !== "S24") {
      this.#wiper.start(this.#applier.generationRange(1 - generation));
    }
    this.#incoming = this.#begun(id, "wiping", { offset: 0, crc, filled: NO_ROWS });
    return this.#incoming;
  }

  onInstall(from: NodeId, message: InstallSnapshot, now: Instant, out: Out): void {
    if (!this.#hears(from, message.term, message.id, now, out)) return;
    const incoming = this.#incoming;
    if (incoming === null || incoming.phase !== "filling") return;
    const { mutant } = this.#raft.options;
    if (!isSameSnapshot(incoming.id, message.id) && mutant !== "L35") return;
    const isBlind = mutant === "S22" || mutant === "L35";
    // Another one than the next: the leader will ask where to go on.
    if (message.offset !== incoming.offset && !(isBlind && message.offset > incoming.offset))
      return;
    this.#isFrom(incoming, from, message.term);
    const { checksum } = this.#parts.files;
    const { rows, crc } = message;
    const isNext = isBlind || isNextChunk(rows, incoming.crc, crc, checksum);
    if (!isNext || !this.#takeRows(incoming, rows)) return this.#refuse(incoming);
    incoming.offset = message.offset + SNAPSHOT_CHUNK_HEADER_BYTES + rows.length;
    incoming.crc = crc;
    this.#keep(incoming);
    if (!message.done) incoming.isOwed = true;
    else if ((isBlind && incoming.meta !== null) || this.#fits(incoming)) this.#install(incoming);
    else this.#refuse(incoming);
  }

  /** What is behind the values is in no row yet: a restart has to get it again. */
  #keep(incoming: Incoming): void {
    const { offset, crc, rows, meta, sessions } = incoming;
    if (meta !== null || sessions.length > 0) return;
    incoming.kept = { offset, crc, filled: rows.hash };
  }

  #refuse(incoming: Incoming): void {
    this.#raft.trace("snapshot-refused", `from=${incoming.from} index=${incoming.id.index}`);
    const { from, term } = incoming;
    const fresh = this.#beginAnew(incoming.id);
    if (from !== null) this.#isFrom(fresh, from, term);
  }

  /** False when the bytes are no rows of this group. */
  #takeRows(incoming: Incoming, bytes: Uint8Array): boolean {
    const reader = new ByteReader(bytes);
    const [prefix] = this.#applier.generationRange(incoming.generation);
    try {
      while (reader.remaining > 0) {
        const key = reader.byteString();
        const value = reader.bytes().slice();
        if (key.startsWith(DATA)) incoming.rows.put(prefix + key.slice(DATA.length), value);
        else if (key.startsWith(SESSIONS)) this.#takeSession(incoming, value);
        else if (key === META) incoming.meta = decodeMeta(value);
        else return false;
      }
      return true;
    } catch (failure) {
      if (failure instanceof FormatError) return false;
      throw failure;
    }
  }

  #takeSession(incoming: Incoming, row: Uint8Array): void {
    if (this.#raft.options.mutant !== "L31") incoming.sessions.push(row);
  }

  #fits({ meta, id, rows }: Incoming): boolean {
    if (meta === null || meta.appliedIndex !== id.index || meta.appliedTerm !== id.term) {
      return false;
    }
    return rows.hash === id.hash && meta.hash === id.hash;
  }

  #install(incoming: Incoming): void {
    const { meta } = incoming;
    const raft = this.#raft;
    assert(meta !== null, "a snapshot that does not say what it is");
    const { appliedIndex: index, appliedTerm: term } = meta;
    // The entries behind it were acknowledged: a replica that only lost its state keeps them.
    incoming.keepsLog = this.#isDamaged && raft.log.termAt(index) === term;
    assert(incoming.keepsLog || index > raft.commitIndex, "an old snapshot");
    this.#applier.restore(meta, incoming.generation, incoming.sessions);
    if (!incoming.keepsLog) {
      // Entries that this node appended as a leader deposed in this very turn: sent to nobody, and
      // on the disk they would follow nothing.
      raft.unwritten = [];
      raft.log.reset(index, term, meta.termStarts);
    }
    raft.commitTo(index);
    incoming.phase = "installed";
    // An offer of the same turn may have asked for a place: this answers it, once it is durable.
    incoming.isOwed = false;
    incoming.sessions = [];
    raft.trace("snapshot-switch", `index=${index} term=${term}`);
    this.#parts.requestCheckpoint();
    if (raft.options.mutant === "S21") incoming.durable = true;
  }

  /** Whether nothing arrives or is cleared away, and nothing is asked for. */
  get isIdle(): boolean {
    return this.#incoming === null && !this.#wiper.isWorking && !this.#isDamaged;
  }

  /** Whether `settle` has something to do though nothing arrives. */
  get isDue(): boolean {
    if (this.#incoming?.durable) return true;
    const isWaiting = this.#wiper.isWorking || (this.#incoming?.isOwed ?? false);
    return isWaiting && this.#hasRoom;
  }

  /**
   * What a snapshot fills in or removes is bounded by what checkpoints take away: while one is
   * under way and much has gathered behind it, the sender is not answered.
   */
  get #hasRoom(): boolean {
    const { memtable } = this.#parts;
    const { snapshotMemtableBytesMax } = this.#raft.options.limits;
    return !memtable.isFrozen || memtable.bytes < snapshotMemtableBytesMax;
  }

  /** Once per turn. */
  settle(now: Instant, out: Out): void {
    if (this.#wiper.isWorking && this.#hasRoom) {
      this.#wiper.work(this.#raft.options.limits.wipeRowsMax);
    }
    const incoming = this.#incoming;
    if (incoming?.phase === "wiping" && !this.#wiper.isWorking) incoming.phase = "filling";
    if (incoming?.phase === "installed") {
      if (incoming.durable) this.#acknowledge(incoming, out);
    } else if (incoming !== null) this.#goOn(incoming, out);
    if (this.#isDamaged) this.#maybeRequest(now, out);
  }

  #acknowledge(incoming: Incoming, out: Out): void {
    const { id, from, term } = incoming;
    this.#incoming = null;
    this.#wiper.start(this.#applier.generationRange(1 - this.#applier.generation));
    if (from !== null && term === this.#raft.term) this.#reply(from, id, 0, true, out);
  }

  #goOn(incoming: Incoming, out: Out): void {
    const { id, from, term } = incoming;
    // The log has overtaken it: rows that nobody will ever read need not stay.
    if (!this.#isDamaged && id.index <= this.#raft.commitIndex) {
      this.#raft.trace("snapshot-abandoned", `index=${id.index}`);
      this.#incoming = null;
      return this.#wiper.start(this.#applier.generationRange(incoming.generation));
    }
    if (!incoming.isOwed || incoming.phase !== "filling" || !this.#hasRoom) return;
    incoming.isOwed = false;
    if (from === null || term !== this.#raft.term) return;
    this.#reply(from, id, incoming.offset, false, out);
  }

  /** Asks the leader for its state (STO7); from time to time again, as long as nothing comes. */
  #maybeRequest(now: Instant, out: Out): void {
    const { leader, term, options } = this.#raft;
    if (leader === null || leader === options.node) return;
    if (now - this.#requestedAt < options.timing.electionTimeoutMs) return;
    this.#requestedAt = now;
    const fromIndex = this.#applier.appliedIndex;
    out.send(leader, { kind: "requestSnapshot", term, fromIndex });
  }

  #reply(to: NodeId, id: SnapshotId, offset: number, installed: boolean, out: Out): void {
    const { term } = this.#raft;
    const reply = { kind: "snapshotReply", term, id, offset, installed } as const;
    // Behind earlier writes: "installed" also says that what was here already is on disk.
    if (installed) out.sendAfterWrite(to, reply);
    else out.send(to, reply);
  }
}
