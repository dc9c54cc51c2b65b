import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatScenario, parseScenario, runScenario } from "./raft/scenario.ts";

/**
 * Stories of the single-leader protocol as text: what is done, `----`, what was seen. With UPDATE=1
 * the files are written anew from what is seen; read the difference before you keep it.
 */
const DIRECTORY = join(import.meta.dirname, "scenarios");
const UPDATE = process.env["UPDATE"] === "1";
const files = readdirSync(DIRECTORY).filter((name) => name.endsWith(".txt"));

test("the scenarios are there", () => {
  expect(files.length).toBeGreaterThanOrEqual(12);
});

test.each(files)("%s", (name) => {
  const path = join(DIRECTORY, name);
  const text = readFileSync(path, "utf8");
  const blocks = parseScenario(text);
  const { outputs, violations } = runScenario(blocks);
  expect(violations).toEqual([]);
  const seen = formatScenario(blocks, outputs);
  if (UPDATE) writeFileSync(path, seen);
  else expect(seen).toBe(text);
});

test("a scenario whose expectation is wrong fails", () => {
  const blocks = parseScenario("nodes 1\nelect n1\nstatus\n----\nn1 follower");
  const { outputs } = runScenario(blocks);
  expect(formatScenario(blocks, outputs)).not.toContain("n1 follower");
  expect(outputs[0]).toContain("n1 leader of n1 term=1");
});
