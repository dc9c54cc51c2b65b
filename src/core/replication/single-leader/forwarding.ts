import { assert, defined } from "../../base/assert.ts";
import { NumberMap } from "../../base/number-map.ts";
import { Slab } from "../../base/slab.ts";
import {
  type GroupCall,
  type GroupReply,
  type LogPlace,
  NO_META,
  type ReplyMeta,
} from "../../contract/group.ts";
import type {
  ConnectionId,
  Instant,
  LogIndex,
  NodeId,
  RequestId,
  Term,
} from "../../contract/ids.ts";
import { error, type Reply } from "../../contract/reply.ts";
import type { Applier } from "./applier.ts";
import { encodeConcern } from "./concern.ts";
import { makeEntry } from "./entry.ts";
import type { EntryBytes, ForwardAnswer, ForwardItem, SingleLeaderMessage } from "./messages.ts";
import type { Out, Raft } from "./raft.ts";

type Forward = Extract<SingleLeaderMessage, { kind: "forward" }>;
type ForwardReply = Extract<SingleLeaderMessage, { kind: "forwardReply" }>;

type ForwardedCall = Exclude<GroupCall, { kind: "transfer" | "replicaRead" | "changes" }>;
type ReplicaRead = Extract<GroupCall, { kind: "replicaRead" }>;
type OpenCall = Exclude<GroupCall, { kind: "transfer" | "forget" | "changes" }>;

interface Call {
  /** Counts the calls of this node: their order of arrival. */
  readonly order: number;
  readonly ticket: RequestId;
  readonly connection: ConnectionId;
  readonly deadline: Instant;
  readonly bytes: number;
  readonly kind: "write" | "read" | "wait";
  /** When it came, for the age of what a read sees. */
  readonly arrivedAt: Instant;
  /** A read that any replica might have answered ends as STALE, whatever the leader does. */
  readonly isReplicaRead: boolean;
  /** The entries that a read's state must hold. */
  readonly places: readonly LogPlace[];
  readonly concern: number;
  readonly replicas: number;
  /** Let go of once answered: a connection's last write is remembered longer than its bytes. */
  payload: Uint8Array;
  /** A write's number in this session; both 0 until it is first handed to a leader. */
  sequence: number;
  session: number;
  /** Where a write stands, as its answer said; 0 until then. */
  term: Term;
  index: LogIndex;
  /**
   * The write of its connection before it. `standing` finds the one that counts; a write that was
   * handed over needs none, since its number is above those of all earlier ones.
   */
  before: Call | null;
  /** How often it was handed to a leader. At 0, giving up is certain to be "not applied". */
  handed: number;
  /** Answered, to the caller or to nobody; it only waits to leave the queue. */
  done: boolean;
  /** The caller is gone or was told "unknown": nobody waits, but the sequence must be filled. */
  abandoned: boolean;
}

/** What the next call of a connection has to follow. */
interface Lane {
  /** The connection's last write, open or answered. */
  lastWrite: Call | null;
  /** The sequence of its last write that was handed over. */
  lastSequence: number;
  /** The order of its latest read that was answered: no earlier read may be evaluated any more. */
  lastAnswered: number;
  /** Where its latest acknowledged write stands in the log. */
  acknowledgedIndex: LogIndex;
}

interface LocalRead {
  readonly ticket: RequestId;
  readonly connection: ConnectionId;
  readonly payload: Uint8Array;
  readonly deadline: Instant;
  /**
   * The write of its connection that it must see; null when there is none or it was not applied.
   */
  after: Call | null;
}

const FORWARD_BYTES_MAX = 1 << 20;

/**
 * Dropping calls that are done costs a copy of the rest, so it waits until this many have gathered.
 */
const DROPPED_MIN = 1024;

