import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeUtf8 } from "../core/base/bytes.ts";
import { formatAddress, isLoopback, parseAddress, requireLoopback } from "./address.ts";
import {
  describeConfig,
  envName,
  flagName,
  isFlag,
  mergeConfig,
  type PartialConfig,
  readConfigFile,
  readEnvironment,
  readFlags,
} from "./config.ts";
import { EXIT, StartError } from "./exit-codes.ts";

const at = (port: number) => ({ host: "127.0.0.1", port });
const own = { resp: at(7001), http: at(8001), peer: at(9001) };
const least: PartialConfig = { dir: "d/n1", ...own, nodes: [{ id: "n1", ...own }] };

function startErrorOf(action: () => unknown): StartError {
  try {
    action();
  } catch (failure) {
    if (failure instanceof StartError) return failure;
    throw failure;
  }
  throw new Error("nothing was thrown");
}

describe("settings", () => {
  it("have one name per source", () => {
    expect(envName("electionTimeoutMs")).toBe("TREFOIL_ELECTION_TIMEOUT_MS");
    expect(flagName("electionTimeoutMs")).toBe("--election-timeout-ms");
  });

  it("of flags go before the environment, of the environment before the file", () => {
    const flags = readFlags({ heartbeatMs: "10" });
    const env = readEnvironment({
      TREFOIL_HEARTBEAT_MS: "20",
      TREFOIL_TIMEOUT_MS: "21",
      HOME: "/",
    });
    const file = { heartbeatMs: 30, timeoutMs: 31, maxClients: 32 };
    expect(mergeConfig(flags, env, file, least)).toMatchObject({
      heartbeatMs: 10,
      timeoutMs: 21,
      maxClients: 32,
      electionTimeoutMs: 1_000,
      keyspaces: [],
    });
  });

  it("that nobody knows name the nearest that is known", () => {
    const flag = startErrorOf(() => readFlags({ heartbeatMS: "1" }));
    expect(flag.message).toBe("Unknown setting --heartbeat-m-s. Did you mean --heartbeat-ms?");
    const env = startErrorOf(() => readEnvironment({ TREFOIL_MAX_CLIENT: "1" }));
    expect(env.message).toBe(
      "Unknown environment variable TREFOIL_MAX_CLIENT. Did you mean TREFOIL_MAX_CLIENTS?",
    );
    expect(env.exitCode).toBe(EXIT.usage);
  });

  it.each<[string, unknown, string]>([
    ["heartbeatMs", "fast", "--heartbeat-ms must be a whole number from 5 to 60000."],
    ["heartbeatMs", "4", "--heartbeat-ms must be a whole number from 5 to 60000."],
    ["resp", "nowhere", "--resp must be host:port."],
    ["resp", "127.0.0.1:65536", "--resp must be host:port."],
    ["logLevel", "loud", "--log-level must be one of silent, error, warn, info, debug, trace."],
    ["logWriter", "none", "--log-writer must be fdatasync or dsync-worker."],
  ])("refuse %s %j", (key, value, message) => {
    expect(startErrorOf(() => readFlags({ [key]: value })).message).toBe(message);
  });

  it("that are missing say how they are given", () => {
    expect(startErrorOf(() => mergeConfig({ ...least, dir: undefined })).message).toBe(
      'dir is missing: --dir, TREFOIL_DIR or "dir" in the file says it.',
    );
    expect(startErrorOf(() => mergeConfig({ ...least, nodes: undefined })).message).toBe(
      'nodes is missing: "nodes" in the file says it.',
    );
  });

  it("that do not fit together are refused", () => {
    const short = { heartbeatMs: 100, electionTimeoutMs: 299 };
    expect(startErrorOf(() => mergeConfig(short, least)).message).toContain("three times");
  });
});

describe("a configuration file", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "trefoil-config-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const file = (content: unknown) => {
    const path = join(folder, "trefoil.json");
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  };

  it("says anything a node needs", () => {
    const content = {
      dir: "d/n1",
      resp: "127.0.0.1:7001",
      http: "localhost:8001",
      peer: "[::1]:9001",
      nodes: [{ id: "n1", resp: 7001, http: 8001, peer: 9001 }],
      keyspaces: [
        { name: "ledger" },
        { name: "carts_2", schemaVersion: 3, preferredLeader: "n1", timeoutMs: 500 },
      ],
    };
    expect(mergeConfig(readConfigFile(file(content)))).toMatchObject({
      resp: at(7001),
      http: { host: "localhost", port: 8001 },
      peer: { host: "::1", port: 9001 },
      nodes: [{ id: "n1", ...own }],
      keyspaces: [
        {
          name: "ledger",
          model: "singleLeader",
          schemaVersion: 0,
          options: { preferredLeader: null, timeoutMs: null },
        },
        {
          name: "carts_2",
          model: "singleLeader",
          schemaVersion: 3,
          options: { preferredLeader: "n1", timeoutMs: 500 },
        },
      ],
    });
  });

  it.each<[string, unknown, string]>([
    ["an unknown key", { heartbeat: 1 }, "Did you mean"],
    ["no object", [], "must hold one JSON object"],
    ["no JSON", "{", "cannot be used"],
    ["an unknown key inside", { nodes: [{ id: "n1", port: 1 }] }, "(0."],
    ["two keyspaces of one name", { keyspaces: [{ name: "a" }, { name: "a" }] }, "the same name"],
    ["a number", { keyspaces: [{ name: "a", number: 1 }] }, "the cluster numbers its keyspaces"],
    ["another model", { keyspaces: [{ name: "a", model: "x" }] }, "singleLeader"],
    ["a bad name", { keyspaces: [{ name: "A b" }] }, "begins with a letter"],
  ])("with %s is refused", (_, content, message) => {
    const error = startErrorOf(() => readConfigFile(file(content)));
    expect(error.message).toContain(message);
    expect(error.message).toContain("trefoil.json");
  });
});

