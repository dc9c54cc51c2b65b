import { describe, expect, test } from "vitest";
import { checkFeeds, type FeedChange, type FeedPage, type FeedTruth } from "./change-feed.ts";

/** Changes as `3x=a`: at entry 3 the key x became a; `3x` is gone. */
function changesOf(text: string): FeedChange[] {
  return text
    .split(" ")
    .filter(Boolean)
    .map((word) => {
      const [, index = "", key = "", rest = ""] = /^(\d+)(\w+)(=\w+)?$/.exec(word) ?? [];
      return { index: Number(index), key, value: rest === "" ? null : rest.slice(1) };
    });
}

function page(after: number, next: number, text: string, node = "n1"): FeedPage {
  return {
    node,
    after,
    next,
    isGap: text === "gap",
    changes: changesOf(text === "gap" ? "" : text),
  };
}

const TRUTH: FeedTruth = {
  known: changesOf("2x=a 4x=b 4y=b 6x"),
  refute: ({ value }) => (value === "failed" ? "its transaction was aborted" : null),
};

const PAIRS: readonly (readonly [string, string, readonly FeedPage[], readonly FeedPage[]])[] = [
  [
    "changes out of order",
    "behind a change at 4",
    [page(0, 6, "4x=b 4y=b 2x=a 6x")],
    [page(0, 6, "2x=a 4x=b 4y=b 6x")],
  ],
  ["one change twice", "twice", [page(0, 2, "2x=a 2x=a")], [page(0, 2, "2x=a")]],
  [
    "a missing change",
    "does not tell that x became a at 2",
    [page(0, 6, "4x=b 4y=b 6x")],
    [page(2, 6, "4x=b 4y=b 6x")],
  ],
  [
    "a missing deletion",
    "does not tell that x became null at 6",
    [page(4, 6, "")],
    [page(4, 5, "")],
  ],
  [
    "half of a transaction",
    "of the rest of that entry it does",
    [page(2, 4, "4x=b")],
    [page(2, 4, "4x=b 4y=b")],
  ],
  [
    "the second half of a transaction on the next page",
    "before what was asked for",
    [page(4, 6, "4y=b 6x")],
    [page(4, 6, "6x")],
  ],
  [
    "a gap that is not owned up to",
    "does not tell that x became a",
    [page(0, 4, "4x=b 4y=b")],
    [page(0, 2, "gap"), page(2, 4, "4x=b 4y=b")],
  ],
  [
    "changes and a gap at once",
    "at once",
    [{ ...page(2, 6, "4x=b 4y=b 6x"), isGap: true }],
    [page(2, 6, "4x=b 4y=b 6x")],
  ],
  [
    "a change of an aborted transaction",
    "aborted",
    [page(6, 7, "7x=failed")],
    [page(6, 7, "7x=c")],
  ],
  [
    "another value than was acknowledged there",
    "where b was acknowledged",
    [page(2, 4, "4x=c 4y=b")],
    [page(2, 4, "4x=b 4y=b")],
  ],
  [
    "two nodes that tell different things of one entry",
    "and n1 that it became c",
    [page(6, 7, "7x=c"), page(6, 7, "7x=d", "n2")],
    [page(6, 7, "7x=c"), page(6, 7, "7x=c", "n2")],
  ],
  [
    "two nodes of which one knows of no change",
    "n2, from 6 to 7, does not tell",
    [page(6, 7, "7x=c"), page(6, 7, "", "n2")],
    [page(6, 7, "7x=c"), page(6, 6, "", "n2")],
  ],
  [
    "a change beyond what is to be gone on from",
    "is to be gone on from 4",
    [page(2, 4, "4x=b 4y=b 6x")],
    [page(2, 6, "4x=b 4y=b 6x")],
  ],
  ["a reader that is sent back", "goes back", [page(6, 4, "")], [page(6, 6, "")]],
];

describe("change feeds", () => {
  test.each(PAIRS)("finds %s", (_, text, bad) => {
    const found = checkFeeds(bad, TRUTH);
    expect(found?.oracle).toBe("change-feed");
    expect(found?.message).toContain(text);
  });

  test.each(PAIRS)("allows the twin of: %s", (_title, _text, _bad, good) => {
    expect(checkFeeds(good, TRUTH)).toBeNull();
  });
});
