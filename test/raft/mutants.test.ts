import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { MutantId } from "../../src/core/base/mutants.ts";
import { MUTANT_SCENARIOS } from "../../src/testing/sim/mutant-catalog.ts";
import { type Block, parseScenario, runScenario } from "./scenario.ts";

/** What only a run with the mistake shows: a violation, or an answer that must not be given. */
const SIGNS: Readonly<Partial<Record<MutantId, RegExp>>> = {
  L1: /election safety: n1 and n2 lead term 1/,
  L2: /election safety: n1 and n2 lead term 1/,
  L3: /leader completeness: n2 of term 2 lacks 5/,
  L4: /leader completeness: n5 of term 4 lacks 7/,
  L5: /leader completeness: n2 of term 2 lacks 6/,
  L6: /n3->n2 vote term=1 granted/,
  L7: /n2 become-leader term=2 last=4/,
  L13: /log matching: n1 committed another 6/,
  L14: /log matching: n1 committed another 6/,
  L16: /log matching: n1 committed another 6/,
  L18: /matchIndex of n2 fell on n1/,
  L19: /c1 GET a => "old"/,
  L20: /c2 GET a => "old"/,
  L21: /GET n => "([3-9])" @(7|8)/,
  L31: /n3 c9 GET d => nil/,
  L36: /n2 c3 GET a => "old"/,
  L37: /SET a 1 => OK @5 durable=2/,
  L38: /SET a 1 => OK @5 durable=1/,
  L39: /SET a 1 => TIMEOUT not-applied/,
  L40: /GET n => "3" @8/,
  L45: /n2 pre-vote term=2/,
  L46: /n1 become-follower term=2/,
  L51: /leader completeness: n2 of term 2 lacks 5/,
  L52: /n1->n3 timeoutNow/,
  L53: /n3 c3 GET a => "0"/,
  L54: /n2 c2 GET a => "old"/,
  L55: /n2 c3 GET a => "old"/,
  L56: /n1 c3 GET a => "old"/,
  L57: /n1 c1 GET a => nil/,
};

const IDS = Object.keys(MUTANT_SCENARIOS) as MutantId[];

test.each(IDS)("%s is brought to light", (id) => {
  const sign = SIGNS[id];
  const scenario = MUTANT_SCENARIOS[id];
  if (sign === undefined || scenario === undefined) throw new Error(`no sign of ${id}`);
  const blocks = read(scenario);
  expect(transcript(blocks, null)).not.toMatch(sign);
  expect(transcript(blocks, id)).toMatch(sign);
});

function read(name: string): Block[] {
  const path = join(import.meta.dirname, "..", "scenarios", `${name}.txt`);
  return parseScenario(readFileSync(path, "utf8"));
}

function transcript(blocks: readonly Block[], mutant: MutantId | null): string {
  const { outputs, violations } = runScenario(blocks, mutant);
  return [...outputs, ...violations].join("\n");
}
