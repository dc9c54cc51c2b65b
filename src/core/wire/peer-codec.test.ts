import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { entry } from "../../../test/raft/unit.ts";
import { AssertionError } from "../base/assert.ts";
import { FormatError } from "../base/bytes.ts";
import { error, integer, OK } from "../contract/reply.ts";
import type { NodeMessage } from "../node/vocabulary.ts";
import type { ForwardItem, SingleLeaderMessage } from "../replication/single-leader/messages.ts";
import { decodeMessages, encodeMessages } from "./peer-codec.ts";

const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const bytes = fc.uint8Array({ maxLength: 40 });
const text = fc.string({ unit: "grapheme", maxLength: 12 });
const anEntry = fc
  .tuple(fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 1, max: 1e9 }), text)
  .map(([index, term, payload]) => entry(index, term, payload));

const item = fc.oneof(
  fc.record({ kind: fc.constant("register" as const), boot: text }),
  fc.record({
    kind: fc.constant("write" as const),
    sequence: u48,
    concern: fc.integer({ min: -2, max: 1000 }),
    deadlineMs: u32,
    entry: anEntry,
  }),
  fc.record({
    kind: fc.constant("read" as const),
    ticket: u48,
    afterSequence: u48,
    places: fc.array(fc.record({ term: u48, index: u48 }), { maxLength: 3 }),
    payload: bytes,
  }),
  fc.record({
    kind: fc.constant("wait" as const),
    ticket: u48,
    afterSequence: u48,
    term: u48,
    index: u48,
    replicas: u32,
    deadlineMs: u32,
  }),
) satisfies fc.Arbitrary<ForwardItem>;

const answer = fc.record({
  sequence: u48,
  ticket: u48,
  term: u48,
  index: u48,
  durable: fc.integer({ min: 0, max: 65_535 }),
  reply: fc.oneof(
    fc.constant(OK),
    fc.integer().map((value) => integer(value)),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }).map((value) => integer(value)),
    text.map((message) => error("TIMEOUT", message)),
    bytes.map((value) => ({ kind: "bulk", bytes: value }) as const),
    fc
      .tuple(fc.constantFrom("array", "set", "map", "pairs"), fc.integer())
      .map(([kind, value]) => ({ kind, items: [OK, integer(value)] })),
  ),
});

const rowHash = fc
  .tuple(u32, u32)
  .map((lanes) => lanes.map((lane) => lane.toString(16).padStart(8, "0")).join(""));
const snapshotId = fc.record({ index: u48, term: u48, hash: rowHash });

