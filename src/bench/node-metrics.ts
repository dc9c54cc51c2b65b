import { BenchError } from "./programs.ts";

/** Metrics without labels, by name. */
export type MetricValues = ReadonlyMap<string, number>;

/** Reads the lines of the Prometheus format that have no labels. */
export function parseMetrics(text: string): MetricValues {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [name = "", value] = line.split(" ");
    if (value !== undefined && /^\w+$/.test(name)) values.set(name, Number(value));
  }
  return values;
}

/** What a node's `/metrics` says now. */
export async function readMetrics(httpPort: number): Promise<MetricValues> {
  const url = `http://127.0.0.1:${httpPort}/metrics`;
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  return parseMetrics(await response.text());
}

/** One of them. Throws `BenchError` where the node has no such metric. */
export function metric(values: MetricValues, name: string): number {
  const value = values.get(name);
  if (value === undefined) throw new BenchError(`the node has no metric ${name}`);
  return value;
}
