import { expect, test } from "vitest";
import { ReplyCounter } from "./reply-counter.ts";

const STREAM = Buffer.from(
  "+OK\r\n:12\r\n$5\r\na\r\nbc\r\n$-1\r\n-NOLEADER no leader not-applied\r\n$0\r\n\r\n_\r\n+OK\r\n",
);

test("counts replies at every split of the stream", () => {
  for (let first = 0; first <= STREAM.length; first += 1) {
    for (let second = first; second <= STREAM.length; second += 1) {
      const counter = new ReplyCounter("any");
      const parts = [
        STREAM.subarray(0, first),
        STREAM.subarray(first, second),
        STREAM.subarray(second),
      ];
      const replies = parts.reduce((sum, part) => sum + counter.push(part), 0);
      expect(replies, `split at ${first} and ${second}`).toBe(8);
      expect(counter.errors).toBe(1);
      expect(counter.firstError).toBe("NOLEADER no leader not-applied");
    }
  }
});

test("a value that is not there is an error where one is expected", () => {
  const counter = new ReplyCounter("value");
  expect(counter.push(Buffer.from("$1\r\na\r\n$-1\r\n_\r\n$0\r\n\r\n"))).toBe(4);
  expect(counter).toMatchObject({ errors: 2, firstError: "a key was not there" });
});

test("requests that wait for copies end together", () => {
  const counter = new ReplyCounter("copies");
  expect(counter.push(Buffer.from("+OK\r\n+OK\r\n"))).toBe(0);
  expect(counter.push(Buffer.from(":2\r\n+OK\r\n:1\r\n"))).toBe(3);
  expect(counter.errors).toBe(0);
});

test("requests without a copy have failed, as have those that were refused", () => {
  const counter = new ReplyCounter("copies");
  expect(counter.push(Buffer.from("+OK\r\n+OK\r\n:0\r\n"))).toBe(2);
  expect(counter).toMatchObject({ errors: 2, firstError: "WAIT answered 0" });
  expect(counter.push(Buffer.from("-READONLY no\r\n+OK\r\n:1\r\n"))).toBe(2);
  expect(counter.errors).toBe(3);
});
