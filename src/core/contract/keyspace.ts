import type { NodeId } from "./ids.ts";

/** How a keyspace replicates. */
export type ReplicationModel = "singleLeader" | "multiLeader" | "leaderless";

/** Every model that a definition may name, in the order of their numbers in stored definitions. */
export const REPLICATION_MODELS: readonly ReplicationModel[] = [
  "singleLeader",
  "multiLeader",
  "leaderless",
];

/** What of a keyspace may be changed while it lives. */
export interface KeyspaceOptions {
  /**
   * The node that leads the keyspace while nothing is wrong; null: the voters take turns by the
   * keyspaces' numbers, so that the leaders are spread.
   */
  readonly preferredLeader: NodeId | null;
  /** Deadline of calls that name none, ms; null: the node's. */
  readonly timeoutMs: number | null;
}

/** What holds where nothing is said. */
export const KEYSPACE_OPTIONS: KeyspaceOptions = { preferredLeader: null, timeoutMs: null };

/** A keyspace that is asked for: the catalog gives it its number. */
export interface KeyspaceRequest {
  readonly name: string;
  readonly model: ReplicationModel;
  /** Of the schema that clients keep to; 0 for none. It never goes back. */
  readonly schemaVersion: number;
  readonly options: KeyspaceOptions;
}

/** A keyspace of the catalog, the same on every node. */
export interface Keyspace extends KeyspaceRequest {
  /** Assigned once, and never again, even after a drop. */
  readonly number: number;
  /** Goes up with each ALTER, from 1. */
  readonly version: number;
}

/** The keyspace that always exists: what a client of Redis finds before any SELECT. */
export const DEFAULT_KEYSPACE: Keyspace = {
  name: "default",
  number: 0,
  model: "singleLeader",
  schemaVersion: 0,
  version: 1,
  options: KEYSPACE_OPTIONS,
};

/** The number of the catalog's own group: the highest there is, which no keyspace can have. */
export const CATALOG_KEYSPACE = 0xffff_ffff;

/** What a keyspace may be called, as a sentence without its full stop. */
export const KEYSPACE_NAME_RULE =
  "A keyspace's name has 1 to 64 of a-z, 0-9, - and _, and begins with a letter";

const NAME = /^[a-z][a-z0-9_-]{0,63}$/;

/** Whether a keyspace may be called so. No name can be taken for a number. */
export function isKeyspaceName(text: string): boolean {
  return NAME.test(text);
}
