import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LIMITS } from "../src/core/commands/limits.ts";
import {
  CHECKPOINT_LOG_BYTES_DEFAULT,
  CHECKPOINT_MEMTABLE_BYTES_DEFAULT,
} from "../src/core/log/checkpointer.ts";
import { SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN } from "../src/core/log/format.ts";
import { DROPPED_ROWS_PER_TURN } from "../src/core/node/dropped-rows.ts";
import { CHANGE_LOG_LIMITS } from "../src/core/replication/single-leader/change-log.ts";
import { FEEDS_MAX } from "../src/core/replication/single-leader/feeds.ts";
import { RAFT_LIMITS } from "../src/core/replication/single-leader/raft.ts";
import { SESSION_GROUPS_MAX } from "../src/core/sessions/session-token.ts";
import { FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX } from "../src/core/wire/frame.ts";
import { RESP_LIMITS, UNAUTHENTICATED_LIMITS } from "../src/core/wire/resp-parser.ts";
import { PEER_LIMITS } from "../src/host/peer-link.ts";
import { RESP_SERVER_LIMITS } from "../src/host/resp-server.ts";
import { ROOT } from "./tidy/source.ts";

const CONSTANTS: Readonly<Record<string, number | Readonly<Record<string, number>>>> = {
  LIMITS,
  RESP_LIMITS: { ...RESP_LIMITS },
  UNAUTHENTICATED_LIMITS,
  RAFT_LIMITS: { ...RAFT_LIMITS },
  PEER_LIMITS: { ...PEER_LIMITS },
  RESP_SERVER_LIMITS: { ...RESP_SERVER_LIMITS },
  FRAME_BYTES_MAX,
  HANDSHAKE_BYTES_MAX,
  CHANGE_LOG_LIMITS,
  FEEDS_MAX,
  SEGMENT_BYTES_MIN,
  SEGMENT_BYTES_MAX,
  DROPPED_ROWS_PER_TURN,
  CHECKPOINT_LOG_BYTES_DEFAULT,
  CHECKPOINT_MEMTABLE_BYTES_DEFAULT,
  SESSION_GROUPS_MAX,
};

const page = readFileSync(join(ROOT, "docs/limits.md"), "utf8");
const rows = [...page.matchAll(/^\| (.+?) \| ([\d,]+) \| `([\w.]+)` \|/gm)].map(
  ([, what = "", value = "", constant = ""]) => ({ what, value, constant }),
);

function documented(constant: string): number | undefined {
  const [name = "", field] = constant.split(".");
  const found = CONSTANTS[name];
  return typeof found === "object" ? found[field ?? ""] : found;
}

test("the page has rows", () => {
  expect(rows.length).toBeGreaterThan(20);
});

test.each(rows)("$what: $value", ({ value, constant }) => {
  expect(documented(constant), constant).toBe(Number(value.replaceAll(",", "")));
});
