import { unreachable } from "../base/assert.ts";
import { ByteReader, ByteWriter, FormatError } from "../base/bytes.ts";
import {
  decodeRowHash,
  encodeRowHash,
  ROW_HASH_BYTES,
  type RowHashText,
} from "../base/row-hash.ts";
import type { LogPlace } from "../contract/group.ts";
import { readReply, writeReply } from "../contract/reply.ts";
import type { NodeMessage } from "../node/vocabulary.ts";
import { splitEntries } from "../replication/single-leader/entry.ts";
import type {
  EntryBytes,
  ForwardAnswer,
  ForwardItem,
  SingleLeaderMessage,
} from "../replication/single-leader/messages.ts";
import type { SnapshotId } from "../replication/single-leader/rows.ts";

/**
 * The peers' messages as bytes: all messages of one turn to one peer, one after the other, each
 * with its group id, a tag and fixed fields, little-endian. Entries are their own bytes, unchanged
 * (STO2). Hand-laid because these few messages are most of what a cluster says.
 */
const TAGS = [
  "requestVote",
  "vote",
  "appendEntries",
  "appendReply",
  "offerSnapshot",
  "installSnapshot",
  "snapshotReply",
  "requestSnapshot",
  "stateHash",
  "stateHashReply",
  "timeoutNow",
  "forward",
  "forwardReply",
  "transferRequest",
  "transferReply",
] as const;

const VERDICTS = ["leads", "refused"] as const;

const ITEM_TAGS = ["register", "write", "read", "wait"] as const;

/** Concerns are small signed numbers; stored with this added. */
const CONCERN_BIAS = 2;

/** More than any turn sends; a frame that claims more is none of ours. */
const MESSAGES_MAX = 100_000;

/** Bytes of a message's fixed fields, an item's and an answer's: guesses that only save copies. */
const FIELDS_BYTES = 96;

/**
 * The payload of one frame: everything that a turn says to one peer, in order. `headroom` zeros go
 * in front of it, for the frame's header.
 */
export function encodeMessages(messages: readonly NodeMessage[], headroom = 0): Uint8Array {
  let expected = headroom + FIELDS_BYTES;
  for (const { message } of messages) expected += expectedBytes(message);
  const writer = new ByteWriter(expected);
  writer.skip(headroom);
  writer.u32(messages.length);
  for (const { group, message } of messages) {
    writer.u48(group);
    writer.u8(TAGS.indexOf(message.kind));
    writer.u48(message.term);
    writeMessage(writer, message);
  }
  return writer.detach();
}

/** About as many bytes as the message will take: a buffer that grows is copied every time. */
function expectedBytes(message: SingleLeaderMessage): number {
  let bytes = FIELDS_BYTES;
  if (message.kind === "appendEntries") {
    for (const entry of message.entries) bytes += entry.length;
  } else if (message.kind === "forward") {
    for (const item of message.items) {
      bytes += FIELDS_BYTES + (item.kind === "write" ? item.entry.length : 0);
    }
  } else if (message.kind === "forwardReply") bytes += FIELDS_BYTES * message.answers.length;
  else if (message.kind === "installSnapshot") bytes += message.rows.length;
  return bytes;
}

/**
 * The inverse; entries and rows are views of `bytes`, which the caller must hand over. Throws
 * `FormatError` on anything that `encodeMessages` did not write.
 */
export function decodeMessages(bytes: Uint8Array): NodeMessage[] {
  const reader = new ByteReader(bytes);
  const count = reader.u32();
  if (count > MESSAGES_MAX) throw new FormatError(`${count} messages in one frame`);
  const messages: NodeMessage[] = [];
  for (let left = count; left > 0; left -= 1) {
    const group = reader.u48();
    const tag = TAGS[reader.u8()];
    if (tag === undefined) throw new FormatError("unknown message tag");
    const term = reader.u48();
    messages.push({ group, message: readMessage(reader, tag, term) });
  }
  if (reader.remaining > 0) throw new FormatError("bytes behind the last message");
  return messages;
}

