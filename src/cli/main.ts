#!/usr/bin/env node
import { run } from "./program.ts";

// `trefoil … | head` closes our output early; that is no failure to report.
process.stdout.on("error", (failure: NodeJS.ErrnoException) => {
  if (failure.code !== "EPIPE") throw failure;
  process.exit();
});

process.exitCode = await run(process.argv.slice(2));
