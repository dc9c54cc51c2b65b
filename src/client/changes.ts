import type { Calls } from "./calls.ts";
import { decodeRegister, keyBytes } from "./codec.ts";
import { TrefoilError } from "./errors.ts";

/** What to follow of a keyspace. */
export interface ChangesOptions {
  /** Only keys that begin with it. */
  readonly prefix?: string | undefined;
  /** The token of the last change that was dealt with; left out: from now on. */
  readonly after?: string | undefined;
  /** Ends the feed. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One change of a key, in the order of the keyspace's writes, or the notice that some are missing.
 * `token` says where to go on from, on any node and in any process.
 */
export type Change<Out> = { readonly token: string } & (
  | { readonly kind: "set"; readonly key: string; readonly value: Out }
  /** The fields of a set or map changed; read it to see how it is now. */
  | { readonly kind: "fields"; readonly key: string }
  /** Deleted, or its time was up. */
  | { readonly kind: "delete"; readonly key: string }
  /**
   * More was changed than the node remembers: between the last change and the next one others are
   * missing. Read what you keep a copy of anew.
   */
  | { readonly kind: "gap" }
);

const TOKEN = /^c1-(\d{1,15})$/;

/** Follows a keyspace until the signal aborts or the loop is left. */
export async function* changes<Out>(
  calls: Calls,
  options: ChangesOptions = {},
): AsyncGenerator<Change<Out>> {
  const { prefix = "", after, signal } = options;
  keyBytes(prefix);
  const start = after === undefined ? null : indexOf(after);
  for await (const batch of calls.engine.follow(start, prefix, signal)) {
    if (batch.gap) yield { kind: "gap", token: tokenOf(batch.next) };
    for (const [i, { index, key, stored }] of batch.changes.entries()) {
      // Who goes on from within an entry is given all of it again, rather than not all of it.
      const isLast = batch.changes[i + 1]?.index !== index;
      const token = tokenOf(isLast ? index : index - 1);
      if (stored === null) yield { kind: "delete", key, token };
      else if (stored.type === "set" || stored.type === "map") yield { kind: "fields", key, token };
      else {
        const value = (await decodeRegister(calls.declared, stored)) as Out;
        yield { kind: "set", key, value, token };
      }
    }
  }
}

function tokenOf(index: number): string {
  return `c1-${index}`;
}

function indexOf(token: string): number {
  const match = TOKEN.exec(token);
  if (match !== null) return Number(match[1]);
  throw new TrefoilError("BAD_VALUE", "after is not the token of a change.");
}
