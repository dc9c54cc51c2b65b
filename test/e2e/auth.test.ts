import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { connect } from "../../src/client/database.ts";
import { defineKeyspaces, singleLeader, text } from "../../src/client/keyspaces.ts";
import { RespClient, RespClientError } from "../../src/client/resp-client.ts";
import { LIMITS } from "../../src/core/commands/limits.ts";
import type { Reply } from "../../src/core/contract/reply.ts";
import { formatAddress } from "../../src/host/address.ts";
import { EXIT } from "../../src/host/exit-codes.ts";
import { ENTRY, TestCluster } from "./cluster.ts";
import { SteadyLoad } from "./load.ts";

const PASSWORD = "canary-7f3a with spaces";
const GUESS = "guess-9d1c";

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ password: PASSWORD });
}, 60_000);

afterAll(async () => {
  await cluster?.close();
}, 30_000);

function address(id = "n1") {
  return cluster.addresses(id).resp;
}

function shownError(reply: Reply): string {
  return reply.kind === "error" ? `${reply.code} ${reply.message}` : JSON.stringify(reply);
}

async function failureOf(promise: Promise<unknown>): Promise<RespClientError> {
  const failure = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(failure).toBeInstanceOf(RespClientError);
  return failure as RespClientError;
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `trefoil …` beside the cluster's data. */
function trefoil(args: readonly string[], env: Record<string, string> = {}, input = "") {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    cwd: cluster.folder,
    env: { ...process.env, ...env },
  });
  const parts = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    parts.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    parts.err += chunk;
  });
  child.stdin.end(input);
  return new Promise<Ended>((resolve) => {
    child.once("close", (code) => resolve({ code, ...parts }));
  });
}

