import { describe, expect, it } from "vitest";
import { bulkText, NULL, type Reply } from "../core/contract/reply.ts";
import { formatRaw, formatReply, replyToJson, table } from "./output.ts";

const bytes: Reply = { kind: "bulk", bytes: Uint8Array.of(0xff, 0x22, 0x0a) };
const nested: Reply = {
  kind: "array",
  items: [bulkText("a"), { kind: "array", items: [{ kind: "integer", value: 1 }, NULL] }],
};
const map: Reply = {
  kind: "map",
  items: [bulkText("name"), bulkText("n1"), bulkText("up"), { kind: "boolean", value: true }],
};
const ours: Reply = {
  kind: "error",
  code: "NOLEADER",
  message: "nobody leads",
  outcome: "not-applied",
};

describe("a reply for people", () => {
  it.each<[Reply, string]>([
    [{ kind: "simple", text: "OK" }, "OK"],
    [bulkText('say "hi"\n'), '"say \\"hi\\"\\n"'],
    [bulkText("grüße"), '"grüße"'],
    [bulkText("\u001b[2J\u009b"), '"\\x1b[2J\\x9b"'],
    [bytes, '"\\xff\\"\\n"'],
    [{ kind: "integer", value: 2n ** 60n }, "(integer) 1152921504606846976"],
    [NULL, "(nil)"],
    [ours, "(error) NOLEADER nobody leads not-applied"],
    [{ kind: "array", items: [] }, "(empty array)"],
    [nested, '1) "a"\n2) 1) (integer) 1\n   2) (nil)'],
    [map, '1# "name" => "n1"\n2# "up" => (true)'],
  ])("%#", (reply, text) => {
    expect(formatReply(reply)).toBe(text);
  });
});

describe("a reply for programs", () => {
  it("is the value's bytes and nothing else", () => {
    expect(Buffer.from(formatRaw(bytes), "latin1")).toEqual(Buffer.from([0xff, 0x22, 0x0a]));
    expect(formatRaw(nested)).toBe("a\n1\n");
  });

  it.each<[Reply, unknown]>([
    [bulkText("a"), "a"],
    [bytes, { base64: "/yIK" }],
    [{ kind: "integer", value: 7 }, 7],
    [{ kind: "integer", value: 2n ** 60n }, "1152921504606846976"],
    [{ kind: "double", value: Number.POSITIVE_INFINITY }, "Infinity"],
    [NULL, null],
    [nested, ["a", [1, null]]],
    [map, { name: "n1", up: true }],
    [{ kind: "pairs", items: [bulkText("a"), NULL] }, ["a", null]],
    [ours, { error: { code: "NOLEADER", message: "nobody leads", outcome: "not-applied" } }],
  ])("as JSON: %#", (reply, json) => {
    expect(replyToJson(reply)).toEqual(json);
  });
});

it("a table's columns are as wide as their widest cell", () => {
  expect(
    table(
      [
        ["a", "bb"],
        ["ccc", ""],
        ["d", "e"],
      ],
      "",
    ),
  ).toBe("a     bb\nccc\nd     e");
});
