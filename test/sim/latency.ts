// Latencies as bucket weights of the telemetry's own histogram: drawing a bucket is drawing a latency.
import { aliasTable, type Chance } from './random.ts';

export const buckets = 120;

export interface LatencyModel {
  /** Adds the buckets of so many requests to `counts`. */
  readonly draw: (chance: Chance, requests: number, counts: Int32Array) => void;
}

const median = 50;
const sigma = Math.log(202 / median) / 2.3263;

/** Share of requests faster than `ms` in the model service: log-normal, p50 50 ms, p99 202 ms. */
const fasterThan = (ms: number): number => normalCdf(Math.log(ms / median) / sigma);

const quantileAt = (z: number): number => median * Math.exp(sigma * z);

/** `faster(ms)` is the share of requests below `ms`. */
const modelOf = (faster: (ms: number) => number): LatencyModel => {
  const weights = Array.from({ length: buckets }, (_, at) => {
    const weight = faster(2 ** ((at + 1) / 8)) - faster(2 ** (at / 8));
    return Math.max(0, weight);
  });
  const draw = aliasTable(weights);
  const ends = reversedSums(weights);
  return {
    draw: (chance, requests, counts) => {
      if (requests > manyRequests) return split(chance, requests, { weights, ends, counts });
      for (let left = requests; left > 0; left -= 1) {
        const bucket = draw(chance.uniform());
        counts[bucket] = (counts[bucket] ?? 0) + 1;
      }
    },
  };
};

/** From so many on, bucket after bucket takes its share of what is left, instead of request after request its bucket. */
const manyRequests = 2000;

const split = (
  chance: Chance,
  requests: number,
  { weights, ends, counts }: { weights: readonly number[]; ends: Float64Array; counts: Int32Array },
): void => {
  let left = requests;
  for (let at = 0; at < weights.length && left > 0; at += 1) {
    const rest = ends[at] ?? 0;
    const weight = weights[at] ?? 0;
    const count = weight >= rest ? left : chance.binomial(left, weight / rest);
    counts[at] = (counts[at] ?? 0) + count;
    left -= count;
  }
};

const reversedSums = (weights: readonly number[]): Float64Array => {
  const sums = new Float64Array(weights.length);
  let sum = 0;
  for (let at = weights.length - 1; at >= 0; at -= 1) {
    sum += weights[at] ?? 0;
    sums[at] = sum;
  }
  return sums;
};

export const usual = modelOf(fasterThan);

/** Every request takes `factor` times as long. */
export const slowedBy = (factor: number): LatencyModel => modelOf((ms) => fasterThan(ms / factor));

/** The slowest fifth is stretched so that p99 grows by `factor`; the rest is as before. */
export const tailSlowedBy = (factor: number): LatencyModel => {
  const pivot = quantileAt(0.8416);
  const stretch = 1 + Math.log(factor) / Math.log(quantileAt(2.3263) / pivot);
  return modelOf((ms) => fasterThan(ms <= pivot ? ms : pivot * (ms / pivot) ** (1 / stretch)));
};

/** A share of requests (slow clients, a bad pod) takes `factor` times as long. */
export const someSlowedBy = (share: number, factor: number): LatencyModel =>
  modelOf((ms) => (1 - share) * fasterThan(ms) + share * fasterThan(ms / factor));

/** Abramowitz and Stegun 7.1.26 through erf; good to 1e-7. */
function normalCdf(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const poly =
    ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const erf = 1 - poly * Math.exp(-x * x);
  return z >= 0 ? (1 + erf) / 2 : (1 - erf) / 2;
}