const message: fc.Arbitrary<SingleLeaderMessage> = fc.oneof(
  fc.record({
    kind: fc.constant("requestVote" as const),
    term: u48,
    lastLogIndex: u48,
    lastLogTerm: u48,
    preVote: fc.boolean(),
    transfer: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("vote" as const),
    term: u48,
    granted: fc.boolean(),
    preVote: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("appendEntries" as const),
    term: u48,
    prevLogIndex: u48,
    prevLogTerm: u48,
    commitIndex: u48,
    entries: fc.array(anEntry, { maxLength: 4 }),
    round: u48,
    freshBoot: u48,
    freshStamp: u48,
    freshIndex: u48,
  }),
  fc.record({
    kind: fc.constant("appendReply" as const),
    term: u48,
    success: fc.boolean(),
    matchIndex: u48,
    hintIndex: u48,
    hintTerm: u48,
    refusedIndex: u48,
    round: u48,
    boot: u48,
    stamp: u48,
    wallMs: u48,
    appliedIndex: u48,
  }),
  fc.record({
    kind: fc.constant("offerSnapshot" as const),
    term: u48,
    id: snapshotId,
    fresh: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("installSnapshot" as const),
    term: u48,
    id: snapshotId,
    offset: u48,
    crc: u32,
    rows: bytes,
    done: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("snapshotReply" as const),
    term: u48,
    id: snapshotId,
    offset: u48,
    installed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("requestSnapshot" as const),
    term: u48,
    fromIndex: u48,
  }),
  fc.record({
    kind: fc.constant("stateHash" as const),
    term: u48,
    index: u48,
    hash: rowHash,
    agreed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("stateHashReply" as const),
    term: u48,
    index: u48,
    hash: rowHash,
  }),
  fc.record({ kind: fc.constant("timeoutNow" as const), term: u48, isAsked: fc.boolean() }),
  fc.record({
    kind: fc.constant("forward" as const),
    term: u48,
    stream: u48,
    count: u48,
    session: u48,
    floor: u48,
    items: fc.array(item, { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant("forwardReply" as const),
    term: u48,
    stream: u48,
    count: u48,
    session: u48,
    boot: text,
    number: u48,
    answers: fc.array(answer, { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant("transferRequest" as const),
    term: u48,
    boot: text,
    id: u48,
    to: text,
    from: text,
    fromTerm: u48,
  }),
  fc.record({
    kind: fc.constant("transferReply" as const),
    term: u48,
    boot: text,
    id: u48,
    verdict: fc.constantFrom("leads" as const, "refused" as const),
    reason: text,
  }),
);

const frame: fc.Arbitrary<NodeMessage[]> = fc.array(fc.record({ group: u48, message }), {
  maxLength: 5,
});

describe("peer codec", () => {
  test("what is encoded comes back", () => {
    fc.assert(
      fc.property(frame, (messages) => {
        expect(decodeMessages(encodeMessages(messages))).toEqual(messages);
      }),
      { numRuns: 300 },
    );
  });

  test("entries are views of the frame: nothing copies them (STO2)", () => {
    const append = { kind: "appendEntries", term: 1, prevLogIndex: 0, prevLogTerm: 0 } as const;
    const rest = { commitIndex: 0, round: 0, freshBoot: 0, freshStamp: 0, freshIndex: 0 };
    const entries = [entry(1, 1, "abc")];
    const encoded = encodeMessages([{ group: 1, message: { ...append, ...rest, entries } }]);
    const [decoded] = decodeMessages(encoded);
    const [view] = decoded?.message.kind === "appendEntries" ? decoded.message.entries : [];
    expect(view?.buffer).toBe(encoded.buffer);
  });

  test("instants become whole milliseconds, and none becomes 0", () => {
    const reply = { kind: "appendReply", term: 1, success: true, matchIndex: 0 } as const;
    const rest = {
      hintIndex: 0,
      hintTerm: 0,
      refusedIndex: 0,
      round: 0,
      boot: 0,
      wallMs: 0,
      appliedIndex: 0,
    };
    const stamps = [1.9, -3, Number.NEGATIVE_INFINITY].map((stamp) => {
      const encoded = encodeMessages([{ group: 1, message: { ...reply, ...rest, stamp } }]);
      return decodeMessages(encoded)[0]?.message;
    });
    expect(stamps.map((decoded) => decoded?.kind === "appendReply" && decoded.stamp)).toEqual([
      1, 0, 0,
    ]);
  });

  test("a frame that is cut anywhere is a FormatError", () => {
    const [messages] = fc.sample(frame, { numRuns: 1, seed: 7 });
    const many = [...messages!, ...fc.sample(frame, { numRuns: 5, seed: 8 }).flat()];
    const encoded = encodeMessages(many);
    for (let length = 0; length < encoded.length; length += 1) {
      expect(() => decodeMessages(encoded.subarray(0, length))).toThrow(FormatError);
    }
    const longer = new Uint8Array(encoded.length + 1);
    longer.set(encoded);
    expect(() => decodeMessages(longer)).toThrow(FormatError);
  });

  test("flipped bytes give other messages or a FormatError, nothing else", () => {
    fc.assert(
      fc.property(frame, fc.nat(), fc.nat({ max: 255 }), (messages, at, value) => {
        const encoded = encodeMessages(messages);
        encoded[at % encoded.length] = value;
        expectHandled(encoded);
      }),
      { numRuns: 500 },
    );
  });

  test("random bytes give a FormatError, and soon", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), expectHandled), { numRuns: 500 });
    // Counts that promise more than there is.
    for (const count of [0xff, 0xffff_ffff]) {
      const encoded = new Uint8Array([
        count & 0xff,
        count >>> 24,
        count >>> 24,
        count >>> 24,
        0,
        0,
      ]);
      expect(() => decodeMessages(encoded)).toThrow(FormatError);
    }
  });
});

function expectHandled(encoded: Uint8Array): void {
  try {
    decodeMessages(encoded);
  } catch (failure) {
    expect(failure).toBeInstanceOf(FormatError);
    expect(failure).not.toBeInstanceOf(AssertionError);
  }
}
