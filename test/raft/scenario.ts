import { decodeUtf8 } from "../../src/core/base/bytes.ts";
import type { MutantId } from "../../src/core/base/mutants.ts";
import type { LogPlace, ReadConcern, WriteConcern } from "../../src/core/contract/group.ts";
import {
  entryKind,
  entryPayload,
  entrySequence,
  entryTerm,
} from "../../src/core/replication/single-leader/entry.ts";
import type { SingleLeaderMessage } from "../../src/core/replication/single-leader/messages.ts";
import { Cluster, type Packet } from "./cluster.ts";

/** A block of a scenario file: commands, `----`, and what they print. */
export interface Block {
  readonly comments: readonly string[];
  readonly commands: readonly string[];
  readonly expected: string;
}

/** Blocks are separated by empty lines; lines that begin with `#` are comments. */
export function parseScenario(text: string): Block[] {
  const blocks: Block[] = [];
  for (const part of text.split(/\n{2,}/)) {
    const lines = part.split("\n").filter((line) => line.trim() !== "");
    if (lines.length === 0) continue;
    const comments = lines.filter((line) => line.startsWith("#"));
    const rest = lines.filter((line) => !line.startsWith("#"));
    const rule = rest.indexOf("----");
    const commands = rule < 0 ? rest : rest.slice(0, rule);
    blocks.push({ comments, commands, expected: rule < 0 ? "" : rest.slice(rule + 1).join("\n") });
  }
  return blocks;
}

/** The file again, with what the commands print now. */
export function formatScenario(blocks: readonly Block[], outputs: readonly string[]): string {
  const parts = blocks.map(({ comments, commands }, i) => {
    if (commands.length === 0) return comments.join("\n");
    const output = outputs[i] ?? "";
    return [...comments, ...commands, "----", ...(output === "" ? [] : [output])].join("\n");
  });
  return `${parts.join("\n\n")}\n`;
}

export interface Run {
  /** What each block printed. */
  readonly outputs: readonly string[];
  /** What the oracles found, and a throw of the core. */
  readonly violations: readonly string[];
}

/** Carries a scenario out, with a mistake planted if one is named. */
export function runScenario(blocks: readonly Block[], mutant: MutantId | null = null): Run {
  const scenario = new Scenario(mutant);
  const outputs: string[] = [];
  const violations: string[] = [];
  try {
    for (const block of blocks) outputs.push(scenario.run(block.commands));
  } catch (failure) {
    if (mutant === null) throw failure;
    violations.push(failure instanceof Error ? failure.message : String(failure));
  }
  violations.push(...scenario.violations);
  return { outputs, violations };
}

/** What would only repeat what `status` and the answers say. */
const QUIET = ["apply", "commit"];

class Scenario {
  readonly #mutant: MutantId | null;
  #cluster: Cluster;
  readonly #calls = new Map<number, string>();
  readonly #printed = new Set<number>();
  #lines: string[] = [];

  constructor(mutant: MutantId | null) {
    this.#mutant = mutant;
    this.#cluster = new Cluster({ mutant });
  }

  get violations(): readonly string[] {
    return this.#cluster.oracles.violations;
  }

  run(commands: readonly string[]): string {
    this.#lines = [];
    for (const command of commands) {
      this.#cluster.events.length = 0;
      const [name = "", ...args] = command.split(" ");
      const handler = HANDLERS[name];
      if (handler === undefined) throw new Error(`no such command: ${command}`);
      const printed: string[] = [];
      this.#cluster = handler(this.#cluster, args, this.#context(printed)) ?? this.#cluster;
      this.#printEvents();
      this.#printAnswers();
      this.#lines.push(...printed);
    }
    return this.#lines.join("\n");
  }

