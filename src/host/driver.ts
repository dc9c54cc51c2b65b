import { assert } from "../core/base/assert.ts";
import type { DiskCompletion } from "../core/contract/disk.ts";
import type { Instant, RequestId } from "../core/contract/ids.ts";
import type { Input } from "../core/contract/protocol.ts";
import type { OrderingLoop } from "../core/node/ordering-loop.ts";
import type {
  NodeCommand,
  NodeReply,
  NodeStatus,
  NodeVocabulary,
} from "../core/node/vocabulary.ts";
import type { Metrics } from "./metrics.ts";

/** What the driver needs of the ordering loop. */
export type DrivenLoop = Pick<
  OrderingLoop,
  "push" | "onDisk" | "turn" | "busy" | "deadline" | "failure" | "queued"
>;

/** What the driver tells, and whom. */
export interface DriverOptions {
  readonly metrics: Metrics;
  /** Writes what the turn left in the sockets' buffers: once per turn, not once per reply. */
  readonly flush: () => void;
  /**
   * The node must not go on. Called once; afterwards no turn is made and nothing is acknowledged.
   */
  readonly onFatal: (failure: Error) => void;
  /** Lateness worth telling the node about, ms. */
  readonly stallMs: number;
}

/** Inputs stepped in one turn: bounds how long the loop is held, and so every reply's latency. */
const STEPS_PER_TURN_MAX = 4096;

/** Longer than this no timer sleeps; what it wakes for is looked at anew. */
const SLEEP_MS_MAX = 60_000;

/** Milliseconds of the process's monotonic clock. */
export function monotonicNow(): Instant {
  return performance.now();
}

/**
 * THE loop of a node's process: inputs queue up while sockets are read, one turn per
 * iteration of the event loop takes them all, then the sockets are flushed once and one timer is
 * armed. All decisions are in the ordering loop; here is only when it is turned.
 */
