import { join } from "node:path";
import { expect, test } from "vitest";
import { TestCluster } from "./cluster.ts";
import {
  durableBefore,
  filesOpenedSynchronously,
  type SystemCall,
  SystemCallTrace,
  tracingMissing,
} from "./system-calls.ts";

const LOG_FILE = /\/log-\d+$/;
const missing = tracingMissing();

test.for(["fdatasync", "dsync-worker"])(
  "a write is synced on a majority before it is acknowledged (%s)",
  { timeout: 60_000 },
  async (logWriter, { skip }) => {
    if (missing !== null) skip(missing);
    const cluster = await TestCluster.start({ env: { TREFOIL_LOG_WRITER: logWriter } });
    try {
      const leader = await cluster.waitLeader();
      const client = await cluster.client(leader);
      const token = `durable-${process.pid}-${logWriter}`;
      const traces = new Map<string, SystemCallTrace>();
      for (const id of cluster.ids) {
        const prefix = join(cluster.folder, `trace-${id}`);
        traces.set(id, await SystemCallTrace.attach(cluster.node(id).pid, prefix));
      }
      expect(await client.call("SET", "traced", token)).toMatchObject({ text: "OK" });

      const synchronous = new Map<string, Set<string>>();
      const calls = new Map<string, SystemCall[]>();
      for (const [id, trace] of traces) {
        synchronous.set(id, filesOpenedSynchronously(cluster.node(id).pid));
        calls.set(id, await trace.stop());
      }
      const acknowledged = calls.get(leader)?.find(({ args }) => args.includes("+OK\r\n"));
      expect(acknowledged, "the acknowledgement was traced").toBeDefined();
      const before = acknowledged?.begun ?? 0;
      const durable = cluster.ids.filter((id) =>
        durableBefore(calls.get(id) ?? [], token, LOG_FILE, before, synchronous.get(id)),
      );
      expect(durable.length).toBeGreaterThanOrEqual(2);
    } finally {
      await cluster.close();
    }
  },
);
