import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { encodeUtf8 } from "../src/core/base/bytes.ts";
import { KeyspaceState } from "../src/core/replication/single-leader/keyspace-state.ts";
import { lockDirectory } from "../src/host/disk/data-directory.ts";
import { InProcessTarget } from "./differential/targets.ts";

/** Set while integers of 64 bits go through a number (S9). */
const narrowing = vi.hoisted(() => ({ isPlanted: false }));

vi.mock("../src/core/commands/arguments.ts", async (original) => {
  const real = await original<typeof import("../src/core/commands/arguments.ts")>();
  return {
    ...real,
    parseI64: (...args: Parameters<typeof real.parseI64>) => {
      const value = real.parseI64(...args);
      return narrowing.isPlanted && value !== null ? Number(value) : value;
    },
  };
});

afterEach(() => {
  narrowing.isPlanted = false;
  vi.restoreAllMocks();
});

/**
 * Mistakes of docs/mutants.md that are planted by replacing a part. What is asked holds, and does
 * not hold any more once the part is replaced.
 */
describe("planted by a test", () => {
  test("L43: half of a transaction stays when it is broken off", () => {
    const isWhole = () => {
      const target = new InProcessTarget();
      const ask = (...words: string[]) => target.execute(words.map(encodeUtf8));
      ask("SET", "word", "abc");
      const commit = ["TREFOIL.COMMIT", "COMMANDS", "2", "3", "SET", "a", "1", "2", "INCR", "word"];
      expect(ask(...commit).kind).toBe("error");
      return ask("GET", "a").kind === "null";
    };
    expect(isWhole()).toBe(true);
    keepHalves();
    expect(isWhole()).toBe(false);
  });

  test("S8: nothing keeps a second process off a data directory", async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "trefoil-planted-"));
    const isExclusive = async () => {
      const first = await lockDirectory(directory);
      const second = await lockDirectory(directory).catch(() => null);
      await second?.release();
      await first.release();
      return second === null;
    };
    try {
      expect(await isExclusive()).toBe(true);
      lockNothing();
      expect(await isExclusive()).toBe(false);
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  });

  test("S9: a 64-bit integer goes through a number", () => {
    const isExact = () => {
      const target = new InProcessTarget();
      target.execute(["SET", "n", "9007199254740993"].map(encodeUtf8));
      const reply = target.execute(["INCR", "n"].map(encodeUtf8));
      return reply.kind === "integer" && BigInt(reply.value) === 9_007_199_254_740_994n;
    };
    expect(isExact()).toBe(true);
    narrowing.isPlanted = true;
    expect(isExact()).toBe(false);
  });
});

type Method = (...args: never) => unknown;

/** The method as it is before it is replaced; called with a `this`. */
function bareMethod(prototype: object, name: string): Method {
  return Reflect.get(prototype, name) as Method;
}

/** What is to be undone is kept. */
function keepHalves(): void {
  const rollBack = bareMethod(KeyspaceState.prototype, "rollBack");
  let isCommitting = false;
  vi.spyOn(KeyspaceState.prototype, "rollBack").mockImplementation(function (this: KeyspaceState) {
    if (isCommitting) {
      Reflect.apply(rollBack, this, []);
      return;
    }
    isCommitting = true;
    this.commit();
    isCommitting = false;
  });
}

/** Every lock is at an address of its own. */
function lockNothing(): void {
  const listen = bareMethod(net.Server.prototype, "listen");
  vi.spyOn(net.Server.prototype, "listen").mockImplementation(function (
    this: net.Server,
    ...args: unknown[]
  ) {
    const rest = args.filter((arg) => typeof arg === "function");
    return Reflect.apply(listen, this, [0, "127.0.0.1", ...rest]) as net.Server;
  });
}
