import { expect, test } from "vitest";
import { grouped, median, millis, textTable } from "./statistics.ts";

test("median", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([10, 9, 1, 100])).toBe(9.5);
  expect(median([])).toBeNaN();
});

test("numbers", () => {
  expect([0, 999, 1000, 1234567.8].map(grouped)).toEqual(["0", "999", "1,000", "1,234,568"]);
  expect([0.456, 12.34].map(millis)).toEqual(["0.46", "12.3"]);
});

test("table", () => {
  expect(textTable(["a", "rate"], [["long name", "1"]])).toBe(
    "a          rate\n---------  ----\nlong name     1",
  );
});
