import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
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
    warmUpMs: 20,
    measureMs: 100,
    seed: 1,
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
