import { assert } from "../../base/assert.ts";
import { FormatError } from "../../base/bytes.ts";
import { DiskError } from "../../contract/disk.ts";
import type { Instant, LogIndex, NodeId } from "../../contract/ids.ts";
import type { StateStore } from "../../contract/state-store.ts";
import { CheckpointError } from "../../log/checkpoint-reader.ts";
import { SnapshotChain } from "../../log/snapshot-chain.ts";
import type { SnapshotChunk, SnapshotFiles } from "../../log/snapshot-file.ts";
import type { Applier } from "./applier.ts";
import type { Leadership } from "./leadership.ts";
import type { SingleLeaderMessage } from "./messages.ts";
import type { Progress, SnapshotTransfer } from "./progress.ts";
import type { Out, Raft } from "./raft.ts";
import { isSameSnapshot, type SnapshotId } from "./rows.ts";
import { SnapshotSpool } from "./snapshot-spool.ts";

type SnapshotReply = Extract<SingleLeaderMessage, { kind: "snapshotReply" }>;
type RequestSnapshot = Extract<SingleLeaderMessage, { kind: "requestSnapshot" }>;

/** A group's state in a checkpoint. */
export interface Checkpointed extends SnapshotId {
  readonly generation: number;
}

/** What snapshots are made of, at the sender. */
export interface SenderParts {
  readonly store: StateStore;
  readonly files: SnapshotFiles;
  readonly requestCheckpoint: () => void;
  /** The group's state in the last durable checkpoint. */
  readonly durable: () => Checkpointed;
}

/**
 * Sends snapshots (Raft §7, STO9): the last durable checkpoint goes into a file once, and from it
 * to every follower that needs it, from wherever the follower says it stands.
 */
export class SnapshotSender {
  readonly #raft: Raft;
  readonly #applier: Applier;
  readonly #parts: SenderParts;
  #spool: SnapshotSpool | null = null;
  #neededAt: Instant = Number.NEGATIVE_INFINITY;
  #retryAt: Instant = Number.NEGATIVE_INFINITY;
  /** The durable checkpoint that was found too old, so that the next one is asked for once. */
  #tooOld: LogIndex = -1;

  constructor(raft: Raft, applier: Applier, parts: SenderParts) {
    this.#raft = raft;
    this.#applier = applier;
    this.#parts = parts;
  }

  /** Whether there is no file. */
  get isIdle(): boolean {
    return this.#spool === null;
  }

  /** Whether a settle right now would get on with the file. */
  get isDue(): boolean {
    return this.#spool?.isBusy ?? false;
  }

  /** Once per turn, whoever leads: a slice of the file, or its end. */
  settle(now: Instant): void {
    const spool = this.#spool;
    if (spool === null) return;
    const isPinning = spool.state === "spooling" && this.#raft.leadership === null;
    const isIdle = now - this.#neededAt > this.#raft.options.limits.snapshotIdleMsMax;
    if (isPinning || isIdle) return this.#discard(spool);
    if (spool.state !== "spooling") return this.#afterSpooling(spool, now);
    try {
      spool.work(now);
    } catch (failure) {
      if (!(failure instanceof CheckpointError)) throw failure;
      this.#discard(spool);
      return this.#applier.declareDamaged(failure.message);
    }
    this.#afterSpooling(spool, now);
  }

