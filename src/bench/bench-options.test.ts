import { expect, test } from "vitest";
import { parseBenchOptions } from "./bench-options.ts";

const OPTIONS = {
  rounds: { initial: 3, min: 1, max: 9, help: "" },
  warmUpSeconds: { initial: 20, min: 0, max: 60, help: "" },
} as const;

test("what is not said is as it is initially", () => {
  expect(parseBenchOptions(OPTIONS, ["--warm-up-seconds", "5"])).toEqual({
    rounds: 3,
    warmUpSeconds: 5,
  });
  expect(parseBenchOptions(OPTIONS, ["--rounds=1"])).toEqual({ rounds: 1, warmUpSeconds: 20 });
});

test("what is unknown, or no number in its range, is refused", () => {
  expect(() => parseBenchOptions(OPTIONS, ["--laps", "5"])).toThrow(
    /'--laps'.*\nIt takes --rounds, --warm-up-seconds\./,
  );
  expect(() => parseBenchOptions({}, ["--laps", "5"])).toThrow(/It takes no options\./);
  expect(() => parseBenchOptions(OPTIONS, ["more"])).toThrow(/more/);
  for (const value of ["0", "10", "1.5", "one", ""]) {
    expect(() => parseBenchOptions(OPTIONS, ["--rounds", value]), value).toThrow(
      "--rounds takes a whole number from 1 to 9.",
    );
  }
});
