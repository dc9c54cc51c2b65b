import { expect, test } from "vitest";
import { countAtLeast, majorityOf, majorityValue } from "./quorum.ts";

test.each([
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 3],
  [5, 3],
  [6, 4],
  [7, 4],
])("a majority of %i is %i", (voters, majority) => {
  expect(majorityOf(voters)).toBe(majority);
});

test("there is no majority of nobody", () => {
  expect(() => majorityOf(0)).toThrow("without voters");
  expect(() => majorityValue([])).toThrow("without voters");
});

test("two majorities always share a voter", () => {
  for (let voters = 1; voters <= 9; voters += 1) {
    expect(2 * majorityOf(voters)).toBeGreaterThan(voters);
    expect(2 * (majorityOf(voters) - 1)).toBeLessThanOrEqual(voters);
  }
});

test("majorityValue is what counting every value says, for all small cases", () => {
  for (let voters = 1; voters <= 5; voters += 1) {
    for (let code = 0; code < 4 ** voters; code += 1) {
      const values = Array.from({ length: voters }, (_, i) => Math.floor(code / 4 ** i) % 4);
      let expected = -1;
      for (const value of values) {
        const holders = values.filter((other) => other >= value).length;
        if (2 * holders > voters && value > expected) expected = value;
      }
      expect(majorityValue(values)).toBe(expected);
    }
  }
});

test("majorityValue leaves its argument alone and sorts as numbers", () => {
  const values = [9, 10, 100];
  expect(majorityValue(values)).toBe(10);
  expect(values).toEqual([9, 10, 100]);
});

test("countAtLeast counts the bound in", () => {
  expect(countAtLeast([1, 2, 3, 3], 3)).toBe(2);
  expect(countAtLeast([], 0)).toBe(0);
});
