/**
 * `npm run bench [-- BENCH] [--OPTION N …] [--json]`. Without a bench: durable-set; `all`: each of
 * those that measure, with the options' defaults. The report goes to standard output and progress
 * to standard error; `--json` prints one JSON document instead. Nothing is written elsewhere.
 */
import { type BenchOptions, optionFlag, parseBenchOptions } from "./bench-options.ts";
import { CHECKPOINTS_OPTIONS, checkpoints, renderCheckpoints } from "./checkpoints.ts";
import { DURABLE_SET_OPTIONS, durableSet, renderDurableSet } from "./durable-set.ts";
import { benchLogWriter, renderLogWriter } from "./log-writer-bench.ts";
import { MEMORY_OPTIONS, memory, renderMemory } from "./memory.ts";
import { profile, renderProfile } from "./profile.ts";
import { BenchError, cleanUp, dataDirectory } from "./programs.ts";
import { READS_OPTIONS, reads, renderReads } from "./reads.ts";
import { RSS_OPTIONS, renderRss, rss } from "./rss.ts";

interface Outcome {
  readonly json: unknown;
  readonly text: string;
}

type Progress = (line: string) => void;
type Run = (progress: Progress) => Promise<Outcome>;

interface Bench {
  readonly summary: string;
  readonly options: BenchOptions;
  /** Throws `BenchError` on options that it does not know; what it gives does the work. */
  prepare(args: readonly string[]): Run;
}

function bench<Name extends string, Report>(
  summary: string,
  options: BenchOptions<Name>,
  run: (values: Readonly<Record<Name, number>>, progress: Progress) => Promise<Report>,
  render: (report: Report) => string,
): Bench {
  const prepare: Bench["prepare"] = (args) => {
    const values = parseBenchOptions(options, args);
    return async (progress) => {
      const json = await run(values, progress);
      return { json, text: render(json) };
    };
  };
  return { summary, options, prepare };
}

const BENCHES: Readonly<Record<string, Bench>> = {
  "durable-set": bench(
    "durable majority SETs per second, beside etcd and Redis (about 5 minutes)",
    DURABLE_SET_OPTIONS,
    durableSet,
    renderDurableSet,
  ),
  reads: bench(
    "GETs per second in each read concern, beside etcd and Redis (about 6 minutes)",
    READS_OPTIONS,
    reads,
    renderReads,
  ),
  checkpoints: bench(
    "p99 of SETs during checkpoints and outside (about 2 minutes)",
    CHECKPOINTS_OPTIONS,
    checkpoints,
    renderCheckpoints,
  ),
  memory: bench(
    "memory and start-up with 1 million keys, beside Redis (about 2 minutes)",
    MEMORY_OPTIONS,
    memory,
    renderMemory,
  ),
  rss: bench(
    "whether memory grows while a fixed set of keys is overwritten (10 minutes)",
    RSS_OPTIONS,
    rss,
    renderRss,
  ),
  profile: bench(
    "microseconds per operation and stage on each node (about 15 seconds)",
    {},
    (_, progress) => profile(progress),
    renderProfile,
  ),
  "log-writer": bench(
    "both ways of syncing the log, at 1 to 256 writers (about 40 seconds)",
    {},
    (_, progress) => benchLogWriter({ directory: dataDirectory("log"), progress }),
    renderLogWriter,
  ),
};

/** A profile is for finding causes: it measures nothing that could be compared. */
const NOT_IN_ALL = ["profile"];

function usage(): string {
  const lines = Object.entries(BENCHES).flatMap(([name, { summary, options }]) => [
    `  ${name.padEnd(12)} ${summary}`,
    ...Object.entries(options).map(
      ([option, { help, initial }]) =>
        `      ${optionFlag(option).padEnd(20)} ${help} (default: ${initial})`,
    ),
  ]);
  return ["Benches:", ...lines, `  ${"all".padEnd(12)} all that measure, one after the other`].join(
    "\n",
  );
}

async function main(args: readonly string[]): Promise<number> {
  const rest = args.filter((arg) => arg !== "--json");
  const name = rest[0]?.startsWith("--") === false ? rest.shift() : undefined;
  if (rest.includes("--help")) {
    console.log(usage());
    return 0;
  }
  const runs = prepared(name ?? "durable-set", rest);
  if (runs === null) return 2;
  try {
    const outcomes: Outcome[] = [];
    for (const run of runs) outcomes.push(await run((line) => console.error(line)));
    const json = outcomes.map((outcome) => outcome.json);
    const document = name === "all" ? json : json[0];
    const text = outcomes.map((outcome) => outcome.text).join("\n\n\n");
    console.log(args.includes("--json") ? JSON.stringify(document, null, 2) : text);
    return 0;
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    console.error(error.message);
    return 1;
  } finally {
    await cleanUp();
  }
}

/** Null where there is no such bench, or it does not take these options; then it has been said. */
function prepared(name: string, args: readonly string[]): Run[] | null {
  const names = Object.keys(BENCHES).filter((each) => !NOT_IN_ALL.includes(each));
  try {
    return (name === "all" ? names : [name]).map((each) => {
      const chosen = BENCHES[each];
      if (chosen === undefined) throw new BenchError(`There is no bench ${each}.\n${usage()}`);
      return chosen.prepare(args);
    });
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    console.error(error.message);
    return null;
  }
}

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(code)));
}

process.exitCode = await main(process.argv.slice(2));
