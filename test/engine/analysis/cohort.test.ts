import { describe, expect, it } from 'vitest';
import {
  judgeCohort,
  observeCohort,
  readCohortState,
  startCohort,
} from '#engine/analysis/cohort.ts';
import { noteUsual, usualRatios } from '#engine/analysis/usual.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import { type Behaviour, runCohort } from './cohort-runs.ts';
import { sample, series } from './samples.ts';

const usually: Behaviour = { rate: 100, refused: 0.03, failed: 0.001, medianMs: 20 };
const seeds = [1, 2, 3, 4, 5];
const outcomes = (behaviour: (at: number, isOnTrial: boolean) => Behaviour, leadSeconds = 0) =>
  seeds.map((seed) => {
    const run = { seed, agents: 4, cohort: 1, seconds: 240, behaviour, leadSeconds };
    return runCohort(run).verdict;
  });

describe('a cohort', () => {
  it('passes when it answers like the rest', () => {
    for (const { outcome } of outcomes(() => usually)) expect(outcome).toBe('pass');
  });

  it.each([
    ['4xx', { refused: 0.09 }],
    ['5xx', { failed: 0.02 }],
    ['latency', { medianMs: 32 }],
  ])('fails for its %s, by name', (culprit, worse) => {
    const found = outcomes((_at, isOnTrial) => ({ ...usually, ...(isOnTrial && worse) }));
    for (const { outcome, culprits, reason } of found) {
      expect(outcome).toBe('fail');
      expect(culprits.join()).toContain(`edge.public ${culprit}`);
      expect(reason).toMatch(/worse in edge\.public .*cohort \d+ requests.*rest \d+ requests/);
    }
  });

  it('passes with callers and a machine that were like that before', () => {
    const odd = { ...usually, refused: 0.12, medianMs: 26 };
    const found = outcomes((at) => (at === 0 ? odd : usually), 60);
    for (const { outcome } of found) expect(outcome).toBe('pass');
    const unknown = outcomes((at) => (at === 0 ? odd : usually));
    for (const { outcome } of unknown) expect(outcome).toBe('fail');
  });

  it('that was like that before still fails for what is new', () => {
    const found = outcomes(
      (at, isOnTrial) => ({ ...usually, refused: at === 0 ? (isOnTrial ? 0.3 : 0.12) : 0.03 }),
      60,
    );
    for (const { outcome } of found) expect(outcome).toBe('fail');
  });
});

const plan = {
  id: 'r2',
  revision: 2,
  cohorts: { 'edge.public': ['edge-1'] },
  shares: { 'edge.public': 50 },
};
const answers = (second: number, agent: string, revision: number, requests = 100): Sample =>
  sample(second, [series('v1.0', { requests })], { agent, revision });

describe('the samples of a cohort', () => {
  const totals = (samples: readonly Sample[]) => {
    const state = samples.reduce(observeCohort, startCohort(plan, 0));
    const [, { scopes }] = judgeCohort(state, 2000);
    return [scopes[0]?.cohort.requests, scopes[0]?.rest.requests];
  };

  it('count once each, however they come', () => {
    const all = [answers(0, 'edge-1', 2), answers(0, 'edge-2', 1), answers(1, 'edge-2', 1)];
    expect(totals(all)).toEqual([100, 200]);
    expect(totals([...all.toReversed(), ...all])).toEqual([100, 200]);
  });

  it('count only where the agent is at the revision it should be at', () => {
    expect(totals([answers(0, 'edge-1', 1), answers(0, 'edge-2', 2)])).toEqual([0, 0]);
  });

  it('of another scope do not count', () => {
    const foreign = { ...answers(0, 'edge-2', 1), scope: 'edge.other' as const };
    expect(totals([foreign])).toEqual([0, 0]);
  });

  it('that are missing hold', () => {
    const [, silent] = judgeCohort(startCohort(plan, 0), 60_000);
    expect(silent).toMatchObject({ outcome: 'error', reason: 'no requests yet' });
    const once = observeCohort(startCohort(plan, 0), answers(0, 'edge-2', 1));
    const [counted] = judgeCohort(once, 2000);
    expect(judgeCohort(counted, 60_000)[1].outcome).toBe('error');
  });
});

it('evidence is read back from JSON, and nothing else is taken for it', () => {
  const [state] = judgeCohort(observeCohort(startCohort(plan, 0), answers(0, 'edge-1', 2)), 2000);
  expect(readCohortState(JSON.parse(JSON.stringify(state)))).toEqual(state);
  for (const other of [undefined, null, 1, {}, { ...state, v: 2 }, { ...state, scopes: { a: {} } }])
    expect(readCohortState(other)).toBeUndefined();
});

describe('what was usual', () => {
  const bad = (requests: number, errors: number): Pick<Sample, 'series'> => ({
    series: [series('v1.0', { requests, errors })],
  });

  it('is forgotten after ten minutes', () => {
    const old = noteUsual(undefined, bad(1000, 100), 0);
    const ratioAt = (nowMs: number) => {
      const mine = noteUsual(old, bad(1000, 10), nowMs);
      const theirs = noteUsual(undefined, bad(1000, 10), nowMs);
      const usual = new Map([
        ['edge-1', mine],
        ['edge-2', theirs],
      ]);
      return usualRatios(usual, ['edge-1'], ['edge-2']).failed;
    };
    expect(ratioAt(1000)).toBe(5.5);
    expect(ratioAt(301_000)).toBe(5.5);
    expect(ratioAt(900_000)).toBe(1);
  });

  it('says nothing on little, and never that the cohort was better', () => {
    const ratio = (mine: number, theirs: number) =>
      usualRatios(
        new Map([
          ['edge-1', noteUsual(undefined, bad(1000, mine), 0)],
          ['edge-2', noteUsual(undefined, bad(1000, theirs), 0)],
        ]),
        ['edge-1'],
        ['edge-2'],
      ).failed;
    expect([ratio(15, 1), ratio(10, 100), ratio(60, 20), ratio(1000, 0)]).toEqual([1, 1, 3, 20]);
    expect(usualRatios(new Map(), ['edge-1'], ['edge-2'])).toEqual({
      refused: 1,
      failed: 1,
      slow: 1,
    });
  });
});
