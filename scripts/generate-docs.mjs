// Writes the pages of docs/ that are made from declarations: docs/commands.md from the commands.
// With --check it writes nothing, and fails when a page is not what it would write.
// It reads dist/, so compile first: `npm run docs` does.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const compiled = join(root, "dist/core/commands/docs.js");
if (!existsSync(compiled)) {
  console.error("There is no dist/core/commands/docs.js: compile first (npm run build).");
  process.exit(1);
}

const { commandsMarkdown } = await import(compiled);
const pages = [["docs/commands.md", commandsMarkdown()]];
const isCheck = process.argv.includes("--check");

let stale = 0;
for (const [path, text] of pages) {
  const file = join(root, path);
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  stale += 1;
  if (isCheck) console.error(`${path} is not what the declarations say: run npm run docs.`);
  else {
    writeFileSync(file, text);
    console.log(`wrote ${path}`);
  }
}
process.exit(isCheck && stale > 0 ? 1 : 0);
