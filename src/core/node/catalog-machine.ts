import { assert } from "../base/assert.ts";
import {
  ByteReader,
  type ByteString,
  ByteWriter,
  encodeUtf8,
  toByteString,
} from "../base/bytes.ts";
import {
  type CatalogCall,
  type KeyspaceChange,
  type KeyspaceRef,
  modelIsLater,
  noSuchKeyspace,
} from "../commands/keyspaces.ts";
import { LIMITS } from "../commands/limits.ts";
import {
  CATALOG_KEYSPACE,
  DEFAULT_KEYSPACE,
  type Keyspace,
  type KeyspaceRequest,
} from "../contract/keyspace.ts";
import {
  array,
  bulkText,
  error,
  integer,
  NULL,
  type Reply,
  redisError,
} from "../contract/reply.ts";
import type { StateMachine, StateReader, StateWriter } from "../contract/state-machine.ts";
import { REGISTER, VALUE_AT } from "../values/row.ts";
import { decodeCatalogCall, decodeKeyspace, encodeKeyspace } from "./catalog-format.ts";

/** The row that says which number the next keyspace gets. */
const NEXT: ByteString = "n";
/** Before a keyspace's name: the row of its definition. */
const KEYSPACE = "k";
/** Behind all of them. */
const KEYSPACES_END = "l";

/** All that the catalog knows. */
export interface CatalogContent {
  /** By ascending number. */
  readonly keyspaces: readonly Keyspace[];
  /** The next keyspace's number: a lower one that no keyspace has was dropped. */
  readonly next: number;
}

/** What the catalog holds before its first entry. */
export const EMPTY_CATALOG: CatalogContent = { keyspaces: [DEFAULT_KEYSPACE], next: 1 };

/** The catalog, read from its state. */
export function readCatalog(state: StateReader): CatalogContent {
  const keyspaces: Keyspace[] = [];
  for (const [, row] of state.rows(KEYSPACE, KEYSPACES_END))
    keyspaces.push(decodeKeyspace(row.subarray(VALUE_AT)));
  // The default keyspace has no row until it is altered.
  if (!keyspaces.some(({ number }) => number === 0)) keyspaces.push(DEFAULT_KEYSPACE);
  keyspaces.sort((a, b) => a.number - b.number);
  return { keyspaces, next: nextNumber(state) };
}

function nextNumber(state: StateReader): number {
  const row = state.get(NEXT);
  return row === undefined ? 1 : new ByteReader(row.subarray(VALUE_AT)).u32();
}

/**
 * What the catalog's group does with its commands: names to definitions, and numbers that are
 * assigned once. Every replica carries out the same, so every node has the same keyspaces.
 */
export const catalogMachine: StateMachine = {
  apply(command, state) {
    const call = decodeCatalogCall(command);
    switch (call.kind) {
      case "create":
        return create(call, state);
      case "alter":
        return alter(call.name, call.change, state);
      case "drop":
        return drop(call, state);
      default:
        assert(false, "not a change of the catalog", call.kind);
    }
  },

  read(command, state) {
    const call = decodeCatalogCall(command);
    switch (call.kind) {
      case "list":
        return array(readCatalog(state).keyspaces.map((keyspace) => map(fields(keyspace))));
      case "info": {
        const found = find(call.keyspace, state);
        return found === null ? noSuchKeyspace(readCatalog(state).keyspaces) : map(fields(found));
      }
      default:
        assert(false, "not a question to the catalog", call.kind);
    }
  },
};

function find(keyspace: KeyspaceRef, state: StateReader): Keyspace | null {
  if ("name" in keyspace) return byName(keyspace.name, state);
  const { keyspaces } = readCatalog(state);
  return keyspaces.find(({ number }) => number === keyspace.number) ?? null;
}

function byName(name: string, state: StateReader): Keyspace | null {
  const row = state.get(rowOf(name));
  if (row !== undefined) return decodeKeyspace(row.subarray(VALUE_AT));
  return name === DEFAULT_KEYSPACE.name ? DEFAULT_KEYSPACE : null;
}

