/** A broken invariant: our own mistake. It ends the node; nobody catches it inside the core. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** What goes behind the message of a broken invariant: the value that broke it. */
export type AssertionDetail = string | number;

/**
 * Ends the node if `condition` does not hold. Always on: a wrong answer is worse than a stop. A
 * value goes into `detail`, not into the message: a text would be made of it at every call.
 */
export function assert(
  condition: boolean,
  message: string,
  detail?: AssertionDetail,
): asserts condition {
  if (!condition) throw new AssertionError(withDetail(message, detail));
}

/** The value, which must be there. */
export function defined<T>(
  value: T | undefined | null,
  message: string,
  detail?: AssertionDetail,
): T {
  if (value === undefined || value === null) throw new AssertionError(withDetail(message, detail));
  return value;
}

function withDetail(message: string, detail: AssertionDetail | undefined): string {
  return detail === undefined ? message : `${message}: ${detail}`;
}

/** Closes an exhaustive switch: the compiler rejects a forgotten variant. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable variant: ${JSON.stringify(value)}`);
}
