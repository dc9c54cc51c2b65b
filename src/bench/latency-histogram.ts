const SUB_BUCKETS = 64;
const MAGNITUDES = 34;

/**
 * Counts latencies in microseconds with a relative error of at most 1/64, at a few nanoseconds per
 * record: a loader must cost less than what it measures.
 */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(SUB_BUCKETS * MAGNITUDES);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  record(micros: number): void {
    const value = Math.max(0, Math.floor(micros));
    this.#counts[bucketOf(value)]! += 1;
    this.#count += 1;
    if (value > this.#max) this.#max = value;
  }

  /**
   * The latency in microseconds that `fraction` of the records do not exceed; 0 without records.
   */
  quantile(fraction: number): number {
    const wanted = Math.max(1, Math.ceil(this.#count * fraction));
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1) {
      seen += this.#counts[bucket]!;
      if (seen >= wanted) return Math.min(upperBound(bucket), this.#max);
    }
    return this.#max;
  }

  get max(): number {
    return this.#max;
  }
}

/** Values below 64 have a bucket each; above, each power of two is cut into 64. */
function bucketOf(value: number): number {
  if (value < SUB_BUCKETS) return value;
  const magnitude = Math.floor(Math.log2(value)) - 6;
  const sub = Math.floor(value / 2 ** magnitude) - SUB_BUCKETS;
  return Math.min((magnitude + 1) * SUB_BUCKETS + sub, SUB_BUCKETS * MAGNITUDES - 1);
}

function upperBound(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket;
  const magnitude = Math.floor(bucket / SUB_BUCKETS) - 1;
  return ((bucket % SUB_BUCKETS) + SUB_BUCKETS + 1) * 2 ** magnitude - 1;
}
