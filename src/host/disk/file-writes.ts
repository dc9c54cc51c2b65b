import fs from "node:fs";
import { DiskError } from "../../core/contract/disk.ts";

/** Most buffers that one `writev` takes on any platform we run on. */
const BUFFERS_MAX = 1024;
const ZEROS = new Uint8Array(1024 * 1024);

type Callback = (error: unknown) => void;

/** Bytes of all parts together. */
export function totalBytes(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}

/** Writes all parts from `at` on before it returns; throws what `node:fs` throws. */
export function writeAllSync(fd: number, parts: readonly Uint8Array[], at: number): void {
  let rest = parts.filter((part) => part.length > 0);
  let position = at;
  while (rest.length > 0) {
    const written = fs.writevSync(fd, rest.slice(0, BUFFERS_MAX), position);
    position += written;
    rest = without(rest, written);
  }
}

/** The same in the background. */
export function writeAll(
  fd: number,
  parts: readonly Uint8Array[],
  at: number,
  done: Callback,
): void {
  const rest = parts.filter((part) => part.length > 0);
  if (rest.length === 0) {
    queueMicrotask(() => done(null));
    return;
  }
  fs.writev(fd, rest.slice(0, BUFFERS_MAX), at, (error, written) => {
    if (error !== null) return done(error);
    let left: Uint8Array[];
    try {
      left = without(rest, written);
    } catch (failure) {
      return done(failure);
    }
    if (left.length === 0) return done(null);
    writeAll(fd, left, at + written, done);
  });
}

/** Fills a file with zeros, so that its blocks are allocated and written to. */
export function writeZeros(fd: number, at: number, bytes: number, done: Callback): void {
  if (bytes === 0) {
    queueMicrotask(() => done(null));
    return;
  }
  const chunk = ZEROS.subarray(0, Math.min(bytes, ZEROS.length));
  fs.write(fd, chunk, 0, chunk.length, at, (error, written) => {
    if (error !== null) return done(error);
    if (written === 0) return done(nothingWritten());
    writeZeros(fd, at + written, bytes - written, done);
  });
}

/**
 * What is left of the parts after so many bytes. A write that wrote nothing would go on for ever.
 */
function without(parts: readonly Uint8Array[], written: number): Uint8Array[] {
  if (written === 0) throw nothingWritten();
  let skip = written;
  for (const [i, part] of parts.entries()) {
    if (skip < part.length) return [part.subarray(skip), ...parts.slice(i + 1)];
    skip -= part.length;
  }
  return [];
}

function nothingWritten(): DiskError {
  return new DiskError("DISK_FULL", "the file system took no bytes and gave no reason");
}
