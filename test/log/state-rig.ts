import { fromByteString } from "../../src/core/base/bytes.ts";
import { crc32 } from "../../src/core/base/hash.ts";
import type { Prng } from "../../src/core/base/prng.ts";
import type { DiskOp } from "../../src/core/contract/disk.ts";
import {
  type CheckpointFileStore,
  openCheckpointFileStore,
} from "../../src/core/log/checkpoint-file-store.ts";
import { Checkpointer } from "../../src/core/log/checkpointer.ts";
import { LogWriter } from "../../src/core/log/log-writer.ts";
import { Memtable } from "../../src/core/log/memtable.ts";
import { recoverLog } from "../../src/core/log/recovery.ts";
import type { MemoryDisk } from "../../src/testing/sim/memory-disk.ts";
import { SEGMENT_BYTES, textRecord, texts } from "./log-rig.ts";

/** The row in which the rig keeps how many turns its state comes from. */
export const META = "~turns";

/** Log, memtable, store and checkpoints together, over a state machine of `key=value` turns. */
export class StateRig {
  readonly disk: MemoryDisk;
  readonly store: CheckpointFileStore;
  readonly memtable: Memtable;
  readonly log: LogWriter;
  readonly checkpointer: Checkpointer;
  /** Turns that the state is made of. */
  turns: number;
  #op: DiskOp = 0;
  #batch = 0;
  readonly #turnOf = new Map<number, number>();

  constructor(disk: MemoryDisk, logBytesMax = 600) {
    const nextOp = () => {
      this.#op += 1;
      return this.#op;
    };
    this.disk = disk;
    this.store = openCheckpointFileStore({ disk, checksum: crc32, nextOp, chunkBytes: 64 });
    const recovery = recoverLog(disk, crc32, this.store.position);
    if (recovery.kind === "corrupt") throw new Error(`${recovery.position}: ${recovery.reason}`);
    this.memtable = new Memtable(this.store);
    this.turns = Number(textOf(this.store.get(META)) ?? 0);
    for (const text of texts(recovery)) this.#apply(text);
    this.log = new LogWriter({
      disk,
      checksum: crc32,
      nextOp,
      end: recovery.end,
      segmentBytes: SEGMENT_BYTES,
    });
    this.checkpointer = new Checkpointer({
      memtable: this.memtable,
      store: this.store,
      log: this.log,
      beforeFreeze: () => this.memtable.put(META, fromByteString(String(this.turns))),
      logBytesMax,
      sliceRowsMax: 2,
    });
  }

  /** A turn that changes one key. */
  change(text: string): void {
    this.#apply(text);
    this.#batch += 1;
    this.#turnOf.set(this.#batch, this.turns);
    this.log.append(this.#batch, [textRecord(text)]);
    this.#settleTurn();
  }

  /** Up to `max` disk operations, then a turn. False if nothing is left to do. */
  step(max = 1, prng?: Prng): boolean {
    const completions = this.disk.drain(max, prng);
    for (const completion of completions) {
      const isLog = this.log.onDisk(completion);
      const isStore = this.store.onDisk(completion);
      if (isLog === isStore) throw new Error(`operation ${completion.op} belongs to both or none`);
    }
    const isBusy = this.checkpointer.busy;
    this.#settleTurn();
    return completions.length > 0 || isBusy;
  }

  settle(): this {
    while (this.step()) if (this.log.failure !== null || this.store.failure !== null) break;
    return this;
  }

  /** Turns that were promised to be durable. */
  get promised(): number {
    return this.#turnOf.get(this.log.written) ?? 0;
  }

  /** Everything a reader sees, without the rig's own row. */
  contents(): [string, string][] {
    const rows: [string, string][] = [];
    for (const [key, value] of this.memtable.rows("", null)) {
      if (key !== META) rows.push([key, textOf(value) ?? ""]);
    }
    return rows;
  }

  #settleTurn(): void {
    this.log.tick(0);
    this.log.flush();
    this.checkpointer.turn();
  }

  #apply(text: string): void {
    this.turns += 1;
    const [key, value] = text.split("=") as [string, string | undefined];
    if (value === undefined) this.memtable.delete(key);
    else this.memtable.put(key, fromByteString(value));
  }
}

/** The state that these turns lead to. */
export function stateAfter(turns: readonly string[]): [string, string][] {
  const state = new Map<string, string>();
  for (const text of turns) {
    const [key, value] = text.split("=") as [string, string | undefined];
    if (value === undefined) state.delete(key);
    else state.set(key, value);
  }
  return [...state].sort(([a], [b]) => (a < b ? -1 : 1));
}

export function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : String.fromCharCode(...bytes);
}
