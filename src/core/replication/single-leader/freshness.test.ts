import { describe, expect, test } from "vitest";
import { Freshness } from "./freshness.ts";

describe("how old a state is at most (LEAD6)", () => {
  test("nothing is known before the entry of a fact is applied", () => {
    const freshness = new Freshness();
    expect(freshness.staleMs(100, 50)).toBeNull();
    freshness.note(10, 7);
    expect(freshness.staleMs(6, 50)).toBeNull();
    expect(freshness.staleMs(7, 50)).toBe(40);
    expect(freshness.staleMs(7, 90)).toBe(80);
  });

  test("of several facts the latest counts whose entry is applied", () => {
    const freshness = new Freshness();
    freshness.note(10, 7);
    freshness.note(20, 8);
    freshness.note(30, 12);
    expect(freshness.staleMs(9, 50)).toBe(30);
    expect(freshness.staleMs(9, 60)).toBe(40);
    expect(freshness.staleMs(12, 60)).toBe(30);
  });

  test("an older stamp is no news, and a younger one for less makes the older one useless", () => {
    const freshness = new Freshness();
    freshness.note(10, 20);
    freshness.note(9, 1);
    expect(freshness.staleMs(19, 50)).toBeNull();
    freshness.note(12, 15);
    expect(freshness.staleMs(15, 50)).toBe(38);
    freshness.note(11, 1);
    expect(freshness.staleMs(20, 50)).toBe(38);
  });

  test("a replica that is always a little behind still learns its age: early facts are kept", () => {
    const freshness = new Freshness();
    for (let i = 1; i <= 64; i += 1) freshness.note(i, 1000 + i);
    // The 65th is beyond the limit and left out.
    freshness.note(65, 1065);
    expect(freshness.staleMs(1001, 100)).toBe(99);
    expect(freshness.staleMs(2000, 100)).toBe(36);
    freshness.note(66, 2001);
    expect(freshness.staleMs(2001, 100)).toBe(34);
  });
});
