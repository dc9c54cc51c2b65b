import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { barrelFindings, CORE_RANKS, layerFindings, packageFindings } from "./tidy/layers.ts";
import { type Finding, maskSource, ROOT, readSources, sourceFile } from "./tidy/source.ts";
import {
  columnFindings,
  determinismFindings,
  docstringFindings,
  lengthFindings,
  mutantFindings,
  nameFindings,
  unfinishedFindings,
} from "./tidy/text-rules.ts";

const src = readSources("src", [".ts"]);
const all = [...src, ...readSources("test", [".ts"]), ...readSources("scripts", [".mjs"])];
const { dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  dependencies: Record<string, string>;
};
const runtime = Object.keys(dependencies);

function show(findings: readonly Finding[]): string {
  return findings.map(({ path, line, message }) => `${path}:${line} ${message}`).join("\n");
}

describe("the sources", () => {
  test("are there", () => {
    expect(src.length).toBeGreaterThan(20);
  });

  test("import along the layers only", () => {
    expect(show(src.flatMap(layerFindings))).toBe("");
  });

  test("import no package but those they may", () => {
    expect(show(src.flatMap((file) => packageFindings(file, runtime)))).toBe("");
  });

  test("have no barrels", () => {
    expect(show(src.flatMap(barrelFindings))).toBe("");
  });

  test("are deterministic in core", () => {
    expect(show(src.flatMap(determinismFindings))).toBe("");
  });

  test("have at most 100 columns", () => {
    expect(show(all.flatMap(columnFindings))).toBe("");
  });

  test("have at most 800 lines a file", () => {
    expect(show(all.flatMap(lengthFindings))).toBe("");
  });

  test("leave nothing unfinished", () => {
    expect(show([...all, ...readSources("docs", [".md"])].flatMap(unfinishedFindings))).toBe("");
  });

  test("are named in kebab-case", () => {
    expect(show(all.flatMap(nameFindings))).toBe("");
  });

  test("mention planted mistakes in core and testing only", () => {
    expect(show(src.flatMap(mutantFindings))).toBe("");
  });

  test("say what every exported declaration means", () => {
    expect(show(src.flatMap(docstringFindings))).toBe("");
  });
});

