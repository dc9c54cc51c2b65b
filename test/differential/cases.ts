import { EXPIRY_SCRIPTS } from "./expiry-scripts.ts";
import { HASH_SCRIPTS } from "./hash-scripts.ts";
import { KEY_AND_SERVER_SCRIPTS } from "./key-and-server-scripts.ts";
import { SET_SCRIPTS } from "./set-scripts.ts";
import type { DifferentialCase } from "./steps.ts";
import { STRING_SCRIPTS } from "./string-scripts.ts";
import { TRANSACTION_SCRIPTS } from "./transaction-scripts.ts";

export type { DifferentialCase, Step } from "./steps.ts";

/** Every script in RESP2 and in RESP3. */
export const CASES: readonly DifferentialCase[] = [
  ...STRING_SCRIPTS,
  ...KEY_AND_SERVER_SCRIPTS,
  ...TRANSACTION_SCRIPTS,
  ...EXPIRY_SCRIPTS,
  ...HASH_SCRIPTS,
  ...SET_SCRIPTS,
].flatMap(([name, steps]) =>
  ([2, 3] as const).map((resp) => ({ name: `${name} (RESP${resp})`, resp, steps })),
);

/** Bytes that are no request, each for a connection of its own: the answer, then the end. */
export const HOSTILE: readonly (readonly [name: string, bytes: string])[] = [
  ["count is no number", "*a\r\n"],
  ["count too large", "*2147483648\r\n"],
  ["count with leading zero", "*01\r\n"],
  ["no dollar", "*1\r\n:1\r\n"],
  ["length is no number", "*1\r\n$a\r\n"],
  ["length negative", "*1\r\n$-1\r\n"],
  ["length too large", "*1\r\n$8388609\r\n"],
  ["quotes do not match", 'SET "a\r\n'],
  ["apostrophes do not match", "SET 'a\r\n"],
  ["quote in a word", 'SET "a"b\r\n'],
  ["empty array, then an error", "*0\r\n*-1\r\n*x\r\n"],
];

/** Lines that people type, and what they mean. */
export const INLINE: readonly string[] = [
  "PING\r\n",
  "PING\n",
  "\r\n\r\nPING\r\n",
  "   PING   \r\n",
  'ECHO "a b"\r\n',
  "ECHO 'a b'\r\n",
  'ECHO "\\x41\\x0a\\n\\r\\t\\b\\a\\\\\\"\\q"\r\n',
  "ECHO 'it\\'s \\n'\r\n",
  'ECHO ""\r\n',
  'ECHO "\\xzz"\r\n',
  'ECHO "\\x4"\r\n',
  "ECHO a\tb\r\n",
  'ECHO a"b\r\n',
  "*0\r\nPING\r\n",
  "*-5\r\nPING\r\n",
  "*1\r\n$4\r\nPING\r\n",
  "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
  "*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
];
