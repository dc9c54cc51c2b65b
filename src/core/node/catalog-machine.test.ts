import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeUtf8 } from "../base/bytes.ts";
import { NO_ROWS } from "../base/row-hash.ts";
import type { CatalogCall } from "../commands/keyspaces.ts";
import { LIMITS } from "../commands/limits.ts";
import {
  KEYSPACE_OPTIONS,
  type KeyspaceRequest,
  REPLICATION_MODELS,
} from "../contract/keyspace.ts";
import type { Reply } from "../contract/reply.ts";
import { MemoryStore } from "../log/memory-store.ts";
import { Memtable } from "../log/memtable.ts";
import { ChangeLog } from "../replication/single-leader/change-log.ts";
import { KeyspaceState } from "../replication/single-leader/keyspace-state.ts";
import { NO_KEYS } from "../replication/single-leader/rows.ts";
import { StateRows } from "../replication/single-leader/state-rows.ts";
import {
  decodeCatalogCall,
  decodeKeyspace,
  encodeCatalogCall,
  encodeKeyspace,
} from "./catalog-format.ts";
import { catalogMachine, EMPTY_CATALOG, readCatalog } from "./catalog-machine.ts";

function rows(): KeyspaceState {
  const stored = new StateRows(new Memtable(new MemoryStore()), "p", "q", NO_ROWS);
  return new KeyspaceState(stored, "p", NO_KEYS, new ChangeLog());
}

function plain(reply: Reply): unknown {
  switch (reply.kind) {
    case "bulk":
      return decodeUtf8(reply.bytes);
    case "integer":
    case "boolean":
      return reply.value;
    case "error":
      return `${reply.code} ${reply.message}${reply.outcome === null ? "" : ` ${reply.outcome}`}`;
    case "array":
      return reply.items.map(plain);
    case "map": {
      const items = reply.items.map(plain);
      return Object.fromEntries(items.flatMap((key, i) => (i % 2 ? [] : [[key, items[i + 1]]])));
    }
    default:
      return null;
  }
}

function request(name: string, change: Partial<KeyspaceRequest> = {}): KeyspaceRequest {
  return { name, model: "singleLeader", schemaVersion: 0, options: KEYSPACE_OPTIONS, ...change };
}

/** Calls of a catalog, each encoded as it travels. */
class Catalog {
  readonly state = rows();

  apply(call: CatalogCall): unknown {
    return plain(catalogMachine.apply(encodeCatalogCall(call), this.state, 0));
  }

  read(call: CatalogCall): unknown {
    return plain(catalogMachine.read(encodeCatalogCall(call), this.state, 0));
  }

  create(name: string, ifNotExists = false): unknown {
    return this.apply({ kind: "create", request: request(name), ifNotExists });
  }

  drop(name: string, ifExists = false): unknown {
    return this.apply({ kind: "drop", name, ifExists });
  }

  get numbers(): Readonly<Record<string, number>> {
    const { keyspaces } = readCatalog(this.state);
    return Object.fromEntries(keyspaces.map(({ name, number }) => [name, number]));
  }
}

const DEFAULT = {
  name: "default",
  number: 0,
  model: "singleLeader",
  version: 1,
  schema: 0,
  preferred: null,
  timeout: null,
};

