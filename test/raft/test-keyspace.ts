import { NO_ROWS } from "../../src/core/base/row-hash.ts";
import { commandMachine } from "../../src/core/commands/command-machine.ts";
import type { Reply } from "../../src/core/contract/reply.ts";
import { MemoryStore } from "../../src/core/log/memory-store.ts";
import { Memtable } from "../../src/core/log/memtable.ts";
import { ChangeLog } from "../../src/core/replication/single-leader/change-log.ts";
import { KeyspaceState } from "../../src/core/replication/single-leader/keyspace-state.ts";
import { NO_KEYS } from "../../src/core/replication/single-leader/rows.ts";
import { StateRows } from "../../src/core/replication/single-leader/state-rows.ts";

/** One keyspace in memory, to which commands are applied as if each were the log's next entry. */
export class TestKeyspace {
  readonly memtable = new Memtable(new MemoryStore());
  readonly rows = new StateRows(this.memtable, "p", "q", NO_ROWS);
  readonly state = new KeyspaceState(this.rows, "p", NO_KEYS, new ChangeLog());
  index = 0;
  /** Log time. */
  time = 0;
  /** Bytes that the last command has changed. */
  changedBytes = 0;

  apply(command: Uint8Array): Reply {
    this.index += 1;
    this.state.begin(this.index, this.time);
    const reply = commandMachine.apply(command, this.state, this.time);
    this.changedBytes = this.state.changedBytes;
    this.state.commit();
    return reply;
  }

  /** An entry that only moves time on and removes what is dead. */
  sweep(rowsMax = 1_000_000): void {
    this.index += 1;
    this.state.begin(this.index, this.time);
    this.state.sweep(rowsMax);
  }

  read(command: Uint8Array): Reply {
    this.state.begin(this.index, this.time);
    return commandMachine.read(command, this.state, this.time);
  }

  /** Everything that is stored, tables and all: what is left behind shows. */
  stored(): string[] {
    return [...this.memtable.rows("", null)].map(([key]) => key.slice(1));
  }
}
