import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceRollout, idleRollout } from '#engine/machines/rollout.ts';
import {
  isActive,
  judgeFacts,
  readRolloutState,
  standingSplit,
} from '#engine/machines/rollout-state.ts';
import {
  type RolloutEvent,
  rolloutCommands,
  rolloutPhases,
} from '#engine/machines/rollout-types.ts';
import { rolloutStatus } from '#engine/machines/status.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import { inPhase, plan, run, told } from './rollout-fixtures.ts';

const through = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

const who = { by: 'alice', why: 'to see' };
const events: fc.Arbitrary<(nowMs: number) => RolloutEvent> = fc.oneof(
  fc
    .record({
      outcome: fc.constantFrom('pass', 'fail', 'inconclusive', 'error' as const),
      progress: fc.constantFrom(0, 0.4, 1),
      futile: fc.boolean(),
      rollback: fc.constantFrom(1, 20),
    })
    .map(
      ({ rollback, ...changes }) =>
        (nowMs: number) =>
          told(nowMs, changes as never, rollback),
    ),
  fc
    .constantFrom(...rolloutCommands)
    .map((type) => (nowMs: number) => ({ type, nowMs, ...who }) as RolloutEvent),
  fc.constantFrom('v1.1', 'v1.2').map((canary) => (nowMs: number) => ({
    type: 'newRevision' as const,
    canary,
    nowMs,
  })),
  fc.constantFrom(0, 10, 30, 50, 100).map((weight) => (nowMs: number) => ({
    type: 'weightAcked' as const,
    weight,
    nowMs,
  })),
  fc.constant((nowMs: number) => ({ type: 'tick' as const, nowMs })),
  fc
    .record({
      hook: fc.constantFrom('confirm', 'load', 'stop', 'unknown'),
      for: fc.constantFrom('start', 'analysis', 'trial', 'step:1'),
      ok: fc.boolean(),
    })
    .map((answer) => (nowMs: number) => ({
      type: 'answered' as const,
      nowMs,
      detail: '',
      ...answer,
    })),
  fc
    .constantFrom('released', 'peerFailed', 'regressed')
    .map((type) => (nowMs: number) => ({ type, nowMs, peer: 'a/b', why: 'w' }) as RolloutEvent),
);

const hook = {
  url: 'http://h',
  timeoutMs: 1000,
  intervalMs: 9000,
  failureThreshold: 2,
  metadata: {},
};
const gates = {
  watchMs: 30_000,
  approvals: ['promotion'],
  group: 'a/g',
  hooks: [
    { ...hook, name: 'confirm', type: 'confirm-rollout' },
    { ...hook, name: 'load', type: 'rollout' },
    { ...hook, name: 'stop', type: 'rollback' },
  ],
} as const;
const plans: fc.Arbitrary<RolloutPlan> = fc.constantFrom<RolloutPlan>(
  plan,
  { ...plan, ...gates },
  { ...plan, strategy: 'blueGreen', steps: [0] },
  { ...plan, strategy: 'ab', steps: [0], ...gates },
  {
    ...plan,
    strategy: 'mirror',
    steps: [0, 10, 50],
    mirror: { percent: 10, durationMs: 5000, minRequests: 10 },
  },
);

