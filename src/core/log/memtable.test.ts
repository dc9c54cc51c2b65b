import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ByteString } from "../base/bytes.ts";
import { SortedMap } from "../base/sorted-map.ts";
import type { CommitProgress, Row, SnapshotHandle, StateStore } from "../contract/state-store.ts";
import { Memtable } from "./memtable.ts";

/** A store whose commit takes one change per `work`, visibly, to show reads every halfway state. */
class SlowStore implements StateStore {
  readonly #rows = new SortedMap<Uint8Array>();
  #changes: Iterator<readonly [ByteString, Uint8Array | null]> | null = null;
  position = 0;

  get(key: ByteString): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  peek(key: ByteString): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  has(key: ByteString): boolean {
    return this.#rows.has(key);
  }

  rows(from: ByteString, to: ByteString | null): Iterable<Row> {
    return this.#rows.entries(from, to);
  }

  keys(from: ByteString, to: ByteString | null): Iterable<ByteString> {
    return this.#rows.keys(from, to);
  }

  begin(position: number, changes: Iterator<readonly [ByteString, Uint8Array | null]>): void {
    this.position = position;
    this.#changes = changes;
  }

  work(): CommitProgress {
    if (this.#changes === null) return "idle";
    const next = this.#changes.next();
    if (next.done) {
      this.#changes = null;
      return "done";
    }
    const [key, value] = next.value;
    if (value === null) this.#rows.delete(key);
    else this.#rows.set(key, value);
    return "working";
  }

  openSnapshot(): SnapshotHandle {
    throw new Error("not part of this test");
  }
}

type Step =
  | { readonly kind: "put"; readonly key: string; readonly value: number }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "deleteRange"; readonly from: string; readonly to: string | null }
  | { readonly kind: "freeze" }
  | { readonly kind: "work" };

const key = fc.string({ unit: fc.constantFrom("a", "b", "\xff"), maxLength: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("put" as const), key, value: fc.nat(255) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("deleteRange" as const),
      from: key,
      to: fc.option(key),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("freeze" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("work" as const) }) },
);

describe("Memtable", () => {
  it("reads like a plain map at every moment of a running commit", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), key, fc.option(key), (steps, from, to) => {
        const store = new SlowStore();
        const memtable = new Memtable(store);
        const model = new Map<string, number>();
        for (const one of steps) {
          apply(one, memtable, store, model);
          expect(contents(memtable, "", null)).toEqual(sorted(model, "", null));
          expect(contents(memtable, from, to)).toEqual(sorted(model, from, to));
          expect([...memtable.keys(from, to)]).toEqual(
            contents(memtable, from, to).map(([k]) => k),
          );
          expect(memtable.get(from)?.[0]).toBe(model.get(from));
          expect(memtable.has(from)).toBe(model.has(from));
        }
        drainCommits(memtable, store);
        expect([...store.rows("", null)].map(([k, v]) => [k, v[0]])).toEqual(
          sorted(model, "", null),
        );
      }),
      { numRuns: 300 },
    );
  });

  it("counts what it holds, and nothing once it is frozen", () => {
    const memtable = new Memtable(new SlowStore());
    memtable.put("key", new Uint8Array(1000));
    expect(memtable.bytes).toBeGreaterThan(1000);
    memtable.put("key", new Uint8Array(10));
    expect(memtable.bytes).toBeLessThan(1000);
    memtable.delete("key");
    expect(memtable.bytes).toBe(0);
    memtable.put("key", new Uint8Array(10));
    memtable.freeze();
    expect(memtable.bytes).toBe(0);
    expect(memtable.isFrozen).toBe(true);
  });

  it("does not tell the checkpoint of a key that came and went", () => {
    const memtable = new Memtable(new SlowStore());
    memtable.put("a", new Uint8Array(1));
    memtable.put("b", new Uint8Array(1));
    memtable.delete("a");
    memtable.freeze();
    const changes = memtable.frozenChanges();
    expect(changes.next().value?.[0]).toBe("b");
    expect(changes.next().done).toBe(true);
  });

  it("refuses a second freeze while a commit is under way", () => {
    const memtable = new Memtable(new SlowStore());
    memtable.freeze();
    expect(() => memtable.freeze()).toThrow("still at work");
  });
});

function apply(one: Step, memtable: Memtable, store: SlowStore, model: Map<string, number>): void {
  switch (one.kind) {
    case "put":
      // Both do the same; only one of them says whether there was a value.
      if (one.value % 2 === 0) memtable.set(one.key, Uint8Array.of(one.value));
      else {
        const isNew = memtable.put(one.key, Uint8Array.of(one.value));
        expect(isNew).toBe(!model.has(one.key));
      }
      model.set(one.key, one.value);
      return;
    case "delete":
      expect(memtable.delete(one.key)).toBe(model.delete(one.key));
      return;
    case "deleteRange": {
      const doomed = sorted(model, one.from, one.to);
      for (const [k] of doomed) model.delete(k);
      expect(memtable.deleteRange(one.from, one.to)).toBe(doomed.length);
      return;
    }
    case "freeze":
      if (memtable.isFrozen) return;
      memtable.freeze();
      store.begin(store.position + 1, memtable.frozenChanges());
      return;
    case "work":
      if (store.work() === "done") memtable.dropFrozen();
  }
}

function drainCommits(memtable: Memtable, store: SlowStore): void {
  for (let round = 0; round < 2; round += 1) {
    while (memtable.isFrozen) if (store.work() === "done") memtable.dropFrozen();
    if (round > 0) return;
    memtable.freeze();
    store.begin(store.position + 1, memtable.frozenChanges());
  }
}

function contents(memtable: Memtable, from: string, to: string | null): [string, number][] {
  return [...memtable.rows(from, to)].map(([k, v]) => [k, v[0]!]);
}

function sorted(model: Map<string, number>, from: string, to: string | null): [string, number][] {
  const rows = [...model].filter(([k]) => k >= from && (to === null || k < to));
  return rows.sort(([a], [b]) => (a < b ? -1 : 1));
}
