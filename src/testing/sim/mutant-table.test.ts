import { describe, expect, test } from "vitest";
import { MUTANTS } from "../../core/base/mutants.ts";
import {
  FOREIGN_MISTAKES,
  MUTANT_IDS,
  MUTANT_SCENARIOS,
  SIMULATED_IDS,
  TESTED_MISTAKES,
} from "./mutant-catalog.ts";
import { type MutantFigures, mutantsPage } from "./mutant-table.ts";

const FIGURES: MutantFigures = {
  oracles: ["vote-durability"],
  seeds: [1, null, 3],
  plain: 4,
  plainSeeds: 30,
};

describe("the catalog of mistakes", () => {
  test("every mistake of the list is planted, tested, or cannot be made, and is one of these", () => {
    const ids = [...MUTANT_IDS, ...TESTED_MISTAKES, ...FOREIGN_MISTAKES].map((mistake) =>
      typeof mistake === "string" ? mistake : mistake.id,
    );
    expect(new Set(ids).size).toBe(ids.length);
    const list = [numbered("L", 59), numbered("S", 12)].flat();
    expect(list.filter((id) => !ids.includes(id))).toEqual([]);
  });

  test("what the simulator does not find, a scenario tells", () => {
    const others = MUTANT_IDS.filter((id) => !SIMULATED_IDS.includes(id));
    expect(others.filter((id) => MUTANT_SCENARIOS[id] === undefined)).toEqual([]);
  });
});

describe("the page of mistakes", () => {
  test("has the figures of a mutant, and keeps those of the others", () => {
    const first = mutantsPage("", new Map([["L1", FIGURES]]));
    const line = `| L1 | ${MUTANTS.L1} | vote-durability | 1, over 200, 3 | 4 of 30 | \`test/scenarios/vote-survives-restart.txt\` |\n`;
    expect(first).toContain(line);
    const second = mutantsPage(first, new Map([["L2", { ...FIGURES, plain: 9 }]]));
    expect(second).toContain(line);
    expect(second).toContain("| 9 of 30 |");
    expect(mutantsPage(second, new Map())).toBe(second);
  });

  test("keeps no figures of a line that says something else now", () => {
    const before = "| L1 | another mistake | vote-durability | 1 | 4 of 30 |  |\n";
    expect(mutantsPage(before, new Map())).toContain(`| L1 | ${MUTANTS.L1} |  |  |  |`);
  });
});

function numbered(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
}
