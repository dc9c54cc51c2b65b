import { describe, expect, test } from "vitest";
import { GroupCommit } from "./group-commit.ts";

const LIMITS = { groupWaitMsMax: 2, groupEntriesMax: 100 };

/** A leader's groups of which the first, of 40 entries, has left. */
function afterForty(): GroupCommit {
  const groups = new GroupCommit(0);
  groups.release(40, 0, LIMITS, 10);
  expect(groups.releasedIndex).toBe(40);
  return groups;
}

describe("GroupCommit", () => {
  test("a client that waits for its answers never waits for others", () => {
    const groups = new GroupCommit(0);
    for (let index = 1; index <= 20; index += 1) {
      groups.release(index, index - 1, LIMITS, 10);
      expect(groups.releasedIndex).toBe(index);
      expect(groups.deadline(LIMITS)).toBeNull();
    }
  });

  test("the next group collects while one is being committed", () => {
    const groups = afterForty();
    groups.release(80, 39, LIMITS, 11);
    expect(groups.releasedIndex).toBe(40);
    groups.release(85, 40, LIMITS, 11.5);
    expect(groups.releasedIndex).toBe(85);
  });

  test("nothing waits longer than its time, whatever is under way", () => {
    const groups = afterForty();
    groups.release(41, 0, LIMITS, 20);
    expect(groups.deadline(LIMITS)).toBe(22);
    groups.release(50, 0, LIMITS, 21.9);
    expect(groups.releasedIndex).toBe(40);
    groups.release(51, 0, LIMITS, 22);
    expect(groups.releasedIndex).toBe(51);
    expect(groups.deadline(LIMITS)).toBeNull();
  });

  test("a large group goes at once, and so does everything where none may wait", () => {
    const groups = afterForty();
    groups.release(140, 0, LIMITS, 11);
    expect(groups.releasedIndex).toBe(140);
    groups.release(141, 0, { ...LIMITS, groupWaitMsMax: 0 }, 11);
    expect(groups.releasedIndex).toBe(141);
  });
});
