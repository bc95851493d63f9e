import { describe, expect, it } from 'vitest';
import {
  advanceRollout,
  type RolloutEffect,
  type RolloutEvent,
  type RolloutState,
} from '#engine/machines/rollout.ts';
import { rolloutPhases } from '#engine/machines/rollout-types.ts';
import { inPhase, plan, run, told } from './rollout-fixtures.ts';

const who = { by: 'alice', why: 'to see' };
const late = 20_000;

const weights = (effects: readonly RolloutEffect[]) =>
  effects.flatMap((effect) => (effect.type === 'split' ? [effect.body.weights] : []));
const announced = (effects: readonly RolloutEffect[]) =>
  effects.flatMap((effect) => (effect.type === 'event' ? [effect.event] : []));
const advance = (state: RolloutState, event: RolloutEvent) => advanceRollout(state, plan, event);

describe('a rollout', () => {
  it('starts at weight 0 with fresh evidence', () => {
    const { effects } = advance(inPhase('idle'), {
      type: 'newRevision',
      canary: 'v1.1',
      nowMs: 0,
    });
    expect(effects).toEqual([
      {
        type: 'split',
        body: {
          type: 'split',
          target: 'bibby/catalog-service',
          weights: { 'v1.0': 10_000, 'v1.1': 0, 'v1.2': 0 },
        },
        reason: 'version v1.1 is new',
      },
      { type: 'startAnalysis', baseline: 'v1.0', canary: 'v1.1' },
      expect.objectContaining({ type: 'event', event: 'rollout.started' }),
    ]);
  });

  it('waits for agents and known latencies, but not for ever', () => {
    const fresh = run([{ type: 'newRevision', canary: 'v1.1', nowMs: 0 }]);
    expect(run([told(9000)], fresh).phase).toBe('initializing');
    expect(run([told(10_000)], fresh).phase).toBe('progressing');
    expect(run([told(29_000, { learning: true })], fresh).phase).toBe('initializing');
    expect(run([told(30_000, { learning: true })], fresh).phase).toBe('progressing');
  });

  it('takes a step when time and evidence permit it', () => {
    const first = inPhase('progressing');
    expect(advance(first, told(11_999, { progress: 1 })).state.context.step).toBe(1);
    expect(advance(first, told(12_000, { progress: 0.33 })).state.context.step).toBe(1);
    const { state, effects } = advance(first, told(12_000, { progress: 0.34 }));
    expect(state.context).toMatchObject({ step: 2, weight: 30, acked: false });
    expect(weights(effects)).toEqual([{ 'v1.0': 7000, 'v1.1': 3000, 'v1.2': 0 }]);
    expect(announced(effects)).toEqual(['rollout.stepped']);
  });

  it('says why it took a step, apart from what promotion still needs', () => {
    const { state } = advance(inPhase('progressing'), told(12_000, { progress: 0.34 }));
    expect(state.context.reason).toBe(
      'the evidence allows the next step; for promotion: because of the numbers',
    );
  });

  it('takes one step at a time, however strong the evidence', () => {
    const second = run([told(12_000, { progress: 1, outcome: 'pass' })], inPhase('progressing'));
    expect(second.context.step).toBe(2);
    expect(run([told(13_000, { progress: 1, outcome: 'pass' })], second).context.step).toBe(2);
  });

  it('promotes after the last step only', () => {
    const pass = { progress: 1, outcome: 'pass' } as const;
    const last = run([told(12_000, pass), told(22_000, pass)], inPhase('progressing'));
    expect(last.context).toMatchObject({ step: 3, weight: 50 });
    expect(run([told(31_999, pass)], last).phase).toBe('progressing');
    expect(run([told(32_000, { progress: 1 })], last).phase).toBe('progressing');
    const { state, effects } = advance(last, told(32_000, pass));
    expect(state.phase).toBe('promoting');
    expect(weights(effects)).toEqual([{ 'v1.0': 0, 'v1.1': 10_000, 'v1.2': 0 }]);
  });

  it('says with the decision to promote who made it, or on what evidence', () => {
    const byHand = advance(inPhase('progressing'), { type: 'promote', nowMs: 3000, ...who });
    expect(byHand.effects).toContainEqual(
      expect.objectContaining({
        event: 'rollout.promoting',
        data: expect.objectContaining({ ...who, weight: 100, evidence: expect.anything() }),
      }),
    );
  });

  it('announces the promotion once the agents enforce it', () => {
    const { effects } = advance(inPhase('promoting'), {
      type: 'weightAcked',
      weight: 100,
      nowMs: 4000,
    });
    expect(announced(effects)).toEqual(['rollout.promoted']);
  });

  it('gives the bad version nothing more, at once', () => {
    const { state, effects } = advance(
      inPhase('progressing'),
      told(3000, { outcome: 'fail', reason: 'errors: 5 of 10' }, 200),
    );
    expect(weights(effects)).toEqual([{ 'v1.0': 10_000, 'v1.1': 0, 'v1.2': 0 }]);
    expect(announced(effects)).toEqual(['rollout.rolledBack']);
    expect(state.context.reason).toBe('errors: 5 of 10');
  });

  it('does not try the version that failed again by itself', () => {
    const failed = inPhase('failed');
    const again = { type: 'newRevision', canary: 'v1.1', nowMs: late } as const;
    expect(advance(failed, again).state.phase).toBe('failed');
    const asked = advance(failed, { ...again, ...who });
    expect(asked.state.phase).toBe('initializing');
    expect(asked.state.context.reason).toBe('start v1.1 by alice: to see');
  });

  it('begins anew when another version comes in the middle', () => {
    const { state, effects } = advance(inPhase('progressing'), {
      type: 'newRevision',
      canary: 'v1.2',
      nowMs: late,
    });
    expect(state.context).toMatchObject({ canary: 'v1.2', baseline: 'v1.0', step: 0, weight: 0 });
    expect(state.context.verdict).toBeUndefined();
    expect(weights(effects)).toEqual([{ 'v1.0': 10_000, 'v1.1': 0, 'v1.2': 0 }]);
    expect(effects).toContainEqual({ type: 'startAnalysis', baseline: 'v1.0', canary: 'v1.2' });
  });

  it('compares the version after a promotion with the promoted one', () => {
    const { state, effects } = advance(inPhase('succeeded'), {
      type: 'newRevision',
      canary: 'v1.2',
      nowMs: late,
    });
    expect(state.context).toMatchObject({ canary: 'v1.2', baseline: 'v1.1' });
    expect(weights(effects)).toEqual([{ 'v1.0': 0, 'v1.1': 10_000, 'v1.2': 0 }]);
  });

  it('goes back to the version before when a promotion is aborted', () => {
    const { effects } = advance(inPhase('succeeded'), { type: 'abort', nowMs: late, ...who });
    expect(weights(effects)).toEqual([{ 'v1.0': 10_000, 'v1.1': 0, 'v1.2': 0 }]);
    expect(announced(effects)).toEqual(['rollout.aborted']);
  });

  it('restarts at weight 0 but stays paused when another version comes in a pause', () => {
    const event = { type: 'newRevision', canary: 'v1.2', nowMs: late } as const;
    const { state, effects } = advance(inPhase('paused'), event);
    expect(state.phase).toBe('paused');
    expect(weights(effects)).toEqual([{ 'v1.0': 10_000, 'v1.1': 0, 'v1.2': 0 }]);
    expect(advance(state, { type: 'resume', nowMs: late, ...who }).state.phase).toBe(
      'initializing',
    );
  });

  it('does not count a pause as time', () => {
    const paused = inPhase('paused');
    const { context } = advance(paused, { type: 'resume', nowMs: 103_000, ...who }).state;
    expect(context.trafficMs).toBe(paused.context.trafficMs + 100_000);
    expect(context.stepStartedMs).toBe(paused.context.stepStartedMs + 100_000);
  });

  it('grants a whole deadline more when an undecided rollout is resumed', () => {
    const { context } = advance(inPhase('inconclusive'), {
      type: 'resume',
      nowMs: 500_000,
      ...who,
    }).state;
    expect(context.trafficMs).toBe(500_000);
  });

  it('refuses to skip the last step', () => {
    const last = run([{ type: 'skip', nowMs: 3000, ...who }], inPhase('progressing'));
    const end = run([{ type: 'skip', nowMs: 3100, ...who }], last);
    expect(end.context.step).toBe(3);
    expect(advance(end, { type: 'skip', nowMs: 3200, ...who }).refused).toMatch(/no step left/);
  });

  it('records who did what and why', () => {
    const { effects, state } = advance(inPhase('progressing'), {
      type: 'pause',
      nowMs: late,
      by: 'bob',
      why: 'lunch',
    });
    expect(effects).toMatchObject([
      { event: 'rollout.paused', data: { by: 'bob', why: 'lunch', reason: 'pause by bob: lunch' } },
    ]);
    expect(state.context.history.at(-1)).toEqual({
      atMs: late,
      state: 'paused',
      weight: 10,
      reason: 'pause by bob: lunch',
    });
  });

  it('never gains traffic or ends well without telemetry', () => {
    for (const phase of rolloutPhases) {
      if (phase === 'promoting' || phase === 'succeeded') continue;
      let state = inPhase(phase);
      const before = state.context.weight;
      for (let at = 1; at <= 30; at += 1) {
        const nowMs = late + at * 5000;
        for (const event of [
          told(nowMs, { outcome: 'error' }),
          { type: 'tick', nowMs },
          { type: 'telemetryStale', nowMs },
          { type: 'weightAcked', weight: state.context.weight, nowMs },
        ] as const)
          state = advance(state, event).state;
      }
      expect(state.context.weight).toBeLessThanOrEqual(before);
      expect(['promoting', 'succeeded']).not.toContain(state.phase);
      expect(['rollingBack', 'failed'].includes(state.phase)).toBe(
        ['rollingBack', 'failed'].includes(phase),
      );
    }
  });

  it('ignores versions that the service does not have', () => {
    const event = { type: 'newRevision', canary: 'v9', nowMs: 0 } as const;
    expect(advance(inPhase('idle'), event).state.phase).toBe('idle');
  });
});

