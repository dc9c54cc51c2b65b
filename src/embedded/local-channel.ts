import type { ChannelOptions, CommandChannel, Word } from "../client/channel.ts";
import { TrefoilError } from "../client/errors.ts";
import { abortable } from "../client/resp-channel.ts";
import type { Reply } from "../core/contract/reply.ts";
import type { LocalConnection } from "../host/local-connections.ts";

/** Commands to the node within this process. */
export class LocalChannel implements CommandChannel {
  readonly #connection: LocalConnection;
  readonly #selected: Promise<Reply>;
  #isSelected = false;
  #isClosed = false;

  /** Selects the keyspace first, if there is one; where that fails, so does every call. */
  constructor(connection: LocalConnection, keyspace: string | null) {
    this.#connection = connection;
    this.#selected = connection.call(["SELECT", keyspace ?? "0"].map(bytesOf));
  }

  async call(words: readonly Word[], options: ChannelOptions): Promise<Reply> {
    if (this.#isClosed) throw new TrefoilError("CLOSED", "The database is closed.");
    // The deadline is the node's own to keep: it answers by then, with what is certain.
    const answer = this.#connection.call(words.map(bytesOf));
    if (!this.#isSelected) await this.#checkSelected();
    return options.signal === undefined
      ? answer
      : abortable(answer, options.signal, options.isRead);
  }

  async #checkSelected(): Promise<void> {
    const reply = await this.#selected;
    if (reply.kind === "error") {
      throw new TrefoilError(reply.code, reply.message, { outcome: "not-applied" });
    }
    this.#isSelected = true;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#connection.close();
  }
}

function bytesOf(word: Word): Uint8Array {
  return typeof word === "string" ? Buffer.from(word, "utf8") : word;
}
