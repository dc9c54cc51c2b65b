import { expect, test } from "vitest";
import { metric, parseMetrics } from "./node-metrics.ts";

const TEXT = `# HELP trefoil_uptime_seconds Seconds since the process started
# TYPE trefoil_uptime_seconds gauge
trefoil_uptime_seconds 12.5
trefoil_peer_queue_bytes{peer="n2"} 9
trefoil_checkpoints_completed 3
`;

test("metrics without labels", () => {
  const values = parseMetrics(TEXT);
  expect([...values.keys()]).toEqual(["trefoil_uptime_seconds", "trefoil_checkpoints_completed"]);
  expect(metric(values, "trefoil_uptime_seconds")).toBe(12.5);
  expect(() => metric(values, "trefoil_peer_queue_bytes")).toThrow(/no metric/);
});
