import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type AnalysisState,
  type BaselineState,
  type JudgeFacts,
  judge,
  learnBaseline,
  observe,
  readAnalysisState,
  startAnalysis,
} from '#engine/analysis/analysis.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import type { Verdict } from '#engine/model/verdict.ts';
import { createChance } from '#test/sim/random.ts';
import { type ArmSecond, both, sample, series, service } from './samples.ts';

const plan: RolloutPlan = {
  id: 'bibby/catalog',
  service,
  baseline: 'v1.0',
  versions: ['v1.0', 'v1.1'],
  steps: [10, 20, 30, 40, 50],
  minStepMs: 10_000,
  minSoakMs: 30_000,
  deadlineMs: 600_000,
  onInconclusive: 'hold',
  start: 'automatic',
  analysis: {
    alpha: 0.01,
    beta: 0.05,
    maxErrorRatio: 1.25,
    maxErrorRate: 0.001,
    promoteErrorRatio: 2,
    promoteErrorRate: 0.003,
    latency: 'on',
    maxLatencyRatio: 1.25,
    promoteLatencyRatio: { p90: 1.5, p99: 2 },
  },
};
const arms = { baseline: 'v1.0', canary: 'v1.1' };

/** 89 % in one bucket, then 10 %, then 1 %; `slow` moves requests from the first to the last. */
const spread = (requests: number, slow = 0): readonly number[] => {
  const tail = Math.floor(requests * 0.01) + slow;
  const middle = Math.round(requests * 0.1);
  return [30, requests - middle - tail, 40, middle, ...(tail > 0 ? [50, tail] : [])];
};

const learnt = (arm: (second: number) => ArmSecond, seconds = 120): BaselineState | undefined => {
  let state: BaselineState | undefined;
  for (let second = 0; second < seconds; second += 1)
    state = learnBaseline(state, sample(second, [series('v1.0', arm(second))]), {
      service,
      version: 'v1.0',
    });
  return state;
};
const calm = learnt((second) => ({
  requests: 500,
  errors: second % 2,
  buckets: spread(500),
}));

const facts = (seconds: number, changes: Partial<JudgeFacts> = {}): JudgeFacts => ({
  nowMs: seconds * 1000,
  weight: 10,
  step: 1,
  stepStartedMs: 0,
  startedMs: 0,
  ...changes,
});

interface Watched {
  readonly state: AnalysisState;
  readonly verdict: Verdict;
  readonly seconds: number;
}

/** Second after second until the outcome, or to the end. */
const watch = (
  make: (second: number) => readonly Sample[],
  options: {
    until?: Verdict['outcome'];
    seconds?: number;
    start?: AnalysisState;
    plan?: RolloutPlan;
  } = {},
): Watched => {
  let state = options.start ?? startAnalysis(options.plan ?? plan, arms, 0, calm);
  let verdict: Verdict | undefined;
  const end = options.seconds ?? 300;
  for (let second = 0; second < end; second += 1) {
    for (const one of make(second)) state = observe(state, one);
    [state, verdict] = judge(state, facts(second + 1));
    if (verdict.outcome === options.until) return { state, verdict, seconds: second + 1 };
  }
  if (!verdict) throw new Error('nothing watched');
  return { state, verdict, seconds: end };
};

const canaryAndBaseline =
  (canary: (second: number) => Partial<ArmSecond>, baseline?: Partial<ArmSecond>) =>
  (second: number): readonly Sample[] => [
    both(
      second,
      { requests: 450, errors: second % 2, buckets: spread(450), ...baseline },
      { requests: 50, buckets: spread(50), ...canary(second) },
    ),
  ];
const alike = canaryAndBaseline((second) => ({
  errors: second % 20 === 0 ? 1 : 0,
  buckets: spread(50, second % 2),
}));

