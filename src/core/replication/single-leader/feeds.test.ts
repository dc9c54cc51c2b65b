import { describe, expect, test } from "vitest";
import { Outbox } from "../../contract/outbox.ts";
import type { Reply } from "../../contract/reply.ts";
import { ChangeLog } from "./change-log.ts";
import { Feeds } from "./feeds.ts";
import type { SingleLeaderVocabulary } from "./raft.ts";

const DEADLINE = 1_000;

/** A replica whose state changes by hand, and what its followers of changes were told. */
class Followed {
  readonly changes = new ChangeLog({ changesMax: 4, bytesMax: 10_000 });
  readonly appliedTerm = 1;
  readonly halted = null;
  readonly feeds = new Feeds(this);
  readonly #out = new Outbox<SingleLeaderVocabulary>();
  appliedIndex = 0;

  apply(index: number, ...keys: readonly string[]): void {
    for (const key of keys) this.changes.add(index, key, null);
    this.appliedIndex = index;
  }

  ask(after: number | null, now = 0): unknown {
    const call = { connection: 1, after, prefix: "", countMax: 10, deadline: DEADLINE };
    this.feeds.request(7, { kind: "changes", ...call }, now, this.#out);
    return this.told();
  }

  settle(now = 0): unknown {
    this.feeds.settle(now, this.#out);
    return this.told();
  }

  /** `[how far, whether there was a gap, changes]` of the answer; null for none. */
  told(): unknown {
    const [effect] = this.#out.take().immediate;
    if (effect?.kind !== "reply") return null;
    return plain(effect.reply.reply);
  }
}

function plain(reply: Reply): unknown {
  if (reply.kind === "array") return reply.items.map(plain);
  if (reply.kind === "integer") return Number(reply.value);
  return reply.kind === "bulk" ? Buffer.from(reply.bytes).toString() : reply.kind;
}

describe("who follows the changes", () => {
  test("is told at once what there is, else when there is something", () => {
    const replica = new Followed();
    replica.apply(3, "a");
    expect(replica.ask(0)).toEqual([3, 0, [[3, "a"]]]);
    expect(replica.ask(null)).toBeNull();
    expect(replica.settle()).toBeNull();
    replica.apply(4);
    expect(replica.settle()).toBeNull();
    replica.apply(5, "b", "c");
    expect(replica.settle()).toEqual([
      5,
      0,
      [
        [5, "b"],
        [5, "c"],
      ],
    ]);
    expect(replica.feeds.open).toBe(0);
  });

  test("and has been further at another node, hears nothing twice", () => {
    const replica = new Followed();
    replica.apply(3, "a");
    expect(replica.ask(8)).toBeNull();
    replica.apply(6, "b");
    expect(replica.settle()).toBeNull();
    replica.apply(9, "c");
    expect(replica.settle()).toEqual([9, 0, [[9, "c"]]]);
  });

  test("hears at the deadline that there was nothing, and is not sent back", () => {
    const replica = new Followed();
    replica.apply(3, "a");
    expect(replica.ask(8)).toBeNull();
    expect(replica.feeds.deadline()).toBe(DEADLINE);
    expect(replica.settle(DEADLINE - 1)).toBeNull();
    expect(replica.settle(DEADLINE)).toEqual([8, 0, []]);
  });

  test("and asks for what is forgotten is told so, and from where on all is known", () => {
    const replica = new Followed();
    for (const index of [1, 2, 3, 4, 5, 6]) replica.apply(index, `k${index}`);
    expect(replica.ask(1)).toEqual([2, 1, []]);
    expect(replica.ask(4)).toEqual([
      6,
      0,
      [
        [5, "k5"],
        [6, "k6"],
      ],
    ]);
  });
});
