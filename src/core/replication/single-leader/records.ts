import { ByteReader, ByteWriter, FormatError } from "../../base/bytes.ts";
import type { GroupId, LogIndex, NodeId, Term } from "../../contract/ids.ts";
import type { LogRecord, RecoveredRecord } from "../../contract/record.ts";
import { splitEntries } from "./entry.ts";
import type { EntryBytes } from "./messages.ts";

/** What a single-leader group writes to the node's log. The numbers are the disk format. */
const ENTRIES = 1;
const HARD_STATE = 2;
const TRUNCATE = 3;

/** What a replica writes to the node's log. */
export type RaftRecord =
  /** Entries in order; the first follows the log's last. */
  | { readonly kind: "entries"; readonly entries: readonly EntryBytes[] }
  /** Raft's currentTerm and votedFor (Figure 2). */
  | { readonly kind: "hardState"; readonly term: Term; readonly vote: NodeId | null }
  /** Entries from here on are removed; truncation is a record of the log (STO6). */
  | { readonly kind: "truncate"; readonly from: LogIndex };

/** A record in the log's form; entries pass as they are (STO2). */
export function encodeRecord(group: GroupId, record: RaftRecord): LogRecord {
  if (record.kind === "entries") return { group, type: ENTRIES, parts: record.entries };
  const writer = new ByteWriter(32);
  if (record.kind === "hardState") {
    writer.u48(record.term);
    writer.u8(record.vote === null ? 0 : 1);
    writer.text(record.vote ?? "");
    return { group, type: HARD_STATE, parts: [writer.take()] };
  }
  writer.u48(record.from);
  return { group, type: TRUNCATE, parts: [writer.take()] };
}

/** Throws `FormatError` on bytes that passed the log's checksum but are none of ours. */
export function decodeRecord(recovered: RecoveredRecord): RaftRecord {
  const reader = new ByteReader(recovered.body);
  switch (recovered.type) {
    case ENTRIES:
      return { kind: "entries", entries: splitEntries(recovered.body) };
    case HARD_STATE: {
      const term = reader.u48();
      const voted = reader.u8() === 1;
      const vote = reader.text();
      return { kind: "hardState", term, vote: voted ? vote : null };
    }
    case TRUNCATE:
      return { kind: "truncate", from: reader.u48() };
    default:
      throw new FormatError(`unknown record type ${recovered.type}`);
  }
}
