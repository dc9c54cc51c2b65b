/**
 * `npm run bench [-- SUBCOMMAND] [--json]`. Without a subcommand: durable-set. The table goes to
 * standard output and progress to standard error; `--json` prints one JSON document instead of the
 * table. Nothing is written elsewhere.
 */
import { durableSet, renderDurableSet } from "./durable-set.ts";
import { benchLogWriter, renderLogWriter } from "./log-writer-bench.ts";
import { profile, renderProfile } from "./profile.ts";
import { BenchError, cleanUp, dataDirectory } from "./programs.ts";

interface Bench {
  readonly summary: string;
  run(progress: (line: string) => void): Promise<{ readonly json: unknown; readonly text: string }>;
}

const BENCHES: Readonly<Record<string, Bench>> = {
  "durable-set": {
    summary: "durable majority SETs per second, beside etcd (about 3 minutes)",
    async run(progress) {
      const json = await durableSet(progress);
      return { json, text: renderDurableSet(json) };
    },
  },
  profile: {
    summary: "microseconds per operation and stage on each node (about 15 seconds)",
    async run(progress) {
      const json = await profile(progress);
      return { json, text: renderProfile(json) };
    },
  },
  "log-writer": {
    summary: "both ways of syncing the log, at 1 to 256 writers (about 40 seconds)",
    async run(progress) {
      const json = await benchLogWriter({ directory: dataDirectory("log"), progress });
      return { json, text: renderLogWriter(json) };
    },
  },
};

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => arg !== "--json");
  const bench = BENCHES[names[0] ?? "durable-set"];
  if (bench === undefined || names.length > 1) {
    console.error(`There is no bench ${names.join(" ")}. Benches:`);
    for (const [name, { summary }] of Object.entries(BENCHES)) {
      console.error(`  ${name.padEnd(12)} ${summary}`);
    }
    return 2;
  }
  try {
    const { json, text } = await bench.run((line) => console.error(line));
    console.log(args.includes("--json") ? JSON.stringify(json, null, 2) : text);
    return 0;
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    console.error(error.message);
    return 1;
  } finally {
    await cleanUp();
  }
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(code)));
}

process.exitCode = await main(process.argv.slice(2));
