import { readFileSync } from "node:fs";

/** This package's version, from its package.json: two folders up, in the sources as in dist. */
export const VERSION: string = readVersion();

function readVersion(): string {
  const path = new URL("../../package.json", import.meta.url);
  const content: unknown = JSON.parse(readFileSync(path, "utf8"));
  const isPackage = typeof content === "object" && content !== null && "version" in content;
  if (!isPackage || typeof content.version !== "string") throw new Error("package.json is damaged");
  return content.version;
}
