import { describe, expect, it } from 'vitest';
import { type AnalysisState, observe, startAnalysis } from '#engine/analysis/analysis.ts';
import {
  judgeWatch,
  observeWatch,
  readWatchState,
  startWatch,
  type WatchState,
} from '#engine/analysis/watch.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import { plan as ofMachine } from '#test/engine/machines/rollout-fixtures.ts';
import { type Chance, createChance } from '#test/sim/random.ts';
import { both, sample, series, service } from './samples.ts';

const plan = { ...ofMachine, service };
const arms = { baseline: 'v1.0', canary: 'v1.1' };
const SECOND = 1000;
const requests = 200;

/** 89 % in one bucket, 10 % and 1 % in slower ones; `by` buckets later altogether. */
const latency = (by = 0): readonly number[] => [30 + by, 178, 40 + by, 20, 50 + by, 2];

/** A minute of trial: both versions with this share of errors. */
const trial = (
  rate: number,
  chance: Chance,
  errors = (count: number) => chance.binomial(count, rate),
): AnalysisState => {
  let state = startAnalysis(plan, arms, 0);
  for (let second = 0; second < 60; second += 1) {
    const arm = () => ({
      requests,
      errors: errors(requests),
      buckets: latency(),
    });
    state = observe(state, both(second, arm(), arm()));
  }
  return state;
};

/** One second of the promoted version. */
const after = (second: number, errors: number, by = 0): Sample =>
  sample(100 + second, [series('v1.1', { requests, errors, buckets: latency(by) })]);

const start = (state: AnalysisState): WatchState => {
  const watch = startWatch(state, 100 * SECOND);
  if (!watch) throw new Error('nothing was recorded');
  return watch;
};

/** Seconds until the regression is proven; undefined if it is not in five minutes. */
const alarm = (watch: WatchState, second: (at: number) => Sample): number | undefined => {
  let state = watch;
  for (let at = 0; at < 300; at += 1) {
    state = observeWatch(state, second(at));
    const [next, why] = judgeWatch(state, (101 + at) * SECOND);
    if (why !== undefined) return at;
    state = next;
  }
  return undefined;
};

describe('the watch after a promotion', () => {
  it.each([0, 0.002, 0.02])('lets a version be that fails as before (%d)', (rate) => {
    let alarms = 0;
    for (let seed = 0; seed < 30; seed += 1) {
      const chance = createChance(seed);
      const watch = start(trial(rate, chance));
      if (alarm(watch, (at) => after(at, chance.binomial(requests, rate))) !== undefined)
        alarms += 1;
    }
    expect(alarms).toBeLessThanOrEqual(1);
  });

  it('lets a version be whose errors come in clusters, as before', () => {
    let alarms = 0;
    for (let seed = 0; seed < 30; seed += 1) {
      const chance = createChance(seed);
      const errors = (): number => {
        let count = 0;
        for (let cluster = chance.poisson(0.2); cluster > 0; cluster -= 1)
          count += chance.geometric(5);
        return Math.min(requests, count);
      };
      const watch = start(trial(0, chance, errors));
      if (alarm(watch, (at) => after(at, errors())) !== undefined) alarms += 1;
    }
    expect(alarms).toBeLessThanOrEqual(1);
  });

  it.each([
    [0.001, 0.05, 6],
    [0.001, 0.01, 60],
    [0.02, 0.2, 6],
  ])('notices errors that rise from %d to %d within %d s', (before, now, limit) => {
    const chance = createChance(7);
    const watch = start(trial(before, chance));
    const seconds = alarm(watch, (at) => after(at, chance.binomial(requests, now)));
    expect(seconds).toBeLessThan(limit);
  });

  it('notices a leak that shows after minutes, and says what it is', () => {
    const chance = createChance(8);
    let state = start(trial(0.001, chance));
    for (let at = 0; at < 240; at += 1)
      state = observeWatch(state, after(at, chance.binomial(requests, at < 200 ? 0.001 : 0.03)));
    const [, why] = judgeWatch(state, 341 * SECOND);
    expect(why).toMatch(/^errors: \d+ of 48000 requests .* at most 0\.\d+ % was expected/);
  });

  it('notices answers that take more than four times as long, not those that take twice as long', () => {
    const watch = start(trial(0, createChance(9)));
    expect(alarm(watch, (at) => after(at, 0, 8))).toBeUndefined();
    expect(alarm(watch, (at) => after(at, 0, 28))).toBeLessThan(10);
  });

  it('counts a sample once, and none from before or of somebody else', () => {
    const watch = start(trial(0, createChance(1)));
    const once = observeWatch(watch, after(1, 5));
    expect(observeWatch(once, after(1, 5))).toBe(once);
    const late = sample(50, [series('v1.1', { requests, errors: 200 })]);
    const other = sample(101, [series('v1.0', { requests, errors: 200 })]);
    for (const foreign of [late, other]) expect(observeWatch(watch, foreign)).toBe(watch);
  });

  it('holds nobody against a record of a few requests', () => {
    const few = observe(startAnalysis(plan, arms, 0), both(1, { requests: 20 }, { requests: 20 }));
    expect(startWatch(few, 2000)).toBeUndefined();
  });

  it('goes on as if it had never been written and read', () => {
    const watch = start(trial(0.001, createChance(2)));
    const state = observeWatch(watch, after(1, 5));
    const read = readWatchState(JSON.parse(JSON.stringify(state)));
    expect(read).toEqual(JSON.parse(JSON.stringify(state)));
    expect(readWatchState({ ...state, v: 2 })).toBeUndefined();
    expect(readWatchState(undefined)).toBeUndefined();
  });
});
