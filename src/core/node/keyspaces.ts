import { assert } from "../base/assert.ts";
import type { KeyspaceRef } from "../commands/keyspaces.ts";
import { type GroupId, groupId, keyspaceOf, type LogIndex, type NodeId } from "../contract/ids.ts";
import { CATALOG_KEYSPACE, type Keyspace } from "../contract/keyspace.ts";
import type { Replica } from "../replication/single-leader/replica.ts";
import { type CatalogContent, EMPTY_CATALOG, readCatalog } from "./catalog-machine.ts";
import type { GroupOut } from "./group-out.ts";

/** A replica on this node. One partition per keyspace, for now (GEN4). */
export interface Group {
  readonly id: GroupId;
  readonly replica: Replica;
  readonly out: GroupOut;
  /**
   * Null for the catalog, and while this node's catalog has not come to the group's creation again:
   * after a restart its records may be known before it is known that it was created.
   */
  keyspace: Keyspace | null;
  /**
   * The catalog's log holds an entry that drops the keyspace and that may be committed: this node
   * takes no part in the group any more until it is applied, or overwritten.
   */
  isResting: boolean;
}

/** A group with the keyspace that it replicates. */
export type KeyspaceGroup = Group & { readonly keyspace: Keyspace };

/** The group that replicates the catalog itself. */
export const CATALOG_GROUP: GroupId = groupId(CATALOG_KEYSPACE, 0);

/** What changed when this node's replica of the catalog got on. */
export interface CatalogChanges {
  readonly created: readonly Keyspace[];
  readonly dropped: readonly Group[];
}

const NOTHING: CatalogChanges = { created: [], dropped: [] };

/**
 * The groups of a node: the catalog's, and one per keyspace that the catalog, as far as it is
 * applied here, has. What the catalog holds decides alone, whether its entries or a snapshot
 * brought it about.
 */
export class Keyspaces {
  readonly catalog: Group;
  readonly #voters: readonly NodeId[];
  readonly #byId = new Map<GroupId, Group>();
  /** By ascending number, the catalog's last. */
  #groups: readonly Group[];
  #defined: readonly KeyspaceGroup[] = [];
  #content: CatalogContent = EMPTY_CATALOG;
  #seenIndex: LogIndex = -1;
  /** What `foresee` looked at last: the catalog's log is the same while these are. */
  #foreseen = { appliedIndex: 0, lastIndex: 0, lastTerm: 0 };

  constructor(catalog: Group, voters: readonly NodeId[]) {
    assert(catalog.id === CATALOG_GROUP, "not the catalog's group");
    this.catalog = catalog;
    this.#voters = voters;
    this.#groups = [catalog];
    this.#byId.set(catalog.id, catalog);
  }

  /** What the catalog holds as far as it is applied here. */
  get content(): CatalogContent {
    return this.#content;
  }

  /** Every group of this node, by ascending number; the catalog's is the last. */
  get groups(): readonly Group[] {
    return this.#groups;
  }

  /** Those of keyspaces that clients can use, by ascending number. */
  get defined(): readonly KeyspaceGroup[] {
    return this.#defined;
  }

  get(id: GroupId): Group | undefined {
    return this.#byId.get(id);
  }

  /** The definition of the keyspace of this number; undefined if this node knows none. */
  definition(number: number): Keyspace | undefined {
    return this.#byId.get(groupId(number, 0))?.keyspace ?? undefined;
  }

  /** The keyspace that a client names, if this node knows it. */
  find(ref: KeyspaceRef): Keyspace | undefined {
    if ("number" in ref) return this.definition(ref.number);
    return this.#defined.find(({ keyspace }) => keyspace.name === ref.name)?.keyspace;
  }

  /** Whether the group was dropped: its number was given, and no keyspace has it any more. */
  isDropped(id: GroupId): boolean {
    return isDroppedIn(this.#content, id);
  }

  /**
   * Lets groups rest whose drop is in the catalog's log. A drop is acknowledged when a majority has
   * it there, and of any majority of the keyspace's voters one is among those: so nothing is
   * acknowledged in a keyspace after its drop, whoever has not heard of it yet.
   */
  foresee(): void {
    const { replica } = this.catalog;
    const { lastIndex, lastTerm, appliedIndex } = replica;
    const before = this.#foreseen;
    const isSame = lastIndex === before.lastIndex && lastTerm === before.lastTerm;
    if (isSame && appliedIndex === before.appliedIndex) return;
    this.#foreseen = { appliedIndex, lastIndex, lastTerm };
    const foreseen = lastIndex === appliedIndex ? this.#content : replica.foresee(readCatalog);
    for (const group of this.#groups) group.isResting = isDroppedIn(foreseen, group.id);
  }

  /** The node that is to lead the keyspace while nothing is wrong. */
  preferredLeader(number: number): NodeId {
    const asked = this.definition(number)?.options.preferredLeader ?? null;
    if (asked !== null && this.#voters.includes(asked)) return asked;
    return this.#voters[number % this.#voters.length]!;
  }

  add(group: Group): void {
    assert(!this.#byId.has(group.id), "two groups of one number", group.id);
    assert(group.keyspace === null || group.keyspace.model === "singleLeader", "a later model");
    this.#byId.set(group.id, group);
    this.#list();
  }

  remove(group: Group): void {
    assert(group !== this.catalog && this.#byId.has(group.id), "not a group to remove", group.id);
    this.#byId.delete(group.id);
    this.#list();
  }

  /** Looks at what the catalog holds now: which groups this node has to make and to give up. */
  refresh(): CatalogChanges {
    const { replica } = this.catalog;
    if (replica.appliedIndex === this.#seenIndex) return NOTHING;
    this.#seenIndex = replica.appliedIndex;
    this.#content = readCatalog(replica.state);
    const created: Keyspace[] = [];
    for (const keyspace of this.#content.keyspaces) {
      const group = this.#byId.get(groupId(keyspace.number, 0));
      if (group === undefined) created.push(keyspace);
      else group.keyspace = keyspace;
    }
    this.#list();
    for (const { keyspace, replica } of this.#defined) {
      replica.preferredLeader = this.preferredLeader(keyspace.number);
    }
    return { created, dropped: this.#groups.filter(({ id }) => this.isDropped(id)) };
  }

  #list(): void {
    this.#groups = [...this.#byId.values()].sort((a, b) => a.id - b.id);
    this.#defined = this.#groups.filter((group) => group.keyspace !== null) as KeyspaceGroup[];
  }
}

function isDroppedIn({ keyspaces, next }: CatalogContent, id: GroupId): boolean {
  const number = keyspaceOf(id);
  if (id === CATALOG_GROUP || number >= next) return false;
  return !keyspaces.some((keyspace) => keyspace.number === number);
}
