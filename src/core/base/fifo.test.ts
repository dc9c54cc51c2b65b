import { describe, expect, it } from "vitest";
import { Fifo } from "./fifo.ts";

describe("Fifo", () => {
  it("gives items back in their order, and nothing where it is empty", () => {
    const queue = new Fifo<number>();
    expect(queue.front).toBeUndefined();
    expect(queue.shift()).toBeUndefined();
    for (let i = 0; i < 300; i += 1) queue.push(i);
    for (let i = 0; i < 300; i += 1) {
      expect(queue.front).toBe(i);
      expect(queue.length).toBe(300 - i);
      expect(queue.shift()).toBe(i);
    }
    expect(queue.shift()).toBeUndefined();
    queue.push(7);
    expect(queue.shift()).toBe(7);
  });

  it("takes no more room than what is in it, though it is never empty", () => {
    const queue = new Fifo<number>();
    for (let i = 0; i < 10; i += 1) queue.push(i);
    for (let i = 10; i < 100_000; i += 1) {
      queue.push(i);
      expect(queue.shift()).toBe(i - 10);
      if (queue.places > 200) expect.fail(`${queue.places} places for 10 items`);
    }
    expect(queue.length).toBe(10);
  });
});
