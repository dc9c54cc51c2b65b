import { expect, test } from "vitest";
import { type Gate, isKept, renderGates } from "./gates.ts";

function gate(kind: Gate["bound"]["kind"], measured: number | null): Gate {
  return { what: "SET/s to etcd's", bound: { kind, value: 3 }, measured };
}

test("bounds", () => {
  expect([2.99, 3, 3.01].map((value) => isKept(gate("at least", value)))).toEqual([
    false,
    true,
    true,
  ]);
  expect([3, 3.01].map((value) => isKept(gate("at most", value)))).toEqual([true, false]);
  expect([2.99, 3].map((value) => isKept(gate("below", value)))).toEqual([true, false]);
  expect(isKept(gate("below", null))).toBeNull();
});

test("a line says what was wanted and what came out", () => {
  expect(renderGates([gate("at least", 2.5), gate("at least", 3), gate("at most", null)])).toEqual([
    "gate: SET/s to etcd's: at least 3; 2.50, MISSED",
    "gate: SET/s to etcd's: at least 3; 3.00, kept",
    "gate: SET/s to etcd's: at most 3; not measured",
  ]);
});
