import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  advanceRetryBrake,
  type BrakeEffect,
  type BrakeEvent,
  type BrakePhase,
  type BrakeState,
  brakePhases,
  freeBrake,
  readBrakeState,
  retryBrakeMachine,
} from '#engine/machines/retry-brake.ts';

const target = 'edge.public/bibby/catalog-service';
const second = (at: number, requests: number, retries: number, bound = 20): BrakeEvent => ({
  type: 'second',
  nowMs: at * 1000,
  requests,
  retries,
  bound,
});

const run = (events: readonly BrakeEvent[], start: BrakeState = freeBrake(target)) => {
  let state = start;
  const effects: BrakeEffect[] = [];
  for (const event of events) {
    const next = advanceRetryBrake(state, event);
    state = next.state;
    effects.push(...next.effects);
  }
  return { state, effects };
};
const limits = (effects: readonly BrakeEffect[]): readonly (number | string)[] =>
  effects.flatMap<number | string>((effect) =>
    effect.type === 'limit' ? [effect.body.percent] : effect.type === 'release' ? ['free'] : [],
  );
const storm = second(1, 100, 60);
const braked = run([storm]).state;

describe('every phase of a retry brake meets every event', () => {
  const events: Readonly<Record<string, BrakeEvent>> = {
    'a calm second': second(2, 100, 0),
    'a storm': second(2, 100, 60),
    'a calm time, later': second(7, 100, 1),
    'a storm, later': second(7, 100, 10),
    silence: second(70, 0, 0),
  };
  const table: readonly (readonly [string, BrakePhase, BrakePhase])[] = [
    ['a calm second', 'free', 'braked'],
    ['a storm', 'braked', 'braked'],
    ['a calm time, later', 'free', 'free'],
    ['a storm, later', 'free', 'braked'],
    ['silence', 'free', 'free'],
  ];
  const cells = table.flatMap(([event, ...after]) =>
    brakePhases.map((before, at) => ({ event, before, after: after[at] })),
  );

  it('leaves none out', () => {
    expect(Object.keys(retryBrakeMachine.states)).toEqual([...brakePhases]);
    expect(retryBrakeMachine.events).toEqual(['second']);
    expect(table.map(([event]) => event)).toEqual(Object.keys(events));
  });

  it.each(cells)('$before, $event: $after', ({ event, before, after }) => {
    const start = before === 'free' ? freeBrake(target) : braked;
    expect(run([events[event] as BrakeEvent], start).state.phase).toBe(after);
  });
});

describe('a retry brake', () => {
  it('halves the bound when the fleet passes it, and says by what', () => {
    const { effects } = run([second(0, 100, 10), storm]);
    expect(effects).toMatchObject([
      {
        type: 'limit',
        body: { type: 'retry-budget', target, percent: 10 },
        reason: '70 retries of 200 requests',
      },
      { type: 'event', event: 'retries.limited', data: { edge: target, percent: 10 } },
    ]);
  });

  it('does not mind few retries, nor many of many requests', () => {
    expect(limits(run([second(1, 19, 19)]).effects)).toEqual([]);
    expect(limits(run([second(1, 1000, 200)]).effects)).toEqual([]);
    expect(limits(run([second(1, 100, 60, 100)]).effects)).toEqual([]);
  });

  it('shrinks while retries press against it, and grows back when they no longer do', () => {
    const seconds = Array.from({ length: 60 }, (_, at) => at + 2);
    let allowed = 10;
    let state = braked;
    const told: (number | string)[] = [];
    for (const at of seconds) {
      const demand = at < 30 ? 100 : 0;
      const next = advanceRetryBrake(state, second(at, 1000, (10 * Math.min(demand, allowed)) | 0));
      state = next.state;
      told.push(...limits(next.effects));
      if (state.phase === 'braked') allowed = state.context.percent;
    }
    expect(told).toEqual([5, 2.5, 1.25, 1, 2, 4, 8, 16, 'free']);
    expect(state.phase).toBe('free');
  });

  it('holds while nothing is heard, and lets go after a minute of it', () => {
    const quiet = (until: number) =>
      run(
        Array.from({ length: until }, (_, at) => second(at + 2, 0, 0)),
        braked,
      ).effects;
    expect(limits(quiet(58))).toEqual([]);
    expect(limits(quiet(60))).toEqual(['free']);
  });

  it('never goes below one percent nor above the bound, whatever happens', () => {
    const one = fc.record({
      requests: fc.nat(1000),
      share: fc.double({ min: 0, max: 3, noNaN: true }),
      bound: fc.integer({ min: 2, max: 100 }),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 80 }), (list) => {
        const events = list.map(({ requests, share, bound }, at) =>
          second(at, requests, Math.round(requests * share), bound),
        );
        for (const limit of limits(run(events).effects))
          if (typeof limit === 'number') {
            expect(limit).toBeGreaterThanOrEqual(1);
            expect(limit).toBeLessThanOrEqual(100);
          }
      }),
      { seed: 1 },
    );
  });

  it('survives being written and read', () => {
    expect(readBrakeState(JSON.parse(JSON.stringify(braked)))).toEqual(braked);
    expect(readBrakeState({ v: 1, phase: 'half' })).toBeUndefined();
    expect(readBrakeState(undefined)).toBeUndefined();
  });
});
