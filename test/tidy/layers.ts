import { posix } from "node:path";
import { type Finding, importsOf, type SourceFile } from "./source.ts";

/** Folders of src/core; each imports only from itself and from those before it. */
export const CORE_RANKS = [
  "base",
  "causality",
  "values",
  "contract",
  "log",
  "membership",
  "sessions",
  "commands",
  "replication",
  "node",
  "wire",
] as const;

const MODELS = ["single-leader", "multi-leader", "leaderless"];

/** What each part of src may import besides itself. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  host: ["core"],
  client: ["core"],
  embedded: ["core", "host", "client"],
  browser: ["core", "client"],
  testing: ["core", "client"],
  cli: ["core", "host", "client", "testing"],
  bench: ["core", "host", "client", "testing", "cli"],
};

/** Modules of src that exist to be imported by users of the package. */
const PACKAGE_ENTRIES = ["src/client/index.ts", "src/embedded/index.ts"];

/** Which part may import which, within src, and in which order the core's folders stand. */
export function layerFindings(file: SourceFile): Finding[] {
  if (!file.path.startsWith("src/") || isTest(file.path)) return [];
  const findings: Finding[] = [];
  for (const { specifier, line } of importsOf(file)) {
    if (!specifier.startsWith(".")) continue;
    const target = posix.normalize(posix.join(posix.dirname(file.path), specifier));
    const message = refusal(file.path, target);
    if (message !== null) findings.push({ path: file.path, line, message });
  }
  return findings;
}

/** The core uses no package at all; what is published uses runtime dependencies only. */
export function packageFindings(file: SourceFile, dependencies: readonly string[]): Finding[] {
  const part = file.path.split("/")[1];
  if (!file.path.startsWith("src/") || isTest(file.path) || part === "bench") return [];
  const findings: Finding[] = [];
  for (const { specifier, line } of importsOf(file)) {
    if (specifier.startsWith(".")) continue;
    if (part === "core") {
      findings.push({ path: file.path, line, message: `src/core imports ${specifier}` });
    } else if (!specifier.startsWith("node:") && !dependencies.includes(packageOf(specifier))) {
      const message = `${specifier} is not among the package's dependencies`;
      findings.push({ path: file.path, line, message });
    }
  }
  return findings;
}

/** Barrels hide who needs what and breed cycles: only the package's entries may be one. */
export function barrelFindings(file: SourceFile): Finding[] {
  if (!file.path.startsWith("src/")) return [];
  const findings: Finding[] = [];
  if (/\/index\.ts$/.test(file.path) && !PACKAGE_ENTRIES.includes(file.path)) {
    findings.push({ path: file.path, line: 1, message: "index.ts that is no package entry" });
  }
  // One entry of the package may hand on what another one gives.
  if (PACKAGE_ENTRIES.includes(file.path)) return findings;
  for (const { specifier, line } of importsOf(file)) {
    if (/(^|\/)index\.(ts|js)$/.test(specifier) || /^\.{1,2}\/?$/.test(specifier)) {
      findings.push({ path: file.path, line, message: `imports the barrel ${specifier}` });
    }
  }
  return findings;
}

function refusal(from: string, to: string): string | null {
  const [, fromPart = "", fromFolder = "", fromModel = ""] = from.split("/");
  const [toTop, toPart = "", toFolder = "", toModel = ""] = to.split("/");
  const allowed = PARTS[fromPart];
  if (allowed === undefined) return `src/${fromPart} has no place among the layers`;
  if (toTop !== "src") return `imports ${to}, which is outside src`;
  if (fromPart !== toPart) {
    return allowed.includes(toPart) ? null : `src/${fromPart} may not import src/${toPart}`;
  }
  if (fromPart !== "core") return null;
  const fromRank = rankOf(fromFolder);
  const toRank = rankOf(toFolder);
  if (fromRank === -1) return `src/core/${fromFolder} has no rank`;
  if (toRank > fromRank) return `core/${fromFolder} may not import core/${toFolder}`;
  const crosses = fromModel !== toModel && MODELS.includes(fromModel) && MODELS.includes(toModel);
  if (crosses) return `replication/${fromModel} may not import replication/${toModel}`;
  return null;
}

function rankOf(folder: string): number {
  return (CORE_RANKS as readonly string[]).indexOf(folder);
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? specifier);
}

/** Tests stand beside what they test and may import anything. */
export function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}