describe('an undone promotion', () => {
  const undo = { type: 'undo', nowMs: late, ...who } as const;
  const agreed = { ...plan, baseline: 'v1.1' };
  const confirmed = advanceRollout(inPhase('succeeded'), agreed, { type: 'tick', nowMs: 5000 });

  it('gives all traffic back, and says who and why', () => {
    const { effects, state } = advance(inPhase('succeeded'), undo);
    expect(weights(effects)).toEqual([{ 'v1.0': 10_000, 'v1.1': 0, 'v1.2': 0 }]);
    expect(effects).toContainEqual(
      expect.objectContaining({
        event: 'rollout.undone',
        data: expect.objectContaining({ by: 'alice', why: 'to see' }),
      }),
    );
    expect(state.context.reason).toBe('undo by alice: to see');
  });

  it('stands against the policy that names the version taken back', () => {
    expect(confirmed.state.phase).toBe('idle');
    const { state, effects } = advanceRollout(confirmed.state, agreed, undo);
    expect(weights(effects)).toEqual([{ 'v1.0': 10_000, 'v1.1': 0, 'v1.2': 0 }]);
    const later = run(
      [
        { type: 'tick', nowMs: 30_000 },
        { type: 'tick', nowMs: 90_000 },
      ],
      state,
      agreed,
    );
    expect(later.phase).toBe('failed');
    const again = run(
      [
        { type: 'retry', nowMs: 95_000, ...who },
        { type: 'tick', nowMs: 96_000 },
      ],
      later,
      agreed,
    );
    expect(again).toMatchObject({
      phase: 'initializing',
      context: { baseline: 'v1.0', canary: 'v1.1' },
    });
  });

  it('ends when the policy names the version again after it had named another', () => {
    const failed = run([undo, { type: 'tick', nowMs: 90_000 }], confirmed.state, agreed);
    const away = run([{ type: 'tick', nowMs: 91_000 }], failed, plan);
    expect(away.phase).toBe('failed');
    expect(run([{ type: 'tick', nowMs: 92_000 }], away, agreed).phase).toBe('idle');
  });

  it('is refused where nothing was promoted, or the former version is gone', () => {
    expect(advance(inPhase('idle'), undo).refused).toMatch(/no promotion/);
    const without = { ...agreed, versions: ['v1.1', 'v1.2'] };
    expect(advanceRollout(confirmed.state, without, undo).refused).toMatch(/no promotion/);
  });

  it('lets the former version be rolled out like any other', () => {
    const named = { type: 'newRevision', canary: 'v1.0', nowMs: late } as const;
    expect(advance(inPhase('succeeded'), named).state.phase).toBe('succeeded');
    const { context } = advance(inPhase('succeeded'), { ...named, ...who }).state;
    expect(context).toMatchObject({ baseline: 'v1.1', canary: 'v1.0' });
  });
});

