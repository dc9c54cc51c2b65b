import { assert } from "../core/base/assert.ts";

/**
 * A histogram without labels that is observed several times in every turn of the loop: plain
 * numbers, and text only when somebody asks. prom-client's own takes a microsecond per observation.
 */
export class HotHistogram {
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  /** How many values were at most each bound and above the one before; the last: above all. */
  readonly #counts: number[];
  #sum = 0;

  /** `bounds` are the buckets' inclusive upper bounds, ascending; that of +Inf is understood. */
  constructor(name: string, help: string, bounds: readonly number[]) {
    assert(bounds.length > 0, "a histogram without buckets");
    assert(!bounds.some((bound, i) => i > 0 && bound <= bounds[i - 1]!), "bounds do not ascend");
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > bounds[at]!) at += 1;
    this.#counts[at] = this.#counts[at]! + 1;
    this.#sum += value;
  }

  /** In the text format of Prometheus, where each bucket counts those below it as well. */
  expose(): string {
    const name = this.#name;
    const lines = [`# HELP ${name} ${this.#help}`, `# TYPE ${name} histogram`];
    let count = 0;
    this.#counts.forEach((own, i) => {
      count += own;
      lines.push(`${name}_bucket{le="${this.#bounds[i] ?? "+Inf"}"} ${count}`);
    });
    lines.push(`${name}_sum ${this.#sum}`, `${name}_count ${count}`);
    return `${lines.join("\n")}\n`;
  }
}
