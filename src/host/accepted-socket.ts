import { Socket } from "node:net";

/** What Node keeps in a socket without saying so in its types. */
interface SocketInternals {
  _handle: unknown;
  _server: unknown;
  server: unknown;
}

/** A read takes in at most this much; one buffer serves all sockets of a process. */
const READ_BYTES = 65_536;
const readBuffer = Buffer.allocUnsafe(READ_BYTES);

/**
 * Whether `readingIntoOneBuffer` can do what it says on this version of Node: the internals that it
 * moves from one object to another are where they have been since Node 0.10.
 */
export function canReadIntoOneBuffer(accepted: Socket): boolean {
  const { _handle, _server } = accepted as unknown as Partial<SocketInternals>;
  return typeof _handle === "object" && _handle !== null && _server !== undefined;
}

/**
 * The same connection as a socket that reads into one buffer for all and hands each read's bytes,
 * copied, to `onBytes`. Node offers that (`onread`) for sockets it connects, not for those it
 * accepts: for these it allocates 64 KiB per read and gives most of it back, which cost a fifth of
 * the rate at 64 connections (docs/decisions/0005-reading-clients.md).
 *
 * Must be called in the `connection` event: nothing has been read by then. Where Node has changed
 * too much, the socket stays as it is and its `data` events lead to `onBytes`.
 */
export function readingIntoOneBuffer(
  accepted: Socket,
  onBytes: (bytes: Uint8Array) => void,
): Socket {
  if (!canReadIntoOneBuffer(accepted)) return accepted.on("data", onBytes);
  const before = accepted as unknown as SocketInternals;
  const options = {
    handle: before._handle,
    allowHalfOpen: accepted.allowHalfOpen,
    highWaterMark: accepted.writableHighWaterMark,
    onread: {
      buffer: readBuffer,
      callback: (length: number): boolean => {
        onBytes(Buffer.from(readBuffer.subarray(0, length)));
        return true;
      },
    },
  };
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
  // The server counts its connections by what their sockets say when they are closed.
  const after = socket as unknown as SocketInternals;
  after._server = before._server;
  after.server = before.server;
  before._handle = null;
  before._server = null;
  // Its bytes come without that, but only a stream that flows says that it has ended.
  return socket.resume();
}
