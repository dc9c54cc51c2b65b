import { byProcess, describe, type Operation, type Violation } from "./history.ts";
import { tokensOf } from "./models.ts";

/**
 * GEN2 on lists: a read sees every earlier write of its connection, in order, and no later one.
 * Holds for local reads too. Writes that may be lost by their concern need not be seen.
 */
export function checkProgramOrder(
  operations: readonly Operation[],
  isList: (key: string) => boolean,
): Violation | null {
  for (const [, ofProcess] of byProcess(operations)) {
    const found = checkProcess(ofProcess.filter((operation) => isList(operation.key)));
    if (found !== null) return found;
  }
  return null;
}

function checkProcess(operations: readonly Operation[]): Violation | null {
  const writerOf = new Map<string, Operation>();
  for (const operation of operations) {
    if (operation.action.kind === "append") writerOf.set(operation.action.token, operation);
  }
  for (const read of operations) {
    if (read.action.kind !== "get" || read.outcome !== "ok") continue;
    const found = checkRead(read, operations, writerOf);
    if (found !== null) return found;
  }
  return null;
}

function checkRead(
  read: Operation,
  operations: readonly Operation[],
  writerOf: ReadonlyMap<string, Operation>,
): Violation | null {
  const tokens = tokensOf(typeof read.result === "string" ? read.result : null);
  const own = tokens.flatMap((token) => writerOf.get(token) ?? []);
  let highest = -1;
  for (const writer of own) {
    if (writer.id > read.id) return broken(read, "sees a later write of its connection", writer);
    if (writer.id < highest)
      return broken(read, "sees writes of its connection out of order", writer);
    highest = writer.id;
  }
  const seen = new Set(own.map((writer) => writer.id));
  for (const write of operations) {
    if (write.id >= read.id) break;
    if (write.key !== read.key || write.action.kind !== "append") continue;
    const owed = write.outcome === "ok" && write.promised === "strong";
    if (owed && !seen.has(write.id)) {
      return broken(read, "misses an earlier write of its connection", write);
    }
  }
  return null;
}

function broken(read: Operation, what: string, write: Operation): Violation {
  return { oracle: "program-order", message: `${describe(read)} ${what}: ${describe(write)}` };
}