describe("a cluster with a password", { timeout: 120_000 }, () => {
  test("our client authenticates, on every node, and says why it was not let in", async () => {
    for (const id of cluster.ids) {
      const client = await cluster.client(id);
      expect(await client.call("SET", `from:${id}`, "1")).toMatchObject({ text: "OK" });
    }
    const none = await failureOf(RespClient.connect(address()));
    expect([none.kind, none.outcome, none.message.slice(0, 10)]).toEqual([
      "auth",
      "not-applied",
      "NOAUTH HEL",
    ]);
    const wrong = await failureOf(RespClient.connect({ ...address(), password: GUESS }));
    expect([wrong.kind, wrong.message.slice(0, 9)]).toEqual(["auth", "WRONGPASS"]);
    expect(wrong.message).not.toContain(GUESS);
  });

  test("so does the TypeScript API, and it does not try a wrong password again", async () => {
    const url = `trefoil://${formatAddress(address())}`;
    const keyspaces = defineKeyspaces({ default: singleLeader({ value: text() }) });
    const db = await connect(url, { keyspaces, password: PASSWORD, timeoutMs: 10_000 });
    await db.default.set("typed", "1");
    expect(await db.default.get("typed")).toBe("1");
    await db.close();
    for (const [given, code] of [
      [{}, "NOAUTH"],
      [{ password: GUESS }, "WRONGPASS"],
    ] as const) {
      const asked = connect(url, { keyspaces, timeoutMs: 10_000, ...given });
      const expected = { code, outcome: "not-applied", retryable: false };
      await expect(asked).rejects.toMatchObject(expected);
    }
  });

  test("a connection that guesses is closed after some failures, and reported", async () => {
    const client = await cluster.client("n1");
    const replies: string[] = [];
    for (let i = 1; i <= LIMITS.authFailuresMax; i += 1) {
      replies.push(shownError(await client.call("AUTH", `${GUESS}${i}`)));
    }
    const refusal = "WRONGPASS invalid username-password pair or user is disabled.";
    expect(replies).toEqual(replies.map(() => refusal));
    await vi.waitFor(() => expect(client.closed).toBe(true), { timeout: 10_000 });
    // One failure fewer, and then the right one: it stays, and counts from the beginning.
    const patient = await cluster.client("n1");
    for (let i = 1; i < LIMITS.authFailuresMax; i += 1) await patient.call("AUTH", GUESS);
    expect(await patient.call("AUTH", PASSWORD)).toMatchObject({ text: "OK" });
    expect(shownError(await patient.call("AUTH", GUESS))).toBe(refusal);
    expect(await patient.call("PING")).toMatchObject({ text: "PONG" });
    const metrics = await (await fetch(`http://${http()}/metrics`)).text();
    const counted = Number(/^trefoil_auth_failures_total (\d+)$/m.exec(metrics)?.[1]);
    expect(counted).toBeGreaterThanOrEqual(2 * LIMITS.authFailuresMax);
    const log = readFileSync(cluster.node("n1").logFile, "utf8");
    expect(log).toMatch(/"level":40.*failures=10","msg":"auth-failed"/);
  });

  const http = () => formatAddress(cluster.addresses("n1").http);

  test("what is open over HTTP stays so, and nothing anywhere shows the password", async () => {
    const client = await cluster.client("n1");
    const shown: string[] = [];
    for (const path of ["/health", "/ready", "/status", "/status?scope=node", "/metrics"]) {
      const response = await fetch(`http://${http()}${path}`);
      expect([path, response.status]).toEqual([path, 200]);
      shown.push(await response.text());
    }
    for (const command of [
      ["CONFIG", "GET", "*"],
      ["CONFIG", "GET", "requirepass"],
      ["INFO", "everything"],
      ["CLIENT", "LIST"],
      ["COMMAND", "DOCS", "AUTH"],
      ["TREFOIL.LAST"],
      ["AUTH", "default", PASSWORD],
      ["TREFOIL.LAST"],
    ]) {
      const reply = await client.call(...command);
      shown.push(reply.kind === "error" ? reply.message : JSON.stringify(plain(reply)));
    }
    for (const id of cluster.ids) shown.push(readFileSync(cluster.node(id).logFile, "utf8"));
    for (const id of cluster.ids) {
      // What `ps` shows of the process.
      shown.push(readFileSync(`/proc/${cluster.node(id).pid}/cmdline`, "utf8"));
    }
    expect(shown.filter((each) => each.length > 0).length).toBeGreaterThan(15);
    for (const each of shown) expect(each).not.toMatch(/canary-7f3a|guess-9d1c/);
  });

  test("the command line takes it from the environment or a file", async () => {
    const file = join(cluster.folder, "password");
    writeFileSync(file, `${PASSWORD}\n`);
    const exec = ["exec", "--dir", "data"];
    const variable = { TREFOIL_PASSWORD: PASSWORD };
    const flag = ["--password-file", file];
    expect(await trefoil([...exec, "SET", "a", "1"], variable)).toMatchObject({ out: "OK\n" });
    expect(await trefoil([...exec, ...flag, "GET", "a"])).toMatchObject({ out: "1\n" });
    const fileVariable = { TREFOIL_PASSWORD_FILE: file };
    expect(await trefoil([...exec, "INCR", "a"], fileVariable)).toMatchObject({ out: "2\n" });
    const shell = await trefoil(
      ["shell", "--dir", "data", ...flag],
      {},
      "GET a\n\\node 2\nGET a\n",
    );
    expect(shell).toMatchObject({ code: 0, out: '"2"\n"2"\n' });

    const none = await trefoil([...exec, "GET", "a"]);
    expect([none.code, none.err]).toEqual([
      EXIT.usage,
      "trefoil: The cluster wants a password: set TREFOIL_PASSWORD, or give --password-file.\n",
    ]);
    const wrong = await trefoil([...exec, "GET", "a"], { TREFOIL_PASSWORD: GUESS });
    expect([wrong.code, wrong.err]).toEqual([
      EXIT.usage,
      "trefoil: The cluster has another password than TREFOIL_PASSWORD or --password-file says.\n",
    ]);
    const inAddress = `redis://:${GUESS}@${formatAddress(address())}`;
    const url = await trefoil(["exec", "--url", inAddress, "GET", "a"]);
    expect([url.code, url.err]).toEqual([EXIT.usage, expect.stringContaining("no password in it")]);
    expect(url.err).not.toContain(GUESS);
  });

  test("a flag for the password itself there is not", async () => {
    const { code, err } = await trefoil(["serve", "--dir", "data/n1", "--password", GUESS]);
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining("unknown option")]);
    expect(err).not.toContain(GUESS);
  });

  test("forwarded commands need none of their own, and a restarted node asks again", async () => {
    const load = new SteadyLoad(cluster);
    await load.progress(50, 60_000);
    await cluster.kill("n2");
    await cluster.restart("n2");
    await load.progress(50, 60_000);
    await load.stop();
    expect(await load.violations(await cluster.client("n2"))).toEqual([]);
    expect((await failureOf(RespClient.connect(address("n2")))).kind).toBe("auth");
  });
});

describe("trefoil start", { timeout: 60_000 }, () => {
  test("refuses a file that holds no password before it makes anything", async () => {
    const empty = join(cluster.folder, "empty");
    writeFileSync(empty, "\n");
    const args = ["start", "--dir", "none", "--password-file", empty];
    expect(await trefoil(args)).toEqual({
      code: EXIT.usage,
      out: "",
      err: `trefoil: The password file ${empty} cannot be used: it is empty.\n`,
    });
  });
});

/** A reply with its bytes as text. */
function plain(reply: Reply): unknown {
  if (reply.kind === "bulk" || reply.kind === "verbatim")
    return Buffer.from(reply.bytes).toString();
  return "items" in reply ? reply.items.map(plain) : reply;
}
