import fc from "fast-check";
import { expect, test } from "vitest";
import { entry } from "../../../../test/raft/unit.ts";
import { concatBytes, FormatError } from "../../base/bytes.ts";
import {
  ENTRY_HEADER_BYTES,
  entryAt,
  entryFloor,
  entryIndex,
  entryKind,
  entryPayload,
  entrySequence,
  entrySession,
  entryTerm,
  entryTime,
  entryVersion,
  makeEntry,
  SEMANTICS_VERSION,
  splitEntries,
  stampEntry,
} from "./entry.ts";

const U48 = 2 ** 48 - 1;

test("the layout is what the table says", () => {
  const bytes = entry(0x010203040506, 7, "ab", { time: 8, session: 9, sequence: 10, floor: 11 });
  expect([...bytes]).toEqual([
    ...[46, 0, 0, 0],
    ...[1, SEMANTICS_VERSION, 0, 0],
    ...[6, 5, 4, 3, 2, 1],
    ...[7, 0, 0, 0, 0, 0],
    ...[8, 0, 0, 0, 0, 0],
    ...[9, 0, 0, 0, 0, 0],
    ...[10, 0, 0, 0, 0, 0],
    ...[11, 0, 0, 0, 0, 0],
    ...[97, 98],
  ]);
});

test("every field comes back, up to 48 bits", () => {
  const number = fc.integer({ min: 1, max: U48 });
  fc.assert(
    fc.property(
      number,
      number,
      number,
      number,
      fc.uint8Array({ maxLength: 50 }),
      (a, b, c, d, payload) => {
        const bytes = makeEntry("command", payload);
        stampEntry(bytes, { index: a, term: b, time: c, session: d, sequence: a, floor: b });
        expect(entryIndex(bytes)).toBe(a);
        expect(entryTerm(bytes)).toBe(b);
        expect(entryTime(bytes)).toBe(c);
        expect(entrySession(bytes)).toBe(d);
        expect(entrySequence(bytes)).toBe(a);
        expect(entryFloor(bytes)).toBe(b);
        expect(entryVersion(bytes)).toBe(SEMANTICS_VERSION);
        expect(entryKind(bytes)).toBe("command");
        expect(entryPayload(bytes)).toEqual(payload);
      },
    ),
    { numRuns: 200 },
  );
});

test("an entry needs an index and a term", () => {
  const stamp = { time: 0, session: 0, sequence: 0, floor: 0 };
  expect(() => stampEntry(makeEntry("noop"), { ...stamp, index: 0, term: 1 })).toThrow();
  expect(() => stampEntry(makeEntry("noop"), { ...stamp, index: 1, term: 0 })).toThrow();
});

test("a run of entries is split where they meet", () => {
  const entries = [entry(1, 1, "a"), entry(2, 1), entry(3, 2, "ccc")];
  expect(splitEntries(concatBytes(entries))).toEqual(entries);
  expect(splitEntries(new Uint8Array(0))).toEqual([]);
});

test("a run that is cut anywhere but between entries is refused", () => {
  const run = concatBytes([entry(1, 1, "a"), entry(2, 1, "bb")]);
  const boundary = ENTRY_HEADER_BYTES + 1;
  for (let length = 1; length < run.length; length += 1) {
    const split = () => splitEntries(run.subarray(0, length));
    if (length === boundary) expect(split()).toHaveLength(1);
    else expect(split).toThrow(FormatError);
  }
});

test.each([
  ["a length below the header's", 0, 43],
  ["a length beyond the end", 0, 200],
  ["an unknown kind", 4, 4],
  ["a reserved byte", 6, 1],
])("%s is refused", (_, at, value) => {
  const bytes = entry(1, 1, "abc").slice();
  bytes[at] = value;
  expect(() => entryAt(bytes, 0, bytes.length)).toThrow(FormatError);
});

test("whatever the bytes, splitting ends in entries or a FormatError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        expect(concatBytes(splitEntries(bytes))).toEqual(bytes);
      } catch (failure) {
        expect(failure).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 300 },
  );
});
