import { expect, test } from "vitest";
import { ByteReader, ByteWriter, FormatError } from "../base/bytes.ts";
import { integer } from "../contract/reply.ts";
import { type AppliedAnswer, SessionTable } from "./session-table.ts";

function answer(value: number): AppliedAnswer {
  return { reply: integer(value), term: 1, index: 100 + value };
}

function tableOf(sequences: readonly number[], floor = 0) {
  const table = new SessionTable();
  const session = table.get(table.register("n1", "boot", 7))!;
  for (const sequence of sequences) table.record(session, sequence, floor, answer(sequence));
  return { table, session };
}

test("a session is named by the index that registered it, once per boot", () => {
  const table = new SessionTable();
  expect(table.register("n1", "a", 3)).toBe(3);
  expect(table.register("n1", "a", 9)).toBe(3);
  expect(table.register("n2", "a", 10)).toBe(10);
  expect(table.all().map(({ id, node, boot }) => ({ id, node, boot }))).toEqual([
    { id: 3, node: "n1", boot: "a" },
    { id: 10, node: "n2", boot: "a" },
  ]);
});

test("a new boot of a node ends its old session and no other", () => {
  const table = new SessionTable();
  table.register("n1", "a", 3);
  table.register("n2", "a", 4);
  table.register("n1", "b", 5);
  expect(table.get(3)).toBeUndefined();
  expect(table.all().map(({ id }) => id)).toEqual([4, 5]);
});

test("a repeated sequence is a duplicate and gets the first answer", () => {
  const { table, session } = tableOf([1, 2, 3]);
  expect([1, 2, 3, 4].map((n) => table.isDuplicate(session, n))).toEqual([true, true, true, false]);
  expect(table.answerTo(session, 2)).toEqual(answer(2));
  expect(table.answerTo(session, 4)).toBeNull();
});

test("sequences are applied in ascending order", () => {
  const { table, session } = tableOf([5]);
  expect(() => table.record(session, 5, 0, answer(5))).toThrow("ascending");
  expect(() => table.record(session, 4, 0, answer(4))).toThrow("ascending");
});

test("a hole is a duplicate without an answer: it must never be applied late", () => {
  const { table, session } = tableOf([2, 5]);
  expect(table.isDuplicate(session, 3)).toBe(true);
  expect([1, 2, 3, 4, 5].map((n) => table.answerTo(session, n)?.index ?? null)).toEqual([
    null,
    102,
    null,
    null,
    105,
  ]);
});

test("answers below the floor go, those from it on stay", () => {
  const { table, session } = tableOf([1, 2, 3, 4]);
  table.record(session, 5, 5, answer(5));
  expect(session.answers).toHaveLength(1);
  expect(table.answerTo(session, 4)).toBeNull();
  expect(table.answerTo(session, 5)).toEqual(answer(5));
  expect(table.isDuplicate(session, 1)).toBe(true);
});

test("with a floor that follows, a long line keeps few answers", () => {
  const { table, session } = tableOf([]);
  for (let n = 1; n <= 5000; n += 1) {
    table.record(session, n, Math.max(0, n - 10), answer(n));
    expect(session.answers.length).toBeLessThanOrEqual(24);
    expect(table.answerTo(session, Math.max(1, n - 9))).not.toBeNull();
  }
});

test("a session comes back from its bytes, holes and all", () => {
  const { table, session } = tableOf([2, 5, 6], 3);
  const writer = new ByteWriter();
  table.encode(session, writer);
  const other = new SessionTable();
  const bytes = writer.take();
  other.restore(new ByteReader(bytes));
  expect(other.all()).toEqual(table.all());
  for (let length = 0; length < bytes.length; length += 1) {
    expect(() => new SessionTable().restore(new ByteReader(bytes, 0, length))).toThrow(FormatError);
  }
});
