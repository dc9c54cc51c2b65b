import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { encodeCall, RespClient, RespClientError } from "./resp-client.ts";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Says `greeting` to HELLO, then hands what arrives to `onData`. */
async function serve(onData: (socket: Socket, text: string) => void, greeting = "%0\r\n") {
  let greeted = false;
  const server: Server = createServer((socket) => {
    closers.push(() => socket.destroy());
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      if (greeted) return onData(socket, chunk.toString("latin1"));
      greeted = true;
      socket.write(greeting);
    });
  });
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  return { host: "127.0.0.1", port };
}

async function failure(promise: Promise<unknown>): Promise<RespClientError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RespClientError);
  return error as RespClientError;
}

describe("the RESP client", () => {
  it("sends what it is given in one write, and matches replies in order", async () => {
    const writes: string[] = [];
    const address = await serve((socket, text) => {
      writes.push(text);
      socket.write(":1\r\n");
      socket.write("$1\r\nb\r\n-ERR no\r\n");
    });
    const client = await RespClient.connect(address);
    const replies = await Promise.all([
      client.call("A"),
      client.call("B", "x y"),
      client.call("C"),
    ]);
    expect(writes).toEqual(["*1\r\n$1\r\nA\r\n*2\r\n$1\r\nB\r\n$3\r\nx y\r\n*1\r\n$1\r\nC\r\n"]);
    expect(replies.map(({ kind }) => kind)).toEqual(["integer", "bulk", "error"]);
    client.close();
  });

  it("says that a refused connection did nothing", async () => {
    const { host, port } = await serve(() => {});
    for (const close of closers.splice(0).reverse()) await close();
    const error = await failure(RespClient.connect({ host, port }));
    expect([error.code, error.outcome]).toEqual(["UNREACHABLE", "not-applied"]);
  });

  it("rejects everything that is open when the connection ends", async () => {
    const address = await serve((socket) => socket.end("+OK\r\n"));
    const client = await RespClient.connect(address);
    const [first, second] = [client.call("A"), client.call("B")];
    expect(await first).toEqual({ kind: "simple", text: "OK" });
    const error = await failure(second);
    expect([error.code, error.outcome]).toEqual(["CONNECTION", "unknown"]);
    await failure(client.call("C"));
  });

  it("does not wait longer than its deadline", async () => {
    const client = await RespClient.connect({ ...(await serve(() => {})), timeoutMs: 1_000 });
    const error = await failure(client.callWithin(20, ["A"]));
    expect([error.code, error.outcome]).toEqual(["TIMEOUT", "unknown"]);
    expect(client.closed).toBe(true);
  });

  it("ends a connection that brings no RESP", async () => {
    const client = await RespClient.connect(await serve((socket) => socket.write("?\r\n")));
    expect((await failure(client.call("A"))).kind).toBe("protocol");
  });

  it("ends a connection that brings a reply to no command", async () => {
    const client = await RespClient.connect(await serve((socket) => socket.write("+A\r\n+B\r\n")));
    expect(await client.call("A")).toEqual({ kind: "simple", text: "A" });
    expect((await failure(client.call("B"))).kind).toBe("protocol");
  });

  it("says why it was not let in", async () => {
    const address = await serve(() => {}, "-ERR max number of clients reached\r\n");
    const error = await failure(RespClient.connect(address));
    expect([error.kind, error.message]).toEqual(["connect", "ERR max number of clients reached"]);
  });
});

it("a command is an array of bulk strings", () => {
  const bytes = encodeCall(["SET", "ü", Uint8Array.of(0, 255)]);
  expect(Buffer.from(bytes).toString("latin1")).toBe(
    "*3\r\n$3\r\nSET\r\n$2\r\n\u00c3\u00bc\r\n$2\r\n\u0000\u00ff\r\n",
  );
});
