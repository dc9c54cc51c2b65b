import { assert, defined } from "../base/assert.ts";
import type { Checksum } from "../base/hash.ts";
import type { MutantId } from "../base/mutants.ts";
import type { Disk, DiskCompletion, DiskError, DiskOp } from "../contract/disk.ts";
import type { BatchNumber, Instant, LogPosition } from "../contract/ids.ts";
import type { LogRecord } from "../contract/record.ts";
import {
  BATCH_HEADER_BYTES,
  encodeBatch,
  encodeSegmentHeader,
  recordBytes,
  SEGMENT_BYTES_DEFAULT,
  SEGMENT_BYTES_MAX,
  SEGMENT_BYTES_MIN,
  SEGMENT_COPY_SUFFIX,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentName,
} from "./format.ts";
import type { LogEnd } from "./recovery.ts";

/** What a `LogWriter` works with. */
export interface LogWriterOptions {
  readonly disk: Disk;
  readonly checksum: Checksum;
  /** Numbers for disk operations, unique among all users of the disk. */
  readonly nextOp: () => DiskOp;
  /** Where `recoverLog` found the end. */
  readonly end: LogEnd;
  /** Size of new segments in bytes. */
  readonly segmentBytes?: number;
  /** How long after its last sync an idle log writes its mark, in milliseconds (STO3). */
  readonly markMs?: number;
  /** Only the simulator sets it. */
  readonly mutant?: MutantId | null;
}

/** A submitted operation: how to submit it, and what to do when it is done. */
interface Submitted {
  readonly start: (op: DiskOp) => void;
  readonly done: () => void;
}

/** How soon an idle log writes its mark unless told otherwise, in milliseconds. */
export const MARK_MS_DEFAULT = 50;

interface Segment extends SegmentHeader {
  /** Its zeros, its header and its name are durable: batches may be written into it. */
  isReady: boolean;
}

/** A batch with a place in the log that has not been handed to the disk. */
interface QueuedBatch {
  /** The turn that is durable once this is; 0 for a mark and for all but the last of a turn's. */
  number: BatchNumber;
  readonly records: readonly LogRecord[];
  readonly continues: boolean;
  readonly position: LogPosition;
  readonly end: LogPosition;
  readonly skipped: number;
  readonly segment: SegmentHeader;
}

/** The batches of one write and its sync. */
interface Flight {
  number: BatchNumber;
  /**
   * End of the last batch that ends a turn; null if none does. What follows is durable too, but
   * must not be stated to be: recovery cuts a turn whose last batch is missing, and rightly so.
   */
  readonly end: LogPosition | null;
}

/**
 * Appends to the node's log, with group commit: one write and one sync are under way at a time, and
 * everything appended meanwhile goes with the next (STO2, STO3, STO8).
 *
 * The owner calls, each turn: `append` for the turn's batch, `tick`, `flush`; and `onDisk` with
 * each completion. What `written` covers is durable. After a failure nothing more is submitted: a
 * failed sync says nothing about what is on disk, and a second one that succeeds would say it
 * wrongly.
 */
export class LogWriter {
  readonly #disk: Disk;
  readonly #checksum: Checksum;
  readonly #nextOp: () => DiskOp;
  readonly #segmentBytes: number;
  readonly #markMs: number;
  /** Segments that exist or are being created, ascending, without gaps. */
  readonly #segments: Segment[] = [];
  readonly #mutant: MutantId | null;
  /** Operations of ours that are not done. */
  readonly #waiting = new Map<DiskOp, Submitted>();
  #queue: QueuedBatch[] = [];
  /** The batches between a write and the completion of its sync. */
  #flight: Flight | null = null;
  /** Where the segment after the last of them begins. */
  #segmentsEnd: LogPosition;
  /** Where the next batch goes if it fits; it need not exist yet. */
  #tail: SegmentHeader;
  #position: LogPosition;
  #syncedPosition: LogPosition;
  /** Checksum of the last batch handed to the disk. */
  #crc: number;
  #appended: BatchNumber = 0;
  #written: BatchNumber = 0;
  /** What recovery found is being made durable; nothing is written before that is done. */
  #isStarting = true;
  #isCreating = false;
  /** End of the last batch with records, and the highest synced position that any batch states. */
  #recordsEnd: LogPosition;
  #statedSynced: LogPosition;
  #markDue: Instant | null = null;
  #failure: DiskError | null = null;

