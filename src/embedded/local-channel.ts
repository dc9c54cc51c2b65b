import type { ChannelOptions, CommandChannel, Word } from "../client/channel.ts";
import { TrefoilError } from "../client/errors.ts";
import { abortable } from "../client/resp-channel.ts";
import type { Reply } from "../core/contract/reply.ts";
import type { LocalConnection } from "../host/local-connections.ts";

/** Commands to the node within this process. */
export class LocalChannel implements CommandChannel {
  readonly #connection: LocalConnection;
  readonly #setUp: Promise<Reply>;
  #isSetUp = false;
  #isClosed = false;

  /** `setUp` is the connection's first command; where it fails, so does every call. */
  constructor(connection: LocalConnection, setUp: readonly Word[]) {
    this.#connection = connection;
    this.#setUp = connection.call(setUp.map(bytesOf));
  }

  async call(words: readonly Word[], options: ChannelOptions): Promise<Reply> {
    if (this.#isClosed) throw new TrefoilError("CLOSED", "The database is closed.");
    // The deadline is the node's own to keep: it answers by then, with what is certain.
    const answer = this.#connection.call(words.map(bytesOf));
    if (!this.#isSetUp) await this.#checkSetUp();
    return options.signal === undefined
      ? answer
      : abortable(answer, options.signal, options.isRead);
  }

  async #checkSetUp(): Promise<void> {
    const reply = await this.#setUp;
    if (reply.kind === "error") {
      throw new TrefoilError(reply.code, reply.message, { outcome: "not-applied" });
    }
    this.#isSetUp = true;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#connection.close();
  }
}

function bytesOf(word: Word): Uint8Array {
  return typeof word === "string" ? Buffer.from(word, "utf8") : word;
}