  #afterSpooling(spool: SnapshotSpool, now: Instant): void {
    if (spool.state === "damaged") {
      this.#discard(spool);
      return this.#applier.declareDamaged("its rows are not those of the checkpoint");
    }
    if (spool.state === "failed") this.#giveUp(spool, now);
  }

  #giveUp(spool: SnapshotSpool, now: Instant): void {
    this.#retryAt = now + this.#raft.options.limits.snapshotRetryMs;
    this.#raft.trace("snapshot-file-failed", `index=${spool.id.index} bytes=${spool.file.bytes}`);
    this.#discard(spool);
  }

  #discard(spool: SnapshotSpool): void {
    assert(this.#spool === spool, "a snapshot's file that is not in use");
    spool.discard();
    this.#spool = null;
    for (const progress of this.#raft.leadership?.followers ?? []) progress.dropSnapshot();
  }

  /** The group is no more. */
  close(): void {
    if (this.#spool !== null) this.#discard(this.#spool);
  }

  /** Decides what each follower that needs a snapshot is sent this turn. */
  drive(leadership: Leadership, now: Instant, out: Out): void {
    for (const progress of leadership.followers) {
      const lags = progress.state === "snapshot";
      if (lags && progress.toldRound < leadership.round) {
        heartbeat(this.#raft, leadership, progress, now, out);
      }
      // A state that is known to be wrong goes to nobody.
      if (this.#applier.damage !== null) progress.dropSnapshot();
      else if (lags || progress.rebuildFrom !== null) this.#driveTo(leadership, progress, now, out);
    }
  }

  #driveTo(leadership: Leadership, progress: Progress, now: Instant, out: Out): void {
    const { electionTimeoutMs } = this.#raft.options.timing;
    if (now - progress.lastHeardAt >= electionTimeoutMs) return progress.dropSnapshot();
    const spool = this.#spoolFor(leadership, progress, now);
    if (spool === null) return progress.dropSnapshot();
    this.#neededAt = now;
    const transfer = this.#transferOf(progress, spool, now);
    if (now - transfer.progressAt >= electionTimeoutMs) transfer.phase = "offering";
    if (transfer.phase === "offering") this.#offer(progress, transfer, now, out);
    if (transfer.phase === "sending") this.#sendChunks(progress, transfer, now, out);
  }

  /** The file for this follower; null while there is none. */
  #spoolFor(leadership: Leadership, progress: Progress, now: Instant): SnapshotSpool | null {
    const { log } = this.#raft;
    // What comes behind the snapshot must still be in the log.
    const need = Math.max(log.compactedIndex, progress.rebuildFrom ?? 0);
    const spool = this.#spool;
    if (spool !== null) {
      if (spool.id.index >= need) return spool;
      const { compactedIndex } = log;
      const isUsed = leadership.followers.some(
        (other) => other !== progress && other.snapshot?.spool === spool,
      );
      if (isUsed && spool.id.index >= compactedIndex) return null;
      this.#discard(spool);
    }
    return now < this.#retryAt ? null : this.#open(need, now);
  }

  #open(need: LogIndex, now: Instant): SnapshotSpool | null {
    const { generation, ...id } = this.#parts.durable();
    if (id.index < need || id.index === 0) {
      // A state that was found wrong is replaced by none that is older.
      if (this.#tooOld !== id.index && this.#applier.appliedIndex >= need) {
        this.#tooOld = id.index;
        this.#parts.requestCheckpoint();
      }
      return null;
    }
    const { store, files } = this.#parts;
    // The other generation may hold rows of a snapshot that this node once took in, or began to.
    const ranges = this.#applier.snapshotRanges(generation);
    const { group, limits } = this.#raft.options;
    this.#spool = new SnapshotSpool(
      id,
      {
        group,
        files,
        handle: new SnapshotChain(ranges.map(([from, to]) => store.openSnapshot(from, to))),
        chunkBytes: limits.snapshotChunkBytes,
        ageMsMax: limits.snapshotAgeMsMax,
        diskRoomBytesMin: limits.diskRoomBytesMin,
      },
      now,
    );
    this.#neededAt = now;
    return this.#spool;
  }

  #transferOf(progress: Progress, spool: SnapshotSpool, now: Instant): SnapshotTransfer {
    if (progress.snapshot?.spool === spool) return progress.snapshot;
    progress.snapshot = {
      spool,
      phase: "offering",
      isFresh: false,
      resumedAt: 0,
      acked: 0,
      sent: 0,
      progressAt: now,
    };
    this.#raft.trace("snapshot-send", `to=${progress.node} index=${spool.id.index}`);
    return progress.snapshot;
  }

  #offer(progress: Progress, transfer: SnapshotTransfer, now: Instant, out: Out): void {
    transfer.phase = "offered";
    transfer.progressAt = now;
    const { id } = transfer.spool;
    const { term } = this.#raft;
    out.send(progress.node, { kind: "offerSnapshot", term, id, fresh: transfer.isFresh });
  }

  #sendChunks(progress: Progress, transfer: SnapshotTransfer, now: Instant, out: Out): void {
    const { spool } = transfer;
    const { snapshotWindowBytes } = this.#raft.options.limits;
    // That the file does not reach further yet is not the follower's fault.
    if (transfer.sent === transfer.acked && !spool.file.has(transfer.sent)) {
      if (!spool.file.isComplete) transfer.progressAt = now;
    }
    while (transfer.sent - transfer.acked < snapshotWindowBytes && spool.file.has(transfer.sent)) {
      const chunk = this.#read(transfer, now);
      if (chunk === null) return;
      out.send(progress.node, {
        kind: "installSnapshot",
        term: this.#raft.term,
        id: spool.id,
        offset: transfer.sent,
        crc: chunk.crc,
        rows: chunk.body,
        done: chunk.isLast,
      });
      transfer.sent = chunk.next;
    }
  }

  /** Null where there is no chunk after all: the follower is mistaken, or the file is damaged. */
  #read(transfer: SnapshotTransfer, now: Instant): SnapshotChunk | null {
    const { spool, sent, resumedAt } = transfer;
    try {
      return spool.file.chunkAt(sent);
    } catch (failure) {
      if (!(failure instanceof FormatError || failure instanceof DiskError)) throw failure;
      if (sent === resumedAt && sent > 0) startAnew(transfer);
      else this.#giveUp(spool, now);
      return null;
    }
  }

  onReply(from: NodeId, reply: SnapshotReply, now: Instant): void {
    if (reply.term > this.#raft.term) return this.#raft.becomeFollower(reply.term, null, now);
    const leadership = this.#raft.leadership;
    if (leadership === null || reply.term < this.#raft.term) return;
    const progress = leadership.progress(from);
    progress.lastHeardAt = now;
    const transfer = progress.snapshot;
    if (transfer === null || !isSameSnapshot(reply.id, transfer.spool.id)) return;
    if (reply.installed) return this.#onInstalled(progress, reply.id.index);
    if (transfer.phase === "sending") {
      if (reply.offset <= transfer.acked) return;
      transfer.acked = reply.offset;
      transfer.sent = Math.max(transfer.sent, reply.offset);
      transfer.progressAt = now;
      return;
    }
    if (transfer.spool.file.endsBefore(reply.offset)) return startAnew(transfer);
    if (reply.offset > 0) {
      this.#raft.trace("snapshot-resume", `to=${from} offset=${reply.offset}`);
    }
    transfer.phase = "sending";
    transfer.isFresh = false;
    transfer.resumedAt = reply.offset;
    transfer.acked = reply.offset;
    transfer.sent = reply.offset;
    transfer.progressAt = now;
  }

  #onInstalled(progress: Progress, index: LogIndex): void {
    progress.dropSnapshot();
    progress.rebuildFrom = null;
    this.#raft.trace("snapshot-installed", `peer=${progress.node} index=${index}`);
    if (progress.state !== "snapshot") return;
    progress.matched(index, false);
    progress.becomeProbe();
  }

  /** A follower knows its state to be wrong; it goes on taking entries meanwhile (STO7). */
  onRequest(from: NodeId, request: RequestSnapshot, now: Instant): void {
    const leadership = this.#raft.leadership;
    if (leadership === null || request.term !== this.#raft.term) return;
    const progress = leadership.progress(from);
    progress.lastHeardAt = now;
    progress.rebuildFrom = request.fromIndex;
  }

  /** The connection is another one: what was under way may be lost. */
  onLink(progress: Progress): void {
    if (progress.snapshot !== null) progress.snapshot.phase = "offering";
  }
}

function startAnew(transfer: SnapshotTransfer): void {
  transfer.phase = "offering";
  transfer.isFresh = true;
}

/** A follower that is being sent a snapshot still has to hear that there is a leader. */
function heartbeat(
  raft: Raft,
  leadership: Leadership,
  progress: Progress,
  now: Instant,
  out: Out,
): void {
  progress.toldRound = leadership.round;
  progress.lastSentAt = now;
  out.send(progress.node, {
    kind: "appendEntries",
    term: raft.term,
    prevLogIndex: 0,
    prevLogTerm: 0,
    commitIndex: 0,
    entries: [],
    round: leadership.round,
    freshBoot: 0,
    freshStamp: 0,
    freshIndex: 0,
  });
}
