import { crc32 } from "../../core/base/hash.ts";
import type { Prng } from "../../core/base/prng.ts";
import type { NodeId } from "../../core/contract/ids.ts";
import type { NodeMessage } from "../../core/node/vocabulary.ts";
import { decodeMessages, encodeMessages } from "../../core/wire/peer-codec.ts";
import type { Micros, Scheduler } from "./scheduler.ts";
import { nodeInGroup, type Timeline } from "./timeline.ts";

/** How badly the network behaves. */
export interface NetworkOptions {
  readonly delayMicrosMin: Micros;
  readonly delayMicrosMax: Micros;
  /** Of 1000 frames, how many take up to `tailMsMax` longer. */
  readonly tailPermille: number;
  readonly tailMsMax: number;
  readonly lossPermille: number;
  /** Of 1000 frames, how many arrive a second time, up to `duplicateMsMax` later. */
  readonly duplicatePermille: number;
  readonly duplicateMsMax: number;
  /**
   * Frames of one link keep their order, as on one TCP connection; otherwise each has its own
   * delay.
   */
  readonly fifo: boolean;
}

/** A network as it is when nothing is wrong. */
export const CALM_NETWORK: NetworkOptions = {
  delayMicrosMin: 100,
  delayMicrosMax: 400,
  tailPermille: 0,
  tailMsMax: 0,
  lossPermille: 0,
  duplicatePermille: 0,
  duplicateMsMax: 0,
  fifo: true,
};

/** Decides about one message before it leaves; false drops it. For scripted faults. */
export type MessageFilter = (from: NodeId, to: NodeId, message: NodeMessage) => boolean;

interface Link {
  blocked: boolean;
  /** When the last frame of a fifo link arrives. */
  lastArrival: Micros;
}

/**
 * Directed links between nodes. Every frame goes through the real codec, so that nodes share no
 * object, and what the codec loses is lost.
 */
export class Network {
  /** Asked for each message; scripted faults replace it. */
  filter: MessageFilter = () => true;
  /** Sees what has left; targeted faults listen. */
  onSent: (from: NodeId, to: NodeId, messages: readonly NodeMessage[]) => void = () => {};
  options: NetworkOptions;
  readonly #links = new Map<NodeId, Map<NodeId, Link>>();
  readonly #scheduler: Scheduler;
  readonly #prng: Prng;
  readonly #timeline: Timeline;
  readonly #deliver: (from: NodeId, to: NodeId, message: NodeMessage) => void;
  #frames = 0;
  #isCalm = false;

  constructor(
    options: NetworkOptions,
    scheduler: Scheduler,
    prng: Prng,
    timeline: Timeline,
    deliver: (from: NodeId, to: NodeId, message: NodeMessage) => void,
  ) {
    this.options = options;
    this.#scheduler = scheduler;
    this.#prng = prng;
    this.#timeline = timeline;
    this.#deliver = deliver;
  }

  /**
   * From now on nothing is wrong. Stragglers still arrive, but nothing new waits behind them, and
   * none come through a cut link: heartbeats of a leader that is cut off would keep the others from
   * electing.
   */
  calm(): void {
    this.#isCalm = true;
    this.options = CALM_NETWORK;
    for (const links of this.#links.values()) {
      for (const link of links.values()) link.lastArrival = 0;
    }
  }

  /** Frames sent so far. */
  get frames(): number {
    return this.#frames;
  }

  isBlocked(from: NodeId, to: NodeId): boolean {
    return this.#link(from, to).blocked;
  }

  /** Cuts or restores one direction. What is under way still arrives. */
  setBlocked(from: NodeId, to: NodeId, blocked: boolean): void {
    this.#link(from, to).blocked = blocked;
  }