describe("the catalog", () => {
  test("begins with the default keyspace", () => {
    const catalog = new Catalog();
    expect(readCatalog(catalog.state)).toEqual(EMPTY_CATALOG);
    expect(catalog.read({ kind: "list" })).toEqual([DEFAULT]);
    expect(catalog.read({ kind: "info", keyspace: { name: "default" } })).toEqual(DEFAULT);
    expect(catalog.state.size).toBe(0);
  });

  test("numbers keyspaces once, and never again after a drop", () => {
    const catalog = new Catalog();
    expect(catalog.create("a")).toEqual({ ...DEFAULT, name: "a", number: 1, created: true });
    catalog.create("b");
    expect(catalog.drop("b")).toEqual({ name: "b", number: 2, dropped: true });
    catalog.create("b");
    catalog.drop("a");
    catalog.create("c");
    expect(catalog.numbers).toEqual({ default: 0, b: 3, c: 4 });
    expect(readCatalog(catalog.state).next).toBe(5);
  });

  test("refuses a name that is taken, unless it is asked for what is there", () => {
    const catalog = new Catalog();
    catalog.create("a");
    expect(catalog.create("a")).toBe(
      "KEYSPACE_EXISTS Keyspace a exists already, with the number 1 and the model singleLeader. not-applied",
    );
    expect(catalog.create("a", true)).toEqual({ ...DEFAULT, name: "a", number: 1, created: false });
    expect(catalog.create("default", true)).toMatchObject({ number: 0, created: false });
    expect(readCatalog(catalog.state).next).toBe(2);
  });

  test("refuses the models of later versions, though definitions may name them", () => {
    const catalog = new Catalog();
    const leaderless = request("a", { model: "leaderless" });
    expect(catalog.apply({ kind: "create", request: leaderless, ifNotExists: false })).toBe(
      "MODEL Keyspaces of the model leaderless come in a later version of Trefoil: use singleLeader. not-applied",
    );
    catalog.create("a");
    expect(catalog.apply({ kind: "create", request: leaderless, ifNotExists: true })).toMatch(
      /^KEYSPACE_EXISTS/,
    );
  });

  test("drops what is there, and never the default keyspace", () => {
    const catalog = new Catalog();
    expect(catalog.drop("a")).toBe(
      "NOKEYSPACE There is no such keyspace; there are 0 (default). not-applied",
    );
    expect(catalog.drop("a", true)).toEqual({ name: "a", number: null, dropped: false });
    expect(catalog.drop("default", true)).toBe(
      "ERR the keyspace default always exists and cannot be dropped: FLUSHDB empties it",
    );
    expect(catalog.numbers).toEqual({ default: 0 });
  });

  test("alters what is said and keeps the rest, one version at a time", () => {
    const catalog = new Catalog();
    catalog.create("a");
    const alter = (change: Extract<CatalogCall, { kind: "alter" }>["change"], name = "a") =>
      catalog.apply({ kind: "alter", name, change });
    expect(alter({ timeoutMs: 500 })).toMatchObject({ number: 1, version: 2, timeout: 500 });
    expect(alter({ preferredLeader: "n2", schemaVersion: 4 })).toEqual({
      ...DEFAULT,
      name: "a",
      number: 1,
      version: 3,
      schema: 4,
      preferred: "n2",
      timeout: 500,
    });
    expect(alter({ preferredLeader: null, timeoutMs: null })).toMatchObject({
      version: 4,
      preferred: null,
      timeout: null,
      schema: 4,
    });
    expect(alter({ schemaVersion: 3 })).toBe(
      "ERR the schema version of a is 4 and does not go back to 3",
    );
    expect(alter({ timeoutMs: 1 }, "b")).toMatch(/^NOKEYSPACE .*0 \(default\), 1 \(a\)/);
    expect(alter({ timeoutMs: 9 }, "default")).toMatchObject({ number: 0, version: 2, timeout: 9 });
    expect(catalog.numbers).toEqual({ default: 0, a: 1 });
  });

  test("finds keyspaces by name and by number", () => {
    const catalog = new Catalog();
    catalog.create("a");
    const info = (keyspace: { name: string } | { number: number }) =>
      catalog.read({ kind: "info", keyspace });
    expect(info({ number: 1 })).toEqual(info({ name: "a" }));
    expect(info({ number: 0 })).toEqual(DEFAULT);
    expect(info({ number: 2 })).toMatch(/^NOKEYSPACE/);
    expect(info({ name: "b" })).toMatch(/^NOKEYSPACE/);
  });

  test("has as many keyspaces as the limit says, and not one more", () => {
    const catalog = new Catalog();
    for (let i = 1; i < LIMITS.keyspacesMax; i += 1) catalog.create(`k${i}`);
    expect(Object.keys(catalog.numbers)).toHaveLength(LIMITS.keyspacesMax);
    expect(catalog.create("one-more")).toBe(
      "LIMIT A cluster may have 256 keyspaces at most. not-applied",
    );
    expect(catalog.create("k1", true)).toMatchObject({ created: false });
    catalog.drop("k1");
    expect(catalog.create("one-more")).toMatchObject({ number: 256 });
    expect(catalog.drop("nobody")).toContain("16 (k16), 240 more. not-applied");
  });

  test("gives no number twice, whatever is created and dropped", () => {
    const step = fc.record({
      isDrop: fc.boolean(),
      name: fc.constantFrom("a", "b", "c", "default"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const catalog = new Catalog();
        const given = new Map<number, string>([[0, "default"]]);
        let highest = 0;
        for (const { isDrop, name } of steps) {
          if (isDrop) catalog.drop(name, true);
          else catalog.create(name, true);
          for (const [each, number] of Object.entries(catalog.numbers)) {
            if (!given.has(number)) {
              expect(number).toBe(highest + 1);
              highest = number;
              given.set(number, each);
            }
            expect(given.get(number)).toBe(each);
          }
          expect(catalog.numbers["default"]).toBe(0);
        }
      }),
    );
  });
});

describe("calls and rows", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,63}$/);
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const options = fc.record({
    preferredLeader: fc.option(fc.constantFrom("n1", "n22")),
    timeoutMs: fc.option(fc.integer({ min: 1, max: 86_400_000 })),
  });
  const requests = fc.record({
    name,
    model: fc.constantFrom(...REPLICATION_MODELS),
    schemaVersion: u32,
    options,
  });
  const calls: fc.Arbitrary<CatalogCall> = fc.oneof(
    fc.record({
      kind: fc.constant("create" as const),
      request: requests,
      ifNotExists: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant("alter" as const),
      name,
      change: fc.record(
        {
          preferredLeader: fc.option(fc.constant("n1")),
          timeoutMs: fc.option(fc.integer({ min: 1, max: 1000 })),
          schemaVersion: u32,
        },
        { requiredKeys: [] },
      ),
    }),
    fc.record({ kind: fc.constant("drop" as const), name, ifExists: fc.boolean() }),
    fc.constant({ kind: "list" as const }),
    fc.record({
      kind: fc.constant("info" as const),
      keyspace: fc.oneof(fc.record({ name }), fc.record({ number: u32 })),
    }),
  );

  test("are the same after they were encoded", () => {
    fc.assert(
      fc.property(calls, (call) => {
        expect(decodeCatalogCall(encodeCatalogCall(call))).toEqual(call);
      }),
    );
    fc.assert(
      fc.property(requests, u32, u32, (definition, number, version) => {
        const keyspace = { ...definition, number, version };
        expect(decodeKeyspace(encodeKeyspace(keyspace))).toEqual(keyspace);
      }),
    );
  });

  test("that are none are refused", () => {
    const bytes = encodeCatalogCall({ kind: "drop", name: "abc", ifExists: false });
    expect(() => decodeCatalogCall(bytes.subarray(0, bytes.length - 1))).toThrow();
    expect(() => decodeCatalogCall(new Uint8Array([...bytes, 0]))).toThrow("bytes after a call");
    expect(() => decodeCatalogCall(new Uint8Array([9]))).toThrow("no such call");
    const upper = Uint8Array.from(bytes, (byte) => (byte === 0x61 ? 0x41 : byte));
    expect(() => decodeCatalogCall(upper)).toThrow("not a keyspace's name");
  });
});
