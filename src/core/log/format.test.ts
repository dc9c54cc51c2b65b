import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concatBytes, fromByteString } from "../base/bytes.ts";
import { crc32 } from "../base/hash.ts";
import type { LogRecord } from "../contract/record.ts";
import {
  BATCH_HEADER_BYTES,
  type BatchPlace,
  decodeSegmentHeader,
  encodeBatch,
  encodeSegmentHeader,
  findBatch,
  parseSegmentName,
  readBatch,
  readRecords,
  recordBytes,
  recordBytesMax,
  segmentName,
} from "./format.ts";

const U48_MAX = 0xffff_ffff_ffff;
const PLACE: BatchPlace = {
  position: 1032,
  synced: 1000,
  skipped: 32,
  previousCrc: 0xdead_beef,
  continues: false,
};

const record: fc.Arbitrary<LogRecord> = fc.record({
  group: fc.nat(U48_MAX),
  type: fc.integer({ min: 1, max: 255 }),
  parts: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 3 }),
});

describe("the log's format", () => {
  it("reads back any batch as it was written", () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), fc.nat(50), (records, offset) => {
        const place = { ...PLACE, position: U48_MAX - 100, synced: U48_MAX - 200 };
        const { parts, crc } = encodeBatch(place, records, crc32);
        const bytes = concatBytes([new Uint8Array(offset), ...parts]);
        const view = readBatch(bytes, offset, place.position, crc32);
        if (typeof view === "string") throw new Error(view);
        expect(view).toMatchObject({ ...place, crc, records: records.length });
        expect(view.end - view.position).toBe(bytes.length - offset);
        expect(readRecords(bytes, offset, view)).toEqual(
          records.map(({ group, type, parts: body }) => ({ group, type, body: concatBytes(body) })),
        );
      }),
    );
  });

  it("passes large parts through as they are, and gives the same bytes", () => {
    const large = new Uint8Array(10_000).fill(7);
    const records = [
      { group: 1, type: 2, parts: [Uint8Array.of(1), large, Uint8Array.of(2)] },
      { group: 3, type: 4, parts: [large] },
    ];
    const { parts } = encodeBatch(PLACE, records, crc32);
    expect(parts.filter((part) => part === large)).toHaveLength(2);
    const bytes = concatBytes(parts);
    const view = readBatch(bytes, 0, PLACE.position, crc32);
    if (typeof view === "string") throw new Error(view);
    expect(readRecords(bytes, 0, view)?.map(({ body }) => body.length)).toEqual([10_002, 10_000]);
  });

  it("lays a batch out as documented", () => {
    const records = [{ group: 0x0102_0304_0506, type: 9, parts: [fromByteString("hi")] }];
    const bytes = concatBytes(encodeBatch(PLACE, records, crc32).parts);
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const crc = hex.slice(8, 16);
    expect(hex).toBe(
      `54524642${crc}0d000000010000000804000000${"00"}e8030000000020000000efbeadde00000000` +
        "0200000009060504030201" +
        "6869",
    );
    expect(crc).not.toBe("00000000");
  });

  it("says why there is no batch", () => {
    const bytes = concatBytes(
      encodeBatch(PLACE, [{ group: 1, type: 1, parts: [Uint8Array.of(5)] }], crc32).parts,
    );
    const at = (position: number, changed = bytes) => readBatch(changed, 0, position, crc32);
    expect(at(2000)).toBe("the batch here belongs to position 1032");
    expect(at(1032, bytes.subarray(0, 20))).toBe("the segment ends here");
    expect(at(1032, bytes.subarray(0, -1))).toBe("the batch would reach beyond its segment");
    expect(at(1032, new Uint8Array(100))).toBe("no batch begins here");
    const flipped = bytes.slice();
    flipped[bytes.length - 1]! ^= 1;
    expect(at(1032, flipped)).toBe("the batch's checksum is wrong");
  });

  it("finds a batch only where it says it belongs", () => {
    const batch = concatBytes(encodeBatch({ ...PLACE, position: 1037 }, [], crc32).parts);
    const bytes = concatBytes([new Uint8Array(5), batch, batch]);
    expect(findBatch(bytes, 0, 1032)).toBe(5);
    expect(findBatch(bytes, 6, 1032)).toBe(-1);
    expect(findBatch(bytes, 0, 1000)).toBe(-1);
    expect(batch.length).toBe(BATCH_HEADER_BYTES);
  });

  it("names and heads segments", () => {
    expect(segmentName(42)).toBe("log-000000000000042");
    expect(parseSegmentName("log-000000000000042")).toBe(42);
    expect(parseSegmentName("log-42")).toBeNull();
    expect(parseSegmentName("log-000000000000042.tmp")).toBeNull();
    const header = encodeSegmentHeader({ first: U48_MAX, bytes: 4096 }, crc32);
    expect(decodeSegmentHeader(header, crc32)).toEqual({ first: U48_MAX, bytes: 4096 });
    for (let i = 0; i < header.length; i += 1) {
      const flipped = header.slice();
      flipped[i]! ^= 0x10;
      expect(decodeSegmentHeader(flipped, crc32)).toBeNull();
    }
  });

  it("states the largest record of a segment", () => {
    const bytes = recordBytesMax(1024);
    const one = { group: 1, type: 1, parts: [new Uint8Array(bytes)] };
    expect(32 + BATCH_HEADER_BYTES + recordBytes(one)).toBe(1024);
  });

  it("refuses what could not be read back", () => {
    expect(() => encodeBatch(PLACE, [{ group: 1, type: 0, parts: [] }], crc32)).toThrow("type");
    expect(() => encodeBatch({ ...PLACE, synced: 1033 }, [], crc32)).toThrow("beyond itself");
    expect(() => encodeBatch(PLACE, [{ group: -1, type: 1, parts: [] }], crc32)).toThrow("u48");
  });
});
