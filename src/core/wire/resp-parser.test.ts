import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes, decodeUtf8, encodeUtf8, toByteString } from "../base/bytes.ts";
import { ProtocolError, RESP_LIMITS, type RespLimits, RespParser } from "./resp-parser.ts";

const SMALL: RespLimits = {
  inlineBytesMax: 32,
  multibulkCountMax: 4,
  bulkBytesMax: 100,
  requestBytesMax: 150,
};

/** The requests in the chunks, as texts; a protocol error ends the list. */
function parse(chunks: readonly Uint8Array[], limits: RespLimits = RESP_LIMITS): string[][] {
  const parser = new RespParser(limits);
  const requests: string[][] = [];
  try {
    for (const chunk of chunks) {
      parser.push(chunk);
      for (let args = parser.next(); args !== null; args = parser.next()) {
        requests.push(args.map((arg) => toByteString(arg)));
      }
    }
  } catch (failure) {
    if (!(failure instanceof ProtocolError)) throw failure;
    requests.push(["!", failure.message]);
  }
  return requests;
}

function parseText(text: string, limits?: RespLimits): string[][] {
  return parse([encodeUtf8(text)], limits);
}

function request(args: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [encodeUtf8(`*${args.length}\r\n`)];
  for (const arg of args) parts.push(encodeUtf8(`$${arg.length}\r\n`), arg, encodeUtf8("\r\n"));
  return concatBytes(parts);
}

