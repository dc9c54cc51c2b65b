import { beforeEach, expect, test } from "vitest";
import { MemoryDisk } from "../../testing/sim/memory-disk.ts";
import { FormatError } from "../base/bytes.ts";
import { crc32 } from "../base/hash.ts";
import { isNextChunk, SNAPSHOT_CHUNK_HEADER_BYTES, SnapshotFiles } from "./snapshot-file.ts";

let disk: MemoryDisk;
let files: SnapshotFiles;

beforeEach(() => {
  disk = new MemoryDisk();
  files = open();
});

function open(): SnapshotFiles {
  let op = 0;
  const nextOp = () => {
    op += 1;
    return op;
  };
  return new SnapshotFiles({ disk, checksum: crc32, nextOp });
}

function drain(): void {
  for (const completion of disk.drain()) files.onDisk(completion);
}

const bytes = (...values: number[]) => Uint8Array.from(values);

test("chunks come back as they were put, each a continuation of the one before", () => {
  const file = files.create("0-7-1", 99);
  file.append(bytes(1, 2), false);
  file.append(bytes(), false);
  file.append(bytes(3), true);
  expect(file.has(0)).toBe(false);
  drain();
  const bodies: number[][] = [];
  let crc = 99;
  for (let at = 0; file.has(at); ) {
    const chunk = file.chunkAt(at);
    expect(isNextChunk(chunk.body, crc, chunk.crc, crc32)).toBe(true);
    expect(chunk.next).toBe(at + SNAPSHOT_CHUNK_HEADER_BYTES + chunk.body.length);
    expect(file.endsBefore(chunk.next)).toBe(chunk.isLast);
    bodies.push([...chunk.body]);
    crc = chunk.crc;
    at = chunk.next;
  }
  expect(bodies).toEqual([[1, 2], [], [3]]);
  expect([file.isComplete, file.takesMore]).toEqual([true, false]);
});

test("equal rows make equal checksums, another identity makes others", () => {
  const crcs = [1, 1, 2].map((seed) => {
    const file = files.create("x", seed);
    file.append(bytes(5), true);
    drain();
    return file.chunkAt(0).crc;
  });
  expect(crcs[0]).toBe(crcs[1]);
  expect(crcs[2]).not.toBe(crcs[0]);
});

test("only what is in the file can be read, and only so much is handed over at once", () => {
  const file = files.create("x", 0);
  for (let i = 0; file.takesMore; i += 1) file.append(bytes(i), false);
  expect(file.bytes).toBe(4 * (SNAPSHOT_CHUNK_HEADER_BYTES + 1));
  expect(() => file.append(bytes(1), false)).toThrow("takes none");
  // The file is made first, then the chunks come one by one.
  for (const completion of disk.drain(2)) files.onDisk(completion);
  expect([file.has(0), file.has(14), file.takesMore]).toEqual([true, false, true]);
  expect(() => file.chunkAt(14)).toThrow("not written yet");
});

test.each([
  ["a place where none begins", 3, null],
  ["a damaged body", 0, 15],
  ["a damaged length", 0, 1],
  ["a damaged checksum", 0, 9],
])("no chunk comes from %s", (_, at, broken) => {
  const file = files.create("x", 0);
  file.append(
    Uint8Array.from({ length: 40 }, (_, i) => 255 - i),
    true,
  );
  drain();
  if (broken !== null) {
    disk.damage(file.name, (all) => {
      all[broken] = all[broken]! ^ 8;
      return all;
    });
  }
  expect(() => file.chunkAt(at)).toThrow(FormatError);
});

test.each(["create", "write"] as const)("a disk that is full at %s fails the file only", (kind) => {
  disk.fault = (request) => {
    return request.kind === kind ? { kind: "error", code: "DISK_FULL" } : null;
  };
  const file = files.create("x", 0);
  file.append(bytes(1), false);
  drain();
  expect(file.failed).not.toBeNull();
  expect([files.failure, file.takesMore, file.has(0)]).toEqual([null, false, false]);
  files.discard(file);
  files.discard(file);
  drain();
  expect([files.failure, disk.list()]).toEqual([null, []]);
});

test("any other failure is one of the disk (STO8)", () => {
  disk.fault = ({ kind }) => (kind === "write" ? { kind: "error", code: "DISK_FAILED" } : null);
  files.create("x", 0).append(bytes(1), false);
  drain();
  expect(files.failure?.code).toBe("DISK_FAILED");
});

test("a new process removes what the one before left, and nothing else", () => {
  files.create("x", 0).append(bytes(1), true);
  disk.create(1000, "log-1", 1);
  disk.drain();
  files = open();
  const again = files.create("x", 0);
  again.append(bytes(2), true);
  drain();
  expect(disk.list()).toEqual(["log-1", again.name]);
  expect([...again.chunkAt(0).body]).toEqual([2]);
});

test("a completion of somebody else's is not taken in", () => {
  expect(files.onDisk({ op: 4711, error: null })).toBe(false);
});
