import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Choices } from '#adapters/dataplane-node/balancer/choices.ts';
import { distance, shareLevels } from '#adapters/dataplane-node/balancer/levels.ts';
import { EndpointState } from '#adapters/dataplane-node/upstream/endpoint.ts';
import type { Upstream } from '#engine/model/snapshot.ts';
import { upstream } from '#test/support/snapshot.ts';

const seeded = (seed = 1) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};
const loads = (levels: readonly (readonly [number, number])[], threshold = 50) =>
  shareLevels(
    levels.map(([healthy, total]) => ({ healthy, total })),
    threshold,
  ).map(({ load }) => Math.round(load));

describe('levels of endpoints', () => {
  // Envoy's documentation of priority levels has these figures.
  it.each([
    [
      [10, 10],
      [10, 10],
      [100, 0],
    ],
    [
      [8, 10],
      [10, 10],
      [100, 0],
    ],
    [
      [7, 10],
      [10, 10],
      [98, 2],
    ],
    [
      [5, 10],
      [10, 10],
      [70, 30],
    ],
    [
      [3, 10],
      [10, 10],
      [42, 58],
    ],
    [
      [0, 10],
      [10, 10],
      [0, 100],
    ],
    [
      [0, 10],
      [7, 10],
      [0, 100],
    ],
    [
      [5, 10],
      [0, 10],
      [100, 0],
    ],
  ] as const)('%j and %j healthy share traffic %j', (near, far, shares) => {
    expect(loads([near, far])).toEqual(shares);
  });

  it('panic by themselves, and all together go by size', () => {
    const some = shareLevels(
      [
        { healthy: 1, total: 10 },
        { healthy: 6, total: 10 },
      ],
      50,
    );
    expect(some.map(({ isPanic }) => isPanic)).toEqual([true, false]);
    const all = shareLevels(
      [
        { healthy: 1, total: 10 },
        { healthy: 1, total: 30 },
      ],
      50,
    );
    expect(all).toEqual([
      { load: 25, isPanic: true },
      { load: 75, isPanic: true },
    ]);
  });

  it('share out everything as long as somebody is healthy', () => {
    const level = fc
      .tuple(fc.nat(20), fc.nat(20))
      .map(([healthy, ill]) => ({ healthy, total: healthy + ill }))
      .filter(({ total }) => total > 0);
    fc.assert(
      fc.property(fc.array(level, { minLength: 1, maxLength: 3 }), fc.nat(100), (levels, panic) => {
        const shares = shareLevels(levels, panic);
        const sum = shares.reduce((total, { load }) => total + load, 0);
        const isServed = levels.some(({ healthy }) => healthy > 0) || shares.some((s) => s.isPanic);
        if (isServed) expect(sum).toBeCloseTo(100);
      }),
      { seed: 1 },
    );
  });

  it('are nearer the more of the place is the same', () => {
    expect(distance('eu/a', 'eu/a')).toBe(0);
    expect(distance('eu/a', 'eu/b')).toBe(1);
    expect(distance('eu/a', 'eu')).toBe(1);
    expect(distance('eu', 'eu/a')).toBe(1);
    expect(distance('eu/a', 'us/a')).toBe(2);
    expect(distance('eu/a', undefined)).toBe(2);
  });
});

const places = ['eu/a', 'eu/a', 'eu/a', 'eu/a', 'eu/b', 'eu/b', 'us/a', 'us/a'];
const plan = (policy: Upstream['loadBalancing']['policy'], facts: Partial<Upstream> = {}) =>
  upstream('bibby/catalog', {
    loadBalancing: { policy, slowStartMs: 0 },
    healthCheck: {
      type: 'TCP',
      path: '/',
      intervalMs: 1,
      timeoutMs: 1,
      unhealthyThreshold: 1,
      healthyThreshold: 1,
      expectedStatuses: [],
    },
    ...facts,
  });
/** Share of the picks by place, with some of the endpoints out. */
const spread = (options: {
  readonly out?: readonly number[];
  readonly own?: string;
  readonly plan?: Upstream;
}) => {
  const { out = [], own = 'eu/a' } = options;
  const list = places.map(
    (locality, at) =>
      new EndpointState({ address: `10.0.0.${at}`, port: 80, weight: 1, locality }, 0),
  );
  const choices = new Choices(seeded(), own);
  const usable = new Set(list.filter((_, at) => !out.includes(at)));
  choices.update(options.plan ?? plan('Random'), list, usable);
  const counts: Record<string, number> = {};
  for (let i = 0; i < 5000; i++) {
    const picked = choices.pick({ hashKey: `key-${i}`, avoid: undefined }, 0);
    const place = picked?.locality ?? 'nowhere';
    counts[place] = (counts[place] ?? 0) + 1 / 5000;
  }
  return counts;
};

describe('an agent that knows where it stands', () => {
  it('stays in its zone while enough of it is healthy', () => {
    expect(spread({})).toEqual({ 'eu/a': expect.closeTo(1) });
    expect(spread({ out: [0] })).toEqual({ 'eu/a': expect.closeTo(1) });
  });

  it.each(['LeastLatency', 'LeastRequest', 'RoundRobin', 'Random', 'RingHash', 'Maglev'] as const)(
    'overflows to its region with %s when half of the zone is out',
    (policy) => {
      const shares = spread({ out: [0, 1], plan: plan(policy) });
      expect(shares['eu/a']).toBeCloseTo(0.7, 1);
      expect(shares['eu/b']).toBeCloseTo(0.3, 1);
      expect(shares['us/a']).toBeUndefined();
    },
  );

  it('leaves the region only when that is out too', () => {
    const shares = spread({ out: [0, 1, 2, 3, 4] });
    expect(shares['eu/b']).toBeCloseTo(0.7, 1);
    expect(shares['us/a']).toBeCloseTo(0.3, 1);
    expect(spread({ out: [0, 1, 2, 3, 4, 5] })).toEqual({ 'us/a': expect.closeTo(1) });
  });

  it('uses all alike where nobody would notice that a zone is dead', () => {
    const { healthCheck: _, ...unwatched } = plan('Random');
    expect(spread({ plan: unwatched })['us/a']).toBeCloseTo(0.25, 1);
  });

  it('from elsewhere finds nothing near', () => {
    expect(spread({ own: 'ap/a' })['us/a']).toBeCloseTo(0.25, 1);
  });

  it('retries elsewhere when its only neighbour has failed', () => {
    const list = ['eu/a', 'us/a'].map(
      (locality, at) =>
        new EndpointState({ address: `10.0.0.${at}`, port: 80, weight: 1, locality }, 0),
    );
    const choices = new Choices(() => 0.5, 'eu/a');
    choices.update(plan('Random'), list, new Set(list));
    expect(choices.pick({ hashKey: undefined, avoid: undefined }, 0)).toBe(list[0]);
    expect(choices.pick({ hashKey: undefined, avoid: list[0] }, 0)).toBe(list[1]);
  });
});
