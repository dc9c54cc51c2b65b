import { type ByteString, EMPTY, fromByteString, prefixEnd, toByteString } from "../base/bytes.ts";
import { array, bulk, bulkText, NULL, type Reply } from "../contract/reply.ts";
import type { StateReader } from "../contract/state-machine.ts";
import { collectionOf, countOf, MAP } from "../values/row.ts";
import { type Args, integerNear, isWord, lowerText } from "./arguments.ts";
import { collectionAt, GatheredItems } from "./collections.ts";
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

/** TYPE is an option of SCAN alone. */
function scanOptions(args: Args, from: number, takesType: boolean): ScanOptions {
  let glob: Glob | null = null;
  let count = COUNT_DEFAULT;
  let type: string | null = null;
  for (let i = from; i < args.length; i += 2) {
    const value = args[i + 1];
    if (value === undefined) return refuseSyntax();
    if (isWord(args[i]!, "COUNT")) {
      count = integerNear(value);
      if (count < 1) refuseSyntax();
    } else if (isWord(args[i]!, "MATCH")) glob = new Glob(value);
    else if (takesType && isWord(args[i]!, "TYPE")) type = lowerText(value);
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
const AFTER_NAME = 1;

/**
 * The cursor as it travels: a zero byte for the beginning; else a one and the key or field after
 * which to go on, so that any replica can.
 */
function resumePoint(arg: Uint8Array, edge: CommandEdge): Uint8Array {
  const number = cursorNumber(arg);
  if (number === 0) return Uint8Array.of(FROM_START);
  const name =
    edge.cursors.nameOf(number) ??
    refuse("invalid cursor: this node does not know it any more, begin again with 0");
  const point = new Uint8Array(1 + name.length);
  point[0] = AFTER_NAME;
  point.set(fromByteString(name), 1);
  return point;
}

/** The first name that a page may have: behind the resume point, and where the pattern begins. */
function pageStart(point: Uint8Array, prefix: ByteString): ByteString {
  if (point[0] !== AFTER_NAME) return prefix;
  const next = `${toByteString(point, 1)}\0`;
  return next > prefix ? next : prefix;
}

/** What travels back: the name after which to go on, null at the end, and what was found. */
function pageReply(last: ByteString | null, items: readonly Reply[]): Reply {
  return array([last === null ? NULL : bulk(fromByteString(last)), array(items)]);
}

/** The client's page, whose cursor is a number. */
function numberedPage(reply: Reply, edge: CommandEdge): Reply {
  if (reply.kind !== "array") return reply;
  const [last, items] = reply.items;
  if (last === undefined || items === undefined) return reply;
  const cursor = last.kind === "bulk" ? edge.cursors.numberFor(toByteString(last.bytes)) : 0;
  return array([bulkText(String(cursor)), items]);
}

function scan(args: Args, state: StateReader): Reply {
  const { glob, count, type } = scanOptions(args, 2, true);
  const prefix = glob === null ? "" : toByteString(glob.prefix);
  const from = pageStart(args[1] ?? EMPTY, prefix);
  const items: Reply[] = [];
  let seen = 0;
  let last: ByteString = "";
  for (const [key, row] of state.rows(from, prefixEnd(prefix))) {
    // One key more than COUNT is asked for, so that the last page says that it is the last.
    if (seen === count) return pageReply(last, items);
    seen += 1;
    last = key;
    if (glob !== null && !glob.matches(key)) continue;
    if (type === null || type === kindName(row)) items.push(bulk(fromByteString(key)));
  }
  return pageReply(null, items);
}

const PAGE_DIFFERENCES =
  "that is there all the while is returned exactly once. A cursor is known to the node that gave it, which remembers a bounded number of them.";

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
  differences: `Every key ${PAGE_DIFFERENCES}`,
  check(args) {
    cursorNumber(args[1]!);
    scanOptions(args, 2, true);
  },
  toWire: (args, edge) => [args[0]!, resumePoint(args[1]!, edge), ...args.slice(2)],
  read: scan,
  fromWire: numberedPage,
};

/** As in Redis, where what lies in one piece is answered in one page. */
const ONE_PAGE_FIELDS = 512;

function scanFields(args: Args, state: StateReader, kind: number): Reply {
  const row = collectionAt(state, toByteString(args[1]!), kind);
  if (row === undefined) return pageReply(null, []);
  const { glob, count } = scanOptions(args, 3, false);
  const pageMax = countOf(row) <= ONE_PAGE_FIELDS ? ONE_PAGE_FIELDS : count;
  const prefix = glob === null ? "" : toByteString(glob.prefix);
  const from = pageStart(args[2] ?? EMPTY, prefix);
  const gathered = new GatheredItems();
  let seen = 0;
  let last: ByteString = "";
  for (const [name, value] of state.fields(collectionOf(row), from, prefixEnd(prefix))) {
    if (seen === pageMax || gathered.bytes > LIMITS.scanBytesMax) {
      return pageReply(last, gathered.items);
    }
    seen += 1;
    last = name;
    if (glob !== null && !glob.matches(name)) continue;
    gathered.name(name);
    if (kind === MAP) gathered.value(value);
  }
  return pageReply(null, gathered.items);
}

/** HSCAN and SSCAN, as far as they are the same. */
export function fieldScan(kind: number) {
  const what = kind === MAP ? "field" : "member";
  return {
    arity: -3,
    usage: "key cursor [MATCH pattern] [COUNT count]",
    complexity: "O(COUNT) per call",
    differences: `Every ${what} ${PAGE_DIFFERENCES} A page ends early behind ${LIMITS.scanBytesMax} bytes.`,
    check: (args: Args) => void cursorNumber(args[2]!),
    toWire: (args: Args, edge: CommandEdge): Args => [
      ...args.slice(0, 2),
      resumePoint(args[2]!, edge),
      ...args.slice(3),
    ],
    read: (args: Args, state: StateReader) => scanFields(args, state, kind),
    fromWire: numberedPage,
  } as const;
}

/** Commands that walk through the keys. */
export const SCAN_COMMANDS: readonly CommandSpec[] = [KEYS, SCAN];
