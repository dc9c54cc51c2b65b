import { inspect } from "node:util";
import { expect, test } from "vitest";
import { encodeUtf8 } from "./bytes.ts";
import { Password } from "./password.ts";

const SECRET = "correct horse battery staple";
const password = Password.of(encodeUtf8(SECRET));

test.each([
  [SECRET, true],
  ["", false],
  [SECRET.slice(1), false],
  [SECRET.slice(0, -1), false],
  [`${SECRET} `, false],
  [SECRET.toUpperCase(), false],
])("%j: %s", (given, expected) => {
  expect(password.matches(encodeUtf8(given))).toBe(expected);
});

test("bytes that are no text are as good as others", () => {
  const bytes = Uint8Array.of(0, 255, 13, 10);
  expect(Password.of(bytes).matches(bytes.slice())).toBe(true);
  expect(Password.of(bytes).matches(bytes.subarray(0, 3))).toBe(false);
});

test("it shows nothing of itself", () => {
  expect(`${inspect(password, { showHidden: true, depth: null })}${JSON.stringify(password)}`).toBe(
    "Password {}{}",
  );
});