  constructor(options: LogWriterOptions) {
    const { end } = options;
    this.#disk = options.disk;
    this.#checksum = options.checksum;
    this.#nextOp = options.nextOp;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES_DEFAULT;
    this.#markMs = options.markMs ?? MARK_MS_DEFAULT;
    this.#mutant = options.mutant ?? null;
    assert(
      this.#segmentBytes >= SEGMENT_BYTES_MIN && this.#segmentBytes <= SEGMENT_BYTES_MAX,
      "segments outside the limits, in bytes",
      this.#segmentBytes,
    );
    this.#position = end.position;
    this.#syncedPosition = end.synced;
    this.#crc = end.crc;
    this.#recordsEnd = end.position;
    this.#statedSynced = end.synced;
    const stale = [...end.stale];
    for (const segment of end.segments) {
      // A segment created ahead by a configuration with another size may be too small for a batch.
      const isUnused = segment.first >= end.position;
      if (isUnused && segment.bytes !== this.#segmentBytes) stale.push(segmentName(segment.first));
      else this.#segments.push({ ...segment, isReady: true });
    }
    const last = this.#segments.at(-1);
    this.#segmentsEnd = last === undefined ? end.position : last.first + last.bytes;
    this.#tail = this.#segments.findLast((segment) => segment.first < end.position) ?? {
      first: end.position,
      bytes: 0,
    };
    this.#start(end, stale);
  }

  /** All batches up to this one are durable; 0 at first. */
  get written(): BatchNumber {
    return this.#written;
  }

  /** End of everything appended. */
  get position(): LogPosition {
    return this.#position;
  }

  /** Everything below is durable; the end of a turn. */
  get syncedPosition(): LogPosition {
    return this.#syncedPosition;
  }

  /** Bytes appended and not yet durable: what the owner holds back requests by. */
  get queuedBytes(): number {
    return this.#position - this.#syncedPosition;
  }

  /** A write or sync has failed: the node must stop (STO8). */
  get failure(): DiskError | null {
    return this.#failure;
  }

