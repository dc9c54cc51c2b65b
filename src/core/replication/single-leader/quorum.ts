import { assert } from "../../base/assert.ts";

/**
 * Arithmetic of majorities. The voters are a set; joint configurations come behind the same names.
 */

/** How many voters make a majority: any two of that size share a member. */
export function majorityOf(voters: number): number {
  assert(voters > 0, "a group without voters");
  return Math.floor(voters / 2) + 1;
}

/** The highest value that at least a majority of the voters have reached; one value per voter. */
export function majorityValue(values: readonly number[]): number {
  const majority = majorityOf(values.length);
  let reached = Number.NEGATIVE_INFINITY;
  // Asked for in every turn, of a handful of voters: counting is cheaper than a sorted copy.
  for (const value of values) {
    if (value > reached && countAtLeast(values, value) >= majority) reached = value;
  }
  assert(reached > Number.NEGATIVE_INFINITY, "a majority of nobody");
  return reached;
}

/** How many of the values are at least `least`. */
export function countAtLeast(values: readonly number[], least: number): number {
  let count = 0;
  for (const value of values) if (value >= least) count += 1;
  return count;
}
