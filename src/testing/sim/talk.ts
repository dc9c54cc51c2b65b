import { defined } from "../../core/base/assert.ts";
import { decodeUtf8, encodeUtf8 } from "../../core/base/bytes.ts";
import type { ConnectionId, RequestId } from "../../core/contract/ids.ts";
import type { Reply } from "../../core/contract/reply.ts";
import type { NodeReply } from "../../core/node/vocabulary.ts";
import type { Cluster } from "./cluster.ts";
import type { ConnectionListener, SimNode } from "./sim-node.ts";

/** A connection for commands of any kind, of which no history is kept. */
export class Talk implements ConnectionListener {
  readonly #cluster: Cluster;
  readonly #node: SimNode;
  readonly #connection: ConnectionId;
  readonly #answers = new Map<RequestId, Reply>();
  #isOpen = true;

  constructor(cluster: Cluster, node: SimNode) {
    this.#cluster = cluster;
    this.#node = node;
    this.#connection = defined(node.connect(this), `${node.id} is down`);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends a command and does not wait. */
  send(...words: readonly string[]): RequestId {
    return this.#node.call(this.#connection, words.map(encodeUtf8));
  }

  /** The answer to a command that was sent, as plain data; undefined while there is none. */
  answer(request: RequestId): unknown {
    const reply = this.#answers.get(request);
    return reply === undefined ? undefined : plainReply(reply);
  }

  /** Sends a command and runs until it is answered; undefined if that takes longer. */
  ask(...words: readonly string[]): unknown {
    return this.await(this.send(...words));
  }

  /** Runs until the command is answered, for at most so long. */
  await(request: RequestId, withinMs = 5_000): unknown {
    this.#cluster.runUntil(withinMs, () => this.#answers.has(request) || !this.#isOpen);
    return this.answer(request);
  }

  close(): void {
    this.#isOpen = false;
    this.#node.disconnect(this.#connection);
  }

  onReply(request: RequestId, reply: NodeReply): void {
    if (reply.kind === "resp") this.#answers.set(request, reply.reply);
  }

  onClosed(): void {
    this.#isOpen = false;
  }
}

/** A reply as a reader would write it: errors as they are on the wire, maps as objects. */
export function plainReply(reply: Reply): unknown {
  switch (reply.kind) {
    case "simple":
      return reply.text;
    case "bulk":
    case "verbatim":
      return decodeUtf8(reply.bytes);
    case "error": {
      const outcome = reply.outcome === null ? "" : ` ${reply.outcome}`;
      return `${reply.code} ${reply.message}${outcome}`;
    }
    case "integer":
    case "double":
    case "boolean":
      return reply.value;
    case "null":
    case "nullArray":
      return null;
    case "array":
    case "set":
    case "pairs":
      return reply.items.map(plainReply);
    case "map": {
      const items = reply.items.map(plainReply);
      return Object.fromEntries(items.flatMap((key, i) => (i % 2 ? [] : [[key, items[i + 1]]])));
    }
  }
}