  send(from: NodeId, to: NodeId, messages: readonly NodeMessage[]): void {
    const leaving = messages.filter((message) => this.filter(from, to, message));
    if (leaving.length === 0) return;
    this.#frames += 1;
    const bytes = encodeMessages(leaving);
    this.#timeline.mix(crc32(bytes));
    const { lossPermille, duplicatePermille, duplicateMsMax } = this.options;
    const lost = this.#link(from, to).blocked || this.#prng.chance(lossPermille, 1000);
    if (this.#timeline.recording) this.#record(from, to, leaving, lost);
    this.onSent(from, to, leaving);
    if (lost) return;
    this.#arrive(from, to, bytes, this.#arrivalOf(from, to));
    if (!this.#prng.chance(duplicatePermille, 1000)) return;
    const later = this.#prng.between(1, 1 + duplicateMsMax * 1000);
    this.#arrive(from, to, bytes, this.#scheduler.now + later);
  }

  #arrivalOf(from: NodeId, to: NodeId): Micros {
    const { delayMicrosMin, delayMicrosMax, tailPermille, tailMsMax, fifo } = this.options;
    let delay = this.#prng.between(delayMicrosMin, delayMicrosMax);
    if (this.#prng.chance(tailPermille, 1000)) delay += this.#prng.below(1 + tailMsMax * 1000);
    const link = this.#link(from, to);
    let arrival = this.#scheduler.now + delay;
    if (fifo) arrival = Math.max(arrival, link.lastArrival);
    link.lastArrival = Math.max(link.lastArrival, arrival);
    return arrival;
  }

  /** Decoded anew for each arrival: a receiver may keep what it is given, and change it. */
  #arrive(from: NodeId, to: NodeId, bytes: Uint8Array, at: Micros): void {
    this.#scheduler.at(at, () => {
      if (this.#isCalm && this.#link(from, to).blocked) return;
      for (const message of decodeMessages(bytes.slice())) this.#deliver(from, to, message);
    });
  }

  #record(from: NodeId, to: NodeId, messages: readonly NodeMessage[], lost: boolean): void {
    for (const { group, message } of messages) {
      const mark = lost ? "->X" : "->";
      const who = nodeInGroup(from, group);
      this.#timeline.line(this.#scheduler.now, who, mark, `${to} ${describeMessage(message)}`);
    }
  }

  #link(from: NodeId, to: NodeId): Link {
    let links = this.#links.get(from);
    if (links === undefined) {
      links = new Map();
      this.#links.set(from, links);
    }
    let link = links.get(to);
    if (link === undefined) {
      link = { blocked: false, lastArrival: 0 };
      links.set(to, link);
    }
    return link;
  }
}

/** A message in a few words, for timelines. */
export function describeMessage(message: NodeMessage["message"]): string {
  const head = `${message.kind} t${message.term}`;
  switch (message.kind) {
    case "requestVote":
      return `${head} last=${message.lastLogIndex}/t${message.lastLogTerm}${message.preVote ? " pre" : ""}`;
    case "vote":
      return `${head} ${message.granted ? "granted" : "refused"}${message.preVote ? " pre" : ""}`;
    case "appendEntries": {
      const { prevLogIndex, prevLogTerm, entries, commitIndex, round } = message;
      return `${head} prev=${prevLogIndex}/t${prevLogTerm} n=${entries.length} commit=${commitIndex} round=${round}`;
    }
    case "appendReply": {
      const { success, matchIndex, refusedIndex, hintIndex, round } = message;
      const what = success ? `match=${matchIndex}` : `refused=${refusedIndex} hint=${hintIndex}`;
      return `${head} ${what} round=${round}`;
    }
    case "offerSnapshot":
      return `${head} last=${message.id.index}${message.fresh ? " fresh" : ""}`;
    case "installSnapshot":
      return `${head} last=${message.id.index} at=${message.offset}${message.done ? " done" : ""}`;
    case "snapshotReply":
      return `${head} last=${message.id.index} at=${message.offset}${message.installed ? " installed" : ""}`;
    case "requestSnapshot":
      return `${head} from=${message.fromIndex}`;
    case "stateHash":
      return `${head} index=${message.index} ${message.hash}${message.agreed ? " agreed" : ""}`;
    case "stateHashReply":
      return `${head} index=${message.index} ${message.hash}`;
    case "forward": {
      const items = message.items.map(describeItem).join(",");
      return `${head} stream=${message.stream} count=${message.count} session=${message.session} [${items}]`;
    }
    case "forwardReply": {
      const answers = message.answers.map(({ sequence, ticket }) => `s${sequence}/k${ticket}`);
      return `${head} stream=${message.stream} count=${message.count} [${answers.join(",")}]`;
    }
    case "transferRequest":
      return `${head} ${message.boot}/${message.id} to=${message.to} from=${message.from}`;
    case "transferReply":
      return `${head} ${message.boot}/${message.id} ${message.verdict} ${message.reason}`;
    case "timeoutNow":
      return head;
  }
}

function describeItem(
  item: Extract<NodeMessage["message"], { kind: "forward" }>["items"][number],
): string {
  switch (item.kind) {
    case "register":
      return `register ${item.boot}`;
    case "write":
      return `write s${item.sequence}`;
    case "read":
      return `read k${item.ticket} after s${item.afterSequence}`;
    case "wait":
      return `wait k${item.ticket} after s${item.afterSequence}`;
  }
}
