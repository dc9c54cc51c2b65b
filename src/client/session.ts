import type { AnswerMeta } from "./engine.ts";
import { TrefoilError } from "./errors.ts";

/** One keyspace's part of a session's token. */
const PART = /^([a-z][a-z0-9_-]{0,62}):([A-Za-z0-9_-]{1,8192})$/;

/**
 * What its calls have written and read, keyspace by keyspace: a replica that answers within the
 * session is never older than that (LEAD7).
 */
export class Session {
  readonly #tokens = new Map<string, string>();

  /** Goes on where the session was that had this token. Throws `BAD_VALUE` where it is none. */
  constructor(token: string | null = null) {
    for (const part of token === null ? [] : token.split(".")) {
      const [, keyspace, own] = PART.exec(part) ?? [];
      if (keyspace === undefined || own === undefined) {
        throw new TrefoilError("BAD_VALUE", "This is not the token of a session.");
      }
      this.#tokens.set(keyspace, own);
    }
  }

  /** Opaque text, good on any node and in any process; null before the first call. */
  get token(): string | null {
    if (this.#tokens.size === 0) return null;
    return [...this.#tokens].map(([keyspace, own]) => `${keyspace}:${own}`).join(".");
  }

  tokenOf(keyspace: string): string | undefined {
    return this.#tokens.get(keyspace);
  }

  /** An answer came. Those of one keyspace come in order, and each token covers those before it. */
  saw(keyspace: string, meta: AnswerMeta | null): void {
    if (meta?.token != null) this.#tokens.set(keyspace, meta.token);
  }
}
