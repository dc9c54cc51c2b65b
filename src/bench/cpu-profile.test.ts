import { expect, test } from "vitest";
import { type CpuProfile, hottestFunctions, timeByStage } from "./cpu-profile.ts";

function frame(functionName: string, url = ""): CpuProfile["nodes"][number]["callFrame"] {
  return { functionName, url, lineNumber: 9 };
}

const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2, 3, 4, 8] },
    { id: 2, callFrame: frame("(idle)") },
    { id: 3, callFrame: frame("(garbage collector)") },
    { id: 4, callFrame: frame("turn", "file:///x/dist/core/node/ordering-loop.js"), children: [5] },
    { id: 5, callFrame: frame("step", "file:///x/dist/core/replication/raft.js"), children: [6] },
    { id: 6, callFrame: frame("u32", "file:///x/dist/core/base/bytes.js"), children: [7] },
    { id: 7, callFrame: frame("set") },
    { id: 8, callFrame: frame("onread", "node:internal/streams"), children: [9] },
    { id: 9, callFrame: frame("writeBuffer") },
  ],
  samples: [2, 3, 4, 5, 6, 7, 8, 9],
  timeDeltas: [0, 10, 20, 30, 40, 50, 60, 70, 80],
};

test("shared code counts for its caller, built-ins too, system calls for themselves", () => {
  const stages = Object.fromEntries(timeByStage(PROFILE));
  expect(stages).toMatchObject({
    idle: 10,
    "garbage collection": 20,
    "node and turn": 30,
    replication: 40 + 50 + 60,
    "Node: streams and events": 70,
    "system calls and native code": 80,
    commands: 0,
  });
});

test("the hottest functions by self time, without idling", () => {
  expect(hottestFunctions(PROFILE, 3)).toEqual([
    { name: "writeBuffer", micros: 80 },
    { name: "onread streams:10", micros: 70 },
    { name: "set", micros: 60 },
  ]);
});
