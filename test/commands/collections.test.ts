import { describe, expect, test } from "vitest";
import { encodeUtf8, toByteString } from "../../src/core/base/bytes.ts";
import { Prng } from "../../src/core/base/prng.ts";
import { encodeCommand } from "../../src/core/commands/command-machine.ts";
import { LIMITS } from "../../src/core/commands/limits.ts";
import { checkCall, lookupCommand } from "../../src/core/commands/table.ts";
import type { Reply } from "../../src/core/contract/reply.ts";
import {
  collectionOf,
  collectionRow,
  countOf,
  deadlineOf,
  isCollection,
  MAP,
  SET,
  versionOf,
} from "../../src/core/values/row.ts";
import { RandomCommands } from "../differential/random-commands.ts";
import { InProcessTarget } from "../differential/targets.ts";
import type { TestKeyspace } from "../raft/test-keyspace.ts";

function plain(reply: Reply): unknown {
  if ("items" in reply) return reply.items.map(plain);
  switch (reply.kind) {
    case "bulk":
      return new TextDecoder().decode(reply.bytes);
    case "integer":
      return reply.value;
    case "simple":
      return reply.text;
    case "error":
      return `${reply.code} ${reply.message}${reply.outcome === null ? "" : ` ${reply.outcome}`}`;
    case "null":
    case "nullArray":
      return null;
    default:
      throw new Error(`a ${reply.kind}`);
  }
}

/** A keyspace that is asked in words; each random seed that is drawn is another one. */
class Asked {
  /** Wall-clock ms, which log time follows. */
  time = 1000;
  readonly target = new InProcessTarget(() => this.time);
  readonly keyspace: TestKeyspace = this.target.keyspace;
  #drawn = 0;

