import { assert, unreachable } from "../base/assert.ts";
import { ByteReader, ByteWriter, FormatError } from "../base/bytes.ts";
import type { CatalogCall, KeyspaceChange, KeyspaceRef } from "../commands/keyspaces.ts";
import {
  isKeyspaceName,
  KEYSPACE_OPTIONS,
  type Keyspace,
  type KeyspaceOptions,
  type KeyspaceRequest,
  REPLICATION_MODELS,
  type ReplicationModel,
} from "../contract/keyspace.ts";

/*
 * The catalog's commands as they go to its log, and its rows:
 *
 *   command: u8 kind | what the kind has
 *   row:     u8 format | u32 number | u8 model | u32 version | u32 schema version | name | options
 *   options: u8 count | per option: u8 id | value. What a definition does not say is not there.
 */
const FORMAT = 1;
const KINDS = ["create", "alter", "drop", "list", "info"] as const;

/** Ids of what a definition or a change may say. Never used for anything else. */
const PREFERRED_LEADER = 1;
const TIMEOUT_MS = 2;
const SCHEMA_VERSION = 3;

/** A call as it goes to the catalog's log (STO2). */
export function encodeCatalogCall(call: CatalogCall): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u8(KINDS.indexOf(call.kind));
  switch (call.kind) {
    case "create":
      writer.u8(call.ifNotExists ? 1 : 0);
      writeRequest(call.request, writer);
      break;
    case "alter":
      writer.text(call.name);
      writeChange(call.change, writer);
      break;
    case "drop":
      writer.u8(call.ifExists ? 1 : 0);
      writer.text(call.name);
      break;
    case "list":
      break;
    case "info":
      writeRef(call.keyspace, writer);
      break;
    default:
      return unreachable(call);
  }
  return writer.take();
}

/** The inverse of `encodeCatalogCall`. Throws `FormatError`. */
export function decodeCatalogCall(bytes: Uint8Array): CatalogCall {
  const reader = new ByteReader(bytes);
  const call = readCall(reader);
  if (reader.remaining > 0) throw new FormatError("bytes after a call of the catalog");
  return call;
}

function readCall(reader: ByteReader): CatalogCall {
  const kind = KINDS[reader.u8()];
  switch (kind) {
    case "create": {
      const ifNotExists = reader.u8() === 1;
      return { kind, ifNotExists, request: readRequest(reader) };
    }
    case "alter":
      return { kind, name: readName(reader), change: readChange(reader) };
    case "drop": {
      const ifExists = reader.u8() === 1;
      return { kind, ifExists, name: readName(reader) };
    }
    case "list":
      return { kind };
    case "info":
      return { kind, keyspace: readRef(reader) };
    case undefined:
      throw new FormatError("no such call of the catalog");
    default:
      return unreachable(kind);
  }
}

/** A keyspace as the catalog stores it. */
export function encodeKeyspace(keyspace: Keyspace): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u8(FORMAT);
  writer.u32(keyspace.number);
  writer.u32(keyspace.version);
  writeRequest(keyspace, writer);
  return writer.take();
}

/** The inverse of `encodeKeyspace`. Throws `FormatError`. */
export function decodeKeyspace(bytes: Uint8Array): Keyspace {
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  assert(format === FORMAT, "a keyspace's row of another format", format);
  const number = reader.u32();
  const version = reader.u32();
  return { number, version, ...readRequest(reader) };
}

function writeRequest(request: KeyspaceRequest, writer: ByteWriter): void {
  const { name, model, schemaVersion, options } = request;
  writer.text(name);
  writer.u8(REPLICATION_MODELS.indexOf(model));
  writeChange({ schemaVersion, ...options }, writer);
}

function readRequest(reader: ByteReader): KeyspaceRequest {
  const name = readName(reader);
  const model: ReplicationModel | undefined = REPLICATION_MODELS[reader.u8()];
  if (model === undefined) throw new FormatError("a keyspace of no model");
  const { schemaVersion = 0, ...given } = readChange(reader);
  const options: KeyspaceOptions = { ...KEYSPACE_OPTIONS, ...given };
  return { name, model, schemaVersion, options };
}

function writeChange(change: KeyspaceChange, writer: ByteWriter): void {
  const { preferredLeader, timeoutMs, schemaVersion } = change;
  const given = [preferredLeader, timeoutMs, schemaVersion].filter((value) => value !== undefined);
  writer.u8(given.length);
  if (preferredLeader !== undefined) {
    writer.u8(PREFERRED_LEADER);
    writer.text(preferredLeader ?? "");
  }
  if (timeoutMs !== undefined) {
    writer.u8(TIMEOUT_MS);
    writer.u32(timeoutMs ?? 0);
  }
  if (schemaVersion !== undefined) {
    writer.u8(SCHEMA_VERSION);
    writer.u32(schemaVersion);
  }
}

function readChange(reader: ByteReader): KeyspaceChange {
  const change: { -readonly [K in keyof KeyspaceChange]: KeyspaceChange[K] } = {};
  for (let left = reader.u8(); left > 0; left -= 1) {
    const id = reader.u8();
    if (id === PREFERRED_LEADER) change.preferredLeader = reader.text() || null;
    else if (id === TIMEOUT_MS) change.timeoutMs = reader.u32() || null;
    else if (id === SCHEMA_VERSION) change.schemaVersion = reader.u32();
    else throw new FormatError(`a keyspace has no option ${id}`);
  }
  return change;
}

function writeRef(keyspace: KeyspaceRef, writer: ByteWriter): void {
  if ("name" in keyspace) {
    writer.u8(0);
    writer.text(keyspace.name);
  } else {
    writer.u8(1);
    writer.u32(keyspace.number);
  }
}

function readRef(reader: ByteReader): KeyspaceRef {
  return reader.u8() === 0 ? { name: readName(reader) } : { number: reader.u32() };
}

function readName(reader: ByteReader): string {
  const name = reader.text();
  if (!isKeyspaceName(name)) throw new FormatError("not a keyspace's name");
  return name;
}
