import { encodeUtf8 } from "../../src/core/base/bytes.ts";
import type { MutantId } from "../../src/core/base/mutants.ts";
import { Prng } from "../../src/core/base/prng.ts";
import type { LogIndex, Term } from "../../src/core/contract/ids.ts";
import { Outbox } from "../../src/core/contract/outbox.ts";
import { NO_TRACE } from "../../src/core/contract/trace.ts";
import {
  type EntryKind,
  makeEntry,
  stampEntry,
} from "../../src/core/replication/single-leader/entry.ts";
import type { EntryBytes } from "../../src/core/replication/single-leader/messages.ts";
import {
  RAFT_LIMITS,
  Raft,
  type SingleLeaderVocabulary,
} from "../../src/core/replication/single-leader/raft.ts";
import { GROUP, PIPELINED, TIMING } from "./test-node.ts";

/** An entry with everything stamped. */
export function entry(
  index: LogIndex,
  term: Term,
  text = "",
  { kind = "command", session = 0, sequence = 0, floor = 0, time = 0 }: EntryOptions = {},
): EntryBytes {
  const bytes = makeEntry(kind, encodeUtf8(text));
  stampEntry(bytes, { index, term, time, session, sequence, floor });
  return bytes;
}

export interface EntryOptions {
  readonly kind?: EntryKind;
  readonly session?: number;
  readonly sequence?: number;
  readonly floor?: number;
  readonly time?: number;
}

export interface RaftSettings {
  readonly node?: string;
  readonly voters?: readonly string[];
  readonly term?: Term;
  readonly vote?: string | null;
  /** Terms of the log's entries, from index 1 on; all durable. */
  readonly log?: readonly Term[];
  readonly mutant?: MutantId | null;
  readonly boot?: number;
}

/** Raft's state on n1 of three, as a test wants it. */
export function makeRaft({
  node = "n1",
  voters = ["n1", "n2", "n3"],
  term = 0,
  vote = null,
  log = [],
  mutant = null,
  boot = 0,
}: RaftSettings = {}): Raft {
  const raft = new Raft(
    {
      group: GROUP,
      node,
      voters,
      timing: TIMING,
      limits: { ...RAFT_LIMITS, ...PIPELINED },
      prng: new Prng(1),
      trace: NO_TRACE,
      traced: false,
      mutant,
    },
    0,
    boot,
  );
  raft.term = term;
  raft.vote = vote;
  for (const [i, entryTerm] of log.entries()) raft.log.append(entry(i + 1, entryTerm));
  raft.log.allDurable();
  return raft;
}

export function makeOutbox(): Outbox<SingleLeaderVocabulary> {
  return new Outbox<SingleLeaderVocabulary>();
}
