import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TestKeyspace } from "../../../test/raft/test-keyspace.ts";
import { encodeUtf8, FormatError, toByteString } from "../base/bytes.ts";
import { bulkText, integer, NULL, OK, type Reply } from "../contract/reply.ts";
import { VALUE_AT } from "../values/row.ts";
import { CommandEncoder, decodeCommand, encodeCommand } from "./command-machine.ts";
import { COMMANDS, checkCall, lookupCommand } from "./table.ts";

function words(...texts: string[]): Uint8Array[] {
  return texts.map((text) => encodeUtf8(text));
}

function encoded(...texts: string[]): Uint8Array {
  const args = words(...texts);
  return encodeCommand(lookupCommand(args[0]!)!, args);
}

function apply(keyspace: TestKeyspace, ...texts: string[]): Reply {
  return keyspace.apply(encoded(...texts));
}

describe("a command as it goes to the log", () => {
  test("its bytes, which never change", () => {
    expect([...encoded("SET", "k", "v1")]).toEqual([
      ...[1, 0, 2, 0, 0, 0],
      ...[1, 0, 0, 0, 0x6b],
      ...[2, 0, 0, 0, 0x76, 0x31],
    ]);
    expect([...encoded("DBSIZE")]).toEqual([78, 0, 0, 0, 0, 0]);
  });

  test("the ids, which never change and are never used again", () => {
    const ids = COMMANDS.filter((spec) => spec.kind === "read" || spec.kind === "write");
    const table = ids
      .map((spec) => `${spec.id} ${spec.name}`)
      .sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
    expect(table.join(", ")).toBe(
      "1 set, 2 get, 3 setnx, 4 getset, 5 getdel, 6 getex, 7 mget, 8 mset, 9 msetnx, 10 append, " +
        "11 strlen, 12 getrange, 13 substr, 14 setrange, 15 setex, 16 psetex, 20 incr, 21 decr, 22 incrby, 23 decrby, " +
        "24 incrbyfloat, 30 lcs, 50 setbit, 51 getbit, 52 bitcount, 53 bitpos, 54 bitop, " +
        "55 bitfield, 56 bitfield_ro, 70 del, 71 unlink, 72 exists, 73 touch, 74 type, 75 rename, " +
        "76 renamenx, 77 copy, 78 dbsize, 79 flushdb, 80 object, 81 randomkey, 90 keys, 91 scan, " +
        "100 ttl, 101 pttl, 102 expiretime, 103 pexpiretime, 104 persist, 105 expire, 106 pexpire, " +
        "107 expireat, 108 pexpireat, " +
        "130 hset, 131 hsetnx, 132 hmset, 133 hget, 134 hmget, 135 hgetall, 136 hdel, 137 hexists, " +
        "138 hlen, 139 hstrlen, 140 hkeys, 141 hvals, 142 hincrby, 143 hincrbyfloat, " +
        "144 hrandfield, 145 hscan, " +
        "150 sadd, 151 srem, 152 sismember, 153 smismember, 154 smembers, 155 scard, 156 spop, " +
        "157 srandmember, 158 smove, 159 sinter, 160 sintercard, 161 sinterstore, 162 sunion, " +
        "163 sunionstore, 164 sdiff, 165 sdiffstore, 166 sscan, " +
        "200 trefoil.read, 201 trefoil.range",
    );
  });

  test("is decoded to what it was", () => {
    const spec = lookupCommand(encodeUtf8("mget"))!;
    const args = fc.array(fc.uint8Array({ maxLength: 50 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(args, (rest) => {
        const decoded = decodeCommand(encodeCommand(spec, [encodeUtf8("MGET"), ...rest]));
        expect(decoded.spec).toBe(spec);
        expect(decoded.args.slice(1).map((arg) => toByteString(arg))).toEqual(
          rest.map((arg) => toByteString(arg)),
        );
      }),
    );
  });

  test("encoded into slabs it has the same bytes, and keeps them", () => {
    const encoder = new CommandEncoder();
    const spec = lookupCommand(encodeUtf8("SET"))!;
    const calls = Array.from({ length: 300 }, (_, i) =>
      words("SET", `key${i}`, "v".repeat((i * 37) % 5000)),
    );
    const slabbed = calls.map((args) => encoder.encode(spec, args));
    for (const [i, args] of calls.entries()) {
      expect(toByteString(slabbed[i]!)).toBe(toByteString(encodeCommand(spec, args)));
    }
  });

  test("cut off or lengthened anywhere, it is refused", () => {
    const whole = encoded("SET", "key", "value");
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => decodeCommand(whole.slice(0, length))).toThrow(FormatError);
    }
    expect(() => decodeCommand(Uint8Array.of(...whole, 0))).toThrow(FormatError);
    expect(() => decodeCommand(Uint8Array.of(0xff, 0xff, 0, 0, 0, 0))).toThrow(FormatError);
    expect(() => decodeCommand(Uint8Array.of(1, 0, 0, 0, 0, 0))).toThrow(FormatError);
  });

  test("hostile bytes throw nothing but FormatError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeCommand(bytes);
        } catch (failure) {
          expect(failure).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("the state machine", () => {
  test("applies writes and answers reads", () => {
    const state = new TestKeyspace();
    expect(apply(state, "SET", "k", "1")).toEqual(OK);
    expect(apply(state, "INCR", "k")).toEqual(integer(2));
    expect(state.read(encoded("GET", "k"))).toEqual(bulkText("2"));
    expect(state.read(encoded("GET", "none"))).toEqual(NULL);
    const row = Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x32);
    expect([...state.state.rows("", null)]).toEqual([["k", row]]);
  });

  test("a value does not pin the frame that it came in", () => {
    const state = new TestKeyspace();
    const frame = encoded("SET", "k", "value");
    state.apply(frame);
    expect(state.state.get("k")?.buffer).not.toBe(frame.buffer);
  });

  test("values of another kind are refused by what takes registers", () => {
    const state = new TestKeyspace();
    const wrongType = {
      kind: "error",
      code: "WRONGTYPE",
      message: "Operation against a key holding the wrong kind of value",
      outcome: null,
    };
    const row = new Uint8Array(VALUE_AT);
    row[0] = 2;
    state.state.begin(1, 0);
    state.state.set("c", row);
    state.state.commit();
    for (const call of [
      ["GETSET", "c", "1"],
      ["GETDEL", "c"],
      ["APPEND", "c", "1"],
      ["SETRANGE", "c", "0", "1"],
      ["INCR", "c"],
      ["INCRBYFLOAT", "c", "1"],
      ["SETBIT", "c", "0", "1"],
      ["BITFIELD", "c", "SET", "u8", "0", "1"],
      ["BITOP", "NOT", "d", "c"],
      ["SET", "c", "1", "GET"],
    ]) {
      expect(apply(state, ...call)).toEqual(wrongType);
      expect(state.changedBytes).toBe(0);
    }
    for (const call of [
      ["GET", "c"],
      ["STRLEN", "c"],
      ["GETRANGE", "c", "0", "1"],
      ["BITPOS", "c", "1"],
    ]) {
      expect(state.read(encoded(...call))).toEqual(wrongType);
    }
    expect(state.read(encoded("MGET", "c"))).toEqual({
      kind: "array",
      items: [NULL],
    });
    expect(state.read(encoded("TYPE", "c"))).toEqual({
      kind: "simple",
      text: "unknown",
    });
    expect(apply(state, "SET", "c", "1")).toEqual(OK);
  });

  test("a refusal has changed nothing, and no arguments make it throw", () => {
    const travelling = COMMANDS.flatMap((spec) =>
      spec.kind === "read" || spec.kind === "write" ? [spec] : [],
    );
    const arg = fc.oneof(
      fc.constantFrom(
        ...words("k", "n", "0", "1", "-1", "9223372036854775807", "GET", "SET", "u8"),
      ),
      fc.constantFrom(
        ...words(
          "h",
          "s",
          "WITHVALUES",
          "LIMIT",
          "#1",
          "NX",
          "XX",
          "AND",
          "NOT",
          "IDX",
          "BIT",
          "COUNT",
          "MATCH",
          "inf",
        ),
      ),
      fc.uint8Array({ maxLength: 12 }),
    );
    const args = fc.array(arg, { minLength: 1, maxLength: 8 });
    const state = new TestKeyspace();
    fc.assert(
      fc.property(fc.constantFrom(...travelling), args, (spec, rest) => {
        const all = [encodeUtf8(spec.name), ...rest];
        const isAllowed = spec.arity >= 0 ? all.length === spec.arity : all.length >= -spec.arity;
        if (!isAllowed && spec.toWire === undefined) return;
        state.changedBytes = 0;
        const command = encodeCommand(spec, all);
        // What the edge would have refused may still come from a log: it must not stop the node.
        const reply = spec.kind === "write" ? state.apply(command) : state.read(command);
        if (reply.kind === "error" || spec.kind === "read") expect(state.changedBytes).toBe(0);
      }),
      { numRuns: 3000 },
    );
  });

  test("what the edge refuses, apply refuses in the same words", () => {
    const calls = [
      ["SET", "k", "v", "NX", "XX"],
      ["SET", "k", "v", "EX", "0"],
      ["EXPIRE", "k", "1", "NX", "GT"],
      ["INCRBY", "k", "x"],
      ["SETRANGE", "k", "-1", "x"],
      ["MSET", "a", "1", "b"],
      ["BITOP", "FOO", "d", "a"],
      ["BITFIELD", "k", "GET", "u64", "0"],
      ["COPY", "a", "a"],
      ["FLUSHDB", "NOW"],
      ["HSET", "h", "f", "v", "g"],
      ["HINCRBY", "h", "f", "x"],
      ["HINCRBYFLOAT", "h", "f", "inf"],
    ];
    for (const call of calls) {
      const args = words(...call);
      const refused = checkCall(lookupCommand(args[0]!), args);
      expect(refused?.kind).toBe("error");
      expect(apply(new TestKeyspace(), ...call)).toEqual(refused);
    }
  });
});
