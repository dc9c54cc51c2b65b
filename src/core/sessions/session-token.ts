import { decodeBase64Url, encodeBase64Url } from "../base/base64url.ts";
import { ByteReader, ByteWriter, encodeUtf8 } from "../base/bytes.ts";
import { crc32 } from "../base/hash.ts";
import type { LogPlace } from "../contract/group.ts";
import type { GroupId } from "../contract/ids.ts";

/** What a session has seen of one group's log. */
export type SessionEntry = readonly [group: GroupId, place: LogPlace];

/** Groups that a session keeps a place in, and a token has entries for. */
export const SESSION_GROUPS_MAX = 256;

const VERSION = 1;
/** Version, cluster, number of entries; behind the entries the checksum. */
const HEAD_BYTES = 7;
const ENTRY_BYTES = 18;
const CHECKSUM_BYTES = 4;
const TOKEN_BYTES_MAX = HEAD_BYTES + ENTRY_BYTES * SESSION_GROUPS_MAX + CHECKSUM_BYTES;
const TOKEN_TEXT_MAX = Math.ceil((TOKEN_BYTES_MAX * 4) / 3);

/**
 * A session's token (LEAD7), of one entry per group, by ascending group: opaque text, good on every
 * node of the cluster and any transport. A keyspace's number is given once and never again, so that
 * the group names its incarnation too.
 */
export function encodeToken(cluster: string, entries: readonly SessionEntry[]): string {
  const writer = new ByteWriter(HEAD_BYTES + ENTRY_BYTES * entries.length + CHECKSUM_BYTES);
  writer.u8(VERSION);
  writer.u32(crc32(encodeUtf8(cluster)));
  writer.u16(entries.length);
  for (const [group, place] of entries) {
    writer.u48(group);
    writer.u48(place.term);
    writer.u48(place.index);
  }
  const body = writer.take();
  writer.raw(body);
  writer.u32(crc32(body));
  return encodeBase64Url(writer.take());
}

/** The token's entries, or a sentence that says why the text is no token of this cluster. */
export function decodeToken(cluster: string, text: Uint8Array): readonly SessionEntry[] | string {
  const bytes = text.length > TOKEN_TEXT_MAX ? null : decodeBase64Url(text);
  if (bytes === null) return "This is no session token: it is too long, or not of its letters.";
  const bodyBytes = bytes.length - CHECKSUM_BYTES;
  if (bodyBytes < HEAD_BYTES) return "The session token is cut short.";
  const body = bytes.subarray(0, bodyBytes);
  if (new ByteReader(bytes, bodyBytes).u32() !== crc32(body)) {
    return "The session token is damaged or cut short: its checksum does not fit.";
  }
  const reader = new ByteReader(body);
  if (reader.u8() !== VERSION) return "The session token is of another version of Trefoil.";
  if (reader.u32() !== crc32(encodeUtf8(cluster))) {
    return "The session token is of another cluster.";
  }
  const count = reader.u16();
  if (reader.remaining !== count * ENTRY_BYTES) return "The session token is malformed.";
  const entries: SessionEntry[] = [];
  let last = -1;
  for (let left = count; left > 0; left -= 1) {
    const group = reader.u48();
    if (group <= last) return "The session token is malformed.";
    last = group;
    entries.push([group, { term: reader.u48(), index: reader.u48() }]);
  }
  return entries;
}
