import fc from "fast-check";
import { expect, test } from "vitest";
import { entry } from "../../../../test/raft/unit.ts";
import { AssertionError } from "../../base/assert.ts";
import { concatBytes, FormatError } from "../../base/bytes.ts";
import { decodeRecord, encodeRecord, type RaftRecord } from "./records.ts";

const GROUP = 65_536;

function roundTrip(record: RaftRecord): RaftRecord {
  const { group, type, parts } = encodeRecord(GROUP, record);
  return decodeRecord({ group, type, body: concatBytes(parts) });
}

test.each<RaftRecord>([
  { kind: "entries", entries: [entry(1, 1, "a"), entry(2, 3, "bb")] },
  { kind: "hardState", term: 2 ** 40, vote: "n1" },
  { kind: "hardState", term: 3, vote: null },
  { kind: "truncate", from: 2 ** 47 },
])("comes back: %o", (record) => {
  expect(roundTrip(record)).toEqual(record);
});

test("an empty name is a vote, and no vote is none", () => {
  expect(roundTrip({ kind: "hardState", term: 1, vote: "" })).toMatchObject({ vote: "" });
});

test("entries go to the log as they are: no copy, no wrapper (STO2)", () => {
  const entries = [entry(1, 1, "a"), entry(2, 1, "b")];
  expect(encodeRecord(GROUP, { kind: "entries", entries }).parts).toBe(entries);
});

test("an unknown type and cut bytes are FormatErrors", () => {
  const body = new Uint8Array(3);
  for (const type of [0, 1, 2, 3, 4, 255]) {
    expect(() => decodeRecord({ group: GROUP, type, body })).toThrow(FormatError);
  }
});

test("whatever the bytes, decoding ends in a record or a FormatError", () => {
  const type = fc.integer({ min: 0, max: 5 });
  fc.assert(
    fc.property(type, fc.uint8Array({ maxLength: 80 }), (kind, body) => {
      try {
        decodeRecord({ group: GROUP, type: kind, body });
      } catch (failure) {
        expect(failure).toBeInstanceOf(FormatError);
        expect(failure).not.toBeInstanceOf(AssertionError);
      }
    }),
    { numRuns: 300 },
  );
});