describe("the rules can fail", () => {
  const bad = (path: string, text: string) => sourceFile(path, text);

  test("the mask keeps code and lines, and blanks the rest", () => {
    const text = [
      'const a = "Date"; // Date',
      "/* Date",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text.
      "Date */ const b = /[/]Date/g.test(`Date ${Date.x} Date`);",
      "const c = a / b / Date.y;",
    ].join("\n");
    const code = maskSource(text);
    expect(code.length).toBe(text.length);
    expect(code.split("\n").map((line) => line.match(/Date/g)?.length ?? 0)).toEqual([0, 0, 1, 1]);
  });

  test.each([
    ["src/core/base/a.ts", 'import { x } from "../contract/ids.ts";'],
    ["src/core/log/a.ts", 'import type { x } from "../node/node.ts";'],
    ["src/core/base/a.ts", 'export { x } from "../../host/driver.ts";'],
    ["src/core/strange/a.ts", 'import { x } from "../base/assert.ts";'],
    ["src/core/replication/leaderless/a.ts", 'import { x } from "../single-leader/raft.ts";'],
    ["src/testing/sim/a.ts", 'const x = await import("../../host/driver.ts");'],
    ["src/host/a.ts", 'new Worker(new URL("../testing/sim/a.ts", import.meta.url));'],
    ["src/client/a.ts", 'import "../cli/main.ts";'],
    ["src/cli/a.ts", 'import pkg from "../../package.json";'],
    ["src/other/a.ts", 'import { x } from "../core/base/assert.ts";'],
  ])("layers: %s", (path, text) => {
    expect(layerFindings(bad(path, text))).toHaveLength(1);
  });

  test("layers: every rank may import itself and those before it", () => {
    for (const [rank, folder] of CORE_RANKS.entries()) {
      for (const [other, target] of CORE_RANKS.entries()) {
        const file = bad(`src/core/${folder}/a.ts`, `import { x } from "../${target}/b.ts";`);
        expect(layerFindings(file), `${folder} imports ${target}`).toHaveLength(
          other > rank ? 1 : 0,
        );
      }
    }
  });

  test.each([
    ["src/core/base/a.ts", 'import { readFileSync } from "node:fs";'],
    ["src/core/base/a.ts", 'import pino from "pino";'],
    ["src/host/a.ts", 'import fc from "fast-check";'],
    ["src/host/a.ts", 'import { x } from "@scope/unknown/deep";'],
  ])("packages: %s", (path, text) => {
    expect(packageFindings(bad(path, text), ["pino", "hono"])).toHaveLength(1);
  });

  test("packages: dependencies and what only looks like an import are allowed", () => {
    const text = 'import "hono/tiny";\nBuffer.from("x");\nnew URL("../../package.json", base);';
    expect(packageFindings(bad("src/host/b.ts", text), ["hono"])).toEqual([]);
    expect(layerFindings(bad("src/host/b.ts", text))).toEqual([]);
  });

  test.each([
    ["src/host/index.ts", "export const a = 1;"],
    ["src/cli/a.ts", 'import { open } from "../client/index.ts";'],
    ["src/cli/a.ts", 'import { open } from "..";'],
  ])("barrels: %s", (path, text) => {
    expect(barrelFindings(bad(path, text))).toHaveLength(1);
  });

  test.each([
    "async function f() {}",
    "let later: Promise<void>;".replace("let", "  let"),
    "  setTimeout(f, 1);",
    "  const now = Date.now();",
    "  const x = Math.random();",
    "  const y = Math.log2(8);",
    "  const z = 2 ** 3;",
    "  const b = Buffer.alloc(1);",
    "  process.exit(1);",
    "  const id = crypto.randomUUID();",
    "let counter = 0;",
    "export let counter = 0;",
    "const cache = new Map<string, number>();",
    "  keys.sort();",
    "  keys.toSorted( );",
    "  a.localeCompare(b);",
    "  n.toLocaleString();",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text.
    "  const s = `${Date.now()}`;",
  ])("determinism: %s", (text) => {
    expect(determinismFindings(bad("src/core/node/a.ts", text))).toHaveLength(1);
  });

  test.each([
    "  keys.sort(compare);",
    "  // Date.now() would differ.",
    '  const text = "await";',
    "  this.process(input);",
    "  let local = 0;",
    "  const exact = 10n ** 3n;",
    "const NAMES: ReadonlyMap<string, number> = new Map();",
  ])("determinism allows: %s", (text) => {
    expect(determinismFindings(bad("src/core/node/a.ts", text))).toEqual([]);
  });

  test("columns", () => {
    const long = "x".repeat(101);
    expect(columnFindings(bad("src/a.ts", `a\n${long}`))).toMatchObject([{ line: 2 }]);
    expect(columnFindings(bad("src/a.ts", `    "${long}",`))).toEqual([]);
    expect(columnFindings(bad("src/a.ts", `    // ${long}`))).toHaveLength(1);
    expect(columnFindings(bad("src/a.ts", `/** ${long} */\na = "b";`))).toHaveLength(1);
  });

  test("lines", () => {
    expect(lengthFindings(bad("src/a.ts", "x\n".repeat(800)))).toEqual([]);
    expect(lengthFindings(bad("src/a.ts", "x\n".repeat(801)))).toHaveLength(1);
  });

  test("unfinished work", () => {
    const word = ["TO", "DO"].join("");
    expect(unfinishedFindings(bad("src/a.ts", `// ${word}: later`))).toHaveLength(1);
  });

  test.each(["src/a/CamelCase.ts", "src/a/snake_case.ts", "src/a/-x.ts"])("names: %s", (path) => {
    expect(nameFindings(bad(path, ""))).toHaveLength(1);
  });

  test("planted mistakes", () => {
    expect(mutantFindings(bad("src/cli/a.ts", "const activeMutant = 1;"))).toHaveLength(1);
    expect(mutantFindings(bad("src/testing/a.ts", "const mutant = 1;"))).toEqual([]);
  });

  test.each([
    "export class A {}",
    "// No docstring at all.\nexport function a(): void {}",
    "/** Too short. */\nexport interface A {}",
    "/** Stands apart from the declaration. */\n\nexport type A = 1;",
    "/* A plain comment of four words. */\nexport const a = 1;",
    "export abstract class A {}",
    "export async function a() {}",
  ])("docstrings: %s", (text) => {
    expect(docstringFindings(bad("src/host/a.ts", text))).toHaveLength(1);
  });

  test("docstrings: overloads share the first one's", () => {
    const text =
      "/** What it does. */\nexport function f(a: 1): 1;\nexport function f(a: 2): 2;\n" +
      "export function f(a: number) {\n  return a;\n}\n";
    expect(docstringFindings(bad("src/host/a.ts", text))).toEqual([]);
  });
});
