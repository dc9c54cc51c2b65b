import { expect, test } from "vitest";
import { ProgressDeadline } from "./progress-deadline.ts";

test("what gets on is waited for, though not for ever", () => {
  const deadline = new ProgressDeadline(30, 0);
  for (let step = 1; step <= 20; step += 1) {
    expect(deadline.isOver(step, step * 29), `step ${step}`).toBe(false);
  }
  expect(deadline.isOver(21, 600)).toBe(false);
  expect(deadline.isOver(22, 601)).toBe(true);
});

test("what stands still, or only comes back to where it was, is given up", () => {
  const deadline = new ProgressDeadline(30, 0);
  expect(deadline.isOver(5, 10)).toBe(false);
  expect(deadline.isOver(3, 30)).toBe(false);
  expect(deadline.isOver(5, 40)).toBe(false);
  expect(deadline.isOver(5, 41)).toBe(true);
});