describe("RespParser", () => {
  test("arrays of strings and lines, one behind the other", () => {
    const text = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n*1\r\n$0\r\n\r\nSET a 'b c'\n";
    expect(parseText(text)).toEqual([["GET", "k"], ["PING"], [""], ["SET", "a", "b c"]]);
  });

  test("empty lines and empty arrays are no requests", () => {
    expect(parseText("\r\n\n  \r\n*0\r\n*-1\r\n*-99\r\nPING\r\n")).toEqual([["PING"]]);
  });

  test("strings within a chunk are views into it, strings across chunks are not", () => {
    const whole = request([encodeUtf8("ECHO"), encodeUtf8("abc")]);
    const parser = new RespParser();
    parser.push(whole);
    expect(parser.next()?.map((arg) => arg.buffer === whole.buffer)).toEqual([true, true]);
    const first = whole.slice(0, whole.length - 3);
    parser.push(first);
    expect(parser.next()).toBeNull();
    parser.push(whole.slice(whole.length - 3));
    expect(parser.next()?.map((arg) => arg.buffer === first.buffer)).toEqual([true, false]);
  });

  test("a request is whole only with its last line break", () => {
    expect(parseText("*1\r\n$4\r\nPING")).toEqual([]);
    expect(parseText("*1\r\n$4\r\nPING\r")).toEqual([]);
    expect(parseText("*1\r\n$4\r\nPING\r\n")).toEqual([["PING"]]);
  });

  test("what is held of an unfinished request is counted", () => {
    const parser = new RespParser();
    parser.push(encodeUtf8("*2\r\n$4\r\nECHO\r\n$1000\r\nabc"));
    expect(parser.next()).toBeNull();
    expect(parser.bufferedBytes).toBe(1004);
  });

  test("protocol errors are worded as in Redis", () => {
    const message = (text: string) => parseText(text).at(-1)?.[1];
    expect(message("*x\r\n")).toBe("Protocol error: invalid multibulk length");
    expect(message("*1048577\r\n")).toBe("Protocol error: invalid multibulk length");
    expect(message("*1\r\nx")).toBe("Protocol error: expected '$', got 'x'");
    expect(message("*1\r\n$-1\r\n")).toBe("Protocol error: invalid bulk length");
    expect(message("*1\r\n$8388609\r\n")).toBe("Protocol error: invalid bulk length");
    expect(message(`*${"1".repeat(70_000)}`)).toBe("Protocol error: too big mbulk count string");
    expect(message(`*1\r\n$${"1".repeat(70_000)}`)).toBe(
      "Protocol error: too big bulk count string",
    );
    expect(message("x".repeat(70_000))).toBe("Protocol error: too big inline request");
    expect(message('a "b\r\n')).toBe("Protocol error: unbalanced quotes in request");
  });

  test("at each limit a request passes, one beyond it fails", () => {
    const bulk = (length: number) => `$${length}\r\n${"x".repeat(length)}\r\n`;
    expect(parseText(`*4\r\n${bulk(1).repeat(4)}`, SMALL)).toHaveLength(1);
    expect(parseText("*5\r\n", SMALL)).toEqual([["!", "Protocol error: invalid multibulk length"]]);
    expect(parseText(`*1\r\n${bulk(100)}`, SMALL)).toHaveLength(1);
    expect(parseText("*1\r\n$101\r\n", SMALL)).toEqual([
      ["!", "Protocol error: invalid bulk length"],
    ]);
    expect(parseText(`*2\r\n${bulk(75)}${bulk(75)}`, SMALL)).toHaveLength(1);
    expect(parseText(`*2\r\n${bulk(75)}$76\r\n`, SMALL)).toEqual([
      ["!", "Protocol error: too big request"],
    ]);
    expect(parseText(`${"x".repeat(32)}\n`, SMALL)).toHaveLength(1);
    expect(parseText(`${"x".repeat(33)}\n`, SMALL)).toEqual([
      ["!", "Protocol error: too big inline request"],
    ]);
  });

  test("lines that never end fail at the limit, however they come", () => {
    for (const lead of ["", "*", "*1\r\n$"]) {
      const chunks = Array.from({ length: 40 }, () => encodeUtf8("1"));
      const requests = parse([encodeUtf8(lead), ...chunks], SMALL);
      expect(requests).toHaveLength(1);
      expect(requests[0]?.[1]).toMatch(/too big/);
    }
  });

  test("after an error it is of no more use", () => {
    const parser = new RespParser();
    parser.push(encodeUtf8("*x\r\nPING\r\n"));
    expect(() => parser.next()).toThrow(ProtocolError);
    parser.push(encodeUtf8("PING\r\n"));
    expect(() => parser.next()).toThrow("Protocol error: invalid multibulk length");
    expect(parser.bufferedBytes).toBe(0);
  });

  test("HTTP is turned away before its body is read", () => {
    expect(parseText("POST / HTTP/1.1\r\n")).toEqual([
      ["!", "Protocol error: this is no HTTP port"],
    ]);
    expect(parseText("GET / HTTP/1.1\r\nHost: x\r\n\r\nSET a b\r\n")).toEqual([
      ["GET", "/", "HTTP/1.1"],
      ["!", "Protocol error: this is no HTTP port"],
    ]);
  });

  test("the same requests at every split point of a stream", () => {
    const stream = concatBytes([
      request([encodeUtf8("SET"), encodeUtf8("k"), Uint8Array.from({ length: 256 }, (_, i) => i)]),
      encodeUtf8('PING "a\\x41\\n"\r\n\r\n*0\r\n'),
      request([encodeUtf8("ECHO"), encodeUtf8("")]),
      encodeUtf8("GET k\n*x\r\n"),
    ]);
    const whole = parse([stream]);
    expect(whole).toHaveLength(5);
    for (let at = 0; at <= stream.length; at += 1) {
      expect(parse([stream.slice(0, at), stream.slice(at)])).toEqual(whole);
    }
    expect(parse(Array.from(stream, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  test("the same requests however a stream is cut", () => {
    const word = fc.uint8Array({ maxLength: 40 });
    const requests = fc.array(fc.array(word, { minLength: 1, maxLength: 5 }), { maxLength: 8 });
    const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(requests, cuts, (all, lengths) => {
        const stream = concatBytes(all.map(request));
        expect(parse(pieces(stream, lengths))).toEqual(
          all.map((args) => args.map((arg) => toByteString(arg))),
        );
      }),
      { numRuns: 200 },
    );
  });

  test("hostile bytes end in requests or in a protocol error, the same however cut", () => {
    const fragment = fc.constantFrom(
      ...["*1\r\n", "*2\r\n", "$1\r\n", "$3\r\n", "abc", "\r\n", "\n", "\r", '"', "'", "\\x4"],
      ...["*", "$", "-1", "99999999999", "\0", " ", "*-1\r\n", "$0\r\n", "POST", "*4\r\n"],
    );
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fragment, { maxLength: 40 }).map((all) => encodeUtf8(all.join(""))),
    );
    const cuts = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(bytes, cuts, (stream, lengths) => {
        const cut = parse(pieces(stream, lengths), SMALL);
        expect(cut).toEqual(parse([stream], SMALL));
      }),
      { numRuns: 500 },
    );
  });

  test("a string is announced long before it comes, and no memory is taken for it", () => {
    const parser = new RespParser();
    parser.push(encodeUtf8(`*1\r\n$${RESP_LIMITS.bulkBytesMax}\r\n`));
    expect(parser.next()).toBeNull();
    const value = new Uint8Array(RESP_LIMITS.bulkBytesMax).fill(7);
    for (let at = 0; at < value.length; at += 60_000) {
      parser.push(value.slice(at, at + 60_000));
      expect(parser.next()).toBeNull();
    }
    parser.push(encodeUtf8("\r\n"));
    const args = parser.next();
    expect(args?.[0]?.length).toBe(value.length);
    expect(args?.[0]?.every((byte) => byte === 7)).toBe(true);
  });

  test("words of a line are decoded as Redis decodes them", () => {
    const words = (line: string) => parseText(`${line}\n`)[0]?.map((word) => word);
    expect(words('a "b\\"c" d')).toEqual(["a", 'b"c', "d"]);
    expect(words("a 'b\\'c\\n' d")).toEqual(["a", "b'c\\n", "d"]);
    expect(words('"\\x00\\xfF"')).toEqual(["\u0000\u00ff"]);
    expect(words('"\\xg1"')).toEqual(["xg1"]);
    expect(words("a\tb\vc")).toEqual(["a", "b", "c"]);
    expect(decodeUtf8(encodeUtf8("é"))).toBe("é");
  });
});

/** The stream in pieces of these lengths, over and over. */
function pieces(stream: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < stream.length; i += 1) {
    const length = lengths[i % lengths.length]!;
    chunks.push(stream.slice(at, at + length));
    at += length;
  }
  return chunks;
}
