import { expect, test } from "vitest";
import { perCentPerMinute, secondHalf } from "./rss.ts";

test("the second half is one of time", () => {
  const samples = [0, 5, 8, 9, 10].map((at) => ({ at: at + 100 }));
  expect(secondHalf(samples).map(({ at }) => at)).toEqual([105, 108, 109, 110]);
  expect(secondHalf([])).toEqual([]);
});

test("growth is in per cent of the mean", () => {
  expect(
    perCentPerMinute([
      [5, 99],
      [6, 100],
      [7, 101],
    ]),
  ).toBeCloseTo(1);
  expect(
    perCentPerMinute([
      [5, 7],
      [6, 7],
    ]),
  ).toBe(0);
});
