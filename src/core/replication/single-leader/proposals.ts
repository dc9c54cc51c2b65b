import { assert, defined } from "../../base/assert.ts";
import { encodeUtf8 } from "../../base/bytes.ts";
import { NumberMap } from "../../base/number-map.ts";
import type { LogPlace } from "../../contract/group.ts";
import type { Instant, LogIndex, NodeId, Term, WallClock } from "../../contract/ids.ts";
import { error, integer, OK, type Reply } from "../../contract/reply.ts";
import type { AppliedAnswer } from "../../sessions/session-table.ts";
import type { AppliedListener, Applier } from "./applier.ts";
import { type ConcernNeed, needOf } from "./concern.ts";
import {
  entryKind,
  entrySequence,
  entrySession,
  entryTime,
  makeEntry,
  stampEntry,
} from "./entry.ts";
import { confirmedRound, durableCount, ownTermCommitted } from "./leader.ts";
import { LogClock } from "./log-clock.ts";
import type { EntryBytes, ForwardAnswer, ForwardItem, SingleLeaderMessage } from "./messages.ts";
import { PLACE_LOST, standingOf } from "./place.ts";
import type { Raft } from "./raft.ts";

type Forward = Extract<SingleLeaderMessage, { kind: "forward" }>;
type WriteItem = Extract<ForwardItem, { kind: "write" }>;
type ReadItem = Extract<ForwardItem, { kind: "read" }>;
type WaitItem = Extract<ForwardItem, { kind: "wait" }>;

/** A write whose sender waits for an answer. */
interface PendingWrite {
  readonly to: NodeId;
  readonly session: number;
  readonly sequence: number;
  readonly need: ConcernNeed;
  readonly deadline: Instant;
  readonly index: LogIndex;
  /** Set once applied; then only the concern is missing. */
  answer: AppliedAnswer | null;
  /** Answered before it was applied, as its concern allows. */
  told: boolean;
}

/** A read that was evaluated, and whose answer waits for proof that we still led (LEAD5). */
interface EvaluatedRead {
  readonly to: NodeId;
  readonly ticket: number;
  readonly reply: Reply;
  /** How far the state had come that it saw. */
  readonly term: Term;
  readonly index: LogIndex;
  /** The confirmation round that must be acknowledged; 0 until the turn ends. */
  round: number;
}

interface PendingWait {
  readonly to: NodeId;
  readonly item: WaitItem;
  readonly deadline: Instant;
  /** Where the write stands; null if it is nowhere, and so was lost. */
  readonly place: LogPlace | null;
}

/** A read of a key that the clock says is dead, and log time does not yet (GEN7). */
interface DueRead {
  readonly to: NodeId;
  readonly item: ReadItem;
  readonly index: LogIndex;
}

const NO_ANSWERS: readonly ForwardAnswer[] = [];

/** What one node has forwarded to us, as its current leader. */
interface Stream {
  readonly from: NodeId;
  readonly stream: number;
  readonly session: number;
  count: number;
  acknowledged: number;
  /** Replies sent in it: their numbers tell the sender whether it missed one. */
  replies: number;
  floor: number;
}

/** A registration that was asked for: the stream number only goes back in its answer. */
interface Registration {
  readonly to: NodeId;
  readonly boot: string;
  readonly stream: number;
}

/** What waits for one session's writes to be applied. */
interface SessionDesk {
  /** The highest sequence in our log, applied or not. */
  proposed: number;
  /**
   * Where the sequences lie that an earlier leader put into our log and that are not applied yet.
   */
  readonly inherited: Map<number, LogIndex>;
  readonly writes: NumberMap<PendingWrite>;
  /** Reads by the sequence right after which they are evaluated. */
  readonly readsAfter: Map<number, { readonly to: NodeId; readonly item: ReadItem }[]>;
}

/**
 * The leader's side of LEAD8: takes in what nodes forward for their clients (this node's own
 * clients come the same way), puts writes into the log, evaluates reads, and answers.
 *
 * Each node's items arrive as a stream, in order and without gaps, so the order in which we take
 * them is the program order of every connection behind it (GEN2). A read is evaluated exactly
 * between the writes that its connection sent before and after it: at once when nothing of its
 * session is pending, else right after the write it follows is applied. It is answered when a
 * majority has confirmed, in a round begun after the read arrived, that we still lead; so what it
 * saw was current then.
 */
