import type { ReplicationModel } from "../contract/keyspace.ts";
import { categoriesOf } from "./introspection.ts";
import { REDIS_VERSION } from "./server-view.ts";
import type { CommandGroup, CommandSpec } from "./spec.ts";
import { COMMANDS, SERVED_COMMANDS } from "./table.ts";

const GROUPS: readonly (readonly [group: CommandGroup, title: string])[] = [
  ["string", "Strings"],
  ["bitmap", "Bits"],
  ["hash", "Hashes"],
  ["set", "Sets"],
  ["generic", "Keys"],
  ["transactions", "Transactions"],
  ["connection", "Connections"],
  ["server", "Server"],
  ["trefoil", "Trefoil's own"],
];

const MODELS: readonly (readonly [model: ReplicationModel, name: string])[] = [
  ["singleLeader", "single-leader"],
  ["multiLeader", "multi-leader"],
  ["leaderless", "leaderless"],
];

const INTRODUCTION = `# Commands

This page is written by \`npm run docs\` from the command table; do not edit it.

Trefoil speaks RESP2 and RESP3. In a single-leader keyspace the commands on this page mean what they
mean in Redis 7, to the text of the errors, but for the differences that are named. Clients are told
version ${REDIS_VERSION}, because they switch features by it. A test sends the same commands to a real
Redis and compares the bytes.

Keyspaces are logical databases: \`SELECT\` takes their number or name. Any node takes any command.`;

/** docs/commands.md, whole. Pure: the same table, the same text. */
export function commandsMarkdown(): string {
  const parts = [INTRODUCTION];
  for (const [group, title] of GROUPS) {
    const specs = SERVED_COMMANDS.filter((spec) => spec.group === group);
    parts.push(`## ${title}`, ...specs.map(commandSection));
  }
  parts.push(refusedSection());
  return `${parts.join("\n\n")}\n`;
}

function commandSection(spec: CommandSpec): string {
  const name = spec.name.toUpperCase();
  const lines = [`### ${name}`, "", `\`${`${name} ${spec.usage}`.trimEnd()}\``, "", spec.summary];
  lines.push("", `- Since ${sinceText(spec)}. Complexity: ${spec.complexity}.`);
  lines.push(
    `- ACL categories: ${categoriesOf(spec)
      .map((name) => `\`@${name}\``)
      .join(", ")}.`,
  );
  const models = modelsLine(spec);
  if (models !== null) lines.push(models);
  if (spec.differences !== undefined) lines.push(`- Differs from Redis: ${spec.differences}`);
  for (const sub of spec.subcommands ?? []) {
    const words = `${name} ${sub.name.toUpperCase()} ${sub.usage}`.trimEnd();
    lines.push(`- \`${words}\`: ${sub.summary}`);
  }
  return lines.join("\n");
}

function sinceText(spec: CommandSpec): string {
  const [word, version] = spec.since.split(" ");
  return version === undefined ? `Redis ${spec.since}` : `${capitalised(word ?? "")} ${version}`;
}

function capitalised(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

/** Null for a command that every model has, which is the rule. */
function modelsLine(spec: CommandSpec): string | null {
  const { models } = spec;
  if (models.in.length === MODELS.length) return null;
  const names = MODELS.filter(([model]) => models.in.includes(model)).map(([, name]) => name);
  return `- Only in ${names.join(" and ")} keyspaces. ${models.instead}.`;
}

/** One row per reason, with the commands it holds for. */
function refusedSection(): string {
  const byReason = new Map<string, string[]>();
  for (const spec of COMMANDS) {
    if (spec.kind !== "connection" || spec.refused === undefined) continue;
    const names = byReason.get(spec.refused) ?? [];
    names.push(`\`${spec.name.toUpperCase()}\``);
    byReason.set(spec.refused, names);
  }
  const rows = [...byReason].map(([reason, names]) => `| ${names.join(", ")} | ${reason} |`);
  return [
    "## Commands of Redis that are refused",
    "",
    "They answer `-ERR … is not available` and the reason. Commands that are on no list here are unknown.",
    "",
    "| commands | reason |",
    "|---|---|",
    ...rows,
  ].join("\n");
}
