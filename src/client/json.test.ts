import fc from "fast-check";
import { expect, test } from "vitest";
import { fromJson, toJson } from "./json.ts";

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i += 1) value = [value];
  return value;
}

const cycle: { self?: unknown } = {};
cycle.self = cycle;

test.each([
  ["NaN", { a: { b: [1, Number.NaN] } }, "at a.b[1]: NaN"],
  ["infinity", Number.NEGATIVE_INFINITY, "value: -Infinity"],
  ["minus zero", [-0], "at [0]: 0"],
  ["undefined", { a: undefined }, "at a: undefined"],
  ["a function", () => {}, "function"],
  ["a bigint", 1n, "bigint"],
  ["a date", { at: new Date(0) }, "at at: an object of class Date"],
  ["a map", new Map(), "class Map"],
  ["bytes", Uint8Array.of(1), "class Uint8Array"],
  ["a cycle", cycle, "nested deeper"],
])("%s is refused, and the message says where", (_name, value, where) => {
  expect(() => toJson(value)).toThrowError(expect.objectContaining({ code: "BAD_VALUE" }));
  expect(() => toJson(value)).toThrow(where);
});

test("plain data comes back", () => {
  const data = fc.jsonValue({ noUnicodeString: false });
  fc.assert(
    fc.property(data, (value) => {
      // JSON has no -0, which is refused.
      const text = JSON.stringify(value, (_key, item: unknown) => (Object.is(item, -0) ? 0 : item));
      expect(fromJson(toJson(JSON.parse(text)))).toEqual(JSON.parse(text));
    }),
  );
  expect(fromJson(toJson(nested(200)))).toEqual(nested(200));
  expect(toJson(Object.create(null))).toBe("{}");
});

test("what is no JSON is SCHEMA", () => {
  expect(() => fromJson("{")).toThrowError(expect.objectContaining({ code: "SCHEMA" }));
});