describe('policy', () => {
  it('that asks for a command is not started by a new version', () => {
    const manual = { ...plan, start: 'manual' } as const;
    const event = { type: 'newRevision', canary: 'v1.1', nowMs: 0 } as const;
    expect(run([event], inPhase('idle'), manual).phase).toBe('idle');
    expect(run([{ ...event, ...who }], inPhase('idle'), manual).phase).toBe('initializing');
  });

  it('that gives up on undecided rollouts rolls back', () => {
    const strict = { ...plan, onInconclusive: 'rollback' } as const;
    expect(run([told(late, { futile: true })], inPhase('progressing'), strict).phase).toBe(
      'rollingBack',
    );
  });

  it('that advances undecided rollouts goes on to the end, but not without telemetry', () => {
    const bold = { ...plan, onInconclusive: 'advance' } as const;
    const futile = (atMs: number) => told(atMs, { futile: true });
    const last = run([futile(12_000), futile(22_000)], inPhase('progressing'), bold);
    expect(last.context.step).toBe(3);
    expect(run([told(32_000, { outcome: 'error' })], last, bold).phase).toBe('holding');
    expect(run([futile(32_000)], last, bold).phase).toBe('promoting');
  });

  it('that names the new version as the baseline ends the rollout with that', () => {
    const agreed = { ...plan, baseline: 'v1.1' };
    for (const phase of rolloutPhases) {
      if (phase === 'idle') continue;
      const { state, effects } = advanceRollout(inPhase(phase), agreed, {
        type: 'tick',
        nowMs: 5000,
      });
      expect(state.phase).toBe('idle');
      expect(state.context).toMatchObject({ baseline: 'v1.1', canary: undefined });
      expect(weights(effects)).toEqual([{ 'v1.0': 0, 'v1.1': 10_000, 'v1.2': 0 }]);
    }
  });

  it('that names a third version as the baseline begins the comparison anew', () => {
    const moved = { ...plan, baseline: 'v1.2' };
    const { state, effects } = advanceRollout(inPhase('progressing'), moved, {
      type: 'tick',
      nowMs: 5000,
    });
    expect(state.phase).toBe('initializing');
    expect(effects).toContainEqual({ type: 'startAnalysis', baseline: 'v1.2', canary: 'v1.1' });
    expect(weights(effects)).toEqual([{ 'v1.0': 0, 'v1.1': 0, 'v1.2': 10_000 }]);
  });

  it('that asks for another strategy begins the trial anew', () => {
    const other = { ...plan, strategy: 'blueGreen', steps: [0] } as const;
    const tick = { type: 'tick', nowMs: 5000 } as const;
    const { state } = advanceRollout(inPhase('progressing'), other, tick);
    expect(state).toMatchObject({
      phase: 'initializing',
      context: { weight: 0, strategy: 'blueGreen' },
    });
    expect(state.context.reason).toBe('the policy asks for the strategy blueGreen');
    expect(advanceRollout(inPhase('succeeded'), other, tick).state.phase).toBe('succeeded');
  });

  it('begins below the first step where traffic is heavy', () => {
    const automatic = { ...plan, ramp: 'automatic' } as const;
    const steps = (requestRate: number) =>
      run([told(1000, { requestRate })], inPhase('initializing'), automatic).context.steps;
    expect(steps(50)).toEqual([10, 30, 50]);
    expect(steps(1000)).toEqual([5, 10, 30, 50]);
    expect(steps(5000)).toEqual([1, 5, 10, 30, 50]);
    expect(steps(1e6)).toEqual([1, 5, 10, 30, 50]);
    expect(steps(0)).toEqual([10, 30, 50]);
  });
});
