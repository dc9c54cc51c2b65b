import type { Password } from "../base/password.ts";
import type { GroupStatus } from "../contract/group.ts";
import type { Instant, NodeId, WallClock } from "../contract/ids.ts";
import type { ClientSession } from "./session.ts";

/** A keyspace as this node sees it. */
export interface KeyspaceView extends GroupStatus {
  readonly name: string;
  readonly number: number;
  readonly model: string;
}

/** What the commands about the node and its connections may know of it. */
export interface ServerView {
  /** Trefoil's version. */
  readonly version: string;
  readonly node: NodeId;
  readonly cluster: string;
  /** Random per start of the process, hexadecimal. */
  readonly runId: string;
  readonly pid: number;
  readonly respPort: number;
  readonly httpPort: number;
  readonly members: readonly NodeId[];
  /** Since the process started, whole seconds. */
  readonly uptimeSeconds: number;
  /** May have a fraction: TIME shows microseconds. */
  readonly wallMs: WallClock;
  /** For the ages of connections. */
  readonly now: Instant;
  /** What clients authenticate with; null: nobody has to. */
  readonly password: Password | null;
  /** A wrong password was given: for whoever watches the node. */
  onAuthFailure(session: ClientSession): void;
  /** Open client connections, by ascending id. */
  clients(): Iterable<ClientSession>;
  /** By ascending number. */
  keyspaces(): readonly KeyspaceView[];
  /** The group that holds the keyspaces' definitions. */
  catalog(): GroupStatus;
  /** Settings that CONFIG GET shows besides those that every node has; they win over them. */
  config(): ReadonlyMap<string, string>;
}

/** The version of Redis whose commands we keep to: clients switch features by it. */
export const REDIS_VERSION = "7.2.4";