describe('the verdict', () => {
  it('is fail when the canary errs more than the margin, and names the errors', () => {
    const { verdict, seconds } = watch(
      canaryAndBaseline(() => ({ errors: 2 })),
      { until: 'fail' },
    );
    expect(seconds).toBeLessThan(15);
    expect(verdict.evidence.culprits).toContain('errors');
    expect(verdict.evidence.rollback).toBeGreaterThanOrEqual(verdict.evidence.rollbackAt);
    expect(verdict.reason).toMatch(/^worse than allowed in errors/);
  });

  it('names the endpoint group that broke', () => {
    const { verdict } = watch(
      (second) => [
        sample(second, [
          series('v1.0', { requests: 400, rule: 'list', buckets: spread(400) }),
          series('v1.0', { requests: 50, rule: 'detail', buckets: spread(50) }),
          series('v1.1', { requests: 45, rule: 'list', buckets: spread(45) }),
          series('v1.1', { requests: 5, errors: 5, rule: 'detail', buckets: spread(5) }),
        ]),
      ],
      { until: 'fail', seconds: 30 },
    );
    expect(verdict.outcome).toBe('fail');
    expect(Object.keys(verdict.evidence.metrics)).toContain('errors:detail');
    expect(Object.keys(verdict.evidence.metrics)).not.toContain('errors:list');
  });

  it('is fail when the canary is slower, and names the percentile', () => {
    const { verdict, seconds } = watch(
      canaryAndBaseline(() => ({ buckets: spread(50, 2) })),
      { until: 'fail' },
    );
    expect(seconds).toBeLessThan(60);
    expect(verdict.evidence.culprits).toContain('latency-p99');
  });

  it('does not hold a cold start against the new version, but errors', () => {
    const warm = { ...plan, analysis: { ...plan.analysis, warmUpMs: 5000 } };
    const cold = (more: Partial<ArmSecond>) =>
      canaryAndBaseline((second) => ({
        buckets: second < 5 ? [60, 50] : spread(50, second % 2),
        ...more,
      }));
    expect(watch(cold({}), { seconds: 60 }).verdict.outcome).not.toBe('fail');
    expect(watch(cold({}), { seconds: 60, plan: warm }).verdict.outcome).not.toBe('fail');
    expect(watch(cold({ errors: 10 }), { until: 'fail', plan: warm }).seconds).toBeLessThan(5);
  });

  it('is fail for slowness that stays, and not before it has stayed', () => {
    const slow = canaryAndBaseline(() => ({ buckets: [60, 50] }));
    expect(watch(slow, { seconds: 9 }).verdict).toMatchObject({ outcome: 'inconclusive' });
    expect(watch(slow, { seconds: 9 }).verdict.evidence.rollback).toBeGreaterThan(10);
    const { seconds } = watch(slow, { until: 'fail' });
    expect(seconds).toBeGreaterThanOrEqual(10);
    expect(seconds).toBeLessThan(15);
  });

  it('does not look at latency where the plan says so', () => {
    const blind = { ...plan, analysis: { ...plan.analysis, latency: 'off' as const } };
    const { verdict } = watch(
      canaryAndBaseline(() => ({ buckets: [60, 50] })),
      { seconds: 40, plan: blind },
    );
    expect(verdict.outcome).not.toBe('fail');
    expect(
      Object.keys(verdict.evidence.metrics).filter((name) => name.startsWith('latency')),
    ).toEqual([]);
  });

  it('is pass when every metric is proven good and the soak is over', () => {
    const { verdict, seconds } = watch(alike, { until: 'pass' });
    expect(seconds).toBeGreaterThanOrEqual(30);
    expect(seconds).toBeLessThan(300);
    expect(verdict.progress).toBe(1);
    for (const metric of ['errors', 'latency-p90', 'latency-p99'])
      expect(verdict.evidence.metrics[metric]?.promote).toBeGreaterThanOrEqual(20);
  });

  it('says how many more requests are needed, and that many are', () => {
    const early = watch(alike, { seconds: 30 });
    expect(early.verdict.outcome).toBe('inconclusive');
    expect(early.verdict.reason).toMatch(
      /not enough evidence yet, about \d+ more canary requests needed/,
    );
    const needed = early.verdict.evidence.requestsNeeded ?? 0;
    const passed = watch(alike, { until: 'pass' });
    const took = passed.verdict.evidence.canary.requests - early.verdict.evidence.canary.requests;
    expect(needed).toBeGreaterThan(took / 3);
    expect(needed).toBeLessThan(took * 3);
  });

  it('is no failure while both versions fail alike', () => {
    const outage = (second: number) =>
      second >= 10 && second < 40 ? { errors: 30 } : { errors: 0 };
    const { verdict } = watch(
      (second) => [
        both(
          second,
          { requests: 450, errors: (outage(second).errors ?? 0) * 9, buckets: spread(450) },
          { requests: 50, ...outage(second), buckets: spread(50) },
        ),
      ],
      { seconds: 35 },
    );
    expect(verdict.outcome).toBe('inconclusive');
    expect(verdict.baselineUnhealthy).toBe(true);
    expect(verdict.reason).toMatch(/the baseline itself is failing/);
  });

  it('is no failure for a few errors more when nearly nothing fails', () => {
    const { verdict } = watch(
      canaryAndBaseline(
        (second) => ({ errors: second % 100 === 50 ? 1 : 0, buckets: spread(50, second % 2) }),
        { errors: 0 },
      ),
      { seconds: 200 },
    );
    expect(verdict.outcome).not.toBe('fail');
  });

  it('sees damage that begins late as soon as damage from the start', () => {
    const onset = 200;
    const late = watch(
      canaryAndBaseline((second) => ({ errors: second >= onset ? 2 : 0 })),
      { until: 'fail' },
    );
    const early = watch(
      canaryAndBaseline(() => ({ errors: 2 })),
      { until: 'fail' },
    );
    expect(late.verdict.outcome).toBe('fail');
    expect(late.seconds - onset).toBeLessThan(early.seconds * 2.5);
  });

  it('needs more evidence when errors come in clusters', () => {
    const clustered = learnt((second) => ({
      requests: 500,
      errors: second % 10 === 0 ? 25 : 0,
      buckets: spread(500),
    }));
    const bad = canaryAndBaseline(() => ({ errors: 2 }));
    const start = startAnalysis(plan, arms, 0, clustered);
    const patient = watch(bad, { until: 'fail', start });
    expect(patient.verdict.evidence.dispersion).toBeGreaterThan(5);
    expect(patient.seconds).toBeGreaterThan(2 * watch(bad, { until: 'fail' }).seconds);
  });

  it('gives up when even identical versions could not be told good in time', () => {
    const slow = { ...plan, deadlineMs: 120_000 };
    const { verdict, seconds } = watch(
      (second) => [
        both(
          second,
          { requests: 4, buckets: [30, 4] },
          { requests: second % 2, buckets: second % 2 ? [30, 1] : [] },
        ),
      ],
      { seconds: 119, plan: slow },
    );
    expect(verdict).toMatchObject({ outcome: 'inconclusive', futile: true });
    expect(verdict.reason).toMatch(/cannot be decided within the deadline/);
    expect(seconds).toBe(119);
  });

  it('gives up at the deadline, but not before there is traffic', () => {
    const state = observe(startAnalysis(plan, arms, 0, calm), alike(0)[0] as Sample);
    expect(judge(state, facts(601, { startedMs: 0 }))[1].futile).toBe(true);
    expect(judge(state, facts(601, { step: 0, startedMs: 601_000 }))[1].futile).toBe(false);
  });
});

