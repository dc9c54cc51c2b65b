import { join } from "node:path";

/** A time, both ends included, in ms of the wall clock. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Where `checkpoint-hook.ts` writes what it sees in a process. */
export function checkpointLog(directory: string, pid: number): string {
  return join(directory, `${pid}.checkpoints`);
}

/** The checkpoints of one node, by what the hook wrote; one that goes on has no end. */
export function parseCheckpointLog(text: string): Span[] {
  const spans: Span[] = [];
  let from: number | null = null;
  for (const [, what, at] of text.matchAll(/^(begin|end) ([\d.]+)$/gm)) {
    if (what === "begin") from = Number(at);
    else if (from !== null) spans.push({ from, to: Number(at) });
    if (what === "end") from = null;
  }
  if (from !== null) spans.push({ from, to: Number.POSITIVE_INFINITY });
  return spans;
}

/** The same times without overlaps, in order. */
export function mergeSpans(spans: readonly Span[]): Span[] {
  const merged: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last === undefined || span.from > last.to) merged.push(span);
    else merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
  }
  return merged;
}

/** Whether an operation's time has any of the merged spans in it. */
export function touches(spans: readonly Span[], dueAt: number, endedAt: number): boolean {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]!.to < dueAt) low = middle + 1;
    else high = middle;
  }
  const span = spans[low];
  return span !== undefined && span.from <= endedAt;
}
