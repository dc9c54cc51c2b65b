import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { DiskError } from "../../core/contract/disk.ts";
import { diskError } from "./disk-errors.ts";
import { totalBytes } from "./file-writes.ts";

type Request =
  | {
      readonly kind: "write";
      readonly id: number;
      readonly path: string;
      readonly at: number;
      readonly bytes: Uint8Array;
    }
  /** The path names another file from now on, or none. */
  | { readonly kind: "forget"; readonly path: string }
  | { readonly kind: "close" };

interface Answer {
  readonly id: number;
  readonly error: { readonly code: string; readonly message: string } | null;
}

type Callback = (error: unknown) => void;

/**
 * A thread that writes to files opened with O_DSYNC: when a write is answered, its bytes are
 * durable.
 *
 * Requests travel as messages, and a shared counter wakes the thread, which waits on it instead of
 * on its event loop: that saves a turn of the loop per write.
 */
export class DsyncWriter {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #wake = new Int32Array(new SharedArrayBuffer(4));
  readonly #waiting = new Map<number, Callback>();
  #id = 0;
  /** Why the thread is gone, once it is. */
  #failure: DiskError | null = null;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#port.on("message", (answer: Answer) => this.#onAnswer(answer));
    // The thread's code is handed over as text: it then needs no file of its own, which would have
    // one name among the sources and another in the package. So the function must be
    // self-contained.
    const code = `(${serve.toString()})(require("node:fs"), require("node:worker_threads"));`;
    this.#worker = new Worker(code, {
      eval: true,
      workerData: { port: port2, wake: this.#wake },
      transferList: [port2],
    });
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(new Error("the log writer's thread has ended")));
  }

  /**
   * Writes the parts one after the other. They are copied; one write at a time per path, in order.
   */
  write(path: string, at: number, parts: readonly Uint8Array[], done: Callback): void {
    const failure = this.#failure;
    if (failure !== null) {
      queueMicrotask(() => done(failure));
      return;
    }
    const bytes = new Uint8Array(totalBytes(parts));
    let filled = 0;
    for (const part of parts) {
      bytes.set(part, filled);
      filled += part.length;
    }
    this.#id += 1;
    this.#waiting.set(this.#id, done);
    this.#post({ kind: "write", id: this.#id, path, at, bytes }, [bytes.buffer]);
  }

  /** The file was renamed, replaced or removed: the next write to the path opens it anew. */
  forget(path: string): void {
    this.#post({ kind: "forget", path }, []);
  }

  /** Ends the thread after the writes handed over before. */
  async close(): Promise<void> {
    this.#post({ kind: "close" }, []);
    await new Promise((resolve) => {
      if (this.#worker.threadId === -1) resolve(null);
      else this.#worker.once("exit", resolve);
    });
    this.#port.close();
  }

  #post(request: Request, transfer: readonly ArrayBuffer[]): void {
    this.#port.postMessage(request, transfer);
    Atomics.add(this.#wake, 0, 1);
    Atomics.notify(this.#wake, 0);
  }

  #onAnswer({ id, error }: Answer): void {
    const done = this.#waiting.get(id);
    this.#waiting.delete(id);
    done?.(
      error === null ? null : diskError(Object.assign(new Error(error.message), error), "write"),
    );
  }

  #fail(error: Error): void {
    const failure = new DiskError("DISK_FAILED", error.message);
    this.#failure ??= failure;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const done of waiting) done(failure);
  }
}

/** Runs in the thread. Refers to nothing but its arguments and globals: see the constructor. */
function serve(fs: typeof import("node:fs"), threads: typeof import("node:worker_threads")): void {
  const { port, wake } = threads.workerData as { port: MessagePort; wake: Int32Array };
  const files = new Map<string, number>();

  const open = (path: string): number => {
    const known = files.get(path);
    if (known !== undefined) return known;
    const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_DSYNC);
    files.set(path, fd);
    return fd;
  };
  const forget = (path: string): void => {
    const fd = files.get(path);
    files.delete(path);
    if (fd !== undefined) fs.closeSync(fd);
  };
  const write = (path: string, at: number, bytes: Uint8Array): Answer["error"] => {
    try {
      const fd = open(path);
      let done = 0;
      while (done < bytes.length) {
        const written = fs.writeSync(fd, bytes, done, bytes.length - done, at + done);
        if (written === 0) return { code: "ENOSPC", message: "the file system took no bytes" };
        done += written;
      }
      return null;
    } catch (error) {
      const { code = "", message } = error as NodeJS.ErrnoException;
      return { code, message };
    }
  };

  for (;;) {
    // Read before the queue is emptied: a request that comes afterwards has changed it by then.
    const seen = Atomics.load(wake, 0);
    let next = threads.receiveMessageOnPort(port);
    while (next !== undefined) {
      const request = next.message as Request;
      if (request.kind === "close") {
        for (const path of [...files.keys()]) forget(path);
        port.close();
        return;
      }
      if (request.kind === "forget") {
        forget(request.path);
      } else {
        const error = write(request.path, request.at, request.bytes);
        port.postMessage({ id: request.id, error });
      }
      next = threads.receiveMessageOnPort(port);
    }
    Atomics.wait(wake, 0, seen);
  }
}
