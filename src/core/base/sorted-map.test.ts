import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SortedMap } from "./sorted-map.ts";

type Step =
  | { readonly kind: "set"; readonly key: string; readonly value: number }
  | { readonly kind: "delete"; readonly key: string };

const key = fc.string({ unit: fc.constantFrom("a", "b", "\0", "\xff"), maxLength: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("set" as const), key, value: fc.nat() }),
  fc.record({ kind: fc.constant("delete" as const), key }),
);

/** The same steps on a plain array, kept sorted the slow way. */
function model(steps: readonly Step[]): (readonly [string, number])[] {
  let rows: (readonly [string, number])[] = [];
  for (const one of steps) {
    rows = rows.filter(([k]) => k !== one.key);
    if (one.kind === "set") rows.push([one.key, one.value]);
  }
  return rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function run(steps: readonly Step[]): SortedMap<number> {
  const map = new SortedMap<number>();
  for (const one of steps) {
    if (one.kind === "set") map.set(one.key, one.value);
    else map.delete(one.key);
  }
  return map;
}

describe("SortedMap", () => {
  it("is a sorted array of rows", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), key, key, (steps, from, to) => {
        const map = run(steps);
        const rows = model(steps);
        expect([...map.entries()]).toEqual(rows);
        expect(map.size).toBe(rows.length);
        expect([...map.entries(from, to)]).toEqual(rows.filter(([k]) => k >= from && k < to));
        expect(map.ceilingKey(from)).toBe(rows.find(([k]) => k >= from)?.[0] ?? null);
        expect(map.nextKey(from)).toBe(rows.find(([k]) => k > from)?.[0] ?? null);
        expect(map.get(from)).toBe(rows.find(([k]) => k === from)?.[1]);
      }),
    );
  });

  it("keeps its order over many chunks, whatever the order of arrival", () => {
    const numbers = Array.from({ length: 5000 }, (_, i) => (i * 2741) % 5000);
    const map = new SortedMap<number>();
    for (const n of numbers) map.set(String(n).padStart(5, "0"), n);
    for (const n of numbers) if (n % 3 !== 0) map.delete(String(n).padStart(5, "0"));
    const kept = [...map.entries()].map(([, n]) => n);
    expect(kept).toEqual(Array.from({ length: 1667 }, (_, i) => i * 3));
    map.clear();
    expect([...map.keys()]).toEqual([]);
    expect(map.ceilingKey("")).toBeNull();
  });
});
