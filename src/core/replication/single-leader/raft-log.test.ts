import fc from "fast-check";
import { expect, test } from "vitest";
import { entry } from "../../../../test/raft/unit.ts";
import type { Term } from "../../contract/ids.ts";
import { RaftLog } from "./raft-log.ts";

function logOf(terms: readonly Term[]): RaftLog {
  const log = new RaftLog();
  for (const [i, term] of terms.entries()) log.append(entry(i + 1, term));
  return log;
}

test("an empty log has index and term 0", () => {
  const log = new RaftLog();
  expect([log.lastIndex, log.lastTerm, log.termAt(0), log.termAt(1)]).toEqual([0, 0, 0, null]);
});

test("entries come without gaps and with terms that never decrease", () => {
  const log = logOf([1, 2]);
  expect(() => log.append(entry(4, 2))).toThrow("out of its place: 4");
  expect(() => log.append(entry(2, 2))).toThrow("out of its place: 2");
  expect(() => log.append(entry(3, 1))).toThrow("never decrease");
});

test("durable is what was handed over in a batch that is on disk", () => {
  const log = logOf([1, 1]);
  log.handedToDisk(5, 100);
  log.append(entry(3, 1));
  log.handedToDisk(6, 110);
  expect([log.durableIndex, log.oldestUnsyncedAt]).toEqual([0, 100]);
  log.written(5);
  expect([log.durableIndex, log.oldestUnsyncedAt]).toEqual([2, 110]);
  log.written(4);
  expect(log.durableIndex).toBe(2);
  log.written(9);
  expect([log.durableIndex, log.oldestUnsyncedAt]).toEqual([3, null]);
});

test("a batch written before a truncation makes nothing durable that came after it", () => {
  const log = logOf([1, 1, 1]);
  log.handedToDisk(1, 0);
  log.truncate(2);
  log.append(entry(2, 2));
  log.append(entry(3, 2));
  log.written(1);
  expect(log.durableIndex).toBe(1);
  log.handedToDisk(2, 1);
  log.written(2);
  expect(log.durableIndex).toBe(3);
});

test("truncation takes back what was durable", () => {
  const log = logOf([1, 1, 1]);
  log.allDurable();
  log.truncate(2);
  expect([log.lastIndex, log.durableIndex, log.lastTerm]).toEqual([1, 1, 1]);
  expect(log.bytes).toBe(entry(1, 1).length);
});

test("compaction keeps the terms of what it drops", () => {
  const log = logOf([1, 1, 3, 3, 5]);
  log.allDurable();
  log.compact(5);
  expect([log.compactedIndex, log.lastIndex, log.lastTerm, log.bytes]).toEqual([5, 5, 5, 0]);
  expect([1, 2, 3, 4, 5, 6].map((index) => log.termAt(index))).toEqual([1, 1, 3, 3, 5, null]);
  log.append(entry(6, 5));
  expect(log.termStarts).toEqual([
    { term: 1, first: 1 },
    { term: 3, first: 3 },
    { term: 5, first: 5 },
  ]);
});

test("what is not durable is not compacted", () => {
  const log = logOf([1, 1]);
  expect(() => log.compact(2)).toThrow("only durable");
});

test("a small prefix is left alone: dropping it would cost a copy", () => {
  const log = logOf([1, 1, 1]);
  log.allDurable();
  log.compact(1);
  expect(log.compactedIndex).toBe(0);
  log.compact(3);
  expect(log.compactedIndex).toBe(3);
});

test("a reset begins behind a snapshot", () => {
  const log = logOf([1, 2]);
  log.handedToDisk(1, 0);
  log.reset(10, 4, [
    { term: 4, first: 7 },
    { term: 6, first: 11 },
  ]);
  expect([log.compactedIndex, log.lastIndex, log.lastTerm, log.durableIndex]).toEqual([
    10, 10, 4, 10,
  ]);
  expect(log.termStarts).toEqual([{ term: 4, first: 7 }]);
  log.written(1);
  expect(log.durableIndex).toBe(10);
  log.append(entry(11, 6));
  expect(log.termAt(11)).toBe(6);
});

test("a slice has at least one entry and ends at the limit", () => {
  const log = logOf([1, 1, 1]);
  const size = entry(1, 1).length;
  expect(log.slice(1, 3, 0)).toHaveLength(1);
  expect(log.slice(1, 3, 2 * size)).toHaveLength(2);
  expect(log.slice(2, 3, 100 * size)).toHaveLength(2);
  expect(() => log.slice(4, 3, 1)).toThrow("outside");
  expect(() => log.slice(1, 4, 1)).toThrow("beyond");
});

test("terms and hints are what a plain list says", () => {
  const steps = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 20 });
  const number = fc.integer({ min: 0, max: 25 });
  fc.assert(
    fc.property(steps, number, number, (increments, index, term) => {
      let last = 1;
      const terms = increments.map((more) => (last += more));
      const log = logOf(terms);
      for (const [i, expected] of terms.entries()) expect(log.termAt(i + 1)).toBe(expected);
      let hint = Math.min(index, terms.length);
      while (hint > 0 && terms[hint - 1]! > term) hint -= 1;
      expect(log.lastIndexUpToTerm(index, term)).toBe(hint);
    }),
    { numRuns: 300 },
  );
});
