import { describe, expect, test } from "vitest";
import type { CatalogCall } from "../commands/keyspaces.ts";
import { KEYSPACE_OPTIONS, type Keyspace, type KeyspaceRequest } from "../contract/keyspace.ts";
import { error, OK } from "../contract/reply.ts";
import { EnsuredKeyspaces } from "./ensured-keyspaces.ts";
import type { Keyspaces } from "./keyspaces.ts";

function request(name: string, change: Partial<KeyspaceRequest> = {}): KeyspaceRequest {
  return { name, model: "singleLeader", schemaVersion: 0, options: KEYSPACE_OPTIONS, ...change };
}

class Rig {
  readonly traced: string[] = [];
  readonly asked: { readonly ticket: number; readonly call: CatalogCall; deadline: number }[] = [];
  readonly there = new Map<string, Keyspace>();
  readonly ensured: EnsuredKeyspaces;

  constructor(...keyspaces: readonly KeyspaceRequest[]) {
    const trace = (event: { mark: string; detail?: string }) => {
      this.traced.push(`${event.mark} ${event.detail}`);
    };
    this.ensured = new EnsuredKeyspaces({ keyspaces, timeoutMs: 100, retryMs: 50, trace });
  }

  create(name: string, change: Partial<KeyspaceRequest> = {}): void {
    this.there.set(name, { ...request(name, change), number: this.there.size + 1, version: 1 });
  }

  drive(now: number): readonly string[] {
    const from = this.asked.length;
    const find = (ref: { name: string }) => this.there.get(ref.name);
    // Of all that a node knows of its keyspaces only this is asked.
    const keyspaces = { find } as unknown as Keyspaces;
    this.ensured.drive(
      keyspaces,
      (ticket, call, deadline) => this.asked.push({ ticket, call, deadline }),
      now,
    );
    return this.asked.slice(from).map(({ call, deadline }) => {
      return call.kind === "create" ? `${call.request.name} by ${deadline}` : call.kind;
    });
  }

  get missing() {
    return this.ensured.missing.map(({ name, reason }) => `${name}: ${reason}`);
  }
}

describe("keyspaces of the configuration", () => {
  test("are asked for once, where they are missing, and waited for", () => {
    const rig = new Rig(request("a"), request("b"));
    rig.create("b");
    expect(rig.drive(10)).toEqual(["a by 110"]);
    expect(rig.asked[0]?.call).toEqual({
      kind: "create",
      request: request("a"),
      ifNotExists: true,
    });
    expect(rig.drive(20)).toEqual([]);
    expect(rig.ensured.deadline()).toBeNull();
    rig.ensured.onReply(rig.asked[0]!.ticket, OK, 30);
    expect(rig.missing).toEqual(["a: null"]);
    rig.create("a");
    expect(rig.drive(40)).toEqual([]);
    expect(rig.missing).toEqual([]);
    expect(rig.traced).toEqual([]);
  });

  test("are asked for again where nobody led, and after an unknown outcome", () => {
    const rig = new Rig(request("a"));
    rig.drive(0);
    rig.ensured.onReply(rig.asked[0]!.ticket, error("NOLEADER", "none"), 100);
    expect(rig.missing).toEqual(["a: NOLEADER none"]);
    expect(rig.ensured.deadline()).toBe(150);
    expect(rig.drive(149)).toEqual([]);
    expect(rig.drive(150)).toEqual(["a by 250"]);
    rig.ensured.onReply(rig.asked[0]!.ticket, OK, 160);
    expect(rig.drive(200)).toEqual([]);
    rig.ensured.onReply(rig.asked[1]!.ticket, error("TIMEOUT", "late"), 250);
    expect(rig.drive(300)).toEqual(["a by 400"]);
  });

  test("that the catalog refuses are reported and not asked for again", () => {
    const rig = new Rig(request("a"));
    rig.drive(0);
    rig.ensured.onReply(rig.asked[0]!.ticket, error("LIMIT", "Too many."), 10);
    expect(rig.drive(1_000)).toEqual([]);
    expect(rig.missing).toEqual(["a: LIMIT Too many."]);
    expect(rig.traced).toEqual(["keyspace-refused a: LIMIT Too many."]);
    expect(rig.ensured.deadline()).toBeNull();
    // An operator makes room, and creates it.
    rig.create("a");
    rig.drive(2_000);
    expect(rig.missing).toEqual([]);
  });

  test("stay as they are: what differs from what is asked for is reported", () => {
    const options = { preferredLeader: "n2", timeoutMs: null };
    const rig = new Rig(request("a", { options, schemaVersion: 2 }), request("b"));
    rig.create("a", { options: { preferredLeader: null, timeoutMs: 9 }, schemaVersion: 1 });
    rig.create("b", { options: { preferredLeader: "n1", timeoutMs: 9 }, schemaVersion: 4 });
    expect(rig.drive(0)).toEqual([]);
    expect(rig.missing).toEqual([]);
    expect(rig.traced).toEqual([
      "keyspace-differs a: schemaVersion is 1, not 2, preferredLeader is not set, not n2",
    ]);
  });
});