export class Proposals implements Omit<AppliedListener, "onApplying"> {
  readonly #raft: Raft;
  readonly #applier: Applier;
  readonly #streams = new Map<NodeId, Stream>();
  readonly #desks = new Map<number, SessionDesk>();
  /** Items that wait for an entry of our own term to be committed before any read is evaluated. */
  #heldReads: { readonly to: NodeId; readonly session: number; readonly item: ReadItem }[] = [];
  /** Reads of sessions that have seen an entry of our log which is not applied yet (LEAD7). */
  #awaitingPlace: { readonly to: NodeId; readonly item: ReadItem }[] = [];
  #reads: EvaluatedRead[] = [];
  #writesShort = new Set<PendingWrite>();
  #waits: PendingWait[] = [];
  /** Sessions that an entry of our log will open when it is applied. */
  readonly #opening = new Set<number>();
  readonly #registering = new Map<string, Registration>();
  #answers = new Map<NodeId, ForwardAnswer[]>();
  #registered: { readonly registration: Registration; readonly session: number }[] = [];
  readonly #clock: LogClock;
  /** Reads of keys that are due: each waits for the entry that makes log time reach its arrival. */
  #dueReads: DueRead[] = [];
  /** The latest entry that was made only to move log time on. */
  #timeIndex: LogIndex = 0;
  #now: Instant = 0;

  constructor(raft: Raft, applier: Applier) {
    this.#raft = raft;
    this.#applier = applier;
    this.#clock = new LogClock(raft);
  }

  /** A new term of leading: nothing that was forwarded to an earlier one concerns us any more. */
  begin(): void {
    this.end();
    const { log } = this.#raft;
    this.#clock.begin(this.#applier.logTime);
    for (const session of this.#applier.sessions.all()) {
      this.#desk(session.id).proposed = session.lastSequence;
    }
    for (let index = this.#applier.appliedIndex + 1; index <= log.lastIndex; index += 1) {
      const entry = log.entry(index);
      if (entryKind(entry) === "register") this.#opening.add(index);
      const id = entrySession(entry);
      if (id === 0) continue;
      const desk = this.#desk(id);
      desk.proposed = Math.max(desk.proposed, entrySequence(entry));
      desk.inherited.set(entrySequence(entry), index);
    }
  }

  /** No longer leading: the senders will ask the next leader, or time out. */
  end(): void {
    this.#streams.clear();
    this.#desks.clear();
    this.#heldReads = [];
    this.#dueReads = [];
    this.#timeIndex = 0;
    this.#awaitingPlace = [];
    this.#reads = [];
    this.#writesShort.clear();
    this.#waits = [];
    this.#opening.clear();
    this.#registering.clear();
    this.#answers.clear();
    this.#registered = [];
  }

  /** Takes the next message of a stream. Anything out of order is left for its sender to repeat. */
  onForward(from: NodeId, message: Forward, now: Instant): void {
    const leadership = this.#raft.leadership;
    if (leadership === null || message.term !== this.#raft.term) return;
    if (leadership.transfer !== null) return;
    this.#now = now;
    if (message.session === 0) return this.#onRegistration(from, message);
    const stream = this.#streamOf(from, message);
    if (stream === null || message.count !== stream.count + 1) return;
    stream.count = message.count;
    stream.floor = Math.max(stream.floor, message.floor);
    for (const item of message.items) this.#take(stream, item, now);
  }

  #streamOf(from: NodeId, message: Forward): Stream | null {
    const current = this.#streams.get(from);
    if (message.count !== 1 || (current !== undefined && !isNewer(message, current))) {
      return isSame(message, current) ? (current ?? null) : null;
    }
    const { stream, session, floor } = message;
    const fresh = { from, stream, session, count: 0, acknowledged: 0, replies: 0, floor };
    this.#streams.set(from, fresh);
    this.#dropReads(from);
    if (current !== undefined && current.session !== session) this.#dropSession(current);
    return fresh;
  }

