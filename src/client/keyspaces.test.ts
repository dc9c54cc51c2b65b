import { describe, expect, test } from "vitest";
import { decodeRegister, encodeRegister, keyBytes } from "./codec.ts";
import { parseUrl } from "./database.ts";
import type { StoredValue } from "./engine.ts";
import { isTrefoilError, TrefoilError } from "./errors.ts";
import {
  bytes,
  defineKeyspaces,
  json,
  leaderless,
  singleLeader,
  text,
  type ValueType,
} from "./keyspaces.ts";
import type { StandardSchema } from "./standard-schema.ts";

const Positive: StandardSchema<number | string, number> = {
  "~standard": {
    version: 1,
    vendor: "test",
    async validate(value) {
      const number = Number(value);
      if (number > 0) return { value: number };
      return { issues: [{ message: "must be positive", path: ["a", { key: 0 }] }] };
    },
  },
};

describe("definitions", () => {
  test("are data", () => {
    expect(singleLeader()).toEqual({
      model: "singleLeader",
      value: { kind: "any" },
      version: 1,
      options: {},
    });
    expect(singleLeader({ schema: Positive, version: 3 })).toMatchObject({
      value: { kind: "json", schema: Positive },
      version: 3,
    });
    expect(leaderless({ w: 1 }).options).toEqual({ n: 3, r: "quorum", w: 1, sloppy: false });
  });

  test.each(["close", "session", "then", "Big", "1st", "", "x".repeat(64)])(
    "a keyspace cannot be named %j",
    (name) => {
      const define = () => defineKeyspaces({ [name]: singleLeader() });
      expect(define).toThrowError(expect.objectContaining({ code: "BAD_VALUE" }));
    },
  );

  test("a version is a whole number", () => {
    expect(() => singleLeader({ version: 0 })).toThrow("at least 1");
  });
});

describe("registers", () => {
  async function trip(declared: ValueType, value: unknown): Promise<unknown> {
    const encoded = await encodeRegister(declared, value);
    return decodeRegister(declared, { ...encoded, version: 1 });
  }

  test("come back as what they were given as", async () => {
    const any = singleLeader().value;
    for (const value of ["text", Uint8Array.of(0xff, 0), { a: [1] }, 5, null, true]) {
      expect(await trip(any, value)).toEqual(value);
    }
    expect(await trip(text(), "Grüße 🌍")).toBe("Grüße 🌍");
    expect(await trip(bytes(), Uint8Array.of(1))).toEqual(Uint8Array.of(1));
    expect(await trip(json(Positive), "7")).toBe(7);
  });

  test.each([
    ["a number as text", text(), 5, "BAD_VALUE", "takes a string"],
    ["text as bytes", bytes(), "x", "BAD_VALUE", "takes a Uint8Array"],
    ["half a character", text(), "\ud800", "BAD_VALUE", "half of a character"],
    ["what no schema takes", json(Positive), -1, "SCHEMA", "a.0: must be positive"],
    ["what JSON cannot hold", json(), { a: 1n }, "BAD_VALUE", "bigint"],
  ])("%s is refused before it is sent", async (_name, declared, value, code, message) => {
    const failure: unknown = await encodeRegister(declared, value).catch((error) => error);
    expect(isTrefoilError(failure, code)).toBe(true);
    expect(failure).toMatchObject({
      outcome: "not-applied",
      message: expect.stringContaining(message),
    });
  });

  test("what a client without the schema wrote is checked when it is read", async () => {
    const stored = (content: string): StoredValue => {
      return { type: "text", bytes: new TextEncoder().encode(content), version: 1 };
    };
    expect(await decodeRegister(json(Positive), stored("5"))).toBe(5);
    await expect(decodeRegister(json(Positive), stored("-5"))).rejects.toThrow("must be positive");
    await expect(decodeRegister(json(Positive), stored("{"))).rejects.toThrow("not JSON");
    const set: StoredValue = { type: "set", members: [], version: 1 };
    await expect(decodeRegister(text(), set)).rejects.toMatchObject({ code: "WRONGTYPE" });
  });

  test("keys are strings, compared as their UTF-8", () => {
    expect(keyBytes("ä")).toBe("\xc3\xa4");
    expect(() => keyBytes("\udc00")).toThrow("half of a character");
    expect(keyBytes("\u{ff5e}") < keyBytes("🌍")).toBe(true);
  });
});

describe("errors", () => {
  test("have the outcome that their code stands for, or their own", () => {
    expect(new TrefoilError("NOLEADER", "")).toMatchObject({
      outcome: "not-applied",
      retryable: true,
    });
    expect(new TrefoilError("TIMEOUT", "")).toMatchObject({ outcome: "unknown", retryable: false });
    expect(new TrefoilError("WRONGTYPE", "")).toMatchObject({ outcome: "not-applied" });
    const unknown = new TrefoilError("BUSY", "", { outcome: "unknown" });
    expect(unknown).toMatchObject({ outcome: "unknown", retryable: false });
    expect([isTrefoilError(unknown), isTrefoilError(unknown, "BUSY")]).toEqual([true, true]);
    expect([isTrefoilError(unknown, "LIMIT"), isTrefoilError(new Error("x"))]).toEqual([
      false,
      false,
    ]);
  });
});

describe("URLs", () => {
  test.each([
    ["trefoil://h:1", [{ host: "h", port: 1 }]],
    [
      "redis://a,b:2/",
      [
        { host: "a", port: 7001 },
        { host: "b", port: 2 },
      ],
    ],
    ["trefoil://[::1]:7", [{ host: "::1", port: 7 }]],
  ])("%s", (url, endpoints) => {
    expect(parseUrl(url)).toEqual(endpoints);
  });

  test.each([
    "h:1",
    "trefoil://",
    "trefoil://h:0",
    "trefoil://h:99999",
    "trefoil://u:p@h:1",
    "http://h",
  ])("%s is refused", (url) => {
    expect(() => parseUrl(url)).toThrow("names no nodes");
  });
});
