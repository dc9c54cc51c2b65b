import { randomInt } from "node:crypto";
import type { NodeAddresses } from "../host/cluster-status.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import { addressesFrom } from "./cluster-file.ts";
import { portsInUse } from "./local-cluster.ts";

/**
 * Base ports to choose from. All below 32768, where Linux begins to hand out ports for outgoing
 * connections: a stopped node's port must still be free when it is started again.
 */
const BASE_MIN = 11_000;
const BASE_MAX = 29_000;
const TRIES_MAX = 50;

/** Addresses for a throw-away cluster, all free a moment ago. */
export async function freeAddresses(count: number): Promise<readonly NodeAddresses[]> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const nodes = addressesFrom(randomInt(BASE_MIN, BASE_MAX), count);
    if ((await portsInUse(nodes)).length === 0) return nodes;
  }
  throw new StartError(EXIT.port, "No free ports were found on this machine.");
}
