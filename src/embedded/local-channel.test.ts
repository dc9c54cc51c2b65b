import { describe, expect, it } from "vitest";
import { error, OK, type Reply } from "../core/contract/reply.ts";
import { LocalChannel } from "./local-channel.ts";

const READ = { timeoutMs: 1_000, signal: undefined, isRead: true };

/** A node that answers when it is told to. */
class FakeConnection {
  readonly seen: string[] = [];
  readonly #answers: ((reply: Reply) => void)[] = [];

  call(args: readonly Uint8Array[]): Promise<Reply> {
    this.seen.push(args.map((arg) => Buffer.from(arg).toString()).join(" "));
    return new Promise((resolve) => {
      this.#answers.push(resolve);
    });
  }

  answer(reply: Reply): void {
    this.#answers.shift()?.(reply);
  }

  close(): void {}
}

describe("a channel within the process", () => {
  it("sends nothing to another keyspace where its own cannot be selected", async () => {
    const connection = new FakeConnection();
    const channel = new LocalChannel(connection, "orders");
    const write = channel.call(["SET", "k", "v"], READ);
    connection.answer(error("NOKEYSPACE", "There is none.", "not-applied"));
    await expect(write).rejects.toMatchObject({ code: "NOKEYSPACE", outcome: "not-applied" });
    await expect(channel.call(["SET", "k", "v"], READ)).rejects.toMatchObject({
      code: "NOKEYSPACE",
    });
    expect(connection.seen).toEqual(["SELECT orders"]);
  });

  it("keeps the order of calls from before and after its keyspace was selected", async () => {
    const connection = new FakeConnection();
    const channel = new LocalChannel(connection, null);
    for (const name of ["A", "B", "C"]) void channel.call([name], READ);
    connection.answer(OK);
    // As soon as anything else can run, the next call is made.
    await Promise.resolve();
    await Promise.resolve();
    void channel.call(["D"], READ);
    await new Promise((resolve) => setImmediate(resolve));
    expect(connection.seen).toEqual(["SELECT 0", "A", "B", "C", "D"]);
  });
});
