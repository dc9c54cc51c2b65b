import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { canReadIntoOneBuffer, readingIntoOneBuffer } from "./accepted-socket.ts";

const open = new Set<Socket>();
let server: Server | undefined;

afterEach(() => {
  for (const socket of open) socket.destroy();
  open.clear();
  server?.close();
});

interface Pair {
  readonly client: Socket;
  readonly accepted: Socket;
  readonly socket: Socket;
  readonly chunks: Uint8Array[];
}

/** A connection whose accepted end reads into the one buffer. */
async function connected(): Promise<Pair> {
  const chunks: Uint8Array[] = [];
  const listening = createServer({ allowHalfOpen: true });
  server = listening;
  const taken = new Promise<{ accepted: Socket; socket: Socket }>((resolve) => {
    listening.on("connection", (accepted) => {
      const socket = readingIntoOneBuffer(accepted, (bytes) => chunks.push(bytes));
      open.add(socket);
      resolve({ accepted, socket });
    });
  });
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  const client = connect((listening.address() as AddressInfo).port, "127.0.0.1");
  open.add(client);
  return { client, chunks, ...(await taken) };
}

const textOf = (chunks: readonly Uint8Array[]) => Buffer.concat(chunks).toString();

describe("an accepted socket", () => {
  test("can be read into one buffer on this version of Node", async () => {
    const pair = await connected();
    expect(pair.socket).not.toBe(pair.accepted);
    expect(canReadIntoOneBuffer(pair.socket)).toBe(true);
    expect(canReadIntoOneBuffer(pair.accepted)).toBe(false);
  });

  test("gives bytes that later reads do not overwrite", async () => {
    const { client, socket, chunks } = await connected();
    for (const text of ["first", "second"]) {
      client.write(text);
      await expect.poll(() => textOf(chunks)).toContain(text);
    }
    expect(textOf(chunks)).toBe("firstsecond");
    socket.write("answer");
    const [answer] = (await once(client, "data")) as [Buffer];
    expect(answer.toString()).toBe("answer");
  });

  test("is not read while it is paused", async () => {
    const { client, socket, chunks } = await connected();
    client.write("before");
    await expect.poll(() => textOf(chunks)).toBe("before");
    socket.pause();
    const bytes = 8 << 20;
    client.write(Buffer.alloc(bytes));
    // What fits the kernel's buffers has left; the rest waits, because nobody reads.
    await expect.poll(() => client.writableLength).toBeGreaterThan(0);
    expect(textOf(chunks)).toBe("before");
    socket.resume();
    const read = () => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    await expect.poll(read).toBe(bytes + "before".length);
  });

  test("says when the other end has finished, and can still answer", async () => {
    const { client, socket } = await connected();
    const ended = once(socket, "end");
    const closed = once(socket, "close");
    client.end("last words");
    await ended;
    socket.end("answer");
    const [answer] = (await once(client, "data")) as [Buffer];
    expect(answer.toString()).toBe("answer");
    await closed;
  });

  test("counts for its server until it is closed", async () => {
    const { socket } = await connected();
    const closed = once(server!, "close");
    server!.close();
    expect(server!.listening).toBe(false);
    socket.destroy();
    await closed;
  });
});