  /** Whether `flush` would hand something to the disk now. */
  get canFlush(): boolean {
    const isWriting = this.#flight !== null && this.#mutant !== "S10";
    if (this.#failure !== null || this.#isStarting || isWriting) return false;
    const head = this.#queue[0];
    return head !== undefined && this.#isReady(head.segment);
  }

  /**
   * Gives the turn's records their place. Without records the batch is a promise that counts as
   * written when everything before it is. Records larger than `recordBytesMax` are a mistake.
   */
  append(number: BatchNumber, records: readonly LogRecord[]): void {
    assert(number > this.#appended, "a batch behind a later one", number);
    this.#appended = number;
    if (records.length === 0) {
      this.#appendPromise(number);
      return;
    }
    this.#markDue = null;
    const bodyMax = this.#segmentBytes - SEGMENT_HEADER_BYTES - BATCH_HEADER_BYTES;
    let from = 0;
    let body = 0;
    for (const [i, record] of records.entries()) {
      const bytes = recordBytes(record);
      assert(bytes <= bodyMax, "a record that fits no segment", bytes);
      if (body + bytes > bodyMax) {
        this.#enqueue(this.#mutant === "S12" ? number : 0, records.slice(from, i), body, true);
        from = i;
        body = 0;
      }
      body += bytes;
    }
    this.#enqueue(number, from === 0 ? records : records.slice(from), body, false);
    this.#recordsEnd = this.#position;
    this.#ensureSegments();
  }

  /** Once per turn: an idle log's mark is appended when it is due (STO3). */
  tick(now: Instant): void {
    const isIdle = !this.#isStarting && this.#queue.length === 0 && this.#flight === null;
    if (!isIdle || this.#failure !== null || this.#recordsEnd <= this.#statedSynced) {
      this.#markDue = null;
      return;
    }
    if (this.#markDue === null) this.#markDue = now + this.#markMs;
    if (now < this.#markDue) return;
    this.#markDue = null;
    this.#enqueue(0, [], 0, false);
    this.#ensureSegments();
  }

  /** When `tick` wants to be called though nothing happens; null for never. */
  deadline(): Instant | null {
    return this.#markDue;
  }

  /** Once per turn: hands everything appended to the disk, unless a write is still under way. */
  flush(): void {
    if (!this.canFlush) return;
    const segment = defined(this.#queue[0], "a batch to flush").segment;
    const parts: Uint8Array[] = [];
    let count = 0;
    let number = 0;
    for (const batch of this.#queue) {
      if (batch.segment.first !== segment.first) break;
      count += 1;
      number = Math.max(number, batch.number);
      this.#encode(batch, parts);
    }
    const batches = this.#queue.splice(0, count);
    const first = defined(batches[0], "the first batch of a flight");
    const last = batches.findLast((batch) => !batch.continues);
    const flight = { number, end: last?.end ?? null };
    this.#flight = flight;
    const name = segmentName(segment.first);
    const at = first.position - segment.first;
    this.#submit((op) => this.#disk.write(op, name, at, parts));
    this.#submit(
      (op) => this.#disk.sync(op, name),
      () => this.#landed(flight),
    );
  }

  /** Takes in a completion; false if the operation was not this writer's. */
  onDisk(completion: DiskCompletion): boolean {
    const submitted = this.#waiting.get(completion.op);
    if (submitted === undefined) return false;
    this.#waiting.delete(completion.op);
    const { error } = completion;
    if (error !== null && this.#mutant === "S5") {
      this.#submit(submitted.start, submitted.done);
      return true;
    }
    if (!this.#isOverlooked(error)) this.#failure ??= error;
    if (this.#failure === null) submitted.done();
    return true;
  }

  /** The mistakes L48 and S6: what the disk refuses is taken for done. */
  #isOverlooked(error: DiskError | null): boolean {
    if (error === null) return false;
    return this.#mutant === (error.code === "DISK_FULL" ? "S6" : "L48");
  }

  /**
   * Removes the segments that lie wholly below `position`: a durable checkpoint covers them. The
   * segment that is being written stays, and so does the last before one that is not ready.
   */
  freeBefore(position: LogPosition): void {
    assert(position <= this.#syncedPosition, "a checkpoint covers what is not synced");
    if (this.#failure !== null) return;
    const names: string[] = [];
    while (this.#segments.length > 1) {
      const [oldest, next] = this.#segments;
      if (oldest === undefined || next === undefined || !next.isReady) break;
      if (oldest.first + oldest.bytes > position || oldest.first === this.#tail.first) break;
      names.push(segmentName(oldest.first));
      this.#segments.shift();
    }
    this.#remove(names, () => {});
  }

  #appendPromise(number: BatchNumber): void {
    const last = this.#queue.at(-1);
    if (last !== undefined) last.number = number;
    else if (this.#flight !== null) this.#flight.number = number;
    else if (!this.#isStarting) this.#written = number;
    // While starting with nothing queued, `#started` takes in everything appended.
  }

  #enqueue(
    number: BatchNumber,
    records: readonly LogRecord[],
    body: number,
    continues: boolean,
  ): void {
    const bytes = BATCH_HEADER_BYTES + body;
    const before = this.#position;
    let position = before;
    if (before + bytes > this.#tail.first + this.#tail.bytes) {
      const first = this.#tail.first + this.#tail.bytes;
      this.#tail = this.#find(first) ?? { first, bytes: this.#segmentBytes };
      position = first + SEGMENT_HEADER_BYTES;
    }
    const end = position + bytes;
    assert(end <= this.#tail.first + this.#tail.bytes, "a batch reaches beyond its segment");
    this.#position = end;
    const segment = this.#tail;
    this.#queue.push({
      number,
      records,
      continues,
      position,
      end,
      skipped: position - before,
      segment,
    });
  }

  #encode(batch: QueuedBatch, parts: Uint8Array[]): void {
    const place = {
      position: batch.position,
      synced: this.#syncedPosition,
      skipped: batch.skipped,
      previousCrc: this.#crc,
      continues: batch.continues,
    };
    const encoded = encodeBatch(place, batch.records, this.#checksum);
    for (const part of encoded.parts) parts.push(part);
    this.#crc = encoded.crc;
    this.#statedSynced = this.#syncedPosition;
  }

  #landed(flight: Flight): void {
    const isHalf = flight.end === null && flight.number > 0;
    assert(!isHalf || this.#mutant !== null, "a promise on half a turn");
    this.#syncedPosition = Math.max(this.#syncedPosition, flight.end ?? 0);
    this.#written = Math.max(this.#written, flight.number);
    this.#flight = null;
  }

  #find(first: LogPosition): Segment | undefined {
    return this.#segments.findLast((segment) => segment.first === first);
  }

  #isReady(segment: SegmentHeader): boolean {
    return this.#find(segment.first)?.isReady === true;
  }

  /** Creates the segment that batches wait for, or the next one once the last is half full. */
  #ensureSegments(): void {
    if (this.#isStarting || this.#isCreating || this.#failure !== null) return;
    const last = this.#segments.at(-1);
    const isNeeded = last === undefined || this.#position > last.first + (last.bytes >>> 1);
    if (!isNeeded) return;
    const first = this.#segmentsEnd;
    this.#segmentsEnd += this.#segmentBytes;
    this.#createSegment({ first, bytes: this.#segmentBytes, isReady: false });
  }

  /**
   * Zeros first, then the header, then the name: whoever sees a valid header sees a whole segment,
   * and no batch is promised to be durable in a file that a crash could make vanish.
   */
  #createSegment(segment: Segment): void {
    this.#isCreating = true;
    this.#segments.push(segment);
    const name = segmentName(segment.first);
    const header = encodeSegmentHeader(segment, this.#checksum);
    const ready = () => {
      segment.isReady = true;
      this.#isCreating = false;
      this.#ensureSegments();
    };
    const created = () => {
      this.#submit((op) => this.#disk.write(op, name, 0, [header]));
      this.#submit(
        (op) => this.#disk.sync(op, name),
        () => this.#submit((op) => this.#disk.syncDirectory(op), ready),
      );
    };
    this.#submit((op) => this.#disk.create(op, name, segment.bytes), created);
  }

  /**
   * Makes durable what recovery read: it may have come from the page cache of a process that was
   * killed, or from pages that a failed sync left marked clean, so that a sync alone would say
   * nothing. The segments concerned are copied up to the end of the log and replaced. Writing them
   * again in place would put at risk what is durable already, and the copy leaves behind the bytes
   * of batches that were cut, which a later scan might take up again.
   */
  #start(end: LogEnd, stale: readonly string[]): void {
    const isCopy = (name: string) => name.endsWith(SEGMENT_COPY_SUFFIX);
    const segments = stale.filter((name) => !isCopy(name));
    // Names first: the checkpoint that makes old segments superfluous may only be cached too.
    const replaced = () =>
      this.#submit(
        (op) => this.#disk.syncDirectory(op),
        () => this.#remove(segments, () => this.#started(end)),
      );
    for (const copy of stale.filter(isCopy)) this.#submit((op) => this.#disk.remove(op, copy));
    const doubtful = this.#segments.filter(
      ({ first, bytes }) => first < end.position && first + bytes > end.synced,
    );
    let left = doubtful.length;
    if (left === 0) replaced();
    for (const segment of doubtful) {
      this.#replace(segment, end.position, () => {
        left -= 1;
        if (left === 0) replaced();
      });
    }
  }

  #replace(segment: SegmentHeader, end: LogPosition, done: () => void): void {
    const name = segmentName(segment.first);
    const copy = `${name}${SEGMENT_COPY_SUFFIX}`;
    const used = this.#disk.read(name, 0, Math.min(segment.bytes, end - segment.first));
    const renamed = () => this.#submit((op) => this.#disk.rename(op, copy, name), done);
    this.#submit((op) => this.#disk.create(op, copy, segment.bytes));
    this.#submit((op) => this.#disk.write(op, copy, 0, [used]));
    this.#submit((op) => this.#disk.sync(op, copy), renamed);
  }

  #started(end: LogEnd): void {
    this.#isStarting = false;
    this.#syncedPosition = end.position;
    // Promises appended meanwhile rest on what was recovered alone if nothing is queued.
    if (this.#queue.length === 0) this.#written = this.#appended;
    this.#ensureSegments();
  }

  #remove(names: readonly string[], done: () => void): void {
    let left = names.length;
    if (left === 0) {
      done();
      return;
    }
    for (const name of names) {
      this.#submit(
        (op) => this.#disk.remove(op, name),
        () => {
          left -= 1;
          if (left === 0) this.#submit((op) => this.#disk.syncDirectory(op), done);
        },
      );
    }
  }

  #submit(start: (op: DiskOp) => void, done: () => void = () => {}): void {
    if (this.#failure !== null) return;
    const op = this.#nextOp();
    assert(!this.#waiting.has(op), "an operation number used twice");
    this.#waiting.set(op, { start, done });
    start(op);
  }
}