export class Driver {
  readonly #options: DriverOptions;
  readonly #asked = new Map<RequestId, (reply: NodeReply) => void>();
  #loop: DrivenLoop | null = null;
  #inbox: Input<NodeVocabulary>[] = [];
  #nextRequest: RequestId = 1;
  #scheduled: NodeJS.Immediate | null = null;
  #scheduledAt: Instant = 0;
  #timer: NodeJS.Timeout | null = null;
  #timerAt: Instant = 0;
  /** What the loop asked for after its last turn; being later than this is how a stall shows. */
  #deadline: Instant | null = null;
  #turnStart: Instant = 0;
  #turnEnd: Instant = 0;
  #wakeQueued = false;
  #inTurn = false;
  #stopped = false;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** Gives the driver its loop, once; inputs that arrived before wait for it. */
  start(loop: DrivenLoop): void {
    assert(this.#loop === null, "the driver has its loop already");
    this.#loop = loop;
    this.#schedule();
  }

  /** Makes no further turn. What is open stays open: its outcome is unknown. */
  stop(): void {
    this.#stopped = true;
    if (this.#scheduled !== null) clearImmediate(this.#scheduled);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#scheduled = null;
    this.#timer = null;
    this.#inbox = [];
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Inputs that no turn has taken in yet. */
  get queued(): number {
    return this.#inbox.length + (this.#loop?.queued ?? 0);
  }

  nextRequestId(): RequestId {
    const id = this.#nextRequest;
    this.#nextRequest += 1;
    return id;
  }

  push(input: Input<NodeVocabulary>): void {
    if (this.#stopped) return;
    this.#inbox.push(input);
    this.#schedule();
  }

  /** The same for what the host itself says to its node. */
  tell(command: NodeCommand): void {
    this.push({ kind: "request", id: 0, command });
  }

  onDisk(completion: DiskCompletion): void {
    if (this.#stopped) return;
    // The disk exists before the loop does, and reads during boot are synchronous.
    assert(this.#loop !== null, "a disk completion before the loop started");
    this.#loop.onDisk(completion);
    // What is done before `turn` returns is taken in by that turn and needs none of its own.
    if (!this.#inTurn) this.#schedule();
  }

  /**
   * Resolves when the node has handed leadership over and finished its calls, or its time is up.
   */
  drain(): Promise<void> {
    return new Promise((resolve) => this.#ask({ kind: "drain" }, () => resolve()));
  }

  /** Rejects if the node does not take a turn within `timeoutMs`. */
  status(timeoutMs: number): Promise<NodeStatus> {
    return new Promise((resolve, reject) => {
      const id = this.#ask({ kind: "status" }, (reply) => {
        clearTimeout(timer);
        assert(reply.kind === "status", "asked for a status, got something else", reply.kind);
        resolve(reply.status);
      });
      const timer = setTimeout(() => {
        this.#asked.delete(id);
        reject(new Error("the node's loop did not answer"));
      }, timeoutMs);
    });
  }

  #ask(command: NodeCommand, onReply: (reply: NodeReply) => void): RequestId {
    const id = this.nextRequestId();
    this.#asked.set(id, onReply);
    this.push({ kind: "request", id, command });
    return id;
  }

  /** A reply that is not a client's; false when nobody here asked. */
  onReply(to: RequestId, reply: NodeReply): boolean {
    const onReply = this.#asked.get(to);
    if (onReply === undefined) return false;
    this.#asked.delete(to);
    onReply(reply);
    return true;
  }

  #schedule(): void {
    if (this.#scheduled !== null || this.#stopped || this.#loop === null) return;
    this.#scheduledAt = monotonicNow();
    // An immediate runs after the whole poll phase: every socket that was ready has been read.
    this.#scheduled = setImmediate(() => {
      this.#scheduled = null;
      this.#turn();
    });
  }

  #turn(): void {
    const loop = this.#loop;
    if (this.#stopped || loop === null) return;
    try {
      this.#takeTurn(loop);
    } catch (failure) {
      return this.#fail(failure instanceof Error ? failure : new Error(String(failure)));
    }
    if (loop.failure !== null) this.#fail(loop.failure);
  }

  #takeTurn(loop: DrivenLoop): void {
    const { metrics, flush } = this.#options;
    const start = monotonicNow();
    const inputs = this.#inbox.length;
    this.#deliver(loop, start);
    const before = loop.queued;
    this.#inTurn = true;
    loop.turn(start, STEPS_PER_TURN_MAX);
    this.#inTurn = false;
    if (loop.failure !== null) return;
    flush();
    if (loop.queued === 0) this.#wakeQueued = false;
    this.#deadline = loop.deadline();
    this.#turnStart = start;
    this.#turnEnd = monotonicNow();
    metrics.onTurn(inputs, this.#turnEnd - start);
    this.#continue(loop, before > 0 && loop.queued >= before);
  }

  /** The stall first, then the clock, then everything else in the order of its arrival. */
  #deliver(loop: DrivenLoop, now: Instant): void {
    const due = this.#deadline !== null && this.#deadline <= now;
    const lateMs = this.#lateMs(now);
    this.#options.metrics.onLate(lateMs);
    // A node that was paused has to step down before it acts on what it finds waiting (LEAD12).
    if (lateMs >= this.#options.stallMs) {
      loop.push({ kind: "request", id: 0, command: { kind: "stalled", lateMs } });
    }
    // Keys die by this clock, also where nothing but time passes (GEN7).
    if (this.#inbox.length > 0 || due) {
      const clock: NodeCommand = { kind: "clock", wallMs: Date.now() };
      loop.push({ kind: "request", id: 0, command: clock });
      const inbox = this.#inbox;
      this.#inbox = [];
      for (const input of inbox) loop.push(input);
    }
    if (due && !this.#wakeQueued) {
      this.#wakeQueued = true;
      loop.push({ kind: "wake" });
    }
  }

  /**
   * For how long this turn should have been made and was not, the last one's own duration included.
   */
  #lateMs(now: Instant): number {
    const scheduledMs = this.#scheduledAt > 0 ? now - this.#scheduledAt : 0;
    // A deadline that had passed when the last turn ended says nothing about the time before.
    const due = this.#deadline === null ? now : Math.max(this.#deadline, this.#turnEnd);
    this.#scheduledAt = 0;
    return Math.max(0, scheduledMs, now - due, this.#turnEnd - this.#turnStart);
  }

  /**
   * `stuck`: the loop took nothing in, for it waits for its disk, and turning it again is in vain.
   */
  #continue(loop: DrivenLoop, stuck: boolean): void {
    if (this.#stopped) return;
    if (stuck) return this.#arm(monotonicNow() + 1);
    if (this.#inbox.length > 0 || loop.busy) return this.#schedule();
    if (this.#deadline !== null) this.#arm(this.#deadline);
  }

  #arm(at: Instant): void {
    // A timer that fires too early only arms the next: cheaper than a new one every turn.
    if (this.#timer !== null && this.#timerAt <= at) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const delayMs = Math.min(SLEEP_MS_MAX, Math.max(0, Math.ceil(at - monotonicNow())));
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#onTimer();
    }, delayMs);
  }

  #onTimer(): void {
    if (this.#stopped) return;
    const due = this.#deadline !== null && this.#deadline <= monotonicNow();
    if (due || (this.#loop?.busy ?? false)) this.#turn();
    else if (this.#deadline !== null) this.#arm(this.#deadline);
  }

  #fail(failure: Error): void {
    if (this.#stopped) return;
    this.stop();
    this.#options.onFatal(failure);
  }
}
