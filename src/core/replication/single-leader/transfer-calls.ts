import { assert } from "../../base/assert.ts";
import { type GroupCall, type GroupReply, NO_META } from "../../contract/group.ts";
import type { Instant, NodeId, RequestId, Term } from "../../contract/ids.ts";
import { error, OK, type Reply } from "../../contract/reply.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Out, Raft } from "./raft.ts";

type TransferCall = Extract<GroupCall, { kind: "transfer" }>;
type TransferRequest = Extract<SingleLeaderMessage, { kind: "transferRequest" }>;
type TransferReply = Extract<SingleLeaderMessage, { kind: "transferReply" }>;

interface OpenTransfer {
  readonly ticket: RequestId;
  readonly id: number;
  readonly to: NodeId | null;
  readonly deadline: Instant;
  /** The leader that was asked first, and its term; null until one was. */
  first: { readonly leader: NodeId; readonly term: Term } | null;
  /** Who was asked last, in which term, and when. */
  asked: { readonly leader: NodeId; readonly term: Term; readonly at: Instant } | null;
}

/**
 * The accepting node's side of a transfer that an operator asks for. Whoever leads is asked, again
 * and again and whenever the leader changes, until the node that was wanted says itself that it
 * leads, a leader refuses, or the deadline is over. Messages may be lost and repeated; a leader
 * sees to it that a repetition does nothing new.
 */
export class TransferCalls {
  readonly #raft: Raft;
  readonly #boot: string;
  /** One at a time: two wishes for one leadership would undo each other. */
  #open: OpenTransfer | null = null;
  #lastId = 0;

  constructor(raft: Raft, boot: string) {
    this.#raft = raft;
    this.#boot = boot;
  }

  /** Calls not yet answered. */
  get openCalls(): number {
    return this.#open === null ? 0 : 1;
  }

  request(ticket: RequestId, { to, deadline }: TransferCall, out: Out): void {
    assert(ticket !== 0, "a call needs a ticket");
    const { voters } = this.#raft.options;
    if (to !== null && !voters.includes(to)) {
      const text = `${to} is no voter of this keyspace; its voters are ${voters.join(", ")}.`;
      return reply(out, ticket, error("TRANSFER_REFUSED", text));
    }
    if (this.#open !== null) {
      const text = "Another transfer that was asked for on this node is under way.";
      return reply(out, ticket, error("BUSY", text));
    }
    this.#lastId += 1;
    this.#open = { ticket, id: this.#lastId, to, deadline, first: null, asked: null };
  }

  cancel(ticket: RequestId): void {
    if (this.#open?.ticket === ticket) this.#open = null;
  }

  /** Once per turn: what the leader is to be asked now, if anything. */
  dispatch(now: Instant): { readonly to: NodeId; readonly message: TransferRequest } | null {
    const { leader, term } = this.#raft;
    const open = this.#open;
    if (open === null || leader === null || now < this.#nextAskAt(open)) return null;
    open.asked = { leader, term, at: now };
    const { id, to, first } = open;
    open.first ??= { leader, term };
    const from = first?.leader ?? "";
    const fromTerm = first?.term ?? 0;
    const boot = this.#boot;
    const kind = "transferRequest";
    return { to: leader, message: { kind, term, boot, id, to: to ?? "", from, fromTerm } };
  }

  /** At once when somebody else leads than was asked, else after half an election timeout. */
  #nextAskAt({ asked }: OpenTransfer): Instant {
    const { leader, term, options } = this.#raft;
    if (asked === null || asked.leader !== leader || asked.term !== term) return 0;
    return asked.at + options.timing.electionTimeoutMs / 2;
  }

  onReply({ boot, id, term, verdict, reason }: TransferReply, out: Out): void {
    const open = this.#open;
    if (open === null || boot !== this.#boot || id !== open.id) return;
    this.#open = null;
    if (verdict === "leads") return reply(out, open.ticket, OK);
    // What a leader of an earlier term began for this call, this one cannot know (GEN1).
    const outcome = open.first?.term === term ? "not-applied" : "unknown";
    reply(out, open.ticket, error("TRANSFER_REFUSED", `${capitalised(reason)}.`, outcome));
  }

  /** Ends the call whose time is up, with what is certain about it (GEN1). */
  expire(now: Instant, out: Out): void {
    const open = this.#open;
    if (open === null || now < open.deadline) return;
    this.#open = null;
    if (open.first === null) {
      const text = "No leader could be reached within the deadline; none was asked to hand over.";
      return reply(out, open.ticket, error("NOLEADER", text));
    }
    const wanted = open.to ?? "another node";
    const text = `It is not known within the deadline that ${wanted} leads; it may yet come to.`;
    reply(out, open.ticket, error("TIMEOUT", text));
  }

  /** The keyspace is no more: whether somebody took over before that is not known. */
  endAll(out: Out): void {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    const outcome = open.first === null ? "not-applied" : "unknown";
    reply(out, open.ticket, error("NOKEYSPACE", "The keyspace was dropped.", outcome));
  }

  /** When the open call's time is up. */
  get callDeadline(): Instant | null {
    return this.#open?.deadline ?? null;
  }

  deadline(): Instant | null {
    const open = this.#open;
    if (open === null) return null;
    if (this.#raft.leader === null) return open.deadline;
    return Math.min(open.deadline, this.#nextAskAt(open));
  }
}

function reply(out: Out, ticket: RequestId, answer: Reply): void {
  const given: GroupReply = { reply: answer, meta: NO_META };
  out.reply(ticket, given);
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
