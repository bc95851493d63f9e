import { describe, expect, it } from 'vitest';
import {
  type AnalysisState,
  addReading,
  judge,
  observe,
  readAnalysisState,
  startAnalysis,
} from '#engine/analysis/analysis.ts';
import type { MetricPlan, MetricReading } from '#engine/model/metric-plan.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import { planOf } from '#test/sim/weir-run.ts';
import { both, service } from './samples.ts';

const metric = (changes: Partial<MetricPlan> = {}): MetricPlan => ({
  name: 'cart',
  source: { type: 'http', url: 'http://shop/cart' },
  max: 3,
  intervalMs: 10_000,
  timeoutMs: 5000,
  failureLimit: 2,
  ...changes,
});

const planWith = (plan: MetricPlan, more: Partial<RolloutPlan> = {}): RolloutPlan => {
  const whole = planOf({ service, ...more });
  return { ...whole, analysis: { ...whole.analysis, metrics: [plan] } };
};

const begin = (plan: RolloutPlan): AnalysisState =>
  startAnalysis(plan, { baseline: 'v1.0', canary: 'v1.1' }, 0);

const reading = (second: number, changes: Partial<MetricReading>): MetricReading => ({
  metric: 'cart',
  baseline: 'v1.0',
  canary: 'v1.1',
  atMs: second * 1000,
  ...changes,
});

/** A good version by everything else, with a reading every ten seconds. */
const watch = (
  plan: RolloutPlan,
  seconds: number,
  read: (second: number) => Partial<MetricReading> | undefined,
) => {
  let state = begin(plan);
  for (let second = 0; second < seconds; second += 1) {
    const buckets = [30, 80, 40, 18, 50, 2];
    state = observe(state, both(second, { requests: 100, buckets }, { requests: 100, buckets }));
    const said = second % 10 === 0 ? read(second) : undefined;
    if (said) state = addReading(state, reading(second, said));
    [state] = judge(state, facts(second));
  }
  return judge(state, facts(seconds))[1];
};

const facts = (second: number, step = 5) => ({
  nowMs: second * 1000,
  weight: 50,
  step,
  stepStartedMs: 0,
  startedMs: 0,
});

describe('a metric that others measure', () => {
  it('lets a good version pass while its values are good', () => {
    const verdict = watch(planWith(metric()), 120, () => ({ value: 2.5 }));
    expect(verdict).toMatchObject({ outcome: 'pass', progress: 1 });
    expect(verdict.evidence.readings).toEqual([
      { metric: 'cart', value: 2.5, outcome: 'good', reason: 'is 2.5' },
    ]);
  });

  it.each([
    [metric(), { value: 3.2 }, 'is 3.2, above its max 3'],
    [metric({ min: 4, max: 9 }), { value: 3.2 }, 'is 3.2, below its min 4'],
    [
      { ...metric({ maxRatio: 1.2 }), max: undefined } as never,
      { value: 3.2, baselineValue: 2 },
      'is 3.2, above 1.2 times the 2 of v1.0',
    ],
    [
      { ...metric({ minRatio: 0.9 }), max: undefined } as never,
      { value: 1.5, baselineValue: 2 },
      'is 1.5, below 0.9 times the 2 of v1.0',
    ],
  ])('rolls back when a value was bad once more than is borne', (plan: MetricPlan, bad, words) => {
    const twice = watch(planWith(plan), 115, (second) =>
      second < 100
        ? {
            value: 4,
            ...(plan.max ? { value: 2 } : {}),
            ...(plan.min ? { value: 5 } : {}),
            baselineValue: 4,
          }
        : bad,
    );
    expect(twice).toMatchObject({ outcome: 'inconclusive', progress: 0, futile: false });
    expect(twice.reason).toContain(`metric "cart" ${words} (2 times in a row, 2 are borne)`);
    const thrice = watch(planWith(plan), 121, (second) => (second < 95 ? undefined : bad));
    expect(thrice.outcome).toBe('fail');
    expect(thrice.reason).toContain(`metric "cart" ${words} (3 times in a row)`);
    expect(thrice.evidence.readings?.[0]).toMatchObject({ outcome: 'fail' });
  });

  it('begins to count anew after a good value', () => {
    const verdict = watch(planWith(metric()), 119, (second) => ({
      value: second % 30 === 20 ? 2 : 4,
    }));
    expect(verdict.outcome).toBe('pass');
  });

  it('holds while it cannot be measured, whatever the rest says, and never fails for it', () => {
    for (const said of [undefined, { problem: 'could not be measured: answered 503' }, {}]) {
      const verdict = watch(planWith(metric()), 300, () => said);
      expect(verdict).toMatchObject({ outcome: 'inconclusive', progress: 0 });
    }
    const { reason } = watch(planWith(metric()), 120, () => ({ problem: 'answered 503' }));
    expect(reason).toMatch(/^holding, metric "cart" answered 503/);
  });

  it('holds when its last good value is old', () => {
    const verdict = watch(planWith(metric()), 120, (second) =>
      second < 50 ? { value: 1 } : undefined,
    );
    expect(verdict).toMatchObject({ outcome: 'inconclusive', progress: 0 });
    expect(verdict.reason).toContain('has had no value for 80 s');
  });

  it('without a value of the old version is not compared with it', () => {
    const verdict = watch(planWith(metric({ maxRatio: 2 })), 120, () => ({ value: 1 }));
    expect(verdict).toMatchObject({ outcome: 'inconclusive', progress: 0 });
  });

  it('is not waited for before the new version has traffic', () => {
    const [, verdict] = judge(begin(planWith(metric())), facts(1, 0));
    expect(verdict.reason).not.toContain('cart');
  });

  it('is not passed over where missing evidence would be', () => {
    const plan = planWith(metric(), { deadlineMs: 60_000, onInconclusive: 'advance' });
    expect(watch(plan, 100, () => ({ value: 4 })).outcome).toBe('fail');
    expect(watch(plan, 100, () => undefined).futile).toBe(false);
    expect(watch({ ...plan, onInconclusive: 'hold' }, 100, () => undefined).futile).toBe(true);
  });

  it('does not count readings of other versions, unknown metrics and older ones', () => {
    const state = addReading(begin(planWith(metric())), reading(20, { value: 1 }));
    for (const other of [
      reading(20, { value: 9 }),
      reading(10, { value: 9 }),
      reading(30, { value: 9, canary: 'v1.2' }),
      reading(30, { value: 9, baseline: 'v0.9' }),
      reading(30, { value: 9, metric: 'basket' }),
    ])
      expect(addReading(state, other)).toBe(state);
  });

  it('is remembered by a state that is written and read', () => {
    const state = addReading(begin(planWith(metric())), reading(20, { value: 9 }));
    expect(readAnalysisState(JSON.parse(JSON.stringify(state)))).toEqual(state);
  });
});
