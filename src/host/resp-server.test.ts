import { connect } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Input } from "../core/contract/protocol.ts";
import { bulk, type Reply } from "../core/contract/reply.ts";
import type { NodeVocabulary } from "../core/node/vocabulary.ts";
import { silentLogger } from "./logger.ts";
import { Metrics } from "./metrics.ts";
import { RESP_SERVER_LIMITS, RespServer, type RespServerLimits } from "./resp-server.ts";

interface Call {
  readonly id: number;
  readonly connection: number;
  readonly text: string;
}

/** A server whose node is this test: calls are seen, and answered when the test says so. */
class Fixture {
  readonly metrics = new Metrics();
  readonly inputs: Input<NodeVocabulary>[] = [];
  readonly server: RespServer;
  port = 0;
  /** What the node says of the connections that it answers. */
  isAuthenticated = true;
  #nextRequest = 1;
  #taken = 0;

  constructor(limits: Partial<RespServerLimits> = {}, wantsPassword = false) {
    this.server = new RespServer({
      driver: {
        push: (input) => void this.inputs.push(input),
        tell: (command) => void this.inputs.push({ kind: "request", id: 0, command }),
        nextRequestId: () => this.#nextRequest++,
      },
      metrics: this.metrics,
      logger: silentLogger(),
      limits: { ...RESP_SERVER_LIMITS, ...limits },
      wantsPassword,
    });
  }

  calls(): readonly Call[] {
    return this.inputs.flatMap((input) => {
      if (input.kind !== "request" || input.command.kind !== "call") return [];
      const text = input.command.args.map((arg) => Buffer.from(arg).toString()).join(" ");
      return [{ id: input.id, connection: input.command.connection, text }];
    });
  }

  kinds(): readonly string[] {
    return this.inputs.map((input) => (input.kind === "request" ? input.command.kind : input.kind));
  }

