import { type GroupId, keyspaceOf, type NodeId } from "../../core/contract/ids.ts";
import { CATALOG_GROUP } from "../../core/node/keyspaces.ts";
import type { Micros } from "./scheduler.ts";

/** One line of a run's story. */
export interface TimelineLine {
  readonly at: Micros;
  /** Whom it concerns: a node, a client, or the cluster as a whole. */
  readonly who: string;
  readonly mark: string;
  readonly detail: string;
}

/** Whom a line concerns: a node in one of its groups; the default keyspace's is not named. */
export function nodeInGroup(node: NodeId, group: GroupId): string {
  if (group === 0) return node;
  return `${node}/${group === CATALOG_GROUP ? "catalog" : keyspaceOf(group)}`;
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * What happened, in two forms: a rolling hash of everything, always, by which two runs of one seed
 * are compared; and lines to read, only when asked for, because a failing seed can simply be run
 * again.
 */
export class Timeline {
  readonly #recording: boolean;
  readonly #linesMax: number;
  #lines: TimelineLine[] = [];
  #dropped = 0;
  #low = FNV_OFFSET;
  #high = FNV_PRIME;

  constructor(recording: boolean, linesMax = 200_000) {
    this.#recording = recording;
    this.#linesMax = linesMax;
  }

  /** Whether lines are kept: callers format costly details only then. */
  get recording(): boolean {
    return this.#recording;
  }

  get lines(): readonly TimelineLine[] {
    return this.#lines;
  }

  /** Lines forgotten because there were too many. */
  get dropped(): number {
    return this.#dropped;
  }

  /** 64 bits over everything so far, as 16 hex digits. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low);
  }

  /** An event of the run: part of the hash, and a line. */
  note(at: Micros, who: string, mark: string, detail = ""): void {
    this.mix(at);
    this.#mixText(who);
    this.#mixText(mark);
    this.#mixText(detail);
    this.line(at, who, mark, detail);
  }

  /** Only a line: for what the hash has in a cheaper form. */
  line(at: Micros, who: string, mark: string, detail = ""): void {
    if (!this.#recording) return;
    this.#lines.push({ at, who, mark, detail });
    if (this.#lines.length <= 2 * this.#linesMax) return;
    this.#dropped += this.#linesMax;
    this.#lines = this.#lines.slice(this.#linesMax);
  }

  /** A number into the hash. */
  mix(value: number): void {
    this.#low = Math.imul(this.#low ^ (value | 0), FNV_PRIME);
    this.#high = Math.imul(this.#high ^ this.#low ^ Math.floor(value / 0x1_0000_0000), 0x85ebca6b);
    this.#low ^= this.#high >>> 15;
  }

  #mixText(text: string): void {
    let low = this.#low;
    for (let i = 0; i < text.length; i += 1) low = Math.imul(low ^ text.charCodeAt(i), FNV_PRIME);
    this.#low = low;
    this.mix(text.length);
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}

/** Milliseconds with three decimals, as the timeline shows time. */
export function formatMicros(at: Micros): string {
  return `${(at / 1000).toFixed(3).padStart(10)} ms`;
}

/** One line for people: when, who, what. */
export function formatLine(line: TimelineLine): string {
  const who = line.who.padEnd(6);
  return `${formatMicros(line.at)}  ${who} ${line.mark}${line.detail === "" ? "" : ` ${line.detail}`}`;
}
