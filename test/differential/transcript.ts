import { encodeUtf8 } from "../../src/core/base/bytes.ts";
import type { Reply } from "../../src/core/contract/reply.ts";
import { ReplyDecoder } from "../../src/core/wire/resp-decoder.ts";
import { RespEncoder } from "../../src/core/wire/resp-encoder.ts";
import type { Step } from "./steps.ts";
import { type Target, visible } from "./targets.ts";

/**
 * What a target answers to the steps, begun on an empty keyspace: each reply behind its command, so
 * that a difference between two transcripts can be read.
 */
export async function transcript(
  target: Target,
  resp: 2 | 3,
  steps: readonly Step[],
): Promise<string[]> {
  const setUp = [["HELLO", String(resp)], ["FLUSHDB"]].map((words) => words.map(encodeUtf8));
  await target.run(setUp);
  const replies = await target.run(steps.map((step) => step.args));
  if (replies.length !== steps.length) {
    throw new Error(`${replies.length} replies to ${steps.length} commands`);
  }
  return replies.map((reply, i) => {
    const step = steps[i]!;
    return `${step.args.map(visible).join(" ")} -> ${comparable(reply, step.compare)}`;
  });
}

function comparable(raw: Uint8Array, how: Step["compare"]): string {
  switch (how) {
    case "bytes":
      return visible(raw);
    case "shape":
      return String.fromCharCode(raw[0]!);
    case "sorted":
      return JSON.stringify(sortedReply(decoded(raw)));
    case "pairs":
      return JSON.stringify(sortedPairs(decoded(raw)));
  }
}

function decoded(raw: Uint8Array): Reply {
  const decoder = new ReplyDecoder();
  decoder.push(raw);
  return decoder.next()!;
}

/** Names with their values, in an order of their own; the kinds of all arrays are kept. */
function sortedPairs(reply: Reply): unknown {
  if (reply.kind === "map") return ["map", sortedReply(reply)];
  if (reply.kind !== "array") return raw(reply);
  const [first, second] = reply.items;
  if (first?.kind === "array") return sortedReply(reply);
  if (second?.kind === "array") return [raw(first!), sortedPairs(second)];
  return ["array", sortedReply({ kind: "map", items: reply.items })];
}

/** Members in an order of their own, at every level. A map's pairs stay together. */
function sortedReply(reply: Reply): unknown {
  if (reply.kind === "map") {
    const pairs: string[] = [];
    for (let i = 0; i < reply.items.length; i += 2) {
      pairs.push(`${raw(reply.items[i]!)} => ${raw(reply.items[i + 1]!)}`);
    }
    return pairs.sort(ascending);
  }
  if (reply.kind !== "array" && reply.kind !== "set") return raw(reply);
  return [
    reply.kind,
    ...reply.items.map((item) => JSON.stringify(sortedReply(item))).sort(ascending),
  ];
}

function raw(reply: Reply): string {
  const encoder = new RespEncoder();
  encoder.reply(reply, 3);
  return visible(encoder.take());
}

function ascending(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