  /** Answers the next `count` calls in one turn. */
  answer(count: number, reply: Reply = { kind: "simple", text: "OK" }, close = false): void {
    for (const call of this.calls().slice(this.#taken, this.#taken + count)) {
      const { connection } = call;
      const { isAuthenticated } = this;
      this.server.onReply({ kind: "resp", connection, reply, resp: 2, close, isAuthenticated });
    }
    this.#taken += count;
    this.server.flush();
  }

  async dial() {
    const socket = connect({ host: "127.0.0.1", port: this.port, allowHalfOpen: true });
    let heard = "";
    let over = false;
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
    socket.on("close", () => {
      over = true;
    });
    closers.push(() => socket.destroy());
    await new Promise((resolve) => socket.once("connect", resolve));
    return { socket, heard: () => heard, over: () => over };
  }
}

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function setUp(
  limits: Partial<RespServerLimits> = {},
  wantsPassword = false,
): Promise<Fixture> {
  const fixture = new Fixture(limits, wantsPassword);
  fixture.port = await fixture.server.listen({ host: "127.0.0.1", port: 0 });
  closers.push(() => fixture.metrics.close());
  closers.push(() => fixture.server.destroy());
  return fixture;
}

const until = vi.waitFor;

describe("the RESP server", () => {
  it("hands commands over in order and answers in one write per turn", async () => {
    const fixture = await setUp();
    const { socket, heard } = await fixture.dial();
    socket.write("*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n");
    await until(() => expect(fixture.calls().length).toBe(2));
    expect(fixture.calls().map(({ text }) => text)).toEqual(["GET a", "PING"]);
    expect(fixture.kinds()).toEqual(["open", "call", "call"]);
    fixture.answer(2);
    await until(() => expect(heard()).toBe("+OK\r\n+OK\r\n"));
  });

  it("tells the node of a client that is gone, and what it had asked", async () => {
    const fixture = await setUp();
    const { socket } = await fixture.dial();
    socket.write("PING\r\nPING\r\nPING\r\n");
    await until(() => expect(fixture.calls().length).toBe(3));
    fixture.answer(1);
    socket.resetAndDestroy();
    await until(() => expect(fixture.kinds().at(-1)).toBe("close"));
    expect(fixture.kinds()).toEqual(["open", "call", "call", "call", "cancel", "cancel", "close"]);
    expect(fixture.inputs.slice(4, 6)).toEqual([
      { kind: "cancel", id: 2 },
      { kind: "cancel", id: 3 },
    ]);
    expect(fixture.server.connections).toBe(0);
    // Answers that come too late are nobody's.
    fixture.answer(2);
  });

  it("answers a client that has said its last word", async () => {
    const fixture = await setUp();
    const { socket, heard, over } = await fixture.dial();
    socket.end("PING\r\n");
    await until(() => expect(fixture.calls().length).toBe(1));
    fixture.answer(1);
    await until(() => expect(over()).toBe(true));
    expect(heard()).toBe("+OK\r\n");
  });

  it("closes after the reply that says so", async () => {
    const fixture = await setUp();
    const { socket, heard, over } = await fixture.dial();
    socket.write("QUIT\r\n");
    await until(() => expect(fixture.calls().length).toBe(1));
    fixture.answer(1, undefined, true);
    await until(() => expect(over()).toBe(true));
    expect(heard()).toBe("+OK\r\n");
  });

  it("reports a protocol error behind the replies before it, then closes", async () => {
    const fixture = await setUp();
    const { socket, heard, over } = await fixture.dial();
    socket.write("PING\r\n*1\r\n!3\r\n");
    await until(() => expect(fixture.calls().length).toBe(1));
    fixture.server.flush();
    expect(heard()).toBe("");
    fixture.answer(1);
    await until(() => expect(over()).toBe(true));
    expect(heard()).toBe("+OK\r\n-ERR Protocol error: expected '$', got '!'\r\n");
  });

  it("reports a protocol error at once when nothing is open", async () => {
    const fixture = await setUp();
    const { socket, heard, over } = await fixture.dial();
    socket.write("*99999999\r\n");
    await until(() => expect(over()).toBe(true));
    expect(heard()).toBe("-ERR Protocol error: invalid multibulk length\r\n");
  });

  it.each(["POST / HTTP/1.1\r\n", "host: localhost\r\n", "*1\r\n$4\r\npost\r\n"])(
    "ends a connection that says %j",
    async (line) => {
      const fixture = await setUp();
      const { socket, heard, over } = await fixture.dial();
      socket.write(`${line}SET a b\r\n`);
      await until(() => expect(over()).toBe(true));
      expect(heard()).not.toContain("+OK");
      expect(fixture.calls()).toEqual([]);
    },
  );

  it("reads no more than its share of commands, and goes on when some are answered", async () => {
    const fixture = await setUp({ outstandingMax: 4 });
    const { socket, heard } = await fixture.dial();
    socket.write("PING\r\n".repeat(10));
    await until(() => expect(fixture.calls().length).toBe(4));
    fixture.answer(1);
    expect(fixture.calls().length).toBe(4);
    fixture.answer(1);
    expect(fixture.calls().length).toBe(6);
    fixture.answer(4);
    await until(() => expect(fixture.calls().length).toBe(10));
    fixture.answer(4);
    await until(() => expect(heard()).toBe("+OK\r\n".repeat(10)));
  });

  it("reads no commands of a client that does not read replies, until it does", async () => {
    const fixture = await setUp({ outputSoftBytes: 100_000, outstandingMax: 2 });
    const { socket, heard } = await fixture.dial();
    const big = bulk(new Uint8Array(16 << 20).fill(0x78));
    socket.pause();
    socket.write("GET a\r\nPING\r\n");
    await until(() => expect(fixture.calls().length).toBe(2));
    fixture.answer(2, big);
    socket.write("PING\r\n");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(fixture.calls().length).toBe(2);
    socket.resume();
    await until(() => expect(fixture.calls().length).toBe(3), { timeout: 10_000 });
    fixture.answer(1);
    await until(() => expect(heard().endsWith("\r\n+OK\r\n")).toBe(true), { timeout: 10_000 });
  });

  it("disconnects a client that lets its replies pile up", async () => {
    const fixture = await setUp({ outputSoftBytes: 1_000, outputHardBytes: 1 << 20 });
    const { socket } = await fixture.dial();
    socket.pause();
    socket.write("GET a\r\n");
    await until(() => expect(fixture.calls().length).toBe(1));
    fixture.answer(1, bulk(new Uint8Array(32 << 20)));
    await until(() => expect(fixture.server.connections).toBe(0));
    expect(fixture.metrics.total("slow_clients_total")).toBe(1);
  });

  it("takes so many clients and no more", async () => {
    const fixture = await setUp({ connectionsMax: 1 });
    const first = await fixture.dial();
    await until(() => expect(fixture.server.connections).toBe(1));
    const second = await fixture.dial();
    await until(() => expect(second.over()).toBe(true));
    expect(second.heard()).toBe("-ERR max number of clients reached\r\n");
    first.socket.destroy();
    await until(() => expect(fixture.server.connections).toBe(0));
    const third = await fixture.dial();
    third.socket.write("PING\r\n");
    await until(() => expect(fixture.calls().length).toBe(1));
  });

  it("takes one small command at a time from a client that has not authenticated", async () => {
    const fixture = await setUp({}, true);
    fixture.isAuthenticated = false;
    const { socket, heard, over } = await fixture.dial();
    const tenArgs = `*10\r\n${"$1\r\nx\r\n".repeat(10)}`;
    const largest = `*1\r\n$16384\r\n${"x".repeat(16_384)}\r\n`;
    socket.write(`${tenArgs}${largest}*11\r\n`);
    await until(() => expect(fixture.calls().length).toBe(1));
    fixture.answer(1);
    await until(() => expect(fixture.calls().length).toBe(2));
    fixture.answer(1);
    await until(() => expect(over()).toBe(true));
    expect(heard()).toBe("+OK\r\n+OK\r\n-ERR Protocol error: unauthenticated multibulk length\r\n");
  });

  it("does not hold strings of a client that has not authenticated", async () => {
    const fixture = await setUp({}, true);
    const { socket, heard, over } = await fixture.dial();
    socket.write("*1\r\n$16385\r\n");
    await until(() => expect(over()).toBe(true));
    expect(heard()).toBe("-ERR Protocol error: unauthenticated bulk length\r\n");
  });

  it("reads on without these limits behind the command that authenticates", async () => {
    const fixture = await setUp({}, true);
    const { socket } = await fixture.dial();
    const large = `*11\r\n${"$1\r\nx\r\n".repeat(10)}$20000\r\n${"x".repeat(20_000)}\r\n`;
    socket.write(`AUTH x\r\n${large}PING\r\nPING\r\n`);
    await until(() => expect(fixture.calls().length).toBe(1));
    fixture.answer(1);
    await until(() => expect(fixture.calls().length).toBe(4));
  });

  it("ends a client that does not authenticate in time, and no other", async () => {
    const fixture = await setUp({ authenticateMsMax: 200 }, true);
    const right = await fixture.dial();
    right.socket.write("AUTH x\r\n");
    await until(() => expect(fixture.calls().length).toBe(1));
    fixture.answer(1);
    const silent = await fixture.dial();
    await until(() => expect(silent.over()).toBe(true));
    expect([fixture.server.connections, right.over()]).toEqual([1, false]);
  });

  it("closes with its clients' last replies, and within bounds without", async () => {
    const fixture = await setUp();
    const { socket, heard, over } = await fixture.dial();
    socket.write("PING\r\n");
    await until(() => expect(fixture.calls().length).toBe(1));
    fixture.answer(1);
    await fixture.server.close(2_000);
    await until(() => expect(over()).toBe(true));
    expect(heard()).toBe("+OK\r\n");
    expect(fixture.server.connections).toBe(0);
  });
});