describe('missing telemetry', () => {
  it('is an error, never a failure or a pass', () => {
    const silent = startAnalysis(plan, arms, 0, calm);
    expect(judge(silent, facts(100))[1]).toMatchObject({
      outcome: 'error',
      reason: 'no telemetry yet',
    });
    const { state } = watch(alike, { until: 'pass' });
    const [heard] = judge(state, facts(300));
    const [, stale] = judge(heard, facts(306));
    expect(stale.outcome).toBe('error');
    expect(stale.reason).toMatch(/^no telemetry for \d+ s/);
  });

  it('of the new version only proves nothing', () => {
    const { verdict } = watch(
      (second) => [both(second, { requests: 450, buckets: spread(450) }, { requests: 0 })],
      { seconds: 300 },
    );
    expect(verdict.outcome).toBe('inconclusive');
    expect(verdict.progress).toBe(0);
  });

  it('still leaves proof of damage in force', () => {
    const { state } = watch(
      canaryAndBaseline(() => ({ errors: 5 })),
      { until: 'fail' },
    );
    expect(judge(state, facts(1000))[1].outcome).toBe('fail');
  });

  it.each([300_000, -300_000, 4000, -4000, 1e12])(
    'is told by control’s clock: an agent may be off by %d ms',
    (skew) => {
      const off = (make: (second: number) => readonly Sample[]) => (second: number) =>
        make(second).map((one) => ({ ...one, startMs: second * 1000 + skew }));
      const good = watch(off(alike), { until: 'pass' });
      expect(good.verdict.outcome).toBe('pass');
      expect(good.verdict.requestRate).toBeGreaterThan(300);
      const bad = canaryAndBaseline((second) => ({ errors: second >= 100 ? 3 : 0 }));
      const late = watch(off(bad), { until: 'fail' });
      expect(late.seconds).toBeGreaterThan(100);
      expect(late.seconds).toBeLessThan(125);
    },
  );
});

