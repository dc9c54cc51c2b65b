import { expect, test } from "vitest";
import { RequestRing } from "./request-ring.ts";

const SET = /^\*3\r\n\$3\r\nSET\r\n\$16\r\nbench:\d{10}\r\n\$128\r\n[a-z0-9]{128}\r\n$/;

test("every request is well formed, also where the ring wraps", () => {
  const ring = new RequestRing("set", 4, 128, 1000, 7);
  for (const count of [1, 3, 2, 4, 3]) {
    const bytes = Buffer.concat(ring.take(count)).toString();
    const requests = bytes.split(/(?=\*3\r\n)/);
    expect(requests).toHaveLength(count);
    for (const request of requests) expect(request).toMatch(SET);
  }
});

test("keys stay in the key space and values differ", () => {
  const ring = new RequestRing("set", 1, 32, 5, 3);
  const values = new Set<string>();
  for (let i = 0; i < 200; i += 1) {
    const parts = (ring.take(1)[0] ?? Buffer.alloc(0)).toString().split("\r\n");
    expect(Number(parts[4]?.slice("bench:".length))).toBeLessThan(5);
    values.add(parts[6] ?? "");
  }
  expect(values.size).toBeGreaterThan(195);
});

test("GET carries no value", () => {
  const request = (new RequestRing("get", 1, 128, 9, 1).take(1)[0] ?? Buffer.alloc(0)).toString();
  expect(request).toMatch(/^\*2\r\n\$3\r\nGET\r\n\$16\r\nbench:000000000\d\r\n$/);
});
