import { expect, test } from "vitest";
import { encodeUtf8 } from "../../src/core/base/bytes.ts";
import { LIMITS } from "../../src/core/commands/limits.ts";
import type { Reply } from "../../src/core/contract/reply.ts";
import { InProcessTarget } from "../differential/targets.ts";

let target = new InProcessTarget();

function ask(...words: (string | number | Uint8Array)[]): unknown {
  const args = words.map((word) => (word instanceof Uint8Array ? word : encodeUtf8(String(word))));
  return plain(target.execute(args));
}

function plain(reply: Reply): unknown {
  if (reply.kind === "bulk") return Buffer.from(reply.bytes).toString("latin1");
  if (reply.kind === "array") return reply.items.map(plain);
  if (reply.kind === "integer") return reply.value;
  if (reply.kind === "error") return `${reply.code} ${reply.message}`;
  return reply.kind === "simple" ? reply.text : null;
}

test("values come with their types and the entries that changed them last", () => {
  target = new InProcessTarget();
  ask("SET", "t", "text");
  ask("SET", "b", Uint8Array.of(0xff));
  ask("SET", "tb", "text", "AS", "BYTES");
  ask("SET", "j", '{"a":1}', "AS", "JSON", "EX", "100");
  expect(ask("TREFOIL.READ", 5, "t", "b", "tb", "j", "none")).toEqual([
    ["text", 1, "text"],
    ["bytes", 2, "\xff"],
    ["bytes", 3, "text"],
    ["json", 4, '{"a":1}'],
    null,
  ]);
  expect(ask("GET", "j")).toBe('{"a":1}');
  expect(ask("TYPE", "j")).toBe("string");
  expect(ask("SET", "j", "{", "AS", "JSON")).toBe("ERR the value is not JSON");
  expect(ask("SET", "j", "1", "AS", "XML")).toBe("ERR AS takes TEXT, BYTES or JSON");
  ask("APPEND", "j", " ");
  expect(ask("TREFOIL.READ", 1, "j")).toEqual([["text", 5, '{"a":1} ']]);
});

test("pages of a range", () => {
  target = new InProcessTarget();
  for (const key of ["a", "b", "c", "d"]) ask("SET", key, `${key}!`);
  expect(ask("TREFOIL.RANGE", "b", "d", 10)).toEqual([
    0,
    [
      ["b", "text", 2, "b!"],
      ["c", "text", 3, "c!"],
    ],
  ]);
  expect(ask("TREFOIL.RANGE", "", "", 1)).toEqual([1, [["a", "text", 1, "a!"]]]);
  expect(ask("TREFOIL.RANGE", "x", "", 1)).toEqual([0, []]);
});

test("a commit is carried out if all that was read still holds", () => {
  target = new InProcessTarget();
  ask("SET", "a", "1");
  const commit = (...reads: (string | number)[]) =>
    ask("TREFOIL.COMMIT", ...reads, "COMMANDS", 2, 2, "INCR", "a", 3, "SET", "b", "x");
  expect(commit("READS", 2, "a", 1, "b", 0)).toEqual([2, "OK"]);
  expect(commit("READS", 1, "a", 1)).toBeNull();
  expect(commit("READS", 1, "b", 0)).toBeNull();
  expect(ask("GET", "a")).toBe("2");
  expect(commit()).toEqual([3, "OK"]);
});

test("a command that is refused takes the others with it", () => {
  target = new InProcessTarget();
  ask("SET", "word", "abc");
  const commit = ["TREFOIL.COMMIT", "COMMANDS", 3, 3, "SET", "a", "1", 2, "INCR", "word"];
  expect(ask(...commit, 3, "SET", "b", "1")).toBe("ERR value is not an integer or out of range");
  expect(ask("EXISTS", "a", "b")).toBe(0);
});

test("a range holds while nothing in it was added, changed or deleted", () => {
  target = new InProcessTarget();
  for (const key of ["a", "b", "z"]) ask("SET", key, "1");
  const index = target.keyspace.index;
  const holds = () =>
    ask("TREFOIL.READ", 0, "RANGES", 1, "a", "c", 2, index) === null ? "changed" : "holds";
  expect(holds()).toBe("holds");
  ask("SET", "z", "2");
  expect(holds()).toBe("holds");
  ask("SET", "aa", "1");
  expect(holds()).toBe("changed");
  ask("DEL", "aa");
  expect(holds()).toBe("holds");
  ask("DEL", "b");
  ask("SET", "aa", "1");
  expect(holds()).toBe("changed");
});

test("a read sees that what was read before has changed", () => {
  target = new InProcessTarget();
  ask("SET", "a", "1");
  ask("SET", "b", "1");
  expect(ask("TREFOIL.READ", 1, "b", "READS", 1, "a", 1)).toEqual([["text", 2, "1"]]);
  ask("SET", "a", "2");
  expect(ask("TREFOIL.READ", 1, "b", "READS", 1, "a", 1)).toBeNull();
  expect(ask("TREFOIL.RANGE", "", "", 5, "READS", 1, "a", 1)).toBeNull();
});

test.each([
  [["TREFOIL.READ", 2, "a"], "ERR syntax error"],
  [["TREFOIL.READ", 1, "a", "b"], "ERR syntax error"],
  [["TREFOIL.READ", -1], "ERR numkeys takes a whole number from 0 to 1024"],
  [["TREFOIL.READ", LIMITS.readSetMax + 1, "a"], "ERR numkeys takes a whole number from 0 to 1024"],
  [["TREFOIL.RANGE", "", "", 0], "ERR syntax error"],
  [["TREFOIL.COMMIT", "READS", 1, "a", "x", "COMMANDS", 0], "ERR version takes"],
  [["TREFOIL.COMMIT", "COMMANDS", 1, 1], "ERR syntax error"],
  [["TREFOIL.COMMIT", "COMMANDS", 1, 1, "NOSUCH"], "ERR unknown command"],
  [["TREFOIL.COMMIT", "COMMANDS", 1, 2, "SELECT", "0"], "ERR SELECT inside MULTI is not allowed"],
  [["TREFOIL.COMMIT", "COMMANDS", 1, 1, "SET"], "ERR wrong number of arguments"],
  [["TREFOIL.COMMIT", "COMMANDS", 1, 2, "TREFOIL.COMMIT", "COMMANDS"], "ERR wrong number"],
  [["TREFOIL.READ", 1, "k".repeat(LIMITS.keyBytesMax + 1)], "LIMIT a key may have"],
])("%j is refused", (call, expected) => {
  expect(ask(...call)).toContain(expected);
});
