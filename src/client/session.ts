import type { AnswerMeta } from "./engine.ts";

/**
 * What its calls have written and read, as a token: a replica that answers within the session is
 * never older than that (LEAD7).
 */
export class Session {
  #token: string | null;

  constructor(token: string | null = null) {
    this.#token = token;
  }

  /** Opaque text, good on any node and in any process; null before the first call. */
  get token(): string | null {
    return this.#token;
  }

  /** An answer came. */
  saw(meta: AnswerMeta | null): void {
    if (meta?.token != null) this.#token = meta.token;
  }
}