  #context(printed: string[]): Context {
    return {
      mutant: this.#mutant,
      print: (line) => void printed.push(line),
      called: (ticket, text) => void this.#calls.set(ticket, text),
    };
  }

  #printEvents(): void {
    for (const { node, mark, detail } of this.#cluster.events) {
      if (!QUIET.includes(mark)) this.#lines.push(`${node} ${mark} ${detail ?? ""}`.trim());
    }
  }

  #printAnswers(): void {
    for (const [ticket, { text, meta }] of this.#cluster.answers) {
      if (this.#printed.has(ticket)) continue;
      this.#printed.add(ticket);
      const at = meta.index > 0 ? ` @${meta.index}` : "";
      const durable = meta.durable > 0 ? ` durable=${meta.durable}` : "";
      this.#lines.push(`${this.#calls.get(ticket)} => ${text}${at}${durable}`);
    }
  }
}

interface Context {
  readonly mutant: MutantId | null;
  readonly print: (line: string) => void;
  readonly called: (ticket: number, text: string) => void;
}

/** A command; a new cluster takes the place of the old one. */
type Handler = (cluster: Cluster, args: readonly string[], context: Context) => Cluster | undefined;

const HANDLERS: Readonly<Record<string, Handler>> = {
  // nodes 3 [retained=BYTES] [chunk=BYTES] [append=BYTES]
  nodes(_, [count, ...options], { mutant }) {
    const limits: Record<string, number> = {};
    const retained = option(options, "retained");
    const chunk = option(options, "chunk");
    const append = option(options, "append");
    if (retained !== null) limits["retainedBytes"] = Number(retained);
    if (chunk !== null) limits["snapshotChunkBytes"] = Number(chunk);
    if (append !== null) limits["appendBytesMax"] = Number(append);
    return new Cluster({ nodes: Number(count), limits, mutant });
  },
  elect: on((cluster, name) => cluster.elect(name!)),
  // campaign n1 n2 n3: by the votes of n2 and n3; what the leader sends stays on the wire.
  campaign: on((cluster, name, ...voters) => cluster.campaign(name!, voters)),
  expire: on((cluster, name) => cluster.expireElection(name!)),
  // wake-at n1 100: time passes on this node only; it is woken, and nothing is delivered.
  "wake-at": on((cluster, name, ms) => {
    const node = cluster.node(name!);
    node.now += Number(ms);
    node.wake();
  }),
  isolate: on((cluster, name) => cluster.isolate(name!)),
  heal: on((cluster) => cluster.heal()),
  sync: on((cluster, name) => void cluster.sync(name!)),
  crash: on((cluster, name) => cluster.crash(name!)),
  // restart NODE [clock=MS]: the new process's monotonic clock begins there.
  restart: on((cluster, name, ...args) => {
    const clock = option(args, "clock");
    if (clock !== null) cluster.node(name!).now = Number(clock);
    cluster.restart(name!);
  }),
  checkpoint: on((cluster, name) => cluster.checkpoint(name!)),
  stabilize: on((cluster) => cluster.stabilize()),
  advance: on((cluster, ms) => cluster.advance(Number(ms))),
  "hold-disk": on((cluster, name) => cluster.holdDisk(name!)),
  "free-disk": on((cluster, name) => cluster.freeDisk(name!)),
  transfer: on((cluster, name) => {
    const node = cluster.node(name!);
    node.replica.transferLeadership(node.now);
    node.turn();
  }),
  // ask-transfer NODE [to=NODE] [timeout=MS]: as an operator would.
  "ask-transfer"(cluster, [name, ...args], { called }) {
    const to = option(args, "to");
    const ticket = cluster.transfer(name!, to, timeoutOf(args).deadlineMs);
    called(ticket, `${name} transfer to ${to ?? "any"}`);
    return undefined;
  },
  // cut n1->n2 cuts one way, cut n1 n2 both.
  cut: on((cluster, ...args) => {
    const [from, to] = args.length === 1 ? args[0]!.split("->") : args;
    cluster.cut(from!, to!, args.length > 1);
  }),
  link: on((cluster, name, peer, state) => cluster.link(name!, peer!, state === "up")),
  // deliver|drop|repeat [KIND] [FROM->TO]: what is under way now; repeat delivers a copy.
  deliver: on((cluster, ...args) => void cluster.deliver(matching(args))),
  // The oldest message that matches goes alone.
  "deliver-first": on((cluster, ...args) => {
    const first = cluster.wire.find(matching(args));
    for (const packet of cluster.take((other) => other === first)) cluster.deliverOne(packet);
  }),
  // The newest message that matches goes first.
  "deliver-last": on((cluster, ...args) => {
    const matches = cluster.wire.filter(matching(args));
    const last = matches[matches.length - 1];
    for (const packet of cluster.take((other) => other === last)) cluster.deliverOne(packet);
  }),
  drop: on((cluster, ...args) => void cluster.take(matching(args))),
  repeat: on((cluster, ...args) => {
    for (const packet of cluster.wire.filter(matching(args))) cluster.deliverOne(packet);
  }),
  // write NODE CONNECTION [w=CONCERN] [timeout=MS] COMMAND
  write(cluster, [name, connection, ...args], { called }) {
    const concern = concernOf(option(args, "w") ?? "majority");
    const settings = { connection: connectionOf(connection!), ...timeoutOf(args) };
    const text = textOf(args);
    called(cluster.write(name!, text, { ...settings, concern }), `${name} ${connection} ${text}`);
    return undefined;
  },
  // read NODE CONNECTION [local | session [place=TERM.INDEX] | bounded=MS] [prefer=leader]
  //   [timeout=MS] COMMAND
  read(cluster, [name, connection, ...args], { called }) {
    const text = textOf(args.filter((arg) => arg !== "local" && arg !== "session"));
    const settings = { connection: connectionOf(connection!), ...timeoutOf(args) };
    const ticket = cluster.read(name!, text, {
      ...settings,
      concern: readConcernOf(args),
      place: placeOf(option(args, "place")),
      prefer: option(args, "prefer") === "leader" ? "leader" : "nearest",
    });
    called(ticket, `${name} ${connection} ${text}`);
    return undefined;
  },
  // wait NODE CONNECTION REPLICAS [timeout=MS]
  wait(cluster, [name, connection, replicas, ...args], { called }) {
    const settings = { connection: connectionOf(connection!), ...timeoutOf(args) };
    const ticket = cluster.wait(name!, Number(replicas), settings);
    called(ticket, `${name} ${connection} WAIT ${replicas}`);
    return undefined;
  },
  wire(cluster, args, { print }) {
    for (const { from, to, message } of cluster.wire.filter(matching(args))) {
      print(`${from}->${to} ${describeMessage(message)}`);
    }
    return undefined;
  },
  status(cluster, _, { print }) {
    for (const node of cluster.nodes) print(statusOf(cluster, node.name));
    return undefined;
  },
  // How old each node's state is at most, by its own clock.
  age(cluster, _, { print }) {
    for (const node of cluster.nodes) {
      if (!node.isUp) continue;
      const { lagMs } = node.replica.status(node.now);
      print(`${node.name} ${lagMs === null ? "unknown" : `${Math.round(lagMs)} ms`}`);
    }
    return undefined;
  },
  log(cluster, [name], { print }) {
    print(logOf(cluster, name!));
    return undefined;
  },
};

