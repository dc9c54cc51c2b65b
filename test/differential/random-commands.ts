import { Prng } from "../../src/core/base/prng.ts";
import type { Step } from "./cases.ts";

const KEYS = ["a", "b", "c", "d{x}", ""];
/** Keys that mostly hold a hash or a set, and sometimes what RENAME, COPY or SET made of them. */
const HASH_KEYS = ["h", "i", "h", "i", "a", "s"];
const SET_KEYS = ["s", "t", "u", "s", "t", "b", "h"];
const ALL_KEYS = [...KEYS, "h", "i", "s", "t", "u"];
const FIELDS = ["f", "g", "", "10", "-3", "field"];
const MEMBERS = ["m", "n", "", "1", "2", "3", "40", "-7", "007", "member"];
/**
 * Their sums are exact in a long double, however they are added, so that Redis prints what is
 * exact: few binary digits after the point.
 */
const FLOATS = ["0.5", "-0.25", "10", "3.0e2", "-7.125", ".75", "1e3", "2.", "abc", "-0", "1e-2x"];
const INTEGERS = [
  ...["0", "1", "-1", "7", "100", "-100", "2147483648", "9007199254740993", "abc", "", "1.5", "-0"],
  ...["9223372036854775807", "-9223372036854775808", "9223372036854775808"],
];
const SMALL = ["0", "1", "2", "5", "7", "8", "12", "-1", "-3", "-7", "20", "x"];
const WORDS = ["NX", "XX", "GET", "nx", "BOGUS"];
const PATTERNS = ["*", "?", "[ab]", "[^a]", "d*", "*x*", "\\a", "b*d", "[a-c]"];

const STORES = ["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"];

type Choice = readonly [Step["compare"], () => readonly (string | Uint8Array)[]];

/**
 * Seeded sequences of commands over few keys, so that they meet; the same seed, the same commands.
 */