/**
 * The accepting node's side of LEAD8: the node is the client of its group.
 *
 * Writes are numbered in one session per boot, in the order in which they are first handed to a
 * leader. Everything open is kept in that order; when the leader changes, or a message may have
 * been lost, the whole line is handed over again from its first open call, in a new stream. So
 * writes keep their order (GEN2), and the session's numbers make the repetition harmless (GEN6).
 *
 * A read is repeated only while no later write of its connection was handed over, and no later read
 * answered: else it might see that write, or more than that read saw. It then ends with an error
 * instead; reading again is harmless and the caller's choice.
 */
export class Forwarding {
  readonly #raft: Raft;
  readonly #applier: Applier;
  readonly #boot: string;
  readonly #slab = new Slab();
  #session = 0;
  #registerSentAt: Instant | null = null;
  #nextSequence = 1;
  /** Open calls in order; the front may be done already. */
  #calls: Call[] = [];
  #head = 0;
  /** Calls of the queue that are not done. */
  #open = 0;
  /** Reads that wait outside of the queue. */
  #reserved = 0;
  /** Position in `#calls` of the first one not yet handed to the leader of this stream. */
  #unsent = 0;
  #bytes = 0;
  readonly #bySequence = new NumberMap<Call>();
  readonly #byTicket = new NumberMap<Call>();
  readonly #lanes = new Map<ConnectionId, Lane>();
  #enqueued = 0;
  /** The highest index that an answer named. */
  #answeredIndex: LogIndex = 0;
  #locals: LocalRead[] = [];

  /** The stream: to whom, in which of its terms, and how much of it was taken in. */
  #stream = 0;
  #streamLeader: NodeId | null = null;
  #streamTerm: Term = 0;
  #count = 0;
  #acknowledged = 0;
  /** When it last got on, or was last known not to wait for anything. */
  #progressAt: Instant = 0;
  /** Replies of the stream: all up to this number have come, and these after a gap. */
  #replies = 0;
  readonly #repliesAhead = new Set<number>();
  #gapSince: Instant | null = null;
  #heardAt: Instant = 0;
  #nextDeadline: Instant = Number.POSITIVE_INFINITY;
  #localTickets = new Set<RequestId>();
  /** The present, which the owner sets before each step and settle. */
  now: Instant = 0;

  constructor(raft: Raft, applier: Applier, boot: string) {
    this.#raft = raft;
    this.#applier = applier;
    this.#boot = boot;
  }

  /** Calls not yet answered. */
  get openCalls(): number {
    return this.#byTicket.size + this.#localTickets.size;
  }

  request(ticket: RequestId, call: ForwardedCall, out: Out): void {
    if (call.kind === "forget") {
      this.#lanes.delete(call.connection);
      return;
    }
    assert(ticket !== 0, "a call needs a ticket");
    const halted = this.#applier.halted;
    if (halted !== null) {
      return this.#reply(out, ticket, error("HALTED", `This keyspace is halted: ${halted}`));
    }
    const bytes = call.kind === "wait" ? 0 : call.payload.length;
    const isFull = this.#isFull(bytes);
    if (call.kind === "read" && call.concern === "local") {
      return this.#readLocally(ticket, call, isFull, out);
    }
    if (isFull) return this.#reply(out, ticket, error("BUSY", TOO_MANY));
    this.#enqueue(ticket, call, bytes, this.now);
  }

  /**
   * Takes over a read that this replica does not answer itself; it becomes a linearizable one. What
   * may wait is bounded where it waited before.
   */
  forwardRead(ticket: RequestId, read: ReplicaRead, arrivedAt: Instant): void {
    this.#enqueue(ticket, read, read.payload.length, arrivedAt);
  }

