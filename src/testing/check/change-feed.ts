import type { Violation } from "./history.ts";

/** One key as an entry of the log left it; null: it is gone. */
export interface FeedChange {
  readonly index: number;
  readonly key: string;
  readonly value: string | null;
}

/** One answer to a reader that asked for what came behind an entry. */
export interface FeedPage {
  /** Who answered, for reports. */
  readonly node: string;
  readonly after: number;
  /** The entry to go on from. */
  readonly next: number;
  /** Changes between `after` and `next` are forgotten, and the reader is told so. */
  readonly isGap: boolean;
  readonly changes: readonly FeedChange[];
}

/** What is known of the changes that there were, besides what the feeds say. */
export interface FeedTruth {
  /** Changes that certainly took place there: those of acknowledged writes. */
  readonly known: readonly FeedChange[];
  /** Why there cannot have been such a change; null if there can. */
  readonly refute: (change: FeedChange) => string | null;
}

/**
 * Change feeds: each page is in the order of the log, names no change twice, and has every change
 * between `after` and `next`, of an entry all or none, unless it owns up to a gap. Nothing comes
 * from what was not committed, and all nodes tell the same.
 */
export function checkFeeds(pages: readonly FeedPage[], truth: FeedTruth): Violation | null {
  const told = new Map<string, { readonly value: string | null; readonly by: FeedPage }>();
  for (const page of pages) {
    const found = checkPage(page) ?? checkChanges(page, truth, told);
    if (found !== null) return violation(page, found);
  }
  // What one page tells of, every page has that goes over the same entry.
  const expected = [...truth.known];
  for (const [place, { value }] of told) {
    const [index, key] = JSON.parse(place) as [number, string];
    expected.push({ index, key, value });
  }
  expected.sort((a, b) => a.index - b.index);
  for (const page of pages) {
    const found = checkComplete(page, expected);
    if (found !== null) return violation(page, found);
  }
  return null;
}

function checkPage({ after, next, isGap, changes }: FeedPage): string | null {
  if (next < after) return `goes back to ${next}`;
  if (isGap) {
    if (changes.length > 0) return "tells of changes and of a gap at once";
    return next === after ? "owns up to a gap in which nothing is" : null;
  }
  let last = after;
  for (const { index, key } of changes) {
    if (index <= after) return `tells of ${key} at ${index}, which comes before what was asked for`;
    if (index > next) return `tells of ${key} at ${index}, and is to be gone on from ${next}`;
    if (index < last) return `tells of ${key} at ${index} behind a change at ${last}`;
    last = index;
  }
  return null;
}

function checkChanges(
  page: FeedPage,
  { refute }: FeedTruth,
  told: Map<string, { readonly value: string | null; readonly by: FeedPage }>,
): string | null {
  const here = new Set<string>();
  for (const change of page.changes) {
    const { index, key, value } = change;
    const place = JSON.stringify([index, key]);
    if (here.has(place)) return `tells of ${key} at ${index} twice`;
    here.add(place);
    const refuted = refute(change);
    if (refuted !== null) return `tells that ${key} became ${value} at ${index}: ${refuted}`;
    const other = told.get(place);
    if (other !== undefined && other.value !== value) {
      return `tells that ${key} became ${value} at ${index}, and ${other.by.node} that it became ${other.value}`;
    }
    told.set(place, { value, by: page });
  }
  return null;
}

function checkComplete(page: FeedPage, expected: readonly FeedChange[]): string | null {
  if (page.isGap) return null;
  const has = new Map(
    page.changes.map((change) => [JSON.stringify([change.index, change.key]), change]),
  );
  const indexes = new Set(page.changes.map(({ index }) => index));
  for (let i = firstBehind(expected, page.after); i < expected.length; i += 1) {
    const { index, key, value } = expected[i]!;
    if (index > page.next) break;
    const change = has.get(JSON.stringify([index, key]));
    if (change === undefined) {
      const half = indexes.has(index) ? "; of the rest of that entry it does" : "";
      return `does not tell that ${key} became ${value} at ${index}${half}`;
    }
    if (change.value === value) continue;
    return `tells that ${key} became ${change.value} at ${index}, where ${value} was acknowledged`;
  }
  return null;
}

function firstBehind(changes: readonly FeedChange[], index: number): number {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (changes[middle]!.index <= index) low = middle + 1;
    else high = middle;
  }
  return low;
}

function violation({ node, after, next }: FeedPage, message: string): Violation {
  return { oracle: "change-feed", message: `${node}, from ${after} to ${next}, ${message}` };
}
