import { expectTypeOf, test } from "vitest";
import {
  counter,
  type Database,
  defineKeyspaces,
  json,
  leaderless,
  map,
  multiLeader,
  type SingleLeaderKeyspace,
  type StandardSchema,
  set,
  singleLeader,
  type Transaction,
  text,
} from "../../src/client/index.ts";

interface Account {
  readonly balance: number;
  readonly owner?: string;
}

/** A schema that makes a default for what may be left out. */
declare const AccountSchema: StandardSchema<{ balance?: number }, Account>;
declare const ShapeSchema: StandardSchema<{ x: number; y: number; label: string }>;

const keyspaces = defineKeyspaces({
  ledger: singleLeader({ schema: { "~standard": {} } as typeof AccountSchema }),
  anything: singleLeader(),
  names: singleLeader({ value: text() }),
  hits: singleLeader({ value: counter() }),
  tags: singleLeader({ value: set() }),
  shapes: singleLeader({ value: map({ "~standard": {} } as typeof ShapeSchema) }),
  typed: singleLeader({ value: json<Account>() }),
  board: multiLeader({ value: map<{ x: number }>() }),
  notes: multiLeader(),
  carts: leaderless({ n: 3, r: "quorum", w: "quorum", sloppy: true }),
});

/*
 * The body is type-checked with the project and never run: a wrong call that compiled would be an
 * unused `@ts-expect-error`, which is an error.
 */
declare const db: Database<typeof keyspaces>;
const never = false as boolean;

test("values have the types that the keyspace declares", () => {
  if (!never) return;
  expectTypeOf(db.ledger.get("k")).resolves.toEqualTypeOf<Account | null>();
  expectTypeOf(db.typed.getMany(["k"])).resolves.toEqualTypeOf<readonly (Account | null)[]>();
  expectTypeOf(db.names.get("k")).resolves.toEqualTypeOf<string | null>();
  expectTypeOf(db.hits.get("k")).resolves.toEqualTypeOf<number>();
  expectTypeOf(db.hits.getBigInt("k")).resolves.toEqualTypeOf<bigint>();
  expectTypeOf(db.tags.members("k")).resolves.toEqualTypeOf<readonly string[]>();
  expectTypeOf(db.shapes.getField("k", "label")).resolves.toEqualTypeOf<string | null>();
  expectTypeOf(db.ledger.withMeta().get("k")).resolves.toHaveProperty("meta");
  expectTypeOf(db.board.getField("k", "x")).resolves.toEqualTypeOf<number | null>();
  void db.ledger.set("k", {});
  void db.ledger.set("k", { balance: 1 }, { ttlMs: 5, w: "all", timeoutMs: 10 });
  void db.ledger.transaction(async (tx) => {
    expectTypeOf(tx).toEqualTypeOf<Transaction<{ balance?: number }, Account>>();
    expectTypeOf(await tx.get("k")).toEqualTypeOf<Account | null>();
  });
  // @ts-expect-error a value of another type
  void db.ledger.set("k", { balance: "1" });
  // @ts-expect-error a value of another type
  void db.names.set("k", 1);
  // @ts-expect-error no such field
  void db.shapes.update("k", { z: 1 });
  // @ts-expect-error a field that holds no number
  void db.shapes.incrementField("k", "label");
  // @ts-expect-error no such keyspace
  void db.nowhere.get("k");
});

test("no operation of another kind of value compiles", () => {
  if (!never) return;
  // @ts-expect-error registers are not added to
  void db.ledger.increment("k");
  // @ts-expect-error a counter has no fields
  void db.hits.update("k", { x: 1 });
  // @ts-expect-error a set has no value to get
  void db.tags.get("k");
  // @ts-expect-error the kind is declared: no handle of another
  void db.ledger.asCounter("k");
  expectTypeOf(db.anything.asCounter("k").increment()).resolves.toEqualTypeOf<number>();
  expectTypeOf(db.anything.asSet("k").has("m")).resolves.toEqualTypeOf<boolean>();
  expectTypeOf(db.anything.asMap<Account>("k").getField("balance")).resolves.toEqualTypeOf<
    number | null
  >();
});

test("no operation of another model compiles", () => {
  if (!never) return;
  expectTypeOf(db.ledger).toHaveProperty("transaction");
  expectTypeOf<SingleLeaderKeyspace<(typeof keyspaces)["names"]["value"]>>().toHaveProperty(
    "compareAndSet",
  );
  // @ts-expect-error a transaction needs one order of all writes
  void db.notes.transaction(async () => {});
  // @ts-expect-error so does a condition
  void db.notes.compareAndSet("k", 1, "v");
  // @ts-expect-error likewise
  void db.carts.transaction(async () => {});
  // @ts-expect-error likewise
  void db.carts.setIfAbsent("k", "v");
  // @ts-expect-error nor is there an order of the keys to go through
  void db.carts.entries();
  // @ts-expect-error a number of replicas is for leaderless keyspaces
  void db.ledger.get("k", { r: 2 });
  // @ts-expect-error a read concern is for single-leader keyspaces
  void db.carts.get("k", { r: "linearizable" });
  // @ts-expect-error a write concern likewise
  void db.carts.set("k", "v", { w: "majority" });
  // @ts-expect-error neither is for multi-leader ones
  void db.notes.get("k", { r: "local" });
  void db.carts.get("k", { r: 2 });
  void db.carts.set("k", "v", { w: "one" });
  void db.ledger.get("k", { r: { boundedMs: 100 } });
});

test("names that a database has for itself are none of a keyspace", () => {
  if (!never) return;
  // @ts-expect-error close is a method of the database
  defineKeyspaces({ close: singleLeader() });
  // @ts-expect-error so is session
  defineKeyspaces({ session: singleLeader() });
});
