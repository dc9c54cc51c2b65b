import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MUTANTS, type MutantId } from "../../src/core/base/mutants.ts";
import { type Block, parseScenario, runScenario } from "./scenario.ts";

interface Row {
  readonly scenario: string;
  /** What only a run with the mistake shows: a violation, or an answer that must not be given. */
  readonly sign: RegExp;
}

/**
 * Planted mistakes of the protocol, the story that brings each to light, and how. Those of the
 * state are the simulator's.
 */
const ROWS: Readonly<Partial<Record<MutantId, Row>>> = {
  L1: { scenario: "vote-survives-restart", sign: /election safety: n1 and n2 lead term 1/ },
  L2: { scenario: "vote-survives-restart", sign: /election safety: n1 and n2 lead term 1/ },
  L3: { scenario: "torn-disk", sign: /leader completeness: n2 of term 2 lacks 5/ },
  L4: { scenario: "figure-8", sign: /leader completeness: n5 of term 4 lacks 7/ },
  L13: { scenario: "log-conflict", sign: /log matching: n1 committed another 6/ },
  L14: { scenario: "log-conflict", sign: /log matching: n1 committed another 6/ },
  L18: { scenario: "late-acknowledgement", sign: /matchIndex of n2 fell on n1/ },
  L19: { scenario: "lone-reader", sign: /c1 GET a => "old"/ },
  L20: { scenario: "new-leader-reads-late", sign: /c2 GET a => "old"/ },
  L51: { scenario: "late-timeout-now", sign: /leader completeness: n2 of term 2 lacks 5/ },
  L52: { scenario: "transfer-to-named", sign: /n1->n3 timeoutNow/ },
  L36: { scenario: "session-read-on-follower", sign: /n2 c3 GET a => "old"/ },
  L53: { scenario: "session-lost", sign: /n3 c3 GET a => "0"/ },
  L54: { scenario: "late-stamp", sign: /n2 c2 GET a => "old"/ },
  L55: { scenario: "stamp-of-earlier-start", sign: /n2 c3 GET a => "old"/ },
  L56: { scenario: "bounded-read-of-deposed-leader", sign: /n1 c3 GET a => "old"/ },
  L21: { scenario: "forward-repeated-once", sign: /GET n => "([3-9])" @(7|8)/ },
};

const IDS = (Object.keys(MUTANTS) as MutantId[]).filter((id) => !id.startsWith("S"));

test.each(IDS)("%s is brought to light", (id) => {
  const row = ROWS[id];
  if (row === undefined) throw new Error(`no story for ${id}`);
  const { scenario, sign } = row;
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