  ask(...words: (string | Uint8Array)[]): unknown {
    const args = words.map((word) => (typeof word === "string" ? Buffer.from(word) : word));
    this.#drawn += 1;
    return plain(this.target.execute(args, (this.#drawn * 0x9e37_79b1) >>> 0));
  }

  strings(...words: string[]): string[] {
    return this.ask(...words) as string[];
  }

  version(key: string): number {
    const row = this.keyspace.state.get(key);
    return row === undefined ? 0 : versionOf(row);
  }

  /** A collection that counts so many fields, and has none: for what goes by the count. */
  pretend(key: string, fields: number, kind: number = SET): void {
    const { keyspace } = this;
    keyspace.index += 1;
    keyspace.state.begin(keyspace.index, keyspace.time);
    const id = keyspace.state.newCollection();
    keyspace.state.set(key, collectionRow(keyspace.state, kind, id, fields));
    keyspace.state.commit();
  }

  sweepAll(): void {
    for (let left = 100; left > 0; left -= 1) this.keyspace.sweep(100_000);
  }

  /** What should be stored for the keys that there are, and no more; every count is right. */
  expected(): string[] {
    const { state } = this.keyspace;
    const stored: string[] = [];
    for (const [key, row] of state.rows("", null)) {
      stored.push(`k${key}`);
      const deadline = deadlineOf(row);
      if (deadline !== 0) stored.push(`x${bigEndian(deadline)}${key}`);
      if (!isCollection(row)) continue;
      const id = collectionOf(row);
      const fields = [...state.fields(id, "", null)];
      expect(fields.length, `fields of ${JSON.stringify(key)}`).toBe(countOf(row));
      for (const [name] of fields) stored.push(`f${id}${name}`);
    }
    return stored.sort((a, b) => (a < b ? -1 : 1));
  }
}

function bigEndian(value: number): string {
  const bytes = Uint8Array.from({ length: 6 }, (_, i) => Math.floor(value / 256 ** (5 - i)) % 256);
  return toByteString(bytes);
}

function members(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `m${from + i}`);
}

function tooMany(what: string): RegExp {
  return new RegExp(`^LIMIT .*${what}.* at most\\. not-applied$`);
}

describe("whatever commands do", () => {
  test.each([1, 2, 3, 4, 5, 6])("counts are right and nothing is left behind, seed %i", (seed) => {
    const asked = new Asked();
    const prng = new Prng(seed, 77);
    let inTransaction = false;
    const toggle = () => {
      asked.ask(inTransaction ? "EXEC" : "MULTI");
      inTransaction = !inTransaction;
    };
    for (const { args } of new RandomCommands(1000 + seed).sequence(1500)) {
      if (prng.chance(1, 10)) toggle();
      // Every deadline that the commands name is over now and then, and log time goes on.
      if (prng.chance(1, 200)) asked.time = Math.max(asked.time, 33_000_000_000_000) + 1;
      asked.ask(...args);
      if (prng.chance(1, 5)) asked.keyspace.sweep(3);
      asked.expected();
    }
    if (inTransaction) toggle();
    asked.sweepAll();
    const kinds = new Set(asked.expected().map((row) => row[0]));
    expect(kinds).toContain("f");
    expect(asked.keyspace.stored()).toEqual(asked.expected());
    expect(asked.ask("FLUSHDB")).toBe("OK");
    asked.sweepAll();
    expect(asked.keyspace.stored()).toEqual([]);
  });

  test("a transaction leaves nothing of what it made and gave up", () => {
    const asked = new Asked();
    for (const last of [
      ["DEL", "a"],
      ["SET", "a", "v"],
      ["RENAME", "b", "a"],
      ["SPOP", "a", "9"],
    ]) {
      asked.ask("SADD", "b", "x");
      asked.ask("MULTI");
      asked.ask("SADD", "a", "1", "2");
      asked.ask("SUNIONSTORE", "a", "a", "b");
      asked.ask("SADD", "a", "3");
      asked.ask(...last);
      expect(asked.ask("EXEC")).not.toBeNull();
      asked.sweepAll();
      expect(asked.keyspace.stored()).toEqual(asked.expected());
    }
  });

  test("what changes a field moves its key's version, and what changes none does not", () => {
    const asked = new Asked();
    asked.ask("HSET", "h", "f", "1");
    asked.ask("SADD", "s", "a", "b");
    asked.ask("SADD", "t", "a");
    const moved: [key: string, ...call: string[]][] = [
      ["h", "HSET", "h", "f", "1"],
      ["h", "HINCRBY", "h", "f", "1"],
      ["h", "HINCRBYFLOAT", "h", "f", "0.5"],
      ["h", "HSETNX", "h", "g", "1"],
      ["h", "HDEL", "h", "g"],
      ["s", "SADD", "s", "c"],
      ["s", "SREM", "s", "c"],
      ["s", "SMOVE", "s", "t", "b"],
      ["t", "SPOP", "t"],
      ["t", "SUNIONSTORE", "t", "s"],
    ];
    for (const [key, ...call] of moved) {
      asked.ask(...call);
      expect(asked.version(key), call.join(" ")).toBe(asked.keyspace.index);
    }
    const still: [key: string, ...call: string[]][] = [
      ["h", "HSETNX", "h", "f", "9"],
      ["h", "HDEL", "h", "none"],
      ["h", "HINCRBY", "h", "f", "x"],
      ["s", "SADD", "s", "a"],
      ["s", "SREM", "s", "none"],
      ["s", "SMOVE", "s", "s", "a"],
      ["s", "SPOP", "s", "0"],
    ];
    for (const [key, ...call] of still) {
      const before = asked.version(key);
      asked.ask(...call);
      expect(asked.version(key), call.join(" ")).toBe(before);
    }
  });

  test("a large hash is removed in slices, and its key is free at once", () => {
    const asked = new Asked();
    asked.ask("HSET", "h", ...members(1000).flatMap((name) => [name, "v"]));
    asked.ask("DEL", "h");
    expect(asked.ask("HSET", "h", "m0", "new")).toBe(1);
    const left = () => asked.keyspace.stored().filter((row) => row.startsWith("f")).length;
    expect(left()).toBe(1001);
    asked.keyspace.sweep(300);
    expect(left()).toBe(701);
    asked.sweepAll();
    expect(asked.keyspace.stored()).toEqual(asked.expected());
    expect(asked.strings("HGETALL", "h")).toEqual(["m0", "new"]);
  });

  test("a key whose time is up is written as if it were not there", () => {
    const asked = new Asked();
    asked.ask("SADD", "s", "old");
    asked.ask("PEXPIREAT", "s", "2000");
    asked.time = 2000;
    expect(asked.ask("SADD", "s", "new")).toBe(1);
    expect([asked.ask("SMEMBERS", "s"), asked.ask("PTTL", "s")]).toEqual([["new"], -1]);
    asked.sweepAll();
    expect(asked.keyspace.stored()).toEqual(asked.expected());
  });
});

describe("the order of bytes", () => {
  test("is that of fields and members in every answer", () => {
    const asked = new Asked();
    asked.ask("HSET", "h", "b", "1", "a", "2", "B", "3", "10", "4", "9", "5");
    expect(asked.ask("HKEYS", "h")).toEqual(["10", "9", "B", "a", "b"]);
    expect(asked.ask("HVALS", "h")).toEqual(["4", "5", "3", "2", "1"]);
    asked.ask("SADD", "s", "c", "a");
    asked.ask("SADD", "t", "b", "a");
    expect(asked.ask("SUNION", "s", "t")).toEqual(["a", "b", "c"]);
    expect(asked.ask("SMEMBERS", "s")).toEqual(["a", "c"]);
  });
});

describe("what is drawn at random", () => {
  test("is the same wherever the command is applied", () => {
    const spec = lookupCommand(encodeUtf8("SPOP"))!;
    if (spec.kind !== "write" || spec.toWire === undefined) throw new Error("SPOP is a write");
    for (const random of [0, 1, 0xffff_ffff, 0x1234_5678]) {
      const args = ["SPOP", "s", "7"].map(encodeUtf8);
      const edge = { random: () => random } as Parameters<typeof spec.toWire>[1];
      const travelling = spec.toWire(args, edge);
      if ("kind" in travelling) throw new Error("refused");
      const command = encodeCommand(spec, travelling);
      const answers = [0, 1].map(() => {
        const asked = new Asked();
        asked.ask("SADD", "s", ...members(50));
        return [plain(asked.keyspace.apply(command)), asked.keyspace.stored()];
      });
      expect(answers[0]).toEqual(answers[1]);
      expect(new Set(answers[0]![0] as string[]).size).toBe(7);
    }
  });

  test("can be each of them, about as often", () => {
    const asked = new Asked();
    asked.ask("SADD", "s", ...members(8));
    asked.ask("HSET", "h", ...members(8).flatMap((name) => [name, name]));
    const draws: (readonly string[])[] = [
      ["SRANDMEMBER", "s"],
      ["SRANDMEMBER", "s", "1"],
      ["SRANDMEMBER", "s", "3"],
      ["SRANDMEMBER", "s", "-3"],
      ["HRANDFIELD", "h"],
      ["HRANDFIELD", "h", "-2"],
    ];
    for (const call of draws) {
      const seen = new Map<string, number>();
      let total = 0;
      for (let i = 0; i < 400; i += 1) {
        for (const name of [asked.ask(...call)].flat() as string[]) {
          seen.set(name, (seen.get(name) ?? 0) + 1);
          total += 1;
        }
      }
      // The seeds are fixed, so that this is the same in every run.
      expect(seen.size, call.join(" ")).toBe(8);
      for (const count of seen.values()) {
        expect(count).toBeGreaterThan(total / 8 / 2);
        expect(count).toBeLessThan((total / 8) * 2);
      }
    }
  });

  test("different ones are different, and repeated ones come as they are drawn", () => {
    const asked = new Asked();
    asked.ask("SADD", "s", ...members(20));
    for (let wanted = 1; wanted <= 25; wanted += 1) {
      const drawn = asked.strings("SRANDMEMBER", "s", String(wanted));
      expect(new Set(drawn).size).toBe(Math.min(wanted, 20));
    }
    const repeated = asked.strings("SRANDMEMBER", "s", "-100");
    expect(repeated).toHaveLength(100);
    expect(repeated).not.toEqual([...repeated].sort());
    asked.ask("HSET", "h", "a", "1", "b", "2");
    const pairs = asked.strings("HRANDFIELD", "h", "-50", "WITHVALUES");
    expect(pairs).toHaveLength(100);
    for (let i = 0; i < 100; i += 2) expect(pairs[i + 1]).toBe(pairs[i] === "a" ? "1" : "2");
  });

  test("SPOP takes every member once", () => {
    const asked = new Asked();
    asked.ask("SADD", "s", ...members(60));
    const popped: string[] = [];
    while (asked.ask("EXISTS", "s") === 1) {
      popped.push(...([asked.ask("SPOP", "s")].flat() as string[]));
      popped.push(...asked.strings("SPOP", "s", "4"));
      expect(asked.ask("SCARD", "s")).toBe(60 - popped.length);
    }
    expect([...popped].sort()).toEqual(members(60).sort());
  });
});

describe("HSCAN and SSCAN", () => {
  test("give what is there all the while exactly once, page by page", () => {
    const asked = new Asked();
    asked.ask("SADD", "s", ...members(2000));
    const seen: string[] = [];
    let cursor = "0";
    let pages = 0;
    do {
      const [next, page] = asked.ask("SSCAN", "s", cursor, "COUNT", "150") as [string, string[]];
      expect(page.length).toBeLessThanOrEqual(150);
      seen.push(...page);
      cursor = next;
      pages += 1;
      asked.ask("SADD", "s", `n${pages}`);
      asked.ask("SREM", "s", `n${pages - 1}`);
    } while (cursor !== "0");
    expect(pages).toBeGreaterThan(12);
    const lasting = seen.filter((name) => name.startsWith("m"));
    expect([...lasting].sort()).toEqual(members(2000).sort());
  });

  test("answer what is small in one page, and look at no more than the limit", () => {
    const asked = new Asked();
    asked.ask("HSET", "small", ...members(512).flatMap((name) => [name, "v"]));
    const [cursor, page] = asked.ask("HSCAN", "small", "0", "COUNT", "1") as [string, string[]];
    expect([cursor, page.length]).toEqual(["0", 1024]);
    asked.ask("SADD", "s", ...members(LIMITS.scanCountMax + 1));
    const [next, most] = asked.ask("SSCAN", "s", "0", "COUNT", "1000000") as [string, string[]];
    expect(most).toHaveLength(LIMITS.scanCountMax);
    expect(asked.ask("SSCAN", "s", next)).toEqual(["0", [expect.any(String)]]);
  });

  test("end a page behind as many bytes as the limit says", () => {
    const asked = new Asked();
    const value = "v".repeat(LIMITS.scanBytesMax / 4);
    asked.ask("HSET", "h", ...members(6).flatMap((name) => [name, value]));
    const [cursor, page] = asked.ask("HSCAN", "h", "0") as [string, string[]];
    expect(page).toHaveLength(8);
    const [end, rest] = asked.ask("HSCAN", "h", cursor) as [string, string[]];
    expect([end, rest.length]).toEqual(["0", 4]);
  });

  test("refuse a cursor that this node did not give out", () => {
    const asked = new Asked();
    asked.ask("SADD", "s", "a");
    expect(asked.ask("SSCAN", "s", "77")).toBe(
      "ERR invalid cursor: this node does not know it any more, begin again with 0",
    );
  });
});

describe("limits", () => {
  test("a field or member is as long as a key at most, a field's value is not", () => {
    const name = new Uint8Array(LIMITS.keyBytesMax).fill(0x61);
    const longer = new Uint8Array(LIMITS.keyBytesMax + 1).fill(0x61);
    const [key, value] = [encodeUtf8("k"), encodeUtf8("v")];
    const check = (command: string, ...rest: Uint8Array[]) => {
      const reply = checkCall(lookupCommand(encodeUtf8(command)), [encodeUtf8(command), ...rest]);
      return reply === null ? null : plain(reply);
    };
    expect(check("HSET", key, name, longer, name, longer)).toBeNull();
    const refused = `LIMIT A field or member may have ${LIMITS.keyBytesMax} bytes at most. not-applied`;
    expect(check("HSET", key, name, value, longer, value)).toBe(refused);
    for (const command of ["HGET", "HDEL", "HEXISTS", "HMGET", "SADD", "SREM", "SISMEMBER"]) {
      expect(check(command, key, name), command).toBeNull();
      expect(check(command, key, longer), command).toBe(refused);
    }
    expect(check("SMOVE", key, key, longer)).toBe(refused);
    expect(check("HINCRBY", key, longer, encodeUtf8("1"))).toBe(refused);
    expect(check("SINTERCARD", encodeUtf8("1"), longer)).toMatch(/^LIMIT A key/);
    const asked = new Asked();
    expect(asked.ask("HSET", "k", name, "v")).toBe(1);
    expect(asked.ask("HGET", "k", name)).toBe("v");
  });

  test("HGETALL, HVALS, HMGET and COPY gather as many bytes as the limit says", () => {
    const asked = new Asked();
    const quarter = LIMITS.gatheredBytesMax / 4;
    const value = new Uint8Array(quarter);
    for (const name of ["a", "b", "c"]) asked.ask("HSET", "h", name, value);
    // As many bytes as there may be, of which each of eight items takes 16 and four have a name.
    const last = quarter - 8 * 16 - 4;
    asked.ask("HSET", "h", "d", new Uint8Array(last));
    const read = (...words: string[]) => {
      const args = words.map((word) => encodeUtf8(word));
      return asked.keyspace.read(encodeCommand(lookupCommand(args[0]!)!, args));
    };
    expect(read("HGETALL", "h").kind).toBe("map");
    asked.ask("HSET", "h", "d", new Uint8Array(last + 1));
    const refused = tooMany("gather values");
    expect(plain(read("HGETALL", "h"))).toMatch(refused);
    expect(read("HVALS", "h").kind).toBe("array");
    expect(asked.ask("COPY", "h", "g")).toBe(1);
    asked.ask("HSET", "h", "d", value);
    expect(plain(read("HVALS", "h"))).toMatch(refused);
    expect(plain(read("HMGET", "h", "a", "b", "c", "d"))).toMatch(refused);
    expect(asked.ask("COPY", "h", "g", "REPLACE")).toMatch(refused);
    expect(asked.keyspace.changedBytes).toBe(0);
    expect(asked.ask("HSTRLEN", "g", "d")).toBe(last + 1);
  });

  test("as many fields are drawn as one command may look at", () => {
    const asked = new Asked();
    asked.ask("SADD", "s", "m");
    const most = LIMITS.visitedFieldsMax;
    expect(asked.strings("SRANDMEMBER", "s", String(-most))).toHaveLength(most);
    expect(asked.ask("SRANDMEMBER", "s", String(-most - 1))).toMatch(tooMany("look at"));
    expect(asked.ask("SRANDMEMBER", "s", "-9223372036854775807")).toMatch(tooMany("look at"));
  });

  test("one command looks at as many members as the limit says", () => {
    const asked = new Asked();
    const half = LIMITS.visitedFieldsMax / 2;
    asked.pretend("half", half);
    asked.pretend("more", half + 1);
    asked.pretend("most", LIMITS.visitedFieldsMax);
    asked.pretend("beyond", LIMITS.visitedFieldsMax + 1);
    const refused = tooMany("look at");
    expect(asked.ask("SINTER", "half", "most")).toEqual([]);
    expect(asked.ask("SINTER", "more", "most")).toMatch(refused);
    expect(asked.ask("SINTERCARD", "2", "more", "most")).toMatch(refused);
    expect(asked.ask("SUNION", "half", "half")).toEqual([]);
    expect(asked.ask("SUNION", "half", "more")).toMatch(refused);
    expect(asked.ask("SDIFF", "half", "beyond")).toEqual([]);
    expect(asked.ask("SDIFF", "more", "beyond")).toMatch(refused);
    expect(asked.ask("SMEMBERS", "most")).toEqual([]);
    expect(asked.ask("SMEMBERS", "beyond")).toMatch(refused);
    expect(asked.ask("SPOP", "beyond", "1000000")).toMatch(refused);
    asked.pretend("map", LIMITS.visitedFieldsMax + 1, MAP);
    for (const command of ["HGETALL", "HKEYS", "HVALS", "HRANDFIELD"]) {
      expect(asked.ask(command, "map"), command).toMatch(refused);
    }
    expect(asked.ask("SRANDMEMBER", "most", "1")).toEqual([]);
    expect(asked.ask("SRANDMEMBER", "beyond", "1")).toMatch(refused);
    expect(asked.ask("SRANDMEMBER", "beyond")).toMatch(refused);
    expect(asked.ask("SRANDMEMBER", "beyond", "-1")).toMatch(refused);
    expect(asked.ask("SPOP", "beyond")).toMatch(refused);
    expect(asked.ask("SPOP", "beyond", "1")).toMatch(refused);
    expect(asked.keyspace.changedBytes).toBe(0);
  });

  test("TREFOIL.READ and TREFOIL.RANGE look at no more either", () => {
    const asked = new Asked();
    asked.pretend("half", LIMITS.visitedFieldsMax / 2);
    asked.pretend("beyond", LIMITS.visitedFieldsMax / 2 + 1);
    const refused = tooMany("look at");
    expect(asked.ask("TREFOIL.READ", "2", "half", "half")).toHaveLength(2);
    expect(asked.ask("TREFOIL.READ", "2", "half", "beyond")).toMatch(refused);
    // A page of a range ends by its bytes: what counts is each value.
    expect(asked.ask("TREFOIL.RANGE", "", "", "10")).toEqual([0, expect.any(Array)]);
    asked.pretend("many", LIMITS.visitedFieldsMax + 1);
    expect(asked.ask("TREFOIL.RANGE", "", "", "10")).toMatch(refused);
  });

  test("one command changes as many members as the limit says", { timeout: 60_000 }, () => {
    const asked = new Asked();
    const most = LIMITS.changedFieldsMax;
    for (let from = 0; from < most; from += most / 4) {
      asked.ask("SADD", "s", ...members(most / 4, from));
    }
    asked.ask("SADD", "t", "one more");
    expect(asked.ask("SUNIONSTORE", "d", "s")).toBe(most);
    const refused = tooMany("change");
    expect(asked.ask("SUNIONSTORE", "d", "s", "t")).toMatch(refused);
    expect(asked.ask("SCARD", "d")).toBe(most);
    expect(asked.ask("COPY", "d", "e")).toBe(1);
    asked.ask("SADD", "d", "one more");
    expect(asked.ask("COPY", "d", "e", "REPLACE")).toMatch(refused);
    asked.pretend("many", 2 * most);
    expect(asked.ask("SPOP", "many", String(most + 1))).toMatch(refused);
    expect(asked.keyspace.changedBytes).toBe(0);
    expect([asked.ask("SCARD", "d"), asked.ask("SCARD", "e")]).toEqual([most + 1, most]);
  });

  test("SPOP answers as many bytes as a command has", () => {
    const asked = new Asked();
    // An item counts 16 bytes beside its own.
    const name = (i: number) => `${i}`.padStart(1584, "x");
    const count = Math.floor(LIMITS.commandBytesMax / 1600);
    const names = Array.from({ length: count + 1 }, (_, i) => name(i));
    for (let i = 0; i <= count; i += 1000) asked.ask("SADD", "s", ...names.slice(i, i + 1000));
    expect(asked.ask("SPOP", "s", String(count + 1))).toMatch(tooMany("gather values"));
    expect(asked.ask("SCARD", "s")).toBe(count + 1);
    expect(asked.strings("SPOP", "s", String(count))).toHaveLength(count);
    expect(asked.ask("SCARD", "s")).toBe(1);
  });

  test("a transaction looks at as many fields as the limit says, or changes nothing", () => {
    const asked = new Asked();
    asked.ask("SADD", "s", ...members(1000));
    const transaction = (commands: number) => {
      asked.ask("MULTI");
      asked.ask("INCR", "n");
      for (let i = 0; i < commands; i += 1) asked.ask("SINTERCARD", "2", "s", "s");
      return asked.ask("EXEC");
    };
    // Each one passes every member, looks each of them up in the other set, and begins once.
    const each = 2001 + 1;
    const most = Math.floor(LIMITS.visitedFieldsMax / each);
    expect(transaction(most)).toHaveLength(most + 1);
    expect(transaction(most + 1)).toBe(
      `LIMIT A transaction may look at ${LIMITS.visitedFieldsMax} fields at most. not-applied`,
    );
    expect(asked.ask("GET", "n")).toBe("1");
  });
});
