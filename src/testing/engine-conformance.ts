import assert from "node:assert/strict";
import type { KeyspaceEngine, StoredValue, WriteOperation } from "../client/engine.ts";
import { isTrefoilError } from "../client/errors.ts";
import { encodeUtf8, toByteString } from "../core/base/bytes.ts";
import type { ReadSet } from "../core/commands/watched-keys.ts";

/** One requirement: a test runner names it by its title and waits for `run`. */
export interface EngineCase {
  readonly title: string;
  /** The capability that it is about, if any. */
  readonly of?: "collections";
  /** On an engine of a keyspace that no other case uses the same keys of. */
  run(engine: KeyspaceEngine): Promise<void>;
}

/**
 * What every `KeyspaceEngine` must do that claims the capabilities. The keys of a case begin with a
 * name of its own, so that all can be run on one keyspace.
 */
export const ENGINE_CASES: readonly EngineCase[] = [
  {
    title: "gives back text, bytes and JSON as what they are",
    async run(engine) {
      await put(engine, "a:text", "text", "Grüße");
      await put(engine, "a:bytes", "bytes", "looks like text");
      await put(engine, "a:json", "json", '{"a":[1,2]}');
      const found = await values(engine, "a:text", "a:bytes", "a:json", "a:none");
      assert.deepEqual(found.map(shown), [
        "text Grüße",
        "bytes looks like text",
        'json {"a":[1,2]}',
        null,
      ]);
    },
  },
  {
    title: "sets on condition, and says whether it did",
    async run(engine) {
      assert.equal(await put(engine, "b:k", "text", "1", { onlyIf: "present" }), 0n);
      assert.equal(await put(engine, "b:k", "text", "1", { onlyIf: "absent" }), 1n);
      assert.equal(await put(engine, "b:k", "text", "2", { onlyIf: "absent" }), 0n);
      assert.equal(await put(engine, "b:k", "text", "3", { onlyIf: "present" }), 1n);
      assert.equal(shown((await values(engine, "b:k"))[0]), "text 3");
    },
  },
  {
    title: "changes a key's version with every change, and at no other time",
    async run(engine) {
      await put(engine, "c:k", "text", "1");
      await put(engine, "c:other", "text", "1");
      const [first] = await values(engine, "c:k");
      await put(engine, "c:other", "text", "2");
      assert.equal((await values(engine, "c:k"))[0]?.version, first?.version);
      await put(engine, "c:k", "text", "1");
      assert.notEqual((await values(engine, "c:k"))[0]?.version, first?.version);
    },
  },
  {
    title: "deletes, and counts what was there",
    async run(engine) {
      await put(engine, "d:a", "text", "1");
      await put(engine, "d:b", "text", "1");
      assert.equal(await write(engine, { kind: "delete", keys: ["d:a", "d:b", "d:c"] }), 2n);
      assert.deepEqual(await values(engine, "d:a"), [null]);
    },
  },
  {
    title: "adds to whole numbers beyond what a double holds, and refuses what is none",
    async run(engine) {
      assert.equal(await write(engine, { kind: "add", key: "e:n", by: 5n }), 5n);
      assert.equal(await write(engine, { kind: "add", key: "e:n", by: 2n ** 60n }), 2n ** 60n + 5n);
      assert.equal(await write(engine, { kind: "add", key: "e:n", by: -6n }), 2n ** 60n - 1n);
      await put(engine, "e:word", "text", "abc");
      await refused(write(engine, { kind: "add", key: "e:word", by: 1n }));
      assert.equal(shown((await values(engine, "e:word"))[0]), "text abc");
    },
  },
  {
    title: "reads ranges in the order of bytes, page by page",
    async run(engine) {
      for (const key of ["b", "a", "ä", "c", "🌍"]) await put(engine, `f:${key}`, "text", key);
      const page = { from: "f:", to: "f;", limit: 3 };
      const first = (await engine.read("range", page, {})).value;
      assert.deepEqual(
        first?.rows.map(([key]) => key),
        ["f:a", "f:b", "f:c"],
      );
      assert.equal(first?.more, true);
      const rest = (await engine.read("range", { ...page, from: "f:c\0" }, {})).value;
      assert.deepEqual(
        rest?.rows.map(([key]) => key),
        ["f:ä", "f:🌍"],
      );
      assert.equal(rest?.more, false);
    },
  },
  {
    title: "commits all where what was read still holds, and nothing where not",
    async run(engine) {
      await put(engine, "g:a", "text", "1");
      const reads = await readSet(engine, "g:a", "g:none");
      const writes = [setting("g:a", "2"), setting("g:none", "made")];
      assert.deepEqual((await engine.commit(reads, writes, {})).value, [1n, 1n]);
      assert.equal((await engine.commit(reads, writes, {})).value, null);
      const now = await readSet(engine, "g:a");
      await write(engine, { kind: "delete", keys: ["g:a"] });
      assert.equal((await engine.commit(now, [setting("g:b", "1")], {})).value, null);
      assert.deepEqual(await values(engine, "g:b"), [null]);
    },
  },
  {
    title: "commits nothing where one of the writes is refused",
    async run(engine) {
      await put(engine, "h:word", "text", "abc");
      const writes: WriteOperation[] = [
        setting("h:a", "1"),
        { kind: "add", key: "h:word", by: 1n },
        setting("h:b", "1"),
      ];
      await refused(engine.commit([], writes, {}));
      assert.deepEqual(await values(engine, "h:a", "h:b"), [null, null]);
    },
  },
  {
    title: "notices what was added to, changed in or deleted from a range that was read",
    async run(engine) {
      for (const key of ["a", "c"]) await put(engine, `i:${key}`, "text", key);
      const change = async (...operations: WriteOperation[]) => {
        const page = { from: "i:", to: "i;", limit: 10 };
        const { value, meta } = await engine.read("range", page, { meta: true });
        const range = { from: latin1("i:"), to: latin1("i;"), index: meta?.index ?? 0 };
        const reads = [{ kind: "range", ...range, count: value?.rows.length ?? 0 } as const];
        for (const operation of operations) await write(engine, operation);
        return (await engine.commit(reads, [setting("j:done", "1")], {})).value !== null;
      };
      assert.equal(await change(), true);
      assert.equal(await change(setting("i:b", "new")), false);
      assert.equal(await change(setting("i:b", "changed")), false);
      assert.equal(await change({ kind: "delete", keys: ["i:b"] }), false);
      const swap = [setting("i:b", "1"), { kind: "delete", keys: ["i:a"] }] as const;
      assert.equal(await change(...swap), false);
      assert.equal(await change(setting("k:elsewhere", "1")), true);
    },
  },
  {
    title: "a read that is to fit earlier ones says when it does not",
    async run(engine) {
      await put(engine, "l:a", "text", "1");
      const ifHeld = await readSet(engine, "l:a");
      const read = async () => (await engine.read("values", { keys: ["l:b"], ifHeld }, {})).value;
      assert.deepEqual(await read(), [null]);
      await put(engine, "l:a", "text", "2");
      assert.equal(await read(), null);
    },
  },
  {
    title: "keeps the order of its calls, answered or not",
    async run(engine) {
      const calls: Promise<unknown>[] = [];
      for (let i = 0; i < 50; i += 1) {
        calls.push(write(engine, { kind: "add", key: "m:n", by: 1n }));
        calls.push(values(engine, "m:n").then(([found]) => shown(found)));
      }
      const answers = await Promise.all(calls);
      const expected = Array.from({ length: 50 }, (_, i) => [BigInt(i + 1), `text ${i + 1}`]);
      assert.deepEqual(answers, expected.flat());
    },
  },
  {
    title: "lets keys live for a time, and tells how long",
    async run(engine) {
      await put(engine, "n:k", "text", "1", { ttlMs: 1_000_000 });
      const left = (await engine.read("ttl", { key: "n:k" }, {})).value ?? 0;
      assert.ok(left > 900_000 && left <= 1_000_000, String(left));
      await put(engine, "n:k", "text", "2", { ttlMs: "keep" });
      assert.ok(((await engine.read("ttl", { key: "n:k" }, {})).value ?? 0) > 900_000);
      assert.equal(await write(engine, { kind: "expire", key: "n:k", ttlMs: null }), 1n);
      assert.equal((await engine.read("ttl", { key: "n:k" }, {})).value, null);
      assert.equal((await engine.read("ttl", { key: "n:none" }, {})).value, undefined);
      assert.equal(await write(engine, { kind: "expire", key: "n:none", ttlMs: 1000 }), 0n);
    },
  },
  {
    title: "keeps sets and maps, member by member and field by field",
    of: "collections",
    async run(engine) {
      const members = ["x", "y", "x"];
      assert.equal(await write(engine, { kind: "addMembers", key: "o:s", members }), 2n);
      const has = { key: "o:s", member: "y" };
      assert.equal((await engine.read("hasMember", has, {})).value, true);
      const gone = { kind: "removeMembers", key: "o:s", members: ["y", "z"] } as const;
      assert.equal(await write(engine, gone), 1n);
      assert.equal((await engine.read("size", { key: "o:s", kind: "set" }, {})).value, 1);
      const fields = [["f", encodeUtf8("1")] as const, ["g", encodeUtf8("2")] as const];
      assert.equal(await write(engine, { kind: "setFields", key: "o:m", fields }), 2n);
      const add = { kind: "addToField", key: "o:m", field: "f", by: 4n } as const;
      assert.equal(await write(engine, add), 5n);
      const field = (await engine.read("field", { key: "o:m", field: "f" }, {})).value;
      assert.equal(field === null ? null : toByteString(field), "5");
      const less = { kind: "removeFields", key: "o:m", fields: ["g", "h"] } as const;
      assert.equal(await write(engine, less), 1n);
      const [set, map] = await values(engine, "o:s", "o:m");
      assert.deepEqual(set?.type === "set" ? set.members : null, ["x"]);
      assert.deepEqual(map?.type === "map" ? [...map.fields.keys()] : null, ["f"]);
      await refused(write(engine, { kind: "add", key: "o:s", by: 1n }));
    },
  },
  {
    title: "tells what changes, in order, from where its caller was before",
    async run(engine) {
      const { meta } = await engine.write(setting("r:a", "0"), { meta: true });
      await put(engine, "r:a", "text", "1");
      await put(engine, "elsewhere", "text", "1");
      await put(engine, "r:b", "json", "2");
      await write(engine, { kind: "delete", keys: ["r:a"] });
      const seen: string[] = [];
      const indexes: number[] = [];
      const caller = new AbortController();
      for await (const { changes, gap } of engine.follow(meta?.index ?? 0, "r:", caller.signal)) {
        assert.equal(gap, false);
        for (const { index, key, stored } of changes) {
          seen.push(`${key} ${shown(stored)}`);
          indexes.push(index);
        }
        // What comes later is told when it comes.
        if (seen.length === 3) await put(engine, "r:c", "text", "3");
        if (seen.length >= 4) break;
      }
      assert.deepEqual(seen, ["r:a text 1", "r:b json 2", "r:a null", "r:c text 3"]);
      assert.deepEqual(
        indexes,
        [...indexes].sort((a, b) => a - b),
      );
    },
  },
  {
    title: "says how an answer came about, where it is asked for",
    async run(engine) {
      const plain = await engine.write(setting("p:k", "1"), {});
      assert.equal(plain.meta, null);
      const { meta } = await engine.write(setting("p:k", "2"), { meta: true });
      assert.ok(meta !== null && meta.index > 0 && meta.durable >= 1);
    },
  },
  {
    title: "ends a call that its caller gives up",
    async run(engine) {
      const caller = new AbortController();
      const call = engine.write(setting("q:k", "1"), { signal: caller.signal });
      caller.abort();
      await assert.rejects(call, (failure) => {
        return isTrefoilError(failure, "ABORTED") && failure.outcome === "unknown";
      });
      await put(engine, "q:k", "text", "2");
      assert.equal(shown((await values(engine, "q:k"))[0]), "text 2");
    },
  },
];

