import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { encodeUtf8 } from "./bytes.ts";
import { Prng } from "./prng.ts";
import { sha256 } from "./sha256.ts";

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test.each([
  ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  ],
])("the examples of FIPS 180: %j", (text, expected) => {
  expect(hex(sha256(encodeUtf8(text)))).toBe(expected);
});

test("every length around the blocks' ends, as another implementation has it", () => {
  const prng = new Prng(1);
  for (let length = 0; length < 260; length += 1) {
    const bytes = Uint8Array.from({ length }, () => prng.below(256));
    const expected = createHash("sha256").update(bytes).digest("hex");
    expect(hex(sha256(bytes)), String(length)).toBe(expected);
  }
});
