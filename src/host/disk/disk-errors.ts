import { DiskError, type DiskErrorCode } from "../../core/contract/disk.ts";

/** No room: the device's, a quota's, or the largest file that this process may write. */
const FULL: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];

/** An error of `node:fs` as the core knows it; the system's own code stays in the sentence. */
export function diskError(error: unknown, doing: string): DiskError {
  if (error instanceof DiskError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = error instanceof Error ? error.message : String(error);
  return new DiskError(diskErrorCode(code), `${doing}: ${reason}`);
}

function diskErrorCode(code: string): DiskErrorCode {
  if (FULL.includes(code)) return "DISK_FULL";
  return code === "ENOENT" ? "DISK_MISSING" : "DISK_FAILED";
}
