import { expect, test } from "vitest";
import { ChangeLog } from "./change-log.ts";

const LIMITS = { changesMax: 4, bytesMax: 10_000 };

function keys(log: ChangeLog, after: number, countMax = 100, prefix = ""): unknown {
  const { changes, next } = log.read(after, prefix, countMax, 99);
  return [changes.map(({ index, key, row }) => `${index}${row === null ? "-" : "+"}${key}`), next];
}

test("changes behind an index, in order, and how far they reach", () => {
  const log = new ChangeLog(LIMITS);
  log.add(3, "a", Uint8Array.of(1));
  log.add(3, "b", null);
  log.add(5, "ab", Uint8Array.of(1));
  expect(keys(log, 0)).toEqual([["3+a", "3-b", "5+ab"], 99]);
  expect(keys(log, 3)).toEqual([["5+ab"], 99]);
  expect(keys(log, 5)).toEqual([[], 99]);
  expect(keys(log, 0, 100, "a")).toEqual([["3+a", "5+ab"], 99]);
});

test("an entry's changes are given together, whatever the count", () => {
  const log = new ChangeLog(LIMITS);
  log.add(3, "a", null);
  log.add(3, "b", null);
  log.add(4, "c", null);
  expect(keys(log, 0, 1)).toEqual([["3-a", "3-b"], 3]);
  expect(keys(log, 3, 1)).toEqual([["4-c"], 99]);
});

test("what does not fit is forgotten from the oldest entry on, and the log says so", () => {
  const log = new ChangeLog(LIMITS);
  for (const index of [1, 1, 1, 2, 3]) log.add(index, `k${index}`, null);
  expect(log.start).toBe(1);
  expect(keys(log, 1)).toEqual([["2-k2", "3-k3"], 99]);
  expect(() => log.read(0, "", 1, 99)).toThrow("forgotten");
  log.add(4, "large", new Uint8Array(20_000));
  expect([log.start, keys(log, 4)]).toEqual([4, [[], 99]]);
});

test("after another state was taken over, nothing before it is known", () => {
  const log = new ChangeLog(LIMITS);
  log.add(1, "a", null);
  log.reset(7);
  expect(log.start).toBe(7);
  log.add(8, "b", null);
  expect(keys(log, 7)).toEqual([["8-b"], 99]);
});
