import type { NodeId } from "../../core/contract/ids.ts";
import type { Chapter, Stage } from "../tour.ts";
import { Bank } from "./bank.ts";

const TELLERS = 4;
const TRANSFERS_BEFORE = 400;
const TRANSFERS_AFTER = 400;
/** Writes have to go on within this time of the leader's end; a promise of this chapter, ms. */
const OUTAGE_MS_MAX = 10_000;

/** Chapter 1: single-leader replication, a bank, and a leader that is killed in the middle. */
export const singleLeaderChapter: Chapter = {
  title: "One order of writes: a bank whose leader dies",
  run,
};

async function run(stage: Stage): Promise<boolean> {
  const { cluster, say } = stage;
  const leader = await cluster.waitLeader();
  say(`  Three nodes run as three processes; ${leader} leads, the others follow.`);
  const bank = await Bank.open(cluster, TELLERS);
  say(
    `  ${bank.accounts.length} accounts hold ${bank.total} in all. ${TELLERS} tellers, connected to all nodes, move money: each transfer changes two balances and adds a line to the journal, as one step.`,
  );
  const work = bank.tellers.map((teller) => teller.work());
  await bank.until((counts) => counts.acknowledged >= TRANSFERS_BEFORE, OUTAGE_MS_MAX);
  const outageMs = await killLeader(stage, bank, leader);
  await bank.until((counts) => counts.sinceMark >= TRANSFERS_AFTER, OUTAGE_MS_MAX);
  for (const teller of bank.tellers) teller.stop();
  await Promise.all(work);
  const held = await report(stage, bank, outageMs);
  bank.close();
  return held;
}

async function killLeader(stage: Stage, bank: Bank, leader: NodeId): Promise<number> {
  const { cluster, say } = stage;
  const { acknowledged } = bank.counts();
  say(
    `\n  ${acknowledged} transfers are acknowledged. kill -9 ${cluster.node(leader).pid}: ${leader} is gone.`,
  );
  await cluster.kill(leader);
  const killedAt = performance.now();
  bank.mark();
  await bank.until((counts) => counts.sinceMark > 0, OUTAGE_MS_MAX);
  const outageMs = performance.now() - killedAt;
  const successor = await cluster.waitLeader();
  say(`  ${successor} was elected. Transfers go on after ${Math.round(outageMs)} ms.`);
  return outageMs;
}

async function report(stage: Stage, bank: Bank, outageMs: number): Promise<boolean> {
  const { say } = stage;
  const { acknowledged, unknown } = bank.counts();
  const audit = await bank.audit();
  const line = (held: boolean, text: string) => {
    say(`  ${held ? "[held]  " : "[BROKEN]"} ${text}`);
    return held;
  };
  say(
    `\n  ${acknowledged} transfers were acknowledged, ${unknown} ended with an unknown outcome. The books:\n`,
  );
  const checks = [
    line(
      audit.missing.length === 0,
      `every acknowledged transfer is in the journal (${audit.missing.length} missing)`,
    ),
    line(
      audit.journal <= acknowledged + unknown,
      `the journal has ${audit.journal} lines: no more than acknowledged + unknown`,
    ),
    line(audit.total === bank.total, `the accounts still hold ${audit.total} in all`),
    line(
      audit.wrong.length === 0,
      `every balance is what the journal says (${audit.wrong.length} differ)`,
    ),
    line(outageMs < OUTAGE_MS_MAX, `writes went on ${Math.round(outageMs)} ms after the kill`),
  ];
  say("");
  return checks.every((held) => held);
}
