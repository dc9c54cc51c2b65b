import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./tidy/source.ts";

interface Packed {
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

function packedFiles(): string[] {
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const result = spawnSync("npm", args, { cwd: ROOT, encoding: "utf8", timeout: 60_000 });
  const [packed] = JSON.parse(result.stdout) as readonly Packed[];
  return (packed?.files ?? []).map(({ path }) => path).sort((a, b) => (a < b ? -1 : 1));
}

test("the package holds the compiled program and nothing of the workshop", () => {
  const files = packedFiles();
  expect(files).toEqual(
    expect.arrayContaining([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist/cli/main.js",
      "dist/client/index.d.ts",
      "dist/client/index.js",
      "dist/core/node/boot.js",
      "dist/host/serve.js",
    ]),
  );
  const strangers = files.filter(
    (path) =>
      /\.test\.|^dist\/(bench|\.test-types)\/|^(src|test|scripts)\//.test(path) ||
      (path.startsWith("dist/") && !/\.(js|d\.ts)$/.test(path)),
  );
  expect(strangers).toEqual([]);
});

test("dependencies are pinned exactly, and the lock file agrees", () => {
  const read = (name: string): unknown => JSON.parse(readFileSync(join(ROOT, name), "utf8"));
  const manifest = read("package.json") as Record<string, Record<string, string>>;
  const lock = read("package-lock.json") as {
    readonly packages: Readonly<Record<string, { readonly version?: string }>>;
  };
  const wanted = { ...manifest["dependencies"], ...manifest["devDependencies"] };
  for (const [name, version] of Object.entries(wanted)) {
    expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
    expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
  }
});