function writeMessage(writer: ByteWriter, message: SingleLeaderMessage): void {
  switch (message.kind) {
    case "requestVote":
      writer.u48(message.lastLogIndex);
      writer.u48(message.lastLogTerm);
      return writer.u8((message.preVote ? 1 : 0) | (message.transfer ? 2 : 0));
    case "vote":
      return writer.u8((message.granted ? 1 : 0) | (message.preVote ? 2 : 0));
    case "appendEntries":
      writer.u48(message.prevLogIndex);
      writer.u48(message.prevLogTerm);
      writer.u48(message.commitIndex);
      writer.u48(message.round);
      writer.u48(message.freshBoot);
      writeInstant(writer, message.freshStamp);
      writer.u48(message.freshIndex);
      return writeEntries(writer, message.entries);
    case "appendReply":
      writer.u8(message.success ? 1 : 0);
      writer.u48(message.matchIndex);
      writer.u48(message.hintIndex);
      writer.u48(message.hintTerm);
      writer.u48(message.refusedIndex);
      writer.u48(message.round);
      writer.u48(message.boot);
      writeInstant(writer, message.stamp);
      writer.u48(message.wallMs);
      return writer.u48(message.appliedIndex);
    case "offerSnapshot":
      writeSnapshotId(writer, message.id);
      return writer.u8(message.fresh ? 1 : 0);
    case "installSnapshot":
      writeSnapshotId(writer, message.id);
      writer.u48(message.offset);
      writer.u32(message.crc);
      writer.u8(message.done ? 1 : 0);
      return writer.bytes(message.rows);
    case "snapshotReply":
      writeSnapshotId(writer, message.id);
      writer.u48(message.offset);
      return writer.u8(message.installed ? 1 : 0);
    case "requestSnapshot":
      return writer.u48(message.fromIndex);
    case "stateHash":
      writer.u48(message.index);
      writer.raw(encodeRowHash(message.hash));
      return writer.u8(message.agreed ? 1 : 0);
    case "stateHashReply":
      writer.u48(message.index);
      return writer.raw(encodeRowHash(message.hash));
    case "timeoutNow":
      return writer.u8(message.isAsked ? 1 : 0);
    case "forward":
      writer.u48(message.stream);
      writer.u48(message.count);
      writer.u48(message.session);
      writer.u48(message.floor);
      writer.u32(message.items.length);
      for (const item of message.items) writeItem(writer, item);
      return;
    case "forwardReply":
      writer.u48(message.stream);
      writer.u48(message.count);
      writer.u48(message.session);
      writer.text(message.boot);
      writer.u48(message.number);
      writer.u32(message.answers.length);
      for (const answer of message.answers) writeAnswer(writer, answer);
      return;
    case "transferRequest":
      writer.text(message.boot);
      writer.u48(message.id);
      writer.text(message.to);
      writer.text(message.from);
      return writer.u48(message.fromTerm);
    case "transferReply":
      writer.text(message.boot);
      writer.u48(message.id);
      writer.u8(VERDICTS.indexOf(message.verdict));
      return writer.text(message.reason);
    default:
      unreachable(message);
  }
}

function readMessage(
  reader: ByteReader,
  kind: SingleLeaderMessage["kind"],
  term: number,
): SingleLeaderMessage {
  switch (kind) {
    case "requestVote": {
      const lastLogIndex = reader.u48();
      const lastLogTerm = reader.u48();
      const flags = reader.u8();
      const preVote = (flags & 1) !== 0;
      return { kind, term, lastLogIndex, lastLogTerm, preVote, transfer: (flags & 2) !== 0 };
    }
    case "vote": {
      const flags = reader.u8();
      return { kind, term, granted: (flags & 1) !== 0, preVote: (flags & 2) !== 0 };
    }
    case "appendEntries":
      return {
        kind,
        term,
        prevLogIndex: reader.u48(),
        prevLogTerm: reader.u48(),
        commitIndex: reader.u48(),
        round: reader.u48(),
        freshBoot: reader.u48(),
        freshStamp: readInstant(reader),
        freshIndex: reader.u48(),
        entries: readEntries(reader),
      };
    case "appendReply":
      return {
        kind,
        term,
        success: reader.u8() === 1,
        matchIndex: reader.u48(),
        hintIndex: reader.u48(),
        hintTerm: reader.u48(),
        refusedIndex: reader.u48(),
        round: reader.u48(),
        boot: reader.u48(),
        stamp: readInstant(reader),
        wallMs: reader.u48(),
        appliedIndex: reader.u48(),
      };
    case "offerSnapshot":
      return { kind, term, id: readSnapshotId(reader), fresh: reader.u8() === 1 };
    case "installSnapshot":
      return {
        kind,
        term,
        id: readSnapshotId(reader),
        offset: reader.u48(),
        crc: reader.u32(),
        done: reader.u8() === 1,
        rows: reader.bytes(),
      };
    case "snapshotReply":
      return {
        kind,
        term,
        id: readSnapshotId(reader),
        offset: reader.u48(),
        installed: reader.u8() === 1,
      };
    case "requestSnapshot":
      return { kind, term, fromIndex: reader.u48() };
    case "stateHash":
      return {
        kind,
        term,
        index: reader.u48(),
        hash: readRowHash(reader),
        agreed: reader.u8() === 1,
      };
    case "stateHashReply":
      return { kind, term, index: reader.u48(), hash: readRowHash(reader) };
    case "timeoutNow":
      return { kind, term, isAsked: reader.u8() === 1 };
    case "forward": {
      const stream = reader.u48();
      const count = reader.u48();
      const session = reader.u48();
      const floor = reader.u48();
      const items: ForwardItem[] = [];
      for (let left = reader.u32(); left > 0; left -= 1) items.push(readItem(reader));
      return { kind, term, stream, count, session, floor, items };
    }
    case "forwardReply": {
      const stream = reader.u48();
      const count = reader.u48();
      const session = reader.u48();
      const boot = reader.text();
      const number = reader.u48();
      const answers: ForwardAnswer[] = [];
      for (let left = reader.u32(); left > 0; left -= 1) answers.push(readAnswer(reader));
      return { kind, term, stream, count, session, boot, number, answers };
    }
    case "transferRequest": {
      const boot = reader.text();
      const id = reader.u48();
      const to = reader.text();
      const from = reader.text();
      return { kind, term, boot, id, to, from, fromTerm: reader.u48() };
    }
    case "transferReply": {
      const boot = reader.text();
      const id = reader.u48();
      const verdict = VERDICTS[reader.u8()];
      if (verdict === undefined) throw new FormatError("unknown verdict on a transfer");
      return { kind, term, boot, id, verdict, reason: reader.text() };
    }
    default:
      return unreachable(kind);
  }
}

