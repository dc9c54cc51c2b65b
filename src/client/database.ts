import { type CatalogOptions, meetKeyspace } from "./catalog.ts";
import type { CommandChannel } from "./channel.ts";
import type { KeyspaceEngine } from "./engine.ts";
import { TrefoilError } from "./errors.ts";
import { type KeyspaceOf, singleLeaderKeyspace } from "./keyspace.ts";
import type { KeyspaceDefinition, Keyspaces } from "./keyspaces.ts";
import { type Endpoint, RespChannel } from "./resp-channel.ts";
import { Session } from "./session.ts";
import { TIMEOUT_MS_DEFAULT, TrefoilEngine } from "./trefoil-engine.ts";

/** The keyspaces of an application by their names. */
export type Handles<K extends Keyspaces> = { readonly [N in keyof K]: KeyspaceOf<K[N]> };

/** What a database has besides its keyspaces. */
export interface DatabaseMethods<K extends Keyspaces> extends AsyncDisposable {
  /**
   * The same keyspaces, whose reads at any node see what this session has written and read
   * (LEAD7). With another session's token it goes on where that one was.
   */
  session(token?: string): SessionHandles<K>;
  /** Ends the connections; an embedded node stops. Calls made later reject with `CLOSED`. */
  close(): Promise<void>;
}

/** Keyspaces within a session. */
export type SessionHandles<K extends Keyspaces> = Handles<K> & {
  /** Opaque text for another session, also in another process; null before the first call. */
  readonly token: string | null;
};

/** An open database: its keyspaces by name. */
export type Database<K extends Keyspaces> = Handles<K> & DatabaseMethods<K>;

/** How to connect. */
export interface ConnectOptions<K extends Keyspaces> {
  readonly keyspaces: K;
  /** For calls that name no deadline, ms; 2,000 unless told otherwise. */
  readonly timeoutMs?: number;
  /** What the cluster wants to be authenticated with, if anything: else `NOAUTH`, `WRONGPASS`. */
  readonly password?: string;
  /** Makes keyspaces that the cluster does not have; else they are `NOKEYSPACE`. */
  readonly create?: boolean;
}

const PORT_DEFAULT = 7001;

/**
 * Connects to a cluster: `trefoil://host:port,host:port`, any of its nodes or several. Checks that
 * the cluster has the keyspaces as they are declared: `NOKEYSPACE`, `KEYSPACE_MISMATCH`.
 */
export async function connect<const K extends Keyspaces>(
  url: string,
  options: ConnectOptions<K>,
): Promise<Database<K>> {
  const endpoints = parseUrl(url);
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS_DEFAULT;
  const password = options.password ?? null;
  const open = (keyspace: string | null): CommandChannel =>
    new RespChannel({
      endpoints,
      password,
      setUp: keyspace === null ? [] : [["SELECT", keyspace]],
    });
  const catalog = { timeoutMs, create: options.create ?? false };
  return openDatabase(options.keyspaces, catalog, open, async () => {});
}

/**
 * A database over one channel per keyspace, so that calls of one do not wait for another's; a
 * channel of none is for the catalog. `end` is called when all are closed.
 */
export async function openDatabase<K extends Keyspaces>(
  keyspaces: K,
  catalog: CatalogOptions,
  open: (keyspace: string | null) => CommandChannel,
  end: () => Promise<void>,
): Promise<Database<K>> {
  const engines = new Map<string, KeyspaceEngine>();
  const close = async () => {
    await Promise.all([...engines.values()].map((engine) => engine.close()));
    await end();
  };
  try {
    await meetKeyspaces(keyspaces, catalog, open(null));
    for (const name of Object.keys(keyspaces)) {
      engines.set(name, new TrefoilEngine(() => open(name), catalog.timeoutMs));
    }
  } catch (failure) {
    await close();
    throw failure;
  }
  const handles = (session: Session | null) => {
    const all: Record<string, object> = {};
    for (const [name, engine] of engines) {
      all[name] = singleLeaderKeyspace(name, engine, keyspaces[name]!.value, session);
    }
    return all;
  };
  const methods: DatabaseMethods<K> = {
    session: (token?: string) => sessionHandles(handles, new Session(token ?? null)),
    close,
    [Symbol.asyncDispose]: close,
  };
  return { ...handles(null), ...methods } as unknown as Database<K>;
}

async function meetKeyspaces(
  keyspaces: Keyspaces,
  options: CatalogOptions,
  channel: CommandChannel,
): Promise<void> {
  try {
    for (const [name, definition] of Object.entries(keyspaces)) {
      requireSingleLeader(name, definition);
      await meetKeyspace(channel, name, definition, options);
    }
  } finally {
    await channel.close();
  }
}

function sessionHandles<K extends Keyspaces>(
  handles: (session: Session) => object,
  session: Session,
): SessionHandles<K> {
  const token = { get: () => session.token, enumerable: true };
  return Object.defineProperty(handles(session), "token", token) as unknown as SessionHandles<K>;
}

function requireSingleLeader(name: string, { model }: KeyspaceDefinition): void {
  if (model === "singleLeader") return;
  throw new TrefoilError(
    "MODEL",
    `${name} is declared ${model}: this version opens single-leader keyspaces only.`,
  );
}

/** The nodes that a URL names. Throws `BAD_VALUE`. */
export function parseUrl(url: string): readonly Endpoint[] {
  const match = /^(?:trefoil|redis):\/\/([^/?#@]+)\/?$/.exec(url);
  const hosts = match?.[1]?.split(",") ?? [];
  const endpoints = hosts.map((host) => parseEndpoint(host));
  if (endpoints.length > 0 && endpoints.every((endpoint) => endpoint !== null)) return endpoints;
  throw new TrefoilError(
    "BAD_VALUE",
    "The URL names no nodes: write trefoil://host:port, several with commas between them.",
  );
}

function parseEndpoint(text: string): Endpoint | null {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1];
  const port = match?.[2] === undefined ? PORT_DEFAULT : Number(match[2]);
  if (host === undefined || port < 1 || port > 65_535) return null;
  return { host: host.replace(/^\[|\]$/g, ""), port };
}
