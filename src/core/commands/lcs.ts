import { assert } from "../base/assert.ts";
import { toByteString } from "../base/bytes.ts";
import { array, bulk, bulkText, integer, type Reply } from "../contract/reply.ts";
import type { StateReader } from "../contract/state-machine.ts";
import { isRegister } from "../values/row.ts";
import { type Args, integerNear, isWord } from "./arguments.ts";
import { LIMITS } from "./limits.ts";
import { refuse, refuseSyntax } from "./refusal.ts";
import { type CommandSpec, EVERY_MODEL, type ReadCommand, TWO_KEYS } from "./spec.ts";
import { registerValue } from "./value.ts";

interface LcsOptions {
  readonly length: boolean;
  readonly indexes: boolean;
  readonly matchLengthMin: number;
  readonly withMatchLength: boolean;
}

function lcsOptions(args: Args): LcsOptions {
  let length = false;
  let indexes = false;
  let matchLengthMin = 0;
  let withMatchLength = false;
  for (let i = 3; i < args.length; i += 1) {
    const word = args[i]!;
    if (isWord(word, "IDX")) indexes = true;
    else if (isWord(word, "LEN")) length = true;
    else if (isWord(word, "WITHMATCHLEN")) withMatchLength = true;
    else if (isWord(word, "MINMATCHLEN") && i + 1 < args.length) {
      i += 1;
      matchLengthMin = Math.max(0, integerNear(args[i]!));
    } else refuseSyntax();
  }
  if (indexes && length) {
    refuse("If you want both the length and indexes, please just use IDX.");
  }
  return { length, indexes, matchLengthMin, withMatchLength };
}

/** Lengths of the longest common subsequences of all prefixes, row by row. */
interface LcsTable {
  readonly a: Uint8Array;
  readonly b: Uint8Array;
  readonly lengths: Uint32Array;
}

function lcsTable(a: Uint8Array, b: Uint8Array): LcsTable {
  const width = b.length + 1;
  const cells = (a.length + 1) * width;
  if (cells * 4 > LIMITS.valueBytesMax) {
    refuse("Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
  }
  const lengths = new Uint32Array(cells);
  for (let i = 1; i <= a.length; i += 1) {
    for (let j = 1; j <= b.length; j += 1) {
      const at = i * width + j;
      lengths[at] =
        a[i - 1] === b[j - 1]
          ? lengths[at - width - 1]! + 1
          : Math.max(lengths[at - width]!, lengths[at - 1]!);
    }
  }
  return { a, b, lengths };
}

/** A run of equal bytes in both values; ends are included. */
interface Match {
  aStart: number;
  readonly aEnd: number;
  bStart: number;
  readonly bEnd: number;
}

/** The matches from the last to the first, and the bytes they make up. */
function trace(table: LcsTable): { readonly matches: Match[]; readonly common: Uint8Array } {
  const { a, b, lengths } = table;
  const width = b.length + 1;
  const common = new Uint8Array(lengths[lengths.length - 1]!);
  const matches: Match[] = [];
  let left = common.length;
  let open: Match | null = null;
  let i = a.length;
  let j = b.length;
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      left -= 1;
      common[left] = a[i - 1]!;
      if (open === null) {
        open = { aStart: i - 1, aEnd: i - 1, bStart: j - 1, bEnd: j - 1 };
        matches.push(open);
      } else {
        open.aStart -= 1;
        open.bStart -= 1;
      }
      i -= 1;
      j -= 1;
      continue;
    }
    open = null;
    // Among equally long subsequences this is the one that Redis finds.
    if (lengths[(i - 1) * width + j]! > lengths[i * width + j - 1]!) i -= 1;
    else j -= 1;
  }
  assert(left === 0, "the trace missed a common byte");
  return { matches, common };
}

function matchesReply(matches: readonly Match[], length: number, options: LcsOptions): Reply {
  const items: Reply[] = [];
  for (const match of matches) {
    const matchLength = match.aEnd - match.aStart + 1;
    if (matchLength < options.matchLengthMin) continue;
    const item = [
      array([integer(match.aStart), integer(match.aEnd)]),
      array([integer(match.bStart), integer(match.bEnd)]),
    ];
    if (options.withMatchLength) item.push(integer(matchLength));
    items.push(array(item));
  }
  return {
    kind: "map",
    items: [bulkText("matches"), array(items), bulkText("len"), integer(length)],
  };
}

function textAt(state: StateReader, key: Uint8Array): Uint8Array {
  const row = state.get(toByteString(key));
  if (row === undefined) return new Uint8Array(0);
  if (!isRegister(row)) refuse("The specified keys must contain string values");
  return registerValue(row);
}

const LCS: ReadCommand = {
  kind: "read",
  id: 30,
  name: "lcs",
  arity: -3,
  usage: "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
  group: "string",
  flags: ["readonly"],
  keys: TWO_KEYS,
  models: EVERY_MODEL,
  since: "7.0.0",
  summary: "The longest common subsequence of two values.",
  complexity: "O(N*M) in the lengths of the values",
  check: (args) => void lcsOptions(args),
  read(args, state) {
    const a = textAt(state, args[1]!);
    const b = textAt(state, args[2]!);
    const options = lcsOptions(args);
    const table = lcsTable(a, b);
    if (options.length) return integer(table.lengths[table.lengths.length - 1]!);
    const { matches, common } = trace(table);
    return options.indexes ? matchesReply(matches, common.length, options) : bulk(common);
  },
};

/** LCS, the longest common subsequence. */
export const LCS_COMMANDS: readonly CommandSpec[] = [LCS];
