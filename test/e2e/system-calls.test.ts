import { expect, test } from "vitest";
import { durableBefore, parseCall, type SystemCall } from "./system-calls.ts";

test("a finished call", () => {
  const line =
    '1795470913.5 pwritev(18</d/log-0>, [{iov_base="\\x74oken", iov_len=5}], 1, 0) = 5 <0.25>';
  expect(parseCall(line)).toEqual([
    {
      name: "pwritev",
      file: "/d/log-0",
      args: ', [{iov_base="token", iov_len=5}], 1, 0',
      begun: 1795470913.5,
      ended: 1795470913.75,
    },
  ]);
  expect(parseCall("1.5 fdatasync(18</d/log-0>) = 0 <0.000486>")).toHaveLength(1);
});

test.each([
  "1.5 fdatasync(18</d/log-0>) = -1 EIO (Input/output error) <0.000486>",
  "1.5 +++ exited with 0 +++",
  '1.5 write(18</d/log-0>, "x", 1 <unfinished ...>',
])("%s is none", (line) => {
  expect(parseCall(line)).toEqual([]);
});

function call(name: string, file: string, args: string, begun: number, ended: number): SystemCall {
  return { name, file, args, begun, ended };
}

const WRITE = call("pwritev", "/d/log-0", '"token"', 1, 2);
const SYNC = call("fdatasync", "/d/log-0", "", 3, 4);

test("durable: written, then synced, before the acknowledgement", () => {
  expect(durableBefore([WRITE, SYNC], "token", /log-/, 5)).toBe(true);
  expect(durableBefore([WRITE], "token", /log-/, 5, new Set(["/d/log-0"]))).toBe(true);
});

test.each([
  ["never synced", [WRITE]],
  ["synced before it was written", [WRITE, { ...SYNC, begun: 0.5, ended: 0.9 }]],
  ["the sync began during the write", [WRITE, { ...SYNC, begun: 1.5 }]],
  ["the sync ended after the acknowledgement", [WRITE, { ...SYNC, ended: 6 }]],
  ["another file was synced", [WRITE, { ...SYNC, file: "/d/log-1" }]],
  ["another value was written", [{ ...WRITE, args: '"other"' }, SYNC]],
])("not durable: %s", (_, calls) => {
  expect(durableBefore(calls, "token", /log-/, 5)).toBe(false);
});
