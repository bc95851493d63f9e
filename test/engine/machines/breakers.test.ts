import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  advanceBreakers,
  type Breakers,
  type BreakersEvent,
  type Fleet,
  noBreakers,
  readBreakers,
  standingBreakers,
} from '#engine/machines/breakers.ts';
import { upstreamOf } from '#engine/model/endpoint.ts';
import type { EndpointSeries, Sample } from '#engine/model/telemetry.ts';

const upstream = 'bibby/catalog-service@v1.0';
const endpoint = (at: number): string => `${upstream}/10.0.0.${at}:80`;
const agents = ['a', 'b', 'c', 'd'];
const fleetOf = (count: number): Fleet =>
  new Map([
    [upstream, { endpoints: Array.from({ length: count }, (_, at) => endpoint(at)), agents }],
  ]);

const sample = (
  agent: string,
  endpoints: readonly EndpointSeries[],
  nowMs: number,
): BreakersEvent => ({
  type: 'sample',
  nowMs,
  sample: {
    v: 1,
    type: 'sample',
    agent,
    scope: 'edge.public',
    incarnation: 'one',
    sequence: 1,
    startMs: nowMs,
    spanMs: 1000,
    reporter: 'source',
    revision: 1,
    series: [],
    endpoints,
  } satisfies Sample,
});

/** Found by one agent, and by another right after. */
const found = (agent: string, endpoints: readonly EndpointSeries[], nowMs = 0) => [
  sample(agent, endpoints, nowMs),
  sample(agent === 'a' ? 'b' : 'a', endpoints, nowMs + 1),
];

const run = (events: readonly BreakersEvent[], fleet: Fleet, start: Breakers = noBreakers) => {
  let state = start;
  const effects = events.flatMap((event) => {
    const next = advanceBreakers(state, event, fleet);
    state = next.state;
    return next.effects;
  });
  return { state, effects };
};
const openOnes = ({ breakers }: Breakers): readonly string[] =>
  Object.values(breakers).flatMap(({ phase, context }) =>
    phase === 'closed' ? [] : [context.target],
  );

