import { expect, test } from "vitest";
import { ReplyCounter } from "./reply-counter.ts";

const STREAM = Buffer.from(
  "+OK\r\n:12\r\n$5\r\na\r\nbc\r\n$-1\r\n-NOLEADER no leader not-applied\r\n$0\r\n\r\n_\r\n+OK\r\n",
);

test("counts replies at every split of the stream", () => {
  for (let first = 0; first <= STREAM.length; first += 1) {
    for (let second = first; second <= STREAM.length; second += 1) {
      const counter = new ReplyCounter();
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
