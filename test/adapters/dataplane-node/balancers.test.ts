import { describe, expect, it } from 'vitest';
import { createBalancer } from '#adapters/dataplane-node/balancer/create-balancer.ts';
import { EndpointSet } from '#adapters/dataplane-node/balancer/endpoint-set.ts';
import { EndpointState } from '#adapters/dataplane-node/upstream/endpoint.ts';

/** Deterministic and evenly spread. */
const seeded = (seed = 1) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

const endpoints = (...weights: number[]): EndpointState[] =>
  weights.map((weight, i) => new EndpointState({ address: `10.0.0.${i}`, port: 80, weight }, 0));
const setOf = (list: readonly EndpointState[], slowStartMs = 0) =>
  new EndpointSet(list, { isPanic: false, slowStartMs });
const nobody = { hashKey: undefined, avoid: undefined };

type Policy = Parameters<typeof createBalancer>[0];
const policies: readonly Policy[] = [
  'LeastLatency',
  'LeastRequest',
  'RoundRobin',
  'Random',
  'RingHash',
  'Maglev',
];

const shares = (policy: Policy, list: readonly EndpointState[], picks = 20_000): number[] => {
  const balancer = createBalancer(policy, seeded());
  const set = setOf(list);
  const counts = list.map(() => 0);
  for (let i = 0; i < picks; i++) {
    const index = list.indexOf(
      balancer.pick(
        set,
        {
          ...nobody,
          hashKey: policy.endsWith('g') || policy === 'RingHash' ? `key-${i}` : undefined,
        },
        0,
      ),
    );
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts.map((count) => count / picks);
};

describe('every balancer', () => {
  it.each(policies)('%s spreads over equal endpoints', (policy) => {
    for (const share of shares(policy, endpoints(1, 1, 1, 1))) expect(share).toBeGreaterThan(0.17);
  });

  it.each(['RoundRobin', 'Random', 'RingHash', 'Maglev'] as const)(
    '%s goes by weight',
    (policy) => {
      const [light = 0, heavy = 0] = shares(policy, endpoints(1, 3));
      expect(heavy / light).toBeGreaterThan(2.3);
      expect(heavy / light).toBeLessThan(3.8);
    },
  );

  it.each(policies)('%s avoids the endpoint of the try before', (policy) => {
    const list = endpoints(1, 1, 1);
    const balancer = createBalancer(policy, seeded());
    for (let i = 0; i < 200; i++)
      expect(balancer.pick(setOf(list), { hashKey: `k${i}`, avoid: list[1] }, 0)).not.toBe(list[1]);
  });

  it.each(policies)('%s takes the only endpoint there is', (policy) => {
    const list = endpoints(1);
    expect(
      createBalancer(policy, seeded()).pick(setOf(list), { hashKey: 'k', avoid: list[0] }, 0),
    ).toBe(list[0]);
  });
});

describe('consistent hashing', () => {
  it.each(['RingHash', 'Maglev'] as const)(
    'by %s moves few keys when an endpoint goes',
    (policy) => {
      const list = endpoints(1, 1, 1, 1, 1);
      const pick = (set: EndpointSet, key: string) =>
        createBalancer(policy, seeded()).pick(set, { hashKey: key, avoid: undefined }, 0);
      const balancerBefore = createBalancer(policy, seeded());
      const balancerAfter = createBalancer(policy, seeded());
      const [before, after] = [setOf(list), setOf(list.slice(1))];
      expect(pick(before, 'a')).toBe(pick(before, 'a'));
      let moved = 0;
      for (let i = 0; i < 2000; i++) {
        const facts = { hashKey: `key-${i}`, avoid: undefined };
        const [old, fresh] = [
          balancerBefore.pick(before, facts, 0),
          balancerAfter.pick(after, facts, 0),
        ];
        if (old !== list[0] && old !== fresh) moved++;
      }
      expect(moved).toBeLessThan(policy === 'RingHash' ? 1 : 150);
    },
  );
});

describe('round robin', () => {
  it('gives everybody a turn in every round', () => {
    const list = endpoints(1, 1, 1);
    const balancer = createBalancer('RoundRobin', seeded());
    const set = setOf(list);
    for (let round = 0; round < 10; round++)
      expect(new Set([0, 1, 2].map(() => balancer.pick(set, nobody, 0))).size).toBe(3);
  });
});

describe('least latency', () => {
  const pickMany = (list: readonly EndpointState[], now: number) => {
    const balancer = createBalancer('LeastLatency', seeded());
    const counts = list.map(() => 0);
    for (let i = 0; i < 1000; i++) {
      const index = list.indexOf(balancer.pick(setOf(list), nobody, now));
      counts[index] = (counts[index] ?? 0) + 1;
    }
    return counts;
  };

  it('prefers who answers fast', () => {
    const list = endpoints(1, 1);
    for (let i = 1; i <= 50; i++) {
      list[0]?.observe(5, i);
      list[1]?.observe(50, i);
    }
    expect(pickMany(list, 51)[0]).toBe(1000);
  });

  it('does not fall for who refuses fast', () => {
    const list = endpoints(1, 1);
    for (let i = 1; i <= 50; i++) list[0]?.observe(20, i);
    // What a 503 within a millisecond counts as.
    list[1]?.observe(5000, 50);
    expect(pickMany(list, 51)[0]).toBe(1000);
  });

  it('forgives in time', () => {
    const list = endpoints(1, 1);
    list[1]?.observe(5000, 1);
    for (let i = 1; i < 120_000; i += 1000) list[0]?.observe(20, i);
    expect(pickMany(list, 120_000)[1]).toBeGreaterThan(0);
  });
});

describe('slow start', () => {
  it('gives a newcomer a growing share', () => {
    const list = endpoints(1, 1);
    const newcomer = list[1] as EndpointState;
    newcomer.since = 10_000;
    const shareAt = (now: number) => {
      const set = setOf(list, 10_000);
      const random = seeded();
      let count = 0;
      for (let i = 0; i < 4000; i++) if (set.draw(random, now) === newcomer) count++;
      return count / 4000;
    };
    expect(shareAt(10_500)).toBeLessThan(0.2);
    expect(shareAt(15_000)).toBeLessThan(shareAt(19_000));
    expect(shareAt(20_000)).toBeGreaterThan(0.45);
  });
});
