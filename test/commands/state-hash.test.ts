import { expect, test } from "vitest";
import { encodeUtf8 } from "../../src/core/base/bytes.ts";
import { Prng } from "../../src/core/base/prng.ts";
import { RowHash } from "../../src/core/base/row-hash.ts";
import { encodeCommand } from "../../src/core/commands/command-machine.ts";
import { checkCall, lookupCommand } from "../../src/core/commands/table.ts";
import { RandomCommands } from "../differential/random-commands.ts";
import { TestKeyspace } from "../raft/test-keyspace.ts";

const SEEDS = 40;
const COMMANDS = 150;

function counted({ rows }: TestKeyspace): string {
  const hash = new RowHash();
  for (const [key, row] of rows.rows("p", "q")) hash.add(key, 1, row);
  return hash.text;
}

/** What the random commands lack: deadlines, and collections, whose rows are many. */
function others(prng: Prng): Uint8Array[][] {
  const pick = (...texts: string[]) => prng.pick(texts);
  const key = () => pick("a", "b", "c");
  const field = () => pick("f", "g", "h", "i");
  const calls: string[][] = [];
  if (prng.chance(1, 5)) calls.push(["PEXPIREAT", key(), String(prng.between(1, 3000))]);
  if (prng.chance(1, 3)) calls.push(["DEL", key()], ["HSET", key(), field(), "1", field(), "2"]);
  if (prng.chance(1, 2)) calls.push(["HSET", key(), field(), String(prng.below(3))]);
  if (prng.chance(1, 3)) calls.push(["HDEL", key(), field(), field()]);
  if (prng.chance(1, 3)) calls.push(["DEL", key()], ["SADD", key(), field(), field()]);
  if (prng.chance(1, 3)) calls.push(["SREM", key(), field()], ["HINCRBY", key(), field(), "1"]);
  if (prng.chance(1, 5)) calls.push(["SUNIONSTORE", key(), key(), key()], ["RENAME", key(), key()]);
  return calls.map((call) => call.map(encodeUtf8));
}

test("the hash of a keyspace is that of its rows after any commands (STO7)", () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const keyspace = new TestKeyspace();
    const prng = new Prng(seed);
    for (const { args } of new RandomCommands(seed).sequence(COMMANDS)) {
      for (const call of [args, ...others(prng)]) {
        const spec = lookupCommand(call[0]!);
        if (spec?.kind !== "write" || checkCall(spec, call) !== null) continue;
        keyspace.apply(encodeCommand(spec, call));
        expect(keyspace.rows.hash, `seed ${seed}: ${spec.name}`).toBe(counted(keyspace));
      }
      keyspace.time += prng.below(20);
      keyspace.sweep(prng.between(1, 4));
      expect(keyspace.rows.hash, `seed ${seed}: sweep`).toBe(counted(keyspace));
      seen.add(keyspace.rows.hash);
    }
  }
  expect(seen.size).toBeGreaterThan(SEEDS * 20);
});
