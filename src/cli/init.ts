import { join } from "node:path";
import { Command } from "commander";
import { formatAddress } from "../host/address.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import {
  addressesFrom,
  BASE_PORT,
  CLUSTER_DIR,
  initCluster,
  readClusterFile,
} from "./cluster-file.ts";
import { parseWholeNumber } from "./options.ts";

interface InitOptions {
  readonly nodes: number;
  readonly basePort: number;
  readonly dir: string;
}

/** `trefoil init`: formats the directories of a new cluster and says how to run it. */
export function initCommand(): Command {
  return new Command("init")
    .description("make a new cluster's directories, without starting it")
    .option("--nodes <n>", "number of nodes", parseWholeNumber, 3)
    .option(
      "--base-port <p>",
      "RESP on p+1…, HTTP on p+1001…, peers on p+2001…",
      parseWholeNumber,
      BASE_PORT,
    )
    .option("--dir <path>", "where the data goes", CLUSTER_DIR)
    .action((options: InitOptions) => {
      const existing = readClusterFile(options.dir);
      if (existing !== null) {
        throw new StartError(
          EXIT.directory,
          `${options.dir} holds cluster ${existing.cluster} already. \`trefoil start --dir ${options.dir}\` runs it.`,
        );
      }
      const file = initCluster(options.dir, addressesFrom(options.basePort, options.nodes));
      const lines = file.nodes.map(({ id, resp }) => {
        return `  trefoil serve --dir ${join(options.dir, id)}     # Redis clients: ${formatAddress(resp)}`;
      });
      process.stdout.write(
        `Cluster ${file.cluster} of ${file.nodes.length} nodes is in ${options.dir}.\n\nRun all of it:\n\n  trefoil start --dir ${options.dir}\n\nor each node by itself:\n\n${lines.join("\n")}\n`,
      );
    });
}
