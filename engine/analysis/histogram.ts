// Exponential histograms of scale 3, sparse: index, count, index, count, ... (engine/model/telemetry.ts).
import type { Histogram } from '../model/telemetry.ts';

export const emptyHistogram: Histogram = { zero: 0, buckets: [], sum: 0 };

/** Milliseconds at the upper end of bucket `index`. */
export const upperEdge = (index: number): number => 2 ** ((index + 1) / 8);

/** Buckets below and above these ends (a nanosecond, ten hours) are counted in them. */
const lowest = -160;
const highest = 200;

/** Scratch of `merge`, all zero between calls. */
const counts = new Float64Array(highest - lowest + 1);

export const merge = (...histograms: readonly Histogram[]): Histogram => {
  let zero = 0;
  let sum = 0;
  let first = counts.length;
  let last = -1;
  for (const one of histograms) {
    zero += one.zero;
    sum += one.sum;
    for (let at = 0; at < one.buckets.length; at += 2) {
      const index = Math.min(highest, Math.max(lowest, one.buckets[at] ?? 0)) - lowest;
      counts[index] = (counts[index] ?? 0) + (one.buckets[at + 1] ?? 0);
      if (index < first) first = index;
      if (index > last) last = index;
    }
  }
  const buckets: number[] = [];
  for (let index = first; index <= last; index += 1) {
    const count = counts[index] ?? 0;
    counts[index] = 0;
    if (count > 0) buckets.push(index + lowest, count);
  }
  return { zero, buckets, sum };
};

export const countOf = ({ zero, buckets }: Histogram): number => {
  let count = zero;
  for (let at = 1; at < buckets.length; at += 2) count += buckets[at] ?? 0;
  return count;
};

/** How many values lie above the upper edge of bucket `edge`. Exact, because it is an edge. */
export const above = ({ buckets }: Histogram, edge: number): number => {
  let count = 0;
  for (let at = buckets.length - 2; at >= 0 && (buckets[at] ?? 0) > edge; at -= 2)
    count += buckets[at + 1] ?? 0;
  return count;
};

/** The bucket whose upper edge leaves a share of values nearest to `share` above it. */
export const edgeFor = (histogram: Histogram, share: number): number => {
  const wanted = share * countOf(histogram);
  const { buckets } = histogram;
  let over = 0;
  let best = buckets.at(-2) ?? 0;
  let distance = wanted;
  for (let at = buckets.length - 2; at >= 0; at -= 2) {
    over += buckets[at + 1] ?? 0;
    if (Math.abs(over - wanted) >= distance) break;
    distance = Math.abs(over - wanted);
    best = (buckets[at] ?? 0) - 1;
  }
  return best;
};

/** Milliseconds, interpolated inside the bucket; 0 for an empty histogram. */
export const quantile = (histogram: Histogram, share: number): number => {
  const rank = share * countOf(histogram);
  let seen = histogram.zero;
  if (seen >= rank) return 0;
  const { buckets } = histogram;
  for (let at = 0; at < buckets.length; at += 2) {
    const count = buckets[at + 1] ?? 0;
    if (seen + count >= rank)
      return 2 ** (((buckets[at] ?? 0) + (rank - seen) / Math.max(count, 1)) / 8);
    seen += count;
  }
  return upperEdge(buckets.at(-2) ?? 0);
};
