import { closeSync, openSync, readSync } from "node:fs";
import { decodeUtf8, encodeUtf8 } from "../core/base/bytes.ts";
import { LIMITS } from "../core/commands/limits.ts";
import { EXIT, StartError } from "./exit-codes.ts";

/** A password and its line break; what is longer is some other file, and not read to its end. */
const FILE_BYTES_MAX = LIMITS.passwordBytesMax + 2;

/**
 * The password that a file holds: its content, without the line break that editors put at the end.
 * Throws `StartError`, which names the file and nothing of what is in it.
 */
export function readPasswordFile(path: string): string {
  const text = readShortFile(path).replace(/\r?\n$/, "");
  const problem = problemOf(text);
  if (problem === null) return text;
  throw new StartError(EXIT.usage, `The password file ${path} cannot be used: ${problem}`);
}

function readShortFile(path: string): string {
  try {
    const bytes = new Uint8Array(FILE_BYTES_MAX + 1);
    const file = openSync(path, "r");
    try {
      return decodeUtf8(bytes.subarray(0, readSync(file, bytes)));
    } finally {
      closeSync(file);
    }
  } catch (failure) {
    const reason = failure instanceof Error ? failure.message : String(failure);
    throw new StartError(EXIT.usage, `The password file cannot be read: ${reason}`);
  }
}

/** Why a text is no password, as a sentence that does not repeat it; null if it is one. */
export function problemOf(password: string): string | null {
  const { length } = encodeUtf8(password);
  if (length === 0) return "it is empty.";
  if (/[\r\n]/.test(password)) return "it must be one line.";
  if (length <= LIMITS.passwordBytesMax) return null;
  return `a password may have ${LIMITS.passwordBytesMax} bytes at most.`;
}
