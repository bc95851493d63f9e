// Kayenta's Mann-Whitney judge, re-implemented from its source for comparison: every minute, 60 one-second points of each
// metric against an equally large fresh baseline; both metrics are critical.
import { quantileOf } from './flagger.ts';
import { usual } from './latency.ts';
import type { Chance } from './random.ts';
import type { Run } from './run.ts';
import { createWorld, type Tally, type World } from './world.ts';

const confidence = 2.3263; // two-sided 98 %
const tolerance = 0.25;
const stepWeight = 10;
const maxWeight = 50;
const intervalSeconds = 60;

interface Points {
  readonly errors: number[];
  readonly p99: number[];
}

export const runKayenta = (world: World, chance: Chance): Run => {
  const { second } = createWorld(world, chance);
  // The fresh baseline: the same code as the old version, with the new version's share of the traffic.
  const control = createWorld(
    {
      ...world,
      errors: (_, endpoint, t) => world.errors('baseline', endpoint, t),
      latency: (_, t) => world.latency?.('baseline', t) ?? usual,
    },
    chance,
  );
  let weight = stepWeight;
  let exposed = 0;
  let failed = 0;
  let canaryPoints: Points = { errors: [], p99: [] };
  let baselinePoints: Points = { errors: [], p99: [] };
  for (let t = 0; ; t += 1) {
    if (t > 0 && t % intervalSeconds === 0) {
      if (
        isHigh(canaryPoints.errors, baselinePoints.errors) ||
        isHigh(canaryPoints.p99, baselinePoints.p99)
      )
        return { outcome: 'rolledBack', exposed, failed, seconds: t };
      if (weight >= maxWeight) return { outcome: 'promoted', exposed, failed, seconds: t };
      weight += stepWeight;
      canaryPoints = { errors: [], p99: [] };
      baselinePoints = { errors: [], p99: [] };
    }
    const { canary } = second(t, weight, t * 1000).arms;
    exposed += canary.requests;
    failed += canary.errors;
    addPoint(canaryPoints, canary);
    addPoint(baselinePoints, control.second(t, weight, t * 1000).arms.canary);
  }
};

/** Seconds without requests have no value and are removed. */
const addPoint = ({ errors, p99 }: Points, { requests, errors: failing, latency }: Tally): void => {
  if (requests === 0) return;
  errors.push(failing / requests);
  p99.push(quantileOf(latency, requests, 0.99));
};

/** Mann-Whitney with confidence interval and Hodges-Lehmann shift, as the judge uses them. */
export const isHigh = (canary: readonly number[], baseline: readonly number[]): boolean => {
  const n = canary.length;
  const m = baseline.length;
  if (n < 2 || m < 2) return false;
  const differences = new Float64Array(n * m);
  for (let i = 0; i < n; i += 1)
    for (let j = 0; j < m; j += 1) differences[i * m + j] = (canary[i] ?? 0) - (baseline[j] ?? 0);
  differences.sort();
  const spread = confidence * Math.sqrt((n * m * (n + m + 1)) / 12);
  const low = Math.max(0, Math.floor((n * m) / 2 - spread));
  const lower = differences[low] ?? 0;
  const shift = differences[Math.floor((n * m) / 2)] ?? 0;
  return lower > tolerance * Math.abs(shift) && mean(canary) >= mean(baseline);
};

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
