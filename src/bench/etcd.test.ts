import { expect, test } from "vitest";
import { answerBytes, putRequest, rangeRequest, readWindow } from "./etcd.ts";

const OUTPUT = `
finished in 2.00s, 3.50 req/s, 1.00MB/s
requests: 7 total, 7 started, 7 done, 7 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 7 2xx, 0 3xx, 0 4xx, 0 5xx
`;
const TIMES = { warmUpMs: 500, measureMs: 2_000 };

test("a put is one gRPC frame", () => {
  const bytes = putRequest("k", "v".repeat(200));
  expect([...bytes.subarray(0, 5)]).toEqual([0, 0, 0, 0, bytes.length - 5]);
  expect([...bytes.subarray(5, 11)]).toEqual([0x0a, 1, 107, 0x12, (200 & 127) | 128, 200 >> 7]);
  expect(bytes).toHaveLength(5 + 3 + 3 + 200);
});

test("a range asks for one key, with the other members or without", () => {
  const key = [0x0a, 1, 107];
  expect([...rangeRequest("k", "linearizable range")]).toEqual([0, 0, 0, 0, 3, ...key]);
  const serializable = [...rangeRequest("k", "serializable range")];
  expect(serializable).toEqual([0, 0, 0, 0, 5, ...key, 0x38, 1]);
});

test("the length of an answer", () => {
  const traffic =
    "traffic: 2.11KB (2160) total, 60B (60) headers (space savings 9%), 1.4KB (1400) data";
  expect(answerBytes(`${OUTPUT}${traffic}`)).toBe(200);
  expect(answerBytes(OUTPUT)).toBe(0);
});

test("percentiles leave the warm-up out", () => {
  const warmUp = ["0\t200\t99000"];
  const measured = [1, 2, 3, 4, 5, 6, 7].map(
    (ms) => `${600_000 + ms * 250_000}\t200\t${ms * 1000}`,
  );
  const window = readWindow(OUTPUT, [...warmUp, ...measured].join("\n"), TIMES);
  expect(window).toMatchObject({ perSecond: 3.5, p50Ms: 4, p99Ms: 7, errors: 0 });
});

test("an answer other than 200 is an error", () => {
  const window = readWindow(OUTPUT, "1000000\t-1\t1000\n1200000\t200\t900", TIMES);
  expect(window.errors).toBe(1);
});

test("output of another kind is refused", () => {
  expect(() => readWindow("nonsense", "", TIMES)).toThrow(/h2load says something unknown/);
});
