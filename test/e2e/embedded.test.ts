import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freeAddresses } from "../../src/cli/free-ports.ts";
import {
  connect,
  counter,
  defineKeyspaces,
  multiLeader,
  singleLeader,
} from "../../src/client/index.ts";
import { TrefoilEngine } from "../../src/client/trefoil-engine.ts";
import { LocalChannel } from "../../src/embedded/local-channel.ts";
import { open } from "../../src/embedded/open.ts";
import { mergeConfig } from "../../src/host/config.ts";
import { silentLogger } from "../../src/host/logger.ts";
import { type RunningServer, startServer } from "../../src/host/serve.ts";
import { ENGINE_CASES } from "../../src/testing/engine-conformance.ts";

const keyspaces = defineKeyspaces({ default: singleLeader() });
const folders: string[] = [];

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), "trefoil-embedded-"));
  folders.push(folder);
  return folder;
}

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe("our engine within the process", { timeout: 30_000 }, () => {
  let server: RunningServer;
  let engine: TrefoilEngine;

  beforeAll(async () => {
    const nowhere = { host: "127.0.0.1", port: 0 };
    const addresses = { resp: nowhere, http: nowhere, peer: nowhere };
    const config = mergeConfig({
      dir: "memory",
      ...addresses,
      nodes: [{ id: "n1", ...addresses }],
    });
    const incarnation = "0123456789abcdef";
    const memory = {
      cluster: "c",
      node: "n1",
      incarnation,
      members: [{ node: "n1", incarnation }],
    };
    const listen = { resp: false, http: false, peer: false };
    server = await startServer(config, silentLogger(), { listen, memory });
    engine = new TrefoilEngine(() => new LocalChannel(server.connect(), "default"), 10_000);
  });

  afterAll(async () => {
    await engine?.close();
    await server?.stop();
  });

  for (const one of ENGINE_CASES) {
    const { title, of } = one;
    test(title, async ({ skip }) => {
      skip(of !== undefined && !engine.capabilities[of], `the engine has no ${of}`);
      await one.run(engine);
    });
  }
});

