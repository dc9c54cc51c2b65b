import {
  type GroupId,
  groupId,
  type LogIndex,
  type NodeId,
  type Term,
} from "../../core/contract/ids.ts";
import type { TraceEvent } from "../../core/contract/trace.ts";
import { CATALOG_GROUP, type Group } from "../../core/node/keyspaces.ts";
import type { NodeMessage } from "../../core/node/vocabulary.ts";
import type { Replica } from "../../core/replication/single-leader/replica.ts";
import { Elections } from "./elections.ts";
import { Invariants, ViolationError } from "./invariants.ts";
import type { SimNode } from "./sim-node.ts";

interface WatchedReplica {
  readonly group: Group;
  readonly replica: Replica;
  /** Those of its group. */
  readonly invariants: Invariants;
  readonly elections: Elections;
  /** It took no part in its group when it was last looked at. */
  isResting: boolean;
}

/**
 * The white-box oracles of every group of a cluster, and what holds of groups as a whole: a node
 * that starts has every group again in which it may have promised something, but for those that
 * its catalog knows to be dropped; and no number is used twice.
 */
export class GroupInvariants {
  readonly #voters: readonly NodeId[];
  readonly #byGroup = new Map<GroupId, Invariants>();
  readonly #replicas = new Map<NodeId, Map<GroupId, WatchedReplica>>();
  readonly #elections = new Map<GroupId, Elections>();
  readonly #names = new Map<number, string>();

  constructor(voters: readonly NodeId[]) {
    this.#voters = voters;
  }

  /** Terms that had a leader, over all groups. */
  get terms(): number {
    return this.#sum((invariants) => invariants.terms);
  }

  /** Entries that were committed, over all groups. */
  get committed(): number {
    return this.#sum((invariants) => invariants.committedIndex);
  }

  /** Snapshots that took the place of a state, over all groups. */
  get installs(): number {
    return this.#sum((invariants) => invariants.installs);
  }

  /** Replicas that found their state wrong, over all groups. */
  get rebuilds(): number {
    return this.#sum((invariants) => invariants.rebuilds);
  }

  /** Those of the default keyspace, in which rows are damaged on purpose. */
  get ofDefault(): Invariants {
    return this.#of(groupId(0, 0));
  }

  onTrace(event: TraceEvent): void {
    if (event.group === null) return;
    this.#of(event.group).onTrace(event);
    this.#electionsOf(event.group).onTrace(event);
  }

  /** Groups that there were so far, the catalog among them. */
  get groups(): number {
    return this.#byGroup.size;
  }

  #sum(of: (invariants: Invariants) => number): number {
    let sum = 0;
    for (const invariants of this.#byGroup.values()) sum += of(invariants);
    return sum;
  }

  /** What a node says of the age of a group's state is true, by everybody's time. */
  checkAges(node: SimNode, now: number): void {
    const replicas = this.#replicas.get(node.id);
    if (replicas === undefined) return;
    const nodeNow = node.now;
    for (const { replica, invariants } of replicas.values()) {
      const { raft, applier } = replica.inspect();
      const staleMs = raft.staleMs(applier.appliedIndex, nodeNow);
      if (staleMs !== null) invariants.checkAge(node.id, now - node.microsOf(staleMs));
    }
  }

  /** The term of the entry that a group has committed at an index; undefined for none. */
  committedTerm(group: GroupId, index: LogIndex): Term | undefined {
    return this.#of(group).committedTerm(index);
  }

  onBoot(node: SimNode, now: number): void {
    this.#replicas.set(node.id, new Map());
    const keyspaces = node.keyspaces;
    if (keyspaces === null) return;
    for (const [id, invariants] of this.#byGroup) {
      if (!invariants.isBound(node.id) || keyspaces.isDropped(id)) continue;
      if (keyspaces.get(id) !== undefined) continue;
      const text = `${node.id} took part in group ${id} and restarts without it`;
      throw new ViolationError("group-durability", text);
    }
    this.#look(node, now);
  }

  onCrash(node: NodeId): void {
    for (const invariants of this.#byGroup.values()) invariants.onCrash(node);
    this.#replicas.delete(node);
  }

  afterTurn(node: SimNode, now: number): void {
    this.#look(node, now);
    const replicas = this.#replicas.get(node.id);
    if (replicas === undefined) return;
    for (const watched of replicas.values()) {
      const { group, replica, invariants, elections, isResting } = watched;
      invariants.afterTurn(node.id, now);
      // One whose rest has ended in this turn has not settled yet.
      watched.isResting = group.isResting;
      if (isResting || group.isResting) continue;
      const { raft } = replica.inspect();
      elections.afterTurn(node.id, raft, node.isIdle, node.now);
    }
  }

  onSent(from: NodeId, to: NodeId, { group, message }: NodeMessage): void {
    if (message.kind === "vote" && message.granted && !message.preVote) {
      this.#of(group).onVoteSent(from, to, message.term);
      this.#electionsOf(group).onVoteSent(from, to, message.term);
    } else if (message.kind === "timeoutNow") this.#of(group).onTimeoutNowSent(from, to);
    else this.#of(group).onSent(from, message);
  }

  onDelivered(to: NodeId, { group, message }: NodeMessage): void {
    // One that is being dropped takes in nothing any more.
    if (group !== CATALOG_GROUP && group !== groupId(0, 0)) return;
    this.#electionsOf(group).onDelivered(to, message);
  }

  /** Takes note of groups that the node has made or given up since. */
  #look(node: SimNode, now: number): void {
    const known = this.#replicas.get(node.id);
    const keyspaces = node.keyspaces;
    if (known === undefined || keyspaces === null) return;
    for (const id of known.keys()) {
      if (keyspaces.get(id) !== undefined) continue;
      if (id === CATALOG_GROUP || !keyspaces.isDropped(id)) {
        throw new ViolationError("group-durability", `${node.id} gave group ${id} up`);
      }
      known.delete(id);
      this.#of(id).onGivenUp(node.id);
    }
    for (const group of keyspaces.groups) {
      const { id, replica, keyspace } = group;
      if (keyspace !== null) this.#noteName(keyspace.number, keyspace.name);
      if (known.get(id)?.replica === replica) continue;
      const invariants = this.#of(id);
      known.set(id, {
        group,
        replica,
        invariants,
        elections: this.#electionsOf(id),
        isResting: false,
      });
      invariants.onBoot(node.id, replica, now);
    }
  }

  #noteName(number: number, name: string): void {
    const before = this.#names.get(number);
    this.#names.set(number, name);
    if (before === undefined || before === name) return;
    const text = `number ${number} was ${before} and is ${name}`;
    throw new ViolationError("number-reused", text);
  }

  #electionsOf(group: GroupId): Elections {
    let elections = this.#elections.get(group);
    if (elections === undefined) {
      elections = new Elections(this.#voters);
      this.#elections.set(group, elections);
    }
    return elections;
  }

  #of(group: GroupId): Invariants {
    let invariants = this.#byGroup.get(group);
    if (invariants === undefined) {
      invariants = new Invariants(this.#voters);
      this.#byGroup.set(group, invariants);
    }
    return invariants;
  }
}
