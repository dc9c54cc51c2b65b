import { expect, test } from "vitest";
import { encodeConcern, isBelowMajority, needOf } from "./concern.ts";

test.each([
  ["leader", 3, { committed: false, durable: 1 }],
  ["majority", 3, { committed: true, durable: 0 }],
  ["all", 3, { committed: true, durable: 3 }],
  ["all", 5, { committed: true, durable: 5 }],
  [1, 3, { committed: false, durable: 1 }],
  [2, 3, { committed: true, durable: 2 }],
  [2, 5, { committed: false, durable: 2 }],
  [3, 5, { committed: true, durable: 3 }],
  [1, 1, { committed: true, durable: 1 }],
] as const)("%s of %i needs %o", (concern, voters, need) => {
  expect(needOf(encodeConcern(concern), voters)).toEqual(need);
  expect(isBelowMajority(concern, voters)).toBe(!need.committed);
});
