// The promise behind every figure: under the null, evidence does not grow on average, and false alarms stay below alpha.
import { expect, it } from 'vitest';
import { type AnalysisState, judge, observe, startAnalysis } from '#engine/analysis/analysis.ts';
import { createChance } from '#test/sim/random.ts';
import { planOf } from '#test/sim/weir-run.ts';
import { both, service } from './samples.ts';

const plan = {
  ...planOf(),
  service,
  baseline: 'v1.0',
  analysis: { ...planOf().analysis, latency: 'off' as const },
};
const runs = 200;
const seconds = 50;

/** e-values at the end and at the worst moment, for a canary at the boundary; the split chases the evidence. */
const simulate = (seed: number, pc: number, pb: number) => {
  const chance = createChance(seed);
  let state: AnalysisState = {
    ...startAnalysis(plan, { baseline: 'v1.0', canary: 'v1.1' }, 0),
    dispersion: { errors: 1, 'latency-p90': 1, 'latency-p99': 1, 'latency-p999': 1 },
  };
  let rollback = 0;
  let promote = 0;
  let worst = 0;
  let best = 0;
  for (let second = 0; second < seconds; second += 1) {
    const share = rollback > 0.5 ? 0.5 : 0.1;
    const nc = chance.poisson(100 * share);
    const nb = chance.poisson(100 * (1 - share));
    const xc = Math.min(nc, chance.poisson(nc * pc));
    const xb = Math.min(nb, chance.poisson(nb * pb));
    state = observe(
      state,
      both(second, { requests: nb, errors: xb }, { requests: nc, errors: xc }),
    );
    const facts = { nowMs: second * 1000 + 1000, weight: 100 * share, step: 1 };
    const [judged, verdict] = judge(state, { ...facts, stepStartedMs: 0, startedMs: 0 });
    state = judged;
    ({ rollback, promote } = verdict.evidence);
    worst = Math.max(worst, rollback);
    best = Math.max(best, promote);
  }
  return { rollback, worst, best, promote };
};

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

it('a version at the rollback margin is rarely rolled back, however often one looks', () => {
  const results = Array.from({ length: runs }, (_, seed) => simulate(seed, 0.025, 0.02));
  expect(mean(results.map((result) => result.rollback))).toBeLessThanOrEqual(1);
  // Ville's inequality at 10 and at 100; the first is met often enough to be a test.
  expect(results.filter(({ worst }) => worst >= 10).length / runs).toBeLessThanOrEqual(0.1);
  expect(results.filter(({ worst }) => worst >= 100).length / runs).toBeLessThanOrEqual(0.01);
});

it('a version at the promotion margin is rarely promoted, however often one looks', () => {
  const results = Array.from({ length: runs }, (_, seed) => simulate(seed + 5000, 0.04, 0.02));
  expect(mean(results.map((result) => result.promote))).toBeLessThanOrEqual(1);
  expect(results.filter(({ best }) => best >= 20).length / runs).toBeLessThanOrEqual(0.05);
});
