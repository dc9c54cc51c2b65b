import { afterEach, describe, expect, it, vi } from "vitest";
import { DiskError } from "../core/contract/disk.ts";
import type { Input } from "../core/contract/protocol.ts";
import type { NodeStatus, NodeVocabulary } from "../core/node/vocabulary.ts";
import { type DrivenLoop, Driver, monotonicNow } from "./driver.ts";
import { Metrics } from "./metrics.ts";

type In = Input<NodeVocabulary>;

/** Takes in everything and remembers it, turn by turn. */
class FakeLoop implements DrivenLoop {
  readonly turns: In[][] = [];
  failure: DiskError | null = null;
  due: number | null = null;
  /** Inputs it refuses to take in for as long as this is set. */
  full = false;
  throws: Error | null = null;
  onTurn: (inputs: readonly In[]) => void = () => {};
  #inbox: In[] = [];
  #completions = 0;

  get queued(): number {
    return this.#inbox.length;
  }

  get busy(): boolean {
    return this.#inbox.length > 0 || this.#completions > 0;
  }

  push(input: In): void {
    this.#inbox.push(input);
  }

  onDisk(): void {
    this.#completions += 1;
  }

  deadline(): number | null {
    return this.due;
  }

  turn(): void {
    if (this.throws !== null) throw this.throws;
    this.#completions = 0;
    const inputs = this.full ? [] : this.#inbox;
    if (!this.full) this.#inbox = [];
    this.turns.push(inputs);
    this.onTurn(inputs);
  }
}

const status = { node: "n1" } as NodeStatus;
const drivers: Driver[] = [];
const metrics = new Metrics();

function setUp(stallMs = 10_000) {
  const loop = new FakeLoop();
  const fatal: Error[] = [];
  let flushes = 0;
  const driver = new Driver({
    metrics,
    flush: () => {
      flushes += 1;
    },
    onFatal: (failure) => fatal.push(failure),
    stallMs,
  });
  drivers.push(driver);
  return { loop, driver, fatal, flushes: () => flushes };
}

function kinds(inputs: readonly In[]): string[] {
  return inputs.map((input) => (input.kind === "request" ? input.command.kind : input.kind));
}

afterEach(() => {
  for (const driver of drivers.splice(0)) driver.stop();
});

describe("the driver", () => {
  it("takes all that has arrived in one turn, the clock first, and flushes once", async () => {
    const { loop, driver, flushes } = setUp();
    driver.start(loop);
    driver.push({ kind: "link", peer: "n2", up: true });
    driver.push({ kind: "cancel", id: 7 });
    await vi.waitFor(() => expect(loop.turns.length).toBe(1));
    expect(kinds(loop.turns[0]!)).toEqual(["clock", "link", "cancel"]);
    expect(flushes()).toBe(1);
  });

  it("keeps inputs that come before its loop", async () => {
    const { loop, driver } = setUp();
    driver.push({ kind: "link", peer: "n2", up: true });
    driver.start(loop);
    await vi.waitFor(() => expect(kinds(loop.turns[0]!)).toEqual(["clock", "link"]));
  });

  it("gives the wall clock's time, and none to a turn without other inputs", async () => {
    const { loop, driver } = setUp();
    const before = Date.now();
    driver.start(loop);
    await vi.waitFor(() => expect(loop.turns.length).toBe(1));
    expect(loop.turns[0]).toEqual([]);
    driver.push({ kind: "link", peer: "n2", up: false });
    await vi.waitFor(() => expect(loop.turns.length).toBe(2));
    const first = loop.turns[1]![0]!;
    if (first.kind !== "request" || first.command.kind !== "clock") throw new Error("no clock");
    expect(first.command.wallMs).toBeGreaterThanOrEqual(before);
  });

  it("wakes its loop at the deadline and not before", async () => {
    const { loop, driver } = setUp();
    const due = monotonicNow() + 30;
    loop.due = due;
    let wokenAt = 0;
    loop.onTurn = (inputs) => {
      if (!kinds(inputs).includes("wake")) return;
      wokenAt = monotonicNow();
      loop.due = null;
    };
    driver.start(loop);
    await vi.waitFor(() => expect(wokenAt).toBeGreaterThan(0));
    expect(wokenAt).toBeGreaterThanOrEqual(due);
  });

  it("moves its timer when the deadline comes closer", async () => {
    const { loop, driver } = setUp();
    loop.due = monotonicNow() + 3_600_000;
    driver.start(loop);
    await vi.waitFor(() => expect(loop.turns.length).toBe(1));
    loop.due = monotonicNow() + 5;
    driver.push({ kind: "link", peer: "n2", up: true });
    await vi.waitFor(() => expect(loop.turns.flatMap(kinds)).toContain("wake"));
  });

  it("tells of a stall before anything else", async () => {
    const { loop, driver } = setUp(20);
    driver.start(loop);
    driver.push({ kind: "link", peer: "n2", up: true });
    const until = monotonicNow() + 30;
    while (monotonicNow() < until);
    await vi.waitFor(() => expect(loop.turns.length).toBe(1));
    expect(kinds(loop.turns[0]!)).toEqual(["stalled", "clock", "link"]);
  });

  it("does not spin while its loop takes nothing in, and goes on at a disk completion", async () => {
    const { loop, driver } = setUp();
    loop.full = true;
    driver.start(loop);
    driver.push({ kind: "link", peer: "n2", up: true });
    await new Promise((resolve) => setTimeout(resolve, 30));
    // At most one look per millisecond, not one per iteration of the event loop.
    expect(loop.turns.length).toBeLessThan(60);
    loop.full = false;
    driver.onDisk({ op: 1, error: null });
    await vi.waitFor(() => expect(loop.turns.flatMap(kinds)).toContain("link"));
  });

  it("stops at a failed disk, and says so once", async () => {
    const { loop, driver, fatal, flushes } = setUp();
    driver.start(loop);
    await vi.waitFor(() => expect(flushes()).toBe(1));
    loop.onTurn = () => {
      loop.failure = new DiskError("DISK_FULL", "no space left");
    };
    driver.push({ kind: "link", peer: "n2", up: true });
    await vi.waitFor(() => expect(fatal).toEqual([loop.failure]));
    driver.push({ kind: "link", peer: "n2", up: false });
    driver.onDisk({ op: 1, error: null });
    await new Promise((resolve) => setImmediate(resolve));
    expect(loop.turns.length).toBe(2);
    expect(flushes()).toBe(1);
  });

  it("stops at a broken invariant", async () => {
    const { loop, driver, fatal, flushes } = setUp();
    loop.throws = new Error("broken");
    driver.start(loop);
    await vi.waitFor(() => expect(fatal).toEqual([loop.throws]));
    expect(flushes()).toBe(0);
    expect(driver.stopped).toBe(true);
  });

  it("brings answers to who asked", async () => {
    const { loop, driver } = setUp();
    loop.onTurn = (inputs) => {
      for (const input of inputs) {
        if (input.kind !== "request" || input.command.kind !== "status") continue;
        expect(driver.onReply(input.id, { kind: "status", status })).toBe(true);
        expect(driver.onReply(input.id, { kind: "status", status })).toBe(false);
      }
    };
    driver.start(loop);
    expect(await driver.status(1_000)).toBe(status);
  });

  it("does not wait for ever for an answer", async () => {
    const { driver } = setUp();
    await expect(driver.status(5)).rejects.toThrow("did not answer");
  });
});
