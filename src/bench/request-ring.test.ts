import { expect, test } from "vitest";
import { everyKey, type LoadKind, RequestRing, randomKeys } from "./request-ring.ts";

const SET = /^\*3\r\n\$3\r\nSET\r\n\$16\r\nbench:\d{10}\r\n\$128\r\n[a-z0-9]{128}\r\n$/;
const WAIT = "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$1\r\n0\r\n";

function ringOf(kind: LoadKind, depth: number, valueBytes: number, keySpace: number): RequestRing {
  return new RequestRing({ kind, depth, valueBytes, keys: randomKeys(keySpace), seed: 7 });
}

test("every request is well formed, also where the ring wraps", () => {
  const ring = ringOf("set", 4, 128, 1000);
  for (const count of [1, 3, 2, 4, 3]) {
    const bytes = Buffer.concat(ring.take(count)).toString();
    const requests = bytes.split(/(?=\*3\r\n)/);
    expect(requests).toHaveLength(count);
    for (const request of requests) expect(request).toMatch(SET);
  }
});

test("one WAIT goes behind the SETs that are sent together", () => {
  const ring = ringOf("set-wait", 4, 128, 1000);
  for (const count of [1, 4, 3]) {
    const bytes = Buffer.concat(ring.take(count)).toString();
    expect(bytes.endsWith(WAIT)).toBe(true);
    const requests = bytes.slice(0, -WAIT.length).split(/(?=\*3\r\n)/);
    expect(requests).toHaveLength(count);
    for (const request of requests) expect(request).toMatch(SET);
  }
});

test("keys stay in the key space and values differ", () => {
  const ring = ringOf("set", 1, 32, 5);
  const values = new Set<string>();
  for (let i = 0; i < 200; i += 1) {
    const parts = (ring.take(1)[0] ?? Buffer.alloc(0)).toString().split("\r\n");
    expect(Number(parts[4]?.slice("bench:".length))).toBeLessThan(5);
    values.add(parts[6] ?? "");
  }
  expect(values.size).toBeGreaterThan(195);
});

test("GET carries no value", () => {
  const request = (ringOf("get", 1, 128, 9).take(1)[0] ?? Buffer.alloc(0)).toString();
  expect(request).toMatch(/^\*2\r\n\$3\r\nGET\r\n\$16\r\nbench:000000000\d\r\n$/);
});

test("a filled key space has every key once, and not in order", () => {
  const next = everyKey(1000, 3);
  const keys = Array.from({ length: 1000 }, () => next(0));
  const sorted = keys.toSorted((a, b) => a - b);
  expect(sorted).toEqual(Array.from({ length: 1000 }, (_, number) => number));
  expect(keys).not.toEqual(sorted);
});