const stream = (seed: number): readonly Sample[] => {
  const chance = createChance(seed);
  return Array.from({ length: 100 }, (_, second) => second).flatMap((second) =>
    ['a', 'b'].map((agent) => {
      const canary = chance.poisson(20);
      const baseline = chance.poisson(180);
      return both(
        second,
        {
          requests: baseline,
          errors: Math.min(baseline, chance.poisson(1)),
          buckets: spread(baseline),
        },
        {
          requests: canary,
          errors: Math.min(canary, chance.poisson(0.2)),
          buckets: spread(canary),
        },
        { agent },
      );
    }),
  );
};

const evidence = (samples: readonly Sample[]) => {
  let state = startAnalysis(plan, arms, 0, calm);
  // Control has been judging all along, so agents' clocks are believed up to now.
  [state] = judge(state, facts(100));
  for (const one of samples) state = observe(state, one);
  return judge(state, facts(101))[1].evidence;
};

const near = (left: unknown, right: unknown): void => {
  if (typeof left === 'number') expect(left).toBeCloseTo(right as number, 2);
  else if (typeof left === 'object' && left !== null) {
    expect(Object.keys(left)).toEqual(Object.keys(right as object));
    for (const [key, value] of Object.entries(left))
      near(value, (right as Record<string, unknown>)[key]);
  } else expect(left).toBe(right);
};

describe('samples', () => {
  it('lead to the same evidence in any order', () => {
    const samples = stream(1);
    const inOrder = evidence(samples);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 200, maxLength: 200 }),
        (delays) => {
          const delayed = samples
            .map((one, at) => ({ one, turn: at + (delays[at] ?? 0) }))
            .sort((a, b) => a.turn - b.turn)
            .map(({ one }) => one);
          near(evidence(delayed), inOrder);
        },
      ),
      { numRuns: 15, seed: 1 },
    );
  });

  it('count once however often they come', () => {
    const samples = stream(2);
    expect(evidence(samples.flatMap((one) => [one, one]))).toEqual(evidence(samples));
    let state = startAnalysis(plan, arms, 0, calm);
    for (const one of samples) state = observe(state, one);
    for (const one of samples) expect(observe(state, one)).toBe(state);
  });

  it('of other services, other versions and the receiving side do not count', () => {
    const state = startAnalysis(plan, arms, 0, calm);
    const one = both(1, { requests: 10 }, { requests: 10, errors: 10 });
    const foreign = one.series.map((part) => ({ ...part, service: 'bibby/other' }));
    expect(observe(state, { ...one, series: foreign })).toBe(state);
    expect(observe(state, { ...one, reporter: 'destination' })).toBe(state);
    expect(observe(state, { ...one, series: [series('v0.9', { requests: 10 })] })).toBe(state);
  });

  it('from before the rollout do not count', () => {
    const state = startAnalysis(plan, arms, 50_000, calm);
    expect(observe(state, both(10, { requests: 10 }, { requests: 10, errors: 10 }))).toBe(state);
  });

  it('make a state that survives being written and read at any moment', () => {
    let kept = startAnalysis(plan, arms, 0, calm);
    let stored = kept;
    for (const [at, one] of stream(3).entries()) {
      kept = observe(kept, one);
      stored = observe(readAnalysisState(JSON.parse(JSON.stringify(stored))) ?? kept, one);
      if (at % 20 === 0) {
        const [left, verdict] = judge(kept, facts(at / 2 + 1));
        const [right, same] = judge(stored, facts(at / 2 + 1));
        expect(same).toEqual(verdict);
        kept = left;
        stored = right;
      }
    }
    expect(JSON.parse(JSON.stringify(stored))).toEqual(JSON.parse(JSON.stringify(kept)));
    expect(JSON.stringify(stored).length).toBeLessThan(40_000);
  });

  it('are not needed to know that a foreign state cannot be read', () => {
    const state = startAnalysis(plan, arms, 0, calm);
    expect(readAnalysisState({ ...state, v: 2 })).toBeUndefined();
    expect(readAnalysisState({ ...state, tests: null })).toBeUndefined();
    expect(readAnalysisState('x')).toBeUndefined();
  });
});

