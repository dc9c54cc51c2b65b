import { type ByteString, EMPTY, fromByteString, prefixEnd, toByteString } from "../base/bytes.ts";
import { array, bulk, bulkText, NULL, type Reply } from "../contract/reply.ts";
import type { StateReader } from "../contract/state-machine.ts";
import { type Args, integerNear, isWord, lowerText } from "./arguments.ts";
import { Glob } from "./glob.ts";
import { kindName } from "./keys.ts";
import { LIMITS } from "./limits.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
import { type CommandEdge, type CommandSpec, EVERY_MODEL, type ReadCommand } from "./spec.ts";

const COUNT_DEFAULT = 10;

const KEYS: ReadCommand = {
  kind: "read",
  id: 90,
  name: "keys",
  arity: 2,
  usage: "pattern",
  group: "generic",
  flags: ["readonly"],
  categories: ["keyspace", "dangerous"],
  keys: null,
  models: EVERY_MODEL,
  since: "1.0.0",
  summary: "All keys that match a pattern, in the order of their bytes.",
  complexity: "O(N) in the keys that begin as the pattern does",
  read(args, state) {
    const glob = new Glob(args[1]!);
    const prefix = toByteString(glob.prefix);
    const items: Reply[] = [];
    for (const [key] of state.rows(prefix, prefixEnd(prefix))) {
      if (glob.isAny || glob.matches(key)) items.push(bulk(fromByteString(key)));
    }
    return array(items);
  },
};

interface ScanOptions {
  readonly glob: Glob | null;
  readonly count: number;
  /** Lower case; null for all. */
  readonly type: string | null;
}

function scanOptions(args: Args): ScanOptions {
  let glob: Glob | null = null;
  let count = COUNT_DEFAULT;
  let type: string | null = null;
  for (let i = 2; i < args.length; i += 2) {
    const value = args[i + 1];
    if (value === undefined) return refuseSyntax();
    if (isWord(args[i]!, "COUNT")) {
      count = integerNear(value);
      if (count < 1) refuseSyntax();
    } else if (isWord(args[i]!, "MATCH")) glob = new Glob(value);
    else if (isWord(args[i]!, "TYPE")) type = lowerText(value);
    else refuseSyntax();
  }
  return { glob, count: Math.min(count, LIMITS.scanCountMax), type };
}

const CURSOR_DIGITS_MAX = 20;

function cursorNumber(arg: Uint8Array): number {
  let value = 0;
  for (const byte of arg) {
    if (byte < 0x30 || byte > 0x39) refuse("invalid cursor");
    value = value * 10 + (byte - 0x30);
  }
  if (arg.length > CURSOR_DIGITS_MAX) refuse("invalid cursor");
  return value;
}

const FROM_START = 0;
const AFTER_KEY = 1;

/**
 * The cursor as it travels: a zero byte for the beginning; else a one and the key after which to go
 * on, so that any replica can.
 */
function resumePoint(arg: Uint8Array, edge: CommandEdge): Uint8Array {
  const number = cursorNumber(arg);
  if (number === 0) return Uint8Array.of(FROM_START);
  const key =
    edge.cursors.keyOf(number) ??
    refuse("invalid cursor: this node does not know it any more, begin again with SCAN 0");
  const point = new Uint8Array(1 + key.length);
  point[0] = AFTER_KEY;
  point.set(fromByteString(key), 1);
  return point;
}

function scan(args: Args, state: StateReader): Reply {
  const { glob, count, type } = scanOptions(args);
  const point = args[1] ?? EMPTY;
  const prefix = glob === null ? "" : toByteString(glob.prefix);
  let from = prefix;
  if (point[0] === AFTER_KEY) {
    const next = `${toByteString(point, 1)}\0`;
    if (next > from) from = next;
  }
  const items: Reply[] = [];
  let seen = 0;
  let last: ByteString = "";
  for (const [key, row] of state.rows(from, prefixEnd(prefix))) {
    // One key more than COUNT is asked for, so that the last page says that it is the last.
    if (seen === count) return array([bulk(fromByteString(last)), array(items)]);
    seen += 1;
    last = key;
    if (glob !== null && !glob.matches(key)) continue;
    if (type === null || type === kindName(row)) items.push(bulk(fromByteString(key)));
  }
  return array([NULL, array(items)]);
}

const SCAN: ReadCommand = {
  kind: "read",
  id: 91,
  name: "scan",
  arity: -2,
  usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
  group: "generic",
  flags: ["readonly"],
  categories: ["keyspace"],
  keys: null,
  models: EVERY_MODEL,
  since: "2.8.0",
  summary: "Goes through the keys page by page, in the order of their bytes.",
  complexity: "O(COUNT) per call",
  differences:
    "Every key that is there all the while is returned exactly once. A cursor is known to the node that gave it, which remembers a bounded number of them.",
  check(args) {
    cursorNumber(args[1]!);
    scanOptions(args);
  },
  toWire: (args, edge) => [args[0]!, resumePoint(args[1]!, edge), ...args.slice(2)],
  read: scan,
  fromWire(reply, edge) {
    if (reply.kind !== "array") return reply;
    const [last, items] = reply.items;
    if (last === undefined || items === undefined) return reply;
    const cursor = last.kind === "bulk" ? edge.cursors.numberFor(toByteString(last.bytes)) : 0;
    return array([bulkText(String(cursor)), items]);
  },
};

/** Commands that walk through the keys. */
export const SCAN_COMMANDS: readonly CommandSpec[] = [KEYS, SCAN];
