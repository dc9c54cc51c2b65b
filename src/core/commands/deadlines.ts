import type { WallClock } from "../contract/ids.ts";
import { DEADLINE_MAX } from "../values/row.ts";
import { type Args, integer64, isWord } from "./arguments.ts";
import { refuse, refuseSyntax } from "./refusal.ts";

/** What a command says of a key's deadline: `none` takes it away, `keep` leaves what there is. */
export type Expiry =
  | { readonly kind: "none" }
  | { readonly kind: "keep" }
  | { readonly kind: "at" | "in"; readonly unit: "s" | "ms"; readonly arg: Uint8Array };

/** Without a word about it, SET takes the deadline away, and GETEX leaves it. */
export const NO_EXPIRY: Expiry = { kind: "none" };

/** Leaves the deadline as it is. */
export const KEEP_EXPIRY: Expiry = { kind: "keep" };

const TIMED = [
  ["EX", "in", "s"],
  ["PX", "in", "ms"],
  ["EXAT", "at", "s"],
  ["PXAT", "at", "ms"],
] as const;

/**
 * The expiry option at this place and how many arguments it takes; null if the word is none. As in
 * Redis, a second one must be of the same name, and then counts. Throws `Refusal`.
 */
export function expiryOption(
  args: Args,
  at: number,
  before: { readonly word: string } | null,
): { readonly word: string; readonly expiry: Expiry; readonly arguments: number } | null {
  for (const [word, kind, unit] of TIMED) {
    if (!isWord(args[at]!, word)) continue;
    const arg = args[at + 1];
    if (arg === undefined || (before !== null && before.word !== word)) return refuseSyntax();
    return { word, expiry: { kind, unit, arg }, arguments: 2 };
  }
  for (const [word, expiry] of [
    ["KEEPTTL", KEEP_EXPIRY],
    ["PERSIST", NO_EXPIRY],
  ] as const) {
    if (!isWord(args[at]!, word)) continue;
    if (before !== null && before.word !== word) return refuseSyntax();
    return { word, expiry, arguments: 1 };
  }
  return null;
}

/** The deadline that it comes to; 0 for none. Throws `Refusal` where it is not a time to come. */
export function deadlineFrom(
  expiry: Expiry,
  time: WallClock,
  current: WallClock,
  command: string,
): WallClock {
  if (expiry.kind === "none") return 0;
  if (expiry.kind === "keep") return current;
  const given = integer64(expiry.arg);
  if (given <= 0) refuseExpireTime(command);
  const ms = Number(given) * (expiry.unit === "s" ? 1000 : 1);
  const deadline = expiry.kind === "at" ? ms : time + ms;
  return deadline <= DEADLINE_MAX ? deadline : refuseExpireTime(command);
}

/** Refuses a time that no key can have for its deadline, as Redis words it. */
export function refuseExpireTime(command: string): never {
  return refuse(`invalid expire time in '${command}' command`);
}
