import { assert } from "../base/assert.ts";
import { decodeUtf8 } from "../base/bytes.ts";
import type { Password } from "../base/password.ts";
import type { KeyspaceView, ServerView } from "../commands/server-view.ts";
import type { ClientSession } from "../commands/session.ts";
import type { GroupStatus } from "../contract/group.ts";
import {
  type ConnectionId,
  groupId,
  type Instant,
  type NodeId,
  type WallClock,
} from "../contract/ids.ts";
import { array, bulkText, NULL, type Reply } from "../contract/reply.ts";
import type { NodeOptions } from "./boot.ts";
import type { Connection } from "./connection.ts";
import type { Keyspaces } from "./keyspaces.ts";

/** What commands about the node may see of it: INFO, CLIENT LIST, CONFIG GET, TIME. */
export class NodeView implements ServerView {
  readonly #options: NodeOptions;
  readonly #keyspaces: Keyspaces;
  readonly #connections: ReadonlyMap<ConnectionId, Connection>;
  readonly #startedAt: Instant;
  #wall: WallClock = 0;
  #wallAt: Instant = 0;
  now: Instant;

  constructor(
    options: NodeOptions,
    keyspaces: Keyspaces,
    connections: ReadonlyMap<ConnectionId, Connection>,
    now: Instant,
  ) {
    this.#options = options;
    this.#keyspaces = keyspaces;
    this.#connections = connections;
    this.#startedAt = now;
    this.now = now;
  }

  setClock(wallMs: WallClock, now: Instant): void {
    this.#wall = wallMs;
    this.#wallAt = now;
    this.now = now;
  }

  get version(): string {
    return this.#options.info.version;
  }

  get node(): NodeId {
    return this.#options.node;
  }

  get cluster(): string {
    return this.#options.cluster;
  }

  get runId(): string {
    return this.#options.bootId;
  }

  get pid(): number {
    return this.#options.info.pid;
  }

  get respPort(): number {
    return this.#options.info.respPort;
  }

  get httpPort(): number {
    return this.#options.info.httpPort;
  }

  get members(): readonly NodeId[] {
    return this.#options.members.map((member) => member.node);
  }

  get uptimeSeconds(): number {
    return Math.floor((this.now - this.#startedAt) / 1000);
  }

  /** The host gives it before each turn; between two turns our own clock carries it on. */
  get wallMs(): WallClock {
    return this.#wall + (this.now - this.#wallAt);
  }

  get password(): Password | null {
    return this.#options.password ?? null;
  }

  onAuthFailure({ peer, authFailures }: ClientSession): void {
    const { node, trace } = this.#options;
    const detail = `peer=${peer} failures=${authFailures}`;
    trace({ node, group: null, mark: "auth-failed", detail });
  }

  *clients(): Generator<ClientSession> {
    for (const connection of this.#connections.values()) yield connection.session;
  }

  keyspaces(): readonly KeyspaceView[] {
    return this.#keyspaces.defined.map(({ keyspace, replica }) => ({
      name: keyspace.name,
      number: keyspace.number,
      model: keyspace.model,
      ...replica.status(this.now),
    }));
  }

  catalog(): GroupStatus {
    return this.#keyspaces.catalog.replica.status(this.now);
  }

  config(): ReadonlyMap<string, string> {
    return this.#options.info.config;
  }
}

/** A definition as the catalog answers it, with what this node knows of the keyspace's group. */
export function describeHere(reply: Reply, keyspaces: Keyspaces): Reply {
  if (reply.kind === "array") {
    return array(reply.items.map((item) => describeHere(item, keyspaces)));
  }
  if (reply.kind !== "map") return reply;
  const at = reply.items.findIndex((item) => equals(item, "number"));
  const number = reply.items[at + 1];
  assert(at >= 0 && number?.kind === "integer", "a definition without its number");
  const group = keyspaces.get(groupId(Number(number.value), 0));
  const leader = group?.replica.leader ?? null;
  const items = [...reply.items, bulkText("leader"), leader === null ? NULL : bulkText(leader)];
  return { kind: "map", items };
}

function equals(item: Reply, text: string): boolean {
  return item.kind === "bulk" && decodeUtf8(item.bytes) === text;
}
