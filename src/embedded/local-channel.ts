import {
  abortable,
  type ChannelOptions,
  type CommandChannel,
  type Word,
} from "../client/channel.ts";
import { errorOf, TrefoilError } from "../client/errors.ts";
import type { Reply } from "../core/contract/reply.ts";
import type { LocalConnection } from "../host/local-connections.ts";

/** Commands to the node within this process. */
export class LocalChannel implements CommandChannel {
  readonly #connection: Pick<LocalConnection, "call" | "close">;
  readonly #selected: Promise<void>;
  #isSelected = false;
  #isClosed = false;

  /** Selects the keyspace first, if there is one; where that fails, so does every call. */
  constructor(connection: Pick<LocalConnection, "call" | "close">, keyspace: string | null) {
    this.#connection = connection;
    const selected = connection.call(["SELECT", keyspace ?? "0"].map(bytesOf));
    this.#selected = selected.then((reply) => {
      if (reply.kind === "error") throw errorOf({ ...reply, outcome: "not-applied" });
    });
    // Before those of the calls that wait: what is called later must not overtake them.
    this.#selected.then(
      () => {
        this.#isSelected = true;
      },
      () => {},
    );
  }

  async call(words: readonly Word[], options: ChannelOptions): Promise<Reply> {
    if (this.#isClosed) throw new TrefoilError("CLOSED", "The database is closed.");
    // The deadline is the node's own to keep: it answers by then, with what is certain.
    const send = () => this.#connection.call(words.map(bytesOf));
    // Not in line behind SELECT: where that fails, the connection is still in another keyspace.
    const answer = this.#isSelected ? send() : this.#selected.then(send);
    const { signal, isRead } = options;
    return signal === undefined ? answer : abortable(answer, signal, () => isRead);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#connection.close();
  }
}

function bytesOf(word: Word): Uint8Array {
  return typeof word === "string" ? Buffer.from(word, "utf8") : word;
}
