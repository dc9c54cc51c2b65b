import { afterAll, beforeAll, describe, test } from "vitest";
import type { KeyspaceEngine } from "../../src/client/engine.ts";
import { RespChannel } from "../../src/client/resp-channel.ts";
import { TrefoilEngine } from "../../src/client/trefoil-engine.ts";
import { ENGINE_CASES } from "../../src/testing/engine-conformance.ts";
import { TestCluster } from "./cluster.ts";

let cluster: TestCluster;
let engine: KeyspaceEngine;

beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.waitLeader();
  const endpoints = cluster.ids.map((id) => cluster.addresses(id).resp);
  engine = new TrefoilEngine(
    () => new RespChannel({ endpoints, password: null, setUp: [["SELECT", "default"]] }),
    10_000,
  );
}, 60_000);

afterAll(async () => {
  await engine?.close();
  await cluster?.close();
}, 30_000);

describe("our engine over the network", { timeout: 30_000 }, () => {
  for (const one of ENGINE_CASES) {
    const { title, of } = one;
    test(title, async ({ skip }) => {
      skip(of !== undefined && !engine.capabilities[of], `the engine has no ${of}`);
      await one.run(engine);
    });
  }
});
