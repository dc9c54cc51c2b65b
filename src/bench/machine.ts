import { closeSync, fdatasyncSync, openSync, statfsSync, writeSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { dataDirectory, removeDirectory } from "./programs.ts";
import { median } from "./statistics.ts";

const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs (memory: nothing here is durable)"],
  [0x794c7630, "overlayfs"],
]);
const PROBE_WRITES = 200;

/** Where a bench ran; its figures mean nothing without. */
export interface Machine {
  readonly cpus: string;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly fileSystem: string;
  /** Median of writing 200 bytes into a preallocated file and fdatasync, one after the other. */
  readonly syncMicros: number;
}

/** Describes this machine; takes a few tens of milliseconds. */
export function describeMachine(): Machine {
  const directory = dataDirectory("probe");
  try {
    const type = statfsSync(directory).type;
    return {
      cpus: `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}`,
      memoryGb: Math.round(totalmem() / 2 ** 30),
      kernel: release(),
      node: process.versions.node,
      fileSystem: FILE_SYSTEMS.get(type) ?? `type 0x${type.toString(16)}`,
      syncMicros: probeSync(join(directory, "probe")),
    };
  } finally {
    removeDirectory(directory);
  }
}

/** The machine as the reports for people give it. */
export function renderMachine(machine: Machine): string[] {
  return [
    `${machine.cpus}, ${machine.memoryGb} GB, Linux ${machine.kernel}, Node ${machine.node},`,
    `data on ${machine.fileSystem}; 200 B + fdatasync takes ${machine.syncMicros} µs here.`,
  ];
}

function probeSync(path: string): number {
  const file = openSync(path, "w");
  const record = Buffer.alloc(200, 1);
  writeSync(file, Buffer.alloc(PROBE_WRITES * record.length));
  fdatasyncSync(file);
  const micros: number[] = [];
  for (let i = 0; i < PROBE_WRITES; i += 1) {
    const begun = process.hrtime.bigint();
    writeSync(file, record, 0, record.length, i * record.length);
    fdatasyncSync(file);
    micros.push(Number(process.hrtime.bigint() - begun) / 1000);
  }
  closeSync(file);
  return Math.round(median(micros));
}
