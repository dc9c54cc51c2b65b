import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { EXIT, type ExitCode } from "../host/exit-codes.ts";
import { initCluster } from "./cluster-file.ts";
import { freeAddresses } from "./free-ports.ts";
import { LocalCluster } from "./local-cluster.ts";
import { ENTRY } from "./start.ts";
import { singleLeaderChapter } from "./tour/single-leader.ts";

/** One model, shown on a real cluster. Each chapter checks what it claims. */
export interface Chapter {
  readonly title: string;
  /** Resolves with whether the promise held. */
  readonly run: (stage: Stage) => Promise<boolean>;
}

/** What a chapter of the tour has to play with. */
export interface Stage {
  readonly cluster: LocalCluster;
  readonly say: (text: string) => void;
}

const CHAPTERS: readonly Chapter[] = [singleLeaderChapter];
const NODES = 3;

/** `trefoil tour`: throw-away clusters, real failures, promises checked live. */
export function tourCommand(): Command {
  return new Command("tour")
    .description("watch a throw-away cluster lose its leader and nothing else")
    .addHelpText("after", "\nExit code 0 if every promise held, 1 if one did not.")
    .action(async () => {
      process.exit(await tour());
    });
}

async function tour(): Promise<ExitCode> {
  let held = true;
  for (const [i, chapter] of CHAPTERS.entries()) {
    say(`Chapter ${i + 1}. ${chapter.title}\n`);
    held = (await runChapter(chapter)) && held;
  }
  say(
    held ? "Every promise held." : "A promise did NOT hold. Please report what is printed above.",
  );
  return held ? EXIT.ok : EXIT.failed;
}

/** Each chapter has a cluster of its own in a folder of its own, and leaves neither behind. */
async function runChapter(chapter: Chapter): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "trefoil-tour-"));
  let cluster: LocalCluster | null = null;
  const cleanUp = async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  const onSignal = () => {
    void cleanUp().then(() => process.exit(EXIT.failed));
  };
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    const file = initCluster(join(folder, "data"), await freeAddresses(NODES));
    // For as long as it stands nobody else gets at it.
    const password = randomBytes(16).toString("hex");
    cluster = new LocalCluster(file, { entry: ENTRY, password });
    cluster.startAll();
    await cluster.waitReady();
    return await chapter.run({ cluster, say });
  } finally {
    await cleanUp();
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