describe('the fleet’s breakers', () => {
  it('never open on everything, whatever is reported', () => {
    const event = fc
      .record({
        agent: fc.constantFrom(...agents),
        at: fc.integer({ min: 0, max: 5 }),
        requests: fc.integer({ min: 0, max: 50 }),
        share: fc.constantFrom(0, 0.5, 1),
        wait: fc.constantFrom(0, 100, 40_000),
      })
      .map((one) => one);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(event, { maxLength: 60 }),
        (count, list) => {
          const fleet = fleetOf(count);
          let state = noBreakers;
          let nowMs = 0;
          for (const { agent, at, requests, share, wait } of list) {
            nowMs += wait;
            const failures = Math.round(requests * share);
            const one = { endpoint: endpoint(at), requests, failures };
            state = run([sample(agent, [one], nowMs), { type: 'tick', nowMs }], fleet, state).state;
            expect(openOnes(state).length).toBeLessThanOrEqual(Math.floor(count / 2));
          }
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });

  it('open the two that are dead of four', () => {
    const seen = [0, 1, 2, 3].map((at) => ({
      endpoint: endpoint(at),
      requests: 20,
      failures: at < 2 ? 20 : 0,
    }));
    const { state } = run([sample('a', seen, 0), sample('b', seen, 100)], fleetOf(4));
    expect([...openOnes(state)].sort()).toEqual([endpoint(0), endpoint(1)]);
  });

  it('stay closed on the word of one of several that send there', () => {
    const seen = [{ endpoint: endpoint(0), requests: 50, failures: 50 }];
    const lies = [0, 1, 2, 3].map((second) => sample('a', seen, second * 1000));
    expect(openOnes(run(lies, fleetOf(4)).state)).toEqual([]);
    const alone: Fleet = new Map([[upstream, { endpoints: [0, 1].map(endpoint), agents: ['a'] }]]);
    expect(openOnes(run(lies.slice(0, 1), alone).state)).toEqual([endpoint(0)]);
  });

  it('stay closed in a brownout of all', () => {
    const seen = [0, 1, 2, 3].map((at) => ({ endpoint: endpoint(at), requests: 20, failures: 20 }));
    const events = agents.flatMap((agent, at) => [sample(agent, seen, at * 100)]);
    const { state } = run([...events, ...events], fleetOf(4));
    expect(openOnes(state)).toEqual([]);
  });

  it('stay closed when all have turned bad a moment after all were well', () => {
    const seen = (failures: number) =>
      [0, 1, 2, 3].map((at) => ({ endpoint: endpoint(at), requests: 20, failures }));
    const before = [0, 1, 2, 3, 4].map((second) => sample('a', seen(0), second * 1000));
    const { state } = run([...before, sample('a', seen(20), 5000)], fleetOf(4));
    expect(openOnes(state)).toEqual([]);
  });

  it('let only agents probe that use the upstream', () => {
    const seen = [{ endpoint: endpoint(0), requests: 20, failures: 20 }];
    const { state } = run([...found('c', seen), { type: 'tick', nowMs: 30_001 }], fleetOf(3));
    expect(['a', 'c']).toContain(state.breakers[endpoint(0)]?.context.prober);
  });

  it('forget endpoints that are gone and ignore those never heard of', () => {
    const seen = [{ endpoint: endpoint(0), requests: 20, failures: 20 }];
    const { state } = run(found('a', seen), fleetOf(3));
    expect(openOnes(state)).toEqual([endpoint(0)]);
    const smaller = new Map([[upstream, { endpoints: [endpoint(1)], agents }]]);
    expect(run([{ type: 'tick', nowMs: 1000 }], smaller, state).state.breakers).toEqual({});
    const foreign = [{ endpoint: 'x/y@z/1.2.3.4:5', requests: 20, failures: 20 }];
    expect(run([sample('a', foreign, 0)], fleetOf(3)).state.breakers).toEqual({});
  });

  it('refuse to open the last endpoint by hand', () => {
    const force = {
      type: 'forceOpen',
      endpoint: endpoint(0),
      nowMs: 0,
      by: 'bob',
      why: '',
    } as const;
    expect(advanceBreakers(noBreakers, force, fleetOf(1)).refused).toMatch(/the last endpoint/);
    expect(advanceBreakers(noBreakers, { ...force, endpoint: 'x/1' }, fleetOf(1)).refused).toMatch(
      /no endpoint/,
    );
    expect(advanceBreakers(noBreakers, force, fleetOf(2)).refused).toBeUndefined();
  });

  it('say after a restart what they said before', () => {
    const seen = [{ endpoint: endpoint(0), requests: 20, failures: 20 }];
    const { state, effects } = run(found('a', seen), fleetOf(3));
    const read = readBreakers(JSON.parse(JSON.stringify(state)));
    expect(standingBreakers(read)).toEqual(effects.filter(({ type }) => type === 'breaker'));
  });

  it('begin closed where their state cannot be read, and only there', () => {
    const seen = [0, 1, 2, 3].map((at) => ({
      endpoint: endpoint(at),
      requests: 20,
      failures: at < 2 ? 20 : 0,
    }));
    const { state } = run(found('a', seen), fleetOf(6));
    expect([...openOnes(state)].sort()).toEqual([endpoint(0), endpoint(1)]);
    const broken = { v: 1, breakers: { ...state.breakers, [endpoint(1)]: { v: 9 } } };
    expect(openOnes(readBreakers(broken))).toEqual([endpoint(0)]);
    expect(readBreakers(undefined)).toEqual(noBreakers);
  });

  it('know the upstream of an endpoint', () => {
    expect(upstreamOf(endpoint(1))).toBe(upstream);
    expect(upstreamOf('bibby/library-service/[::1]:80')).toBe('bibby/library-service');
  });
});
