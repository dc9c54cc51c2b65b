import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeUtf8 } from "../base/bytes.ts";
import { comparePlaces, SessionPlaces } from "./session-places.ts";
import {
  decodeToken,
  encodeToken,
  SESSION_GROUPS_MAX,
  type SessionEntry,
} from "./session-token.ts";

const CLUSTER = "d04bcc4d2135e1c6";
const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const place = fc.record({ term: u48, index: u48 });
const entries = fc
  .uniqueArray(fc.tuple(u48, place), { maxLength: 8, selector: ([group]) => group })
  .map((given) => given.sort(([a], [b]) => a - b));

function decode(text: string, cluster = CLUSTER) {
  return decodeToken(cluster, encodeUtf8(text));
}

function many(count: number): SessionEntry[] {
  return Array.from({ length: count }, (_, i) => [i, { term: 1, index: 1 }]);
}

describe("a token", () => {
  test("is this text", () => {
    const token = encodeToken(CLUSTER, [[65_536, { term: 3, index: 17 }]]);
    expect(token).toBe("AW2uPG0BAAAAAQAAAAMAAAAAABEAAAAAAM1wCzE");
    expect(decode(token)).toEqual([[65_536, { term: 3, index: 17 }]]);
  });

  test("comes back as it went", () => {
    fc.assert(
      fc.property(entries, (given) => {
        expect(decode(encodeToken(CLUSTER, given))).toEqual(given);
      }),
    );
  });

  test("with one character changed, lost or more is none", () => {
    const token = encodeToken(CLUSTER, [[1, { term: 3, index: 17 }]]);
    fc.assert(
      fc.property(
        fc.nat({ max: token.length - 1 }),
        fc.constantFrom("A", "z", "_", ""),
        (at, to) => {
          const changed = token.slice(0, at) + to + token.slice(at + 1);
          if (changed !== token) expect(typeof decode(changed)).toBe("string");
        },
      ),
    );
    expect(typeof decode(`${token}A`)).toBe("string");
  });

  test.each([
    ["", "The session token is cut short."],
    ["AA", "The session token is cut short."],
    ["not a token", "This is no session token: it is too long, or not of its letters."],
    ["A".repeat(6164), "This is no session token: it is too long, or not of its letters."],
    ["AAAAAAAAAAAAAAAA", "The session token is damaged or cut short: its checksum does not fit."],
    // Version 2 with a checksum that fits.
    ["Am2uPG0AAE7sfIs", "The session token is of another version of Trefoil."],
    [encodeToken("another", []), "The session token is of another cluster."],
    [encodeToken(CLUSTER, [...many(1), ...many(1)]), "The session token is malformed."],
  ])("%j: %s", (text, reason) => expect(decode(text)).toBe(reason));

  test("of as many keyspaces as the limit says is taken", () => {
    expect(decode(encodeToken(CLUSTER, many(SESSION_GROUPS_MAX)))).toHaveLength(SESSION_GROUPS_MAX);
    expect(typeof decode(encodeToken(CLUSTER, many(SESSION_GROUPS_MAX + 1)))).toBe("string");
  });
});

describe("a session's places", () => {
  test("move forward only: by term, then by index", () => {
    const places = new SessionPlaces();
    expect(places.in(7)).toBeNull();
    places.move(7, { term: 2, index: 5 });
    places.move(7, { term: 2, index: 4 });
    expect(places.in(7)).toEqual({ term: 2, index: 5 });
    places.move(7, { term: 1, index: 9 });
    expect(places.in(7)).toEqual({ term: 2, index: 5 });
    places.move(7, { term: 3, index: 1 });
    places.move(8, { term: 1, index: 1 });
    expect(places.entries()).toEqual([
      [7, { term: 3, index: 1 }],
      [8, { term: 1, index: 1 }],
    ]);
  });

  test("merging is a join: the order of tokens and their repetition do not matter", () => {
    const seen = fc.record({ term: u48, index: fc.integer({ min: 1, max: 2 ** 48 - 1 }) });
    const few = fc.array(fc.tuple(fc.nat({ max: 3 }), seen), { maxLength: 6 });
    fc.assert(
      fc.property(few, few, (a, b) => {
        const merged = (...tokens: (readonly SessionEntry[])[]) => {
          const places = new SessionPlaces();
          for (const token of tokens) places.merge(token);
          return places.entries();
        };
        expect(merged(b, a)).toEqual(merged(a, b));
        expect(merged(a, b, a, b)).toEqual(merged(a, b));
        for (const [group, after] of merged(a, b)) {
          for (const [other, before] of [...a, ...b]) {
            if (other === group) expect(comparePlaces(after, before)).toBeGreaterThanOrEqual(0);
          }
        }
      }),
    );
  });

  test("an index of 0 is no place", () => {
    const places = new SessionPlaces();
    places.merge([[7, { term: 3, index: 0 }]]);
    expect(places.in(7)).toBeNull();
  });

  test("beyond the limit it knows that it has forgotten something", () => {
    const places = new SessionPlaces();
    places.merge(many(SESSION_GROUPS_MAX));
    expect([places.isIncomplete, places.hasForgotten(9999)]).toEqual([false, false]);
    places.move(9999, { term: 1, index: 1 });
    expect([places.isIncomplete, places.hasForgotten(9999)]).toEqual([true, true]);
    expect(places.hasForgotten(0)).toBe(false);
    expect(places.entries()).toHaveLength(SESSION_GROUPS_MAX);
  });
});
