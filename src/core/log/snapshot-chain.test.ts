import { expect, test } from "vitest";
import type { SnapshotHandle } from "../contract/state-store.ts";
import { SnapshotChain } from "./snapshot-chain.ts";

let released = 0;

/** One byte per chunk, from the bytes given; cursors are positions, as a store's may be. */
function handle(...bytes: number[]): SnapshotHandle {
  return {
    chunk: (cursor) => {
      const rows = Uint8Array.from(bytes.slice(cursor, cursor + 1));
      return { rows, next: cursor + 1 < bytes.length ? cursor + 1 : null };
    },
    release: () => {
      released += 1;
    },
  };
}

function readAll(snapshot: SnapshotHandle): number[] {
  const bytes: number[] = [];
  for (let cursor: number | null = 0; cursor !== null; ) {
    const chunk = snapshot.chunk(cursor, 1);
    // A chunk that was lost is asked for again, and is the same.
    expect(snapshot.chunk(cursor, 1)).toEqual(chunk);
    bytes.push(...chunk.rows);
    cursor = chunk.next;
  }
  return bytes;
}

test("parts are read in order, and empty ones are passed over", () => {
  expect(readAll(new SnapshotChain([handle(1, 2, 3), handle(4), handle(5, 6)]))).toEqual([
    ...[1, 2, 3, 4, 5, 6],
  ]);
  expect(readAll(new SnapshotChain([handle(), handle(1), handle(), handle(2, 3)]))).toEqual([
    ...[1, 2, 3],
  ]);
  expect(readAll(new SnapshotChain([handle(1), handle(), handle()]))).toEqual([1]);
  expect(readAll(new SnapshotChain([handle(), handle()]))).toEqual([]);
});

test("all parts are released", () => {
  released = 0;
  new SnapshotChain([handle(1), handle()]).release();
  expect(released).toBe(2);
});
