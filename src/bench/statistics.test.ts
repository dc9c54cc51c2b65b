import { expect, test } from "vitest";
import { grouped, mean, median, megabytes, millis, slope, textTable } from "./statistics.ts";

test("median", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([10, 9, 1, 100])).toBe(9.5);
  expect(median([])).toBeNaN();
});

test("mean", () => {
  expect(mean([1, 2, 6])).toBe(3);
  expect(mean([])).toBeNaN();
});

test("the slope of points on a line, and of some around it", () => {
  const line = [1, 4, 2, 9].map((x) => [x, 7 - 2 * x] as const);
  expect(slope(line)).toBeCloseTo(-2);
  const around = [
    [0, 1],
    [1, -1],
    [2, 3],
    [3, 1],
  ] as const;
  expect(slope(around)).toBeCloseTo(0.4);
  expect(slope([[1, 1]])).toBeNaN();
});

test("numbers", () => {
  expect([0, 999, 1000, 1234567.8].map(grouped)).toEqual(["0", "999", "1,000", "1,234,568"]);
  expect([0.456, 12.34].map(millis)).toEqual(["0.46", "12.3"]);
  expect(megabytes(1_234_567_890)).toBe("1,235");
});

test("table", () => {
  expect(textTable(["a", "rate"], [["long name", "1"]])).toBe(
    "a          rate\n---------  ----\nlong name     1",
  );
});
