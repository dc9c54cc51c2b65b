/**
 * Exact decimal arithmetic for INCRBYFLOAT. Redis computes in the C compiler's long double, whose
 * rounding depends on the processor; replicas must agree, and 1234.1 + 0.1 had better be 1234.2.
 * What is printed is what Redis prints where its long double is exact enough: at most 17 digits
 * after the point, trailing zeros trimmed.
 */
export interface Decimal {
  /** The value is `units` × 10^-`scale`. */
  readonly units: bigint;
  readonly scale: number;
}

const FRACTION_DIGITS_MAX = 17;
/** Redis reads numbers through a buffer of this size. */
const TEXT_BYTES_MAX = 5 * 1024 - 1;
/** Between the largest and the smallest normal long double: 1.18e4932 and 3.37e-4932. */
const MAGNITUDE_MAX = 4932;
const SYNTAX = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/;

/** The number that ASCII bytes spell; "infinite" if it is that or too large; null if it is none. */
export function parseDecimal(bytes: Uint8Array): Decimal | "infinite" | null {
  if (bytes.length === 0 || bytes.length > TEXT_BYTES_MAX) return null;
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  if (/^[+-]?inf(inity)?$/i.test(text)) return "infinite";
  const match = SYNTAX.exec(text);
  if (match === null) return null;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  if (whole.length + fraction.length === 0) return null;
  return decimalOf(sign === "-", whole + fraction, fraction.length - Number(exponent));
}

function decimalOf(isNegative: boolean, digits: string, scale: number): Decimal | null {
  const significant = digits.replace(/^0+/, "");
  if (significant === "") return { units: 0n, scale: 0 };
  // The position of the first digit: 1 stands at 0, 10 at 1. Out of range, Redis refuses the text.
  const magnitude = significant.length - 1 - scale;
  if (magnitude > MAGNITUDE_MAX || magnitude < -MAGNITUDE_MAX) return null;
  const units = BigInt(significant) * (isNegative ? -1n : 1n);
  return scale < 0 ? { units: units * 10n ** BigInt(-scale), scale: 0 } : { units, scale };
}

/** The exact sum of two decimals. */
export function addDecimals(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  const units = a.units * 10n ** BigInt(scale - a.scale) + b.units * 10n ** BigInt(scale - b.scale);
  return { units, scale };
}

/** Digits only, without exponent: rounded to 17 after the point, half to even. */
export function formatDecimal(value: Decimal): string {
  const { units, scale } = roundTo(value, FRACTION_DIGITS_MAX);
  const isNegative = units < 0n;
  const digits = String(isNegative ? -units : units).padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, "");
  return `${isNegative ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

function roundTo(value: Decimal, scale: number): Decimal {
  if (value.scale <= scale) return value;
  const unit = 10n ** BigInt(value.scale - scale);
  const isNegative = value.units < 0n;
  const size = isNegative ? -value.units : value.units;
  let rounded = size / unit;
  const twice = (size % unit) * 2n;
  if (twice > unit || (twice === unit && rounded % 2n === 1n)) rounded += 1n;
  return { units: isNegative ? -rounded : rounded, scale };
}
