// `npm run check`: everything that must hold before a change is merged. It never writes to the
// sources; `npm run fix` does. Each step prints its time, and a failed one its output;
// a failure does not keep the later steps from running.
//
// `--only NAME[,NAME]` runs some of the steps; `--list` names them.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const node = process.execPath;
const tool = (path) => join(root, "node_modules", path);

const steps = [
  { name: "types", run: [node, tool("typescript/bin/tsc"), "-b"] },
  { name: "format", run: [node, tool("@biomejs/biome/bin/biome"), "check", "."] },
  { name: "lint", run: [node, tool("oxlint/bin/oxlint"), "--type-aware", "--deny-warnings"] },
  { name: "tests", run: [node, tool("vitest/vitest.mjs"), "run", "--reporter=dot"] },
  { name: "docs", run: [node, "scripts/generate-docs.mjs", "--check"] },
  { name: "sim", run: [node, "dist/testing/sim/main.js", "--seeds", "50"] },
];

const wanted = optionAfter("--only")?.split(",");
const unknown = wanted?.filter((name) => !steps.some((step) => step.name === name)) ?? [];
if (process.argv.includes("--list") || unknown.length > 0) {
  for (const name of unknown) console.error(`There is no step ${name}.`);
  console.log(steps.map((step) => step.name).join("\n"));
  process.exit(unknown.length > 0 ? 1 : 0);
}

if (!existsSync(join(root, "node_modules"))) {
  const setup = spawnSync(node, ["scripts/setup.mjs"], { cwd: root, stdio: "inherit" });
  if (setup.status !== 0) process.exit(1);
}

let passed = 0;
const failed = [];
for (const step of steps) {
  if (wanted !== undefined && !wanted.includes(step.name)) continue;
  if (runStep(step)) passed += 1;
  else failed.push(step.name);
}
if (failed.length > 0) console.log(`failed: ${failed.join(", ")}`);
console.log(`check: ${passed} passed, ${failed.length} failed`);
process.exit(failed.length > 0 ? 1 : 0);

function runStep({ name, run: [command, ...args] }) {
  const isOurs = args[0].startsWith("scripts/") || args[0].startsWith("dist/");
  if (isOurs && !existsSync(join(root, args[0]))) return report(name, 0, `no ${args[0]}`);
  const begun = process.hrtime.bigint();
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
    timeout: 15 * 60_000,
  });
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  if (result.error) return report(name, seconds, String(result.error.message));
  if (result.status === 0) return report(name, seconds, null);
  const how = result.status === null ? `ended by ${result.signal}` : `exit code ${result.status}`;
  return report(name, seconds, `${result.stdout}${result.stderr}${how}`);
}

function report(name, seconds, failure) {
  const mark = failure === null ? "ok    " : "FAILED";
  console.log(`${mark} ${name.padEnd(8)} ${seconds.toFixed(1).padStart(6)} s`);
  if (failure !== null) console.log(failure.trimEnd().replace(/^/gm, "    "));
  return failure === null;
}

function optionAfter(flag) {
  const at = process.argv.indexOf(flag);
  return at === -1 ? undefined : process.argv[at + 1];
}
