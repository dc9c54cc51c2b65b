import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeUtf8, FormatError, toByteString } from "../base/bytes.ts";
import {
  array,
  bulk,
  bulkText,
  error,
  integer,
  NULL,
  NULL_ARRAY,
  OK,
  type Reply,
  redisError,
} from "../contract/reply.ts";
import { ReplyDecoder } from "./resp-decoder.ts";
import { RespEncoder } from "./resp-encoder.ts";

function encode(reply: Reply, resp: 2 | 3): string {
  const encoder = new RespEncoder();
  encoder.reply(reply, resp);
  return toByteString(encoder.take());
}

function decode(text: string): Reply | undefined {
  const decoder = new ReplyDecoder();
  decoder.push(Uint8Array.from(text, (unit) => unit.charCodeAt(0)));
  return decoder.next();
}

const MAP: Reply = { kind: "map", items: [bulkText("a"), integer(1)] };
const PAIRS: Reply = { kind: "pairs", items: [bulkText("a"), integer(1)] };
const VERBATIM: Reply = { kind: "verbatim", format: "txt", bytes: encodeUtf8("hi") };

describe("RespEncoder", () => {
  test.each<[Reply, string, string]>([
    [OK, "+OK\r\n", "+OK\r\n"],
    [integer(0), ":0\r\n", ":0\r\n"],
    [integer(10), ":10\r\n", ":10\r\n"],
    [integer(-7), ":-7\r\n", ":-7\r\n"],
    [integer(2147483647), ":2147483647\r\n", ":2147483647\r\n"],
    [integer(2147483648), ":2147483648\r\n", ":2147483648\r\n"],
    [integer(-(2n ** 63n)), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"],
    [bulkText(""), "$0\r\n\r\n", "$0\r\n\r\n"],
    [bulk(Uint8Array.of(0, 255)), "$2\r\n\0\xff\r\n", "$2\r\n\0\xff\r\n"],
    [NULL, "$-1\r\n", "_\r\n"],
    [NULL_ARRAY, "*-1\r\n", "_\r\n"],
    [array([]), "*0\r\n", "*0\r\n"],
    [array([NULL, array([OK])]), "*2\r\n$-1\r\n*1\r\n+OK\r\n", "*2\r\n_\r\n*1\r\n+OK\r\n"],
    [MAP, "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n"],
    [PAIRS, "*2\r\n$1\r\na\r\n:1\r\n", "*1\r\n*2\r\n$1\r\na\r\n:1\r\n"],
    [{ kind: "pairs", items: [] }, "*0\r\n", "*0\r\n"],
    [{ kind: "set", items: [OK] }, "*1\r\n+OK\r\n", "~1\r\n+OK\r\n"],
    [{ kind: "double", value: 1.5 }, "$3\r\n1.5\r\n", ",1.5\r\n"],
    [{ kind: "double", value: -Infinity }, "$4\r\n-inf\r\n", ",-inf\r\n"],
    [{ kind: "double", value: Number.NaN }, "$3\r\nnan\r\n", ",nan\r\n"],
    [{ kind: "boolean", value: true }, ":1\r\n", "#t\r\n"],
    [{ kind: "boolean", value: false }, ":0\r\n", "#f\r\n"],
    [VERBATIM, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"],
    [redisError("syntax error"), "-ERR syntax error\r\n", "-ERR syntax error\r\n"],
    [redisError("a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"],
    [
      error("NOLEADER", "No leader."),
      "-NOLEADER No leader. not-applied\r\n",
      "-NOLEADER No leader. not-applied\r\n",
    ],
    [error("TIMEOUT", "Late."), "-TIMEOUT Late. unknown\r\n", "-TIMEOUT Late. unknown\r\n"],
    [redisError("é"), "-ERR \xc3\xa9\r\n", "-ERR \xc3\xa9\r\n"],
  ])("reply %#", (reply, resp2, resp3) => {
    expect(encode(reply, 2)).toBe(resp2);
    expect(encode(reply, 3)).toBe(resp3);
  });

  test("replies stand one behind the other, and what was taken is not touched again", () => {
    const encoder = new RespEncoder();
    encoder.reply(OK, 2);
    encoder.reply(integer(5), 2);
    expect(encoder.length).toBe(9);
    const first = encoder.take();
    expect(encoder.length).toBe(0);
    const big = bulk(new Uint8Array(100_000).fill(0x61));
    for (let i = 0; i < 20; i += 1) encoder.reply(i % 2 === 0 ? big : OK, 3);
    const second = encoder.take();
    encoder.reply(integer(9), 2);
    expect(toByteString(first)).toBe("+OK\r\n:5\r\n");
    expect(second.length).toBe(10 * (100_000 + 11) + 10 * 5);
    expect(toByteString(second, second.length - 8)).toBe("a\r\n+OK\r\n");
    expect(toByteString(encoder.take())).toBe(":9\r\n");
  });

  test("a text of any length, ASCII or not, at any place of the buffer", () => {
    const encoder = new RespEncoder();
    let expected = "";
    for (let i = 0; i < 3000; i += 1) {
      const text = i % 3 === 0 ? "ü".repeat(i % 50) : "x".repeat(i % 70);
      encoder.reply(redisError(text), 2);
      expected += `-ERR ${text}\r\n`;
    }
    expect(toByteString(encoder.take())).toBe(toByteString(encodeUtf8(expected)));
  });
});

const scalar: fc.Arbitrary<Reply> = fc.oneof(
  fc.constantFrom<Reply>(OK, NULL, { kind: "simple", text: "" }),
  fc
    .stringMatching(/^[ -~]*$/)
    .map((text): Reply => (text === "OK" ? OK : { kind: "simple", text })),
  fc.maxSafeInteger().map((value) => integer(Object.is(value, -0) ? 0 : value)),
  fc
    .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    .filter((value) => !Number.isSafeInteger(Number(value)))
    .map((value) => integer(value)),
  fc.uint8Array().map((bytes) => bulk(bytes)),
  fc.boolean().map((value): Reply => ({ kind: "boolean", value })),
  fc
    .double()
    .filter((value) => !Object.is(value, -0))
    .map((value): Reply => ({ kind: "double", value })),
  fc.uint8Array().map((bytes): Reply => ({ kind: "verbatim", format: "mkd", bytes })),
  fc.constantFrom<Reply>(error("BUSY", "Wait."), redisError("no such key"), error("LIMIT", "x y")),
);

const replies = fc.letrec<{ reply: Reply; items: Reply[] }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 4 },
    scalar,
    tie("items").map((items): Reply => array(items)),
    tie("items").map((items): Reply => ({ kind: "set", items })),
    tie("items").map((items): Reply => ({ kind: "map", items: [...items, ...items] })),
  ),
  items: fc.array(tie("reply"), { maxLength: 4 }),
}));

