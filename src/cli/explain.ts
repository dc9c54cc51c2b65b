import { Command } from "commander";
import { ERRORS, type ErrorCode, type Outcome } from "../core/contract/errors.ts";
import { EXIT, StartError } from "../host/exit-codes.ts";
import { nearest } from "../host/nearest.ts";

const OUTCOMES = {
  "not-applied": "The operation has not taken effect and will not.",
  unknown: "The operation may have taken effect, or may yet.",
  applied: "The operation has taken effect; something else was not reached.",
} as const;

/** `trefoil explain CODE`: what an error code means, what is certain, and whether to send again. */
export function explainCommand(): Command {
  return new Command("explain")
    .description("say what an error code means")
    .argument("[code]", "the first word of an error, such as NOLEADER")
    .option("--json", "print one JSON document")
    .action((code: string | undefined, options: { readonly json?: true }) => {
      const codes = code === undefined ? ALL : [findCode(code)];
      const specs = codes.map((known) => ({ code: known, ...ERRORS[known] }));
      const document = code === undefined ? specs : specs[0];
      const text = options.json ? JSON.stringify(document) : codes.map(describe).join("\n\n");
      process.stdout.write(`${text}\n`);
    });
}

const ALL = Object.keys(ERRORS) as readonly ErrorCode[];

function findCode(text: string): ErrorCode {
  const upper = text.replace(/^-/, "").toUpperCase();
  const found = ALL.find((code) => code === upper);
  if (found !== undefined) return found;
  const near = nearest(upper, ALL);
  const hint = near === null ? `Known: ${ALL.join(", ")}.` : `Did you mean ${near}?`;
  throw new StartError(EXIT.usage, `${text} is none of Trefoil's own error codes. ${hint}`);
}

function describe(code: ErrorCode): string {
  const { outcome, retryable, meaning } = ERRORS[code];
  return `${code} (${outcome})\n  ${meaning}\n  ${OUTCOMES[outcome]} ${again(outcome, retryable)}`;
}

/**
 * GEN6: what may have happened already is only sent again by someone who knows twice is harmless.
 */
function again(outcome: Outcome, retryable: boolean): string {
  if (outcome === "unknown") return "Send it again only if twice is the same as once.";
  return retryable ? "The same request may succeed later." : "Sending it again does not help.";
}