  /**
   * Another boot of the node speaks: nobody waits for what the one before asked, and its numbers
   * mean other calls now. An answer that still came would be taken for the answer to one of those.
   */
  #dropSession({ from, session }: Stream): void {
    this.#desks.delete(session);
    this.#answers.delete(from);
    for (const write of this.#writesShort) {
      if (write.session === session) this.#writesShort.delete(write);
    }
    this.#waits = this.#waits.filter(({ to }) => to !== from);
  }

  /**
   * The reads of a stream that is over come again in the next one, and are evaluated there in their
   * places: answers from the old places would let a connection see its reads go backwards (GEN2).
   */
  #dropReads(from: NodeId): void {
    const isOthers = ({ to }: { readonly to: NodeId }) => to !== from;
    this.#heldReads = this.#heldReads.filter(isOthers);
    this.#dueReads = this.#dueReads.filter(isOthers);
    this.#reads = this.#reads.filter(isOthers);
    this.#awaitingPlace = this.#awaitingPlace.filter(isOthers);
    for (const desk of this.#desks.values()) {
      for (const [sequence, reads] of desk.readsAfter) {
        const others = reads.filter(isOthers);
        if (others.length === 0) desk.readsAfter.delete(sequence);
        else desk.readsAfter.set(sequence, others);
      }
    }
    const answers = this.#answers.get(from);
    if (answers !== undefined)
      this.#answers.set(
        from,
        answers.filter(({ sequence }) => sequence > 0),
      );
  }

  /** Of no stream: a late one must not end the stream of a session that was opened since. */
  #onRegistration(from: NodeId, message: Forward): void {
    for (const item of message.items) {
      if (item.kind === "register") this.#takeRegistration(from, item.boot, message.stream);
    }
  }

  #take(stream: Stream, item: ForwardItem, now: Instant): void {
    switch (item.kind) {
      case "register":
        return;
      case "write":
        return this.#takeWrite(stream, item, now);
      case "read":
        return this.#takeRead(stream, item);
      case "wait":
        return this.#takeWait(stream, item, now);
    }
  }

  #takeRegistration(to: NodeId, boot: string, stream: number): void {
    const key = `${to}\0${boot}`;
    const isProposed = this.#registering.has(key);
    this.#registering.set(key, { to, boot, stream });
    if (isProposed) return;
    for (const index of [...this.#opening]) {
      if (index <= this.#applier.appliedIndex) this.#opening.delete(index);
    }
    this.#opening.add(this.#propose(makeEntry("register", encodeUtf8(key)), 0, 0, 0));
  }

  #takeWrite(stream: Stream, item: WriteItem, now: Instant): void {
    const { session } = stream;
    const known = this.#applier.sessions.get(session);
    // Unknown because the entry that opens it is not applied yet is not the same as ended: its
    // writes may be in our log, and calling them "not applied" would be a lie (GEN1).
    if (known === undefined && !this.#opening.has(session)) {
      return this.onExpiredWrite(stream.from, item.sequence);
    }
    const desk = this.#desk(session);
    const { sequence } = item;
    const isProposed = sequence <= desk.proposed && this.#raft.options.mutant !== "L21";
    const isApplied = known !== undefined && sequence <= known.lastSequence;
    const answer =
      isProposed && isApplied ? this.#applier.sessions.answerTo(known, sequence) : null;
    // Applied, and its sender said that it needs no answer: a repetition that came late.
    if (isProposed && isApplied && answer === null) return;
    const index = isProposed
      ? (answer?.index ?? this.#indexOf(desk, sequence))
      : this.#propose(item.entry, session, sequence, stream.floor);
    desk.proposed = Math.max(desk.proposed, sequence);
    const { mutant, voters } = this.#raft.options;
    const concern = mutant === "L37" && item.concern !== 0 ? -1 : item.concern;
    const need = needOf(concern, voters.length);
    const deadline = now + item.deadlineMs;
    const to = stream.from;
    this.#await(desk, { to, session, sequence, need, deadline, index, answer, told: false });
  }

  /**
   * Answers the write once its concern is met; what waited for the same sequence before is void.
   */
  #await(desk: SessionDesk, write: PendingWrite): void {
    const before = desk.writes.get(write.sequence);
    if (before !== undefined) this.#writesShort.delete(before);
    if (write.answer === null) desk.writes.set(write.sequence, write);
    else if (this.#isMet(write)) return this.#answerWrite(write.to, write.sequence, write.answer);
    if (write.answer !== null || write.need.durable > 0) this.#writesShort.add(write);
  }

  /** Where a sequence lies that is in our log but not applied yet. */
  #indexOf(desk: SessionDesk, sequence: number): LogIndex {
    return defined(placeOf(desk, sequence), "a sequence was proposed but is nowhere", sequence);
  }

  #propose(entry: EntryBytes, session: number, sequence: number, floor: number): LogIndex {
    const index = this.#raft.log.lastIndex + 1;
    const { term } = this.#raft;
    const time = this.#clock.read(this.#now);
    stampEntry(entry, { index, term, time, session, sequence, floor });
    this.#raft.appendOwn(entry);
    return index;
  }

  #takeRead(stream: Stream, item: ReadItem): void {
    const to = stream.from;
    if (!this.#mayEvaluate) {
      this.#heldReads.push({ to, session: stream.session, item });
      return;
    }
    this.#placeRead(to, stream.session, stream.floor, item);
  }

  /**
   * The state must hold everything that earlier leaders confirmed. That its last entry is
   * *committed* is not enough while a backlog is still being applied: the state would lag behind it
   * (LEAD5).
   */
  get #mayEvaluate(): boolean {
    const leadership = this.#raft.leadership;
    if (leadership === null || !ownTermCommitted(this.#raft)) return false;
    return (
      this.#applier.appliedIndex >= leadership.firstIndex || this.#raft.options.mutant === "L20"
    );
  }

  #placeRead(to: NodeId, session: number, floor: number, item: ReadItem): void {
    const applied = this.#applier.sessions.get(session)?.lastSequence ?? 0;
    const { afterSequence } = item;
    const desk = this.#desk(session);
    // A write answered before it was committed is below the floor, yet still to be applied: the
    // read must see it. Below the floor and nowhere, it was lost by its own choice of concern.
    const isOver = afterSequence < floor && placeOf(desk, afterSequence) === undefined;
    const overtakes = this.#raft.options.mutant === "L57";
    if (afterSequence <= applied || isOver || overtakes) return this.#readInTime(to, session, item);
    const waiting = desk.readsAfter.get(afterSequence) ?? [];
    waiting.push({ to, item });
    desk.readsAfter.set(afterSequence, waiting);
  }

  /**
   * GEN7: a key is dead for whoever reads after its deadline. If log time has not come that far, an
   * entry takes it there first; the read then has its place behind that entry, and before the next
   * write of its connection, which is not in the log yet.
   */
  #readInTime(to: NodeId, session: number, item: ReadItem): void {
    if (item.places.length > 0 && !this.#holdsPlaces(to, item)) return;
    const time = this.#clock.read(this.#now);
    const reply = this.#applier.readUnlessDue(item.payload, time);
    if (reply !== null) return this.#evaluated(to, item, reply);
    if (this.#raft.leadership?.transfer !== null) this.#heldReads.push({ to, session, item });
    else this.#dueReads.push({ to, item, index: this.#moveTime(time) });
  }

  /** The index of an entry not yet applied that moves log time at least this far. */
  #moveTime(time: WallClock): LogIndex {
    const index = this.#timeIndex;
    const isUnderWay = index > this.#applier.appliedIndex;
    if (!isUnderWay || entryTime(this.#raft.log.entry(index)) < time) {
      this.#timeIndex = this.#propose(makeEntry("time"), 0, 0, 0);
    }
    assert(this.#timeIndex > this.#applier.appliedIndex, "a time entry that is applied already");
    return this.#timeIndex;
  }

  #evaluateDue(): void {
    while (this.#dueReads.length > 0 && this.#dueReads[0]!.index <= this.#applier.appliedIndex) {
      const { to, item } = this.#dueReads.shift()!;
      this.#evaluate(to, item);
    }
  }

  /** Keys are removed soon after they have died, whether anybody asks for them or not. */
  #sweep(): void {
    const { leadership } = this.#raft;
    if (leadership === null || leadership.transfer !== null || !this.#mayEvaluate) return;
    if (this.#timeIndex > this.#applier.appliedIndex) return;
    const time = this.#clock.read(this.#now);
    if (this.#applier.isDue(time)) this.#moveTime(time);
  }

  #evaluate(to: NodeId, item: ReadItem): void {
    if (item.places.length > 0 && !this.#holdsPlaces(to, item)) return;
    this.#evaluated(to, item, this.#applier.read(item.payload, this.#clock.read(this.#now)));
  }

  #evaluated(to: NodeId, { ticket }: ReadItem, reply: Reply): void {
    const { appliedTerm: term, appliedIndex: index } = this.#applier;
    if (this.#raft.options.mutant === "L19") {
      return this.#answer(to, { sequence: 0, ticket, reply, term, index, durable: 0 });
    }
    this.#reads.push({ to, ticket, reply, term, index, round: 0 });
  }

  /** Whether a session's read may be evaluated now; if not, it waits, or has got its answer. */
  #holdsPlaces(to: NodeId, item: ReadItem): boolean {
    const { ticket, places } = item;
    const standing = standingOf(places, this.#raft, this.#applier);
    if (standing === "lost") {
      const reply = error("SESSION_LOST", PLACE_LOST);
      this.#answer(to, { sequence: 0, ticket, reply, term: 0, index: 0, durable: 0 });
    } else if (standing === "awaited") {
      const { log } = this.#raft;
      const isOurs = places.every(({ term, index }) => log.termAt(index) === term);
      // An entry that is not ours is a later leader's: the sender will find and ask that one.
      if (isOurs) this.#awaitingPlace.push({ to, item });
    }
    return standing === "applied";
  }

  #takeWait(stream: Stream, item: WaitItem, now: Instant): void {
    const { afterSequence } = item;
    const place =
      item.index > 0 || afterSequence === 0 ? item : this.#placeOf(stream, afterSequence);
    this.#waits.push({ to: stream.from, item, deadline: now + item.deadlineMs, place });
  }

  /** Where a write stands that its sender has no answer to yet; null if it is nowhere. */
  #placeOf(stream: Stream, sequence: number): LogPlace | null {
    const session = this.#applier.sessions.get(stream.session);
    const answer =
      session === undefined ? null : this.#applier.sessions.answerTo(session, sequence);
    if (answer !== null) return answer;
    const index = placeOf(this.#desk(stream.session), sequence);
    return index === undefined ? null : { term: this.#raft.log.termAt(index) ?? 0, index };
  }

  onRegistered(node: string, boot: string, session: number): void {
    this.#opening.delete(session);
    const registration = this.#registering.get(`${node}\0${boot}`);
    if (registration === undefined) return;
    this.#registering.delete(`${node}\0${boot}`);
    this.#registered.push({ registration, session });
  }

  onApplied(session: number, sequence: number, answer: AppliedAnswer | null): void {
    const desk = this.#desks.get(session);
    if (desk === undefined) return;
    const write = desk.writes.get(sequence);
    if (write !== undefined && answer !== null) {
      desk.writes.delete(sequence);
      write.answer = answer;
      if (write.told) this.#writesShort.delete(write);
      else if (this.#isMet(write)) {
        this.#writesShort.delete(write);
        this.#answerWrite(write.to, sequence, answer);
      } else this.#writesShort.add(write);
    }
    desk.inherited.delete(sequence);
    const reads = desk.readsAfter.get(sequence);
    if (reads === undefined) return;
    desk.readsAfter.delete(sequence);
    for (const read of reads) this.#evaluate(read.to, read.item);
  }

  onExpired(session: number, sequence: number): void {
    const desk = this.#desks.get(session);
    const write = desk?.writes.get(sequence);
    if (desk === undefined || write === undefined) return;
    desk.writes.delete(sequence);
    this.#writesShort.delete(write);
    this.onExpiredWrite(write.to, sequence);
  }

  onExpiredWrite(to: NodeId, sequence: number): void {
    const reply = error("SESSION_EXPIRED", "The session was replaced; the write was not executed.");
    this.#answer(to, { sequence, ticket: 0, reply, term: 0, index: 0, durable: 0 });
  }

  #isMet(write: PendingWrite): boolean {
    if (write.need.committed && write.answer === null) return false;
    // What was not carried out has nothing to be durable, and must not be reported as applied.
    if (write.answer !== null && saysNothingDone(write.answer.reply)) return true;
    return write.need.durable === 0 || durableCount(this.#raft, write.index) >= write.need.durable;
  }

  /**
   * Held reads are placed as soon as our first entry is applied, before the next one is: behind it
   * may lie writes that their connections sent after them, and the same turn may apply those too
   * (GEN2).
   */
  onAdvanced(): void {
    if (this.#dueReads.length > 0) this.#evaluateDue();
    this.#placeHeldReads();
    if (this.#awaitingPlace.length === 0) return;
    const awaiting = this.#awaitingPlace;
    this.#awaitingPlace = [];
    for (const { to, item } of awaiting) this.#evaluate(to, item);
  }

  #placeHeldReads(): void {
    if (this.#heldReads.length === 0 || !this.#mayEvaluate) return;
    const held = this.#heldReads;
    this.#heldReads = [];
    for (const read of held) {
      const floor = this.#streams.get(read.to)?.floor ?? 0;
      this.#placeRead(read.to, read.session, floor, read.item);
    }
  }

  /** Before the peers are sent to: whether this turn needs a confirmation round for its reads. */
  beforeReplicate(now: Instant): void {
    const leadership = this.#raft.leadership;
    if (leadership === null) return;
    this.#now = now;
    this.#placeHeldReads();
    this.#sweep();
    const last = this.#reads[this.#reads.length - 1];
    if (last === undefined || last.round !== 0) return;
    const round = leadership.startRound(this.#raft.commitIndex, now);
    for (let i = this.#reads.length - 1; i >= 0 && this.#reads[i]!.round === 0; i -= 1) {
      this.#reads[i]!.round = round;
    }
  }

  /** Answers what has become answerable, and what has run out of time. */
  settle(now: Instant): void {
    if (this.#raft.leadership === null) return;
    const confirmed = confirmedRound(this.#raft);
    let answered = 0;
    for (const read of this.#reads) {
      if (read.round === 0 || read.round > confirmed) break;
      const { ticket, reply, term, index } = read;
      this.#answer(read.to, { sequence: 0, ticket, reply, term, index, durable: 0 });
      answered += 1;
    }
    if (answered > 0) this.#reads.splice(0, answered);
    if (this.#writesShort.size > 0) {
      for (const write of [...this.#writesShort]) this.#settleShort(write, now);
    }
    if (this.#waits.length > 0)
      this.#waits = this.#waits.filter((wait) => !this.#settleWait(wait, now));
  }

  #settleShort(write: PendingWrite, now: Instant): void {
    if (this.#isMet(write)) {
      this.#writesShort.delete(write);
      write.told = true;
      // Below a majority only commands whose reply does not depend on the state are let through.
      const { term } = this.#raft;
      const answer = write.answer ?? { reply: OK, term, index: write.index };
      this.#answerWrite(write.to, write.sequence, answer);
    } else if (write.answer !== null && now >= write.deadline) {
      this.#writesShort.delete(write);
      const { term, index } = write.answer;
      const held = durableCount(this.#raft, index);
      const text = `The write is committed, and ${held} of the ${write.need.durable} nodes asked for hold it durably.`;
      this.#answerWrite(write.to, write.sequence, {
        reply: error("CONCERN_UNMET", text),
        term,
        index,
      });
    }
  }

  #settleWait(wait: PendingWait, now: Instant): boolean {
    const count = this.#replicasHolding(wait);
    if (count < wait.item.replicas && now < wait.deadline) return false;
    const { term, index } = wait.place ?? wait.item;
    const reply = integer(count);
    this.#answer(wait.to, {
      sequence: 0,
      ticket: wait.item.ticket,
      reply,
      term,
      index,
      durable: count,
    });
    return true;
  }

  /** LEAD11: replicas besides the leader; none if the write was lost and another took its index. */
  #replicasHolding(wait: PendingWait): number {
    const { place } = wait;
    if (place === null || this.#raft.log.termAt(place.index) !== place.term) return 0;
    const followers = defined(this.#raft.leadership, "only a leader counts").followers;
    return followers.filter((progress) => progress.matchIndex >= place.index).length;
  }

  #answerWrite(to: NodeId, sequence: number, answer: AppliedAnswer): void {
    const { reply, term, index } = answer;
    const durable = durableCount(this.#raft, index);
    this.#answer(to, { sequence, ticket: 0, reply, term, index, durable });
  }

  #answer(to: NodeId, answer: ForwardAnswer): void {
    const answers = this.#answers.get(to);
    if (answers === undefined) this.#answers.set(to, [answer]);
    else answers.push(answer);
  }

  /** What each node gets to hear at the end of the turn. */
  takeReplies(): { readonly to: NodeId; readonly message: SingleLeaderMessage }[] {
    const out: { to: NodeId; message: SingleLeaderMessage }[] = [];
    assert(this.#raft.leadership !== null, "only a leader answers");
    const { term } = this.#raft;
    for (const { registration, session } of this.#registered) {
      const { to, boot, stream } = registration;
      const kind = "forwardReply";
      const message = {
        kind,
        term,
        stream,
        count: 1,
        session,
        boot,
        number: 0,
        answers: [],
      } as const;
      out.push({ to, message });
    }
    this.#registered = [];
    for (const stream of this.#streams.values()) {
      const answers = this.#answers.get(stream.from) ?? NO_ANSWERS;
      if (answers.length === 0 && stream.acknowledged === stream.count) continue;
      out.push({ to: stream.from, message: this.#reply(stream, answers) });
    }
    this.#answers.clear();
    return out;
  }

  #reply(stream: Stream, answers: readonly ForwardAnswer[]): SingleLeaderMessage {
    stream.acknowledged = stream.count;
    stream.replies += 1;
    return {
      kind: "forwardReply",
      term: this.#raft.term,
      stream: stream.stream,
      count: stream.count,
      session: stream.session,
      boot: "",
      number: stream.replies,
      answers,
    };
  }

  /** When a wait or a concern runs out of time. */
  deadline(): Instant | null {
    let deadline = Number.POSITIVE_INFINITY;
    for (const write of this.#writesShort) {
      if (write.answer !== null) deadline = Math.min(deadline, write.deadline);
    }
    for (const wait of this.#waits) deadline = Math.min(deadline, wait.deadline);
    return deadline === Number.POSITIVE_INFINITY ? null : deadline;
  }

  #desk(session: number): SessionDesk {
    let desk = this.#desks.get(session);
    if (desk === undefined) {
      desk = { proposed: 0, inherited: new Map(), writes: new NumberMap(), readsAfter: new Map() };
      this.#desks.set(session, desk);
    }
    return desk;
  }
}

/** A refusal, or that what the transaction had read holds no longer. */
function saysNothingDone(reply: Reply): boolean {
  return reply.kind === "error" || reply.kind === "nullArray";
}

/** Where a sequence that is not applied yet lies in our log; undefined if it does not. */
function placeOf(desk: SessionDesk, sequence: number): LogIndex | undefined {
  return desk.writes.get(sequence)?.index ?? desk.inherited.get(sequence);
}

function isSame(message: Forward, stream: Stream | undefined): boolean {
  return message.session === stream?.session && message.stream === stream.stream;
}

/** A later boot of the node has a higher session, and counts its streams from the beginning. */
function isNewer(message: Forward, stream: Stream): boolean {
  if (message.session !== stream.session) return message.session > stream.session;
  return message.stream > stream.stream;
}
