import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceRollout } from '#engine/machines/rollout.ts';
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
);

describe('a persisted rollout', () => {
  it('goes on as if it had never been written and read', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 30 }), (makers) => {
        let kept = inPhase('idle');
        let stored = inPhase('idle');
        for (const [at, make] of makers.entries()) {
          const event = make(at * 7000);
          const left = advanceRollout(kept, plan, event);
          const read = readRolloutState(through(stored));
          if ('error' in read) throw new Error(read.error);
          const right = advanceRollout(read.state, plan, through(event));
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
      fc.property(fc.array(events, { maxLength: 30 }), (makers) => {
        let state = inPhase('idle');
        for (const [at, make] of makers.entries()) {
          const next = advanceRollout(state, plan, make(at * 7000));
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
