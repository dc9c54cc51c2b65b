// Writes the README's TypeScript samples that begin with a file's name into a folder.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [readme = "README.md", folder = "samples"] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const text = readFileSync(readme, "utf8");
let found = 0;
for (const [, body] of text.matchAll(/^```ts\n([\s\S]*?)^```/gm)) {
  const name = /^\/\/ ([\w-]+\.ts)\b/.exec(body)?.[1];
  if (name === undefined) continue;
  writeFileSync(join(folder, name), body);
  found += 1;
}
if (found === 0) throw new Error(`${readme} has no sample that names its file`);
console.log(`${found} samples in ${folder}`);
