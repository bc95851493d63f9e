// Flagger's rules, re-implemented from its documentation and source for comparison: absolute thresholds on the new
// version, looked at once per interval; the first failing check counts, passes never reset the count.
import { buckets } from './latency.ts';
import type { Chance } from './random.ts';
import type { Run } from './run.ts';
import { createWorld, type World } from './world.ts';

export interface FlaggerSettings {
  readonly intervalSeconds: number;
  /** Share of requests that must not fail. */
  readonly minSuccess: number;
  readonly maxP99Ms: number;
}

const threshold = 5;
const stepWeight = 10;
const maxWeight = 50;
/** Built-in metrics look at the last minute. */
const windowSeconds = 60;

export const runFlagger = (world: World, settings: FlaggerSettings, chance: Chance): Run => {
  const { second } = createWorld(world, chance);
  const window: { requests: number; errors: number; latency: Int32Array }[] = [];
  let weight = stepWeight;
  let exposed = 0;
  let failed = 0;
  let failedChecks = 0;
  for (let t = 0; ; t += 1) {
    if (t > 0 && t % settings.intervalSeconds === 0) {
      if (failedChecks >= threshold) return { outcome: 'rolledBack', exposed, failed, seconds: t };
      if (!passes(window, settings)) failedChecks += 1;
      else if (weight >= maxWeight) return { outcome: 'promoted', exposed, failed, seconds: t };
      else weight += stepWeight;
    }
    const { canary } = second(t, weight, t * 1000).arms;
    exposed += canary.requests;
    failed += canary.errors;
    window.push(canary);
    if (window.length > windowSeconds) window.shift();
  }
};

const passes = (
  window: readonly { requests: number; errors: number; latency: Int32Array }[],
  { minSuccess, maxP99Ms }: FlaggerSettings,
): boolean => {
  let requests = 0;
  let errors = 0;
  const latency = new Int32Array(buckets);
  for (const one of window) {
    requests += one.requests;
    errors += one.errors;
    for (let at = 0; at < buckets; at += 1)
      latency[at] = (latency[at] ?? 0) + (one.latency[at] ?? 0);
  }
  // No values found is a failed check.
  if (requests === 0) return false;
  return 1 - errors / requests >= minSuccess && quantileOf(latency, requests, 0.99) <= maxP99Ms;
};

export const quantileOf = (latency: Int32Array, requests: number, share: number): number => {
  let seen = 0;
  for (let at = 0; at < latency.length; at += 1) {
    const count = latency[at] ?? 0;
    if (count > 0 && seen + count >= share * requests)
      return 2 ** ((at + (share * requests - seen) / count) / 8);
    seen += count;
  }
  return 0;
};
