import { describe, expect, it } from 'vitest';
import {
  advanceRollout,
  idleRollout,
  type RolloutEffect,
  type RolloutEvent,
  type RolloutState,
} from '#engine/machines/rollout.ts';
import { judgedSteps, judgeFacts } from '#engine/machines/rollout-state.ts';
import type { DecisionBody } from '#engine/model/decision.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import { plan, told } from './rollout-fixtures.ts';

type SplitBody = Extract<DecisionBody, { type: 'split' }>;

const who = { by: 'alice', why: 'to see' };
const pass = { outcome: 'pass', progress: 1 } as const;
const begun: readonly RolloutEvent[] = [
  { type: 'newRevision', canary: 'v1.1', nowMs: 0 },
  { type: 'weightAcked', weight: 0, nowMs: 500 },
  told(1000),
];

const play = (of: RolloutPlan, events: readonly RolloutEvent[]) => {
  let state: RolloutState = idleRollout(of);
  let effects: readonly RolloutEffect[] = [];
  let decided: SplitBody | undefined;
  for (const event of events) {
    ({ state, effects } = advanceRollout(state, of, event));
    decided = effects.findLast((effect) => effect.type === 'split')?.body ?? decided;
  }
  return { ...state, effects, decided, says: effects.map(({ type }) => type) };
};

describe('a cohort', () => {
  const ab: RolloutPlan = { ...plan, strategy: 'ab', steps: [0] };

  it('meets the new version without any weight', () => {
    const { decided, context } = play(ab, begun);
    expect(context).toMatchObject({ step: 1, weight: 0, exposure: 'cohort' });
    expect(decided).toMatchObject({ cohort: 'v1.1', weights: { 'v1.0': 10_000, 'v1.1': 0 } });
  });

  it.each([
    ['a rollback', told(2000, { outcome: 'fail' })],
    ['an abort', { type: 'abort', nowMs: 2000, ...who } as const],
    ['a promotion', { type: 'promote', nowMs: 2000, ...who } as const],
  ])('is one no longer after %s', (_, event) => {
    expect(play(ab, [...begun, event]).decided?.cohort).toBeUndefined();
  });

  it('keeps it in a pause, and while nothing can be measured', () => {
    const paused = [...begun, { type: 'pause', nowMs: 2000, ...who } as const];
    expect(play(ab, paused).context.exposure).toBe('cohort');
    const unmeasured = [...begun, told(2000, { outcome: 'error' }), told(3000)];
    expect(play(ab, unmeasured).context).toMatchObject({ exposure: 'cohort', step: 1 });
  });

  it('is judged as if it were half of the traffic, so that it does not look hopeless', () => {
    const state = play(ab, begun);
    expect(judgedSteps(ab)).toEqual([50]);
    expect(judgeFacts(state, 5000).weight).toBe(50);
  });

  it('promotes by evidence only', () => {
    const late = 20_000;
    expect(play(ab, [...begun, told(late, { progress: 1 })]).phase).toBe('progressing');
    expect(play(ab, [...begun, told(late, pass)]).phase).toBe('promoting');
  });
});

describe('a mirror', () => {
  const mirrored: RolloutPlan = {
    ...plan,
    strategy: 'mirror',
    steps: [0, 10, 50],
    mirror: { percent: 30, durationMs: 20_000, minRequests: 100 },
  };
  const seen = (requests: number) => {
    const event = told(21_000);
    if (event.type !== 'verdict') throw new Error('not a verdict');
    const { evidence } = event.verdict;
    return told(21_000, { evidence: { ...evidence, canary: { ...evidence.canary, requests } } });
  };

  it('gets copies first', () => {
    const { decided, context } = play(mirrored, begun);
    expect(decided).toMatchObject({
      mirror: { version: 'v1.1', percent: 30 },
      weights: { 'v1.1': 0 },
    });
    expect(context).toMatchObject({ step: 1, exposure: 'mirror' });
    expect(judgedSteps(mirrored)).toEqual([10, 50]);
  });

  it('is over after its time and its requests, and evidence begins anew', () => {
    expect(play(mirrored, [...begun, told(20_999)]).context.step).toBe(1);
    expect(play(mirrored, [...begun, seen(99)]).context.step).toBe(1);
    const { decided, context, says } = play(mirrored, [...begun, seen(100)]);
    expect(context).toMatchObject({ step: 2, weight: 10, trafficMs: 21_000 });
    expect(context.exposure).toBeUndefined();
    expect(decided?.mirror).toBeUndefined();
    expect(says).toContain('startAnalysis');
  });

  it('can be skipped, with the same', () => {
    const { context, says } = play(mirrored, [...begun, { type: 'skip', nowMs: 2000, ...who }]);
    expect(context).toMatchObject({ step: 2, weight: 10 });
    expect(says).toContain('startAnalysis');
    const next = [
      { type: 'skip', nowMs: 2000, ...who },
      { type: 'skip', nowMs: 3000, ...who },
    ] as const;
    expect(play(mirrored, [...begun, ...next]).says).not.toContain('startAnalysis');
  });

  it('needs as much evidence for its steps as any canary', () => {
    const stepped = [...begun, seen(100)];
    expect(play(mirrored, [...stepped, told(40_000, { progress: 0.49 })]).context.step).toBe(2);
    expect(play(mirrored, [...stepped, told(40_000, { progress: 0.5 })]).context.step).toBe(3);
  });

  it('rolls back what is bad', () => {
    const { phase, decided } = play(mirrored, [...begun, told(2000, { outcome: 'fail' })]);
    expect([phase, decided?.mirror]).toEqual(['rollingBack', undefined]);
  });
});

describe('blue and green', () => {
  const blueGreen: RolloutPlan = { ...plan, strategy: 'blueGreen', steps: [0] };

  it('switches at once after its soak, whatever the evidence has not shown', () => {
    expect(play(blueGreen, [...begun, told(60_999)]).phase).toBe('progressing');
    const { phase, decided } = play(blueGreen, [...begun, told(61_000)]);
    expect(phase).toBe('promoting');
    expect(decided?.weights).toEqual({ 'v1.0': 0, 'v1.1': 10_000, 'v1.2': 0 });
  });

  it('does not switch to what is proven worse, or cannot be measured', () => {
    expect(play(blueGreen, [...begun, told(61_000, { outcome: 'fail' })]).phase).toBe(
      'rollingBack',
    );
    expect(play(blueGreen, [...begun, told(61_000, { outcome: 'error' })]).phase).toBe('holding');
  });

  it('asks a person when a gate is closed for longer than the deadline', () => {
    const gated: RolloutPlan = { ...blueGreen, approvals: ['promotion'] };
    expect(play(gated, [...begun, told(61_000, { futile: true })]).phase).toBe('progressing');
    expect(play(gated, [...begun, told(601_000)]).phase).toBe('inconclusive');
  });
});