async function put(
  engine: KeyspaceEngine,
  key: string,
  type: "text" | "bytes" | "json",
  content: string,
  options: Partial<Extract<WriteOperation, { kind: "set" }>> = {},
): Promise<bigint> {
  const bytes = encodeUtf8(content);
  return write(engine, { kind: "set", key, type, bytes, ...options });
}

function setting(key: string, content: string): WriteOperation {
  return { kind: "set", key, type: "text", bytes: encodeUtf8(content) };
}

async function write(engine: KeyspaceEngine, operation: WriteOperation): Promise<bigint> {
  return (await engine.write(operation, {})).value;
}

async function values(
  engine: KeyspaceEngine,
  ...keys: string[]
): Promise<readonly (StoredValue | null)[]> {
  const { value } = await engine.read("values", { keys }, {});
  assert.ok(value !== null, "a read without a condition");
  return value;
}

async function readSet(engine: KeyspaceEngine, ...keys: string[]): Promise<ReadSet> {
  const found = await values(engine, ...keys);
  return keys.map((key, i) => {
    return { kind: "key", key: latin1(key), version: found[i]?.version ?? 0 };
  });
}

function latin1(key: string): string {
  return toByteString(encodeUtf8(key));
}

function shown(stored: StoredValue | null | undefined): string | null {
  if (stored === null || stored === undefined) return null;
  if (stored.type === "set" || stored.type === "map") return stored.type;
  return `${stored.type} ${new TextDecoder().decode(stored.bytes)}`;
}

/** Certainly not applied. */
async function refused(call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (failure) => {
    return isTrefoilError(failure) && failure.outcome === "not-applied";
  });
}
