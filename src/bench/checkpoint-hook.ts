/**
 * Loaded into each node by `--import`: writes when the node's checkpoints begin and end into the
 * file that `checkpointLog` names. Asking `/metrics` often enough would cost milliseconds of the
 * node's main thread each time, and the latencies in question are not much longer.
 */
import { appendFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { Checkpointer } from "../core/log/checkpointer.ts";
import { checkpointLog } from "./checkpoint-spans.ts";

const directory = process.env["BENCH_CHECKPOINT_DIR"];

if (directory !== undefined) {
  const path = checkpointLog(directory, process.pid);
  const turn = Object.getOwnPropertyDescriptor(Checkpointer.prototype, "turn")?.value as (
    this: Checkpointer,
  ) => void;
  Checkpointer.prototype.turn = function watchedTurn(this: Checkpointer): void {
    const wasRunning = this.isRunning;
    const begun = performance.now();
    turn.call(this);
    if (this.isRunning === wasRunning) return;
    const at = performance.timeOrigin + (wasRunning ? performance.now() : begun);
    appendFileSync(path, `${wasRunning ? "end" : "begin"} ${at}\n`);
  };
}