  /** Room for a read that waits outside of the queue; false when there is none. */
  reserve(bytes: number): boolean {
    if (this.#isFull(bytes)) return false;
    this.#reserved += 1;
    this.#bytes += bytes;
    return true;
  }

  /** The read waits no longer. */
  release(bytes: number): void {
    assert(this.#reserved > 0, "nothing was reserved");
    this.#reserved -= 1;
    this.#bytes -= bytes;
  }

  /** Abandoned writes keep their place in the queue, so it is the queue that is bounded. */
  #isFull(bytes: number): boolean {
    const { windowCalls, windowBytes } = this.#raft.options.limits;
    const waiting = this.#open + this.#locals.length + this.#reserved;
    return waiting >= windowCalls || this.#bytes + bytes > windowBytes;
  }

  /** Whether this replica has applied the connection's last write, or nobody ever will. */
  showsWritesOf(connection: ConnectionId): boolean {
    return this.#isVisible(standing(this.#lanes.get(connection)?.lastWrite ?? null));
  }

  #enqueue(ticket: RequestId, call: OpenCall, bytes: number, arrivedAt: Instant): void {
    const lane = this.#lane(call.connection);
    this.#enqueued += 1;
    const isReplicaRead = call.kind === "replicaRead";
    const isSession = isReplicaRead && call.condition.kind === "session";
    const open: Call = {
      order: this.#enqueued,
      ticket,
      connection: call.connection,
      deadline: call.deadline,
      bytes,
      kind: call.kind === "replicaRead" ? "read" : call.kind,
      arrivedAt,
      isReplicaRead,
      places: isSession ? call.condition.places : NO_PLACES,
      concern: call.kind === "write" ? encodeConcern(call.concern) : 0,
      replicas: call.kind === "wait" ? call.replicas : 0,
      payload: call.kind === "wait" ? EMPTY_PAYLOAD : call.payload,
      sequence: 0,
      session: 0,
      term: 0,
      index: 0,
      before: standing(lane.lastWrite),
      handed: 0,
      done: false,
      abandoned: false,
    };
    this.#calls.push(open);
    this.#open += 1;
    this.#byTicket.set(ticket, open);
    this.#bytes += bytes;
    if (call.kind === "write") lane.lastWrite = open;
    this.#nextDeadline = Math.min(this.#nextDeadline, call.deadline);
  }

  cancel(ticket: RequestId): void {
    const call = this.#byTicket.get(ticket);
    if (call === undefined) {
      this.#localTickets.delete(ticket);
      this.#locals = this.#locals.filter((read) => read.ticket !== ticket);
      return;
    }
    this.#abandon(call);
  }

  // Local reads.

