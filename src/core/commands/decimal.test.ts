import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeUtf8 } from "../base/bytes.ts";
import { addDecimals, type Decimal, formatDecimal, parseDecimal } from "./decimal.ts";

function parsed(text: string): Decimal {
  const value = parseDecimal(encodeUtf8(text));
  if (value === null || value === "infinite") throw new Error(`${text} is ${value}`);
  return value;
}

function sum(a: string, b: string): string {
  return formatDecimal(addDecimals(parsed(a), parsed(b)));
}

describe("decimals", () => {
  test.each([
    ["0.1", "0.2", "0.3"],
    ["1234.1", "0.1", "1234.2"],
    ["3.0e3", "200", "3200"],
    ["5.0e-1", ".5", "1"],
    ["-1.5", "1.5", "0"],
    ["-0", "0", "0"],
    ["10.50", "-0.1", "10.4"],
    ["-2", "1.75", "-0.25"],
    ["1e20", "0.1", "100000000000000000000.1"],
    ["0.00000000000000001", "0", "0.00000000000000001"],
    ["0.000000000000000005", "0", "0"],
    ["0.000000000000000015", "0", "0.00000000000000002"],
    ["0.0000000000000000051", "0", "0.00000000000000001"],
    ["-0.000000000000000001", "0", "0"],
    ["99999999999999999", "0.99999999999999999", "99999999999999999.99999999999999999"],
    ["0000012", "+1.", "13"],
  ])("%s + %s = %s", (a, b, expected) => {
    expect(sum(a, b)).toBe(expected);
  });

  test.each([
    "",
    " 1",
    "1 ",
    "a",
    "1a",
    ".",
    "+",
    "--1",
    "1e",
    "1e1.5",
    "0x10",
    "nan",
    "1_0",
    "1e5000",
    "1e-5000",
  ])("%j is no number", (text) => {
    expect(parseDecimal(encodeUtf8(text))).toBeNull();
  });

  test.each(["inf", "-inf", "+Infinity", "INF"])("%s is infinite", (text) => {
    expect(parseDecimal(encodeUtf8(text))).toBe("infinite");
  });

  test("texts longer than Redis reads are no numbers", () => {
    expect(parseDecimal(encodeUtf8("1".repeat(4900)))).not.toBeNull();
    expect(parseDecimal(encodeUtf8(`0.${"1".repeat(5117)}`))).not.toBeNull();
    expect(parseDecimal(encodeUtf8(`0.${"1".repeat(5118)}`))).toBeNull();
  });

  test("what is printed is read back as the same", () => {
    const digits = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
    fc.assert(
      fc.property(digits, fc.integer({ min: 0, max: 17 }), (units, scale) => {
        const text = formatDecimal({ units, scale });
        expect(formatDecimal(parsed(text))).toBe(text);
        const back = parsed(text);
        expect(back.units * 10n ** BigInt(17 - back.scale)).toBe(units * 10n ** BigInt(17 - scale));
      }),
    );
  });
});
