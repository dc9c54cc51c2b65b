import fc from "fast-check";
import { expect, test } from "vitest";
import { FormatError } from "../../base/bytes.ts";
import {
  bigEndian,
  DATA,
  decodeIncoming,
  decodeMeta,
  encodeIncoming,
  encodeMeta,
  fromBigEndian,
  type GroupMeta,
  groupEnd,
  groupPrefix,
  type IncomingRow,
} from "./rows.ts";

const META: GroupMeta = {
  term: 9,
  vote: "n2",
  appliedIndex: 2 ** 40,
  appliedTerm: 8,
  logTime: 1_700_000_000_000,
  generation: 1,
  counts: { keys: 3, expiring: 2, collections: 1 },
  hash: "0123456789abcdef",
  isDamaged: true,
  voters: ["n1", "n2", "n3"],
  termStarts: [
    { term: 1, first: 1 },
    { term: 8, first: 70 },
  ],
};

test("the order of the bytes is the order of the numbers", () => {
  const number = fc.integer({ min: 0, max: 2 ** 48 - 1 });
  fc.assert(
    fc.property(number, number, (a, b) => {
      expect(bigEndian(a) < bigEndian(b)).toBe(a < b);
      expect(fromBigEndian(bigEndian(a))).toBe(a);
    }),
  );
});

test("a group's rows lie together, and no other group's among them", () => {
  for (const group of [0, 1, 255, 256, 65_535, 65_536, 2 ** 32]) {
    const key = `${groupPrefix(group)}${DATA}0\xff\xff`;
    expect(key >= groupPrefix(group) && key < groupEnd(group)).toBe(true);
    expect(groupEnd(group)).toBe(groupPrefix(group + 1));
  }
});

test("the meta row comes back, with and without a vote", () => {
  expect(decodeMeta(encodeMeta(META))).toEqual(META);
  const none = { ...META, vote: null, voters: [], termStarts: [] };
  expect(decodeMeta(encodeMeta(none))).toEqual(none);
});

test("the row of a snapshot that is arriving comes back", () => {
  const row: IncomingRow = {
    id: { index: 2 ** 40, term: 7, hash: "00000000ffffffff" },
    generation: 1,
    offset: 2 ** 41,
    crc: 2 ** 32 - 1,
    filled: "fedcba9876543210",
  };
  expect(decodeIncoming(encodeIncoming(row))).toEqual(row);
  expect(() => decodeIncoming(encodeIncoming(row).subarray(1))).toThrow(FormatError);
});

test("a cut meta row is a FormatError", () => {
  const bytes = encodeMeta(META);
  for (let length = 0; length < bytes.length; length += 1) {
    expect(() => decodeMeta(bytes.subarray(0, length))).toThrow(FormatError);
  }
});
