import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readIdentity } from "../host/disk/data-directory.ts";
import { StartError } from "../host/exit-codes.ts";
import {
  addressesFrom,
  CLUSTER_FILE,
  clusterSource,
  initCluster,
  readClusterFile,
} from "./cluster-file.ts";
import { findNode, resolveTargets } from "./options.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trefoil-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("addresses", () => {
  it("follow the base port", () => {
    expect(addressesFrom(7000, 2)[1]).toEqual({
      id: "n2",
      resp: { host: "127.0.0.1", port: 7002 },
      http: { host: "127.0.0.1", port: 8002 },
      peer: { host: "127.0.0.1", port: 9002 },
    });
  });

  it.each([
    [7000, 0],
    [7000, 10],
    [65_000, 3],
  ])("from %d for %d nodes are refused", (basePort, count) => {
    expect(() => addressesFrom(basePort, count)).toThrow(StartError);
  });
});

describe("init", () => {
  it("makes a cluster whose members know one another", () => {
    const dir = join(folder, "a", "data");
    const file = initCluster(dir, addressesFrom(7000, 3));
    expect(readClusterFile(dir)).toEqual(file);
    const identities = ["n1", "n2", "n3"].map((id) => readIdentity(join(dir, id)));
    const incarnations = identities.map(({ incarnation }) => incarnation);
    expect(new Set(incarnations).size).toBe(3);
    for (const { cluster, members } of identities) {
      expect(cluster).toBe(file.cluster);
      expect(members.map(({ incarnation }) => incarnation)).toEqual(incarnations);
    }
    expect(readdirSync(join(folder, "a"))).toEqual(["data"]);
  });

  it("takes an empty folder, and no other", () => {
    const dir = join(folder, "data");
    mkdirSync(dir);
    initCluster(dir, addressesFrom(7000, 1));
    expect(existsSync(join(dir, CLUSTER_FILE))).toBe(true);
    writeFileSync(join(folder, "mine"), "");
    expect(() => initCluster(folder, addressesFrom(7000, 1))).toThrow("is not empty");
    expect(() => initCluster(dir, addressesFrom(7000, 1))).toThrow("is not empty");
  });

  it("gives every node its configuration", () => {
    const dir = join(folder, "data");
    const { nodes } = initCluster(dir, addressesFrom(7000, 3));
    const { id, ...own } = nodes[1]!;
    expect(id).toBe("n2");
    expect(clusterSource(join(dir, "n2"))).toMatchObject({ ...own, nodes });
    expect(clusterSource(join(dir, "n9"))).toEqual({});
    expect(clusterSource(join(folder, "elsewhere", "n1"))).toEqual({});
  });
});

describe("a damaged cluster file", () => {
  it.each(["{", "[]", '{"version":2,"cluster":"c","nodes":[]}'])("%s is refused", (content) => {
    writeFileSync(join(folder, CLUSTER_FILE), content);
    expect(() => readClusterFile(folder)).toThrow(StartError);
  });
});

describe("the node that a command talks to", () => {
  it("is named by number or by name", () => {
    const file = initCluster(join(folder, "data"), addressesFrom(7000, 3));
    expect(findNode(file, "2").id).toBe("n2");
    expect(findNode(file, "n3").id).toBe("n3");
    expect(() => findNode(file, "n4")).toThrow("the cluster has n1, n2, n3");
  });

  it("is found by port, by url, or in the cluster's file", () => {
    const dir = join(folder, "data");
    initCluster(dir, addressesFrom(7000, 3));
    const ports = (options: Parameters<typeof resolveTargets>[0], kind: "resp" | "http" = "resp") =>
      resolveTargets(options, kind).map(({ address }) => address.port);
    expect(ports({ dir })).toEqual([7001, 7002, 7003]);
    expect(ports({ dir }, "http")).toEqual([8001, 8002, 8003]);
    expect(ports({ dir, node: "2" })).toEqual([7002]);
    expect(ports({ dir, port: 6379 })).toEqual([6379]);
    expect(ports({ dir, url: "redis://127.0.0.1:6380/" })).toEqual([6380]);
    expect(() => ports({ dir, url: "redis://somewhere" })).toThrow("is no address");
    expect(() => ports({ dir: folder })).toThrow("There is no cluster in");
  });
});
