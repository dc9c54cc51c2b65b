import { createAdaptorServer, type ServerType } from "@hono/node-server";
import { Hono } from "hono";
import type { GroupStatus } from "../core/contract/group.ts";
import { CATALOG_KEYSPACE } from "../core/contract/keyspace.ts";
import type { NodeStatus } from "../core/node/vocabulary.ts";
import { type Address, formatAddress, isLoopback } from "./address.ts";
import { askNode, assembleStatus, type LocalStatus, type NodeAddresses } from "./cluster-status.ts";
import type { Metrics } from "./metrics.ts";

/** What the HTTP interface shows, and where it gets it. */
export interface HttpApiOptions {
  readonly metrics: Metrics;
  readonly pid: number;
  /** This node's own addresses, as bound. */
  readonly self: () => NodeAddresses;
  readonly nodes: readonly NodeAddresses[];
  /** Rejects when the node's loop does not answer. */
  readonly status: () => Promise<NodeStatus>;
  readonly askNode?: typeof askNode;
}

/** More entries than this behind, and a replica that has just started is not caught up. */
const CAUGHT_UP_ENTRIES = 64;

/**
 * `/health`, `/ready`, `/status` and `/metrics`. All of it is reading; what changes state will have
 * to check Origin and a token besides. Every request's Host must be this machine's: a web page
 * whose name was re-bound to 127.0.0.1 does not get at it.
 */
export function createHttpApi(options: HttpApiOptions): Hono {
  const api = new Hono();
  const readiness = new Readiness();
  api.use(async (context, next) => {
    if (!isOwnHost(context.req.header("host"))) {
      return context.json({ error: "Host must be 127.0.0.1, [::1] or localhost." }, 403);
    }
    context.header("Cache-Control", "no-store");
    context.header("X-Content-Type-Options", "nosniff");
    await next();
    return undefined;
  });
  api.get("/health", (context) => context.json({ ok: true, node: options.self().id }));
  api.get("/ready", async (context) => {
    const missing = readiness.missing(await options.status());
    return context.json({ ready: missing.length === 0, missing }, missing.length === 0 ? 200 : 503);
  });
  api.get("/status", async (context) => {
    const local = localStatus(options, await options.status(), readiness);
    if (context.req.query("scope") === "node") return context.json(local);
    const ask = (node: NodeAddresses) => (options.askNode ?? askNode)(node.http);
    return context.json(await assembleStatus(local, options.nodes, ask));
  });
  api.get("/metrics", async (context) => {
    const { type, text } = await options.metrics.scrape();
    return context.body(text, 200, { "Content-Type": type });
  });
  api.notFound((context) => {
    return context.json({ error: "Try /health, /ready, /status or /metrics." }, 404);
  });
  // A loop that does not answer is the one thing that goes wrong here.
  api.onError((failure, context) => context.json({ error: failure.message }, 503));
  return api;
}

/**
 * Ready: every keyspace knows a leader and goes on here, and this node has caught up since it
 * started. Under load a follower is always a little behind, so having caught up once is enough. A
 * node that has just started does not know what is committed, and is behind by nothing that it
 * knows of: caught up is who can say how old its state is (LEAD6).
 */
class Readiness {
  readonly #caughtUp = new Set<number>();

  missing(status: NodeStatus): readonly string[] {
    const missing: string[] = [];
    if (status.draining) missing.push("the node is being stopped");
    this.#look("the catalog", CATALOG_KEYSPACE, status.catalog, missing);
    for (const keyspace of status.keyspaces) {
      this.#look(`keyspace ${keyspace.name}`, keyspace.number, keyspace, missing);
    }
    for (const { name, reason } of status.missingKeyspaces) {
      const why = reason === null ? "" : `: ${reason}`;
      missing.push(`keyspace ${name} of the configuration is not there${why}`);
    }
    return missing;
  }

  #look(what: string, number: number, group: GroupStatus, missing: string[]): void {
    const { leader, lagEntries, lagMs, halted, damaged } = group;
    if (halted !== null) missing.push(`${what} is halted: ${halted}`);
    if (damaged !== null) missing.push(`${what} is being rebuilt: ${damaged}`);
    if (leader === null) {
      missing.push(`${what} knows no leader`);
      return;
    }
    if (lagMs !== null && lagEntries <= CAUGHT_UP_ENTRIES) this.#caughtUp.add(number);
    if (this.#caughtUp.has(number)) return;
    if (lagEntries > 0) missing.push(`${what} is ${lagEntries} behind`);
    else missing.push(`${what} has not heard what is committed`);
  }
}

function localStatus(
  options: HttpApiOptions,
  status: NodeStatus,
  readiness: Readiness,
): LocalStatus {
  const { resp, http, peer } = options.self();
  return {
    ...status,
    pid: options.pid,
    resp: formatAddress(resp),
    http: formatAddress(http),
    peer: formatAddress(peer),
    ready: readiness.missing(status).length === 0,
  };
}

function isOwnHost(host: string | undefined): boolean {
  if (host === undefined) return false;
  const name = host.replace(/:\d{1,5}$/, "").toLowerCase();
  return isLoopback(name.replace(/^\[|\]$/g, ""));
}

/** Serves the API over HTTP, on loopback. */
export class HttpServer {
  readonly #server: ServerType;

  constructor(api: Hono) {
    this.#server = createAdaptorServer({
      fetch: api.fetch,
      overrideGlobalObjects: false,
      serverOptions: { requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 16_384 },
    });
  }

  /** Resolves with the port once bound. Rejects with the system's error. */
  listen(address: Address): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(address.port, address.host, () => {
        server.off("error", reject);
        const bound = server.address();
        resolve(typeof bound === "object" && bound !== null ? bound.port : address.port);
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      if ("closeAllConnections" in this.#server) this.#server.closeAllConnections();
    });
  }
}
