import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { OperationTrace } from "./operation-trace.ts";
import { type LoadOptions, load } from "./resp-loader.ts";

const REQUEST_BYTES = "*3\r\n$3\r\nSET\r\n$16\r\nbench:0000000000\r\n$8\r\nvvvvvvvv\r\n".length;
const open: { server: Server; sockets: Socket[] }[] = [];

afterEach(async () => {
  for (const { server, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  }
});

/** Answers every whole request with `reply`; keeps count of what is outstanding. */
async function serve(reply: string, onSocket?: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    onSocket?.(socket);
    let bytes = 0;
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      bytes += chunk.length;
      const whole = Math.floor(bytes / REQUEST_BYTES);
      bytes -= whole * REQUEST_BYTES;
      socket.write(reply.repeat(whole));
    });
  }).listen(0, "127.0.0.1");
  open.push({ server, sockets });
  await once(server, "listening");
  return (server.address() as { port: number }).port;
}

function options(port: number): LoadOptions {
  return {
    ports: [port],
    connections: 3,
    depth: 4,
    kind: "set",
    valueBytes: 8,
    keySpace: 10,
    seed: 1,
    setUp: [],
    pace: { kind: "closed", warmUpMs: 20, measureMs: 100 },
  };
}

test("counts what was acknowledged, with its latency", async () => {
  const result = await load(options(await serve("+OK\r\n")));
  expect(result.operations).toBeGreaterThan(0);
  expect(result.perSecond).toBeCloseTo(result.operations / result.seconds);
  expect(result.p50Ms).toBeGreaterThan(0);
  expect(result.p99Ms).toBeGreaterThanOrEqual(result.p50Ms);
  expect(result).toMatchObject({ errors: 0, firstError: null });
});

test("errors are not counted as operations", async () => {
  const result = await load(options(await serve("-NOLEADER none not-applied\r\n")));
  expect(result.operations).toBe(0);
  expect(result.errors).toBeGreaterThan(0);
  expect(result.firstError).toBe("NOLEADER none not-applied");
});

test("a connection that the server closes fails the run", async () => {
  const port = await serve("+OK\r\n", (socket) => socket.end());
  await expect(load(options(port))).rejects.toThrow(/closed a connection|ECONNRESET|EPIPE/);
});

test("an open load sends what is due, and traces it", async () => {
  const directory = mkdtempSync(join(tmpdir(), "trefoil-loader-"));
  try {
    const tracePath = join(directory, "trace");
    const pace = {
      kind: "open",
      perSecond: 1_000,
      warmUpMs: 50,
      measureMs: 200,
      tracePath,
    } as const;
    const result = await load({ ...options(await serve("+OK\r\n")), depth: 64, pace });
    expect(result).toMatchObject({ operations: 200, errors: 0 });
    const latencies: number[] = [];
    OperationTrace.read(readFileSync(tracePath), (dueAt, endedAt) => {
      latencies.push(endedAt - dueAt);
    });
    expect(latencies).toHaveLength(200);
    expect(Math.min(...latencies)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...latencies)).toBeCloseTo(result.maxMs, 1);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a latency of an open load counts from when the request was due", async () => {
  const pace = {
    kind: "open",
    perSecond: 200,
    warmUpMs: 0,
    measureMs: 50,
    tracePath: null,
  } as const;
  const port = await serve("+OK\r\n", (socket) => {
    socket.pause();
    setTimeout(() => socket.resume(), 100);
  });
  const result = await load({ ...options(port), depth: 1, connections: 1, pace });
  expect(result).toMatchObject({ operations: 10, errors: 0 });
  expect(result.p50Ms).toBeGreaterThan(50);
});

test("a fill sends every key once", async () => {
  const pace = { kind: "fill" } as const;
  const result = await load({ ...options(await serve("+OK\r\n")), keySpace: 100, pace });
  expect(result).toMatchObject({ operations: 100, errors: 0 });
});

test("the load begins when its set-up was answered", async () => {
  // The stand-in for a server answers by length, so the set-up has the length of one request.
  const padding = "x".repeat(REQUEST_BYTES - "*2\r\n$4\r\nECHO\r\n$27\r\n\r\n".length);
  const setUp = [["ECHO", padding]];
  const port = await serve("+OK\r\n");
  expect((await load({ ...options(port), setUp })).errors).toBe(0);
  const refusing = await serve("-ERR no\r\n");
  await expect(load({ ...options(refusing), setUp })).rejects.toThrow("ERR no");
});
