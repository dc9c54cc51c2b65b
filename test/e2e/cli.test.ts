import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { freeAddresses } from "../../src/cli/free-ports.ts";
import { EXIT } from "../../src/host/exit-codes.ts";
import { ENTRY } from "./cluster.ts";

const WAIT = { timeout: 20_000, interval: 25 };

interface Run {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly ended: Promise<{ code: number | null; out: string; err: string }>;
}

let folder: string;
let runs: Run[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trefoil-cli-"));
  runs = [];
});

afterEach(async () => {
  for (const { child } of runs) if (child.exitCode === null) child.kill("SIGTERM");
  await Promise.all(runs.map(({ ended }) => ended));
  rmSync(folder, { recursive: true, force: true });
});

/** Starts `trefoil …` in the test's folder. */
function trefoil(...args: string[]): Run {
  const child = spawn(process.execPath, [ENTRY, ...args], { cwd: folder });
  const parts = { out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    parts.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    parts.err += chunk;
  });
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, ...parts }));
  });
  const run = { child, out: () => parts.out, ended };
  runs.push(run);
  return run;
}

async function basePort(nodes: number): Promise<string> {
  const [first] = await freeAddresses(nodes);
  return String(first!.resp.port - 1);
}

async function start(port: string, nodes = "3"): Promise<Run> {
  const run = trefoil("start", "--base-port", port, "--nodes", nodes);
  await vi.waitFor(() => expect(run.out()).toContain("Ctrl-C stops all nodes."), WAIT);
  return run;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

interface Status {
  readonly nodes: readonly { readonly id: string; readonly pid: number; readonly alive: boolean }[];
  readonly keyspaces: readonly { readonly leader: string | null }[];
}

async function status(): Promise<Status> {
  return JSON.parse((await trefoil("status", "--json").ended).out) as Status;
}

describe("trefoil start", () => {
  it("runs a cluster whose three printed lines work, stops it, and goes on with its data", async () => {
    const port = await basePort(3);
    const first = await start(port);
    const lines = first
      .out()
      .split("\n")
      .map((line) => line.replace(/#.*/, "").trim());
    const commands = lines.filter((line) => /^(npx trefoil|kill) /.test(line));
    expect(commands.length).toBe(3);
    const [write, kill, read] = commands.map((line) => line.split(" "));
    expect(await trefoil(...write!.slice(2)).ended).toMatchObject({ code: 0, out: "OK\n" });
    const pid = Number(kill![2]);
    const { nodes, keyspaces } = await status();
    expect(nodes.find((node) => node.pid === pid)?.id).toBe(keyspaces[0]!.leader);
    process.kill(pid, "SIGKILL");
    expect(await trefoil(...read!.slice(2)).ended).toMatchObject({ code: 0, out: "hello\n" });
    await vi.waitFor(() => expect(first.out()).toContain("was ended by SIGKILL"), WAIT);

    first.child.kill("SIGINT");
    expect((await first.ended).code).toBe(EXIT.ok);
    for (const node of nodes) expect(isAlive(node.pid)).toBe(false);

    const second = trefoil("start");
    await vi.waitFor(() => expect(second.out()).toContain("Ctrl-C stops all nodes."), WAIT);
    expect(second.out()).toContain(`127.0.0.1:${Number(port) + 1}`);
    expect((await trefoil("exec", "GET", "greeting").ended).out).toBe("hello\n");
  });

  it("refuses a folder that is in use, and ports that are", async () => {
    const port = await basePort(1);
    await start(port, "1");
    const again = await trefoil("start").ended;
    expect([again.code, again.err]).toEqual([
      EXIT.directory,
      expect.stringContaining("runs already"),
    ]);
    const elsewhere = ["--dir", "other", "--nodes", "1"];
    const taken = await trefoil("start", ...elsewhere, "--base-port", port).ended;
    expect([taken.code, taken.err]).toEqual([EXIT.port, expect.stringContaining("in use")]);
    expect(readdirSync(folder)).toEqual(["trefoil-data"]);
    const serve = await trefoil("serve", "--dir", "trefoil-data/n1", "--resp", "0").ended;
    expect([serve.code, serve.err]).toEqual([EXIT.directory, expect.stringContaining("LOCKED")]);
  });

  it("leaves no node behind when it is killed", async () => {
    const run = await start(await basePort(1), "1");
    const { nodes } = await status();
    expect(isAlive(nodes[0]!.pid)).toBe(true);
    run.child.kill("SIGKILL");
    await vi.waitFor(() => expect(isAlive(nodes[0]!.pid)).toBe(false), WAIT);
  });

  it("does not let an empty directory take a voter's place", async () => {
    await trefoil("init", "--base-port", await basePort(3)).ended;
    rmSync(join(folder, "trefoil-data", "n2"), { recursive: true });
    const run = trefoil("start");
    await vi.waitFor(() => expect(run.out()).toContain("Ctrl-C stops all nodes."), WAIT);
    expect(run.out()).toContain("n2 is not started: trefoil-data/n2 is missing.");
    expect(run.out()).toContain("2 nodes are ready");
    expect((await trefoil("status").ended).code).toBe(EXIT.failed);
    const lone = await trefoil("serve", "--dir", "trefoil-data/n2").ended;
    expect([lone.code, lone.err]).toEqual([
      EXIT.directory,
      expect.stringContaining("NOT_FORMATTED"),
    ]);
  });
});

describe("trefoil tour", () => {
  it("holds what it promises, and leaves nothing behind", async () => {
    const { code, out, err } = await trefoil("tour").ended;
    expect(err).toBe("");
    expect(out).toContain("Every promise held.");
    expect(out.match(/\[held\]/g)?.length).toBe(5);
    expect(code).toBe(EXIT.ok);
  });
});

describe("the command line", () => {
  it.each<[string, readonly string[], number, string]>([
    ["an unknown command", ["stauts"], EXIT.usage, "Did you mean status?"],
    ["an unknown flag", ["status", "--jsno"], EXIT.usage, "Did you mean --json?"],
    ["no cluster", ["exec", "PING"], EXIT.usage, "There is no cluster in trefoil-data."],
    ["nobody there", ["exec", "--port", "1", "PING"], EXIT.unreachable, "ECONNREFUSED"],
    ["nobody there", ["status", "--port", "1"], EXIT.unreachable, "No node answers"],
    ["an unknown code", ["explain", "NOLEADR"], EXIT.usage, "Did you mean NOLEADER?"],
    ["no number", ["start", "--nodes", "three"], EXIT.usage, "It must be a whole number."],
    ["too many nodes", ["start", "--nodes", "10"], EXIT.usage, "1 to 9 nodes"],
    ["no directory", ["serve"], EXIT.usage, "--dir, TREFOIL_DIR"],
  ])("says what is wrong with %s: %j", async (_, args, code, message) => {
    const { code: ended, out, err } = await trefoil(...args).ended;
    expect([ended, out]).toEqual([code, ""]);
    expect(err).toContain(message);
  });

  it("ends quietly when what reads its output has seen enough", async () => {
    const help = trefoil("--help");
    help.child.stdout?.destroy();
    expect(await help.ended).toMatchObject({ code: EXIT.ok, err: "" });
  });

  it("serves nobody but this machine", async () => {
    await trefoil("init", "--nodes", "1").ended;
    const serve = trefoil("serve", "--dir", "trefoil-data/n1", "--resp", "0.0.0.0:0");
    const { code, err } = await serve.ended;
    expect([code, err]).toEqual([EXIT.usage, expect.stringContaining("through a tunnel: ssh")]);
  });

  it("has a version and explains its errors", async () => {
    expect((await trefoil("--version").ended).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    const { out } = await trefoil("explain", "timeout", "--json").ended;
    expect(JSON.parse(out)).toMatchObject({ code: "TIMEOUT", outcome: "unknown" });
  });

  it("answers as redis-cli does, or in JSON", async () => {
    await start(await basePort(1), "1");
    expect(await trefoil("exec", "INCR", "n").ended).toMatchObject({ code: 0, out: "1\n" });
    const json = await trefoil("exec", "--json", "MGET", "n", "none").ended;
    expect(JSON.parse(json.out)).toEqual({ reply: ["1", null] });
    const wrong = await trefoil("exec", "--json", "GET").ended;
    expect(wrong.code).toBe(EXIT.failed);
    expect(JSON.parse(wrong.out)).toEqual({
      error: {
        code: "ERR",
        message: "wrong number of arguments for 'get' command",
        outcome: null,
      },
    });
    const shell = trefoil("shell");
    shell.child.stdin?.end('SET a "b c"\nGET a\nNOSUCH\n\\quit\n');
    const { code, out } = await shell.ended;
    expect(code).toBe(EXIT.failed);
    expect(out).toMatch(/^OK\n"b c"\n\(error\) ERR unknown command/);
  });
});