function on(act: (cluster: Cluster, ...args: string[]) => void): Handler {
  return (cluster, args) => {
    act(cluster, ...args);
    return undefined;
  };
}

function option(args: readonly string[], name: string): string | null {
  const found = args.find((arg) => arg.startsWith(`${name}=`));
  return found === undefined ? null : found.slice(name.length + 1);
}

function textOf(args: readonly string[]): string {
  return args.filter((arg) => !arg.includes("=")).join(" ");
}

function timeoutOf(args: readonly string[]): { deadlineMs?: number } {
  const timeout = option(args, "timeout");
  return timeout === null ? {} : { deadlineMs: Number(timeout) };
}

function connectionOf(text: string): number {
  return Number(text.slice(1));
}

function readConcernOf(args: readonly string[]): ReadConcern {
  const bound = option(args, "bounded");
  if (bound !== null) return Number(bound);
  return args[0] === "local" || args[0] === "session" ? args[0] : "linearizable";
}

function placeOf(text: string | null): LogPlace | null {
  const [term, index] = (text ?? "").split(".");
  return text === null ? null : { term: Number(term), index: Number(index) };
}

function concernOf(text: string): WriteConcern {
  if (text === "leader" || text === "majority" || text === "all") return text;
  return Number(text);
}

function matching(args: readonly string[]): (packet: Packet) => boolean {
  const kind = args.find((arg) => !arg.includes("->"));
  const link = args.find((arg) => arg.includes("->"));
  return ({ from, to, message }) =>
    (kind === undefined || message.kind === kind) &&
    (link === undefined || `${from}->${to}` === link);
}

