/** A broken invariant: our own mistake. It ends the node; nobody catches it inside the core. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Ends the node if `condition` does not hold. Always on: a wrong answer is worse than a stop. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** The value, which must be there. */
export function defined<T>(value: T | undefined | null, message: string): T {
  if (value === undefined || value === null) throw new AssertionError(message);
  return value;
}

/** Closes an exhaustive switch: the compiler rejects a forgotten variant. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable variant: ${JSON.stringify(value)}`);
}