  #readLocally(
    ticket: RequestId,
    call: Extract<GroupCall, { kind: "read" }>,
    isFull: boolean,
    out: Out,
  ): void {
    const after = standing(this.#lanes.get(call.connection)?.lastWrite ?? null);
    const { payload, deadline, connection } = call;
    const read: LocalRead = { ticket, connection, payload, deadline, after };
    if (this.#isVisible(after)) return this.#answerLocally(read, out);
    if (isFull) return this.#reply(out, ticket, error("BUSY", TOO_MANY));
    this.#locals.push(read);
    this.#localTickets.add(ticket);
    this.#nextDeadline = Math.min(this.#nextDeadline, call.deadline);
  }

  /** Whether this replica has applied the write and those before it, or nobody ever will. */
  #isVisible(write: Call | null): boolean {
    if (write === null) return true;
    if (write.done && write.handed === 0) return this.#isVisible(standing(write));
    if (this.#isOurs(write) && this.#lastAppliedHere >= write.sequence) return true;
    if (write.abandoned && !write.done) return this.#isUnknownPassable(write);
    // An answer below a majority may be lost with its leader. That an entry above all answers is
    // applied shows it, once no write before it is open, which may still come to lie there.
    const isOver = write.done && (!this.#isOurs(write) || this.floor > write.sequence);
    return isOver && this.#applier.appliedIndex >= this.#answeredIndex;
  }

  /**
   * Whether a read may go past a write that was told as unknown: there may be nothing to see of it.
   * What its connection wrote before must be seen, if it was acknowledged or still may be.
   */
  #isUnknownPassable({ connection, sequence }: Call): boolean {
    const isAwaited = (call: Call) =>
      call.kind === "write" && call.connection === connection && !call.done && !call.abandoned;
    for (let i = this.#head; i < this.#calls.length; i += 1) {
      const call = this.#calls[i]!;
      if (call.sequence > 0 && call.sequence < sequence && isAwaited(call)) return false;
    }
    const acknowledged = this.#lanes.get(connection)?.acknowledgedIndex ?? 0;
    return this.#applier.appliedIndex >= acknowledged;
  }

  #isOurs(write: Call): boolean {
    return write.sequence > 0 && write.session === this.#session;
  }

  /** The highest sequence of our session that this replica has applied. */
  get #lastAppliedHere(): number {
    return this.#applier.sessions.get(this.#session)?.lastSequence ?? 0;
  }

  #answerLocally(read: LocalRead, out: Out): void {
    this.#localTickets.delete(read.ticket);
    out.reply(read.ticket, answerHere(this.#raft, this.#applier, read.payload, this.now));
  }

  /**
   * Called after each entry of our own session is applied here, before the next one: a local read
   * is evaluated right behind the write that it follows.
   */
  onAppliedHere(session: number, out: Out): void {
    if (session !== this.#session || this.#locals.length === 0) return;
    this.#answerVisible(out);
  }

  /**
   * Called before an entry of our session changes the state. A write with a lower number is applied
   * by now or lost, so the reads behind it are due: this entry may be the next write of their
   * connection.
   */
  onApplyingHere(session: number, sequence: number, out: Out): void {
    if (session !== this.#session || this.#locals.length === 0) return;
    this.#answerWhere((write) => {
      return this.#isOurs(write) ? write.sequence < sequence : write.done;
    }, out);
  }

  /** Called after each run of applied entries: a lost write's index may have been passed. */
  answerVisible(out: Out): void {
    if (this.#locals.length > 0) this.#answerVisible(out);
  }

  #answerVisible(out: Out): void {
    this.#answerWhere((write) => this.#isVisible(write), out);
  }

  #answerWhere(isDue: (write: Call) => boolean, out: Out): void {
    const waiting: LocalRead[] = [];
    for (const read of this.#locals) {
      const write = standing(read.after);
      if (write !== null && !isDue(write)) waiting.push(read);
      else if (write !== null && this.#isPassed(write, read)) this.#endPassed(read, out);
      else this.#answerLocally(read, out);
    }
    this.#locals = waiting;
  }

  /**
   * Whether the state may hold a later write of the read's connection already: a snapshot takes the
   * state past many entries at once.
   */
  #isPassed(write: Call, { connection }: LocalRead): boolean {
    const lastSequence = this.#lanes.get(connection)?.lastSequence ?? 0;
    const isFollowed = this.#isOurs(write) && lastSequence > write.sequence;
    return isFollowed && this.#lastAppliedHere > write.sequence;
  }

  #endPassed(read: LocalRead, out: Out): void {
    this.#localTickets.delete(read.ticket);
    const text = "This replica's state has moved past the point at which to read. Read again.";
    this.#reply(out, read.ticket, error("TIMEOUT", text, "not-applied"));
  }

  // Handing over.

  /** Once per turn: hands to the leader what it does not have yet. Null when there is nothing. */
  dispatch(now: Instant): { readonly to: NodeId; readonly message: Forward } | null {
    const { leader, term } = this.#raft;
    if (leader === null) return null;
    if (this.#session === 0) return this.#register(leader, term, now);
    const changed = leader !== this.#streamLeader || term !== this.#streamTerm;
    if (changed || this.#isStuck(now)) this.#startOver(leader, term, now);
    this.#dropDone();
    const items = this.#takeItems(now);
    if (items.length === 0 && !this.#mustAsk(now)) return null;
    if (this.#acknowledged === this.#count) this.#progressAt = now;
    this.#heardAt = now;
    this.#count += 1;
    const { floor } = this;
    const [session, stream, count] = [this.#session, this.#stream, this.#count];
    return { to: leader, message: { kind: "forward", term, stream, count, session, floor, items } };
  }

  /** A message was not taken in, or a reply with answers did not arrive. */
  #isStuck(now: Instant): boolean {
    if (this.#acknowledged < this.#count && now - this.#progressAt >= this.#patienceMs) return true;
    return this.#gapSince !== null && now - this.#gapSince >= this.#patienceMs;
  }

  /** Everything was taken in, and then it is quiet: the reply with the answer may be lost. */
  #mustAsk(now: Instant): boolean {
    return this.#awaitsAnswers && now - this.#heardAt >= this.#patienceMs;
  }

  get #awaitsAnswers(): boolean {
    return this.#head < this.#unsent && this.#acknowledged === this.#count;
  }

  get #patienceMs(): number {
    return this.#raft.options.timing.electionTimeoutMs / 2;
  }

  /** The lowest sequence whose answer we still need. */
  get floor(): number {
    for (let i = this.#head; i < this.#calls.length; i += 1) {
      const call = this.#calls[i]!;
      if (call.kind === "write" && call.sequence > 0 && !call.done) return call.sequence;
    }
    return this.#nextSequence;
  }

  #register(leader: NodeId, term: Term, now: Instant): { to: NodeId; message: Forward } | null {
    const changed = leader !== this.#streamLeader || term !== this.#streamTerm;
    const sentAt = this.#registerSentAt;
    if (!changed && sentAt !== null && now - sentAt < this.#patienceMs) return null;
    this.#startOver(leader, term, now);
    this.#registerSentAt = now;
    this.#count = 1;
    const items: ForwardItem[] = [{ kind: "register", boot: this.#boot }];
    return {
      to: leader,
      message: {
        kind: "forward",
        term,
        stream: this.#stream,
        count: 1,
        session: 0,
        floor: 0,
        items,
      },
    };
  }

  #startOver(leader: NodeId, term: Term, now: Instant): void {
    this.#stream += 1;
    this.#streamLeader = leader;
    this.#streamTerm = term;
    this.#count = 0;
    this.#acknowledged = 0;
    this.#progressAt = now;
    this.#replies = 0;
    this.#repliesAhead.clear();
    this.#gapSince = null;
    this.#heardAt = now;
    this.#unsent = this.#head;
  }

  #takeItems(now: Instant): ForwardItem[] {
    const items: ForwardItem[] = [];
    let bytes = 0;
    while (this.#unsent < this.#calls.length && bytes < FORWARD_BYTES_MAX) {
      const call = this.#calls[this.#unsent]!;
      this.#unsent += 1;
      if (call.done) continue;
      const item = this.#itemOf(call, now);
      if (item === null) continue;
      items.push(item);
      bytes += call.bytes + 64;
    }
    return items;
  }

  /** Null when the call ends here: a read that may not be repeated. */
  #itemOf(call: Call, now: Instant): ForwardItem | null {
    const deadlineMs = Math.max(0, Math.min(call.deadline - now, 0xffff_ffff));
    call.handed += 1;
    if (call.kind === "write") {
      const isAnew = this.#raft.options.mutant === "L40" && call.handed > 1;
      if (call.sequence === 0 || isAnew) this.#number(call);
      const { sequence, concern } = call;
      return { kind: "write", sequence, concern, deadlineMs, entry: entryOf(call, this.#slab) };
    }
    const { ticket, payload, replicas } = call;
    // All writes before it in the queue have been handed over by now, or have ended without.
    const after = standing(call.before);
    const afterSequence = after?.session === this.#session ? after.sequence : 0;
    if (call.kind === "wait") {
      const { term, index } = after ?? { term: 0, index: 0 };
      return { kind: "wait", ticket, afterSequence, term, index, replicas, deadlineMs };
    }
    const { lastSequence, lastAnswered } = this.#lane(call.connection);
    if (call.handed > 1 && (lastSequence > afterSequence || lastAnswered > call.order)) {
      this.#unrepeatable.push(call);
      return null;
    }
    return { kind: "read", ticket, afterSequence, places: call.places, payload };
  }

  #number(call: Call): void {
    call.sequence = this.#nextSequence;
    call.session = this.#session;
    call.before = null;
    this.#nextSequence += 1;
    this.#bySequence.set(call.sequence, call);
    const lane = this.#lanes.get(call.connection);
    if (lane !== undefined) lane.lastSequence = call.sequence;
  }

  readonly #unrepeatable: Call[] = [];

  /** Ends the reads that `dispatch` may not repeat. */
  endUnrepeatable(out: Out): void {
    for (const call of this.#unrepeatable) {
      const text =
        "The leader changed while this read was under way, and a later command of its connection may have taken effect already. Read again.";
      this.#finish(call, error("NOLEADER", text), NO_META, out);
    }
    this.#unrepeatable.length = 0;
  }

  // Answers.

  onReply(from: NodeId, message: ForwardReply, now: Instant, out: Out): void {
    if (message.boot !== "") return this.#onRegistered(message);
    // Numbers and tickets of an earlier boot mean other calls than ours.
    if (this.#session === 0 || message.session !== this.#session) return;
    const isCurrent = from === this.#streamLeader && message.stream === this.#stream;
    if (isCurrent) this.#noteReply(message, now);
    for (const answer of message.answers) {
      // A read that was handed over again is evaluated again, behind the earlier reads of its
      // connection: what an earlier stream saw may be older than what those will see (GEN2).
      if (isCurrent || answer.sequence > 0) this.#onAnswer(answer, from, out);
    }
  }

  #onRegistered(message: ForwardReply): void {
    if (this.#session !== 0 || message.boot !== this.#boot) return;
    this.#session = message.session;
    // The registration's stream had no session: what follows goes in one that has.
    this.#streamLeader = null;
  }

  #noteReply(message: ForwardReply, now: Instant): void {
    this.#heardAt = now;
    if (message.count > this.#acknowledged) this.#progressAt = now;
    this.#acknowledged = Math.max(this.#acknowledged, message.count);
    const ahead = this.#repliesAhead;
    if (message.number > this.#replies) ahead.add(message.number);
    while (ahead.delete(this.#replies + 1)) this.#replies += 1;
    this.#gapSince = ahead.size === 0 ? null : (this.#gapSince ?? now);
  }

  #onAnswer(answer: ForwardAnswer, from: NodeId, out: Out): void {
    const call =
      answer.sequence > 0
        ? this.#bySequence.get(answer.sequence)
        : this.#byTicket.get(answer.ticket);
    if (call === undefined || call.done) return;
    const { reply, term, index, durable } = answer;
    if (reply.kind === "error" && reply.code === "SESSION_EXPIRED")
      return this.#loseSession(call, out);
    call.term = term;
    call.index = index;
    if (call.kind === "write") {
      const lane = this.#lane(call.connection);
      lane.acknowledgedIndex = Math.max(lane.acknowledgedIndex, index);
    }
    this.#answeredIndex = Math.max(this.#answeredIndex, index);
    if (call.kind === "read") {
      const lane = this.#lane(call.connection);
      lane.lastAnswered = Math.max(lane.lastAnswered, call.order);
    }
    const staleMs = call.kind === "read" && index > 0 ? this.now - call.arrivedAt : null;
    this.#finish(call, reply, { term, index, durable, node: from, staleMs }, out);
  }

  /**
   * Another boot of this node took the session over. What was handed over under it may have been
   * applied before; under a new session it would be applied again, so it ends as unknown.
   */
  #loseSession(refused: Call, out: Out): void {
    this.#raft.trace("session-lost");
    this.#session = 0;
    this.#registerSentAt = null;
    const text = "This node's session was replaced while the request was under way.";
    // Handed over once and refused: certain. Handed over before, it may have been applied then.
    const isCertain = refused.handed === 1;
    const reply = isCertain ? error("SESSION_EXPIRED", text) : error("TIMEOUT", text);
    this.#finish(refused, reply, NO_META, out);
    for (const call of this.#calls) {
      if (call.done || call.handed === 0) continue;
      const outcome = call.kind === "write" ? "unknown" : "not-applied";
      this.#finish(call, error("TIMEOUT", text, outcome), NO_META, out);
    }
    this.#nextSequence = 1;
    for (const lane of this.#lanes.values()) lane.lastSequence = 0;
    this.#answerVisible(out);
  }

  #finish(call: Call, reply: Reply, meta: ReplyMeta, out: Out): void {
    this.#close(call);
    this.#byTicket.delete(call.ticket);
    if (call.sequence > 0) this.#bySequence.delete(call.sequence);
    if (!call.abandoned) out.reply(call.ticket, { reply, meta });
  }

  #close(call: Call): void {
    assert(!call.done, "a call is answered once");
    call.done = true;
    call.payload = EMPTY_PAYLOAD;
    this.#bytes -= call.bytes;
    this.#open -= 1;
  }

  /** Nobody waits any more. What a leader may have must still be filled in if it is handed over. */
  #abandon(call: Call): void {
    call.abandoned = true;
    this.#byTicket.delete(call.ticket);
    if (call.kind === "write" && call.handed > 0) return;
    this.#close(call);
  }

  #reply(out: Out, ticket: RequestId, reply: Reply): void {
    const answer: GroupReply = { reply, meta: NO_META };
    out.reply(ticket, answer);
  }

  // Deadlines.

  /** Ends the calls whose time is up, each with what is certain about it (GEN1). */
  expire(now: Instant, out: Out): void {
    if (now < this.#nextDeadline) return;
    let next = Number.POSITIVE_INFINITY;
    for (let i = this.#head; i < this.#calls.length; i += 1) {
      const call = this.#calls[i]!;
      if (call.done || call.abandoned) continue;
      const deadline = this.#deadlineOf(call);
      if (now < deadline) next = Math.min(next, deadline);
      else this.#expire(call, out);
    }
    for (const read of this.#locals) {
      if (now < read.deadline) next = Math.min(next, read.deadline);
    }
    const late = this.#locals.filter((read) => now >= read.deadline);
    this.#locals = this.#locals.filter((read) => now < read.deadline);
    for (const read of late) {
      this.#localTickets.delete(read.ticket);
      const text = "This replica has not applied the connection's last write yet. Read again.";
      this.#reply(out, read.ticket, error("TIMEOUT", text, "not-applied"));
    }
    this.#nextDeadline = next;
    this.#dropDone();
    this.#answerVisible(out);
  }

  /**
   * The leader ends a WAIT, and a write whose concern is unmet, at the deadline, and knows more
   * than we do: ours is only for a leader that is gone.
   */
  #deadlineOf(call: Call): Instant {
    const leaderEnds = call.kind === "wait" || call.concern === ALL || call.concern > 0;
    const grace = call.handed > 0 && leaderEnds ? this.#raft.options.timing.electionTimeoutMs : 0;
    return call.deadline + grace;
  }

  #expire(call: Call, out: Out): void {
    if (call.isReplicaRead) {
      return this.#finish(call, error("STALE", STALE_AT_DEADLINE), NO_META, out);
    }
    if (call.handed === 0) {
      const text =
        "No leader could be reached within the deadline; the request was handed to none.";
      return this.#finish(call, error("NOLEADER", text), NO_META, out);
    }
    if (call.kind !== "write") {
      const text = "No answer within the deadline. A read has no effect: read again.";
      return this.#finish(call, error("TIMEOUT", text, "not-applied"), NO_META, out);
    }
    const text = "Handed to a leader and not confirmed within the deadline; it may yet be applied.";
    const outcome = this.#raft.options.mutant === "L39" ? "not-applied" : "unknown";
    this.#reply(out, call.ticket, error("TIMEOUT", text, outcome));
    this.#abandon(call);
  }

  /** The group is no more, and with it all that a write may have done: no call stays open. */
  endAll(out: Out): void {
    const text = "The keyspace was dropped.";
    for (const { ticket } of this.#locals) this.#reply(out, ticket, error("NOKEYSPACE", text));
    this.#locals = [];
    this.#localTickets.clear();
    for (const call of this.#calls) {
      if (call.done || call.abandoned) continue;
      const mayBeApplied = call.kind === "write" && call.handed > 0;
      const outcome = mayBeApplied ? "unknown" : "not-applied";
      this.#finish(call, error("NOKEYSPACE", text, outcome), NO_META, out);
    }
  }

  /** When the next call's time is up; null while none is open. */
  get callsDeadline(): Instant | null {
    return this.#nextDeadline === Number.POSITIVE_INFINITY ? null : this.#nextDeadline;
  }

  deadline(): Instant | null {
    let deadline = this.#nextDeadline;
    if (this.#raft.leader !== null && this.#head < this.#calls.length) {
      deadline = Math.min(deadline, this.#streamDeadline());
    }
    return deadline === Number.POSITIVE_INFINITY ? null : deadline;
  }

  /** When `dispatch` would do something although nothing arrives. */
  #streamDeadline(): Instant {
    if (this.#session === 0) return this.#progressAt + this.#patienceMs;
    // The session was opened after this turn's `dispatch`: what waited for it can go now.
    if (this.#streamLeader === null) return this.#progressAt;
    let deadline = this.#gapSince ?? Number.POSITIVE_INFINITY;
    if (this.#acknowledged < this.#count) deadline = Math.min(deadline, this.#progressAt);
    if (this.#awaitsAnswers) deadline = Math.min(deadline, this.#heardAt);
    return deadline + this.#patienceMs;
  }

  #dropDone(): void {
    while (this.#head < this.#calls.length && this.#calls[this.#head]!.done) this.#head += 1;
    this.#unsent = Math.max(this.#unsent, this.#head);
    const done = this.#calls.length - this.#open;
    // An old call may stay at the front for long; those that ended behind it must not pile up.
    if (this.#open > 0 && done < Math.max(DROPPED_MIN, this.#open)) return;
    let unsent = 0;
    for (let i = this.#head; i < this.#unsent; i += 1) if (!this.#calls[i]!.done) unsent += 1;
    this.#calls = this.#calls.filter((call) => !call.done);
    this.#unsent = unsent;
    this.#head = 0;
  }

  #lane(connection: ConnectionId): Lane {
    let lane = this.#lanes.get(connection);
    if (lane === undefined) {
      lane = { lastWrite: null, lastSequence: 0, lastAnswered: 0, acknowledgedIndex: 0 };
      this.#lanes.set(connection, lane);
    }
    return defined(lane, "just made");
  }
}

const EMPTY_PAYLOAD = new Uint8Array(0);

const NO_PLACES: readonly LogPlace[] = [];

/** What a read is told that no replica could answer in time under its condition. */
export const STALE_AT_DEADLINE =
  "This replica was not fresh enough within the deadline, and no leader answered. Read again.";

/** A read as this replica's state has it, and how old that is at most. */
export function answerHere(
  raft: Raft,
  applier: Applier,
  payload: Uint8Array,
  now: Instant,
): GroupReply {
  const { appliedTerm: term, appliedIndex: index } = applier;
  const staleMs = raft.staleMs(index, now);
  const meta = { term, index, durable: 0, node: raft.options.node, staleMs };
  return { reply: applier.read(payload, raft.wallMs), meta };
}

/**
 * The write, or the last one before it that did not end without having been handed over: a write
 * that never went anywhere leaves its connection's earlier ones to be followed.
 */
function standing(write: Call | null): Call | null {
  let last = write;
  while (last?.done && last.handed === 0) last = last.before;
  return last;
}

/** What a call is told for which there is no room. */
export const TOO_MANY = "Too many requests of this node are waiting for the leader.";

const ALL = encodeConcern("all");

/**
 * A new array each time: the leader stamps it and keeps it, and a repetition must not write into
 * bytes that a log or a disk's queue already holds. An abandoned write's number is filled by a
 * no-op.
 */
function entryOf(call: Call, slab: Slab): EntryBytes {
  return call.abandoned ? makeEntry("noop") : makeEntry("command", call.payload, slab);
}