describe("open", { timeout: 30_000 }, () => {
  test("in memory, nothing outlives it, and no file is written", async () => {
    const first = await open({ keyspaces });
    await first.default.set("k", "v");
    expect(await first.default.get("k")).toBe("v");
    await first.close();
    await expect(first.default.get("k")).rejects.toMatchObject({ code: "CLOSED" });
    await using second = await open({ keyspaces });
    expect(await second.default.get("k")).toBeNull();
  });

  test("in a directory, what was written is there again, and only one process has it", async () => {
    const dir = join(temporary(), "data");
    {
      await using db = await open({ dir, keyspaces });
      await db.default.set("k", { a: 1 });
      await expect(open({ dir, keyspaces })).rejects.toMatchObject({
        code: "CANNOT_OPEN",
        outcome: "not-applied",
      });
    }
    await using db = await open({ dir, keyspaces });
    expect(await db.default.get("k")).toEqual({ a: 1 });
  });

  test("a process that is killed loses nothing that it was told is written", async () => {
    const folder = temporary();
    const dir = join(folder, "data");
    const entry = pathToFileURL(join(import.meta.dirname, "../../dist/embedded/index.js")).href;
    const script = join(folder, "writer.mjs");
    writeFileSync(
      script,
      `import { open, defineKeyspaces, singleLeader } from ${JSON.stringify(entry)};
       const keyspaces = defineKeyspaces({ default: singleLeader() });
       const db = await open({ dir: ${JSON.stringify(dir)}, keyspaces });
       for (let i = 0; ; i += 1) {
         await db.default.asCounter("n").increment();
         process.stdout.write(i + 1 + "\\n");
       }`,
    );
    const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    let written = "";
    child.stdout.on("data", (chunk) => {
      written += String(chunk);
      if (written.split("\n").length > 50) child.kill("SIGKILL");
    });
    await once(child, "close");
    const acknowledged = Number(written.trimEnd().split("\n").at(-1));
    await using db = await open({ dir, keyspaces });
    const found = await db.default.asCounter("n").get();
    expect(found === acknowledged || found === acknowledged + 1).toBe(true);
  });

  test("keyspaces are made, kept apart, and checked against what was declared", async () => {
    const dir = join(temporary(), "data");
    const two = defineKeyspaces({
      ledger: singleLeader({ version: 2 }),
      hits: singleLeader({ value: counter() }),
    });
    {
      await using db = await open({ dir, keyspaces: two });
      await Promise.all([db.ledger.set("k", { a: 1 }), db.hits.increment("k", 7)]);
      expect([await db.ledger.get("k"), await db.hits.get("k")]).toEqual([{ a: 1 }, 7]);
    }
    const older = defineKeyspaces({ ledger: singleLeader({ version: 1 }) });
    await expect(open({ dir, keyspaces: older })).rejects.toMatchObject({
      code: "KEYSPACE_MISMATCH",
      outcome: "not-applied",
    });
    const newer = defineKeyspaces({ ledger: singleLeader({ version: 3 }), ...{ hits: two.hits } });
    await using db = await open({ dir, keyspaces: newer });
    expect([await db.ledger.get("k"), await db.hits.get("k")]).toEqual([{ a: 1 }, 7]);
    const later = defineKeyspaces({ board: multiLeader() });
    await expect(open({ keyspaces: later })).rejects.toMatchObject({ code: "MODEL" });
  });

  test("a transaction's range has its own writes in it, up to its limit", async () => {
    await using db = await open({ keyspaces });
    for (const key of ["a", "b", "c", "d"]) await db.default.set(key, key);
    const found = await db.default.transaction(async (tx) => {
      tx.delete("a");
      tx.set("aa", "new");
      tx.set("z", "new");
      const few = await tx.range({ limit: 2 });
      const all = await tx.range({});
      return [few, all].map((rows) => rows.map(([key]) => key).join(" "));
    });
    expect(found).toEqual(["aa b", "aa b c d z"]);
    const less = await db.default.transaction(async (tx) => {
      for (const key of ["aa", "b"]) tx.delete(key);
      return (await tx.range({ limit: 2 })).map(([key]) => key);
    });
    expect(less).toEqual(["c", "d"]);
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      const refused = db.default.transaction((tx) => tx.range({ limit }));
      await expect(refused).rejects.toMatchObject({ code: "BAD_VALUE" });
    }
    const ttlMs = 0;
    const refused = db.default.transaction(async (tx) => tx.set("a", "b", { ttlMs }));
    await expect(refused).rejects.toMatchObject({ code: "BAD_VALUE", outcome: "not-applied" });
  });

  test("serves others where it listens, and a keyspace of counters is one", async () => {
    const counters = defineKeyspaces({ default: singleLeader({ value: counter() }) });
    const [addresses] = await freeAddresses(1);
    const { host, port } = addresses!.resp;
    await using db = await open({ keyspaces: counters, listen: { resp: `${host}:${port}` } });
    expect(await db.default.increment("n", 5)).toBe(5);
    await using other = await connect(`trefoil://${host}:${port}`, { keyspaces: counters });
    expect(await other.default.increment("n")).toBe(6);
    const missing = defineKeyspaces({ missing: singleLeader() });
    const url = `trefoil://${host}:${port}`;
    await expect(connect(url, { keyspaces: missing })).rejects.toMatchObject({
      code: "NOKEYSPACE",
    });
    await using made = await connect(url, { keyspaces: missing, create: true });
    await made.missing.set("k", "v");
    expect(await made.missing.get("k")).toBe("v");
    expect(await db.default.get("n")).toBe(6);
    expect(await other.default.delete("n")).toBe(true);
    await other.default.set("n", 2n ** 60n);
    await expect(other.default.get("n")).rejects.toMatchObject({ code: "NUMBER_OVERFLOW" });
    expect(await other.default.getBigInt("n")).toBe(2n ** 60n);
    const { value, meta } = await other.default.withMeta().decrement("n", 2n ** 60n);
    expect([value, meta.durable, meta.node]).toEqual([0, 1, "n1"]);
  });

  test("a feed tells every change with its value, and goes on from a token", async () => {
    await using db = await open({ keyspaces });
    const end = new AbortController();
    const feed = db.default.changes({ signal: end.signal })[Symbol.asyncIterator]();
    const first = feed.next();
    await db.default.set("a", { n: 1 });
    expect((await first).value).toMatchObject({ kind: "set", key: "a", value: { n: 1 } });
    await db.default.transaction(async (tx) => {
      tx.set("b", "x");
      tx.delete("a");
    });
    await db.default.asSet("s").add("m");
    const rest = [await feed.next(), await feed.next(), await feed.next()].map(
      ({ value }) => value,
    );
    expect(rest).toMatchObject([
      { kind: "set", key: "b", value: "x" },
      { kind: "delete", key: "a" },
      { kind: "fields", key: "s" },
    ]);
    // From within a transaction, all of it comes again.
    const again = db.default.changes({ after: rest[0].token, prefix: "b" });
    for await (const change of again) {
      expect(change).toMatchObject({ kind: "set", key: "b", value: "x" });
      break;
    }
    end.abort();
    expect((await feed.next()).done).toBe(true);
    const bad = db.default.changes({ after: "nonsense" })[Symbol.asyncIterator]();
    await expect(bad.next()).rejects.toMatchObject({ code: "BAD_VALUE" });
  });

  test.each([
    [{ listen: { resp: "nonsense" } }, "listen.resp is to be host:port"],
    [{ listen: { resp: "0.0.0.0:7001" } }, "may listen on 127.0.0.1"],
    [{ peers: [{ id: "n2", peer: "127.0.0.1:1" }] }, "needs dir and listen.peer"],
  ])("%j is refused, and says what to do", async (options, message) => {
    const failure: unknown = await open({ keyspaces, ...options }).catch((error) => error);
    expect(failure).toMatchObject({
      code: "CANNOT_OPEN",
      message: expect.stringContaining(message),
    });
  });
});
