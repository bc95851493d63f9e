import { describe, expect, it } from 'vitest';
import {
  type BaselineState,
  learnBaseline,
  readBaselineState,
  summarise,
} from '#engine/analysis/baseline.ts';
import { assumedDispersion, mostDispersion } from '#engine/analysis/dispersion.ts';
import { upperEdge } from '#engine/analysis/histogram.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import { createChance } from '#test/sim/random.ts';
import { type ArmSecond, sample, series, service } from './samples.ts';

const of = { service, version: 'v1.0' };
const start = 6000;

const learnt = (seconds: number, arm: (second: number) => ArmSecond): BaselineState | undefined => {
  let state: BaselineState | undefined;
  for (let second = 0; second < seconds; second += 1)
    state = learnBaseline(state, sample(start + second, [series('v1.0', arm(second))]), of);
  return state;
};

describe('before a rollout', () => {
  it('error rate, request rate, endpoint groups and thresholds are learnt', () => {
    const state = learnt(100, (second) => ({
      requests: 100,
      errors: second % 10 === 0 ? 1 : 0,
      buckets: [30, 89, 40, 10, 50, 1],
      rule: second % 2 ? 'list' : 'detail',
    }));
    const known = summarise(state);
    expect(known.usualErrorRate).toBeCloseTo(0.001, 10);
    expect(known.usualRequestRate).toBeCloseTo(100, 0);
    expect(known.knownRules).toEqual(['detail', 'list']);
    expect(upperEdge(known.edges?.['latency-p99'] ?? 0)).toBeGreaterThan(upperEdge(39));
    expect(upperEdge(known.edges?.['latency-p99'] ?? 0)).toBeLessThan(upperEdge(50));
  });

  it('too few requests give no thresholds and the assumed dispersion', () => {
    const known = summarise(learnt(3, () => ({ requests: 50, errors: 1 })));
    expect(known.edges).toBeUndefined();
    expect(known.usualErrorRate).toBeUndefined();
    expect(known.dispersion.errors).toBe(assumedDispersion);
    expect(summarise(undefined).dispersion.errors).toBe(assumedDispersion);
  });

  it('independent errors have no dispersion, clustered ones have it, drift and load do not', () => {
    const chance = createChance(7);
    const clusters = (size: number, load: (second: number) => number, rate: number) =>
      summarise(
        learnt(600, (second) => {
          let errors = 0;
          for (let left = chance.poisson((rate * load(second)) / size); left > 0; left -= 1)
            errors += size;
          return { requests: Math.round(load(second)), errors: Math.min(errors, load(second)) };
        }),
      ).dispersion.errors;
    expect(clusters(1, () => 500, 0.005)).toBeLessThan(1.3);
    expect(clusters(5, () => 500, 0.005)).toBeGreaterThan(3.5);
    expect(clusters(1, (second) => (second % 20 < 3 ? 2000 : 200), 0.02)).toBeLessThan(1.5);
    expect(clusters(1, (second) => 500 + second, 0.01)).toBeLessThan(1.5);
  });

  it.each<readonly [string, (second: number) => number]>([
    ['an outage of a minute', (second) => (second >= 200 && second < 260 ? 0.3 : 0.002)],
    ['an outage that is going on', (second) => (second >= 570 ? 0.3 : 0.002)],
    ['two short outages', (second) => (second % 300 > 280 ? 1 : 0.002)],
    ['errors at the start', (second) => (second < 5 ? 1 : 0.002)],
  ])('%s does not look like clusters', (_, share) => {
    const chance = createChance(17);
    for (const load of [50, 500]) {
      const state = learnt(600, (second) => ({
        requests: load,
        errors: Math.min(load, chance.poisson(load * share(second))),
      }));
      expect(summarise(state).dispersion.errors).toBeLessThan(2.5);
    }
  });

  it('what comes again and again is no outage, and no clusters are believed to be huge', () => {
    const bursts = (errors: number) =>
      summarise(learnt(600, (second) => ({ requests: 500, errors: second % 40 < 5 ? errors : 0 })))
        .dispersion.errors;
    expect(bursts(5)).toBeGreaterThan(3);
    expect(bursts(400)).toBe(mostDispersion);
  });

  it('lost samples do not look like clusters', () => {
    const chance = createChance(8);
    let state: BaselineState | undefined;
    for (let second = 0; second < 600; second += 1)
      for (const agent of ['a', 'b', 'c']) {
        const one = series('v1.0', { requests: 500, errors: chance.poisson(25) });
        if (chance.uniform() < 0.9)
          state = learnBaseline(state, sample(start + second, [one], { agent }), of);
      }
    expect(summarise(state).dispersion.errors).toBeLessThan(1.3);
  });

  it('what is old is forgotten', () => {
    const state = learnt(1900, (second) => ({ requests: 100, errors: second < 300 ? 50 : 0 }));
    expect(summarise(state).usualErrorRate).toBe(0);
  });

  it('an agent with a wild clock does not stop the learning', () => {
    let state: BaselineState | undefined;
    for (let second = 0; second < 60; second += 1)
      for (const [agent, skew] of [
        ['edge-1', 0],
        ['edge-2', 1e10],
        ['edge-3', -5e6],
      ] as const) {
        const startMs = (start + second) * 1000;
        const one = sample(start + second, [series('v1.0', { requests: 100, errors: 1 })], {
          agent,
          startMs: startMs + skew,
        });
        state = learnBaseline(state, one, { ...of, nowMs: startMs + 1000 });
      }
    expect(summarise(state).usualRequestRate).toBeCloseTo(300, -2);
    expect(summarise(state).dispersion.errors).toBeLessThan(1.5);
  });

  it('agents that are gone are forgotten', () => {
    let state: BaselineState | undefined;
    for (let second = 0; second < 3000; second += 30)
      state = learnBaseline(
        state,
        sample(start + second, [series('v1.0', { requests: 10 })], { agent: `edge-${second}` }),
        of,
      );
    expect(Object.keys(state?.watermarks ?? {}).length).toBeLessThanOrEqual(20);
  });

  it('other versions, other services, the receiving side and doubles do not count', () => {
    const arm = { requests: 100, errors: 10 };
    const good = sample(start, [series('v1.0', arm)]);
    const state = learnBaseline(undefined, good, of);
    const others: readonly Sample[] = [
      good,
      sample(start + 1, [series('v1.1', arm)]),
      sample(start + 2, [{ ...series('v1.0', arm), service: 'bibby/library-service' }]),
      sample(start + 3, [series('v1.0', arm)], { reporter: 'destination' }),
    ];
    for (const other of others) expect(learnBaseline(state, other, of)).toBe(state);
  });

  it('another version to learn about begins anew', () => {
    const state = learnt(5, () => ({ requests: 100 }));
    const next = learnBaseline(state, sample(start + 9, [series('v1.1', { requests: 7 })]), {
      service,
      version: 'v1.1',
    });
    expect(next.current.requests).toBe(7);
  });

  it('what was learnt survives being written and read', () => {
    const state = learnt(50, () => ({ requests: 100, errors: 1 }));
    const read = readBaselineState(JSON.parse(JSON.stringify(state)));
    expect(summarise(read)).toEqual(summarise(state));
    const next = sample(start + 60, [series('v1.0', { requests: 100 })]);
    expect(JSON.stringify(learnBaseline(read, next, of))).toBe(
      JSON.stringify(learnBaseline(state, next, of)),
    );
    expect(readBaselineState({ v: 2 })).toBeUndefined();
    expect(readBaselineState(null)).toBeUndefined();
  });
});
