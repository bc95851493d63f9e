// Latencies as bucket weights of the telemetry's own histogram: drawing a bucket is drawing a latency.
import { aliasTable } from './random.ts';

export const buckets = 120;

export interface LatencyModel {
  /** Bucket index from a uniform number. */
  readonly draw: (uniform: number) => number;
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
  return { draw: aliasTable(weights) };
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
