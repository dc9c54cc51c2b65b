import { assert } from "./assert.ts";
import { SHA256_BYTES, sha256 } from "./sha256.ts";

/**
 * A password that can be compared with and not be read: only its digest is kept, in a field that no
 * log, JSON or inspection shows.
 */
export class Password {
  readonly #digest: Uint8Array;

  private constructor(digest: Uint8Array) {
    this.#digest = digest;
  }

  static of(password: Uint8Array): Password {
    assert(password.length > 0, "an empty password protects nothing");
    return new Password(sha256(password));
  }

  /**
   * Digests are compared, all their bytes whatever differs: the time tells neither how much of a
   * guess was right nor how long the password is.
   */
  matches(given: Uint8Array): boolean {
    const digest = sha256(given);
    assert(digest.length === SHA256_BYTES, "a digest of another length");
    let different = 0;
    for (let i = 0; i < SHA256_BYTES; i += 1) different |= digest[i]! ^ this.#digest[i]!;
    return different === 0;
  }
}
