import {
  type ByteString,
  decodeUtf8,
  encodeUtf8,
  toByteString,
} from "../../src/core/base/bytes.ts";
import { bulkText, integer, NULL, OK, type Reply } from "../../src/core/contract/reply.ts";
import type {
  StateMachine,
  StateReader,
  StateWriter,
} from "../../src/core/contract/state-machine.ts";
import { REGISTER, VALUE_AT } from "../../src/core/values/row.ts";

/**
 * Commands as text: `SET k v`, `APPEND k v`, `INCR k`, `DEL k`, `GET k`, and `FAIL`, which throws
 * as a bug in a command would. Enough to see order, loss and repetition.
 */
export const toyMachine: StateMachine = {
  apply(command: Uint8Array, state: StateWriter): Reply {
    const [name, key = "", value = ""] = decodeUtf8(command).split(" ");
    const old = textAt(state, bytesOf(key));
    switch (name) {
      case "SET":
        state.set(bytesOf(key), rowOf(value));
        return OK;
      case "APPEND":
        state.set(bytesOf(key), rowOf((old ?? "") + value));
        return integer((old ?? "").length + value.length);
      case "INCR":
        state.set(bytesOf(key), rowOf(String(Number(old ?? 0) + 1)));
        return integer(Number(old ?? 0) + 1);
      case "DEL":
        return integer(state.delete(bytesOf(key)) ? 1 : 0);
      default:
        state.set(bytesOf("half"), rowOf("done"));
        throw new Error(`a bug in ${name}`);
    }
  },

  read(command: Uint8Array, state: StateReader): Reply {
    const [, key = ""] = decodeUtf8(command).split(" ");
    const value = textAt(state, bytesOf(key));
    return value === undefined ? NULL : bulkText(value);
  },
};

function bytesOf(text: string): ByteString {
  return toByteString(encodeUtf8(text));
}

function textAt(state: StateReader, key: ByteString): string | undefined {
  const value = state.get(key);
  return value === undefined ? undefined : decodeUtf8(value.subarray(VALUE_AT));
}

function rowOf(text: string): Uint8Array {
  const value = encodeUtf8(text);
  const row = new Uint8Array(VALUE_AT + value.length);
  row[0] = REGISTER;
  row.set(value, VALUE_AT);
  return row;
}
