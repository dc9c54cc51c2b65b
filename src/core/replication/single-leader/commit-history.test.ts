import { describe, expect, test } from "vitest";
import { CommitHistory } from "./commit-history.ts";

describe("what was committed when", () => {
  test("a follower's state is as old as the last instant at which it held everything", () => {
    const history = new CommitHistory();
    expect(history.heldUntil(9)).toBeNull();
    history.note(10, 1000);
    history.note(10, 1100);
    history.note(25, 1200);
    expect(history.heldUntil(9)).toBeNull();
    expect(history.heldUntil(10)).toBe(1100);
    expect(history.heldUntil(24)).toBe(1100);
    expect(history.heldUntil(25)).toBe(1200);
  });

  test("a long history is thinned out: never too young an instant, and the first is kept", () => {
    const history = new CommitHistory();
    for (let i = 0; i < 5000; i += 1) history.note(i, 10 * i);
    expect(history.heldUntil(0)).toBe(0);
    for (const index of [1, 100, 2500, 4900, 4999]) {
      const at = history.heldUntil(index);
      expect(at).not.toBeNull();
      expect(at).toBeLessThanOrEqual(10 * index);
    }
    expect(history.heldUntil(4999)).toBe(49_990);
    expect(history.heldUntil(4950)).toBe(49_500);
  });
});
