/** The parts of V8's CPU profile that are read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
    readonly children?: readonly number[] | undefined;
  }[];
  readonly samples?: readonly number[] | undefined;
  readonly timeDeltas?: readonly number[] | undefined;
}

/** What a node's process spends its time on, in the order in which it is printed. */
export const STAGES = [
  "RESP wire",
  "commands",
  "replication",
  "node and turn",
  "log and checkpoint",
  "peer wire",
  "host: sockets, loop, HTTP",
  "Node: streams and events",
  "system calls and native code",
  "garbage collection",
  "idle",
] as const;

/** One of `STAGES`. */
export type Stage = (typeof STAGES)[number];

const STAGE_OF_PATH: readonly (readonly [pattern: RegExp, stage: Stage])[] = [
  [/\/core\/wire\/resp-/, "RESP wire"],
  [/\/core\/wire\//, "peer wire"],
  [/\/core\/commands\//, "commands"],
  [/\/core\/(replication|sessions)\//, "replication"],
  [/\/core\/log\//, "log and checkpoint"],
  [/\/core\/node\//, "node and turn"],
  [/\/host\/disk\//, "log and checkpoint"],
  [/\/(host|cli)\//, "host: sockets, loop, HTTP"],
];

/**
 * Self time per stage in microseconds. Shared code (`core/base`, `core/contract`) counts for the
 * stage that called it.
 */
export function timeByStage(profile: CpuProfile): Map<Stage, number> {
  const stages = new Map<Stage, number>(STAGES.map((stage) => [stage, 0]));
  const stageOfNode = assignStages(profile);
  const samples = profile.samples ?? [];
  const deltas = profile.timeDeltas ?? [];
  for (const [at, id] of samples.entries()) {
    // The delta after a sample says how long it lasted.
    const micros = Math.max(0, deltas[at + 1] ?? 0);
    const stage = stageOfNode.get(id) ?? "system calls and native code";
    stages.set(stage, (stages.get(stage) ?? 0) + micros);
  }
  return stages;
}

/** The functions with the most self time, in microseconds; idle time is left out. */
export function hottestFunctions(
  profile: CpuProfile,
  count: number,
): { readonly name: string; readonly micros: number }[] {
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, describeFrame(callFrame)]));
  const micros = new Map<string, number>();
  for (const [at, id] of (profile.samples ?? []).entries()) {
    const name = names.get(id) ?? "(unknown)";
    const lasted = Math.max(0, profile.timeDeltas?.[at + 1] ?? 0);
    if (name !== "(idle)") micros.set(name, (micros.get(name) ?? 0) + lasted);
  }
  return [...micros]
    .map(([name, spent]) => ({ name, micros: spent }))
    .sort((a, b) => b.micros - a.micros)
    .slice(0, count);
}

/** `settle leader.js:120`; built-ins have no file. */
function describeFrame(frame: CpuProfile["nodes"][number]["callFrame"]): string {
  const name = frame.functionName === "" ? "(anonymous)" : frame.functionName;
  if (frame.url === "") return name;
  return `${name} ${frame.url.slice(frame.url.lastIndexOf("/") + 1)}:${frame.lineNumber + 1}`;
}

function assignStages(profile: CpuProfile): Map<number, Stage> {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const stages = new Map<number, Stage>();
  const root = profile.nodes[0];
  if (root === undefined) return stages;
  const open: { readonly id: number; readonly caller: Stage }[] = [
    { id: root.id, caller: "system calls and native code" },
  ];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const node = byId.get(next.id);
    if (node === undefined) continue;
    const stage = stageOf(node.callFrame, next.caller);
    stages.set(node.id, stage);
    const caller = stage === "system calls and native code" ? next.caller : stage;
    for (const id of node.children ?? []) open.push({ id, caller });
  }
  return stages;
}

function stageOf(frame: { functionName: string; url: string }, caller: Stage): Stage {
  if (frame.functionName === "(idle)") return "idle";
  if (frame.functionName === "(garbage collector)") return "garbage collection";
  for (const [pattern, stage] of STAGE_OF_PATH) if (pattern.test(frame.url)) return stage;
  if (frame.url.startsWith("node:")) return "Node: streams and events";
  // Built-in functions have no file: `Map.get` counts for its caller, `writev` is a system call.
  if (frame.url === "" && !/write|read|sync|\(/i.test(frame.functionName)) return caller;
  return frame.url === "" ? "system calls and native code" : caller;
}