describe('a persisted rollout', () => {
  it('goes on as if it had never been written and read', () => {
    fc.assert(
      fc.property(plans, fc.array(events, { maxLength: 30 }), (of, makers) => {
        let kept = idleRollout(of);
        let stored = idleRollout(of);
        for (const [at, make] of makers.entries()) {
          const event = make(at * 7000);
          const left = advanceRollout(kept, of, event);
          const read = readRolloutState(through(stored));
          if ('error' in read) throw new Error(read.error);
          const right = advanceRollout(read.state, of, through(event));
          expect(through(right)).toEqual(through(left));
          kept = left.state;
          stored = right.state;
        }
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  it('decides weights that always add up, whatever happens', () => {
    fc.assert(
      fc.property(plans, fc.array(events, { maxLength: 30 }), (of, makers) => {
        let state = idleRollout(of);
        for (const [at, make] of makers.entries()) {
          const next = advanceRollout(state, of, make(at * 7000));
          const isOver = ['rollingBack', 'failed', 'idle', 'succeeded'].includes(next.state.phase);
          const last = next.effects.findLast((effect) => effect.type === 'split');
          // Nobody meets a version that is not on trial, by whatever way.
          if (isOver && last)
            expect([last.body.cohort, last.body.mirror]).toEqual([undefined, undefined]);
          for (const effect of next.effects)
            if (effect.type === 'split') {
              const weights = Object.values(effect.body.weights);
              expect(weights.reduce((sum, weight) => sum + weight, 0)).toBe(10_000);
              expect(weights.every((weight) => weight >= 0)).toBe(true);
            }
          state = next.state;
        }
      }),
      { numRuns: 40, seed: 2 },
    );
  });

  it('is an error in words when it cannot be read', () => {
    const good = inPhase('progressing');
    const error = (value: unknown) => {
      const read = readRolloutState(value);
      return 'error' in read ? read.error : undefined;
    };
    expect(error(through(good))).toBeUndefined();
    expect(error(null)).toMatch(/not an object/);
    expect(error('x')).toMatch(/not an object/);
    expect(error({ ...good, v: 3 })).toMatch(/version 3/);
    expect(error({ ...good, phase: 'dancing' })).toMatch(/unknown phase dancing/);
    expect(error({ ...good, context: undefined })).toMatch(/no context/);
    for (const field of ['baseline', 'steps', 'weight', 'trafficMs', 'history'])
      expect(error({ ...good, context: { ...good.context, [field]: null } })).toMatch(field);
  });

  it('says again after a restart what it said last', () => {
    for (const phase of rolloutPhases) {
      const state = inPhase(phase);
      const split = standingSplit(through(state), plan);
      if (phase === 'idle') {
        expect(split).toBeUndefined();
        continue;
      }
      const canary = split?.body.weights['v1.1'];
      expect(canary).toBe(state.context.weight * 100);
    }
  });

  it('keeps a bounded history', () => {
    let state = inPhase('progressing');
    for (let at = 0; at < 300; at += 1)
      state = run(
        [
          { type: 'pause', nowMs: 4000 + at, ...who },
          { type: 'resume', nowMs: 4000 + at, ...who },
        ],
        state,
      );
    expect(state.context.history).toHaveLength(100);
  });
});

describe('what others need to know', () => {
  it('is whether evidence is wanted', () => {
    const active = rolloutPhases.filter((phase) => isActive(inPhase(phase)));
    expect(active).toEqual([
      'initializing',
      'progressing',
      'holding',
      'paused',
      'promoting',
      'inconclusive',
    ]);
  });

  it('is the facts of the step for the judge; before the first there is no soak', () => {
    expect(judgeFacts(inPhase('initializing'), 700)).toMatchObject({
      step: 0,
      weight: 0,
      startedMs: 700,
    });
    expect(judgeFacts(inPhase('progressing'), 5000)).toEqual({
      nowMs: 5000,
      step: 1,
      weight: 10,
      stepStartedMs: 2000,
      startedMs: 1000,
    });
  });

  it('is a status for people', () => {
    expect(rolloutStatus(inPhase('holding'), plan)).toMatchObject({
      id: 'bibby/catalog',
      service: 'bibby/catalog-service',
      state: 'holding',
      baseline: 'v1.0',
      canary: 'v1.1',
      weight: 10,
      step: 1,
      steps: [10, 30, 50],
      outcome: 'inconclusive',
      reason: 'because of the numbers',
      arms: { canary: { requests: 100 }, baseline: { requests: 900 } },
    });
    expect(rolloutStatus(undefined, plan)).toMatchObject({
      state: 'idle',
      canary: undefined,
      weight: 0,
      history: [],
    });
  });
});
