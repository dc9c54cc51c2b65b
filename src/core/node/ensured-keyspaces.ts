import { assert } from "../base/assert.ts";
import type { CatalogCall } from "../commands/keyspaces.ts";
import type { Instant, RequestId } from "../contract/ids.ts";
import type { Keyspace, KeyspaceRequest } from "../contract/keyspace.ts";
import type { Reply } from "../contract/reply.ts";
import type { TraceEvent } from "../contract/trace.ts";
import type { Keyspaces } from "./keyspaces.ts";

/** Tickets of the node's own calls: the host's request ids never come so far. */
const FIRST_TICKET: RequestId = 0x10_0000_0000_0000;

interface Wanted {
  readonly request: KeyspaceRequest;
  state: "waiting" | "asked" | "there" | "refused";
  /** Why it is not there, as the catalog said last. */
  reason: string | null;
  ticket: RequestId;
  askAt: Instant;
}

/** What the node that ensures keyspaces gives and is given. */
export interface EnsuredOptions {
  readonly keyspaces: readonly KeyspaceRequest[];
  /** How long one request may take, and how long to wait before the next, ms. */
  readonly timeoutMs: number;
  readonly retryMs: number;
  readonly trace: (event: Pick<TraceEvent, "mark" | "detail">) => void;
}

/** Hands a call of the node itself to the catalog's group. */
export type AskCatalog = (ticket: RequestId, call: CatalogCall, deadline: Instant) => void;

/** A keyspace that the configuration names and that is not there. */
export interface MissingKeyspace {
  readonly name: string;
  readonly reason: string | null;
}

/**
 * Keyspaces that the node's configuration names: the catalog is asked to create what is missing,
 * by every node and as often as need be, since creating what is there changes nothing.
 *
 * A definition that is there already stays as it is: an operator may have altered it since. What
 * differs, and what the catalog refuses, is reported.
 */
export class EnsuredKeyspaces {
  readonly #options: EnsuredOptions;
  readonly #wanted: readonly Wanted[];
  #tickets = FIRST_TICKET;

  constructor(options: EnsuredOptions) {
    this.#options = options;
    this.#wanted = options.keyspaces.map((request) => {
      return { request, state: "waiting", reason: null, ticket: 0, askAt: 0 };
    });
  }

  /** Whether the ticket is of one of our calls. */
  static isOwn(ticket: RequestId): boolean {
    return ticket >= FIRST_TICKET;
  }

  get missing(): readonly MissingKeyspace[] {
    const missing = this.#wanted.filter(({ state }) => state !== "there");
    return missing.map(({ request, reason }) => ({ name: request.name, reason }));
  }

  /** Once per turn: notes what has come to be there, and asks for the rest. */
  drive(keyspaces: Keyspaces, ask: AskCatalog, now: Instant): void {
    for (const wanted of this.#wanted) {
      if (wanted.state === "there") continue;
      const found = keyspaces.find({ name: wanted.request.name });
      if (found !== undefined) this.#found(wanted, found);
      else if (wanted.state === "waiting" && now >= wanted.askAt) this.#ask(wanted, ask, now);
    }
  }

  #found(wanted: Wanted, found: Keyspace): void {
    wanted.state = "there";
    wanted.reason = null;
    const differing = differences(wanted.request, found);
    if (differing.length === 0) return;
    const detail = `${found.name}: ${differing.join(", ")}`;
    this.#options.trace({ mark: "keyspace-differs", detail });
  }

  #ask(wanted: Wanted, ask: AskCatalog, now: Instant): void {
    this.#tickets += 1;
    wanted.state = "asked";
    wanted.ticket = this.#tickets;
    const call: CatalogCall = { kind: "create", request: wanted.request, ifNotExists: true };
    ask(wanted.ticket, call, now + this.#options.timeoutMs);
  }

  onReply(ticket: RequestId, reply: Reply, now: Instant): void {
    assert(EnsuredKeyspaces.isOwn(ticket), "an answer to a client's call");
    const wanted = this.#wanted.find((each) => each.ticket === ticket);
    if (wanted === undefined || wanted.state !== "asked") return;
    // Created or not reached: this node's own copy of the catalog will show it.
    wanted.state = "waiting";
    wanted.askAt = now + this.#options.retryMs;
    if (reply.kind !== "error") return;
    wanted.reason = `${reply.code} ${reply.message}`;
    if (reply.code === "NOLEADER" || reply.code === "TIMEOUT" || reply.code === "BUSY") return;
    if (reply.code === "SESSION_EXPIRED") return;
    wanted.state = "refused";
    const detail = `${wanted.request.name}: ${wanted.reason}`;
    this.#options.trace({ mark: "keyspace-refused", detail });
  }

  deadline(): Instant | null {
    let deadline = Number.POSITIVE_INFINITY;
    for (const { state, askAt } of this.#wanted) {
      if (state === "waiting") deadline = Math.min(deadline, askAt);
    }
    return deadline === Number.POSITIVE_INFINITY ? null : deadline;
  }
}

type Value = string | number | null;

/** Where a definition is not what is asked for; what is not asked for may be anything. */
function differences(asked: KeyspaceRequest, found: Keyspace): string[] {
  const { preferredLeader, timeoutMs } = asked.options;
  const pairs: readonly (readonly [string, Value, Value])[] = [
    ["model", asked.model, found.model],
    ["schemaVersion", asked.schemaVersion || null, found.schemaVersion],
    ["preferredLeader", preferredLeader, found.options.preferredLeader],
    ["timeoutMs", timeoutMs, found.options.timeoutMs],
  ];
  return pairs
    .filter(([, wanted, is]) => wanted !== null && wanted !== is)
    .map(([name, wanted, is]) => `${name} is ${is ?? "not set"}, not ${wanted}`);
}