describe('a service with very many endpoint groups', () => {
  const wide = (second: number): readonly Sample[] => {
    const groups = Array.from({ length: 60 }, (_, at) => `group-${at}`);
    return [
      sample(
        second,
        groups.flatMap((rule, at) => [
          series('v1.0', {
            requests: 9,
            rule,
            buckets: at === 0 ? [30, 4, 40, 4, 50, 1] : [30, 9],
          }),
          series('v1.1', {
            requests: 1,
            rule,
            buckets: at === 0 ? [second % 9 === 0 ? 50 : second % 2 ? 40 : 30, 1] : [30, 1],
          }),
        ]),
      ),
    ];
  };

  it('is judged by its totals and can be promoted', () => {
    const { state, verdict } = watch(wide, { until: 'pass', start: startAnalysis(plan, arms, 0) });
    expect(verdict.outcome).toBe('pass');
    const groups = Object.keys(state.tests).filter((metric) => metric.startsWith('errors:'));
    expect(groups.length).toBeGreaterThan(0);
    expect(groups.length).toBeLessThanOrEqual(32);
  });
});

describe('many agents with little traffic each', () => {
  /** Fifty callers of one request per second, a tenth of which goes to the canary. */
  const trickle =
    (canaryErrors: number, seed: number) =>
    (second: number): readonly Sample[] => {
      const chance = createChance(seed * 1000 + second);
      return Array.from({ length: 50 }, (_, agent) => {
        const isCanary = chance.uniform() < 0.1;
        const failed = chance.uniform() < (isCanary ? canaryErrors : 0.005) ? 1 : 0;
        const arm = { requests: 1, errors: failed, buckets: [30, 1] };
        const one = series(isCanary ? 'v1.1' : 'v1.0', arm);
        return sample(second, [one], { agent: `caller-${agent}` });
      });
    };

  it('find a bad version together', () => {
    const { verdict, seconds } = watch(trickle(0.05, 1), { until: 'fail' });
    expect(verdict.outcome).toBe('fail');
    expect(seconds).toBeLessThan(120);
  });

  it('lose no request on the way', () => {
    const { state } = watch(trickle(0.005, 2), { seconds: 100 });
    const [later] = judge(state, facts(200));
    const { tests, pools, arms: sums } = later;
    expect(pools).toEqual({});
    expect(tests['errors']?.all.requests).toBe(sums.canary.requests);
  });

  it('do not mix windows of two splits', () => {
    const few = both(0, { requests: 9 }, { requests: 3 });
    const state = observe(startAnalysis(plan, arms, 0, calm), few);
    expect(Object.keys(state.pools)).toContain('errors');
    const [same] = judge(judge(state, facts(1, { weight: 10 }))[0], facts(2, { weight: 10 }));
    const [changed] = judge(same, facts(3, { weight: 20 }));
    expect(changed.pools).toEqual({});
    expect(changed.tests['errors']?.all.requests).toBe(3);
  });
});

describe('without knowledge from before', () => {
  it('of this version, what is known of another does not count', () => {
    const other = startAnalysis(plan, { baseline: 'v0.9', canary: 'v1.1' }, 0, calm);
    expect(other.edges).toBeUndefined();
    expect(startAnalysis(plan, arms, 0, calm).edges).toBeDefined();
  });

  it('the first requests of the baseline become the thresholds', () => {
    let state = startAnalysis(plan, arms, 0);
    state = observe(state, both(0, { requests: 150, buckets: spread(150) }, { requests: 0 }));
    expect(judge(state, facts(1))[1].learning).toBe(true);
    state = observe(state, both(1, { requests: 150, buckets: spread(150) }, { requests: 0 }));
    expect(judge(state, facts(2))[1].learning).toBe(false);
  });

  it('a good version is promoted all the same', () => {
    const start = startAnalysis(plan, arms, 0);
    expect(watch(alike, { until: 'pass', start }).verdict.outcome).toBe('pass');
  });

  it('a service whose answers all take equally long is promoted', () => {
    const flat = (requests: number) => ({ requests, buckets: [24, requests] });
    const start = startAnalysis(plan, arms, 0);
    const { verdict } = watch((second) => [both(second, flat(450), flat(50))], {
      until: 'pass',
      start,
    });
    expect(verdict.outcome).toBe('pass');
  });
});
