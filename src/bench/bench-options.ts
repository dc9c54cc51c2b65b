import { parseArgs } from "node:util";
import { BenchError } from "./programs.ts";

/** A whole number that a bench can be given: `--warm-up-seconds N` for `warmUpSeconds`. */
export interface BenchOption {
  readonly initial: number;
  readonly min: number;
  readonly max: number;
  readonly help: string;
}

/** The options of a bench, by name. */
export type BenchOptions<Name extends string = string> = Readonly<Record<Name, BenchOption>>;

/** `warmUpSeconds` → `--warm-up-seconds`. */
export function optionFlag(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** What the command line says. Throws `BenchError` on what the bench does not know. */
export function parseBenchOptions<Name extends string>(
  options: BenchOptions<Name>,
  args: readonly string[],
): Readonly<Record<Name, number>> {
  const names = Object.keys(options) as Name[];
  const flags = names.map((name) => [optionFlag(name).slice(2), { type: "string" }] as const);
  const given = parse(Object.fromEntries(flags), args);
  const values = names.map((name) => {
    const text = given[optionFlag(name).slice(2)];
    return [name, text === undefined ? options[name].initial : parseOne(name, options[name], text)];
  });
  return Object.fromEntries(values) as Record<Name, number>;
}

function parse(
  flags: Record<string, { readonly type: "string" }>,
  args: readonly string[],
): Readonly<Record<string, string | undefined>> {
  try {
    return parseArgs({ args: [...args], options: flags }).values;
  } catch (failure) {
    const known = Object.keys(flags).map((flag) => `--${flag}`);
    const hint = known.length === 0 ? "It takes no options." : `It takes ${known.join(", ")}.`;
    throw new BenchError(
      `${failure instanceof Error ? failure.message : String(failure)}\n${hint}`,
    );
  }
}

function parseOne(name: string, { min, max }: BenchOption, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new BenchError(`${optionFlag(name)} takes a whole number from ${min} to ${max}.`);
}
