import { assert } from "../base/assert.ts";
import type { GroupReply } from "../contract/group.ts";
import type { Instant, LogIndex, RequestId } from "../contract/ids.ts";
import { error, type Reply } from "../contract/reply.ts";
import type { CatalogStep, Connection, DeferredCommand, Slot } from "./connection.ts";

/** An answer of the catalog that this node has not come to yet. */
export interface ParkedAnswer {
  readonly connection: Connection;
  readonly slot: Slot;
  readonly step: CatalogStep;
  readonly reply: Reply;
}

/**
 * What waits for the catalog on this node: its answers, until the node has applied what they rest
 * on, and the commands that came behind a call whose answer decides where they go (GEN2).
 */
export class CatalogWaits {
  /** Deferred commands of all connections together; beyond it they are BUSY. */
  readonly #bytesMax: number;
  #bytes = 0;
  #parked: ParkedAnswer[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** A change is answered, and a keyspace selected, when this node has come as far. */
  park(connection: Connection, slot: Slot, step: CatalogStep, { reply }: GroupReply): void {
    this.#parked.push({ connection, slot, step, reply });
  }

  /** Takes out the answer to one request, if it is parked. */
  take(request: RequestId): ParkedAnswer | undefined {
    const parked = this.#parked.find(({ slot }) => slot.request === request);
    if (parked !== undefined) this.#parked = this.#parked.filter((each) => each !== parked);
    return parked;
  }

  /** Takes out the answers whose wait is over: for a good end, unless their time was up first. */
  takeFinished(
    appliedIndex: LogIndex,
    now: Instant,
  ): readonly (ParkedAnswer & { isHere: boolean })[] {
    if (this.#parked.length === 0) return [];
    const over: (ParkedAnswer & { isHere: boolean })[] = [];
    this.#parked = this.#parked.filter((each) => {
      const isHere = each.reply.kind === "error" || appliedIndex >= each.slot.meta.index;
      if (!isHere && now < each.step.deadline) return true;
      over.push({ ...each, isHere });
      return false;
    });
    return over;
  }

  /** When an answer must not wait any longer. */
  deadline(): Instant | null {
    if (this.#parked.length === 0) return null;
    return this.#parked.reduce(
      (first, { step }) => Math.min(first, step.deadline),
      Number.POSITIVE_INFINITY,
    );
  }

  /** Keeps a command until it is known where it goes; a reply where there is no room for it. */
  defer(connection: Connection, slot: Slot, args: readonly Uint8Array[]): Reply | null {
    assert(connection.awaitsCatalog, "a command that nothing is in front of");
    const bytes = args.reduce((sum, arg) => sum + arg.length, 0);
    if (this.#bytes + bytes > this.#bytesMax) {
      return error("BUSY", "Too much waits for the catalog on this node.");
    }
    this.#bytes += bytes;
    // Copies: what the connection read is not kept.
    connection.deferred.push({ slot, args: args.map((arg) => arg.slice()), bytes });
    return null;
  }

  /**
   * The commands that may go, one by one: up to the next call of the catalog, which has to be made
   * before the next command is asked for.
   */
  *release(connection: Connection): Generator<DeferredCommand> {
    connection.awaitsCatalog = false;
    while (!connection.awaitsCatalog) {
      const next = this.#next(connection);
      if (next === undefined) return;
      yield next;
    }
  }

  #next(connection: Connection): DeferredCommand | undefined {
    const next = connection.deferred.shift();
    this.#bytes -= next?.bytes ?? 0;
    assert(this.#bytes >= 0, "fewer bytes deferred than none");
    return next;
  }

  /** The connection's commands go nowhere: they are over with this reply. */
  refuse(connection: Connection, reply: Reply): void {
    for (const { slot } of this.release(connection)) slot.reply = reply;
  }

  /** The connection is gone. */
  forget(connection: Connection): void {
    for (let left = connection.deferred.length; left > 0; left -= 1) this.#next(connection);
    this.#parked = this.#parked.filter((parked) => parked.connection !== connection);
  }
}

/** The deadline came before this node heard of what the catalog has done, or has. */
export function unheardOf({ kind }: CatalogStep): Reply {
  const text = "This node has not heard of it from the catalog yet.";
  if (kind === "change") return error("TIMEOUT", `The change is made. ${text}`, "applied");
  return error("TIMEOUT", `The keyspace exists. ${text} SELECT it again.`, "not-applied");
}
