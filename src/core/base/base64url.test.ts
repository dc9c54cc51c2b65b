import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase64Url, encodeBase64Url } from "./base64url.ts";
import { encodeUtf8 } from "./bytes.ts";

test.each([
  [[], ""],
  [[0x66], "Zg"],
  [[0x66, 0x6f], "Zm8"],
  [[0x66, 0x6f, 0x6f], "Zm9v"],
  [[0xfb, 0xff, 0xfe], "-__-"],
])("%j is %s", (bytes, text) => {
  expect(encodeBase64Url(Uint8Array.from(bytes))).toBe(text);
  expect(decodeBase64Url(encodeUtf8(text))).toEqual(Uint8Array.from(bytes));
});

test.each(["Z", "Zg==", "Zh", "Zm9", "Z+", "Z/", "Z g", "Zg\n"])("%j is refused", (text) => {
  expect(decodeBase64Url(encodeUtf8(text))).toBeNull();
});

test("what was encoded is decoded, and is what Node makes of it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = encodeBase64Url(bytes);
      expect(text).toBe(Buffer.from(bytes).toString("base64url"));
      expect(decodeBase64Url(encodeUtf8(text))).toEqual(bytes);
    }),
  );
});
