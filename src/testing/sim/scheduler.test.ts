import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Scheduler } from "./scheduler.ts";
import { Timeline } from "./timeline.ts";

describe("the scheduler", () => {
  test("runs events by time, and those of one instant in the order scheduled", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 60 }), (times) => {
        const scheduler = new Scheduler();
        const ran: number[] = [];
        times.forEach((time, i) => {
          scheduler.at(time, () => ran.push(i));
        });
        scheduler.runUntil(20);
        const expected = times.map((_, i) => i).sort((a, b) => times[a]! - times[b]! || a - b);
        expect(ran).toEqual(expected);
      }),
    );
  });

  test("runs what an event schedules, and stops at the time given", () => {
    const scheduler = new Scheduler();
    const ran: number[] = [];
    const again = () => {
      ran.push(scheduler.now);
      scheduler.after(10, again);
    };
    scheduler.after(10, again);
    scheduler.runUntil(35);
    expect(ran).toEqual([10, 20, 30]);
    expect([scheduler.now, scheduler.pending, scheduler.executed]).toEqual([35, 1, 3]);
  });

  test("stops as soon as a condition holds, or when it is too late", () => {
    const scheduler = new Scheduler();
    let count = 0;
    for (let at = 1; at <= 9; at += 1) {
      scheduler.at(at, () => {
        count += 1;
      });
    }
    expect(scheduler.runUntilDone(9, () => count === 4)).toBe(true);
    expect(scheduler.now).toBe(4);
    expect(scheduler.runUntilDone(7, () => count === 100)).toBe(false);
    expect([scheduler.now, count]).toEqual([7, 7]);
  });

  test("takes no event in the past", () => {
    const scheduler = new Scheduler();
    scheduler.runUntil(5);
    expect(() => scheduler.at(4, () => {})).toThrow("past");
  });
});

describe("the timeline", () => {
  const story = (recording: boolean, detail: string) => {
    const timeline = new Timeline(recording);
    timeline.note(1, "n1", "boot");
    timeline.note(2, "n1", "become-leader", detail);
    timeline.mix(7);
    return timeline;
  };

  test("has one hash for one story, with lines or without", () => {
    expect(story(true, "term=1").hash).toBe(story(false, "term=1").hash);
    expect(story(false, "term=1").hash).not.toBe(story(false, "term=2").hash);
    expect(story(true, "term=1").lines.map(({ mark }) => mark)).toEqual(["boot", "become-leader"]);
    expect(story(false, "term=1").lines).toEqual([]);
  });

  test("forgets the oldest lines rather than grow for ever", () => {
    const timeline = new Timeline(true, 10);
    for (let at = 0; at < 100; at += 1) timeline.line(at, "n1", "apply");
    expect(timeline.lines.length).toBeLessThanOrEqual(20);
    expect(timeline.lines.length + timeline.dropped).toBe(100);
    expect(timeline.lines.at(-1)?.at).toBe(99);
  });
});
