import { assert, defined } from "../base/assert.ts";
import type { GroupReply } from "../contract/group.ts";
import type { BatchNumber, GroupId, NodeId, RequestId } from "../contract/ids.ts";
import type { Emitter } from "../contract/outbox.ts";
import type { LogRecord } from "../contract/record.ts";
import type { SingleLeaderMessage } from "../replication/single-leader/messages.ts";
import type { SingleLeaderVocabulary } from "../replication/single-leader/raft.ts";
import type { NodeVocabulary } from "./vocabulary.ts";

/** Wraps what one group emits: its messages under the group's id, its replies to the router. */
export class GroupOut implements Emitter<SingleLeaderVocabulary> {
  readonly #group: GroupId;
  readonly #onReply: (ticket: RequestId, reply: GroupReply, out: Emitter<NodeVocabulary>) => void;
  #out: Emitter<NodeVocabulary> | null = null;

  constructor(
    group: GroupId,
    onReply: (ticket: RequestId, reply: GroupReply, out: Emitter<NodeVocabulary>) => void,
  ) {
    this.#group = group;
    this.#onReply = onReply;
  }

  /** The same object each time: an adapter per step would be garbage per operation. */
  on(out: Emitter<NodeVocabulary>): GroupOut {
    this.#out = out;
    return this;
  }

  get batch(): BatchNumber {
    return this.#target.batch;
  }

  send(to: NodeId, message: SingleLeaderMessage): void {
    this.#target.send(to, { group: this.#group, message });
  }

  sendAfterWrite(to: NodeId, message: SingleLeaderMessage): void {
    this.#target.sendAfterWrite(to, { group: this.#group, message });
  }

  reply(to: RequestId, reply: GroupReply): void {
    this.#onReply(to, reply, this.#target);
  }

  replyAfterWrite(): void {
    assert(false, "a single-leader replica answers when it knows, not when it has written");
  }

  write(record: LogRecord): void {
    assert(record.group === this.#group, "a record of another group");
    this.#target.write(record);
  }

  get #target(): Emitter<NodeVocabulary> {
    return defined(this.#out, "used outside a step");
  }
}