function rowOf(name: string): ByteString {
  return KEYSPACE + toByteString(encodeUtf8(name));
}

function create(
  { request, ifNotExists }: Extract<CatalogCall, { kind: "create" }>,
  state: StateWriter,
): Reply {
  const { name, model } = request;
  const existing = byName(name, state);
  if (existing !== null) {
    if (ifNotExists && existing.model === model) return created(existing, false);
    const text = `Keyspace ${name} exists already, with the number ${existing.number} and the model ${existing.model}.`;
    return error("KEYSPACE_EXISTS", text);
  }
  if (model !== "singleLeader") return modelIsLater(model);
  const { keyspaces, next } = readCatalog(state);
  const refused = refuseAnother(keyspaces.length, next);
  if (refused !== null) return refused;
  const keyspace = { ...request, number: next, version: 1 };
  store(keyspace, state);
  const writer = new ByteWriter(8);
  writer.u32(next + 1);
  put(state, NEXT, writer.take());
  return created(keyspace, true);
}

function refuseAnother(count: number, next: number): Reply | null {
  if (count >= LIMITS.keyspacesMax) {
    return error("LIMIT", `A cluster may have ${LIMITS.keyspacesMax} keyspaces at most.`);
  }
  if (next >= CATALOG_KEYSPACE) return error("LIMIT", "Every number was used for a keyspace.");
  return null;
}

function created(keyspace: KeyspaceRequest & Keyspace, isNew: boolean): Reply {
  return map([...fields(keyspace), ["created", { kind: "boolean", value: isNew }]]);
}

function alter(name: string, change: KeyspaceChange, state: StateWriter): Reply {
  const old = byName(name, state);
  if (old === null) return noSuchKeyspace(readCatalog(state).keyspaces);
  const { schemaVersion = old.schemaVersion, ...options } = change;
  if (schemaVersion < old.schemaVersion) {
    return redisError(
      `the schema version of ${name} is ${old.schemaVersion} and does not go back to ${schemaVersion}`,
    );
  }
  const version = old.version + 1;
  const keyspace = { ...old, schemaVersion, version, options: { ...old.options, ...options } };
  store(keyspace, state);
  return map(fields(keyspace));
}

function drop(
  { name, ifExists }: Extract<CatalogCall, { kind: "drop" }>,
  state: StateWriter,
): Reply {
  const keyspace = byName(name, state);
  if (keyspace === null && !ifExists) return noSuchKeyspace(readCatalog(state).keyspaces);
  if (keyspace?.number === DEFAULT_KEYSPACE.number) {
    return redisError(
      "the keyspace default always exists and cannot be dropped: FLUSHDB empties it",
    );
  }
  if (keyspace !== null) state.delete(rowOf(name));
  return map([
    ["name", bulkText(name)],
    ["number", keyspace === null ? NULL : integer(keyspace.number)],
    ["dropped", { kind: "boolean", value: keyspace !== null }],
  ]);
}

function store(keyspace: Keyspace, state: StateWriter): void {
  put(state, rowOf(keyspace.name), encodeKeyspace(keyspace));
}

/** Rows of every state have the header that it stamps. */
function put(state: StateWriter, key: ByteString, value: Uint8Array): void {
  const row = state.take(VALUE_AT + value.length);
  row[0] = REGISTER;
  row.set(value, VALUE_AT);
  state.set(key, row);
}

type Field = readonly [name: string, value: Reply];

function fields({ name, number, model, version, schemaVersion, options }: Keyspace): Field[] {
  const { preferredLeader, timeoutMs } = options;
  return [
    ["name", bulkText(name)],
    ["number", integer(number)],
    ["model", bulkText(model)],
    ["version", integer(version)],
    ["schema", integer(schemaVersion)],
    ["preferred", preferredLeader === null ? NULL : bulkText(preferredLeader)],
    ["timeout", timeoutMs === null ? NULL : integer(timeoutMs)],
  ];
}

function map(entries: readonly Field[]): Reply {
  return { kind: "map", items: entries.flatMap(([name, value]) => [bulkText(name), value]) };
}
