import type { Reply } from "../core/contract/reply.ts";
import type { CommandChannel, Word } from "./channel.ts";
import { errorOf, TrefoilError } from "./errors.ts";
import type { KeyspaceDefinition } from "./keyspaces.ts";
import { decodeUtf8 } from "./utf8.ts";

/** How an application meets the keyspaces that a cluster has. */
export interface CatalogOptions {
  /** Makes what is missing, and raises the version of what is older. */
  readonly create: boolean;
  readonly timeoutMs: number;
}

/**
 * That the cluster has the keyspace and means the same by it; makes it where it may. Throws
 * `NOKEYSPACE`, or `KEYSPACE_MISMATCH` where the model or the version is another one.
 */
export async function meetKeyspace(
  channel: CommandChannel,
  name: string,
  definition: KeyspaceDefinition,
  options: CatalogOptions,
): Promise<void> {
  const { model, version } = definition;
  const schema = ["SCHEMA", String(version)];
  const head = ["TREFOIL.KEYSPACE"];
  const asked = options.create
    ? [...head, "CREATE", name, "MODEL", model, ...schema, "IF", "NOT", "EXISTS"]
    : [...head, "INFO", name];
  const found = await ask(channel, asked, options);
  const known = Number(found.get("schema") ?? 0);
  if (found.get("model") !== model) throw mismatch(name, `model ${found.get("model")}`, model);
  if (options.create && known < version)
    await ask(channel, [...head, "ALTER", name, ...schema], options);
  // One that was made without a version says nothing about its schema.
  else if (known !== 0 && known !== version) {
    throw mismatch(name, `version ${known}`, `version ${version}`);
  }
}

async function ask(
  channel: CommandChannel,
  words: readonly Word[],
  { create, timeoutMs }: CatalogOptions,
): Promise<ReadonlyMap<string, string>> {
  const reply = await channel.call(words, { timeoutMs, signal: undefined, isRead: !create });
  if (reply.kind === "error") throw errorOf(reply);
  if (reply.kind !== "map") throw new TrefoilError("PROTOCOL", "The catalog answered no map.");
  const found = new Map<string, string>();
  for (let i = 0; i + 1 < reply.items.length; i += 2) {
    found.set(textOf(reply.items[i]!), textOf(reply.items[i + 1]!));
  }
  return found;
}

function textOf(reply: Reply): string {
  if (reply.kind === "bulk") return decodeUtf8(reply.bytes);
  if (reply.kind === "simple") return reply.text;
  return reply.kind === "integer" || reply.kind === "boolean" ? String(reply.value) : "";
}

function mismatch(name: string, has: string, wanted: string): TrefoilError {
  return new TrefoilError(
    "KEYSPACE_MISMATCH",
    `The cluster's keyspace ${name} has ${has}, and the application declares ${wanted}. Change one of them; \`trefoil keyspace alter\` changes the cluster's.`,
  );
}
