import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  DataDirectoryError,
  formatDirectory,
  type Identity,
  lockDirectory,
  readIdentity,
} from "../../src/host/disk/data-directory.ts";

const IDENTITY: Identity = {
  cluster: "c0ffee",
  node: "n1",
  incarnation: "0123456789abcdef",
  members: [
    { node: "n1", incarnation: "0123456789abcdef" },
    { node: "n2", incarnation: "fedcba9876543210" },
  ],
};

const directories: string[] = [];
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const directory of directories.splice(0)) fs.rmSync(directory, { recursive: true });
});

function temporary(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "trefoil-directory-"));
  directories.push(directory);
  return directory;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof DataDirectoryError) return error.code;
    throw error;
  }
  return "none";
}

describe("a data directory", () => {
  it("keeps its identity, for its owner only", () => {
    const directory = path.join(temporary(), "deep", "data");
    formatDirectory(directory, IDENTITY);
    expect(readIdentity(directory)).toEqual(IDENTITY);
    expect(fs.statSync(directory).mode & 0o777).toBe(0o700);
    expect(fs.statSync(path.join(directory, "identity.json")).mode & 0o777).toBe(0o600);
    expect(fs.readdirSync(directory)).toEqual(["identity.json"]);
  });

  it("is formatted only once", () => {
    const directory = temporary();
    formatDirectory(directory, IDENTITY);
    expect(codeOf(() => formatDirectory(directory, IDENTITY))).toBe("ALREADY_FORMATTED");
  });

  it("never stands in for a member's when it is empty or missing (GEN3)", () => {
    const directory = temporary();
    expect(codeOf(() => readIdentity(directory))).toBe("NOT_FORMATTED");
    expect(codeOf(() => readIdentity(path.join(directory, "missing")))).toBe("NOT_FORMATTED");
    expect(() => readIdentity(directory)).toThrow("joins as a new member");
  });

  it("is left alone when it holds something else", () => {
    const directory = temporary();
    fs.writeFileSync(path.join(directory, "thesis.txt"), "mine");
    expect(codeOf(() => formatDirectory(directory, IDENTITY))).toBe("FOREIGN");
    expect(codeOf(() => readIdentity(directory))).toBe("FOREIGN");
    expect(fs.readdirSync(directory)).toEqual(["thesis.txt"]);
  });

  it("can be formatted after a format that was interrupted", () => {
    const directory = temporary();
    fs.writeFileSync(path.join(directory, "identity.json.tmp"), '{"version":1,"clus');
    expect(codeOf(() => readIdentity(directory))).toBe("NOT_FORMATTED");
    formatDirectory(directory, IDENTITY);
    expect(readIdentity(directory)).toEqual(IDENTITY);
  });

  it.each([
    ["half a file", '{"version":1,"clus'],
    ["another version", JSON.stringify({ ...IDENTITY, version: 2 })],
    ["no incarnation", JSON.stringify({ ...IDENTITY, version: 1, incarnation: "1" })],
    ["a member without a name", JSON.stringify({ ...IDENTITY, version: 1, members: [{}] })],
    ["no object", "null"],
  ])("says so when its identity is damaged: %s", (_, text) => {
    const directory = temporary();
    fs.writeFileSync(path.join(directory, "identity.json"), text);
    expect(codeOf(() => readIdentity(directory))).toBe("DAMAGED");
  });
});

describe("the lock of a data directory (S8)", () => {
  it("keeps a second user off, names the first, and is free again once released", async () => {
    const directory = temporary();
    const lock = await lockDirectory(directory);
    const alias = path.join(temporary(), "alias");
    fs.symlinkSync(directory, alias);
    for (const name of [directory, alias]) {
      await expect(lockDirectory(name)).rejects.toMatchObject({
        code: "LOCKED",
        message: expect.stringContaining(`process ${process.pid}`),
      });
    }
    await lock.release();
    await (await lockDirectory(directory)).release();
  });

  it("does not keep off the user of another directory", async () => {
    const first = await lockDirectory(temporary());
    const second = await lockDirectory(temporary());
    await first.release();
    await second.release();
  });

  it.skipIf(process.platform !== "linux")(
    "is held by another process while it lives, and free the moment it is killed",
    async () => {
      const directory = temporary();
      const child = await holder(directory);
      await expect(lockDirectory(directory)).rejects.toMatchObject({
        code: "LOCKED",
        message: expect.stringContaining(`process ${child.pid}`),
      });
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      expect(fs.existsSync(path.join(directory, "lock"))).toBe(true);
      const lock = await lockDirectory(directory);
      await lock.release();
    },
  );

  it("lets exactly one of many in at a time", async () => {
    const directory = temporary();
    const attempts = await Promise.allSettled(
      Array.from({ length: 8 }, () => lockDirectory(directory)),
    );
    const locks = attempts.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(locks).toHaveLength(1);
    await locks[0]?.release();
  });
});

/** A process that holds the lock the way `lockDirectory` does, ready when this resolves. */
async function holder(directory: string): Promise<ChildProcess> {
  const code = `
    const fs = require("node:fs");
    const { dev, ino } = fs.statSync(process.argv[1], { bigint: true });
    fs.writeFileSync(process.argv[1] + "/lock", process.pid + "\\n");
    const address = "\\0trefoil-" + dev + "-" + ino;
    require("node:net").createServer().listen(address, () => console.log("ready"));
  `;
  const child = spawn(process.execPath, ["-e", code, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  await once(child.stdout!, "data");
  return child;
}