export class RandomCommands {
  readonly #prng: Prng;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
  }

  sequence(length: number): Step[] {
    return Array.from({ length }, () => this.#step());
  }

  #step(): Step {
    const [words, compare] = this.#command();
    const args = words.map((word) =>
      typeof word === "string" ? new TextEncoder().encode(word) : word,
    );
    return { args, compare };
  }

  #command(): readonly [(string | Uint8Array)[], Step["compare"]] {
    const prng = this.#prng;
    const key = () => prng.pick(KEYS);
    const any = () => prng.pick(ALL_KEYS);
    const small = () => prng.pick(SMALL);
    const several = <T>(make: () => T) => Array.from({ length: prng.between(1, 3) }, make);
    if (prng.chance(1, 2)) return this.#collectionCommand(several);
    const choices: (() => readonly (string | Uint8Array)[])[] = [
      () => ["SET", key(), this.#value()],
      () => ["SET", key(), this.#value(), ...several(() => prng.pick(WORDS))],
      () => ["SETNX", key(), this.#value()],
      () => ["GETSET", key(), this.#value()],
      () => ["GETDEL", key()],
      () => ["GET", key()],
      () => ["MGET", ...several(key)],
      () => ["MSET", ...several(() => [key(), this.#value()]).flat()],
      () => ["MSETNX", ...several(() => [key(), this.#value()]).flat()],
      () => ["APPEND", key(), this.#value()],
      () => ["STRLEN", key()],
      () => ["GETRANGE", key(), small(), small()],
      () => ["SETRANGE", key(), small(), this.#value()],
      () => [prng.pick(["INCR", "DECR"]), key()],
      () => [prng.pick(["INCRBY", "DECRBY"]), key(), prng.pick(INTEGERS)],
      () => ["SET", key(), prng.pick(INTEGERS)],
      // Only on keys of its own: a value of many digits would be rounded by Redis, and not by us.
      () => ["INCRBYFLOAT", "float", prng.pick(FLOATS)],
      () => ["LCS", key(), key(), ...several(() => prng.pick(["LEN", "IDX", "WITHMATCHLEN"]))],
      () => ["SETBIT", key(), small(), prng.pick(["0", "1", "2"])],
      () => ["GETBIT", key(), small()],
      () => ["BITCOUNT", key(), small(), small(), prng.pick(["BIT", "BYTE", "x"])],
      () => ["BITPOS", key(), prng.pick(["0", "1"]), small(), small(), prng.pick(["BIT", "BYTE"])],
      () => ["BITOP", prng.pick(["AND", "OR", "XOR", "NOT"]), key(), ...several(key)],
      () => ["BITFIELD", key(), ...several(() => this.#field()).flat()],
      () => [prng.pick(["DEL", "UNLINK", "EXISTS", "TOUCH"]), ...several(any)],
      () => ["TYPE", any()],
      () => [prng.pick(["RENAME", "RENAMENX"]), any(), any()],
      () => ["COPY", any(), any(), ...prng.pick([[], ["REPLACE"]])],
      () => ["EXPIREAT", any(), prng.pick(["33000000000", "34000000000"])],
      () => [prng.pick(["EXPIRETIME", "PERSIST"]), any()],
      () => ["DBSIZE"],
      () => ["KEYS", prng.pick(PATTERNS)],
      () => ["SCAN", "0", "MATCH", prng.pick(PATTERNS), "COUNT", "1000"],
    ];
    const words = [...prng.pick(choices)()];
    const isUnordered = words[0] === "KEYS" || words[0] === "SCAN";
    return [words, isUnordered ? "sorted" : "bytes"];
  }

  #collectionCommand(
    several: (make: () => string) => string[],
  ): readonly [(string | Uint8Array)[], Step["compare"]] {
    const prng = this.#prng;
    const choices = prng.chance(1, 2) ? this.#hashChoices(several) : this.#setChoices(several);
    const [compare, make] = prng.pick(choices);
    return [[...make()], compare];
  }

  #hashChoices(several: (make: () => string) => string[]): readonly Choice[] {
    const prng = this.#prng;
    const key = () => prng.pick(HASH_KEYS);
    const field = () => prng.pick(FIELDS);
    const value = () => this.#value();
    const pairs = () => several(field).flatMap((name) => [name, value()]);
    return [
      ["bytes", () => ["HSET", key(), ...pairs()]],
      ["bytes", () => ["HSET", key(), ...pairs()]],
      ["bytes", () => ["HMSET", key(), ...pairs()]],
      ["bytes", () => ["HSETNX", key(), field(), value()]],
      ["bytes", () => [prng.pick(["HGET", "HEXISTS", "HSTRLEN"]), key(), field()]],
      ["bytes", () => ["HMGET", key(), ...several(field)]],
      ["pairs", () => ["HGETALL", key()]],
      ["sorted", () => [prng.pick(["HKEYS", "HVALS"]), key()]],
      ["bytes", () => ["HLEN", key()]],
      ["bytes", () => ["HDEL", key(), ...several(field)]],
      ["bytes", () => ["HINCRBY", key(), field(), prng.pick(INTEGERS)]],
      ["bytes", () => ["HINCRBYFLOAT", "floats", field(), prng.pick(FLOATS)]],
      ["sorted", () => ["HRANDFIELD", key(), "100"]],
      ["pairs", () => ["HRANDFIELD", key(), "100", "WITHVALUES"]],
      ["pairs", () => ["HSCAN", key(), "0", "MATCH", prng.pick(PATTERNS), "COUNT", "1000"]],
    ];
  }

  #setChoices(several: (make: () => string) => string[]): readonly Choice[] {
    const prng = this.#prng;
    const key = () => prng.pick(SET_KEYS);
    const member = () => prng.pick(MEMBERS);
    const limit = () => prng.pick([[], ["LIMIT", prng.pick(SMALL)]]);
    return [
      ["bytes", () => ["SADD", key(), ...several(member)]],
      ["bytes", () => ["SADD", key(), ...several(member)]],
      ["bytes", () => ["SREM", key(), ...several(member)]],
      ["bytes", () => ["SISMEMBER", key(), member()]],
      ["bytes", () => ["SMISMEMBER", key(), ...several(member)]],
      ["bytes", () => ["SCARD", key()]],
      ["sorted", () => ["SMEMBERS", key()]],
      ["sorted", () => ["SPOP", key(), "100"]],
      ["sorted", () => ["SRANDMEMBER", key(), "100"]],
      ["bytes", () => ["SMOVE", key(), key(), member()]],
      ["sorted", () => [prng.pick(["SINTER", "SUNION", "SDIFF"]), ...several(key)]],
      ["bytes", () => ["SINTERCARD", prng.pick(["1", "2", "x"]), key(), key(), ...limit()]],
      ["bytes", () => [prng.pick(STORES), key(), ...several(key)]],
      ["bytes", () => [prng.pick(STORES), key(), ...several(key)]],
      ["sorted", () => ["SSCAN", key(), "0", "MATCH", prng.pick(PATTERNS), "COUNT", "1000"]],
    ];
  }

  #field(): string[] {
    const prng = this.#prng;
    const sign = prng.pick(["i", "u"]);
    const type = `${sign}${prng.between(1, 64)}`;
    const offset = prng.pick(["0", "3", "#1", "17", "#0"]);
    const overflow = prng.pick([[], ["OVERFLOW", prng.pick(["WRAP", "SAT", "FAIL"])]]);
    const operand = prng.pick(INTEGERS);
    return prng.pick([
      ["GET", type, offset],
      [...overflow, "SET", type, offset, operand],
      [...overflow, "INCRBY", type, offset, operand],
    ]);
  }

  #value(): string | Uint8Array {
    const prng = this.#prng;
    if (prng.chance(1, 4)) return prng.pick(INTEGERS);
    if (prng.chance(1, 4)) {
      return Uint8Array.from({ length: prng.below(6) }, () => prng.below(256));
    }
    return "abcdefg".slice(prng.below(4), prng.between(4, 7));
  }
}
