import { crc32 } from "../../src/core/base/hash.ts";
import type { LogIndex, NodeId, Term } from "../../src/core/contract/ids.ts";
import type { TraceEvent } from "../../src/core/contract/trace.ts";
import type { TestNode } from "./test-node.ts";

interface Committed {
  readonly crc: number;
  /** The lowest term in which some node knew it to be committed. */
  readonly term: Term;
}

/** The properties of Raft's Figure 3, judged from outside after every turn. */
export class Oracles {
  readonly violations: string[] = [];
  readonly #leaders = new Map<Term, NodeId>();
  readonly #committed = new Map<LogIndex, Committed>();
  readonly #applied = new Map<LogIndex, string>();
  readonly #matched = new Map<string, LogIndex>();

  onTrace({ node, mark, detail = "" }: TraceEvent): void {
    if (mark !== "apply") return;
    const index = numberIn(detail, "index");
    const entry = detail.slice(detail.indexOf("term="));
    const before = this.#applied.get(index) ?? entry;
    this.#applied.set(index, before);
    if (before !== entry) this.#report(`state machine safety: ${node} applied another ${index}`);
  }

  /** After a turn of this node. */
  check(node: TestNode): void {
    this.#checkElection(node);
    this.#checkCommit(node);
    this.#checkLeader(node);
    this.#checkMatch(node);
  }

  #checkElection({ name, replica }: TestNode): void {
    const { raft } = replica.inspect();
    if (!raft.isLeader) return;
    const other = this.#leaders.get(raft.term) ?? name;
    this.#leaders.set(raft.term, other);
    if (other !== name) {
      this.#report(`election safety: ${other} and ${name} lead term ${raft.term}`);
    }
  }

  #checkCommit({ name, replica }: TestNode): void {
    const { raft } = replica.inspect();
    for (let index = raft.commitIndex; index > raft.log.compactedIndex; index -= 1) {
      const crc = crc32(raft.log.entry(index));
      const known = this.#committed.get(index);
      if (known === undefined) this.#committed.set(index, { crc, term: raft.term });
      else if (known.crc !== crc) this.#report(`log matching: ${name} committed another ${index}`);
    }
  }

  /** Binds leaders of later terms than the one in which an entry was committed. */
  #checkLeader({ name, replica }: TestNode): void {
    const { raft } = replica.inspect();
    if (!raft.isLeader) return;
    for (const [index, { crc, term }] of this.#committed) {
      if (term > raft.term || index <= raft.log.compactedIndex) continue;
      const has = index <= raft.log.lastIndex && crc32(raft.log.entry(index)) === crc;
      if (!has) this.#report(`leader completeness: ${name} of term ${raft.term} lacks ${index}`);
    }
  }

  #checkMatch({ name, replica }: TestNode): void {
    const { raft } = replica.inspect();
    for (const { node, matchIndex } of raft.leadership?.followers ?? []) {
      const key = `${name} ${raft.term} ${node}`;
      const before = this.#matched.get(key) ?? 0;
      if (matchIndex < before) this.#report(`matchIndex of ${node} fell on ${name}`);
      this.#matched.set(key, Math.max(before, matchIndex));
    }
  }

  #report(text: string): void {
    if (!this.violations.includes(text)) this.violations.push(text);
  }
}

function numberIn(detail: string, name: string): number {
  const found = new RegExp(`${name}=(\\d+)`).exec(detail);
  return Number(found?.[1] ?? Number.NaN);
}