describe("the preferred leader of a keyspace", () => {
  it("is one of the nodes", () => {
    const options = { preferredLeader: "n9", timeoutMs: null };
    const keyspaces = [{ name: "a", model: "singleLeader", schemaVersion: 0, options } as const];
    expect(startErrorOf(() => mergeConfig({ keyspaces }, least)).message).toBe(
      "keyspaces: the preferredLeader of a is n9, which is none of n1.",
    );
  });
});

describe("the password", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "trefoil-password-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const file = (content: string, name = "password") => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const accepts = (config: PartialConfig, given: string) =>
    mergeConfig(config, least).password?.matches(encodeUtf8(given));

  it("is none if nobody says one", () => {
    expect(mergeConfig(least).password).toBeNull();
  });

  it("comes from the environment, the file, or a file of its own", () => {
    expect(accepts(readEnvironment({ TREFOIL_PASSWORD: "s3cret" }), "s3cret")).toBe(true);
    expect(accepts(readEnvironment({ TREFOIL_PASSWORD: "s3cret" }), "s3cre")).toBe(false);
    const config = file('{ "password": "pass word" }', "trefoil.json");
    expect(accepts(readConfigFile(config), "pass word")).toBe(true);
    const variable = { TREFOIL_PASSWORD_FILE: file("from a file\r\n") };
    expect(accepts(readEnvironment(variable), "from a file")).toBe(true);
    expect(accepts(readFlags({ passwordFile: file(" x \n") }), " x ")).toBe(true);
  });

  it("of a flag's file goes before the environment's", () => {
    const sources = [
      readFlags({ passwordFile: file("flag") }),
      readEnvironment({ TREFOIL_PASSWORD: "variable" }),
    ];
    expect(mergeConfig(...sources, least).password?.matches(encodeUtf8("flag"))).toBe(true);
  });

  it("has no flag of its own, which ps would show", () => {
    expect([isFlag("password"), isFlag("passwordFile")]).toEqual([false, true]);
  });

  it("may have 512 bytes, and is refused without being repeated", () => {
    const longest = "p".repeat(512);
    expect(accepts(readEnvironment({ TREFOIL_PASSWORD: longest }), longest)).toBe(true);
    for (const wrong of [`${longest}p`, "", "hunter2\nhunter3"]) {
      const inFile = () => readFlags({ passwordFile: file(wrong) });
      const variable = () => readEnvironment({ TREFOIL_PASSWORD: wrong });
      for (const read of [inFile, variable]) {
        const { message, exitCode } = startErrorOf(read);
        expect(message).toMatch(/cannot be used: (it is empty|it must be one line|a password may)/);
        expect(message).not.toMatch(/hunter|pppp/);
        expect(exitCode).toBe(EXIT.usage);
      }
    }
    const number = startErrorOf(() => readConfigFile(file('{"password": 123456}')));
    expect(number.message).toMatch(/password must be a text\.$/);
  });

  it("is not quoted by a syntax error either", () => {
    const { message } = startErrorOf(() => readConfigFile(file('{"password": "hunter2" x}')));
    expect(message).toContain("is not valid JSON");
    expect(message).not.toContain("hunter2");
  });

  it("is said in one way only, and a file that is not there is named", () => {
    const both = { TREFOIL_PASSWORD: "a", TREFOIL_PASSWORD_FILE: file("a") };
    expect(startErrorOf(() => readEnvironment(both)).message).toBe(
      "TREFOIL_PASSWORD and TREFOIL_PASSWORD_FILE are two ways to say one thing: leave one out.",
    );
    const none = join(folder, "none");
    expect(startErrorOf(() => readFlags({ passwordFile: none })).message).toContain(none);
  });

  it("is shown by no description of the configuration", () => {
    const config = mergeConfig(readEnvironment({ TREFOIL_PASSWORD: "hunter2" }), least);
    const shown = `${inspect(config, { depth: null })}${JSON.stringify([config, ...describeConfig(config)])}`;
    expect(shown).not.toContain("hunter2");
    expect([...describeConfig(config).keys()].filter((name) => /pass/.test(name))).toEqual([]);
  });
});

describe("an address", () => {
  it.each([
    ["127.0.0.1:7001", { host: "127.0.0.1", port: 7001 }],
    ["7001", { host: "127.0.0.1", port: 7001 }],
    ["[::1]:7001", { host: "::1", port: 7001 }],
    ["localhost:0", { host: "localhost", port: 0 }],
    ["a b:1", null],
    ["::1:7001", null],
    ["", null],
  ])("%j is %j", (text, expected) => {
    expect(parseAddress(text)).toEqual(expected);
    if (expected !== null) expect(parseAddress(formatAddress(expected))).toEqual(expected);
  });

  it.each([
    ["127.0.0.1", true],
    ["127.3.2.1", true],
    ["::1", true],
    ["localhost", true],
    ["0.0.0.0", false],
    ["::", false],
    ["192.168.1.2", false],
    ["127.0.0.1.example.com", false],
  ])("%s is loopback: %s", (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
    const listen = () => requireLoopback("resp", { host, port: 1 });
    if (expected) listen();
    else expect(startErrorOf(listen).message).toContain("Let it listen on 127.0.0.1:1, and");
  });
});
