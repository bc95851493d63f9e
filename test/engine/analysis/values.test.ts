import { describe, expect, it } from 'vitest';
import { judge, observe, readAnalysisState, startAnalysis } from '#engine/analysis/analysis.ts';
import {
  addAgainst,
  addRatio,
  type Batch,
  guessOf,
  joinBatches,
  meanEvidence,
  noEvidence,
  noValues,
} from '#engine/analysis/means.ts';
import type { MetricPlan } from '#engine/model/metric-plan.ts';
import type { ValueSeries } from '#engine/model/telemetry.ts';
import { type Chance, createChance } from '#test/sim/random.ts';
import { planOf } from '#test/sim/weir-run.ts';
import { both, service } from './samples.ts';

/** Skewed as amounts of money are, cut at the end of the range. */
const amounts = (chance: Chance, count: number, mean: number): Batch => {
  let sum = 0;
  let squares = 0;
  for (let at = 0; at < count; at += 1) {
    const value = Math.min(1, -mean * Math.log(1 - chance.uniform()));
    sum += value;
    squares += value * value;
  }
  return { count, sum, squares };
};

interface Trial {
  /** The canary's mean as a multiple of the baseline's. */
  readonly truth: number;
  readonly margin: number;
  readonly direction: 'below' | 'above';
  readonly at: number;
  readonly seconds: number;
}

/** 5 values of the canary and 45 of the baseline each second; the mean of both wanders. Undefined: never proven. */
const untilProven = (seed: number, trial: Trial): number | undefined => {
  const chance = createChance(seed);
  let sums = noEvidence;
  let seen = { canary: noValues, baseline: noValues };
  for (let second = 1; second <= trial.seconds; second += 1) {
    const mean = 0.1 * (1 + 0.3 * Math.sin(second / 60));
    const canary = amounts(chance, chance.poisson(5), trial.truth * mean);
    const baseline = amounts(chance, chance.poisson(45), mean);
    const guesses = { canary: guessOf(seen.canary), baseline: guessOf(seen.baseline) };
    sums = addRatio(sums, { canary, baseline, guesses }, trial.margin, 0);
    seen = {
      canary: joinBatches(seen.canary, canary),
      baseline: joinBatches(seen.baseline, baseline),
    };
    if (meanEvidence(sums, trial.direction, 1) >= Math.log(trial.at)) return second;
  }
  return undefined;
};

const runs = (count: number, trial: Trial): readonly number[] =>
  Array.from({ length: count }, (_, seed) => untilProven(seed + 1, trial)).filter(
    (second) => second !== undefined,
  );

describe('a test of means', () => {
  it.each(['below', 'above'] as const)(
    'seldom finds the mean %s the margin when it is exactly there, however often one looks',
    (direction) => {
      const trial = { truth: 0.9, margin: 0.9, direction, at: 20, seconds: 300 };
      // At most 5 % are promised.
      expect(runs(120, trial).length).toBeLessThanOrEqual(6);
    },
  );

  it('finds what is worse than the margin, in hundreds of values', () => {
    const trial = { truth: 0.7, margin: 0.9, direction: 'below', at: 800, seconds: 600 } as const;
    const found = runs(20, trial).toSorted((a, b) => a - b);
    expect(found).toHaveLength(20);
    expect(found[10]).toBeLessThan(250);
  });

  it('finds what is alike to be within the margin', () => {
    const trial = { truth: 1, margin: 0.9, direction: 'above', at: 20, seconds: 1500 } as const;
    expect(runs(20, trial)).toHaveLength(20);
  });

  it('holds one version against a bound', () => {
    const batch = amounts(createChance(7), 3000, 0.1);
    const sums = addAgainst(noEvidence, batch, 0.12, 0.1);
    expect(meanEvidence(sums, 'below', 1)).toBeGreaterThan(Math.log(1000));
    expect(meanEvidence(sums, 'above', 1)).toBeLessThan(0);
  });

  it('is an e-value for two-point values too: 1 on average at the bound', () => {
    // Every outcome of ten coins with p = 0.3, by its probability.
    let mean = 0;
    const choose = [1, 10, 45, 120, 210, 252, 210, 120, 45, 10, 1];
    for (const [heads, ways] of choose.entries()) {
      const batch = { count: 10, sum: heads, squares: heads };
      const log = meanEvidence(addAgainst(noEvidence, batch, 0.3, 0.5), 'below', 1);
      mean += ways * 0.3 ** heads * 0.7 ** (10 - heads) * Math.exp(log);
    }
    expect(mean).toBeGreaterThan(0.3);
    expect(mean).toBeLessThanOrEqual(1);
  });
});

const unbounded: MetricPlan = {
  name: 'orders',
  source: { type: 'response', part: 'header', name: 'x-order', from: 0, to: 500, strip: false },
  intervalMs: 10_000,
  timeoutMs: 5000,
  failureLimit: 2,
};
const orders: MetricPlan = { ...unbounded, minRatio: 0.9 };

