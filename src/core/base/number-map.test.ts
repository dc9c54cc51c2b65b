import fc from "fast-check";
import { expect, test } from "vitest";
import { NumberMap } from "./number-map.ts";

type Step = readonly ["set" | "delete" | "get", number];

const key = fc.oneof(
  fc.nat(40),
  fc.nat(40).map((n) => n * 1024),
  fc.constantFrom(0, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER),
);
const step: fc.Arbitrary<Step> = fc.tuple(fc.constantFrom("set", "delete", "get"), key);

test("agrees with Map under any sequence of changes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const map = new NumberMap<number>();
      const model = new Map<number, number>();
      steps.forEach(([kind, at], i) => {
        if (kind === "set") {
          map.set(at, i);
          model.set(at, i);
        } else if (kind === "delete") expect(map.delete(at)).toBe(model.delete(at));
        expect(map.get(at)).toBe(model.get(at));
        expect(map.size).toBe(model.size);
      });
      for (const [at, value] of model) expect(map.get(at)).toBe(value);
    }),
  );
});

test("a window that moves over many keys keeps only what is in it", () => {
  const map = new NumberMap<string>();
  for (let i = 0; i < 20_000; i += 1) {
    map.set(i, `v${i}`);
    if (i >= 100) expect(map.delete(i - 100)).toBe(true);
  }
  expect(map.size).toBe(100);
  expect(map.get(19_899)).toBeUndefined();
  expect(map.get(19_900)).toBe("v19900");
  map.clear();
  expect(map.size).toBe(0);
  expect(map.get(19_950)).toBeUndefined();
});

test("a key that is no whole number from 0 on is refused", () => {
  const map = new NumberMap<number>();
  for (const wrong of [-1, 1.5, Number.NaN, 2 ** 53]) {
    expect(() => map.set(wrong, 0)).toThrow("not a key");
  }
});