function statusOf(cluster: Cluster, name: string): string {
  const node = cluster.node(name);
  if (!node.isUp) return `${name} down`;
  const status = node.replica.status(node.now);
  const { role, leader, term, commitIndex, appliedIndex, lastIndex } = status;
  const peers = status.peers
    .map((peer) => ` ${peer.node}:${peer.state}@${peer.matchIndex}`)
    .join("");
  return `${name} ${role} of ${leader ?? "nobody"} term=${term} last=${lastIndex} commit=${commitIndex} applied=${appliedIndex}${peers}`;
}

function logOf(cluster: Cluster, name: string): string {
  const { log } = cluster.node(name).replica.inspect().raft;
  const entries: string[] = [];
  for (let index = log.compactedIndex + 1; index <= log.lastIndex; index += 1) {
    const entry = log.entry(index);
    const kind = entryKind(entry);
    const what =
      kind === "command" ? `${decodeUtf8(entryPayload(entry))} #${entrySequence(entry)}` : kind;
    entries.push(`${index}.${entryTerm(entry)} ${what}`);
  }
  return `${name} compacted=${log.compactedIndex} ${entries.join(", ")}`.trim();
}

function describeMessage(message: SingleLeaderMessage): string {
  switch (message.kind) {
    case "appendEntries": {
      const { prevLogIndex, prevLogTerm, entries, commitIndex } = message;
      return `appendEntries term=${message.term} prev=${prevLogIndex}.${prevLogTerm} entries=${entries.length} commit=${commitIndex}`;
    }
    case "appendReply":
      return message.success
        ? `appendReply term=${message.term} match=${message.matchIndex}`
        : `appendReply term=${message.term} refused=${message.refusedIndex} hint=${message.hintIndex}.${message.hintTerm}`;
    case "requestVote":
      return `requestVote term=${message.term} last=${message.lastLogIndex}.${message.lastLogTerm}${message.preVote ? " pre" : ""}${message.transfer ? " transfer" : ""}`;
    case "vote":
      return `vote term=${message.term} ${message.granted ? "granted" : "refused"}${message.preVote ? " pre" : ""}`;
    case "forward":
      return `forward term=${message.term} stream=${message.stream} count=${message.count} items=${message.items.map((item) => item.kind).join(",")}`;
    case "forwardReply":
      return `forwardReply term=${message.term} stream=${message.stream} count=${message.count} answers=${message.answers.length}`;
    case "offerSnapshot":
      return `offerSnapshot term=${message.term} last=${message.id.index}.${message.id.term}`;
    case "installSnapshot":
      return `installSnapshot term=${message.term} last=${message.id.index}.${message.id.term} at=${message.offset}${message.done ? " done" : ""}`;
    case "transferRequest":
      return `transferRequest term=${message.term} to=${message.to || "any"}`;
    case "transferReply":
      return `transferReply term=${message.term} ${message.verdict}${message.reason === "" ? "" : `: ${message.reason}`}`;
    case "snapshotReply":
      return `snapshotReply term=${message.term} at=${message.offset}${message.installed ? " installed" : ""}`;
    default:
      return `${message.kind} term=${message.term}`;
  }
}
