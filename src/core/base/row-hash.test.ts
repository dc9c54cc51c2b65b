import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRowHash, encodeRowHash, NO_ROWS, RowHash } from "./row-hash.ts";

const aRow = fc.tuple(
  fc.string({ unit: fc.constantFrom("a", "b", "\0", "\xff"), maxLength: 9 }),
  fc.uint8Array({ maxLength: 9 }),
);

function hashOf(rows: readonly (readonly [string, Uint8Array])[]): string {
  const hash = new RowHash();
  for (const [key, row] of rows) hash.add(key, 0, row);
  return hash.text;
}

test("does not depend on the order, and forgets what is taken out", () => {
  fc.assert(
    fc.property(fc.array(aRow, { maxLength: 8 }), aRow, (rows, [key, row]) => {
      expect(hashOf(rows.toReversed())).toBe(hashOf(rows));
      const hash = RowHash.from(hashOf(rows));
      hash.add(key, 0, row);
      expect(hash.text).not.toBe(hashOf(rows));
      hash.remove(key, 0, row);
      expect(hash.text).toBe(hashOf(rows));
    }),
  );
  expect(new RowHash().text).toBe(NO_ROWS);
});

test("the same row twice is not none, as an exclusive or would have it", () => {
  const row = ["key", Uint8Array.of(1)] as const;
  expect(hashOf([row, row])).not.toBe(NO_ROWS);
});

test("one bit anywhere in key or row changes both lanes", () => {
  const row = Uint8Array.from({ length: 23 }, (_, i) => i * 7);
  const before = hashOf([["some key", row]]);
  for (let bit = 0; bit < row.length * 8; bit += 1) {
    const other = row.slice();
    other[bit >> 3] = other[bit >> 3]! ^ (1 << (bit & 7));
    const after = hashOf([["some key", other]]);
    expect(after.slice(0, 8)).not.toBe(before.slice(0, 8));
    expect(after.slice(8)).not.toBe(before.slice(8));
  }
  expect(hashOf([["some kez", row]])).not.toBe(before);
});

test("where the key ends and the row begins matters, and zeros count", () => {
  const texts = [
    hashOf([["ab", new Uint8Array(0)]]),
    hashOf([["a", Uint8Array.of(98)]]),
    hashOf([["a", new Uint8Array(1)]]),
    hashOf([["a", new Uint8Array(2)]]),
    hashOf([["a\0", new Uint8Array(1)]]),
  ];
  expect(new Set(texts).size).toBe(texts.length);
});

test("many rows that differ little have hashes that differ", () => {
  const texts = new Set<string>();
  for (let i = 0; i < 20_000; i += 1) {
    texts.add(hashOf([[`key:${i}`, Uint8Array.of(i & 0xff, i >> 8)]]).slice(0, 8));
  }
  // Of 20,000 values of 32 bits about 0.05 pairs are equal by chance.
  expect(texts.size).toBeGreaterThan(19_995);
});

test("the key counts from a place on, and the text comes back", () => {
  const hash = new RowHash();
  hash.add("prefix:key", 7, Uint8Array.of(1));
  expect(hash.text).toBe(hashOf([["key", Uint8Array.of(1)]]));
  expect(RowHash.from(hash.text).equals(hash)).toBe(true);
  expect(decodeRowHash(encodeRowHash(hash.text))).toBe(hash.text);
  expect(() => decodeRowHash(new Uint8Array(7))).toThrow("not a hash");
  expect(() => RowHash.from("xyz")).toThrow("not the text");
});
