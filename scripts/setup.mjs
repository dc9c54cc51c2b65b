// Makes a fresh clone ready: installs what package-lock.json asks for, and compiles what changed.
// `npm start`, `npm test` and the other scripts call it first, so that they work on a machine that
// has Node and nothing else.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const quiet = process.argv.includes("--quiet");

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`Trefoil needs Node 20.19 or newer; this is Node ${process.versions.node}.`);
}

install();
build();

function install() {
  const lock = readFileSync(join(root, "package-lock.json"), "utf8");
  const stamp = join(root, "node_modules", ".trefoil-installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  say("Installing dependencies …");
  // Not `npm ci`: it insists on entries for every platform's optional packages, and npm leaves out
  // of the lock file those that the registry it was written with does not have.
  run("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]);
  writeFileSync(stamp, lock);
}

function build() {
  say("Compiling …");
  run(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-b"]);
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (result.error) fail(`${command} could not be started: ${result.error.message}`);
  if (result.status !== 0) fail(`${command} ${args.join(" ")} ended with ${result.status}.`);
}

function say(text) {
  if (!quiet) console.error(text);
}

function fail(text) {
  console.error(text);
  process.exit(1);
}
