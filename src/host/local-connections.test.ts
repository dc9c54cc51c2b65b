import { describe, expect, it } from "vitest";
import { OK } from "../core/contract/reply.ts";
import { LOCAL_OUTSTANDING_MAX, LocalConnections } from "./local-connections.ts";

function connections() {
  let requests = 0;
  const told: unknown[] = [];
  const local = new LocalConnections({
    stopped: false,
    tell: (command) => told.push(command),
    push: () => {},
    nextRequestId: () => {
      requests += 1;
      return requests;
    },
  });
  const answer = (id: number) => {
    const resp = { kind: "resp", connection: 0, reply: OK, resp: 3 } as const;
    return local.onReply(id, { ...resp, close: false, isAuthenticated: true });
  };
  return { local, told, answer };
}

describe("connections within the process", () => {
  it("bring each answer to its call", async () => {
    const { local, answer } = connections();
    const connection = local.open();
    const calls = [connection.call([]), connection.call([])];
    expect([answer(2), answer(1), answer(3)]).toEqual([true, true, false]);
    expect(await Promise.all(calls)).toEqual([OK, OK]);
    expect(local.waiting).toBe(0);
  });

  it("keep no call of one that was closed, and do not know what came of it", async () => {
    const { local, told, answer } = connections();
    const [closed, other] = [local.open(), local.open()];
    const call = closed.call([]);
    const kept = other.call([]);
    closed.close();
    expect(await call).toMatchObject({ code: "CLOSED", outcome: "unknown" });
    expect(await closed.call([])).toMatchObject({ code: "CLOSED" });
    expect(told.at(-1)).toMatchObject({ kind: "close" });
    expect([local.waiting, answer(1), answer(2)]).toEqual([1, false, true]);
    expect(await kept).toEqual(OK);
  });

  it("refuse calls beyond their bound, and take them again when some were answered", async () => {
    const { local, answer } = connections();
    const connection = local.open();
    for (let i = 0; i < LOCAL_OUTSTANDING_MAX; i += 1) void connection.call([]);
    expect(await connection.call([])).toMatchObject({ code: "BUSY", outcome: "not-applied" });
    answer(1);
    void connection.call([]);
    expect(local.waiting).toBe(LOCAL_OUTSTANDING_MAX);
  });
});
