import { assert } from "../base/assert.ts";
import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { LogIndex, NodeId, Term } from "../contract/ids.ts";
import { type Reply, readReply, writeReply } from "../contract/reply.ts";

/** What a session remembers of an applied command, to answer its retry without doing it again. */
export interface AppliedAnswer {
  readonly reply: Reply;
  readonly term: Term;
  readonly index: LogIndex;
}

/**
 * One client's line of numbered commands (Raft thesis §6.3); here a client is one boot of a node.
 */
export interface Session {
  /** The index of the entry that registered it. */
  readonly id: number;
  readonly node: NodeId;
  readonly boot: string;
  /** The highest sequence applied. Sequences are applied in ascending order, each at most once. */
  lastSequence: number;
  /** The client needs no answer below this any more. */
  floor: number;
  /** Answers of the sequences `base`, `base + 1`, …; a hole is a sequence that never came. */
  base: number;
  answers: (AppliedAnswer | null)[];
}

/**
 * The exactly-once table of a group (LEAD8): replicated state, changed only by applying entries,
 * part of every snapshot. A node has one session per boot; registering a new boot ends the old
 * session, so there are never more sessions than nodes that ever spoke, and a window of answers
 * each.
 */
export class SessionTable {
  readonly #sessions = new Map<number, Session>();

  get(id: number): Session | undefined {
    return this.#sessions.get(id);
  }

  /** Sessions by ascending id. */
  all(): Session[] {
    return [...this.#sessions.values()].sort((a, b) => a.id - b.id);
  }

  /**
   * Registers a boot; registering the same boot again keeps its session. Returns the session's id.
   */
  register(node: NodeId, boot: string, index: LogIndex): number {
    for (const session of this.all()) {
      if (session.node !== node) continue;
      if (session.boot === boot) return session.id;
      this.#sessions.delete(session.id);
    }
    this.#sessions.set(index, emptySession(index, node, boot));
    return index;
  }

  /** Whether this sequence was applied before, or everything that could ask for it is gone. */
  isDuplicate(session: Session, sequence: number): boolean {
    return sequence <= session.lastSequence;
  }

  /** The answer given when the sequence was applied; null when it is no longer kept. */
  answerTo(session: Session, sequence: number): AppliedAnswer | null {
    return session.answers[sequence - session.base] ?? null;
  }

  record(session: Session, sequence: number, floor: number, answer: AppliedAnswer): void {
    assert(sequence > session.lastSequence, "sequences are applied in ascending order");
    if (session.answers.length === 0) session.base = sequence;
    while (session.base + session.answers.length < sequence) session.answers.push(null);
    session.answers.push(answer);
    session.lastSequence = sequence;
    this.#trim(session, floor);
  }

  encode(session: Session, writer: ByteWriter): void {
    writer.u48(session.id);
    writer.text(session.node);
    writer.text(session.boot);
    writer.u48(session.lastSequence);
    writer.u48(session.floor);
    writer.u48(session.base);
    writer.u32(session.answers.length);
    for (const answer of session.answers) {
      writer.u8(answer === null ? 0 : 1);
      if (answer === null) continue;
      writer.u48(answer.term);
      writer.u48(answer.index);
      writeReply(answer.reply, writer);
    }
  }

  /** Adds a session that `encode` wrote. Throws `FormatError`. */
  restore(reader: ByteReader): void {
    const session = emptySession(reader.u48(), reader.text(), reader.text());
    session.lastSequence = reader.u48();
    session.floor = reader.u48();
    session.base = reader.u48();
    for (let left = reader.u32(); left > 0; left -= 1) {
      if (reader.u8() === 0) session.answers.push(null);
      else {
        const term = reader.u48();
        const index = reader.u48();
        session.answers.push({ reply: readReply(reader), term, index });
      }
    }
    this.#sessions.set(session.id, session);
  }

  clear(): void {
    this.#sessions.clear();
  }

  #trim(session: Session, floor: number): void {
    if (floor <= session.floor) return;
    session.floor = floor;
    const drop = Math.min(floor - session.base, session.answers.length);
    // Cutting the front costs a copy of the rest: wait until half of it can go.
    if (drop <= 0 || drop * 2 < session.answers.length) return;
    session.answers = session.answers.slice(drop);
    session.base += drop;
  }
}

function emptySession(id: number, node: NodeId, boot: string): Session {
  return { id, node, boot, lastSequence: 0, floor: 0, base: 1, answers: [] };
}
