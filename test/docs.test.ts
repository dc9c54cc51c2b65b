import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { MUTANTS } from "../src/core/base/mutants.ts";
import { ERRORS } from "../src/core/contract/errors.ts";
import { ROOT, readSources } from "./tidy/source.ts";

const docs = [
  ...readSources("docs", [".md"]),
  ...["README.md", "CHANGELOG.md"].map((path) => ({
    path,
    text: readFileSync(join(ROOT, path), "utf8"),
  })),
];
const rules = readFileSync(join(ROOT, "docs/protocol-rules.md"), "utf8");

/** Files in back-quotes that look like paths of this repository and are not there. */
function missingFiles(text: string): string[] {
  const named = text.matchAll(/`((?:src|test|scripts|docs)\/[\w./-]+\.(?:ts|mjs|md|txt|json))`/g);
  return [...named].map((match) => match[1] ?? "").filter((path) => !existsSync(join(ROOT, path)));
}

/** Targets of Markdown links that are neither addresses nor files. */
function brokenLinks(path: string, text: string): string[] {
  const links = text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g);
  return [...links]
    .map((match) => match[1] ?? "")
    .filter((target) => !existsSync(join(ROOT, dirname(path), target)));
}

/** Rules cited in a text, as `STO3` or within `(LEAD4, LEAD5)`. */
function citedRules(text: string): string[] {
  return [...text.matchAll(/\b(?:GEN|STO|LEAD|MULT|DYN)\d+\b/g)].map((match) => match[0]);
}

function definedRules(text: string): Set<string> {
  return new Set([...text.matchAll(/^\| ([A-Z]+\d+) \|/gm)].map((match) => match[1] ?? ""));
}

describe("the documentation", () => {
  test.each(docs.map(({ path, text }) => [path, text]))(
    "%s names files that exist",
    (path, text) => {
      expect(missingFiles(text)).toEqual([]);
      expect(brokenLinks(path, text)).toEqual([]);
    },
  );

  test("states every rule that is cited", () => {
    const stated = definedRules(rules);
    const sources = [...readSources("src", [".ts"]), ...readSources("test", [".ts"]), ...docs];
    const unknown = sources
      .filter(({ path }) => path !== "test/docs.test.ts")
      .flatMap(({ path, text }) =>
        citedRules(text)
          .filter((rule) => !stated.has(rule))
          .map((rule) => `${path} cites ${rule}`),
      );
    expect(unknown).toEqual([]);
  });

  test("numbers the rules without gaps", () => {
    const stated = [...definedRules(rules)];
    for (const [area, count] of [
      ["GEN", 7],
      ["STO", 9],
      ["LEAD", 12],
    ] as const) {
      const expected = Array.from({ length: count }, (_, i) => `${area}${i + 1}`);
      expect(stated.filter((rule) => rule.startsWith(area))).toEqual(expected);
    }
  });

  test("lists every planted mistake", () => {
    const page = readFileSync(join(ROOT, "docs/mutants.md"), "utf8");
    const missing = Object.entries(MUTANTS).filter(
      ([id, what]) => !page.includes(`\n| ${id} | ${what} | `),
    );
    expect(missing).toEqual([]);
  });

  test("has the pages that comments name", () => {
    const missing = [...readSources("src", [".ts"]), ...readSources("test", [".ts"])].flatMap(
      ({ path, text }) =>
        [...text.matchAll(/\bdocs\/[\w./-]+\.md\b/g)]
          .filter(([page]) => path !== "test/docs.test.ts" && !existsSync(join(ROOT, page)))
          .map(([page]) => `${path} names ${page}`),
    );
    expect(missing).toEqual([]);
  });

  test.each(Object.entries(ERRORS))("explains %s as the code does", (code, spec) => {
    const page = readFileSync(join(ROOT, "docs/errors.md"), "utf8");
    const retry = spec.retryable ? "yes" : "no";
    expect(page).toContain(`| \`${code}\` | ${spec.outcome} | ${retry} | ${spec.meaning} |\n`);
  });
});

describe("the checks can fail", () => {
  test("a file that is not there", () => {
    expect(missingFiles("see `test/no-such.test.ts` and `package.json`")).toEqual([
      "test/no-such.test.ts",
    ]);
  });

  test("a broken link", () => {
    expect(brokenLinks("README.md", "[a](docs/none.md) [b](https://x.y) [c](#d)")).toEqual([
      "docs/none.md",
    ]);
  });

  test("a rule that is cited and not stated", () => {
    const stated = definedRules("| STO1 | one | |\n");
    expect(citedRules("(STO1, STO99)").filter((rule) => !stated.has(rule))).toEqual(["STO99"]);
  });
});