describe("ReplyDecoder", () => {
  test("gives back in RESP3 what was encoded, however the bytes are cut", () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.array(replies.reply, { maxLength: 5 }), cuts, (all, lengths) => {
        const encoder = new RespEncoder();
        for (const reply of all) encoder.reply(reply, 3);
        const bytes = encoder.take();
        const decoder = new ReplyDecoder();
        const decoded: Reply[] = [];
        for (let at = 0, i = 0; at < bytes.length; i += 1) {
          const length = lengths[i % lengths.length]!;
          decoder.push(bytes.slice(at, at + length));
          at += length;
          for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
            decoded.push(next);
          }
        }
        expect(decoded).toEqual(all);
      }),
      { numRuns: 300 },
    );
  });

  test.each<[string, Reply]>([
    ["$-1\r\n", NULL],
    ["*-1\r\n", NULL_ARRAY],
    [":+5\r\n", integer(5)],
    [
      "(3492890328409238509324850943850943825024385\r\n",
      integer(3492890328409238509324850943850943825024385n),
    ],
    ["!10\r\nERR failed\r\n", redisError("failed")],
    ["-WRONGTYPE no\r\n", redisError("no", "WRONGTYPE")],
    ["-ERR it was applied\r\n", redisError("it was applied")],
    ["-TIMEOUT Too late. unknown\r\n", error("TIMEOUT", "Too late.")],
    ["-CONCERN_UNMET Few. applied\r\n", error("CONCERN_UNMET", "Few.")],
    ["-NOPROTO\r\n", redisError("", "NOPROTO")],
    [",1e10\r\n", { kind: "double", value: 1e10 }],
    ["~0\r\n", { kind: "set", items: [] }],
  ])("text %#", (text, reply) => {
    expect(decode(text)).toEqual(reply);
  });

  test("pushes and attributes stand beside the replies, wherever they come", () => {
    const pushes: unknown[] = [];
    const attributes: unknown[] = [];
    const decoder = new ReplyDecoder({
      onPush: (items) => pushes.push(items),
      onAttribute: (items) => attributes.push(items),
    });
    const text = ">2\r\n+a\r\n:1\r\n*2\r\n|1\r\n+ttl\r\n:9\r\n+x\r\n>1\r\n+b\r\n+y\r\n>0\r\n+z\r\n";
    decoder.push(encodeUtf8(text));
    const simple = (value: string) => ({ kind: "simple", text: value });
    expect(decoder.next()).toEqual(array([simple("x"), simple("y")] as Reply[]));
    expect(decoder.next()).toEqual(simple("z"));
    expect(decoder.next()).toBeUndefined();
    expect(pushes).toEqual([[simple("a"), integer(1)], [simple("b")], []]);
    expect(attributes).toEqual([[simple("ttl"), integer(9)]]);
  });

  test.each([
    "?\r\n",
    "$x\r\n",
    "$-2\r\n",
    "$ 1\r\n",
    ":\r\n",
    ":1.5\r\n",
    "#x\r\n",
    ",abc\r\n",
    "=2\r\nab\r\n",
    "*1e3\r\n",
    "$99999999999\r\n",
    "*99999999999\r\n",
    "*1\r\n".repeat(33),
  ])("refuses %j", (text) => {
    expect(() => decode(text)).toThrow(FormatError);
  });

  test("refuses a line that never ends", () => {
    const decoder = new ReplyDecoder();
    const chunk = new Uint8Array(100_000).fill(0x2b);
    const feed = () => {
      for (let i = 0; i < 20; i += 1) {
        decoder.push(chunk);
        decoder.next();
      }
    };
    expect(feed).toThrow("a line too long");
  });

  test("hostile bytes end in replies or in a FormatError", () => {
    const fragment = fc.constantFrom(
      ...["*2\r\n", "%1\r\n", ">1\r\n", "|1\r\n", "$3\r\n", "abc\r\n", "+a\r\n", ":1\r\n", "_\r\n"],
      ...["*-1\r\n", "$-1\r\n", "~0\r\n", "!3\r\n", "=5\r\ntxt:a\r\n", "\r\n", "*", "$", "99"],
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.array(fragment, { maxLength: 30 }).map((all) => encodeUtf8(all.join(""))),
    );
    fc.assert(
      fc.property(bytes, (stream) => {
        const decoder = new ReplyDecoder();
        decoder.push(stream);
        try {
          while (decoder.next() !== undefined);
        } catch (failure) {
          expect(failure).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