function writeSnapshotId(writer: ByteWriter, id: SnapshotId): void {
  writer.u48(id.index);
  writer.u48(id.term);
  writer.raw(encodeRowHash(id.hash));
}

function readSnapshotId(reader: ByteReader): SnapshotId {
  return { index: reader.u48(), term: reader.u48(), hash: readRowHash(reader) };
}

function readRowHash(reader: ByteReader): RowHashText {
  return decodeRowHash(reader.raw(ROW_HASH_BYTES));
}

/** Instants are only ever compared with their own node's clock: whole milliseconds will do. */
function writeInstant(writer: ByteWriter, instant: number): void {
  writer.u48(Number.isFinite(instant) ? Math.max(0, Math.floor(instant)) : 0);
}

function readInstant(reader: ByteReader): number {
  return reader.u48();
}

function writeEntries(writer: ByteWriter, entries: readonly EntryBytes[]): void {
  const at = writer.length;
  writer.u32(0);
  for (const entry of entries) writer.raw(entry);
  writer.patchU32(at, writer.length - at - 4);
}

function readEntries(reader: ByteReader): EntryBytes[] {
  return splitEntries(reader.bytes());
}

function writeItem(writer: ByteWriter, item: ForwardItem): void {
  writer.u8(ITEM_TAGS.indexOf(item.kind));
  switch (item.kind) {
    case "register":
      return writer.text(item.boot);
    case "write":
      writer.u48(item.sequence);
      writer.u16(item.concern + CONCERN_BIAS);
      writer.u32(Math.floor(item.deadlineMs));
      return writer.raw(item.entry);
    case "read":
      writer.u48(item.ticket);
      writer.u48(item.afterSequence);
      writer.u8(item.places.length);
      for (const { term, index } of item.places) {
        writer.u48(term);
        writer.u48(index);
      }
      return writer.bytes(item.payload);
    case "wait":
      writer.u48(item.ticket);
      writer.u48(item.afterSequence);
      writer.u48(item.term);
      writer.u48(item.index);
      writer.u32(item.replicas);
      return writer.u32(Math.floor(item.deadlineMs));
    default:
      unreachable(item);
  }
}

function readItem(reader: ByteReader): ForwardItem {
  const kind = ITEM_TAGS[reader.u8()];
  switch (kind) {
    case "register":
      return { kind, boot: reader.text() };
    case "write": {
      const sequence = reader.u48();
      const concern = reader.u16() - CONCERN_BIAS;
      const deadlineMs = reader.u32();
      return { kind, sequence, concern, deadlineMs, entry: readEntry(reader) };
    }
    case "read":
      return {
        kind,
        ticket: reader.u48(),
        afterSequence: reader.u48(),
        places: readPlaces(reader),
        payload: reader.bytes(),
      };
    case "wait":
      return {
        kind,
        ticket: reader.u48(),
        afterSequence: reader.u48(),
        term: reader.u48(),
        index: reader.u48(),
        replicas: reader.u32(),
        deadlineMs: reader.u32(),
      };
    default:
      throw new FormatError("unknown forward item");
  }
}

function readPlaces(reader: ByteReader): readonly LogPlace[] {
  const places: LogPlace[] = [];
  for (let left = reader.u8(); left > 0; left -= 1) {
    places.push({ term: reader.u48(), index: reader.u48() });
  }
  return places;
}

function readEntry(reader: ByteReader): EntryBytes {
  const length = new ByteReader(reader.bytesAll, reader.at, reader.end).u32();
  const [entry, more] = splitEntries(reader.raw(length));
  if (entry === undefined || more !== undefined) throw new FormatError("not one entry");
  return entry;
}

function writeAnswer(writer: ByteWriter, answer: ForwardAnswer): void {
  writer.u48(answer.sequence);
  writer.u48(answer.ticket);
  writer.u48(answer.term);
  writer.u48(answer.index);
  writer.u16(answer.durable);
  writeReply(answer.reply, writer);
}

function readAnswer(reader: ByteReader): ForwardAnswer {
  const sequence = reader.u48();
  const ticket = reader.u48();
  const term = reader.u48();
  const index = reader.u48();
  const durable = reader.u16();
  return { sequence, ticket, term, index, durable, reply: readReply(reader) };
}
