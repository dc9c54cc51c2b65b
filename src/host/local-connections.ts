import type { ConnectionId, RequestId } from "../core/contract/ids.ts";
import { error, type Reply } from "../core/contract/reply.ts";
import type { NodeReply } from "../core/node/vocabulary.ts";
import type { Driver } from "./driver.ts";

/** Ids of connections within the process begin here, above all that a socket can get. */
const FIRST_ID: ConnectionId = 2 ** 40;

/** Calls of one connection that wait for answers; beyond, a call is refused. */
export const LOCAL_OUTSTANDING_MAX = 16_384;

type NodeDriver = Pick<Driver, "tell" | "push" | "nextRequestId" | "stopped">;
type OnReply = (reply: Reply) => void;

/** Connections of the process that the node is part of: commands without a socket. */
export class LocalConnections {
  readonly #driver: NodeDriver;
  readonly #waiting = new Map<RequestId, OnReply>();
  #next = FIRST_ID;

  constructor(driver: NodeDriver) {
    this.#driver = driver;
  }

  open(): LocalConnection {
    const id = this.#next;
    this.#next += 1;
    this.#driver.tell({ kind: "open", connection: id, peer: "local" });
    return new LocalConnection(id, this.#driver, this.#waiting);
  }

  /** Calls that wait for their answers. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** False where the answer is not for one of these. */
  onReply(to: RequestId, { reply }: Extract<NodeReply, { kind: "resp" }>): boolean {
    const onReply = this.#waiting.get(to);
    if (onReply === undefined) return false;
    this.#waiting.delete(to);
    onReply(reply);
    return true;
  }

  /** The node makes no further turn: nobody will be answered. */
  end(): void {
    const text = "The node has stopped.";
    for (const onReply of this.#waiting.values()) onReply(error("CLOSED", text, "unknown"));
    this.#waiting.clear();
  }
}

/** One of them: its commands are carried out, and answered, in the order given. */
export class LocalConnection {
  readonly #id: ConnectionId;
  readonly #driver: NodeDriver;
  /** Those of all connections, and which of them are ours. */
  readonly #waiting: Map<RequestId, OnReply>;
  readonly #ours = new Set<RequestId>();
  #isClosed = false;

  constructor(id: ConnectionId, driver: NodeDriver, waiting: Map<RequestId, OnReply>) {
    this.#id = id;
    this.#driver = driver;
    this.#waiting = waiting;
  }

  /** Resolves with the answer, an error among them. */
  call(args: readonly Uint8Array[]): Promise<Reply> {
    if (this.#isClosed || this.#driver.stopped) {
      return Promise.resolve(error("CLOSED", "The database is closed."));
    }
    if (this.#ours.size >= LOCAL_OUTSTANDING_MAX) {
      const text = `${LOCAL_OUTSTANDING_MAX} calls wait for their answers.`;
      return Promise.resolve(error("BUSY", text));
    }
    return new Promise((resolve) => {
      const id = this.#driver.nextRequestId();
      this.#ours.add(id);
      this.#waiting.set(id, (reply) => {
        this.#ours.delete(id);
        resolve(reply);
      });
      const command = { kind: "call", connection: this.#id, args } as const;
      this.#driver.push({ kind: "request", id, command });
    });
  }

  /** What is under way may yet take effect, but nobody will be answered. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#driver.tell({ kind: "close", connection: this.#id });
    const closed = error("CLOSED", "The database was closed meanwhile.", "unknown");
    for (const id of [...this.#ours]) {
      this.#waiting.get(id)?.(closed);
      this.#waiting.delete(id);
    }
  }
}
