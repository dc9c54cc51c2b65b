import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { TrefoilError } from "./errors.ts";
import { RespChannel, WAITING_MAX } from "./resp-channel.ts";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A port on which nobody listens, for now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Answers every command with its number, and notes its first argument. */
async function serve(port: number): Promise<string[]> {
  const seen: string[] = [];
  const server: Server = createServer((socket: Socket) => {
    closers.push(() => socket.destroy());
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      for (const [, name] of chunk.toString("latin1").matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
        seen.push(name!);
        socket.write(name === "HELLO" ? "%0\r\n" : `:${seen.length}\r\n`);
      }
    });
  });
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return seen;
}

function channelTo(port: number): RespChannel {
  const channel = new RespChannel({
    endpoints: [{ host: "127.0.0.1", port }],
    password: null,
    setUp: [],
  });
  closers.push(() => channel.close());
  return channel;
}

async function failure(promise: Promise<unknown>): Promise<TrefoilError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TrefoilError);
  return error as TrefoilError;
}

const WRITE = { timeoutMs: 20_000, signal: undefined, isRead: false };

describe("a channel that has no connection", () => {
  it("sends what was called meanwhile in its order, before what is called later", async () => {
    const port = await freePort();
    const channel = channelTo(port);
    const names = Array.from({ length: 50 }, (_, i) => `W${i}`);
    const calls = names.map((name) => channel.call([name], WRITE));
    const later = calls[0]!.then(() => channel.call(["LATER"], WRITE));
    const seen = await serve(port);
    await Promise.all([...calls, later]);
    expect(seen).toEqual(["HELLO", ...names, "LATER"]);
  });

  it("does not send a write that its caller has given up, and says so", async () => {
    const port = await freePort();
    const channel = channelTo(port);
    const caller = new AbortController();
    const given = failure(channel.call(["GIVEN"], { ...WRITE, signal: caller.signal }));
    const kept = channel.call(["KEPT"], WRITE);
    caller.abort();
    expect(await given).toMatchObject({ code: "ABORTED", outcome: "not-applied" });
    const seen = await serve(port);
    await kept;
    expect(seen).toEqual(["HELLO", "KEPT"]);
  });

  it("does not know what came of a write that was sent before it was given up", async () => {
    const port = await freePort();
    await serve(port);
    const channel = channelTo(port);
    await channel.call(["FIRST"], WRITE);
    const caller = new AbortController();
    const given = failure(channel.call(["GIVEN"], { ...WRITE, signal: caller.signal }));
    caller.abort();
    expect(await given).toMatchObject({ code: "ABORTED", outcome: "unknown" });
  });

  it("waits as long as the call has time, and not longer", async () => {
    const channel = channelTo(await freePort());
    const error = await failure(channel.call(["W"], { ...WRITE, timeoutMs: 100 }));
    expect(error).toMatchObject({ code: "UNREACHABLE", outcome: "not-applied", retryable: true });
    expect(error.message).toContain("ECONNREFUSED");
  });

  it("keeps a bounded number of calls, and refuses more", async () => {
    const channel = channelTo(await freePort());
    const calls = Array.from({ length: WAITING_MAX }, () => failure(channel.call(["W"], WRITE)));
    const more = await failure(channel.call(["MORE"], WRITE));
    expect(more).toMatchObject({ code: "BUSY", outcome: "not-applied" });
    await channel.close();
    for (const error of await Promise.all(calls)) expect(error.code).toBe("CLOSED");
  });
});
