import { Prng } from "../base/prng.ts";
import { integer64 } from "./arguments.ts";
import { refuse } from "./refusal.ts";
import type { CommandEdge } from "./spec.ts";

/**
 * What a command draws at random is drawn from a seed that the accepting node adds to its
 * arguments, so that it is the same on every replica.
 */
export function drawSeed(edge: CommandEdge): Uint8Array {
  const seed = new Uint8Array(8);
  for (let at = 0; at < 8; at += 4) {
    const drawn = edge.random();
    for (let i = 0; i < 4; i += 1) seed[at + i] = drawn >>> (24 - 8 * i);
  }
  return seed;
}

const LONG_MAX = 0x7fff_ffff_ffff_ffffn;

/** How many to draw: a negative number lets them repeat. Its bounds are those of Redis. */
export function drawCount(arg: Uint8Array): number {
  const count = integer64(arg);
  if (BigInt(count) >= -LONG_MAX) return Number(count);
  return refuse(`value is out of range, value must between ${-LONG_MAX} and ${LONG_MAX}`);
}

/** The same where each item is two in the answer. */
export function drawPairsCount(arg: Uint8Array): number {
  const count = drawCount(arg);
  const exact = BigInt(integer64(arg));
  return exact < -LONG_MAX / 2n || exact > LONG_MAX / 2n ? refuse("value is out of range") : count;
}

/** The generator of that seed; of zeros where one is missing, for the bytes come from a log. */
export function prngOf(seed: Uint8Array | undefined): Prng {
  return new Prng(u32At(seed, 0), u32At(seed, 4));
}

function u32At(bytes: Uint8Array | undefined, from: number): number {
  let value = 0;
  for (let i = from; i < from + 4; i += 1) value = value * 256 + (bytes?.[i] ?? 0);
  return value;
}
