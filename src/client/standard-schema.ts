import { TrefoilError } from "./errors.ts";

/**
 * What is used of Standard Schema v1 (standardschema.dev), which Zod, Valibot, ArkType and others
 * implement.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** The value, or what is wrong with it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong, and where. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A schema of whatever input and output. */
export type AnySchema =
  // biome-ignore lint/suspicious/noExplicitAny: only `any` is assignable both ways.
  StandardSchema<any, any>;

/** What a caller may give where the schema is this one. */
export type InputOf<S extends AnySchema> = NonNullable<S["~standard"]["types"]>["input"];

/** What the schema makes of it. */
export type OutputOf<S extends AnySchema> = NonNullable<S["~standard"]["types"]>["output"];

const ISSUES_SHOWN_MAX = 5;

/** The value as the schema makes it. Throws `SCHEMA`, not applied, where it is not valid. */
export async function validated(
  schema: StandardSchema<unknown, unknown>,
  value: unknown,
): Promise<unknown> {
  const result = await schema["~standard"].validate(value);
  if (result.issues === undefined) return result.value;
  const shown = result.issues.slice(0, ISSUES_SHOWN_MAX).map(describeIssue);
  const left = result.issues.length - shown.length;
  const more = left > 0 ? `; and ${left} more` : "";
  throw new TrefoilError("SCHEMA", `The value does not fit the schema: ${shown.join("; ")}${more}`);
}

function describeIssue({ message, path }: SchemaIssue): string {
  if (path === undefined || path.length === 0) return message;
  const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
  return `${keys.join(".")}: ${message}`;
}