const valuesOf = (version: string, { count, sum, squares }: Batch): ValueSeries => ({
  service,
  version,
  metric: 'orders',
  count,
  sum: 500 * sum,
  squares: 250_000 * squares,
});

const begin = (metric: MetricPlan) => {
  const plan = planOf({ service });
  return startAnalysis(
    { ...plan, analysis: { ...plan.analysis, metrics: [metric] } },
    { baseline: 'v1.0', canary: 'v1.1' },
    0,
  );
};

interface Watched {
  readonly metric?: MetricPlan;
  readonly seconds: number;
  readonly values: (second: number, chance: Chance) => readonly ValueSeries[];
}

/** A good version by everything else. */
const watch = ({ metric = orders, seconds, values }: Watched) => {
  const chance = createChance(11);
  let state = begin(metric);
  const facts = (second: number) => ({
    nowMs: second * 1000,
    weight: 50,
    step: 5,
    stepStartedMs: 0,
    startedMs: 0,
  });
  for (let second = 0; second < seconds; second += 1) {
    const buckets = [30, 80, 40, 18, 50, 2];
    const arm = { requests: 100, buckets };
    state = observe(state, both(second, arm, arm, { values: values(second, chance) }));
    [state] = judge(state, facts(second));
  }
  expect(readAnalysisState(JSON.parse(JSON.stringify(state)))).toEqual(state);
  return judge(state, facts(seconds))[1];
};

const worth = (baseline: number, canary: number) => (_: number, chance: Chance) => [
  valuesOf('v1.0', amounts(chance, 40, baseline)),
  valuesOf('v1.1', amounts(chance, 40, canary)),
];

describe('a metric that answers carry', () => {
  it('rolls back a version that earns less, and says so', () => {
    const verdict = watch({ seconds: 120, values: worth(0.1, 0.07) });
    expect(verdict.outcome).toBe('fail');
    expect(verdict.evidence.culprits).toEqual(['value:orders']);
    expect(verdict.reason).toMatch(
      /^worse than allowed in metric "orders", mean 3\d\.\d+ of 4800 values against (49|5\d)\.\d+ of v1\.0 \(4800\)/,
    );
  });

  it('lets a version pass that is proven to earn about the same', () => {
    const verdict = watch({ seconds: 300, values: worth(0.1, 0.1) });
    expect(verdict.outcome).toBe('pass');
    expect(verdict.evidence.readings).toMatchObject([{ metric: 'orders', outcome: 'good' }]);
  });

  it('holds while there is not enough to tell', () => {
    const values = (second: number, chance: Chance) =>
      second % 20 === 0 ? worth(0.1, 0.1)(second, chance) : [];
    const verdict = watch({ seconds: 100, values });
    expect(verdict).toMatchObject({ outcome: 'inconclusive', futile: false });
    expect(verdict.reason).toMatch(/^not enough evidence yet, about \d+ more canary requests/);
  });

  it('holds, whatever the policy, while no answer of the new version carries it', () => {
    const verdict = watch({
      seconds: 100,
      values: (_, chance) => [valuesOf('v1.0', amounts(chance, 40, 0.1))],
    });
    expect(verdict).toMatchObject({ outcome: 'inconclusive', progress: 0 });
    expect(verdict.reason).toMatch(
      /^holding, metric "orders" has no value yet: no answer of v1.1 has carried one/,
    );
  });

  it('is held against bounds, too', () => {
    const metric = { ...unbounded, min: 45, max: 55 };
    expect(watch({ metric, seconds: 400, values: worth(0.2, 0.1) }).outcome).toBe('pass');
    expect(watch({ metric, seconds: 120, values: worth(0.13, 0.13) }).outcome).toBe('fail');
  });

  it('does not believe sums that no values have', () => {
    const lie = (changes: Partial<ValueSeries>): ValueSeries => ({
      ...valuesOf('v1.1', { count: 40, sum: 4, squares: 1 }),
      ...changes,
    });
    for (const changes of [
      { sum: 30_000 },
      { sum: -1 },
      { squares: 1 },
      { squares: 1e9 },
      { count: 0, sum: 100 },
    ]) {
      const verdict = watch({ seconds: 30, values: () => [lie(changes)] });
      expect(verdict.evidence.readings?.[0]).not.toHaveProperty('value');
    }
  });

  it('counts for less where values come in clusters', () => {
    // All of a second are one customer's.
    const clustered = (_: number, chance: Chance) =>
      ['v1.0', 'v1.1'].map((version) => {
        const value = Math.min(1, -0.1 * Math.log(1 - chance.uniform()));
        return valuesOf(version, { count: 40, sum: 40 * value, squares: 40 * value * value });
      });
    const verdict = watch({ seconds: 300, values: clustered });
    expect(verdict.outcome).toBe('inconclusive');
  });
});
