import fc from "fast-check";
import { expect, test } from "vitest";
import { NO_ROWS, RowHash } from "../../base/row-hash.ts";
import { CheckpointError } from "../../log/checkpoint-reader.ts";
import { MemoryStore } from "../../log/memory-store.ts";
import { Memtable } from "../../log/memtable.ts";
import { StateRows } from "./state-rows.ts";

const FROM = "g0";
const TO = "g1";

const key = fc.constantFrom("a", "b", "c", "d", "e", "f").map((text) => FROM + text);
const step = fc.oneof(
  fc.record({ kind: fc.constant("put" as const), key, value: fc.nat(3) }),
  fc.record({ kind: fc.constant("delete" as const), key }),
  fc.record({ kind: fc.constant("scrub" as const) }),
  fc.record({ kind: fc.constant("commit" as const) }),
);

function counted(memtable: Memtable): string {
  const hash = new RowHash();
  for (const [stored, row] of memtable.rows(FROM, TO)) hash.add(stored, FROM.length, row);
  return hash.text;
}

function commit(memtable: Memtable, store: MemoryStore): void {
  memtable.freeze();
  store.begin(1, memtable.frozenChanges());
  store.work(1_000_000);
  memtable.dropFrozen();
}

test("the hash is that of the rows, whatever is done, and no scrub finds fault with them", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const store = new MemoryStore();
      const memtable = new Memtable(store);
      const rows = new StateRows(memtable, FROM, TO, NO_ROWS);
      memtable.put("g", Uint8Array.of(9));
      memtable.put(TO, Uint8Array.of(9));
      for (const one of steps) {
        if (one.kind === "put") {
          const isNew = rows.get(one.key) === undefined;
          expect(rows.put(one.key, Uint8Array.of(one.value))).toBe(isNew);
        } else if (one.kind === "delete") {
          const had = rows.get(one.key) !== undefined;
          expect(rows.delete(one.key)).toBe(had);
        } else if (one.kind === "scrub") expect(rows.scrub(1)).not.toBe("damaged");
        else commit(memtable, store);
        expect(rows.hash).toBe(counted(memtable));
      }
      while (rows.isScrubbing) expect(rows.scrub(1)).not.toBe("damaged");
    }),
  );
});

/** Six rows in a store, of which the test damages some behind the rows' back. */
function damageable() {
  const store = new MemoryStore();
  const memtable = new Memtable(store);
  const rows = new StateRows(memtable, FROM, TO, NO_ROWS);
  for (const name of ["a", "b", "c", "d", "e", "f"]) rows.put(FROM + name, Uint8Array.of(1, 2));
  commit(memtable, store);
  const damage = (name: string) => {
    const row = store.get(FROM + name)!;
    row[1] = row[1]! ^ 4;
  };
  return { rows, damage, store, memtable };
}

function scrubbed(rows: StateRows): string {
  for (;;) {
    const progress = rows.scrub(2);
    if (progress !== "going") return progress;
  }
}

test("a bit flipped in a stored row is found", () => {
  for (const name of ["a", "c", "f"]) {
    const { rows, damage } = damageable();
    expect(scrubbed(rows)).toBe("whole");
    damage(name);
    expect(scrubbed(rows)).toBe("damaged");
  }
});

test("also if the row is written anew before the scrub comes there: the hash is wrong then", () => {
  const { rows, damage } = damageable();
  rows.scrub(2);
  damage("e");
  rows.put(`${FROM}e`, Uint8Array.of(7));
  expect(scrubbed(rows)).toBe("damaged");
});

test("a row that is gone, and one that came from nowhere, are found", () => {
  const { rows, memtable } = damageable();
  memtable.delete(`${FROM}b`);
  expect(scrubbed(rows)).toBe("damaged");
  memtable.put(`${FROM}b`, Uint8Array.of(1, 2));
  expect(scrubbed(rows)).toBe("whole");
  memtable.put(`${FROM}g`, Uint8Array.of(1));
  expect(scrubbed(rows)).toBe("damaged");
});

test("what the store knows to be damaged may be replaced: the hash tells", () => {
  class BadStore extends MemoryStore {
    override get(stored: string): Uint8Array | undefined {
      if (stored === `${FROM}b`) throw new CheckpointError("state", "a row is damaged");
      return super.get(stored);
    }

    override peek(stored: string): Uint8Array | undefined {
      return super.get(stored);
    }
  }
  const store = new BadStore();
  const memtable = new Memtable(store);
  const rows = new StateRows(memtable, FROM, TO, NO_ROWS);
  for (const name of ["a", "b"]) rows.put(FROM + name, Uint8Array.of(1, 2));
  commit(memtable, store);
  store.peek(`${FROM}b`)![0] = 9;
  expect(() => rows.get(`${FROM}b`)).toThrow(CheckpointError);
  expect(() => rows.delete(`${FROM}b`)).toThrow(CheckpointError);
  rows.put(`${FROM}b`, Uint8Array.of(3));
  expect(rows.hash).not.toBe(counted(memtable));
});
